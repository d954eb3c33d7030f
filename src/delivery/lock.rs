//! One run at a time on one journal.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Write};
use std::path::Path;
use std::process;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::tree::open_own;

/// How often a lock is asked for that another run holds.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Held as long as it lives, and given back by the system however the process ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock at `path`, for which it waits as long as `wait` says. `Err` in it is who holds it.
    ///
    /// # Errors
    /// When there can be no such lock.
    pub fn take(path: &Path, wait: Duration) -> Result<Result<Self, String>> {
        let cannot = || format!("cannot lock {}", path.display());
        let mut file = open_own(path).with_context(cannot)?;
        let started = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if started.elapsed() < wait => {
                    thread::sleep(LOOK_AGAIN.min(wait.saturating_sub(started.elapsed())));
                }
                Err(TryLockError::WouldBlock) => return Ok(Err(holder(&mut file))),
                Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
                    bail!("the file system of {} knows no locks; set --journal to a file elsewhere", path.display())
                }
                Err(TryLockError::Error(error)) => return Err(error).with_context(cannot),
            }
        }
        // Who reads it may read the half of it; that only makes for a worse message.
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
