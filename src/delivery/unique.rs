//! Unique names for new messages: time, process id, a counter and the host name.

use std::process;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Host names are cut to this; a file name has room for 255 bytes.
const LONGEST_HOST: usize = 64;

static COUNTER: AtomicU64 = AtomicU64::new(0);

/// A new name, in the form of <https://cr.yp.to/proto/maildir.html>.
pub(super) fn name() -> Vec<u8> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let (seconds, micros, process) = (now.as_secs(), now.subsec_micros(), process::id());
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    format!("{seconds}.M{micros}P{process}Q{count}.{}", host()).into_bytes()
}

/// Host name, without characters that separate message names or paths.
fn host() -> &'static str {
    static HOST: OnceLock<String> = OnceLock::new();
    HOST.get_or_init(|| {
        let system = rustix::system::uname();
        let host = system.nodename().to_string_lossy();
        let plain = host.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
        let plain: String = plain.take(LONGEST_HOST).collect();
        if plain.is_empty() { "localhost".into() } else { plain }
    })
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use super::*;
    use crate::maildir::unique_name;

    #[test]
    fn no_name_is_given_twice() {
        let mut names: Vec<Vec<u8>> = (0..1000).map(|_| name()).collect();
        assert!(names.iter().all(|name| unique_name(OsStr::from_bytes(name)) == name && !name.contains(&b'/')));
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 1000);
    }
}
