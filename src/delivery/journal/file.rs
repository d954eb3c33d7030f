//! The journal's file: made, opened and checked.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::delivery::tree::open_own;

/// In the file's header, so that no other program's database is taken for ours: `msjl`.
const APPLICATION: i64 = 0x6d73_6a6c;

/// The form of the tables; changes with them.
const VERSION: i64 = 1;

/// Who only looks waits so long for who writes.
const PATIENCE: Duration = Duration::from_secs(10);

const TABLES: &str = "
    CREATE TABLE runs (
        id INTEGER PRIMARY KEY AUTOINCREMENT, started INTEGER NOT NULL, ended INTEGER, undoes INTEGER,
        unsure INTEGER NOT NULL DEFAULT 0, errors INTEGER NOT NULL DEFAULT 0
    );
    CREATE TABLE acts (
        id INTEGER PRIMARY KEY AUTOINCREMENT, run INTEGER NOT NULL, kind TEXT NOT NULL, state TEXT NOT NULL,
        source BLOB NOT NULL, name BLOB NOT NULL, folder BLOB NOT NULL, base BLOB NOT NULL,
        done_key BLOB, sha BLOB, sha_before BLOB, label TEXT NOT NULL, score REAL NOT NULL, last INTEGER NOT NULL,
        undoes INTEGER, status INTEGER, detail TEXT
    );
    CREATE INDEX acts_run ON acts (run);
    CREATE INDEX acts_open ON acts (id) WHERE state = 'intended';
    CREATE TABLE done (key BLOB PRIMARY KEY, act INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE seen (maildir BLOB NOT NULL, name BLOB NOT NULL, PRIMARY KEY (maildir, name)) WITHOUT ROWID;
    CREATE TABLE counters (
        name TEXT NOT NULL, label TEXT NOT NULL, value REAL NOT NULL, PRIMARY KEY (name, label)
    ) WITHOUT ROWID;";

/// Opens the journal at `path`, and makes one of a missing or empty file, for its owner alone.
///
/// # Errors
/// When it cannot be opened, or is none of ours.
pub(super) fn open(path: &Path) -> Result<Connection> {
    let open = || {
        drop(open_own(path)?);
        let mut database = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        // No write-ahead log: the journal is one file, also on file systems that share no memory.
        database.pragma_update_and_check(None, "journal_mode", "TRUNCATE", |_| Ok(()))?;
        // What is in it is on the disk before anything is done.
        database.pragma_update(None, "synchronous", "FULL")?;
        if is_new(&database)? {
            make_tables(&mut database)?;
        }
        check(&database)?;
        anyhow::Ok(database)
    };
    open().with_context(|| format!("cannot open the journal {}", path.display()))
}

/// Opens it for reading; nothing is changed.
///
/// # Errors
/// As [`open`], and when there is none.
pub(super) fn open_to_read(path: &Path) -> Result<Connection> {
    ensure!(holds_runs(path), "there is no journal {}: nothing was sorted here yet", path.display());
    let open = |flags| {
        let database = connect(path, flags)?;
        check(&database)?;
        anyhow::Ok(database)
    };
    // What a killed process has left half written has to be put right before it can be read.
    let opened = open(OpenFlags::SQLITE_OPEN_READ_ONLY).or_else(|_| open(OpenFlags::SQLITE_OPEN_READ_WRITE));
    opened.with_context(|| format!("cannot read the journal {}", path.display()))
}

/// True where something was written.
pub(super) fn holds_runs(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.len() > 0)
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection> {
    // SQLite reads names that begin with `file:` or `:` in its own way; a whole path has no such beginning.
    let database = Connection::open_with_flags(std::path::absolute(path)?, flags)?;
    database.busy_timeout(PATIENCE)?;
    database.pragma_update(None, "trusted_schema", false)?;
    Ok(database)
}

fn check(database: &Connection) -> Result<()> {
    let header = |name: &str| database.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    match (header("application_id")?, header("user_version")?) {
        (APPLICATION, VERSION) => Ok(()),
        (APPLICATION, newer) if newer > VERSION => bail!("it was made by a newer mailsort, whose format is {newer}"),
        _ => bail!("it is a database of another program; name another file"),
    }
}

fn is_new(database: &Connection) -> rusqlite::Result<bool> {
    let tables: i64 = database.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let application: i64 = database.pragma_query_value(None, "application_id", |row| row.get(0))?;
    Ok((tables, application) == (0, 0))
}

fn make_tables(database: &mut Connection) -> rusqlite::Result<()> {
    let transaction = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if is_new(&transaction)? {
        transaction.execute_batch(TABLES)?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
    }
    transaction.commit()
}

/// The path of a file beside the journal.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    name.into()
}

/// True where a file is a journal of ours, or may become one.
pub(super) fn may_be_journal(path: &Path) -> bool {
    fs::metadata(path).map_or(true, |metadata| metadata.is_file())
}
