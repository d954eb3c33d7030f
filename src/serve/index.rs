//! The index that is searched: a few connections to one file, which are opened again where another file has taken its
//! place.
//!
//! SQLite keeps what it knows of a file by the file, and its log by the path. So all connections to a file that was
//! replaced are closed before the new one is opened, or the log of the one would be read as that of the other.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result};
use tokio::sync::{RwLock, Semaphore};
use tokio::task;

use super::Served;
use crate::knowledge::{Index, VectorModel};
use crate::platform;

/// Connections at once, at least and at most: each holds the vectors of the index.
const CONNECTIONS: (usize, usize) = (2, 4);

/// An index, as those who search it see it.
pub(super) struct ServedIndex {
    path: PathBuf,
    /// One for each connection.
    turns: Semaphore,
    /// Held while one searches, and by itself by one who opens the file again.
    held: RwLock<HeldIndex>,
}

/// The connections that nobody uses now.
struct HeldIndex {
    /// What tells the file from another one of its name; `None` where it could not be opened.
    number: Option<(u64, u64)>,
    idle: Mutex<Vec<Index>>,
}

impl ServedIndex {
    /// Opens it, so that a wrong file is known at once.
    ///
    /// # Errors
    /// When there is none, or it is not ours.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let held = HeldIndex::open(path).context("--index")?;
        let turns = Semaphore::new(threads.clamp(CONNECTIONS.0, CONNECTIONS.1));
        // The folder of the process may be another one later.
        Ok(Self { path: std::path::absolute(path)?, turns, held: RwLock::new(held) })
    }

    /// What this server cannot do with the index, as a line for its user; none where it can search by meaning.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub(super) fn lack(&self, served: &Served) -> Result<Option<String>> {
        // Nobody asks yet, and a connection is there.
        let Ok(held) = self.held.try_read() else { return Ok(None) };
        let idle = held.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(index) = idle.first() else { return Ok(None) };
        let shown = self.path.display();
        Ok(match (index.model()?, &served.of_vectors) {
            (None, _) => Some(format!("the index {shown} has no vectors, so questions are answered by words only")),
            (Some(known), Some(own)) if known.is_same(own) => None,
            (Some(known), own) => Some(format!(
                "the vectors of the index {shown} are of {}, and this server has {}, so questions are answered by words \
                 only; to search by meaning too, start it with --model {}, or make new vectors with `mailsort index \
                 --reembed`",
                known.name(),
                own.as_ref().map_or_else(|| served.name().to_string(), VectorModel::name),
                known.id
            )),
        })
    }

    /// Does something with the index without holding up other connections. It waits for its turn, and sees the file as it
    /// is now.
    ///
    /// # Errors
    /// When the file cannot be opened any more, or what is done fails.
    pub(super) async fn with<T>(&self, done: impl FnOnce(&Index) -> Result<T>) -> Result<T> {
        // It is never closed.
        let _turn = self.turns.acquire().await?;
        let number = task::block_in_place(|| platform::file_number_at(&self.path));
        if number.is_none() || self.held.read().await.number != number {
            let mut held = self.held.write().await;
            if number.is_none() || held.number != number {
                held.close();
                *held = task::block_in_place(|| HeldIndex::open(&self.path))?;
            }
        }
        let held = self.held.read().await;
        let idle = || held.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let known = idle().pop();
        task::block_in_place(|| {
            let index = known.map_or_else(|| Index::open(&self.path), Ok)?;
            // A connection on which something failed is not used again.
            let made = done(&index)?;
            idle().push(index);
            Ok(made)
        })
    }
}

impl HeldIndex {
    fn open(path: &Path) -> Result<Self> {
        // Asked before: where the file is replaced between, the next one who searches sees that.
        let number = platform::file_number_at(path);
        let index = Index::open(path)?;
        index.passages()?;
        Ok(Self { number, idle: Mutex::new(vec![index]) })
    }

    fn close(&mut self) {
        self.number = None;
        self.idle.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
