//! Journal entries: an operation on one message, written before it is carried out and completed with its result.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, Type, ValueRef};
use rusqlite::{Row, ToSql, Transaction, params};

use super::{Journal, counters, paths, watched};
use crate::delivery::files::{FileId, Sha};

/// What is done to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operation {
    /// Move it to another maildir.
    Move,
    /// Write a copy to a maildir.
    Copy,
    /// Hard-link it into a maildir.
    Link,
    /// Rewrite it with X-Mailsort headers; as part of an undo, without them.
    Header,
    /// Print a tag for notmuch.
    Tag,
    /// Give it to a command.
    Exec,
    /// Move it back to where it was.
    Back,
    /// Remove a copy or link.
    Remove,
}

/// Result of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EntryState {
    /// Not known yet.
    Intended,
    /// Carried out.
    Done,
    /// Failed; nothing has changed.
    Failed,
    /// Not carried out; the next run decides anew.
    Forgotten,
    /// The message was no longer there.
    Gone,
    /// Carried out, and put back by a later run.
    Undone,
}

/// Names in the database and in output.
const OPERATIONS: [(Operation, &str); 8] = [
    (Operation::Move, "move"),
    (Operation::Copy, "copy"),
    (Operation::Link, "link"),
    (Operation::Header, "header"),
    (Operation::Tag, "tag"),
    (Operation::Exec, "exec"),
    (Operation::Back, "back"),
    (Operation::Remove, "remove"),
];

const STATES: [(EntryState, &str); 6] = [
    (EntryState::Intended, "intended"),
    (EntryState::Done, "done"),
    (EntryState::Failed, "failed"),
    (EntryState::Forgotten, "forgotten"),
    (EntryState::Gone, "gone"),
    (EntryState::Undone, "undone"),
];

impl Operation {
    /// Its name.
    pub fn name(self) -> &'static str {
        OPERATIONS.iter().find(|(operation, _)| *operation == self).map_or("", |(_, name)| name)
    }
}

impl EntryState {
    /// Its name.
    pub fn name(self) -> &'static str {
        STATES.iter().find(|(state, _)| *state == self).map_or("", |(_, name)| name)
    }
}

impl ToSql for Operation {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.name().into())
    }
}

impl FromSql for Operation {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let text = value.as_str()?;
        let known = OPERATIONS.iter().find(|(_, name)| *name == text);
        known.map(|(operation, _)| *operation).ok_or(FromSqlError::InvalidType)
    }
}

impl ToSql for EntryState {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.name().into())
    }
}

impl FromSql for EntryState {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let text = value.as_str()?;
        STATES.iter().find(|(_, name)| *name == text).map(|(state, _)| *state).ok_or(FromSqlError::InvalidType)
    }
}

/// An operation on one message.
#[derive(Clone, Debug, PartialEq)]
pub struct JournalEntry {
    /// Number in the journal, which grows; 0 until it is written.
    pub id: i64,
    /// The run that it belongs to.
    pub run: i64,
    /// What is done.
    pub operation: Operation,
    /// Its result.
    pub state: EntryState,
    /// Maildir or mbox file that holds the message.
    pub source: PathBuf,
    /// Unique part of the message's name in the source; empty for an mbox file.
    pub name: Vec<u8>,
    /// Destination maildir; empty when there is none.
    pub folder: PathBuf,
    /// Name of the message in the destination, without flags.
    pub base: Vec<u8>,
    /// Idempotency key of operations that must not be repeated.
    pub key: Option<Sha>,
    /// Hash of the bytes written, of a copy.
    pub sha: Option<Sha>,
    /// Hash of the message before it was rewritten.
    pub sha_before: Option<Sha>,
    /// The label that decided; empty for none.
    pub label: String,
    /// Score of the label.
    pub score: f64,
    /// True for the message's last operation in this run, by which the message is counted.
    pub last: bool,
    /// The entry that this one undoes.
    pub undoes: Option<i64>,
    /// Exit status of a command.
    pub status: Option<i32>,
    /// Error message.
    pub detail: Option<String>,
    /// The message's file: another message may get its name.
    pub file: Option<FileId>,
}

/// Columns in the order of [`JournalEntry::read`].
const COLUMNS: &str = "id, run, kind, state, source, name, folder, base, done_key, sha, sha_before, label, score, last, undoes, status, \
     detail, device, inode";

impl JournalEntry {
    /// A new entry for an operation on a message; the rest is filled in by the planner.
    pub(in crate::delivery) fn new(operation: Operation, source: PathBuf, name: Vec<u8>) -> Self {
        Self {
            id: 0,
            run: 0,
            operation,
            state: EntryState::Intended,
            source,
            name,
            folder: PathBuf::new(),
            base: Vec::new(),
            key: None,
            sha: None,
            sha_before: None,
            label: String::new(),
            score: 0.0,
            last: true,
            undoes: None,
            status: None,
            detail: None,
            file: None,
        }
    }

    /// Reads a row. Refuses paths and names that mailsort never writes: the journal may have come with somebody else's
    /// maildir.
    fn read(row: &Row<'_>, root: &Path) -> rusqlite::Result<Self> {
        let foreign =
            |at: usize| rusqlite::Error::FromSqlConversionFailure(at, Type::Blob, "no path or name of ours".into());
        let path = |at: usize| paths::from_stored(root, &row.get::<_, Vec<u8>>(at)?).ok_or_else(|| foreign(at));
        let name =
            |at: usize| Some(row.get::<_, Vec<u8>>(at)?).filter(|name| paths::is_name(name)).ok_or_else(|| foreign(at));
        let number = |at: usize| row.get::<_, Option<i64>>(at).map(|number| number.map(|number| number as u64));
        Ok(Self {
            id: row.get(0)?,
            run: row.get(1)?,
            operation: row.get(2)?,
            state: row.get(3)?,
            source: path(4)?,
            name: name(5)?,
            folder: path(6)?,
            base: name(7)?,
            key: row.get(8)?,
            sha: row.get(9)?,
            sha_before: row.get(10)?,
            label: row.get(11)?,
            score: row.get(12)?,
            last: row.get(13)?,
            undoes: row.get(14)?,
            status: row.get(15)?,
            detail: row.get(16)?,
            file: number(17)?.zip(number(18)?),
        })
    }
}

impl Journal {
    /// Writes what is about to be done, and gives each entry its number. It is on the disk when this returns.
    ///
    /// # Errors
    /// When the journal cannot be written; then none of it is.
    pub(in crate::delivery) fn intend(&mut self, entries: &mut [JournalEntry]) -> Result<()> {
        let (cannot, root) = (self.cannot_write(), self.root.clone());
        let written = self.write(|transaction| {
            let mut add = transaction.prepare_cached(
                "INSERT INTO acts (run, kind, state, source, name, folder, base, done_key, sha, sha_before, label, score,
                 last, undoes, device, inode)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
            )?;
            for entry in entries {
                let (source, folder) = (paths::stored(&root, &entry.source), paths::stored(&root, &entry.folder));
                let (device, inode) = entry.file.map(|(device, inode)| (device as i64, inode as i64)).unzip();
                #[rustfmt::skip]
                let values = params![
                    entry.run, entry.operation, entry.state, source, entry.name, folder, entry.base, entry.key,
                    entry.sha, entry.sha_before, entry.label, entry.score, entry.last, entry.undoes, device, inode
                ];
                entry.id = add.insert(values)?;
            }
            Ok(())
        });
        written.context(cannot)
    }

    /// Writes the results of operations, and counts those that were carried out.
    ///
    /// # Errors
    /// When the journal cannot be written; then none of it is.
    pub(in crate::delivery) fn conclude(&mut self, entries: &[JournalEntry]) -> Result<()> {
        let (cannot, root) = (self.cannot_write(), self.root.clone());
        let written =
            self.write(|transaction| entries.iter().try_for_each(|entry| conclude(transaction, &root, entry)));
        written.context(cannot)
    }

    /// Marks operations as undone and deletes their idempotency keys, so that the next run repeats them.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub(in crate::delivery) fn forget(&mut self, entries: &[JournalEntry]) -> Result<()> {
        let cannot = self.cannot_write();
        let written = self.write(|transaction| {
            for entry in entries {
                transaction.execute("UPDATE acts SET state = 'undone' WHERE id = ?1", [entry.id])?;
                transaction.execute("DELETE FROM done WHERE act = ?1", [entry.id])?;
            }
            Ok(())
        });
        written.context(cannot)
    }

    /// Entries without a result: a run was stopped.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub(in crate::delivery) fn unfinished(&self) -> Result<Vec<JournalEntry>> {
        self.entries("WHERE state = 'intended' ORDER BY id", [])
    }

    /// What a run has done that is not undone, newest first.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub(in crate::delivery) fn done_by(&self, run: i64) -> Result<Vec<JournalEntry>> {
        self.entries("WHERE run = ?1 AND state = 'done' ORDER BY id DESC", [run])
    }

    /// True when the operation with this idempotency key was carried out before.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub(in crate::delivery) fn is_done(&self, key: &Sha) -> Result<bool> {
        let mut query = self.database.prepare_cached("SELECT 1 FROM done WHERE key = ?1")?;
        query.exists([key]).with_context(|| self.cannot_read())
    }

    fn entries(&self, which: &str, values: impl rusqlite::Params) -> Result<Vec<JournalEntry>> {
        let read = || {
            let mut query = self.database.prepare(&format!("SELECT {COLUMNS} FROM acts {which}"))?;
            let rows = query.query_map(values, |row| JournalEntry::read(row, &self.root))?;
            rows.collect::<rusqlite::Result<_>>()
        };
        read().with_context(|| format!("{}: if it came from elsewhere, move it away", self.cannot_read()))
    }
}

fn conclude(transaction: &Transaction<'_>, root: &Path, entry: &JournalEntry) -> rusqlite::Result<()> {
    let update = "UPDATE acts SET state = ?2, sha = ?3, status = ?4, detail = ?5 WHERE id = ?1 AND state = 'intended'";
    let values = params![entry.id, entry.state, entry.sha, entry.status, entry.detail];
    // An entry that has its result, such as a command's, was counted when it got it.
    if transaction.prepare_cached(update)?.execute(values)? == 0 {
        return Ok(());
    }
    if let (Some(undone), EntryState::Done | EntryState::Gone) = (entry.undoes, entry.state) {
        let state = if entry.state == EntryState::Done { EntryState::Undone } else { EntryState::Gone };
        transaction.prepare_cached("UPDATE acts SET state = ?2 WHERE id = ?1")?.execute(params![undone, state])?;
        transaction.prepare_cached("DELETE FROM done WHERE act = ?1")?.execute([undone])?;
    }
    if entry.state != EntryState::Done {
        return Ok(());
    }
    if matches!(entry.operation, Operation::Back | Operation::Header) {
        watched::add_own(transaction, &paths::stored(root, &entry.folder), &entry.base)?;
    }
    if let Some(key) = entry.key {
        let done = "INSERT INTO done VALUES (?1, ?2) ON CONFLICT DO NOTHING";
        transaction.prepare_cached(done)?.execute(params![key, entry.id])?;
    }
    counters::add(transaction, "mailsort_actions_total", entry.operation.name(), 1.0)?;
    if entry.undoes.is_none() && entry.last && !entry.label.is_empty() {
        counters::add(transaction, "mailsort_mails_total", &entry.label, 1.0)?;
    }
    Ok(())
}
