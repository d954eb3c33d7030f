//! The file: created, opened and checked.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::platform;
use anyhow::{Context, Result, anyhow, bail, ensure};
use rusqlite::functions::FunctionFlags;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

/// `application_id` in the file's header, `mskn`: tells an index from other programs' databases.
const APPLICATION: i64 = 0x6d73_6b6e;

/// Version of the tables, in `user_version`.
const VERSION: i64 = 2;

/// How long a reader waits where there is no write-ahead log.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// A content is what a document says, stored once however many documents say it. A unit is a passage with what stands
/// above it, again stored once; its id is that of its row in `words` and in `vectors`, and says where its text is (see
/// `texts.rs`).
///
/// `words` keeps neither the text nor positions nor sizes, which makes it a third of the text. Its tokens come without
/// blanks, and its tokenizer is told that every other ASCII character belongs to a token.
const TABLES: &str = r##"
    CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE files (
        id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, size INTEGER NOT NULL, mtime INTEGER NOT NULL,
        inode INTEGER NOT NULL, device INTEGER NOT NULL, hash BLOB, kind TEXT NOT NULL, state INTEGER NOT NULL,
        error TEXT
    );
    CREATE INDEX files_hash ON files (hash);
    CREATE TABLE contents (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, bytes INTEGER NOT NULL);
    CREATE TABLE documents (
        file INTEGER NOT NULL, ordinal INTEGER NOT NULL, run INTEGER NOT NULL, content INTEGER, kind INTEGER NOT NULL,
        message TEXT, subject TEXT, sender TEXT, date INTEGER, thread TEXT, label TEXT, error TEXT,
        PRIMARY KEY (file, ordinal, run)
    ) WITHOUT ROWID;
    CREATE INDEX documents_content ON documents (content);
    CREATE TABLE passages (
        content INTEGER NOT NULL, seq INTEGER NOT NULL, start INTEGER NOT NULL, stop INTEGER NOT NULL,
        unit INTEGER NOT NULL, PRIMARY KEY (content, seq)
    ) WITHOUT ROWID;
    CREATE INDEX passages_unit ON passages (unit);
    CREATE TABLE units (hash BLOB PRIMARY KEY, id INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE texts (id INTEGER PRIMARY KEY, block BLOB NOT NULL);
    CREATE TABLE vectors (unit INTEGER PRIMARY KEY, value BLOB NOT NULL);
    CREATE VIRTUAL TABLE words USING fts5(
        tokens, content='', columnsize=0, detail=none,
        tokenize="ascii tokenchars '!""#$%&''()*+,-./:;<=>?@[\]^_`{|}~'"
    );
    INSERT INTO words (words, rank) VALUES ('secure-delete', 1);
"##;

/// Views of the connection: the terms of `words`, and where each stands.
const VIEWS: &str = "CREATE VIRTUAL TABLE temp.places USING fts5vocab(main, words, instance);";

/// Opens the index for writing and creates it if it is missing. The lock keeps other writers out until it is dropped.
pub(super) fn open_to_write(path: &Path) -> Result<(Connection, File)> {
    let open = || {
        // Under another name it is the same index, and has the same lock.
        let path = &path.canonicalize().unwrap_or_else(|_| path.into());
        // No lock is left beside a file of another program.
        if !is_missing(path) {
            check(&connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?)?;
        }
        let lock = lock(path)?;
        private(path)?;
        let mut database = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        if is_new(&database)? {
            // These must be set before the first table. A small page holds two passages and wastes the rest.
            database.pragma_update(None, "page_size", 16_384)?;
            database.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
            database.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
            create_tables(&mut database)?;
        }
        check(&database)?;
        database.pragma_update(None, "secure_delete", true)?;
        // A power failure may lose the last transaction, but does not damage the file.
        database.pragma_update(None, "synchronous", "NORMAL")?;
        database.execute_batch(VIEWS)?;
        anyhow::Ok((database, lock))
    };
    open().map_err(explained).with_context(|| format!("cannot write the index {}", path.display()))
}

/// Opens an existing index for reading.
pub(super) fn open_to_read(path: &Path) -> Result<Connection> {
    let open = || {
        ensure!(path.is_file(), "there is none; `mailsort index` makes it");
        let database = readable(path)?;
        check(&database)?;
        database.execute_batch(VIEWS)?;
        anyhow::Ok(database)
    };
    open().map_err(explained).with_context(|| format!("cannot read the index {}", path.display()))
}

/// True where nothing is, or what a writer made a moment before a kill.
pub(super) fn is_missing(path: &Path) -> bool {
    !path.metadata().is_ok_and(|found| found.len() > 0)
        || connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY).and_then(|database| is_new(&database)).unwrap_or(false)
}

/// A connection that can read, which SQLite only finds out when it reads.
fn readable(path: &Path) -> Result<Connection> {
    let first = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE).and_then(|database| {
        is_new(&database)?;
        Ok(database)
    });
    // A reader of a write-ahead log writes to its shared memory, for which a folder of others has no room. Without a log,
    // nobody is writing there.
    let is_at_rest = beside(path, "-wal").metadata().map_or(true, |log| log.len() == 0);
    match first {
        Err(error) if is_at_rest && is_unwritable(&error) => unwritable(path),
        other => other,
    }
}

fn is_unwritable(error: &anyhow::Error) -> bool {
    let code = error.downcast_ref::<rusqlite::Error>().and_then(rusqlite::Error::sqlite_error_code);
    matches!(code, Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied))
}

/// Opens a file that nobody writes.
fn unwritable(path: &Path) -> Result<Connection> {
    let path = std::path::absolute(path)?;
    let mut address = String::from("file:");
    for &byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' => address.push(byte.into()),
            _ if byte.is_ascii_alphanumeric() => address.push(byte.into()),
            _ => address += &format!("%{byte:02X}"),
        }
    }
    address += "?immutable=1";
    set_up(Connection::open_with_flags(
        address,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?)
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection> {
    // SQLite gives a meaning to names that begin with `file:` or `:`; an absolute path never does.
    // Only one thread at a time uses a connection, as its type says; SQLite need not lock.
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    set_up(Connection::open_with_flags(std::path::absolute(path)?, flags)?)
}

fn set_up(database: Connection) -> Result<Connection> {
    database.busy_timeout(BUSY_TIMEOUT)?;
    database.set_prepared_statement_cache_capacity(64);
    database.pragma_update(None, "temp_store", "MEMORY")?;
    database.pragma_update(None, "cache_size", -65_536)?;
    database.pragma_update(None, "mmap_size", 1_i64 << 30)?;
    // SQLite's own `lower` knows ASCII only.
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    database.create_scalar_function("folded", 1, flags, |values| {
        Ok(values.get::<Option<String>>(0)?.map(|text| text.to_lowercase()))
    })?;
    Ok(database)
}

fn is_new(database: &Connection) -> Result<bool> {
    let tables: i64 = database.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let application: i64 = database.pragma_query_value(None, "application_id", |row| row.get(0))?;
    Ok((tables, application) == (0, 0))
}

fn create_tables(database: &mut Connection) -> Result<()> {
    let transaction = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(TABLES)?;
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit().map_err(Into::into)
}

fn check(database: &Connection) -> Result<()> {
    let header = |name: &str| database.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (application, version) = (header("application_id")?, header("user_version")?);
    match (application, version) {
        (APPLICATION, VERSION) => Ok(()),
        (APPLICATION, newer) if newer > VERSION => bail!("it was made by a newer mailsort, whose format is {newer}"),
        (APPLICATION, _) => bail!("it was made by an older mailsort; delete it and index again"),
        _ => bail!("it is a database of another program; name another file"),
    }
}

/// Says in words what SQLite says in a number.
fn explained(error: anyhow::Error) -> anyhow::Error {
    match error.downcast_ref::<rusqlite::Error>().and_then(rusqlite::Error::sqlite_error_code) {
        Some(ErrorCode::NotADatabase) => anyhow!("it is no database; name another file"),
        Some(ErrorCode::DatabaseCorrupt) => error.context("it is damaged; delete it and index again"),
        Some(ErrorCode::DiskFull) => error.context("no space is left"),
        _ => error,
    }
}

/// Creates an empty file for its owner only. SQLite gives its log and shared memory the same mode.
fn private(path: &Path) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    platform::create_for_owner_only(&mut options);
    match options.open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error.into()),
        _ => Ok(()),
    }
}

/// Takes the lock of writers. The system releases it when the process dies.
fn lock(path: &Path) -> Result<File> {
    let path = beside(path, "-lock");
    private(&path)?;
    let file = File::options().write(true).open(&path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => bail!("another process is writing it; try again when that has ended"),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// Path of a file next to the index.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push(ending);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_writer_and_many_readers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index");
        assert!(open_to_read(&path).is_err());
        let (database, lock) = open_to_write(&path).unwrap();
        assert!(format!("{:#}", open_to_write(&path).unwrap_err()).contains("another process"));
        let reader = open_to_read(&path).unwrap();
        database.execute("INSERT INTO meta VALUES ('a', 'b')", []).unwrap();
        let rows: i64 = reader.query_row("SELECT count(*) FROM meta", [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 1);
        drop(lock);
        assert!(open_to_write(&path).is_ok());
    }

    #[test]
    fn other_files_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let foreign = folder.path().join("foreign");
        Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE t (a); PRAGMA user_version = 1").unwrap();
        let text = folder.path().join("text");
        std::fs::write(&text, "this is no database at all, but it is long enough to be looked at as one; ".repeat(20))
            .unwrap();
        for (path, words) in [(&foreign, "another program"), (&text, "no database")] {
            let before = std::fs::read(path).unwrap();
            for error in [open_to_read(path).unwrap_err(), open_to_write(path).unwrap_err()] {
                assert!(format!("{error:#}").contains(words), "{error:#}");
            }
            assert_eq!(std::fs::read(path).unwrap(), before);
        }
    }
}
