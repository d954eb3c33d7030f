//! Reads messages from maildirs and mbox files.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::delivery::{Location, ScoredMessage, mailbox, resolved};
use crate::intake::sniff::SourceFormat;
use crate::intake::{self, Options, Raw, Source, unshown};
use crate::maildir;
use crate::record::{Envelope, Origin, Reason, Skip, Verdict};

/// Longest wait for a program that writes an mbox file.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// The contents of a mail store.
type Raws = Box<dyn Iterator<Item = Result<Raw, Skip>> + Send>;

/// A maildir or an mbox file.
#[derive(Clone, Debug)]
pub(in crate::commands) struct MailStore {
    /// The path as the user gave it.
    path: PathBuf,
    /// The path without links.
    resolved: PathBuf,
    kind: StoreKind,
}

#[derive(Clone, Debug)]
enum StoreKind {
    Mailbox,
    Maildir,
    /// Only these messages of a maildir.
    Messages(Vec<PathBuf>),
}

impl MailStore {
    /// The stores at `paths`, each once.
    ///
    /// # Errors
    /// When one does not exist, or is neither a maildir nor a file.
    pub(in crate::commands) fn all(paths: &[PathBuf]) -> Result<Vec<Self>> {
        let mut stores: Vec<Self> = Vec::new();
        for path in paths {
            ensure!(path.as_os_str() != "-", "stdin cannot be sorted into maildirs; name a maildir or an mbox file");
            intake::check(path, &Options::default())?;
            let kind = if maildir::is_maildir(path) { StoreKind::Maildir } else { StoreKind::Mailbox };
            if path.is_dir() && matches!(kind, StoreKind::Mailbox) {
                bail!("{} is not a maildir: it has no `cur` and `new`", path.display());
            }
            let resolved = resolved(path).with_context(|| format!("cannot read {}", path.display()))?;
            if !stores.iter().any(|store| store.resolved == resolved) {
                stores.push(Self { path: path.clone(), resolved, kind });
            }
        }
        Ok(stores)
    }

    /// Some messages of a maildir, by the paths at which they were seen last.
    ///
    /// # Errors
    /// When the maildir does not exist.
    pub(in crate::commands) fn messages(maildir: &Path, paths: Vec<PathBuf>) -> Result<Self> {
        let resolved = resolved(maildir).with_context(|| format!("cannot read {}", maildir.display()))?;
        Ok(Self { path: maildir.to_path_buf(), resolved, kind: StoreKind::Messages(paths) })
    }

    /// The path as the user gave it.
    pub(in crate::commands) fn path(&self) -> &Path {
        &self.path
    }

    /// False for an mbox file.
    pub(in crate::commands) fn is_maildir(&self) -> bool {
        !matches!(self.kind, StoreKind::Mailbox)
    }

    /// Opens its messages. An mbox file is locked meanwhile; one that another program holds is left to the next run.
    fn open(&mut self) -> Raws {
        let all = || Source::new(std::iter::once(self.path.clone()), Options::default());
        match std::mem::replace(&mut self.kind, StoreKind::Maildir) {
            StoreKind::Messages(paths) => Box::new(Source::messages(paths)),
            StoreKind::Maildir => Box::new(all()),
            StoreKind::Mailbox => {
                self.kind = StoreKind::Mailbox;
                match mailbox::lock(&self.path, LOCK_TIMEOUT) {
                    Ok(lock) => Box::new(Locked { messages: all(), _lock: lock }),
                    Err(error) => {
                        let origin = Origin { source: intake::shown(&self.path), index: 0, offset: 0 };
                        Box::new(std::iter::once(Err(unreadable(origin, &format!("{error:#}")))))
                    }
                }
            }
        }
    }
}

/// The messages of an mbox file, and its lock.
struct Locked<I> {
    messages: I,
    _lock: File,
}

impl<I: Iterator> Iterator for Locked<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        self.messages.next()
    }
}

/// The messages of several mail stores.
pub(in crate::commands) struct Messages {
    stores: std::vec::IntoIter<MailStore>,
    current: Option<(MailStore, Raws)>,
    /// Number of messages with this identity so far in the mbox file.
    equals: HashMap<[u8; 32], u64>,
}

/// A message and its location, which is `None` for something else: a folder that cannot be listed, an mbox file that
/// breaks off.
pub(in crate::commands) type LocatedMessage = (Option<Location>, Result<Raw, Skip>);

impl Iterator for Messages {
    type Item = LocatedMessage;

    fn next(&mut self) -> Option<LocatedMessage> {
        let (store, raw) = self.next_raw()?;
        let location = self.location(&store, &raw);
        let raw = match raw {
            Ok(raw) if raw.format != SourceFormat::Mail => {
                Err(unreadable(raw.origin, "neither an mbox file nor a message"))
            }
            raw => raw,
        };
        Some((location, raw))
    }
}

impl Messages {
    pub(in crate::commands) fn new(stores: Vec<MailStore>) -> Self {
        Self { stores: stores.into_iter(), current: None, equals: HashMap::new() }
    }

    fn next_raw(&mut self) -> Option<(MailStore, Result<Raw, Skip>)> {
        loop {
            if let Some((store, source)) = &mut self.current
                && let Some(raw) = source.next()
            {
                return Some((store.clone(), raw));
            }
            let mut store = self.stores.next()?;
            self.equals.clear();
            let source = store.open();
            self.current = Some((store, source));
        }
    }

    /// Location of a message; `None` for something else.
    fn location(&mut self, store: &MailStore, raw: &Result<Raw, Skip>) -> Option<Location> {
        if !store.is_maildir() {
            let raw = raw.as_ref().ok().filter(|raw| raw.format == SourceFormat::Mail)?;
            let sha = mailbox::identity(&raw.bytes);
            let before = self.equals.entry(sha).or_default();
            *before += 1;
            let (equal, bytes, truncated) = (*before - 1, raw.bytes.clone(), raw.truncated);
            return Some(Location::Mailbox { mailbox: store.resolved.clone(), bytes, sha, equal, truncated });
        }
        let origin = raw.as_ref().map_or_else(|skip| &skip.origin, |raw| &raw.origin);
        let listed = unshown(&origin.source);
        // A folder that cannot be listed stands for its messages.
        let is_message = listed.parent().and_then(Path::parent) == Some(&store.path);
        is_message.then(|| Location::Maildir { maildir: store.resolved.clone(), listed })
    }
}

/// A message with its verdict, or why it cannot be routed.
pub(super) fn scored(location: Option<Location>, verdict: Verdict) -> Result<ScoredMessage, Skip> {
    match location {
        Some(location) => Ok(ScoredMessage { location, verdict }),
        None => Err(Skip {
            origin: verdict.origin,
            envelope: verdict.envelope,
            attachments: Vec::new(),
            reason: verdict.outcome.err().unwrap_or(Reason::Binary),
        }),
    }
}

fn unreadable(origin: Origin, why: &str) -> Skip {
    let reason = Reason::Unreadable(why.into());
    Skip { origin, envelope: Envelope::default(), attachments: Vec::new(), reason }
}

/// Identities of all messages in an mbox file; empty when it cannot be read.
pub(in crate::commands) fn identities(mailbox: &Path) -> HashSet<[u8; 32]> {
    let messages = Source::new(std::iter::once(mailbox.to_path_buf()), Options::default());
    messages.flatten().map(|raw| mailbox::identity(&raw.bytes)).collect()
}
