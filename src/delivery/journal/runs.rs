//! Runs: the operations that are undone together.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use rusqlite::{OptionalExtension, params};

use super::{EntryState, Journal, Operation, now};

/// A run can be undone for half a year.
const KEPT_SECONDS: i64 = 183 * 24 * 3600;

/// One run and what it did.
#[derive(Clone, Debug, PartialEq)]
pub struct RunRecord {
    /// Its number.
    pub id: i64,
    /// Start time, in RFC 3339.
    pub started: String,
    /// End time; `None` while the run is unfinished.
    pub ended: Option<String>,
    /// The run that this one undid.
    pub undoes: Option<i64>,
    /// Messages that no label set was sure of.
    pub unsure: u64,
    /// Messages with an error.
    pub errors: u64,
    /// Number of entries by the names of operation and state.
    pub entries: BTreeMap<(&'static str, &'static str), u64>,
}

impl Journal {
    /// Begins a run. Deletes runs that are too old to be undone, but not their idempotency keys.
    ///
    /// # Errors
    /// When the journal cannot be written.
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

    /// Ends a run, or a part of it. Deletes a run that did nothing and returns false: a run that fails every minute
    /// must not fill the journal.
    ///
    /// # Errors
    /// When the journal cannot be written.
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

    /// True when another run has undone this one.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn is_undone(&self, run: i64) -> Result<bool> {
        let mut query = self.database.prepare_cached("SELECT 1 FROM runs WHERE undoes = ?1")?;
        query.exists([run]).with_context(|| self.cannot_read())
    }

    /// The last run with something to undo, unless an undo of it has already run to its end.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn last_run(&self) -> Result<Option<i64>> {
        let last = "SELECT max(runs.id) FROM runs JOIN acts ON acts.run = runs.id
                    WHERE runs.undoes IS NULL AND acts.state = 'done'
                        AND NOT EXISTS (SELECT 1 FROM runs AS undos WHERE undos.undoes = runs.id AND undos.ended NOT NULL)";
        self.database.query_row(last, [], |row| row.get(0)).with_context(|| self.cannot_read())
    }

    /// All runs, oldest first.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn runs(&self) -> Result<Vec<RunRecord>> {
        let mut query = self.database.prepare(
            "SELECT id, strftime('%Y-%m-%dT%H:%M:%SZ', started, 'unixepoch'),
                    strftime('%Y-%m-%dT%H:%M:%SZ', ended, 'unixepoch'), undoes, unsure, errors FROM runs ORDER BY id",
        )?;
        let row = |row: &rusqlite::Row<'_>| {
            Ok(RunRecord {
                id: row.get(0)?,
                started: row.get(1)?,
                ended: row.get(2)?,
                undoes: row.get(3)?,
                unsure: row.get::<_, i64>(4)?.max(0) as u64,
                errors: row.get::<_, i64>(5)?.max(0) as u64,
                entries: BTreeMap::new(),
            })
        };
        let mut runs: Vec<RunRecord> = query.query_map([], row)?.collect::<rusqlite::Result<_>>()?;
        let at: BTreeMap<i64, usize> = runs.iter().enumerate().map(|(at, run)| (run.id, at)).collect();
        let mut query = self.database.prepare("SELECT run, kind, state, count(*) FROM acts GROUP BY 1, 2, 3")?;
        let mut counts = query.query([])?;
        while let Some(row) = counts.next()? {
            let (operation, state): (Operation, EntryState) = (row.get(1)?, row.get(2)?);
            if let Some(&at) = at.get(&row.get(0)?) {
                runs[at].entries.insert((operation.name(), state.name()), row.get::<_, i64>(3)?.max(0) as u64);
            }
        }
        Ok(runs)
    }

    /// The run with this number, if there is one: the run that it undid, if any.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn run(&self, id: i64) -> Result<Option<Option<i64>>> {
        let found = self.database.query_row("SELECT undoes FROM runs WHERE id = ?1", [id], |row| row.get(0));
        found.optional().with_context(|| self.cannot_read())
    }
}
