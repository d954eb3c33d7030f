//! The journal's file: made, opened and checked.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Row, Transaction, TransactionBehavior, params};

use crate::delivery::tree::open_own;

/// In the file's header, so that no other program's database is taken for ours: `msjl`.
const APPLICATION: i64 = 0x6d73_6a6c;

/// The form of the tables; changes with them.
const VERSION: i64 = 1;

/// Who only looks waits so long for who writes.
const PATIENCE: Duration = Duration::from_secs(10);

const TABLES: &str = "
    CREATE TABLE tree (root BLOB NOT NULL, device INTEGER NOT NULL, inode INTEGER NOT NULL);
    CREATE TABLE runs (
        id INTEGER PRIMARY KEY AUTOINCREMENT, started INTEGER NOT NULL, ended INTEGER, undoes INTEGER,
        unsure INTEGER NOT NULL DEFAULT 0, errors INTEGER NOT NULL DEFAULT 0
    );
    CREATE TABLE acts (
        id INTEGER PRIMARY KEY AUTOINCREMENT, run INTEGER NOT NULL, kind TEXT NOT NULL, state TEXT NOT NULL,
        source BLOB NOT NULL, name BLOB NOT NULL, folder BLOB NOT NULL, base BLOB NOT NULL,
        done_key BLOB, sha BLOB, sha_before BLOB, label TEXT NOT NULL, score REAL NOT NULL, last INTEGER NOT NULL,
        undoes INTEGER, status INTEGER, detail TEXT, device INTEGER, inode INTEGER
    );
    CREATE INDEX acts_run ON acts (run);
    CREATE INDEX acts_open ON acts (id) WHERE state = 'intended';
    CREATE TABLE done (key BLOB PRIMARY KEY, act INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE seen (maildir BLOB NOT NULL, name BLOB NOT NULL, PRIMARY KEY (maildir, name)) WITHOUT ROWID;
    CREATE TABLE counters (
        name TEXT NOT NULL, label TEXT NOT NULL, value REAL NOT NULL, PRIMARY KEY (name, label)
    ) WITHOUT ROWID;";

/// Opens the journal at `path` for the tree at `root`, and makes one of a missing or empty file, for its owner alone.
///
/// # Errors
/// When it cannot be opened, or is none of ours, or of another tree.
pub(super) fn open(path: &Path, root: &Path) -> Result<Connection> {
    let open = || {
        ensure!(!path.is_symlink(), "it is a link; name the file that it leads to");
        drop(open_own(path)?);
        if holds_runs(path) {
            // A database of others is looked at and no more.
            drop(read(path)?);
        }
        let mut database = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        // No write-ahead log: the journal is one file, also on file systems that share no memory.
        database.pragma_update_and_check(None, "journal_mode", "TRUNCATE", |_| Ok(()))?;
        // What is in it is on the disk before anything is done.
        database.pragma_update(None, "synchronous", "FULL")?;
        if is_new(&database)? {
            make_tables(&mut database)?;
        }
        check(&database)?;
        bind(&mut database, root)?;
        anyhow::Ok(database)
    };
    open().map_err(|error| advised(error, path))
}

/// Sees to it that the journal is of the tree at `root`. One that came along with a tree from elsewhere is taken over, and
/// forgets what it says of places outside.
fn bind(database: &mut Connection, root: &Path) -> Result<()> {
    let now = root.metadata().with_context(|| format!("cannot use the folder {}", root.display()))?;
    let (device, inode) = (now.dev() as i64, now.ino() as i64);
    let written = "SELECT root, device, inode FROM tree";
    let row = |row: &Row<'_>| Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?));
    let before = database.query_row(written, [], row).optional()?;
    let bytes = root.as_os_str().as_bytes();
    if before.as_ref().is_some_and(|before| (&before.0[..], before.1, before.2) == (bytes, device, inode)) {
        return Ok(());
    }
    let transaction = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut is_own = false;
    if let Some((before, its_device, its_inode)) = before {
        let elsewhere = PathBuf::from(OsString::from_vec(before));
        let is_there = elsewhere.metadata().is_ok_and(|found| found.ino() as i64 == its_inode);
        // A device may have another number after each start of the system.
        is_own = its_inode == inode && (its_device == device || elsewhere == root);
        ensure!(
            is_own || !is_there || elsewhere == root,
            "it is of the tree {}; name another --journal, or remove it if it was copied along with the tree",
            elsewhere.display()
        );
    }
    if !is_own {
        forget_elsewhere(&transaction)?;
    }
    transaction.execute("DELETE FROM tree", [])?;
    transaction.execute("INSERT INTO tree VALUES (?1, ?2, ?3)", params![bytes, device, inode])?;
    transaction.commit().map_err(Into::into)
}

fn forget_elsewhere(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let outside = "(substr(source, 1, 1) = x'2f' OR substr(folder, 1, 1) = x'2f')";
    transaction.execute(&format!("UPDATE acts SET state = 'forgotten' WHERE state = 'intended' AND {outside}"), [])?;
    transaction.execute(&format!("UPDATE acts SET state = 'gone' WHERE state = 'done' AND {outside}"), [])?;
    Ok(())
}

/// True for what ends when somebody has made room.
pub(super) fn is_full(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let code = cause.downcast_ref::<rusqlite::Error>().and_then(rusqlite::Error::sqlite_error_code);
        let kind = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        code == Some(ErrorCode::DiskFull)
            || matches!(kind, Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
    })
}

/// True where the file or its folder has another name now.
pub(super) fn has_moved(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let failure = cause.downcast_ref::<rusqlite::Error>().and_then(rusqlite::Error::sqlite_error);
        let kind = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        failure.is_some_and(|failure| {
            failure.extended_code == rusqlite::ffi::SQLITE_READONLY_DBMOVED || failure.code == ErrorCode::CannotOpen
        }) || kind == Some(io::ErrorKind::NotFound)
    })
}

/// The root of the tree that a journal is of.
///
/// # Errors
/// When the journal cannot be read.
pub(super) fn root(path: &Path) -> Result<PathBuf> {
    let root = open_to_read(path)?.query_row("SELECT root FROM tree", [], |row| row.get::<_, Vec<u8>>(0));
    root.map(|root| OsString::from_vec(root).into())
        .with_context(|| format!("cannot read the journal {}", path.display()))
}

fn advised(error: anyhow::Error, path: &Path) -> anyhow::Error {
    let is_damaged = error.downcast_ref::<rusqlite::Error>().and_then(rusqlite::Error::sqlite_error_code);
    let advice = match is_damaged {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            "; it is damaged or no journal: move it away. All mail is where it is, and what was copied, tagged or given \
             to a command may be so again"
        }
        _ => "",
    };
    error.context(format!("cannot open the journal {}{advice}", path.display()))
}

/// Opens it for reading; nothing is changed.
///
/// # Errors
/// As [`open`], and when there is none.
pub(super) fn open_to_read(path: &Path) -> Result<Connection> {
    ensure!(holds_runs(path), "there is no journal {}: nothing was sorted here yet", path.display());
    read(path).map_err(|error| advised(error, path))
}

fn read(path: &Path) -> Result<Connection> {
    let open = |flags| {
        let database = connect(path, flags)?;
        check(&database)?;
        anyhow::Ok(database)
    };
    // What a killed process has left half written has to be put right before it can be read.
    open(OpenFlags::SQLITE_OPEN_READ_ONLY).or_else(|_| open(OpenFlags::SQLITE_OPEN_READ_WRITE))
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
