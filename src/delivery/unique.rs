//! Names for messages that nobody else gives: time, process, a counter and the machine.

use std::process;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Names of machines are cut to this, for the name of a file has room for 255 bytes.
const LONGEST_HOST: usize = 64;

static GIVEN: AtomicU64 = AtomicU64::new(0);

/// A name as <https://cr.yp.to/proto/maildir.html> wants it, other than all that were given before.
pub(super) fn name() -> Vec<u8> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let (seconds, micros, process) = (now.as_secs(), now.subsec_micros(), process::id());
    let given = GIVEN.fetch_add(1, Ordering::Relaxed);
    format!("{seconds}.M{micros}P{process}Q{given}.{}", host()).into_bytes()
}

/// The name of this machine, without what parts names of messages or paths.
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
