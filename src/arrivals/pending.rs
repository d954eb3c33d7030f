//! What the system has told and nobody has looked at yet.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind, RenameMode};

use crate::maildir::{FOLDERS, is_hidden, unfinished};

/// A message comes into its folder by a rename or a link, and is whole then. Who writes it there instead closes it in the
/// end, which the system tells; where it does not, so long nothing must have been written.
const UNFINISHED: Duration = Duration::from_secs(60);

/// More than this are not remembered one by one.
const MOST: usize = 65_536;

/// Filled by the system's thread, emptied by ours.
pub(super) struct Pending {
    /// The folders that messages come into.
    folders: HashSet<PathBuf>,
    /// What must not be renamed without our knowing, and the maildir that it is of.
    fixed: HashMap<PathBuf, usize>,
    told: Mutex<Told>,
    changed: Condvar,
}

#[derive(Default)]
struct Told {
    /// Messages, and when they may be read.
    due: HashMap<PathBuf, Instant>,
    moved: BTreeSet<usize>,
    is_lost: bool,
}

/// What was told.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    /// Where messages may have come in, in the order of their names.
    pub(super) paths: Vec<PathBuf>,
    /// Maildirs of which a folder was renamed, made or removed.
    pub(super) moved: BTreeSet<usize>,
    /// True when more has happened than was told.
    pub(super) is_lost: bool,
}

impl Pending {
    pub(super) fn new(maildirs: &[PathBuf]) -> Self {
        let of = |(at, maildir): (usize, &PathBuf)| FOLDERS.map(|folder| (maildir.join(folder), at));
        let folders: HashMap<PathBuf, usize> = maildirs.iter().enumerate().flat_map(of).collect();
        let own = maildirs.iter().enumerate().map(|(at, maildir)| (maildir.clone(), at));
        let fixed = folders.clone().into_iter().chain(own).collect();
        let folders = folders.into_keys().collect();
        Self { folders, fixed, told: Mutex::default(), changed: Condvar::new() }
    }

    /// Takes note of what the system tells.
    pub(super) fn note(&self, event: notify::Result<notify::Event>) {
        let Ok(event) = event else {
            return self.change(|told| told.is_lost = true);
        };
        if event.need_rescan() {
            return self.change(|told| told.is_lost = true);
        }
        let Some(delay) = delay(event.kind) else {
            return;
        };
        for path in event.paths {
            if let Some(&at) = self.fixed.get(&path) {
                self.change(|told| told.moved.extend([at]));
            } else if self.is_message(&path)
                && let Some(mut delay) = delay
            {
                // A link is made when all is written.
                if unfinished(&path).is_none() {
                    delay = Duration::ZERO;
                }
                self.change(|told| told.add(path, Instant::now() + delay));
            }
        }
    }

    /// Takes note of a message that may be unfinished, found without being told of.
    pub(super) fn postpone(&self, path: PathBuf, until: Instant) {
        self.change(|told| told.add(path, until));
    }

    /// Forgets the messages of a maildir: what was told of them was told of another, or there was a time when nothing was.
    pub(super) fn forget(&self, maildir: &Path) {
        self.told().due.retain(|path, _| path.parent().and_then(Path::parent) != Some(maildir));
    }

    fn is_message(&self, path: &Path) -> bool {
        let is_in = path.parent().is_some_and(|folder| self.folders.contains(folder));
        is_in && path.file_name().is_some_and(|name| !is_hidden(name))
    }

    fn change(&self, change: impl FnOnce(&mut Told)) {
        change(&mut self.told());
        self.changed.notify_one();
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True for a message that may still be written to.
    pub(super) fn is_unfinished(&self, path: &Path) -> bool {
        self.told().due.get(path).is_some_and(|due| *due > Instant::now())
    }

    /// What was told, as soon as there is something that may be looked at, or nothing at `until`.
    pub(super) fn take(&self, until: Instant) -> Taken {
        let mut told = self.told();
        loop {
            let now = Instant::now();
            if !told.moved.is_empty() || told.is_lost || told.due.values().any(|due| *due <= now) {
                return told.take(now);
            }
            if now >= until {
                return Taken::default();
            }
            let next = told.due.values().min().map_or(until, |due| until.min(*due));
            let waited = self.changed.wait_timeout(told, next.saturating_duration_since(now));
            told = waited.map_or_else(|poisoned| poisoned.into_inner().0, |(told, _)| told);
        }
    }
}

impl Told {
    fn add(&mut self, path: PathBuf, due: Instant) {
        if self.is_lost {
            return;
        }
        self.due.insert(path, due);
        if self.due.len() > MOST {
            self.due.clear();
            self.is_lost = true;
        }
    }

    fn take(&mut self, now: Instant) -> Taken {
        let is_due = |_: &PathBuf, due: &mut Instant| *due <= now;
        let mut paths: Vec<PathBuf> = self.due.extract_if(is_due).map(|(path, _)| path).collect();
        paths.sort();
        Taken { paths, moved: std::mem::take(&mut self.moved), is_lost: std::mem::take(&mut self.is_lost) }
    }
}

/// After which time a path that this has happened to may be looked at: `None` for what is of no interest, and none in it for
/// what only matters to folders.
fn delay(kind: EventKind) -> Option<Option<Duration>> {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Some(Some(Duration::ZERO)),
        EventKind::Modify(ModifyKind::Name(RenameMode::From)) | EventKind::Remove(_) => Some(None),
        EventKind::Modify(ModifyKind::Name(_)) => Some(Some(Duration::ZERO)),
        EventKind::Access(_) | EventKind::Modify(ModifyKind::Metadata(_)) => None,
        _ => Some(Some(UNFINISHED)),
    }
}
