//! Which messages were looked at, and which are to be tried again, and when.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::arrivals::Arrived;
use crate::delivery::{Home, Journal, Kind, Mail, Outcome, State, whole};
use crate::maildir::unique_name;
use crate::record::Reason;

/// What fails is tried again after this, and from then on after twice the time.
/// A little less than the time from one listing to the next, which finds it.
const FIRST_WAIT: Duration = Duration::from_secs(50);
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// The unique part of a message's name.
type Unique = Box<[u8]>;

/// The messages of one maildir that are known. The journal knows them too, but for those that failed.
pub(super) struct Known {
    maildir: PathBuf,
    new_only: bool,
    /// False until the journal was asked whether it is watched for the first time.
    is_begun: bool,
    seen: HashSet<Unique>,
    /// When they are tried again, and how long that was put off.
    failed: HashMap<Unique, (Instant, Duration)>,
}

impl Known {
    /// Nothing yet.
    pub(super) fn new(maildir: &Path, new_only: bool) -> Self {
        let maildir = maildir.to_path_buf();
        Self { maildir, new_only, is_begun: false, seen: HashSet::new(), failed: HashMap::new() }
    }

    /// The maildir.
    pub(super) fn maildir(&self) -> &Path {
        &self.maildir
    }

    /// True when there may be something to do, as far as is known without the journal.
    pub(super) fn concerns(&self, arrived: &Arrived) -> bool {
        let count = arrived.paths.len() + arrived.unfinished.len();
        let is_short = arrived.is_all && count < self.seen.len() + self.failed.len();
        !self.is_begun || is_short || arrived.paths.iter().any(|path| self.is_new(path))
    }

    fn is_new(&self, path: &Path) -> bool {
        let waits = self.failed.get(unique(path)).is_some_and(|(next, _)| *next > Instant::now());
        !waits && !self.seen.contains(unique(path))
    }

    /// What of this was not looked at yet.
    ///
    /// # Errors
    /// When the journal cannot be read or written.
    pub(super) fn unseen(&mut self, journal: &mut Journal, arrived: Arrived) -> Result<Vec<PathBuf>> {
        let Ok(maildir) = whole(&self.maildir) else {
            // It was renamed or removed a moment ago, which the next news tell.
            return Ok(Vec::new());
        };
        let Arrived { mut paths, is_all, unfinished, .. } = arrived;
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

    /// Takes note of what came of messages.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub(super) fn note(&mut self, journal: &mut Journal, mails: &[Mail], outcomes: &[Outcome]) -> Result<()> {
        let mut looked_at: HashMap<&Path, Vec<&[u8]>> = HashMap::new();
        for (mail, outcome) in mails.iter().zip(outcomes) {
            let Home::Message { maildir, listed } = &mail.home else { continue };
            let name = unique(listed);
            let any = |state: State| outcome.acts.iter().any(|act| act.state == state);
            let is_unread = matches!(mail.verdict.outcome, Err(Reason::Unreadable(_)));
            if any(State::Failed) || is_unread {
                let wait = self.failed.get(name).map_or(FIRST_WAIT, |(_, wait)| (2 * *wait).min(LONGEST_WAIT));
                self.failed.insert(name.into(), (Instant::now() + wait, wait));
                continue;
            }
            if any(State::Forgotten) {
                continue;
            }
            self.failed.remove(name);
            let is_moved = |kind: Kind| matches!(kind, Kind::Move | Kind::Header);
            if outcome.acts.iter().any(|act| is_moved(act.kind) && act.state == State::Done) {
                // What was written anew in its place is known to the journal; its arrival shall be no news.
                let anew = outcome.acts.iter().filter(|act| act.kind == Kind::Header && act.folder == *maildir);
                self.seen.extend(anew.map(|act| Unique::from(unique_name(OsStr::from_bytes(&act.base)))));
                continue;
            }
            self.seen.insert(name.into());
            looked_at.entry(maildir).or_default().push(name);
        }
        looked_at.into_iter().try_for_each(|(maildir, names)| journal.see(maildir, names.into_iter(), false))
    }
}

/// Of the names that a message has had one: the one that it has, if it has one of them.
fn one_of_each(paths: Vec<PathBuf>) -> Vec<PathBuf> {
    let mut kept: HashMap<Unique, usize> = HashMap::new();
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
