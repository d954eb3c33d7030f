//! The messages that `watch` has looked at, and when it retries those that failed.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::delivery::{Disposition, EntryState, Journal, Location, Operation, ScoredMessage, resolved};
use crate::maildir::unique_name;
use crate::record::Reason;
use crate::watcher::Arrival;

/// Wait before the first retry of a failed message; doubles for each further one. A little less than the interval
/// between two listings, which find the message again.
const FIRST_WAIT: Duration = Duration::from_secs(50);
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// Unique part of a message's name.
type UniqueName = Box<[u8]>;

/// The messages of one maildir that were looked at. The journal has them too, except those that failed.
pub(super) struct SeenMessages {
    maildir: PathBuf,
    new_only: bool,
    /// False until the journal was asked whether this is the first time that the maildir is watched.
    is_begun: bool,
    seen: HashSet<UniqueName>,
    /// Time of the next retry, and the wait before it.
    failed: HashMap<UniqueName, (Instant, Duration)>,
}

impl SeenMessages {
    pub(super) fn new(maildir: &Path, new_only: bool) -> Self {
        let maildir = maildir.to_path_buf();
        Self { maildir, new_only, is_begun: false, seen: HashSet::new(), failed: HashMap::new() }
    }

    /// The maildir.
    pub(super) fn maildir(&self) -> &Path {
        &self.maildir
    }

    /// True when there may be something to do. Looks only at what is in memory.
    pub(super) fn concerns(&self, arrival: &Arrival) -> bool {
        let count = arrival.paths.len() + arrival.unfinished.len();
        let is_short = arrival.is_all && count < self.seen.len() + self.failed.len();
        !self.is_begun || is_short || arrival.paths.iter().any(|path| self.is_new(path))
    }

    fn is_new(&self, path: &Path) -> bool {
        let waits = self.failed.get(unique(path)).is_some_and(|(next, _)| *next > Instant::now());
        !waits && !self.seen.contains(unique(path))
    }

    /// The messages that were not looked at yet.
    ///
    /// # Errors
    /// When the journal cannot be read or written.
    pub(super) fn unseen(&mut self, journal: &mut Journal, arrival: Arrival) -> Result<Vec<PathBuf>> {
        let Ok(maildir) = resolved(&self.maildir) else {
            // Just renamed or removed: the next update will say so.
            return Ok(Vec::new());
        };
        let Arrival { mut paths, is_all, unfinished, .. } = arrival;
        let all = || paths.iter().chain(&unfinished).map(|path| unique(path));
        if !journal.was_watched(&maildir)? {
            let unlisted = self.new_only && !is_all;
            journal.see(&maildir, all().filter(|_| self.new_only), !unlisted)?;
        }
        if is_all {
            let held: HashSet<&[u8]> = all().collect();
            journal.forget_all_but(&maildir, &held)?;
            self.seen.retain(|name| held.contains(&name[..]));
            self.failed.retain(|name, _| held.contains(&name[..]));
            self.is_begun = true;
        }
        paths.retain(|path| self.is_new(path));
        let paths = one_of_each(paths);
        let mut unseen = Vec::with_capacity(paths.len());
        for path in paths {
            if journal.is_seen(&maildir, unique(&path))? {
                self.seen.insert(unique(&path).into());
            } else {
                unseen.push(path);
            }
        }
        Ok(unseen)
    }

    /// Notes what became of messages.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub(super) fn note(
        &mut self,
        journal: &mut Journal,
        messages: &[ScoredMessage],
        dispositions: &[Disposition],
    ) -> Result<()> {
        let mut looked_at: HashMap<&Path, Vec<&[u8]>> = HashMap::new();
        for (message, disposition) in messages.iter().zip(dispositions) {
            let Location::Maildir { maildir, listed } = &message.location else { continue };
            let name = unique(listed);
            let any = |state: EntryState| disposition.entries.iter().any(|entry| entry.state == state);
            let is_unread = matches!(message.verdict.outcome, Err(Reason::Unreadable(_)));
            if any(EntryState::Failed) || is_unread {
                let wait = self.failed.get(name).map_or(FIRST_WAIT, |(_, wait)| (2 * *wait).min(LONGEST_WAIT));
                self.failed.insert(name.into(), (Instant::now() + wait, wait));
                continue;
            }
            if any(EntryState::Forgotten) {
                continue;
            }
            self.failed.remove(name);
            let is_moved = |operation: Operation| matches!(operation, Operation::Move | Operation::Header);
            if disposition.entries.iter().any(|entry| is_moved(entry.operation) && entry.state == EntryState::Done) {
                // The journal knows a message that was rewritten in place. Its new name must not count as an arrival.
                let rewritten = disposition
                    .entries
                    .iter()
                    .filter(|entry| entry.operation == Operation::Header && entry.folder == *maildir);
                self.seen.extend(rewritten.map(|entry| UniqueName::from(unique_name(OsStr::from_bytes(&entry.base)))));
                continue;
            }
            self.seen.insert(name.into());
            looked_at.entry(maildir).or_default().push(name);
        }
        looked_at.into_iter().try_for_each(|(maildir, names)| journal.see(maildir, names.into_iter(), false))
    }
}

/// One path per message: of its old and new names the one that exists, if any.
fn one_of_each(paths: Vec<PathBuf>) -> Vec<PathBuf> {
    let mut kept: HashMap<UniqueName, usize> = HashMap::new();
    let mut each: Vec<PathBuf> = Vec::with_capacity(paths.len());
    for path in paths {
        match kept.get(unique(&path)) {
            Some(&at) if path.symlink_metadata().is_ok() => each[at] = path,
            Some(_) => {}
            None => {
                kept.insert(unique(&path).into(), each.len());
                each.push(path);
            }
        }
    }
    each
}

fn unique(path: &Path) -> &[u8] {
    path.file_name().map(unique_name).unwrap_or_default()
}
