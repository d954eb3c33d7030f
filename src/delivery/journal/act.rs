//! What is done with one mail, as the journal keeps it.

use std::path::{Path, PathBuf};

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, Type, ValueRef};
use rusqlite::{Row, ToSql};

use super::place;
use crate::delivery::files::Sha;

/// Kinds of acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A message goes to another maildir.
    Move,
    /// A message is written to a maildir.
    Copy,
    /// A message gets another name in a maildir.
    Link,
    /// A message is written anew with headers of ours, or without them where it undoes that.
    Header,
    /// notmuch is told of it.
    Tag,
    /// A command gets it.
    Exec,
    /// A message goes back to where it was.
    Back,
    /// A copy or link is taken away again.
    Remove,
}

/// What came of an act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Nobody knows yet.
    Intended,
    /// It is done.
    Done,
    /// It was tried in vain, and nothing has changed.
    Failed,
    /// It was not done, and is decided anew.
    Forgotten,
    /// The mail was no longer there.
    Gone,
    /// It was done, and put back by a later run.
    Undone,
}

const KINDS: [(Kind, &str); 8] = [
    (Kind::Move, "move"),
    (Kind::Copy, "copy"),
    (Kind::Link, "link"),
    (Kind::Header, "header"),
    (Kind::Tag, "tag"),
    (Kind::Exec, "exec"),
    (Kind::Back, "back"),
    (Kind::Remove, "remove"),
];

const STATES: [(State, &str); 6] = [
    (State::Intended, "intended"),
    (State::Done, "done"),
    (State::Failed, "failed"),
    (State::Forgotten, "forgotten"),
    (State::Gone, "gone"),
    (State::Undone, "undone"),
];

impl Kind {
    /// Its name.
    pub fn name(self) -> &'static str {
        KINDS.iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }
}

impl State {
    /// Its name.
    pub fn name(self) -> &'static str {
        STATES.iter().find(|(state, _)| *state == self).map_or("", |(_, name)| name)
    }
}

impl ToSql for Kind {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.name().into())
    }
}

impl FromSql for Kind {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let text = value.as_str()?;
        KINDS.iter().find(|(_, name)| *name == text).map(|(kind, _)| *kind).ok_or(FromSqlError::InvalidType)
    }
}

impl ToSql for State {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.name().into())
    }
}

impl FromSql for State {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let text = value.as_str()?;
        STATES.iter().find(|(_, name)| *name == text).map(|(state, _)| *state).ok_or(FromSqlError::InvalidType)
    }
}

/// One act.
#[derive(Clone, Debug, PartialEq)]
pub struct Act {
    /// Its number, which grows; 0 until the journal has given one.
    pub id: i64,
    /// The run that did it.
    pub run: i64,
    /// What it is.
    pub kind: Kind,
    /// What came of it.
    pub state: State,
    /// The maildir or mailbox that the mail is in.
    pub source: PathBuf,
    /// The unique part of the message's name there; empty in a mailbox.
    pub name: Vec<u8>,
    /// The maildir that it goes to; empty where it goes to none.
    pub folder: PathBuf,
    /// What its name begins with there: all but the flags.
    pub base: Vec<u8>,
    /// By what it is known that it was done, where it is not to be done again.
    pub key: Option<Sha>,
    /// Of a copy, the hash of its bytes.
    pub sha: Option<Sha>,
    /// And of the bytes before, where they were others.
    pub sha_before: Option<Sha>,
    /// The label by which it was decided; empty for none.
    pub label: String,
    /// The label's score.
    pub score: f64,
    /// True for the last that is done with the mail, by which it is counted.
    pub last: bool,
    /// The act that this one undoes.
    pub undoes: Option<i64>,
    /// The exit status of a command.
    pub status: Option<i32>,
    /// Why it failed.
    pub detail: Option<String>,
    /// The file itself, by device and number, for another may get its name.
    pub file: Option<FileId>,
}

/// A file by its device and its number there.
pub type FileId = (u64, u64);

/// The columns of an act, in the order of [`Act::read`].
pub(super) const COLUMNS: &str = "id, run, kind, state, source, name, folder, base, done_key, sha, sha_before, label, score, last, undoes, status, \
     detail, device, inode";

impl Act {
    /// # Errors
    /// When the row holds what we never write.
    pub(super) fn read(row: &Row<'_>, root: &Path) -> rusqlite::Result<Self> {
        let never =
            |at: usize| rusqlite::Error::FromSqlConversionFailure(at, Type::Blob, "no path or name of ours".into());
        let path = |at: usize| place::read(root, &row.get::<_, Vec<u8>>(at)?).ok_or_else(|| never(at));
        let name =
            |at: usize| Some(row.get::<_, Vec<u8>>(at)?).filter(|name| place::is_name(name)).ok_or_else(|| never(at));
        let number = |at: usize| row.get::<_, Option<i64>>(at).map(|number| number.map(|number| number as u64));
        Ok(Self {
            id: row.get(0)?,
            run: row.get(1)?,
            kind: row.get(2)?,
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

    /// Nothing is known of it yet but what it is and of which mail.
    pub(in crate::delivery) fn new(kind: Kind, source: PathBuf, name: Vec<u8>) -> Self {
        Self {
            id: 0,
            run: 0,
            kind,
            state: State::Intended,
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
}
