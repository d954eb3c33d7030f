//! The mails of maildirs and mailboxes, piece by piece.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};

use crate::commands::sorter::Sorter;
use crate::delivery::{Home, Mail, whole};
use crate::intake::sniff::Format;
use crate::intake::{self, MAX_DOCUMENT, Options, Raw, Source, unshown};
use crate::maildir;
use crate::record::{Envelope, Origin, Reason, Skip};

/// So many mails are scored and moved together, as long as that is quick: a stop waits for it.
const MOST: usize = 64;
const LEAST: usize = 4;
const QUICK: Duration = Duration::from_millis(500);

/// A mail, or why there is none: a folder that cannot be listed, a mailbox that breaks off.
pub(super) type Found = Result<Mail, Skip>;

/// One source of mail.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// As it was given.
    path: PathBuf,
    /// Without links.
    whole: PathBuf,
    is_maildir: bool,
}

impl Place {
    /// The sources, each once.
    ///
    /// # Errors
    /// When one is not there, or neither maildir nor file.
    pub(super) fn all(paths: &[PathBuf]) -> Result<Vec<Self>> {
        let mut places: Vec<Self> = Vec::new();
        for path in paths {
            ensure!(path.as_os_str() != "-", "stdin cannot be sorted into maildirs; name a maildir or a mailbox");
            intake::check(path, &Options::default())?;
            let is_maildir = maildir::is_maildir(path);
            if path.is_dir() && !is_maildir {
                bail!("{} is no maildir: it has no `cur` and `new`", path.display());
            }
            let whole = whole(path).with_context(|| format!("cannot read {}", path.display()))?;
            if !places.iter().any(|place| place.whole == whole) {
                places.push(Self { path: path.clone(), whole, is_maildir });
            }
        }
        Ok(places)
    }
}

/// Reads mails.
pub(super) struct Mails {
    places: std::vec::IntoIter<Place>,
    current: Option<(Place, Source<std::iter::Once<PathBuf>>)>,
    /// How often mails of these bytes stood in the mailbox.
    equals: HashMap<[u8; 32], u64>,
    /// How many are taken together.
    piece: usize,
}

impl Mails {
    pub(super) fn new(places: Vec<Place>) -> Self {
        Self { places: places.into_iter(), current: None, equals: HashMap::new(), piece: LEAST }
    }

    fn next(&mut self) -> Option<(Place, Result<Raw, Skip>)> {
        loop {
            if let Some((place, source)) = &mut self.current
                && let Some(raw) = source.next()
            {
                return Some((place.clone(), raw));
            }
            let place = self.places.next()?;
            self.equals.clear();
            self.current = Some((place.clone(), Source::new(std::iter::once(place.path), Options::default())));
        }
    }

    /// The next mails with their verdicts; none at the end.
    ///
    /// # Errors
    /// When the model cannot run.
    pub(super) fn next_piece(&mut self, sorter: &Sorter) -> Result<(Vec<Found>, Duration)> {
        let started = Instant::now();
        let (mut homes, mut raws, mut room) = (Vec::new(), Vec::new(), MAX_DOCUMENT);
        while homes.len() < self.piece && room > 0 {
            let Some((place, raw)) = self.next() else { break };
            room = room.saturating_sub(raw.as_ref().map_or(0, Raw::weight));
            homes.push(self.home(&place, &raw));
            raws.push(match raw {
                Ok(raw) if raw.format != Format::Mail => Err(no_mail(raw.origin)),
                raw => raw,
            });
        }
        let verdicts = sorter.sort(raws)?;
        let taken = started.elapsed();
        self.piece = if taken < QUICK { (self.piece * 2).min(MOST) } else { (self.piece / 2).max(LEAST) };
        let found = homes.into_iter().zip(verdicts).map(|(home, verdict)| match (home, verdict) {
            (Some(home), verdict) => Ok(Mail { home, verdict }),
            (None, verdict) => Err(Skip {
                origin: verdict.origin,
                envelope: verdict.envelope,
                attachments: Vec::new(),
                reason: verdict.outcome.err().unwrap_or(Reason::Binary),
            }),
        });
        Ok((found.collect(), taken))
    }

    /// Where a mail is; `None` for what is none.
    fn home(&mut self, place: &Place, raw: &Result<Raw, Skip>) -> Option<Home> {
        if !place.is_maildir {
            let raw = raw.as_ref().ok().filter(|raw| raw.format == Format::Mail)?;
            let sha: [u8; 32] = Sha256::digest(&raw.bytes).into();
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

fn no_mail(origin: Origin) -> Skip {
    let reason = Reason::Unreadable("neither a mailbox nor a mail".into());
    Skip { origin, envelope: Envelope::default(), attachments: Vec::new(), reason }
}

/// The hashes of all mails of a mailbox; none where it cannot be read.
pub(super) fn hashes(mailbox: &Path) -> HashSet<[u8; 32]> {
    let mails = Source::new(std::iter::once(mailbox.to_path_buf()), Options::default());
    mails.flatten().map(|raw| Sha256::digest(&raw.bytes).into()).collect()
}
