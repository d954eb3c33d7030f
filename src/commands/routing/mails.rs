//! The mails of maildirs and mailboxes, piece by piece.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::delivery::{Home, Mail, mailbox, whole};
use crate::intake::sniff::Format;
use crate::intake::{self, Options, Raw, Source, unshown};
use crate::maildir;
use crate::record::{Envelope, Origin, Reason, Skip, Verdict};

/// A program that writes a mailbox is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// A mail, or why there is none: a folder that cannot be listed, a mailbox that breaks off.
pub(in crate::commands) type Found = Result<Mail, Skip>;

/// What is in a place.
type Raws = Box<dyn Iterator<Item = Result<Raw, Skip>> + Send>;

/// One source of mail.
#[derive(Clone, Debug)]
pub(in crate::commands) struct Place {
    /// As it was given.
    path: PathBuf,
    /// Without links.
    whole: PathBuf,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Mailbox,
    Maildir,
    /// Of a maildir these messages only.
    Messages(Vec<PathBuf>),
}

impl Place {
    /// The sources, each once.
    ///
    /// # Errors
    /// When one is not there, or neither maildir nor file.
    pub(in crate::commands) fn all(paths: &[PathBuf]) -> Result<Vec<Self>> {
        let mut places: Vec<Self> = Vec::new();
        for path in paths {
            ensure!(path.as_os_str() != "-", "stdin cannot be sorted into maildirs; name a maildir or a mailbox");
            intake::check(path, &Options::default())?;
            let what = if maildir::is_maildir(path) { What::Maildir } else { What::Mailbox };
            if path.is_dir() && matches!(what, What::Mailbox) {
                bail!("{} is no maildir: it has no `cur` and `new`", path.display());
            }
            let whole = whole(path).with_context(|| format!("cannot read {}", path.display()))?;
            if !places.iter().any(|place| place.whole == whole) {
                places.push(Self { path: path.clone(), whole, what });
            }
        }
        Ok(places)
    }

    /// Messages of a maildir, by the paths at which they were seen last.
    ///
    /// # Errors
    /// When the maildir is not there.
    pub(in crate::commands) fn messages(maildir: &Path, paths: Vec<PathBuf>) -> Result<Self> {
        let whole = whole(maildir).with_context(|| format!("cannot read {}", maildir.display()))?;
        Ok(Self { path: maildir.to_path_buf(), whole, what: What::Messages(paths) })
    }

    /// As it was given.
    pub(in crate::commands) fn path(&self) -> &Path {
        &self.path
    }

    /// False for a mailbox.
    pub(in crate::commands) fn is_maildir(&self) -> bool {
        !matches!(self.what, What::Mailbox)
    }

    /// Its mails, which it forgets.
    /// A mailbox is locked meanwhile; one that another program holds is left to the next run.
    fn open(&mut self) -> Raws {
        let whole = || Source::new(std::iter::once(self.path.clone()), Options::default());
        match std::mem::replace(&mut self.what, What::Maildir) {
            What::Messages(paths) => Box::new(Source::messages(paths)),
            What::Maildir => Box::new(whole()),
            What::Mailbox => {
                self.what = What::Mailbox;
                match mailbox::lock(&self.path, PATIENCE) {
                    Ok(lock) => Box::new(Locked { mails: whole(), _lock: lock }),
                    Err(error) => {
                        let origin = Origin { source: intake::shown(&self.path), index: 0, offset: 0 };
                        Box::new(std::iter::once(Err(no_mail(origin, &format!("{error:#}")))))
                    }
                }
            }
        }
    }
}

/// A mailbox that nobody writes meanwhile.
struct Locked<I> {
    mails: I,
    _lock: File,
}

impl<I: Iterator> Iterator for Locked<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        self.mails.next()
    }
}

/// Reads mails.
pub(in crate::commands) struct Mails {
    places: std::vec::IntoIter<Place>,
    current: Option<(Place, Raws)>,
    /// How often mails of these bytes stood in the mailbox.
    equals: HashMap<[u8; 32], u64>,
}

/// A mail, and where it is; `None` for what is no mail.
pub(in crate::commands) type Located = (Option<Home>, Result<Raw, Skip>);

impl Iterator for Mails {
    type Item = Located;

    fn next(&mut self) -> Option<Located> {
        let (place, raw) = self.next_raw()?;
        let home = self.home(&place, &raw);
        Some(match raw {
            Ok(raw) if raw.format != Format::Mail => (home, Err(no_mail(raw.origin, "neither a mailbox nor a mail"))),
            raw => (home, raw),
        })
    }
}

impl Mails {
    pub(in crate::commands) fn new(places: Vec<Place>) -> Self {
        Self { places: places.into_iter(), current: None, equals: HashMap::new() }
    }

    fn next_raw(&mut self) -> Option<(Place, Result<Raw, Skip>)> {
        loop {
            if let Some((place, source)) = &mut self.current
                && let Some(raw) = source.next()
            {
                return Some((place.clone(), raw));
            }
            let mut place = self.places.next()?;
            self.equals.clear();
            let source = place.open();
            self.current = Some((place, source));
        }
    }

    /// Where a mail is; `None` for what is none.
    fn home(&mut self, place: &Place, raw: &Result<Raw, Skip>) -> Option<Home> {
        if !place.is_maildir() {
            let raw = raw.as_ref().ok().filter(|raw| raw.format == Format::Mail)?;
            let sha = mailbox::identity(&raw.bytes);
            let before = self.equals.entry(sha).or_default();
            *before += 1;
            let (equal, bytes, truncated) = (*before - 1, raw.bytes.clone(), raw.truncated);
            return Some(Home::Mailbox { mailbox: place.whole.clone(), bytes, sha, equal, truncated });
        }
        let origin = raw.as_ref().map_or_else(|skip| &skip.origin, |raw| &raw.origin);
        let listed = unshown(&origin.source);
        // Where a whole folder cannot be listed, that is named instead of a message.
        let is_message = listed.parent().and_then(Path::parent) == Some(&place.path);
        is_message.then(|| Home::Message { maildir: place.whole.clone(), listed })
    }
}

/// A mail with its verdict, or why it cannot be acted on.
pub(in crate::commands) fn found(home: Option<Home>, verdict: Verdict) -> Found {
    match home {
        Some(home) => Ok(Mail { home, verdict }),
        None => Err(Skip {
            origin: verdict.origin,
            envelope: verdict.envelope,
            attachments: Vec::new(),
            reason: verdict.outcome.err().unwrap_or(Reason::Binary),
        }),
    }
}

fn no_mail(origin: Origin, why: &str) -> Skip {
    let reason = Reason::Unreadable(why.into());
    Skip { origin, envelope: Envelope::default(), attachments: Vec::new(), reason }
}

/// The hashes of all mails of a mailbox; none where it cannot be read.
pub(in crate::commands) fn hashes(mailbox: &Path) -> HashSet<[u8; 32]> {
    let mails = Source::new(std::iter::once(mailbox.to_path_buf()), Options::default());
    mails.flatten().map(|raw| mailbox::identity(&raw.bytes)).collect()
}
