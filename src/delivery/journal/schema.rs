//! The journal's file and tables: created, opened, checked, and bound to one maildir tree.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Row, Transaction, TransactionBehavior, params};

use crate::delivery::files::open_private;

/// `application_id` in the file's header, `msjl`: tells a journal from other programs' databases.
const APPLICATION: i64 = 0x6d73_6a6c;

/// Version of the tables, in `user_version`.
const VERSION: i64 = 1;

/// How long a connection waits for another one that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

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

/// Opens the journal at `path` for the tree at `root`. Creates a missing file, readable by its owner only, and the
/// tables of an empty one.
pub(super) fn open(path: &Path, root: &Path) -> Result<Connection> {
    let open = || {
        ensure!(!path.is_symlink(), "it is a link; name the file that it leads to");
        drop(open_private(path)?);
        if holds_runs(path) {
            // Another program's database must not be changed, not even by opening it for writing.
            drop(read(path)?);
        }
        let mut database = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        // No write-ahead log: it needs shared memory, which network file systems lack.
        database.pragma_update_and_check(None, "journal_mode", "TRUNCATE", |_| Ok(()))?;
        // An entry must be on the disk before its operation is carried out.
        database.pragma_update(None, "synchronous", "FULL")?;
        if is_new(&database)? {
            create_tables(&mut database)?;
        }
        check(&database)?;
        bind(&mut database, root)?;
        anyhow::Ok(database)
    };
    open().map_err(|error| with_advice(error, path))
}

/// Binds the journal to the tree at `root`. A journal that was copied along with a tree is taken over, and its entries
/// about places outside are dropped.
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
        // The number of a device may change when the system restarts.
        is_own = its_inode == inode && (its_device == device || elsewhere == root);
        ensure!(
            is_own || !is_there || elsewhere == root,
            "it belongs to the tree {}; name another --journal, or remove it if it was copied along with the tree",
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

/// True for an error that goes away when there is room on the disk.
pub(super) fn is_full(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let code = cause.downcast_ref::<rusqlite::Error>().and_then(rusqlite::Error::sqlite_error_code);
        let kind = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        code == Some(ErrorCode::DiskFull)
            || matches!(kind, Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
    })
}

/// True when the file or its folder was renamed.
pub(super) fn has_moved(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let failure = cause.downcast_ref::<rusqlite::Error>().and_then(rusqlite::Error::sqlite_error);
        let kind = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        failure.is_some_and(|failure| {
            failure.extended_code == rusqlite::ffi::SQLITE_READONLY_DBMOVED || failure.code == ErrorCode::CannotOpen
        }) || kind == Some(io::ErrorKind::NotFound)
    })
}

/// Root of the tree that the journal at `path` belongs to.
pub(super) fn root(path: &Path) -> Result<PathBuf> {
    let root = open_to_read(path)?.query_row("SELECT root FROM tree", [], |row| row.get::<_, Vec<u8>>(0));
    root.map(|root| OsString::from_vec(root).into())
        .with_context(|| format!("cannot read the journal {}", path.display()))
}

fn with_advice(error: anyhow::Error, path: &Path) -> anyhow::Error {
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

/// Opens an existing journal read-only.
pub(super) fn open_to_read(path: &Path) -> Result<Connection> {
    ensure!(holds_runs(path), "there is no journal {}: nothing was sorted here yet", path.display());
    read(path).map_err(|error| with_advice(error, path))
}

fn read(path: &Path) -> Result<Connection> {
    let open = |flags| {
        let database = connect(path, flags)?;
        check(&database)?;
        anyhow::Ok(database)
    };
    // After a crash SQLite must roll back the transaction in hand, which takes write access.
    open(OpenFlags::SQLITE_OPEN_READ_ONLY).or_else(|_| open(OpenFlags::SQLITE_OPEN_READ_WRITE))
}

/// True when the file is not empty.
pub(super) fn holds_runs(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.len() > 0)
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection> {
    // SQLite gives a meaning to names that begin with `file:` or `:`; an absolute path never does.
    let database = Connection::open_with_flags(std::path::absolute(path)?, flags)?;
    database.busy_timeout(BUSY_TIMEOUT)?;
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

fn create_tables(database: &mut Connection) -> rusqlite::Result<()> {
    let transaction = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if is_new(&transaction)? {
        transaction.execute_batch(TABLES)?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
    }
    transaction.commit()
}

/// Path of a file next to the journal.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    name.into()
}

/// True when `path` is a regular file or does not exist yet.
pub(super) fn may_be_journal(path: &Path) -> bool {
    fs::metadata(path).map_or(true, |metadata| metadata.is_file())
}
