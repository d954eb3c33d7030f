//! The journal: a SQLite file with what was about to be done to each message, and what came of it.
//!
//! `schema` opens the file and checks it, `entries` holds the operations, `runs` groups them, `watched` remembers which
//! messages `watch` has looked at, `counters` holds the metrics, `paths` the form in which paths are stored, and `lock`
//! lets one process at a time work on a journal.

mod counters;
mod entries;
mod lock;
mod paths;
mod runs;
mod schema;
#[cfg(test)]
mod tests;
mod watched;

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, ensure};
use rusqlite::{Connection, Transaction};

pub use counters::Counters;
pub use entries::{EntryState, JournalEntry, Operation};
pub use lock::Lock;
pub use runs::RunRecord;

/// File name of a tree's journal.
const NAME: &str = "mailsort-journal.sqlite";

/// An open journal.
pub struct Journal {
    path: PathBuf,
    /// Root of its maildir tree.
    root: PathBuf,
    database: Connection,
}

impl Journal {
    /// Path of the journal of the tree at `root`, unless the user names a file.
    pub fn path_of(root: &Path, given: Option<&Path>) -> PathBuf {
        given.map_or_else(|| root.join(NAME), Path::to_path_buf)
    }

    /// Path of the lock file of the journal at `path`.
    pub fn lock_path(path: &Path) -> PathBuf {
        schema::beside(path, ".lock")
    }

    /// Opens or creates the journal at `path` for the tree at `root`, which must exist and be free of links.
    ///
    /// # Errors
    /// When the file cannot be opened, is not a journal, or belongs to another tree.
    pub fn open(path: &Path, root: &Path) -> Result<Self> {
        ensure!(schema::may_be_journal(path), "the journal {} is not a file", path.display());
        Ok(Self { path: path.to_path_buf(), root: root.to_path_buf(), database: schema::open(path, root)? })
    }

    /// Opens an existing journal read-only.
    ///
    /// # Errors
    /// As [`Journal::open`], and when there is no journal.
    pub fn open_to_read(path: &Path) -> Result<Self> {
        let (database, root) = (schema::open_to_read(path)?, schema::root(path)?);
        Ok(Self { path: path.to_path_buf(), root, database })
    }

    /// Root of the tree that the journal belongs to.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// True for an error that goes away when there is room on the disk.
    pub fn is_full(error: &anyhow::Error) -> bool {
        schema::is_full(error)
    }

    /// True for an error caused by renaming the file or a folder above it.
    pub fn has_moved(error: &anyhow::Error) -> bool {
        schema::has_moved(error)
    }

    /// True when `path` is a journal that a run has written to.
    pub fn is_at(path: &Path) -> bool {
        schema::holds_runs(path)
    }

    /// Path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `write` in one transaction.
    fn write(&mut self, write: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<()>) -> rusqlite::Result<()> {
        let transaction = self.database.transaction()?;
        write(&transaction)?;
        transaction.commit()
    }

    fn cannot_write(&self) -> String {
        format!("cannot write the journal {}", self.path.display())
    }

    fn cannot_read(&self) -> String {
        format!("cannot read the journal {}", self.path.display())
    }
}

/// Seconds since 1970.
fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| i64::try_from(time.as_secs()).unwrap_or(i64::MAX))
}
