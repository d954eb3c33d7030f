//! Brings the index up to date with the files: what is unchanged is not read, what is gone is forgotten.
//!
//! New files come first and missing ones go last, so that a passage that moved from one file to another keeps its vector.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read as _};

use anyhow::{Context, Result};
use rusqlite::{OptionalExtension, Row, params};
use sha2::{Digest, Sha256};

use super::Index;
use super::statistics::Statistics;
use super::store::{Read, Store, run_number};

/// Bytes of text after which a transaction is committed.
const TRANSACTION: usize = 8 << 20;

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
    fn list(&self) -> Result<Vec<FileStat>>;

    /// The documents of a file that begin at a byte or behind it. Positions go on where those before it ended: `first` is
    /// the position of the first.
    ///
    /// # Errors
    /// When the file cannot be read at all; the error becomes its state.
    fn read<'a>(
        &'a self,
        file: &FileStat,
        from: u64,
        first: u64,
    ) -> Result<Box<dyn Iterator<Item = FoundDocument> + 'a>>;

    /// A hash of the first `bytes` of a file.
    ///
    /// # Errors
    /// When it cannot be read.
    fn hash(&self, file: &FileStat, bytes: u64) -> Result<[u8; 32]> {
        let mut hash = Sha256::new();
        let mut part = vec![0; 1 << 16];
        let mut rest = File::open(&file.path)?.take(bytes);
        loop {
            match rest.read(&mut part) {
                Ok(0) => return Ok(hash.finalize().into()),
                Ok(read) => hash.update(part.get(..read).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
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
    /// Files and documents that cannot be read.
    pub failed: usize,
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
        self.state != BEGUN && self.kind == file.kind && (self.size, self.mtime, self.inode, self.device) == now
    }
}

impl Index {
    /// Brings the index up to date. With `prune` false, files that are missing from the list stay in the index.
    ///
    /// # Errors
    /// When the walk fails or the index cannot be written. What was committed stays, and the next run goes on.
    pub fn update(&mut self, reader: &dyn DocumentReader, prune: bool) -> Result<Updated> {
        self.writable()?;
        let files = reader.list()?;
        let mut statistics = self.statistics()?;
        let mut run = UpdateRun {
            index: self,
            reader,
            statistics: &mut statistics,
            number: run_number(),
            done: Updated::default(),
        };
        let listed: HashSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
        let known = run.known()?;
        for file in &files {
            match known.get(&file.path) {
                Some(known) if known.is_unchanged(file) => {
                    run.done.unchanged += 1;
                    run.done.failed += usize::from(known.state == FAILED);
                }
                known => run.take_in(file, known, &listed)?,
            }
        }
        if prune {
            // Files that have moved bear their new path by now.
            let known = run.known()?;
            let gone = known.iter().filter(|(path, _)| !listed.contains(path.as_str()));
            run.delete(gone.map(|(_, known)| known.id).collect())?;
        }
        let mut done = run.done;
        self.forget();
        done.has_traces = !self.shrink()?;
        Ok(done)
    }

    /// Sets the labels of documents, by their files and positions. Others keep theirs.
    ///
    /// # Errors
    /// When the index cannot be written.
    pub fn set_labels<'l>(&mut self, labels: impl Iterator<Item = (&'l str, u64, &'l str)>) -> Result<usize> {
        self.writable()?;
        let transaction = self.database.transaction()?;
        let mut set = 0;
        {
            let sql = "UPDATE documents SET label = ?3
                       WHERE file = (SELECT id FROM files WHERE path = ?1) AND ordinal = ?2";
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
    index: &'a mut Index,
    reader: &'a dyn DocumentReader,
    statistics: &'a mut Statistics,
    number: i64,
    done: Updated,
}

impl UpdateRun<'_> {
    fn known(&self) -> Result<HashMap<String, KnownFile>> {
        let sql = format!("SELECT {}, path FROM files", KnownFile::COLUMNS);
        let mut statement = self.index.database.prepare(&sql)?;
        let rows = statement.query_map([], |row| Ok((row.get(8)?, KnownFile::of(row)?)))?;
        rows.collect::<rusqlite::Result<_>>().map_err(Into::into)
    }

    /// Takes in a file that is new or changed.
    fn take_in(&mut self, file: &FileStat, known: Option<&KnownFile>, listed: &HashSet<&str>) -> Result<()> {
        let hash = match self.reader.hash(file, file.size) {
            Ok(hash) => hash,
            Err(error) => return self.fail(file, &error),
        };
        if let Some(known) = known {
            if known.state == WHOLE && known.kind == file.kind && known.hash.as_deref() == Some(&hash) {
                // Only touched.
                self.done.recognised += 1;
                return set_row(&self.index.database, known.id, file, Some(&hash), WHOLE, None);
            }
            if let Some((from, first)) = self.grown(file, known)? {
                return self.read(file, known.id, &hash, from, first);
            }
        } else if self.recognise(file, &hash, listed)? {
            self.done.recognised += 1;
            return Ok(());
        }
        let id = match known {
            Some(known) => known.id,
            None => self.new_row(file)?,
        };
        self.read(file, id, &hash, 0, 0)
    }

    /// Where to go on in a file that has only grown: the byte and the position.
    fn grown(&self, file: &FileStat, known: &KnownFile) -> Result<Option<(u64, u64)>> {
        let before = known.size as u64;
        let may_be = file.grows && known.state == WHOLE && known.kind == file.kind && file.size > before && before > 0;
        if !may_be || self.reader.hash(file, before).ok().as_ref().map(<[u8; 32]>::as_slice) != known.hash.as_deref() {
            return Ok(None);
        }
        let sql = "SELECT coalesce(max(ordinal) + 1, 0) FROM documents WHERE file = ?1";
        let first: i64 = self.index.database.query_row(sql, [known.id], |row| row.get(0))?;
        Ok(Some((before, first as u64)))
    }

    /// Looks for a file with the same bytes. One that is no longer listed has moved; one that is there has been copied.
    fn recognise(&mut self, file: &FileStat, hash: &[u8; 32], listed: &HashSet<&str>) -> Result<bool> {
        let sql = "SELECT id, path FROM files WHERE hash = ?1 AND kind = ?2 AND state = ?3";
        let row = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?));
        let twins: Vec<(i64, String)> = {
            let mut statement = self.index.database.prepare_cached(sql)?;
            let rows = statement.query_map(params![hash, file.kind, WHOLE], row)?;
            rows.collect::<rusqlite::Result<_>>()?
        };
        if let Some((id, _)) = twins.iter().find(|(_, path)| !listed.contains(path.as_str())) {
            let transaction = self.index.database.transaction()?;
            transaction.execute("UPDATE files SET path = ?2 WHERE id = ?1", params![id, file.path])?;
            set_row(&transaction, *id, file, Some(hash), WHOLE, None)?;
            transaction.commit()?;
            return Ok(true);
        }
        let Some(&(twin, _)) = twins.first() else { return Ok(false) };
        let transaction = self.index.database.transaction()?;
        let id = transaction.prepare_cached(INSERT)?.insert(params![
            file.path,
            file.size as i64,
            file.mtime,
            file.inode as i64,
            file.device as i64,
            hash,
            file.kind,
            WHOLE
        ])?;
        transaction.execute(
            "INSERT INTO documents (file, ordinal, content, kind, message, subject, sender, date, thread, label, error, run)
             SELECT ?1, ordinal, content, kind, message, subject, sender, date, thread, label, error, ?3
             FROM documents WHERE file = ?2",
            params![id, twin, self.number],
        )?;
        transaction.commit()?;
        Ok(true)
    }

    fn new_row(&self, file: &FileStat) -> Result<i64> {
        let hash: Option<&[u8]> = None;
        let id = self.index.database.prepare_cached(INSERT)?.insert(params![
            file.path,
            file.size as i64,
            file.mtime,
            file.inode as i64,
            file.device as i64,
            hash,
            file.kind,
            BEGUN
        ])?;
        Ok(id)
    }

    /// Reads documents in transactions of bounded size. What an earlier run has read goes in the last of them.
    fn read(&mut self, file: &FileStat, id: i64, hash: &[u8; 32], from: u64, first: u64) -> Result<()> {
        let documents = match self.reader.read(file, from, first) {
            Ok(documents) => documents,
            Err(error) => return self.fail(file, &error),
        };
        self.done.read += 1;
        let mut store = Store::begin(&mut self.index.database, self.statistics)?;
        for found in documents {
            match found {
                FoundDocument::Document(read) => {
                    store.add(id, self.number, &read)?;
                    self.done.documents += 1;
                }
                FoundDocument::Failure(index, reason) => {
                    store.add_failure(id, self.number, index, &reason)?;
                    self.done.failed += 1;
                }
            }
            if store.written >= TRANSACTION {
                store.sql().prepare_cached("UPDATE files SET state = ?2 WHERE id = ?1")?.execute(params![id, BEGUN])?;
                store.commit()?;
                store = Store::begin(&mut self.index.database, self.statistics)?;
            }
        }
        if from == 0 {
            store.remove_documents(id, Some(self.number))?;
        }
        set_row(store.sql(), id, file, Some(hash), WHOLE, None)?;
        store.commit()?;
        Ok(())
    }

    /// Notes that a file cannot be read. What it said before is no longer true.
    fn fail(&mut self, file: &FileStat, error: &anyhow::Error) -> Result<()> {
        self.done.failed += 1;
        let sql = "SELECT id FROM files WHERE path = ?1";
        let known = self.index.database.query_row(sql, [&file.path], |row| row.get(0)).optional()?;
        let id = match known {
            Some(id) => id,
            None => self.new_row(file)?,
        };
        let mut store = Store::begin(&mut self.index.database, self.statistics)?;
        store.remove_documents(id, None)?;
        set_row(store.sql(), id, file, None, FAILED, Some(&format!("{error:#}")))?;
        store.commit()?;
        Ok(())
    }

    fn delete(&mut self, files: Vec<i64>) -> Result<()> {
        self.done.deleted += files.len();
        let mut store = Store::begin(&mut self.index.database, self.statistics)?;
        for id in files {
            store.remove_documents(id, None)?;
            store.sql().prepare_cached("DELETE FROM files WHERE id = ?1")?.execute([id])?;
            if store.written >= TRANSACTION {
                store.commit()?;
                store = Store::begin(&mut self.index.database, self.statistics)?;
            }
        }
        store.commit()?;
        Ok(())
    }
}

const INSERT: &str = "INSERT INTO files (path, size, mtime, inode, device, hash, kind, state)
                      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";

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
