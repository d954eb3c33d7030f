//! The lock file: one run at a time works on a journal.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Write};
use std::path::Path;
use std::process;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::delivery::files::open_private;

/// Time between two tries.
const RETRY_INTERVAL: Duration = Duration::from_millis(50);

/// A held lock, released when dropped; the system releases it when the process dies.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock at `path`, waiting at most `wait`. The inner `Err` names its holder.
    ///
    /// # Errors
    /// When the file cannot be opened or locked.
    pub fn take(path: &Path, wait: Duration) -> Result<Result<Self, String>> {
        let cannot = || format!("cannot lock {}", path.display());
        let mut file = open_private(path).with_context(cannot)?;
        let started = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if started.elapsed() < wait => {
                    thread::sleep(RETRY_INTERVAL.min(wait.saturating_sub(started.elapsed())));
                }
                Err(TryLockError::WouldBlock) => return Ok(Err(holder(&mut file))),
                Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
                    bail!(
                        "the file system of {} does not support locks; set --journal to a file elsewhere",
                        path.display()
                    )
                }
                Err(TryLockError::Error(error)) => return Err(error).with_context(cannot),
            }
        }
        // A reader may see half of it; that only makes its message worse.
        let _ = file.set_len(0).and_then(|()| writeln!(file, "process {}", process::id()));
        Ok(Ok(Self { _file: file }))
    }
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    match file.take(64).read_to_string(&mut text) {
        Ok(_) if text.ends_with('\n') => text.trim().to_string(),
        _ => "another process".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = Lock::take(&path, Duration::ZERO).unwrap().unwrap();
        let refused = Lock::take(&path, Duration::from_millis(120)).unwrap();
        assert_eq!(refused.unwrap_err(), format!("process {}", process::id()));
        drop(held);
        assert!(Lock::take(&path, Duration::ZERO).unwrap().is_ok());
    }
}
