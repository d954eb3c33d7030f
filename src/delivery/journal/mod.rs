//! What was about to be done with mails, and what came of it, in a SQLite file.

mod act;
mod file;
mod seen;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::files::Sha;
use act::COLUMNS;
pub use act::{Act, Kind, State};

/// The name of a tree's journal.
const NAME: &str = "mailsort-journal.sqlite";

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

    /// Opens or makes the journal at `path`.
    ///
    /// # Errors
    /// When it cannot be opened, or is no journal.
    pub fn open(path: &Path) -> Result<Self> {
        ensure!(file::may_be_journal(path), "the journal {} is no file", path.display());
        Ok(Self { path: path.to_path_buf(), database: file::open(path)? })
    }

    /// Opens one that must be there, for reading.
    ///
    /// # Errors
    /// As [`Journal::open`], and when there is none.
    pub fn open_to_read(path: &Path) -> Result<Self> {
        Ok(Self { path: path.to_path_buf(), database: file::open_to_read(path)? })
    }

    /// True where there is one that runs have written to.
    pub fn is_at(path: &Path) -> bool {
        file::holds_runs(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Begins a run.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn begin(&self, undoes: Option<i64>) -> Result<i64> {
        let added = self.database.execute("INSERT INTO runs (started, undoes) VALUES (?1, ?2)", params![now(), undoes]);
        added.with_context(|| self.cannot_write())?;
        Ok(self.database.last_insert_rowid())
    }

    /// Ends a run, or a part of it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn end(&self, run: i64, unsure: u64, errors: u64) -> Result<()> {
        let ended = self.database.execute(
            "UPDATE runs SET ended = ?2, unsure = unsure + ?3, errors = errors + ?4 WHERE id = ?1",
            params![run, now(), unsure as i64, errors as i64],
        );
        ended.map(drop).with_context(|| self.cannot_write())
    }

    /// Writes down what is about to be done, and gives each act its number. When this returns it is on the disk.
    ///
    /// # Errors
    /// When it cannot be written; then nothing of it is.
    pub(super) fn intend(&mut self, acts: &mut [Act]) -> Result<()> {
        let cannot = self.cannot_write();
        self.write(|transaction| {
            let mut add = transaction.prepare_cached(
                "INSERT INTO acts (run, kind, state, source, name, folder, base, done_key, sha, sha_before,
                 label, score, last, undoes)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
            )?;
            for act in acts {
                let (source, folder) = (Act::bytes(&act.source), Act::bytes(&act.folder));
                act.id = add.insert(params![
                    act.run,
                    act.kind,
                    act.state,
                    source,
                    act.name,
                    folder,
                    act.base,
                    act.key,
                    act.sha,
                    act.sha_before,
                    act.label,
                    act.score,
                    act.last,
                    act.undoes
                ])?;
            }
            Ok(())
        })
        .context(cannot)
    }

    /// Writes down what came of acts, and counts what was done.
    ///
    /// # Errors
    /// When it cannot be written; then nothing of it is.
    pub(super) fn conclude(&mut self, acts: &[Act]) -> Result<()> {
        let cannot = self.cannot_write();
        self.write(|transaction| {
            for act in acts {
                conclude(transaction, act)?;
            }
            Ok(())
        })
        .context(cannot)
    }

    fn write(&mut self, write: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<()>) -> rusqlite::Result<()> {
        let transaction = self.database.transaction()?;
        write(&transaction)?;
        transaction.commit()
    }

    /// What nobody knows the end of.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub(super) fn unfinished(&self) -> Result<Vec<Act>> {
        self.acts("WHERE state = 'intended' ORDER BY id", [])
    }

    /// What a run has done that is not undone, the newest first.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub(super) fn done_by(&self, run: i64) -> Result<Vec<Act>> {
        self.acts("WHERE run = ?1 AND state = 'done' ORDER BY id DESC", [run])
    }

    fn acts(&self, which: &str, values: impl rusqlite::Params) -> Result<Vec<Act>> {
        let mut query = self.database.prepare(&format!("SELECT {COLUMNS} FROM acts {which}"))?;
        let rows = query.query_map(values, Act::read)?;
        rows.collect::<rusqlite::Result<_>>().with_context(|| self.cannot_read())
    }

    /// True where the act of this key was done before.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub(super) fn is_done(&self, key: &Sha) -> Result<bool> {
        let mut query = self.database.prepare_cached("SELECT 1 FROM done WHERE key = ?1")?;
        query.exists([key]).with_context(|| self.cannot_read())
    }

    /// The last run that did something which is not undone.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn last_run(&self) -> Result<Option<i64>> {
        let last = "SELECT max(runs.id) FROM runs JOIN acts ON acts.run = runs.id
                    WHERE runs.undoes IS NULL AND acts.state = 'done' AND acts.kind IN ('move', 'copy', 'link', 'header')";
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

fn conclude(transaction: &Transaction<'_>, act: &Act) -> rusqlite::Result<()> {
    let update = "UPDATE acts SET state = ?2, sha = ?3, status = ?4, detail = ?5 WHERE id = ?1";
    transaction.prepare_cached(update)?.execute(params![act.id, act.state, act.sha, act.status, act.detail])?;
    if act.state != State::Done {
        return Ok(());
    }
    if matches!(act.kind, Kind::Back | Kind::Header) {
        seen::see_own(transaction, act)?;
    }
    if let Some(key) = act.key {
        let done = "INSERT INTO done VALUES (?1, ?2) ON CONFLICT DO NOTHING";
        transaction.prepare_cached(done)?.execute(params![key, act.id])?;
    }
    add(transaction, "mailsort_actions_total", act.kind.name(), 1.0)?;
    match act.undoes {
        None if act.last && !act.label.is_empty() => add(transaction, "mailsort_mails_total", &act.label, 1.0),
        None => Ok(()),
        Some(undone) => {
            transaction.prepare_cached("UPDATE acts SET state = 'undone' WHERE id = ?1")?.execute([undone])?;
            transaction.prepare_cached("DELETE FROM done WHERE act = ?1")?.execute([undone])?;
            Ok(())
        }
    }
}

fn add(transaction: &Transaction<'_>, name: &str, label: &str, more: f64) -> rusqlite::Result<()> {
    let add = "INSERT INTO counters VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET value = value + excluded.value";
    transaction.prepare_cached(add)?.execute(params![name, label, more]).map(drop)
}

/// Seconds since 1970.
fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| i64::try_from(time.as_secs()).unwrap_or(i64::MAX))
}
