//! Watches maildirs for new messages; the only place that knows notify.
//!
//! File system events are only a hint: a burst may overflow the system's queue, and a folder that takes another's name
//! sends none. So maildirs are also listed: at the start, after lost events, when a folder was renamed, and at an
//! interval.

mod events;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};

use crate::maildir::{FOLDERS, Listing, is_maildir, unfinished};
use events::EventQueue;

/// Messages of one maildir that may be new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Index of the maildir.
    pub maildir: usize,
    /// The messages, where they were seen last.
    pub paths: Vec<PathBuf>,
    /// True when these and `unfinished` are all messages of the maildir.
    pub is_all: bool,
    /// Messages that may still be written to; a later update has them.
    pub unfinished: Vec<PathBuf>,
}

/// What has happened since the last update.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Update {
    /// New messages.
    pub arrivals: Vec<Arrival>,
    /// Changes that the user may want to know of.
    pub notices: Vec<Notice>,
}

/// Something that has happened to a maildir.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A maildir does not exist any more.
    Removed(PathBuf),
    /// It exists again.
    Restored(PathBuf),
    /// The system sends no events for a folder, and why. The folder is still listed at an interval.
    NotWatched(PathBuf, String),
    /// A folder cannot be listed, and why.
    NotListed(PathBuf, String),
}

/// Waits for messages.
pub struct MaildirWatcher {
    watcher: Option<RecommendedWatcher>,
    events: Arc<EventQueue>,
    maildirs: Vec<WatchedMaildir>,
    /// Interval at which everything is listed.
    interval: Duration,
    next_listing: Instant,
    /// For the next update.
    notices: Vec<Notice>,
}

/// A maildir and the folders that are watched for it.
struct WatchedMaildir {
    path: PathBuf,
    /// The watched folders; `None` while the maildir does not exist.
    folders: Option<FolderIds>,
    has_existed: bool,
}

/// Device and inode of the maildir, its `new` and its `cur`: other folders may take their names.
type FolderIds = [Option<(u64, u64)>; 3];

impl MaildirWatcher {
    /// Starts watching. The first update holds all messages that are there.
    ///
    /// # Errors
    /// When a path cannot be made absolute.
    pub fn new(maildirs: &[PathBuf], interval: Duration) -> io::Result<Self> {
        let paths: Vec<PathBuf> = maildirs.iter().map(std::path::absolute).collect::<io::Result<_>>()?;
        let events = Arc::new(EventQueue::new(&paths));
        let queue = events.clone();
        let mut notices = Vec::new();
        let watcher = match notify::recommended_watcher(move |event| queue.push(event)) {
            Ok(watcher) => Some(watcher),
            Err(error) => {
                notices.extend(paths.iter().map(|path| Notice::NotWatched(path.clone(), reason(&error))));
                None
            }
        };
        let maildirs =
            paths.into_iter().map(|path| WatchedMaildir { path, folders: None, has_existed: false }).collect();
        Ok(Self { watcher, events, maildirs, interval, next_listing: Instant::now(), notices })
    }

    /// Lists everything again after this time, because an update could not be dealt with.
    pub fn list_again(&mut self, after: Duration) {
        self.next_listing = Instant::now() + after;
    }

    /// Waits for messages, at most for `timeout`. A message may be in several updates.
    pub fn wait(&mut self, timeout: Duration) -> Update {
        let events = self.events.take((Instant::now() + timeout).min(self.next_listing));
        let is_time = Instant::now() >= self.next_listing;
        let lists_all = events.is_lost || is_time;
        let has_changed = self.watch_folders(lists_all, &events.moved);
        let mut arrivals = Vec::new();
        for (at, watched) in self.maildirs.iter().enumerate() {
            if has_changed[at] || (lists_all && watched.folders.is_some()) {
                let listing = Listing::new(&watched.path);
                let (unfinished, paths) = listing.paths().into_iter().partition(|path| self.is_unfinished(path));
                arrivals.push(Arrival { maildir: at, is_all: listing.failed.is_empty(), paths, unfinished });
                let failed = listing.failed.into_iter();
                self.notices.extend(failed.map(|(path, error)| Notice::NotListed(path, error.to_string())));
                continue;
            }
            let is_here = |path: &&PathBuf| path.parent().and_then(Path::parent) == Some(&watched.path);
            let paths: Vec<PathBuf> = events.paths.iter().filter(is_here).cloned().collect();
            if !paths.is_empty() {
                arrivals.push(Arrival { maildir: at, paths, is_all: false, unfinished: Vec::new() });
            }
        }
        if is_time {
            self.next_listing = Instant::now() + self.interval;
        }
        Update { arrivals, notices: std::mem::take(&mut self.notices) }
    }

    /// True for a message that may still be written to; a later update will have it.
    fn is_unfinished(&self, path: &Path) -> bool {
        if self.events.is_unfinished(path) {
            return true;
        }
        let is_new = path.parent().is_some_and(|folder| folder.ends_with("new"));
        let Some(left) = Some(path).filter(|_| is_new).and_then(unfinished) else {
            return false;
        };
        self.events.postpone(path.to_path_buf(), Instant::now() + left);
        true
    }

    /// Watches the folders that have the names now, of all maildirs or of those with a renamed folder. Returns true for
    /// each maildir that exists and may be another one than before.
    fn watch_folders(&mut self, at_all: bool, moved: &BTreeSet<usize>) -> Vec<bool> {
        let mut has_changed = vec![false; self.maildirs.len()];
        for (at, watched) in self.maildirs.iter_mut().enumerate().filter(|(at, _)| at_all || moved.contains(at)) {
            let found = folder_ids(&watched.path);
            // After a rename even the same folder must be watched anew: the system has dropped its watch.
            if found == watched.folders && !moved.contains(&at) {
                continue;
            }
            self.events.forget(&watched.path);
            let folders = FOLDERS.map(|folder| watched.path.join(folder));
            let own = folders.iter().chain([&watched.path]);
            if let Some(watcher) = &mut self.watcher {
                // Fails for a folder that is no longer watched.
                own.clone().for_each(|folder| drop(watcher.unwatch(folder)));
                let parent = watched.path.parent().map(Path::to_path_buf);
                for folder in own.chain(&parent).filter(|folder| folder.is_dir()) {
                    if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) {
                        self.notices.push(Notice::NotWatched(folder.clone(), reason(&error)));
                    }
                }
            }
            match (watched.folders.is_some(), found.is_some()) {
                (true, false) => self.notices.push(Notice::Removed(watched.path.clone())),
                (false, true) if watched.has_existed => self.notices.push(Notice::Restored(watched.path.clone())),
                _ => {}
            }
            watched.has_existed |= found.is_some();
            watched.folders = found;
            has_changed[at] = found.is_some();
        }
        has_changed
    }
}

/// The folders of a maildir that exists.
fn folder_ids(maildir: &Path) -> Option<FolderIds> {
    use std::os::unix::fs::MetadataExt;
    let of = |path: &Path| path.metadata().ok().map(|found| (found.dev(), found.ino()));
    let [new, cur] = FOLDERS.map(|folder| of(&maildir.join(folder)));
    is_maildir(maildir).then(|| [of(maildir), new, cur])
}

fn reason(error: &notify::Error) -> String {
    match &error.kind {
        notify::ErrorKind::MaxFilesWatch => "the limit of watched folders is reached \
             (fs.inotify.max_user_watches)"
            .into(),
        notify::ErrorKind::Io(error) => error.to_string(),
        kind => format!("{kind:?}"),
    }
}
