//! What models have computed, kept in a file for the next run: hashes and numbers, never a text.
//!
//! The file is a SQLite database. Entries are found by a [`Key`], a hash over everything that a result depends on, and
//! the file holds only `SHA-256(salt || key)`, with 32 random bytes of salt that differ from file to file. So two files
//! cannot be compared, and no table made beforehand finds short texts. Who holds the file, and with it the salt, can
//! still test a guess if all parts of the key are guessed, the whole text of the mail among them; that is why the file
//! is made readable for its owner only.
//!
//! Several processes may use one file at once: readers never wait (write-ahead log), writers wait for each other.
//! Whatever becomes of the file, a run can go on without it: all that fails here is an error to warn of once.

mod entries;
mod file;
mod key;
mod upkeep;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};
use rusqlite::{Connection, TransactionBehavior};

pub use entries::{Score, Vector};
pub use key::{Key, ModelKey, ScoreParts, TextHash, VectorParts};
pub use upkeep::{ModelStats, Removed, Stats};

use entries::{Entry, Used};
use key::Salt;

/// How many entries wait for their new time of use before it is written, so that it costs one transaction.
const WAITING: usize = 4096;

/// A file of results, open. Threads may share it.
pub struct Cache {
    path: PathBuf,
    inner: Mutex<Inner>,
}

struct Inner {
    database: Connection,
    salt: Salt,
    /// Entries that were used today, of which the file does not know that yet.
    used: Vec<Used>,
}

impl Cache {
    /// Opens the cache at `path`; a missing one is made, readable for its owner only. One that may not be written is
    /// opened for reading.
    ///
    /// # Errors
    /// When the path is no file, the file is no cache of this or an older version, or it cannot be read or made.
    pub fn open(path: &Path) -> Result<Self> {
        file::make(path)?;
        Self::open_file(path)
    }

    /// The same for a cache that must be there.
    ///
    /// # Errors
    /// As [`Cache::open`], and when there is no such file.
    pub fn open_existing(path: &Path) -> Result<Self> {
        if !path.exists() {
            bail!("there is no cache {}", path.display());
        }
        Self::open_file(path)
    }

    fn open_file(path: &Path) -> Result<Self> {
        let (database, salt) = file::open(path)?;
        let inner = Mutex::new(Inner { database, salt, used: Vec::new() });
        Ok(Self { path: path.to_path_buf(), inner })
    }

    /// The scores of `keys`, in their order; `None` where there is none.
    ///
    /// # Errors
    /// When the file cannot be read or is damaged.
    pub fn scores(&self, keys: &[Key]) -> Result<Vec<Option<Score>>> {
        self.explained(|inner| inner.read(keys))
    }

    /// Keeps scores, all or none of them. One that is no finite number is left out.
    ///
    /// # Errors
    /// When the file cannot be written: it is read-only, the disk is full, or another process holds it for long.
    pub fn put_scores(&self, scores: &[(Key, Score)]) -> Result<()> {
        self.explained(|inner| inner.write(scores))
    }

    /// The vectors of `keys`, in their order; `None` where there is none.
    ///
    /// # Errors
    /// When the file cannot be read or is damaged.
    pub fn vectors(&self, keys: &[Key]) -> Result<Vec<Option<Vector>>> {
        self.explained(|inner| inner.read(keys))
    }

    /// Keeps vectors, all or none of them. One that is empty or holds what is no finite number is left out.
    ///
    /// # Errors
    /// As [`Cache::put_scores`].
    pub fn put_vectors(&self, vectors: &[(Key, Vector)]) -> Result<()> {
        self.explained(|inner| inner.write(vectors))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // A transaction that a panic left open was rolled back when it was dropped.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does it, and says of an error what it means for this file.
    fn explained<T>(&self, action: impl FnOnce(&mut Inner) -> rusqlite::Result<T>) -> Result<T> {
        action(&mut self.inner()).map_err(|error| file::explain(&self.path, error))
    }
}

impl Inner {
    fn read<E: Entry>(&mut self, keys: &[Key]) -> rusqlite::Result<Vec<Option<E>>> {
        // One transaction, so that the file is locked once and not for every key.
        let transaction = self.database.transaction()?;
        let found = entries::read(&transaction, &self.salt, keys, now(), &mut self.used)?;
        transaction.commit()?;
        if self.used.len() >= WAITING {
            self.note_use();
        }
        Ok(found)
    }

    fn write<E: Entry>(&mut self, found: &[(Key, E)]) -> rusqlite::Result<()> {
        if found.is_empty() {
            return Ok(());
        }
        let transaction = self.database.transaction_with_behavior(TransactionBehavior::Immediate)?;
        entries::write(&transaction, &self.salt, found, now())?;
        entries::note_use(&transaction, &self.used, now())?;
        transaction.commit()?;
        self.used.clear();
        Ok(())
    }

    /// Writes when entries were used last. That is worth no failure: it only decides what is pruned first.
    fn note_use(&mut self) {
        let used = std::mem::take(&mut self.used);
        let Ok(transaction) = self.database.transaction_with_behavior(TransactionBehavior::Immediate) else {
            return;
        };
        if entries::note_use(&transaction, &used, now()).is_ok() {
            let _ = transaction.commit();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if !self.used.is_empty() && self.database.busy_timeout(Duration::from_secs(1)).is_ok() {
            self.note_use();
        }
    }
}

/// Seconds since 1970.
fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_secs().try_into().unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests;
