//! Tells which messages arrive in maildirs; the only place that knows notify.
//!
//! What the system says of folders is a hint and no more: in a burst it may be lost, and it says nothing of folders that take
//! the names of others. So maildirs are also listed: at the beginning, whenever something was lost or has changed its place,
//! and from time to time.

mod pending;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};

use crate::maildir::{FOLDERS, Listing, is_maildir, unfinished};
use pending::Pending;

/// Messages of one maildir that may be new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrived {
    /// Which maildir, counted from 0.
    pub maildir: usize,
    /// Where they were seen last.
    pub paths: Vec<PathBuf>,
    /// True when these are all that the maildir holds, but for `unfinished`.
    pub is_all: bool,
    /// What may be written to at this moment, and comes later.
    pub unfinished: Vec<PathBuf>,
}

/// What happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// What came in.
    pub arrived: Vec<Arrived>,
    /// What people may want to know.
    pub notes: Vec<Note>,
}

/// Something that is no mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A maildir is not there any more.
    Gone(PathBuf),
    /// It is there again.
    Back(PathBuf),
    /// The system tells nothing of a folder, and why; it is listed from time to time all the same.
    Unheard(PathBuf, String),
    /// A folder cannot be listed, and why.
    Unlisted(PathBuf, String),
}

/// Waits for messages.
pub struct Arrivals {
    watcher: Option<RecommendedWatcher>,
    pending: Arc<Pending>,
    maildirs: Vec<Watched>,
    /// How often everything is listed.
    every: Duration,
    next: Instant,
    /// Said with the next news.
    notes: Vec<Note>,
}

/// One maildir.
struct Watched {
    path: PathBuf,
    /// What is listened to; nothing while the maildir is gone.
    known: Option<Identity>,
    was_there: bool,
}

/// Tells folders from others that take their names: the maildir, its `new` and its `cur`.
type Identity = [Option<(u64, u64)>; 3];

impl Arrivals {
    /// Begins to listen. The first news are all messages that are there.
    ///
    /// # Errors
    /// When a path cannot be made whole.
    pub fn new(maildirs: &[PathBuf], every: Duration) -> io::Result<Self> {
        let paths: Vec<PathBuf> = maildirs.iter().map(std::path::absolute).collect::<io::Result<_>>()?;
        let pending = Arc::new(Pending::new(&paths));
        let told = pending.clone();
        let mut notes = Vec::new();
        let watcher = match notify::recommended_watcher(move |event| told.note(event)) {
            Ok(watcher) => Some(watcher),
            Err(error) => {
                notes.extend(paths.iter().map(|path| Note::Unheard(path.clone(), why(&error))));
                None
            }
        };
        let maildirs = paths.into_iter().map(|path| Watched { path, known: None, was_there: false }).collect();
        Ok(Self { watcher, pending, maildirs, every, next: Instant::now(), notes })
    }

    /// Lists everything again after this time: what was told of could not be dealt with.
    pub fn list_again(&mut self, after: Duration) {
        self.next = Instant::now() + after;
    }

    /// Waits for messages, but not longer than `patience`. A message may be told of more than once.
    pub fn wait(&mut self, patience: Duration) -> News {
        let taken = self.pending.take((Instant::now() + patience).min(self.next));
        let is_time = Instant::now() >= self.next;
        let lists_all = taken.is_lost || is_time;
        let has_changed = self.look(lists_all, &taken.moved);
        let mut arrived = Vec::new();
        for (at, watched) in self.maildirs.iter().enumerate() {
            if has_changed[at] || (lists_all && watched.known.is_some()) {
                let listing = Listing::new(&watched.path);
                let (unfinished, paths) = listing.paths().into_iter().partition(|path| self.is_unfinished(path));
                arrived.push(Arrived { maildir: at, is_all: listing.failed.is_empty(), paths, unfinished });
                let failed = listing.failed.into_iter();
                self.notes.extend(failed.map(|(path, error)| Note::Unlisted(path, error.to_string())));
                continue;
            }
            let is_here = |path: &&PathBuf| path.parent().and_then(Path::parent) == Some(&watched.path);
            let paths: Vec<PathBuf> = taken.paths.iter().filter(is_here).cloned().collect();
            if !paths.is_empty() {
                arrived.push(Arrived { maildir: at, paths, is_all: false, unfinished: Vec::new() });
            }
        }
        if is_time {
            self.next = Instant::now() + self.every;
        }
        News { arrived, notes: std::mem::take(&mut self.notes) }
    }

    /// True for a message that may be written to at this moment; it comes with later news.
    fn is_unfinished(&self, path: &Path) -> bool {
        if self.pending.is_unfinished(path) {
            return true;
        }
        let is_new = path.parent().is_some_and(|folder| folder.ends_with("new"));
        let Some(left) = Some(path).filter(|_| is_new).and_then(unfinished) else {
            return false;
        };
        self.pending.postpone(path.to_path_buf(), Instant::now() + left);
        true
    }

    /// Listens to the folders that bear the names now, of all maildirs or of those of which something was renamed. True for
    /// each maildir that is there and may be another than before.
    fn look(&mut self, at_all: bool, moved: &BTreeSet<usize>) -> Vec<bool> {
        let mut has_changed = vec![false; self.maildirs.len()];
        for (at, watched) in self.maildirs.iter_mut().enumerate().filter(|(at, _)| at_all || moved.contains(at)) {
            let found = identity(&watched.path);
            // What was renamed and is the same was away for a moment, and is not listened to any more.
            if found == watched.known && !moved.contains(&at) {
                continue;
            }
            self.pending.forget(&watched.path);
            let folders = FOLDERS.map(|folder| watched.path.join(folder));
            let own = folders.iter().chain([&watched.path]);
            if let Some(watcher) = &mut self.watcher {
                // What is not listened to any more cannot be left.
                own.clone().for_each(|folder| drop(watcher.unwatch(folder)));
                let parent = watched.path.parent().map(Path::to_path_buf);
                for folder in own.chain(&parent).filter(|folder| folder.is_dir()) {
                    if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) {
                        self.notes.push(Note::Unheard(folder.clone(), why(&error)));
                    }
                }
            }
            match (watched.known.is_some(), found.is_some()) {
                (true, false) => self.notes.push(Note::Gone(watched.path.clone())),
                (false, true) if watched.was_there => self.notes.push(Note::Back(watched.path.clone())),
                _ => {}
            }
            watched.was_there |= found.is_some();
            watched.known = found;
            has_changed[at] = found.is_some();
        }
        has_changed
    }
}

/// Of a maildir that is there.
fn identity(maildir: &Path) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;
    let of = |path: &Path| path.metadata().ok().map(|found| (found.dev(), found.ino()));
    let [new, cur] = FOLDERS.map(|folder| of(&maildir.join(folder)));
    is_maildir(maildir).then(|| [of(maildir), new, cur])
}

fn why(error: &notify::Error) -> String {
    match &error.kind {
        notify::ErrorKind::MaxFilesWatch => "the system listens to as many folders as it may already \
             (fs.inotify.max_user_watches)"
            .into(),
        notify::ErrorKind::Io(error) => error.to_string(),
        kind => format!("{kind:?}"),
    }
}
