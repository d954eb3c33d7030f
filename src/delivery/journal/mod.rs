//! What was about to be done with mails, and what came of it, in a SQLite file.

mod act;
mod acts;
mod file;
mod place;
mod seen;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::files::Sha;
pub use act::{Act, FileId, Kind, State};
use acts::add;

/// The name of a tree's journal.
const NAME: &str = "mailsort-journal.sqlite";

/// Runs can be undone for half a year.
const KEPT_SECONDS: i64 = 183 * 24 * 3600;

/// Figures that grow from run to run, by name and label.
pub type Counters = BTreeMap<(String, String), f64>;

/// One run, and what it did.
#[derive(Clone, Debug, PartialEq)]
pub struct RunRow {
    /// Its number.
    pub id: i64,
    /// When it began, as in RFC 3339.
    pub started: String,
    /// When it came to its end, if it did.
    pub ended: Option<String>,
    /// The run that it undid, if it did.
    pub undoes: Option<i64>,
    /// Mails that no label set was sure of.
    pub unsure: u64,
    /// Mails with an error.
    pub errors: u64,
    /// How many acts, by kind and state.
    pub acts: BTreeMap<(&'static str, &'static str), u64>,
}

/// The journal, open.
pub struct Journal {
    path: PathBuf,
    /// The root of its tree.
    root: PathBuf,
    database: Connection,
}

impl Journal {
    /// The journal of a tree, unless a file is given.
    pub fn path_of(root: &Path, given: Option<&Path>) -> PathBuf {
        given.map_or_else(|| root.join(NAME), Path::to_path_buf)
    }

    /// The file by which runs on a journal exclude each other.
    pub fn lock_path(path: &Path) -> PathBuf {
        file::beside(path, ".lock")
    }

    /// Opens or makes the journal at `path` for the tree at `root`, which must be there and hold no link in its path.
    ///
    /// # Errors
    /// When it cannot be opened, is no journal, or is one of another tree.
    pub fn open(path: &Path, root: &Path) -> Result<Self> {
        ensure!(file::may_be_journal(path), "the journal {} is no file", path.display());
        Ok(Self { path: path.to_path_buf(), root: root.to_path_buf(), database: file::open(path, root)? })
    }

    /// Opens one that must be there, for reading.
    ///
    /// # Errors
    /// As [`Journal::open`], and when there is none.
    pub fn open_to_read(path: &Path) -> Result<Self> {
        let (database, root) = (file::open_to_read(path)?, file::root(path)?);
        Ok(Self { path: path.to_path_buf(), root, database })
    }

    /// The root of the tree that it is of.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// True for an error that ends when somebody has made room on the disk.
    pub fn is_full(error: &anyhow::Error) -> bool {
        file::is_full(error)
    }

    /// True for an error that comes of renaming the file or a folder above it.
    pub fn has_moved(error: &anyhow::Error) -> bool {
        file::has_moved(error)
    }

    /// True where there is one that runs have written to.
    pub fn is_at(path: &Path) -> bool {
        file::holds_runs(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Begins a run. What is too old to be undone is forgotten; that it is not to be done again is not.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn begin(&mut self, undoes: Option<i64>) -> Result<i64> {
        let (cannot, mut run) = (self.cannot_write(), 0);
        let written = self.write(|transaction| {
            let old = "DELETE FROM acts WHERE state != 'intended' AND run IN (SELECT id FROM runs WHERE started < ?1)";
            transaction.execute(old, [now() - KEPT_SECONDS])?;
            let empty = "DELETE FROM runs WHERE started < ?1 AND id NOT IN (SELECT run FROM acts)";
            transaction.execute(empty, [now() - KEPT_SECONDS])?;
            let values = params![now(), undoes];
            transaction.execute("INSERT INTO runs (started, undoes) VALUES (?1, ?2)", values)?;
            run = transaction.last_insert_rowid();
            Ok(())
        });
        written.context(cannot).map(|()| run)
    }

    /// Ends a run, or a part of it. False for one that has done nothing, which is forgotten: what fails for weeks shall not
    /// fill the journal.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn end(&mut self, run: i64, unsure: u64, errors: u64) -> Result<bool> {
        let (cannot, mut is_kept) = (self.cannot_write(), true);
        let written = self.write(|transaction| {
            let end = "UPDATE runs SET ended = ?2, unsure = unsure + ?3, errors = errors + ?4 WHERE id = ?1";
            transaction.execute(end, params![run, now(), unsure as i64, errors as i64])?;
            let vain = "DELETE FROM acts WHERE run = ?1 AND state NOT IN ('intended', 'done', 'undone')
                        AND NOT EXISTS (SELECT 1 FROM acts WHERE run = ?1 AND state IN ('intended', 'done', 'undone'))";
            transaction.execute(vain, [run])?;
            let empty = "DELETE FROM runs WHERE id = ?1 AND undoes IS NULL AND id NOT IN (SELECT run FROM acts)";
            is_kept = transaction.execute(empty, [run])? == 0;
            Ok(())
        });
        written.context(cannot).map(|()| is_kept)
    }

    /// True for a run that another has undone.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn is_undone(&self, run: i64) -> Result<bool> {
        let mut query = self.database.prepare_cached("SELECT 1 FROM runs WHERE undoes = ?1")?;
        query.exists([run]).with_context(|| self.cannot_read())
    }

    fn write(&mut self, write: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<()>) -> rusqlite::Result<()> {
        let transaction = self.database.transaction()?;
        write(&transaction)?;
        transaction.commit()
    }

    /// True where the act of this key was done before.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub(super) fn is_done(&self, key: &Sha) -> Result<bool> {
        let mut query = self.database.prepare_cached("SELECT 1 FROM done WHERE key = ?1")?;
        query.exists([key]).with_context(|| self.cannot_read())
    }

    /// The last run that did something which was not undone, as far as it could be.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn last_run(&self) -> Result<Option<i64>> {
        let last = "SELECT max(runs.id) FROM runs JOIN acts ON acts.run = runs.id
                    WHERE runs.undoes IS NULL AND acts.state = 'done'
                        AND NOT EXISTS (SELECT 1 FROM runs AS undos WHERE undos.undoes = runs.id AND undos.ended NOT NULL)";
        self.database.query_row(last, [], |row| row.get(0)).with_context(|| self.cannot_read())
    }

    /// All runs, the oldest first.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn runs(&self) -> Result<Vec<RunRow>> {
        let mut query = self.database.prepare(
            "SELECT id, strftime('%Y-%m-%dT%H:%M:%SZ', started, 'unixepoch'),
                    strftime('%Y-%m-%dT%H:%M:%SZ', ended, 'unixepoch'), undoes, unsure, errors FROM runs ORDER BY id",
        )?;
        let row = |row: &rusqlite::Row<'_>| {
            Ok(RunRow {
                id: row.get(0)?,
                started: row.get(1)?,
                ended: row.get(2)?,
                undoes: row.get(3)?,
                unsure: row.get::<_, i64>(4)?.max(0) as u64,
                errors: row.get::<_, i64>(5)?.max(0) as u64,
                acts: BTreeMap::new(),
            })
        };
        let mut runs: Vec<RunRow> = query.query_map([], row)?.collect::<rusqlite::Result<_>>()?;
        let at: BTreeMap<i64, usize> = runs.iter().enumerate().map(|(at, run)| (run.id, at)).collect();
        let mut query = self.database.prepare("SELECT run, kind, state, count(*) FROM acts GROUP BY 1, 2, 3")?;
        let mut counts = query.query([])?;
        while let Some(row) = counts.next()? {
            let (kind, state): (Kind, State) = (row.get(1)?, row.get(2)?);
            if let Some(&at) = at.get(&row.get(0)?) {
                runs[at].acts.insert((kind.name(), state.name()), row.get::<_, i64>(3)?.max(0) as u64);
            }
        }
        Ok(runs)
    }

    /// The run of this number, if there is one, and whether it undid another.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn run(&self, id: i64) -> Result<Option<Option<i64>>> {
        let found = self.database.query_row("SELECT undoes FROM runs WHERE id = ?1", [id], |row| row.get(0));
        found.optional().with_context(|| self.cannot_read())
    }

    /// Adds to figures, or sets those that are not counts.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn count(&mut self, more: &Counters, set: &Counters) -> Result<()> {
        let cannot = self.cannot_write();
        self.write(|transaction| {
            for ((name, label), value) in more {
                add(transaction, name, label, *value)?;
            }
            for ((name, label), value) in set {
                let set = "INSERT INTO counters VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET value = excluded.value";
                transaction.prepare_cached(set)?.execute(params![name, label, value])?;
            }
            Ok(())
        })
        .context(cannot)
    }

    /// All figures.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn counters(&self) -> Result<Counters> {
        let mut query = self.database.prepare("SELECT name, label, value FROM counters")?;
        let rows = query.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)))?;
        rows.collect::<rusqlite::Result<_>>().with_context(|| self.cannot_read())
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
