//! A knowledge base: passages of documents in one SQLite file, and hybrid search over them.
//!
//! ```text
//! Reader ──▶ update ──▶ store ──▶ schema (the file)      search ──▶ candidates (keywords, vectors) ──▶ scores ──▶ hits
//!                         │ cut by passages, tokens                     │
//!                         └ texts (blocks), vectors ◀── embed ◀── a model      └ statistics
//! ```
//!
//! The room knows no model and no kind of file: a [`DocumentReader`] brings documents, and closures bring vectors and the scores
//! of a reranker. Text is searchable as soon as it is committed; vectors follow, and may be missing.
//!
//! Invariants: a passage, its tokens and its vector come and go in one transaction; vectors of two models are never
//! mixed; what a file no longer says is not in the index file after an update; a text of a user is never SQL.

mod answer;
mod candidates;
mod embed;
pub mod figures;
mod hits;
pub mod passages;
mod query;
mod schema;
mod scores;
mod search;
mod statistics;
mod store;
#[cfg(test)]
mod tests;
mod texts;
pub mod tokens;
mod update;
mod vectors;
mod verify;

use std::fs::File;
use std::io::Read as _;
use std::path::{MAIN_SEPARATOR, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use rusqlite::Connection;

pub use answer::AnswerObject;
pub use embed::{Embed, VectorModel};
pub use hits::{Hit, PassagePlace};
pub use query::{Explanation, Filters, Mode, Query};
pub use search::{Rerank, SearchAnswer, search};
pub use store::Read;
pub use update::{DocumentReader, FileListing, FileStat, FoundDocument, Updated, hashes};
pub use verify::Status;

use crate::platform;
use statistics::Statistics;
use vectors::PassageVectors;

/// An open index.
pub struct Index {
    path: PathBuf,
    database: Connection,
    /// Held by a writer.
    lock: Option<File>,
    /// What a search needs in memory, and the version of the file that it is of.
    loaded: Mutex<Option<(i64, Arc<Loaded>)>>,
}

/// What a search needs in memory.
pub(crate) struct Loaded {
    statistics: Statistics,
    model: Option<VectorModel>,
    /// Read when a query first has a vector.
    vectors: std::sync::OnceLock<PassageVectors>,
}

impl Index {
    /// Opens an index for reading. Readers and one writer do not wait for each other.
    ///
    /// # Errors
    /// When there is none, or it is not ours.
    pub fn open(path: &Path) -> Result<Self> {
        let database = schema::open_to_read(path)?;
        Ok(Self { path: path.into(), database, lock: None, loaded: Mutex::default() })
    }

    /// True for a file that is a database, be it an index or another one.
    pub fn is_database(path: &Path) -> bool {
        let mut head = [0; 16];
        File::open(path).and_then(|mut file| file.read_exact(&mut head)).is_ok() && &head == b"SQLite format 3\0"
    }

    /// Opens an index for writing, and creates it if it is missing.
    ///
    /// # Errors
    /// When another process writes it, or it is not ours.
    pub fn open_to_write(path: &Path) -> Result<Self> {
        let (mut database, lock) = schema::open_to_write(path)?;
        let version = store::meta(&database, "tokens")?;
        if version.as_deref() != Some(&tokens::VERSION.to_le_bytes()) {
            store::rebuild_words(&mut database)?;
        }
        Ok(Self { path: path.into(), database, lock: Some(lock), loaded: Mutex::default() })
    }

    /// The files of an index at a path: itself, and what SQLite and the writer put beside it.
    pub fn files(path: &Path) -> [PathBuf; 4] {
        let path = platform::absolute(path).unwrap_or_else(|_| path.into());
        ["", "-wal", "-shm", "-lock"].map(|ending| schema::beside(&path, ending))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The model of its vectors, if it has any.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn model(&self) -> Result<Option<VectorModel>> {
        embed::model(&self.database)
    }

    /// The model of an index that may not be there yet.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn model_at(path: &Path) -> Result<Option<VectorModel>> {
        if schema::is_missing(path) { Ok(None) } else { Self::open(path)?.model() }
    }

    /// How many passages it has.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn passages(&self) -> Result<u64> {
        Ok(self.loaded()?.statistics.units)
    }

    /// The inputs that were indexed, as they were given.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn roots(&self) -> Result<Vec<String>> {
        let kept = store::meta(&self.database, "roots")?.unwrap_or_else(|| b"[]".to_vec());
        serde_json::from_slice(&kept).context("the inputs of the index cannot be read")
    }

    /// Remembers the inputs for the next run.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn set_roots(&self, roots: &[String]) -> Result<()> {
        self.writable()?;
        store::set_meta(&self.database, "roots", &serde_json::to_vec(roots)?)
    }

    /// What was remembered under a name, such as how files are read.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn kept(&self, name: &str) -> Result<Option<Vec<u8>>> {
        store::meta(&self.database, name)
    }

    /// Remembers something under a name.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn keep(&self, name: &str, value: &[u8]) -> Result<()> {
        self.writable()?;
        store::set_meta(&self.database, name, value)
    }

    /// True for a path that is a folder of files of the index.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn is_folder(&self, path: &str) -> Result<bool> {
        let beginning = format!("{}{MAIN_SEPARATOR}", path.trim_end_matches(MAIN_SEPARATOR));
        let sql = "SELECT EXISTS (SELECT 1 FROM files WHERE substr(path, 1, length(?1)) = ?1)";
        self.database.query_row(sql, [beginning], |row| row.get(0)).map_err(Into::into)
    }

    /// What a search needs, read again when the file has changed.
    fn loaded(&self) -> Result<Arc<Loaded>> {
        let version: i64 = self.database.pragma_query_value(None, "data_version", |row| row.get(0))?;
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, loaded)) = &*loaded
            && *at == version
        {
            return Ok(Arc::clone(loaded));
        }
        let fresh = Loaded {
            statistics: store::statistics(&self.database)?,
            model: self.model()?,
            vectors: std::sync::OnceLock::new(),
        };
        let fresh = Arc::new(fresh);
        *loaded = Some((version, Arc::clone(&fresh)));
        Ok(fresh)
    }

    /// The vectors of the index, read at the first call.
    fn vectors<'a>(&self, loaded: &'a Loaded) -> Result<&'a PassageVectors> {
        if loaded.vectors.get().is_none() {
            let dims = loaded.model.as_ref().map_or(0, |model| model.dims);
            let vectors = embed::read_vectors(&self.database, dims).context("cannot read the vectors of the index")?;
            return Ok(loaded.vectors.get_or_init(|| vectors));
        }
        Ok(loaded.vectors.get_or_init(PassageVectors::default))
    }

    /// Forgets what was read, after this connection has written: SQLite reports only the changes of others.
    fn forget(&self) {
        *self.loaded.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn writable(&self) -> Result<()> {
        anyhow::ensure!(self.lock.is_some(), "the index {} was opened for reading", self.path.display());
        Ok(())
    }
}
