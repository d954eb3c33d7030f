//! File system events that nobody has handled yet.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind, RenameMode};

use crate::maildir::{FOLDERS, is_hidden, unfinished};

/// A message that comes by a rename or a link is complete. One that is written in place is complete when it is closed;
/// where the system sends no event for that, when nothing was written for this long.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// Most messages in the queue; beyond that the maildirs are listed.
const CAPACITY: usize = 65_536;

/// Filled by the thread of notify, emptied by ours.
pub(super) struct EventQueue {
    /// Folders in which messages arrive.
    folders: HashSet<PathBuf>,
    /// Folders whose renaming matters, with the index of their maildir.
    watched: HashMap<PathBuf, usize>,
    queued: Mutex<Queued>,
    changed: Condvar,
}

#[derive(Default)]
struct Queued {
    /// Messages, and the time from which they may be read.
    due: HashMap<PathBuf, Instant>,
    moved: BTreeSet<usize>,
    is_lost: bool,
}

/// Events taken from the queue.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Events {
    /// Paths of messages that may be new, sorted.
    pub(super) paths: Vec<PathBuf>,
    /// Maildirs with a folder that was renamed, created or removed.
    pub(super) moved: BTreeSet<usize>,
    /// True when events were lost.
    pub(super) is_lost: bool,
}

impl EventQueue {
    pub(super) fn new(maildirs: &[PathBuf]) -> Self {
        let of = |(at, maildir): (usize, &PathBuf)| FOLDERS.map(|folder| (maildir.join(folder), at));
        let folders: HashMap<PathBuf, usize> = maildirs.iter().enumerate().flat_map(of).collect();
        let own = maildirs.iter().enumerate().map(|(at, maildir)| (maildir.clone(), at));
        let watched = folders.clone().into_iter().chain(own).collect();
        let folders = folders.into_keys().collect();
        Self { folders, watched, queued: Mutex::default(), changed: Condvar::new() }
    }

    /// Adds an event.
    pub(super) fn push(&self, event: notify::Result<notify::Event>) {
        let Ok(event) = event else {
            return self.change(|queued| queued.is_lost = true);
        };
        if event.need_rescan() {
            return self.change(|queued| queued.is_lost = true);
        }
        let Some(delay) = delay(event.kind) else {
            return;
        };
        for path in event.paths {
            if let Some(&at) = self.watched.get(&path) {
                self.change(|queued| queued.moved.extend([at]));
            } else if self.is_message(&path)
                && let Some(mut delay) = delay
            {
                // A linked file is complete.
                if unfinished(&path).is_none() {
                    delay = Duration::ZERO;
                }
                self.change(|queued| queued.add(path, Instant::now() + delay));
            }
        }
    }

    /// Adds a message that may be unfinished, which a listing has found.
    pub(super) fn postpone(&self, path: PathBuf, until: Instant) {
        self.change(|queued| queued.add(path, until));
    }

    /// Drops the messages of a maildir: its folders are others now, or events were missed.
    pub(super) fn forget(&self, maildir: &Path) {
        self.lock().due.retain(|path, _| path.parent().and_then(Path::parent) != Some(maildir));
    }

    fn is_message(&self, path: &Path) -> bool {
        let is_in = path.parent().is_some_and(|folder| self.folders.contains(folder));
        is_in && path.file_name().is_some_and(|name| !is_hidden(name))
    }

    fn change(&self, change: impl FnOnce(&mut Queued)) {
        change(&mut self.lock());
        self.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Queued> {
        self.queued.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True for a message that may still be written to.
    pub(super) fn is_unfinished(&self, path: &Path) -> bool {
        self.lock().due.get(path).is_some_and(|due| *due > Instant::now())
    }

    /// Waits until an event is due, at most until `until`.
    pub(super) fn take(&self, until: Instant) -> Events {
        let mut queued = self.lock();
        loop {
            let now = Instant::now();
            if !queued.moved.is_empty() || queued.is_lost || queued.due.values().any(|due| *due <= now) {
                return queued.take(now);
            }
            if now >= until {
                return Events::default();
            }
            let next = queued.due.values().min().map_or(until, |due| until.min(*due));
            let waited = self.changed.wait_timeout(queued, next.saturating_duration_since(now));
            queued = waited.map_or_else(|poisoned| poisoned.into_inner().0, |(queued, _)| queued);
        }
    }
}

impl Queued {
    fn add(&mut self, path: PathBuf, due: Instant) {
        if self.is_lost {
            return;
        }
        self.due.insert(path, due);
        if self.due.len() > CAPACITY {
            self.due.clear();
            self.is_lost = true;
        }
    }

    fn take(&mut self, now: Instant) -> Events {
        let is_due = |_: &PathBuf, due: &mut Instant| *due <= now;
        let mut paths: Vec<PathBuf> = self.due.extract_if(is_due).map(|(path, _)| path).collect();
        paths.sort();
        Events { paths, moved: std::mem::take(&mut self.moved), is_lost: std::mem::take(&mut self.is_lost) }
    }
}

/// Debounce delay of an event; `None` ignores the event, `Some(None)` is an event that only matters for folders.
fn delay(kind: EventKind) -> Option<Option<Duration>> {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Some(Some(Duration::ZERO)),
        EventKind::Modify(ModifyKind::Name(RenameMode::From)) | EventKind::Remove(_) => Some(None),
        EventKind::Modify(ModifyKind::Name(_)) => Some(Some(Duration::ZERO)),
        EventKind::Access(_) | EventKind::Modify(ModifyKind::Metadata(_)) => None,
        _ => Some(Some(WRITE_TIMEOUT)),
    }
}
