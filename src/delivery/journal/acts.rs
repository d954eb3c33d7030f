//! Acts in the journal: written before they are done, and what came of them afterwards.

use std::path::Path;

use anyhow::{Context, Result};
use rusqlite::{Transaction, params};

use super::act::{Act, COLUMNS, Kind, State};
use super::place::stored;
use super::{Journal, seen};

impl Journal {
    /// Writes down what is about to be done, and gives each act its number. When this returns it is on the disk.
    ///
    /// # Errors
    /// When it cannot be written; then nothing of it is.
    pub(in crate::delivery) fn intend(&mut self, acts: &mut [Act]) -> Result<()> {
        let (cannot, root) = (self.cannot_write(), self.root.clone());
        let written = self.write(|transaction| {
            let mut add = transaction.prepare_cached(
                "INSERT INTO acts (run, kind, state, source, name, folder, base, done_key, sha, sha_before, label, score,
                 last, undoes, device, inode)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
            )?;
            for act in acts {
                let (source, folder) = (stored(&root, &act.source), stored(&root, &act.folder));
                let (device, inode) = act.file.map(|(device, inode)| (device as i64, inode as i64)).unzip();
                #[rustfmt::skip]
                let values = params![
                    act.run, act.kind, act.state, source, act.name, folder, act.base, act.key, act.sha, act.sha_before,
                    act.label, act.score, act.last, act.undoes, device, inode
                ];
                act.id = add.insert(values)?;
            }
            Ok(())
        });
        written.context(cannot)
    }

    /// Writes down what came of acts, and counts what was done.
    ///
    /// # Errors
    /// When it cannot be written; then nothing of it is.
    pub(in crate::delivery) fn conclude(&mut self, acts: &[Act]) -> Result<()> {
        let (cannot, root) = (self.cannot_write(), self.root.clone());
        let written = self.write(|transaction| acts.iter().try_for_each(|act| conclude(transaction, &root, act)));
        written.context(cannot)
    }

    /// Forgets that acts were done, so that they are done again.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(in crate::delivery) fn forget(&mut self, acts: &[Act]) -> Result<()> {
        let cannot = self.cannot_write();
        let written = self.write(|transaction| {
            for act in acts {
                transaction.execute("UPDATE acts SET state = 'undone' WHERE id = ?1", [act.id])?;
                transaction.execute("DELETE FROM done WHERE act = ?1", [act.id])?;
            }
            Ok(())
        });
        written.context(cannot)
    }

    /// What nobody knows the end of.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub(in crate::delivery) fn unfinished(&self) -> Result<Vec<Act>> {
        self.acts("WHERE state = 'intended' ORDER BY id", [])
    }

    /// What a run has done that is not undone, the newest first.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub(in crate::delivery) fn done_by(&self, run: i64) -> Result<Vec<Act>> {
        self.acts("WHERE run = ?1 AND state = 'done' ORDER BY id DESC", [run])
    }

    fn acts(&self, which: &str, values: impl rusqlite::Params) -> Result<Vec<Act>> {
        let read = || {
            let mut query = self.database.prepare(&format!("SELECT {COLUMNS} FROM acts {which}"))?;
            let rows = query.query_map(values, |row| Act::read(row, &self.root))?;
            rows.collect::<rusqlite::Result<_>>()
        };
        read().with_context(|| format!("{}: if it is not from here, move it away", self.cannot_read()))
    }
}

fn conclude(transaction: &Transaction<'_>, root: &Path, act: &Act) -> rusqlite::Result<()> {
    let update = "UPDATE acts SET state = ?2, sha = ?3, status = ?4, detail = ?5 WHERE id = ?1 AND state = 'intended'";
    let values = params![act.id, act.state, act.sha, act.status, act.detail];
    // What is known already, as of a command, is counted already.
    if transaction.prepare_cached(update)?.execute(values)? == 0 {
        return Ok(());
    }
    if let (Some(undone), State::Done | State::Gone) = (act.undoes, act.state) {
        let state = if act.state == State::Done { State::Undone } else { State::Gone };
        transaction.prepare_cached("UPDATE acts SET state = ?2 WHERE id = ?1")?.execute(params![undone, state])?;
        transaction.prepare_cached("DELETE FROM done WHERE act = ?1")?.execute([undone])?;
    }
    if act.state != State::Done {
        return Ok(());
    }
    if matches!(act.kind, Kind::Back | Kind::Header) {
        seen::see_own(transaction, root, act)?;
    }
    if let Some(key) = act.key {
        let done = "INSERT INTO done VALUES (?1, ?2) ON CONFLICT DO NOTHING";
        transaction.prepare_cached(done)?.execute(params![key, act.id])?;
    }
    add(transaction, "mailsort_actions_total", act.kind.name(), 1.0)?;
    if act.undoes.is_none() && act.last && !act.label.is_empty() {
        add(transaction, "mailsort_mails_total", &act.label, 1.0)?;
    }
    Ok(())
}

/// Adds to a figure.
///
/// # Errors
/// When it cannot be written.
pub(super) fn add(transaction: &Transaction<'_>, name: &str, label: &str, more: f64) -> rusqlite::Result<()> {
    let add = "INSERT INTO counters VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET value = value + excluded.value";
    transaction.prepare_cached(add)?.execute(params![name, label, more]).map(drop)
}
