//! Brings the index up to date with the files: what is unchanged is not read, what is gone is forgotten.
//!
//! New files come first and missing ones go last, so that a passage that moved from one file to another keeps its vector.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{MAIN_SEPARATOR, Path};

use anyhow::{Context, Result};
use rusqlite::{OptionalExtension, Row, params};
use sha2::{Digest, Sha256};

use super::Index;
use super::store::{self, Read, Store};

/// A file as the walk has found it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileStat {
    /// Its path, which tells it from others.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// When it was changed, in nanoseconds since 1970.
    pub mtime: i64,
    /// Its number on its device; 0 where there is none.
    pub inode: u64,
    /// Its device.
    pub device: u64,
    /// How it is read, such as `mbox` or `docx`; with the version of its reader, so that a better one reads it again.
    pub kind: String,
    /// True for files to which programs append, such as an mbox.
    pub grows: bool,
    /// Why it cannot be read, where the walk has seen that already.
    pub failure: Option<String>,
}

/// What the walk has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileListing {
    /// All files that belong into the index, each once.
    pub files: Vec<FileStat>,
    /// Folders that cannot be read at present: what the index has of them stays.
    pub unread: Vec<String>,
}

impl FileListing {
    /// True for a file in a folder that cannot be read at present.
    fn hides(&self, path: &str) -> bool {
        let is_below =
            |folder: &String| path.strip_prefix(folder.as_str()).is_some_and(|rest| rest.starts_with(MAIN_SEPARATOR));
        self.unread.iter().any(is_below)
    }
}

/// What a file holds at one position: a document, or the reason why it cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FoundDocument {
    /// A document.
    Document(Box<Read>),
    /// No document: its position, and why.
    Failure(u64, String),
}

/// Brings files and their documents.
pub trait DocumentReader {
    /// All files that belong into the index.
    ///
    /// # Errors
    /// When the walk fails as a whole: then nothing is taken for deleted.
    fn list(&self) -> Result<FileListing>;

    /// The documents of a file from a position on.
    ///
    /// # Errors
    /// When the file cannot be read at all; the error becomes its state.
    fn read<'a>(&'a self, file: &FileStat, first: u64) -> Result<Box<dyn Iterator<Item = FoundDocument> + 'a>>;

    /// Hashes of the first `bytes` of a file, and of all that it had when it was listed; see [`hashes`].
    ///
    /// # Errors
    /// When it cannot be read.
    fn hashes(&self, file: &FileStat, bytes: u64) -> Result<[[u8; 32]; 2]>;
}

/// Hashes of the first `bytes` and of the first `size` bytes of a file, in one reading.
///
/// # Errors
/// When it cannot be read.
pub fn hashes(path: &Path, size: u64, bytes: u64) -> Result<[[u8; 32]; 2]> {
    let mut hash = Sha256::new();
    let mut rest = File::open(path)?;
    copy(&mut (&mut rest).take(bytes), &mut hash)?;
    let first = hash.clone().finalize();
    copy(&mut rest.take(size.saturating_sub(bytes)), &mut hash)?;
    Ok([first.into(), hash.finalize().into()])
}

fn copy(from: &mut impl io::Read, to: &mut Sha256) -> io::Result<()> {
    let mut part = vec![0; 1 << 16];
    loop {
        match from.read(&mut part) {
            Ok(0) => return Ok(()),
            Ok(read) => to.update(part.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// What an update has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Updated {
    /// Files whose size and time were as before.
    pub unchanged: usize,
    /// Files that were read, or read on.
    pub read: usize,
    /// Files that moved, were copied or only touched: hashed, and not read.
    pub recognised: usize,
    /// Files that are gone.
    pub deleted: usize,
    /// Documents added.
    pub documents: usize,
    /// True where a reader held the log, so that bytes of deleted texts stay in it until the next run.
    pub has_traces: bool,
}

/// A row of `files`.
struct KnownFile {
    id: i64,
    size: i64,
    mtime: i64,
    inode: i64,
    device: i64,
    hash: Option<Vec<u8>>,
    kind: String,
    state: i64,
}

/// The states of a file: all of it is in the index; it cannot be read; a run has begun to read it and not ended.
const WHOLE: i64 = 0;
const FAILED: i64 = 1;
const BEGUN: i64 = 2;

impl KnownFile {
    const COLUMNS: &str = "id, size, mtime, inode, device, hash, kind, state";

    fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            size: row.get(1)?,
            mtime: row.get(2)?,
            inode: row.get(3)?,
            device: row.get(4)?,
            hash: row.get(5)?,
            kind: row.get(6)?,
            state: row.get(7)?,
        })
    }

    fn is_unchanged(&self, file: &FileStat) -> bool {
        let now = (file.size as i64, file.mtime, file.inode as i64, file.device as i64);
        // What could not be read is tried again: who mends it need not touch it.
        self.state == WHOLE && self.kind == file.kind && (self.size, self.mtime, self.inode, self.device) == now
    }
}

impl Index {
    /// Brings the index up to date, until `stops` says that the next run shall go on. With `prune` false, files that are
    /// missing from the list stay in the index.
    ///
    /// # Errors
    /// When the walk fails or the index cannot be written. What was committed stays, and the next run goes on.
    pub fn update(&mut self, reader: &dyn DocumentReader, prune: bool, stops: &dyn Fn() -> bool) -> Result<Updated> {
        self.writable()?;
        let done = self.bring_up_to_date(reader, prune, stops)?;
        self.forget();
        Ok(Updated { has_traces: !self.shrink()?, ..done })
    }

    fn bring_up_to_date(&self, reader: &dyn DocumentReader, prune: bool, stops: &dyn Fn() -> bool) -> Result<Updated> {
        let listing = reader.list()?;
        let store = Store::begin(&self.database)?;
        // No other run has this number.
        let number =
            1 + store::meta(store.sql(), RUN)?.map_or(Ok(0), |number| serde_json::from_slice::<i64>(&number))?;
        let mut run = UpdateRun { store, reader, stops, number, done: Updated::default() };
        let listed: HashSet<&str> = listing.files.iter().map(|file| file.path.as_str()).collect();
        let known = run.known()?;
        for file in listing.files.iter().take_while(|_| !stops()) {
            match known.get(&file.path) {
                Some(known) if file.failure.is_none() && known.is_unchanged(file) => run.done.unchanged += 1,
                known => run.take_in(file, known, &listed)?,
            }
            if run.store.is_full() {
                run.store.renew()?;
            }
        }
        if prune && !stops() {
            // Files that have moved bear their new path by now.
            let known = run.known()?;
            let gone = known.iter().filter(|(path, _)| !listed.contains(path.as_str()) && !listing.hides(path));
            run.delete(gone.map(|(_, known)| known.id).collect())?;
        }
        run.store.commit()?;
        Ok(run.done)
    }

    /// Sets the labels of documents, by their files and positions, or takes them away. Others keep theirs.
    ///
    /// # Errors
    /// When the index cannot be written.
    pub fn set_labels<'l>(&mut self, labels: impl Iterator<Item = (&'l str, u64, Option<&'l str>)>) -> Result<usize> {
        self.writable()?;
        let transaction = self.database.transaction()?;
        let mut set = 0;
        {
            let sql = "UPDATE documents SET label = ?3
                       WHERE file = (SELECT id FROM files WHERE path = ?1) AND ordinal = ?2 AND label IS NOT ?3";
            let mut statement = transaction.prepare(sql)?;
            for (path, index, label) in labels {
                set += statement.execute(params![path, index as i64, label])?;
            }
        }
        transaction.commit()?;
        self.forget();
        Ok(set)
    }

    /// Gives free pages back to the file system and empties the log, so that deleted text is nowhere in the files.
    /// False where a reader holds the log; then the next run does it.
    pub(super) fn shrink(&mut self) -> Result<bool> {
        let log = super::schema::beside(&self.path, "-wal").metadata().map_or(0, |log| log.len());
        let free: i64 = self.database.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
        if (log, free) == (0, 0) {
            // Even an empty step would tell readers to read all anew.
            return Ok(true);
        }
        {
            let mut vacuum = self.database.prepare("PRAGMA incremental_vacuum")?;
            let mut rows = vacuum.query([])?;
            while rows.next()?.is_some() {}
        }
        let is_held: i64 = self.database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        Ok(is_held == 0)
    }
}

struct UpdateRun<'a> {
    store: Store<'a>,
    reader: &'a dyn DocumentReader,
    stops: &'a dyn Fn() -> bool,
    number: i64,
    done: Updated,
}

impl UpdateRun<'_> {
    fn known(&self) -> Result<HashMap<String, KnownFile>> {
        let sql = format!("SELECT {}, path FROM files", KnownFile::COLUMNS);
        let mut statement = self.store.sql().prepare(&sql)?;
        let rows = statement.query_map([], |row| Ok((row.get(8)?, KnownFile::of(row)?)))?;
        rows.collect::<rusqlite::Result<_>>().map_err(Into::into)
    }

    /// Takes in a file that is new or changed.
    fn take_in(&mut self, file: &FileStat, known: Option<&KnownFile>, listed: &HashSet<&str>) -> Result<()> {
        if let Some(why) = &file.failure {
            return self.fail(file, why);
        }
        let is_whole = |known: &&KnownFile| known.state == WHOLE && known.kind == file.kind;
        let before = known.filter(is_whole);
        let prefix = before.map(|known| known.size as u64).filter(|&size| file.grows && file.size > size).unwrap_or(0);
        let [prefix_hash, hash] = match self.reader.hashes(file, prefix) {
            Ok(hashes) => hashes,
            Err(error) => return self.fail(file, &format!("{error:#}")),
        };
        match (known, before.and_then(|known| known.hash.as_deref().map(|hash| (known.id, hash)))) {
            (_, Some((id, before))) if before == hash => {
                // Only touched.
                self.done.recognised += 1;
                set_row(self.store.sql(), id, file, Some(&hash), WHOLE, None)
            }
            (_, Some((id, before))) if prefix > 0 && before == prefix_hash => {
                let first = self.last_position(id)?;
                self.read(file, id, &hash, first)
            }
            (Some(known), _) => self.read(file, known.id, &hash, 0),
            (None, _) if self.recognise(file, &hash, listed)? => {
                self.done.recognised += 1;
                Ok(())
            }
            (None, _) => {
                let id = self.new_row(file, None, BEGUN)?;
                self.read(file, id, &hash, 0)
            }
        }
    }

    /// The position of the last document of a file that has grown. It is read again: it may have been on its way when the
    /// index saw it.
    fn last_position(&self, id: i64) -> Result<u64> {
        let sql = "SELECT coalesce(max(ordinal), 0) FROM documents WHERE file = ?1";
        let last: i64 = self.store.sql().prepare_cached(sql)?.query_row([id], |row| row.get(0))?;
        Ok(last as u64)
    }

    /// Looks for a file with the same bytes. One that is no longer listed has moved; one that is there has been copied.
    fn recognise(&mut self, file: &FileStat, hash: &[u8; 32], listed: &HashSet<&str>) -> Result<bool> {
        let sql = "SELECT id, path FROM files WHERE hash = ?1 AND kind = ?2 AND state = ?3";
        let row = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?));
        let twins: Vec<(i64, String)> = {
            let mut statement = self.store.sql().prepare_cached(sql)?;
            let rows = statement.query_map(params![hash, file.kind, WHOLE], row)?;
            rows.collect::<rusqlite::Result<_>>()?
        };
        if let Some((id, _)) = twins.iter().find(|(_, path)| !listed.contains(path.as_str())) {
            self.store.sql().execute("UPDATE files SET path = ?2 WHERE id = ?1", params![id, file.path])?;
            set_row(self.store.sql(), *id, file, Some(hash), WHOLE, None)?;
            return Ok(true);
        }
        let Some(&(twin, _)) = twins.first() else { return Ok(false) };
        let id = self.new_row(file, Some(hash), WHOLE)?;
        let number = self.numbered()?;
        self.store.sql().execute(
            "INSERT INTO documents (file, ordinal, content, kind, message, subject, sender, date, thread, label, error, run)
             SELECT ?1, ordinal, content, kind, message, subject, sender, date, thread, label, error, ?3
             FROM documents WHERE file = ?2",
            params![id, twin, number],
        )?;
        Ok(true)
    }

    fn new_row(&self, file: &FileStat, hash: Option<&[u8; 32]>, state: i64) -> Result<i64> {
        let sql = "INSERT INTO files (path, size, mtime, inode, device, hash, kind, state)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        let (size, inode, device) = (file.size as i64, file.inode as i64, file.device as i64);
        let row = params![file.path, size, file.mtime, inode, device, hash.map(|hash| &hash[..]), file.kind, state];
        self.store.sql().prepare_cached(sql)?.insert(row).map_err(Into::into)
    }

    /// The number of this run, which is kept with the first document that bears it.
    fn numbered(&self) -> Result<i64> {
        store::set_meta(self.store.sql(), RUN, &serde_json::to_vec(&self.number)?)?;
        Ok(self.number)
    }

    /// Reads the documents from a position on, in transactions of bounded size. What an earlier run has read goes in the
    /// last of them.
    fn read(&mut self, file: &FileStat, id: i64, hash: &[u8; 32], first: u64) -> Result<()> {
        let documents = match self.reader.read(file, first) {
            Ok(documents) => documents,
            Err(error) => return self.fail(file, &format!("{error:#}")),
        };
        self.done.read += 1;
        let number = self.numbered()?;
        for found in documents {
            match found {
                FoundDocument::Document(read) => {
                    self.store.add(id, number, &read)?;
                    // The first of a file that has grown was there before.
                    self.done.documents += usize::from(first == 0 || read.index > first);
                }
                FoundDocument::Failure(index, reason) => self.store.add_failure(id, number, index, &reason)?,
            }
            if self.store.is_full() {
                let sql = "UPDATE files SET state = ?2 WHERE id = ?1";
                self.store.sql().prepare_cached(sql)?.execute(params![id, BEGUN])?;
                self.store.renew()?;
                if (self.stops)() {
                    return Ok(());
                }
            }
        }
        self.store.remove_documents(id, first, Some(number))?;
        set_row(self.store.sql(), id, file, Some(hash), WHOLE, None)
    }

    /// Notes that a file cannot be read. What it said before is no longer true.
    fn fail(&mut self, file: &FileStat, why: &str) -> Result<()> {
        let sql = "SELECT id, error FROM files WHERE path = ?1";
        let row = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, Option<String>>(1)?));
        let known = self.store.sql().prepare_cached(sql)?.query_row([&file.path], row).optional()?;
        let id = match known {
            Some((_, Some(before))) if before == why => return Ok(()),
            Some((id, _)) => id,
            None => self.new_row(file, None, FAILED)?,
        };
        self.store.remove_documents(id, 0, None)?;
        set_row(self.store.sql(), id, file, None, FAILED, Some(why))
    }

    fn delete(&mut self, files: Vec<i64>) -> Result<()> {
        self.done.deleted += files.len();
        for id in files {
            self.store.remove_documents(id, 0, None)?;
            self.store.sql().prepare_cached("DELETE FROM files WHERE id = ?1")?.execute([id])?;
            if self.store.is_full() {
                self.store.renew()?;
            }
        }
        Ok(())
    }
}

/// The name in `meta` of the number of the last run.
const RUN: &str = "run";

fn set_row(
    database: &rusqlite::Connection,
    id: i64,
    file: &FileStat,
    hash: Option<&[u8; 32]>,
    state: i64,
    error: Option<&str>,
) -> Result<()> {
    let sql =
        "UPDATE files SET size = ?2, mtime = ?3, inode = ?4, device = ?5, hash = ?6, kind = ?7, state = ?8, error = ?9
               WHERE id = ?1";
    let row =
        params![id, file.size as i64, file.mtime, file.inode as i64, file.device as i64, hash, file.kind, state, error];
    database.prepare_cached(sql)?.execute(row).context("cannot write the index")?;
    Ok(())
}
