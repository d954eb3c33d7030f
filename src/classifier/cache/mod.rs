//! A cache of model results in a file, for later runs. It holds hashes and numbers, never text.
//!
//! The file is a SQLite database. An entry is found by its [`Key`], a hash over everything that the result depends on.
//! The file holds only `SHA-256(salt || key)`, with a random salt of 32 bytes per file. So two files cannot be
//! compared, and precomputed tables of short texts find nothing. Whoever has the file, and with it the salt, can still
//! confirm a guess of all parts of a key, including the whole text of a message. Therefore only its owner may read the
//! file.
//!
//! Several processes may use one file at a time: readers never wait (write-ahead log), writers wait for each other. A
//! run does not need the file: an error here is a warning, given once.

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
pub use upkeep::{ModelStats, Pruned, Stats};

use entries::{Entry, Used};
use key::Salt;

/// Entries whose time of last use is written in one transaction.
const WAITING: usize = 4096;

/// An open cache file. Threads may share it.
pub struct Cache {
    path: PathBuf,
    inner: Mutex<Inner>,
}

struct Inner {
    database: Connection,
    salt: Salt,
    /// Entries whose time of last use has not been written yet.
    used: Vec<Used>,
}

impl Cache {
    /// Opens the cache at `path`. A missing one is created, readable by its owner only. One that is not writable is
    /// opened for reading.
    ///
    /// # Errors
    /// When the path is not a file, the file is not a cache of this or an older version, or it cannot be read or
    /// created.
    pub fn open(path: &Path) -> Result<Self> {
        file::make(path)?;
        Self::open_file(path)
    }

    /// Like [`Cache::open`], but never creates the file.
    ///
    /// # Errors
    /// As [`Cache::open`], and when the file is missing.
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

    /// The scores of `keys`, in their order; `None` for a key that is not cached.
    ///
    /// # Errors
    /// When the file cannot be read or is damaged.
    pub fn scores(&self, keys: &[Key]) -> Result<Vec<Option<Score>>> {
        self.explained(|inner| inner.read(keys))
    }

    /// Stores scores in one transaction. Scores that are not finite are left out.
    ///
    /// # Errors
    /// When the file cannot be written: it is read-only, the disk is full, or another process holds it for too long.
    pub fn put_scores(&self, scores: &[(Key, Score)]) -> Result<()> {
        self.explained(|inner| inner.write(scores))
    }

    /// The vectors of `keys`, in their order; `None` for a key that is not cached.
    ///
    /// # Errors
    /// When the file cannot be read or is damaged.
    pub fn vectors(&self, keys: &[Key]) -> Result<Vec<Option<Vector>>> {
        self.explained(|inner| inner.read(keys))
    }

    /// Stores vectors in one transaction. Vectors that are empty or not finite are left out.
    ///
    /// # Errors
    /// As [`Cache::put_scores`].
    pub fn put_vectors(&self, vectors: &[(Key, Vector)]) -> Result<()> {
        self.explained(|inner| inner.write(vectors))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // A panic rolled its transaction back.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `action` and explains its error for this file.
    fn explained<T>(&self, action: impl FnOnce(&mut Inner) -> rusqlite::Result<T>) -> Result<T> {
        action(&mut self.inner()).map_err(|error| file::explain(&self.path, error))
    }
}

impl Inner {
    fn read<E: Entry>(&mut self, keys: &[Key]) -> rusqlite::Result<Vec<Option<E>>> {
        // One transaction locks the file once, not once per key.
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

    /// Writes the times of last use. Errors are ignored: the times only decide what is pruned first.
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

/// Unix time in seconds.
fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_secs().try_into().unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests;
