//! Messages of an mbox file: an identity that survives status changes, their flags, and a lock against writers.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail};
use rustix::fs::{FlockOperation, fcntl_lock};
use sha2::{Digest, Sha256};

use super::files::Sha;

/// Header fields in which mail programs keep a message's status.
const STATUS_FIELDS: [&str; 8] =
    ["status", "x-status", "x-keywords", "x-uid", "x-imap", "x-imapbase", "content-length", "lines"];

/// Age at which a `.lock` file counts as left over from a program that has died.
const STALE: Duration = Duration::from_secs(20 * 60);

/// Time between two tries to lock.
const RETRY_INTERVAL: Duration = Duration::from_millis(50);

/// Identity of a message: the hash of all but its status fields.
pub fn identity(mail: &[u8]) -> Sha {
    let mut sha = Sha256::new();
    let (mut is_header, mut is_status) = (true, false);
    for line in mail.split_inclusive(|&byte| byte == b'\n') {
        if is_header {
            is_header = !matches!(line, b"\n" | b"\r\n");
            is_status = if line.starts_with(b" ") || line.starts_with(b"\t") {
                is_status
            } else {
                status_field(line).is_some()
            };
        }
        if !is_header || !is_status {
            sha.update(line);
        }
    }
    sha.finalize().into()
}

/// Flags in maildir form, sorted: `R` in `Status` is seen; `X-Status` holds answered, flagged, draft and deleted.
pub(super) fn flags(mail: &[u8]) -> Vec<u8> {
    let lines = mail.split_inclusive(|&byte| byte == b'\n').take_while(|line| !matches!(*line, b"\n" | b"\r\n"));
    let mut flags: Vec<u8> =
        lines.filter_map(status_field).flat_map(|(name, value)| maildir_flags(name, value)).collect();
    flags.sort_unstable();
    flags.dedup();
    flags
}

fn maildir_flags<'v>(name: &'static str, value: &'v [u8]) -> impl Iterator<Item = u8> + 'v {
    value.iter().filter_map(move |letter| match (name, letter) {
        ("status", b'R') => Some(b'S'),
        ("x-status", b'A') => Some(b'R'),
        ("x-status", b'F') => Some(b'F'),
        ("x-status", b'T') => Some(b'D'),
        ("x-status", b'D') => Some(b'T'),
        _ => None,
    })
}

/// Name and value of a status field.
fn status_field(line: &[u8]) -> Option<(&'static str, &[u8])> {
    let colon = memchr::memchr(b':', line)?;
    let name = line[..colon].trim_ascii_end();
    let known = STATUS_FIELDS.iter().find(|known| known.as_bytes().eq_ignore_ascii_case(name))?;
    Some((known, &line[colon + 1..]))
}

/// Locks an mbox file against writers until the returned handle is dropped. Closing any other handle of this process on
/// the file releases the lock too, as POSIX has it.
///
/// # Errors
/// When the file cannot be opened, or another program holds the lock for longer than `wait`.
pub fn lock(mailbox: &Path, wait: Duration) -> Result<File> {
    let file = File::open(mailbox).with_context(|| format!("cannot read {}", mailbox.display()))?;
    let mut name = mailbox.as_os_str().to_os_string();
    name.push(".lock");
    let beside = PathBuf::from(name);
    let started = Instant::now();
    loop {
        let is_free = !is_held(&beside);
        match fcntl_lock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) if is_free => return Ok(file),
            // A file system without locks: nobody else holds one either.
            Err(error) if is_free && !matches!(error, rustix::io::Errno::AGAIN | rustix::io::Errno::ACCESS) => {
                return Ok(file);
            }
            _ if started.elapsed() >= wait => bail!(
                "{} is locked by another program; try again later{}",
                mailbox.display(),
                if is_free { String::new() } else { format!(", or remove {}", beside.display()) }
            ),
            _ => thread::sleep(RETRY_INTERVAL),
        }
    }
}

fn is_held(lock: &Path) -> bool {
    let age = |made: SystemTime| SystemTime::now().duration_since(made).unwrap_or_default();
    lock.symlink_metadata().is_ok_and(|lock| lock.modified().map_or(true, |made| age(made) < STALE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_that_was_read_is_the_same_mail() {
        let mail = b"Subject: x\nStatus: x\n y\nFrom: a\n\nStatus: body\n";
        let read = b"Subject: x\nX-Status: AF\nstatus : RO\nFrom: a\nX-UID: 7\n\nStatus: body\n";
        assert_eq!(identity(mail), identity(read));
        for other in [&b"Subject: y\nFrom: a\n\nStatus: body\n"[..], b"Subject: x\nFrom: a\n\nStatus: other\n", b""] {
            assert_ne!(identity(mail), identity(other));
        }
        assert_eq!((flags(mail), flags(read)), (vec![], b"FRS".to_vec()));
        assert_eq!(flags(b"Status: O\n\nStatus: R\n"), b"");
    }

    #[test]
    fn who_writes_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("box");
        std::fs::write(&path, "From a\n").unwrap();
        let beside = folder.path().join("box.lock");
        std::fs::write(&beside, "").unwrap();
        let said = lock(&path, Duration::from_millis(60)).unwrap_err().to_string();
        assert!(said.contains("is locked") && said.contains("box.lock"), "{said}");
        let old = SystemTime::now() - 2 * STALE;
        File::options().write(true).open(&beside).unwrap().set_modified(old).unwrap();
        lock(&path, Duration::ZERO).unwrap();
    }
}
