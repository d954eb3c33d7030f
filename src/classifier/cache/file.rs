//! Creates, opens and checks the file, and explains its errors.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Error, Result, anyhow, bail};
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use super::key::Salt;
use crate::platform;

/// SQLite's `application_id`, which tells our databases from others: `msrt`.
const APPLICATION: i64 = 0x6d73_7274;

/// Version of the schema, SQLite's `user_version`.
const VERSION: i64 = 1;

/// Time to wait for another process. Compacting a large file takes a while.
const PATIENCE: Duration = Duration::from_secs(30);

/// `vectors` has row ids, because a table WITHOUT ROWID would put most of each long value into overflow pages.
const TABLES: &str = "
    CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE models (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL, revision TEXT NOT NULL, dtype TEXT NOT NULL,
        UNIQUE (name, revision, dtype)
    );
    CREATE TABLE scores (
        key BLOB PRIMARY KEY, used INTEGER NOT NULL, model INTEGER NOT NULL,
        tokens INTEGER NOT NULL, truncated INTEGER NOT NULL, value BLOB NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE vectors (
        key BLOB PRIMARY KEY, used INTEGER NOT NULL, model INTEGER NOT NULL,
        tokens INTEGER NOT NULL, truncated INTEGER NOT NULL, value BLOB NOT NULL
    );
    INSERT INTO meta VALUES ('salt', randomblob(32));";

/// Creates an empty file if it is missing, for its owner only. SQLite gives its WAL and shared memory the same mode.
pub(super) fn make(path: &Path) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    platform::create_for_owner_only(&mut options);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        // It may exist in a folder that is not writable.
        Err(_) if path.is_file() => Ok(()),
        Err(_) if path.is_dir() => Ok(()),
        Err(error) => Err(error).with_context(|| format!("cannot make the cache {}", path.display())),
    }
}

/// Opens an existing file. The file of another program is not changed.
pub(super) fn open(path: &Path) -> Result<(Connection, Salt)> {
    let metadata = fs::metadata(path).map_err(|error| match path.is_symlink() {
        true => anyhow!("the cache {} is a link that leads nowhere", path.display()),
        false => Error::new(error).context(format!("cannot open the cache {}", path.display())),
    })?;
    if metadata.is_dir() {
        bail!("{} is a folder; name a file in it as the cache", path.display());
    }
    if !metadata.is_file() {
        bail!("{} is no file; a cache must be one", path.display());
    }
    // SQLite treats names that begin with `file:` or `:` specially; an absolute path never does.
    let whole = std::path::absolute(path).with_context(|| format!("cannot open the cache {}", path.display()))?;
    let (database, state) = ready(&whole).map_err(|error| explain(path, error))?;
    match state {
        FileKind::Ours => {}
        FileKind::Newer(version) => bail!(
            "the cache {} was made by a newer mailsort: its format is {version}, and this one knows {VERSION}; name \
             another file",
            path.display()
        ),
        FileKind::Empty | FileKind::Foreign => {
            bail!("{} is a database of another program and no cache of mailsort; name another file", path.display())
        }
    }
    let salt = database.query_row("SELECT value FROM meta WHERE name = 'salt'", [], |row| row.get(0));
    Ok((database, salt.map_err(|error| explain(path, error))?))
}

/// Connects, and sets up an empty file.
fn ready(whole: &Path) -> rusqlite::Result<(Connection, FileKind)> {
    let mut database = connect(whole)?;
    let mut state = FileKind::of(&database)?;
    if state == FileKind::Empty {
        if !is_remote(whole) {
            log_ahead(&database)?;
        }
        // Whether the WAL works shows only when it is read.
        if FileKind::of(&database).is_err() {
            drop(database);
            database = connect(whole)?;
        }
        set_up(&mut database)?;
        state = FileKind::of(&database)?;
    }
    if state == FileKind::Ours {
        let mode: String = database.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
        if mode == "wal" {
            // A power failure may lose the last entries, but does not damage the file.
            database.pragma_update(None, "synchronous", "NORMAL")?;
        }
    }
    Ok((database, state))
}

/// What kind of file it is.
#[derive(Debug, PartialEq, Eq)]
enum FileKind {
    Empty,
    Ours,
    Newer(i64),
    Foreign,
}

impl FileKind {
    fn of(database: &Connection) -> rusqlite::Result<Self> {
        let header = |name: &str| database.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let (application, version) = (header("application_id")?, header("user_version")?);
        let tables: i64 = database.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        Ok(match (application, version, tables) {
            (0, 0, 0) => Self::Empty,
            (APPLICATION, VERSION, _) => Self::Ours,
            (APPLICATION, version, _) if version > VERSION => Self::Newer(version),
            _ => Self::Foreign,
        })
    }
}

/// Creates the tables, unless another process was faster.
fn set_up(database: &mut Connection) -> rusqlite::Result<()> {
    let transaction = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if FileKind::of(&transaction)? == FileKind::Empty {
        transaction.execute_batch(TABLES)?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
    }
    transaction.commit()
}

/// Connects in the first of these ways that works: as usual; without shared memory, which some file systems lack; or as
/// an immutable file, for a folder that is not writable.
fn connect(whole: &Path) -> rusqlite::Result<Connection> {
    let first = match connect_as_usual(whole) {
        Err(error) if is_about_access(&error) => error,
        done => return done,
    };
    let fallbacks = [connect_without_shared_memory, connect_unchanging];
    fallbacks.iter().find_map(|connect| connect(whole).ok()).ok_or(first)
}

fn connect_as_usual(whole: &Path) -> rusqlite::Result<Connection> {
    let database = Connection::open_with_flags(whole, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    prepared(database)
}

fn connect_without_shared_memory(whole: &Path) -> rusqlite::Result<Connection> {
    let database = Connection::open_with_flags(whole, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    database.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    database.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))?;
    database.pragma_update(None, "locking_mode", "NORMAL")?;
    prepared(database)
}

pub(super) fn connect_unchanging(whole: &Path) -> rusqlite::Result<Connection> {
    // Entries that a killed process left in the WAL would be missed.
    if fs::metadata(beside(whole, "-wal")).is_ok_and(|log| log.len() > 0) {
        return Err(rusqlite::Error::InvalidPath(whole.to_path_buf()));
    }
    let bytes = whole.as_os_str().as_encoded_bytes();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
    let path: String = bytes
        .iter()
        .map(|&byte| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02x}") })
        .collect();
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    prepared(Connection::open_with_flags(format!("file:{path}?immutable=1"), flags)?)
}

/// Sets up the connection, and reads something, because SQLite opens the file only then.
fn prepared(database: Connection) -> rusqlite::Result<Connection> {
    database.busy_timeout(PATIENCE)?;
    database.set_prepared_statement_cache_capacity(32);
    // The file may come from somebody else: its schema must not call functions.
    database.pragma_update(None, "trusted_schema", false)?;
    database.pragma_update(None, "cell_size_check", true)?;
    FileKind::of(&database)?;
    Ok(database)
}

/// Turns on the write-ahead log, if possible. Without it readers wait for writers; nothing else changes.
fn log_ahead(database: &Connection) -> rusqlite::Result<()> {
    let started = Instant::now();
    loop {
        match database.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(())) {
            // SQLite itself does not wait while another process changes the mode.
            Err(error) if is_busy(&error) && started.elapsed() < PATIENCE => thread::sleep(Duration::from_millis(5)),
            Err(error) if !is_about_access(&error) => return Err(error),
            _ => return Ok(()),
        }
    }
}

/// True for network file systems: machines share the file but not the memory that WAL needs, and SQLite cannot tell.
/// From Linux's `magic.h`: NFS, SMB, CIFS, SMB2, Ceph, AFS, 9P, Lustre, and FUSE, which may be any of these.
#[cfg(target_os = "linux")]
pub(super) fn is_remote(path: &Path) -> bool {
    const REMOTE: [u32; 9] =
        [0x6969, 0x517b, 0xff53_4d42, 0xfe53_4d42, 0x00c3_6400, 0x5346_414f, 0x0102_1997, 0x0bd0_0bd0, 0x6573_5546];
    rustix::fs::statfs(path).is_ok_and(|system| REMOTE.contains(&(system.f_type as u32)))
}

/// Not implemented for other systems.
#[cfg(not(target_os = "linux"))]
pub(super) fn is_remote(_: &Path) -> bool {
    false
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

fn is_about_access(error: &rusqlite::Error) -> bool {
    let codes = [ErrorCode::CannotOpen, ErrorCode::ReadOnly, ErrorCode::SystemIoFailure, ErrorCode::PermissionDenied];
    error.sqlite_error_code().is_some_and(|code| codes.contains(&code))
}

/// The path of a file that SQLite keeps next to the database, such as `-wal`.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    name.into()
}

/// Explains an error to the user.
pub(super) fn explain(path: &Path, error: rusqlite::Error) -> Error {
    // The system's error is clearer than SQLite's.
    let refused = fs::File::open(path).err().filter(|_| error.sqlite_error_code() == Some(ErrorCode::CannotOpen));
    let path = path.display();
    if let Some(refused) = refused {
        return Error::new(refused).context(format!("cannot open the cache {path}"));
    }
    match (&error, error.sqlite_error_code()) {
        (_, Some(ErrorCode::NotADatabase)) => {
            anyhow!("{path} is no cache of mailsort: it is not a database; name another file")
        }
        // A table or the salt is missing or invalid.
        (_, Some(ErrorCode::DatabaseCorrupt | ErrorCode::TypeMismatch))
        | (rusqlite::Error::QueryReturnedNoRows, _)
        | (rusqlite::Error::InvalidColumnType(..) | rusqlite::Error::FromSqlConversionFailure(..), _)
        | (_, Some(ErrorCode::Unknown)) => anyhow!(
            "the cache {path} is damaged ({error}); delete it, with {path}-wal and {path}-shm if they are there: what it \
             held will be computed again"
        ),
        (_, Some(ErrorCode::DiskFull)) => anyhow!("no space is left to write the cache {path}"),
        (_, Some(ErrorCode::ReadOnly)) => anyhow!("the cache {path} is read-only"),
        (_, Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)) => {
            anyhow!("another process has held the cache {path} for over {} s", PATIENCE.as_secs())
        }
        _ => Error::new(error).context(format!("cannot use the cache {path}")),
    }
}
