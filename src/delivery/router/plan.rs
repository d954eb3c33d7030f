//! What is to be done with a mail, before anything is.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::Result;
use sha2::{Digest, Sha256};

use super::{Home, Mail, Outcome};
use crate::delivery::files::Sha;
use crate::delivery::finder::Taken;
use crate::delivery::folder::Folder;
use crate::delivery::journal::{Act, Journal, Kind};
use crate::delivery::rules::{Action, By, Decision, Deed, Filing, Rules};
use crate::delivery::unique;
use crate::maildir::{Name, unique_name};

/// The longest name of a message without its flags; a file's name has room for 255 bytes.
const LONGEST_BASE: usize = 200;

/// Decides and plans.
pub(super) struct Planner<'p> {
    pub(super) rules: &'p Rules,
    pub(super) sets: &'p [String],
    pub(super) places: &'p HashMap<Folder, PathBuf>,
    pub(super) root: &'p Path,
    pub(super) journal: Option<&'p Journal>,
    pub(super) taken: &'p mut Taken,
    /// Messages with which something was begun that could not be settled.
    pub(super) open: &'p HashSet<(PathBuf, Vec<u8>)>,
}

/// A plan and what it follows.
pub(super) struct Planned<'p> {
    pub(super) outcome: Outcome,
    pub(super) deed: Option<&'p Deed>,
}

impl<'p> Planner<'p> {
    pub(super) fn plan(&mut self, mail: &Mail) -> Result<Planned<'p>> {
        let decided = match &mail.verdict.outcome {
            Ok(scored) => {
                let names: Vec<&str> = self.sets.iter().map(String::as_str).collect();
                Ok(self.rules.decide(&names, &scored.rankings))
            }
            Err(reason) => Err(reason.to_string()),
        };
        let (decision, error) = match decided {
            Ok(decision) => (decision, None),
            Err(why) => (Decision { deed: self.rules.on_error(), by: None, unsure: false }, Some(why)),
        };
        let Decision { deed, by, unsure } = decision;
        let mut outcome = Outcome { by, unsure, error, ..Outcome::default() };
        if let Some(deed) = deed {
            self.steps(mail, deed, &mut outcome)?;
        }
        Ok(Planned { outcome, deed })
    }

    fn steps(&mut self, mail: &Mail, deed: &Deed, outcome: &mut Outcome) -> Result<()> {
        if let Some(why) = self.refused(mail) {
            outcome.error = Some(why.into());
            return Ok(());
        }
        // What is unsure is no mail of the label that comes nearest.
        let by = outcome.by.as_ref().filter(|_| !outcome.unsure);
        let mut acts = Vec::new();
        let mut before = false;
        if deed.exec.is_some() {
            // By its label alone: who mends the command does not want it to run for all mail again.
            let key = self.key(mail, by, &[Kind::Exec.name().to_string()]);
            self.add(Act { key: Some(key), ..act(Kind::Exec, mail) }, Some(key), &mut acts, &mut before)?;
        }
        if let Some(filing) = &deed.filing
            && let Some((act, key)) = self.filed(mail, by, filing)
        {
            self.add(act, key, &mut acts, &mut before)?;
        }
        let count = acts.len();
        for (at, act) in acts.iter_mut().enumerate() {
            act.last = at + 1 == count;
            if let Some(by) = by {
                (act.label, act.score) = (by.label.to_string(), f64::from(by.score));
            }
        }
        outcome.before = before && acts.is_empty();
        outcome.folder = deed.filing.as_ref().and_then(|filing| filing.folder.as_ref()).map(Folder::name);
        outcome.acts = acts;
        Ok(())
    }

    /// Why nothing can be done with a mail, if that is so.
    fn refused(&self, mail: &Mail) -> Option<&'static str> {
        match &mail.home {
            Home::Mailbox { truncated: true, .. } => Some("it is too long to be taken out of a mailbox"),
            Home::Mailbox { .. } => None,
            Home::Message { maildir, listed } => match Name::new(listed.file_name().unwrap_or_default()).unique {
                unique if unique.is_empty() || unique_name(OsStr::from_bytes(unique)) != unique => {
                    Some("its file has no name but flags, by which it could not be found again")
                }
                unique if self.open.contains(&(maildir.clone(), unique.to_vec())) => {
                    Some("what a stopped run has begun with it is not settled")
                }
                _ => None,
            },
        }
    }

    /// Adds what was not done before, which the journal would know by `key`.
    fn add(&self, act: Act, key: Option<Sha>, acts: &mut Vec<Act>, before: &mut bool) -> Result<()> {
        let is_done = match (self.journal, &key) {
            (Some(journal), Some(key)) => journal.is_done(key)?,
            _ => false,
        };
        if is_done {
            *before = true
        } else {
            acts.push(act)
        }
        Ok(())
    }

    /// What is done, and by what it would be known that it was done before. `None` where the mail is where it shall be.
    fn filed(&mut self, mail: &Mail, by: Option<&By>, filing: &Filing) -> Option<(Act, Option<Sha>)> {
        let kind = match (filing.action, &mail.home) {
            (Action::Tag, _) => Kind::Tag,
            (Action::Header, _) => Kind::Header,
            // Nothing is taken out of a mailbox, and there is no file to link to.
            (_, Home::Mailbox { .. }) | (Action::Copy, _) => Kind::Copy,
            (Action::Link, _) => Kind::Link,
            (Action::Move, _) => Kind::Move,
        };
        let act = act(kind, mail);
        let folder = match filing.folder.as_ref().and_then(|folder| self.places.get(folder)) {
            Some(folder) => folder.clone(),
            None if kind == Kind::Header => act.source.clone(),
            None => PathBuf::new(),
        };
        let action = filing.action.name().to_string();
        let name = filing.folder.as_ref().map(Folder::name).unwrap_or_default();
        match kind {
            // It is another message from then on, of another length, and known as that.
            Kind::Header => {
                let base = unique::name();
                let key = self.key_of(self.message(&folder, &base), by, std::slice::from_ref(&action));
                Some((Act { folder, base, key: Some(key), ..act }, Some(self.key(mail, by, &[action]))))
            }
            Kind::Tag => {
                let key = Some(self.key(mail, by, &[action, name]));
                Some((Act { key, ..act }, key))
            }
            _ if act.source == folder => None,
            _ => {
                let key = (kind != Kind::Move).then(|| self.key(mail, by, &[action, name]));
                let base = self.base(mail, kind, &folder);
                Some((Act { folder, base, key, ..act }, key))
            }
        }
    }

    /// The name in the new folder, without flags.
    fn base(&mut self, mail: &Mail, kind: Kind, folder: &Path) -> Vec<u8> {
        let Home::Message { listed, .. } = &mail.home else {
            return unique::name();
        };
        let name = Name::new(listed.file_name().unwrap_or_default());
        let fields = name.fields_elsewhere();
        let base = [name.unique, &fields].concat();
        if kind == Kind::Move && base.len() <= LONGEST_BASE && self.taken.take(folder, name.unique) {
            return base;
        }
        let unique = unique::name();
        if unique.len() + fields.len() <= LONGEST_BASE { [unique, fields].concat() } else { unique }
    }

    /// By what it is known that a rule did something with a mail.
    fn key(&self, mail: &Mail, by: Option<&By>, what: &[String]) -> Sha {
        let whose = match &mail.home {
            Home::Message { maildir, listed } => {
                self.message(maildir, Name::new(listed.file_name().unwrap_or_default()).unique)
            }
            Home::Mailbox { mailbox, sha, equal, .. } => {
                vec![b"mailbox".to_vec(), self.seen_from_root(mailbox), sha.to_vec(), equal.to_le_bytes().to_vec()]
            }
        };
        self.key_of(whose, by, what)
    }

    /// What tells a message from all others.
    fn message(&self, maildir: &Path, unique: &[u8]) -> Vec<Vec<u8>> {
        vec![b"message".to_vec(), self.seen_from_root(maildir), unique.to_vec()]
    }

    /// The tree may be moved as a whole.
    fn seen_from_root(&self, path: &Path) -> Vec<u8> {
        path.strip_prefix(self.root).unwrap_or(path).as_os_str().as_bytes().to_vec()
    }

    fn key_of(&self, whose: Vec<Vec<u8>>, by: Option<&By>, what: &[String]) -> Sha {
        let set = by.filter(|_| self.sets.len() > 1).and_then(|by| self.sets.get(by.set)).map_or("", String::as_str);
        let label = by.map_or("", |by| &by.label);
        let words = [set, label].into_iter().chain(what.iter().map(String::as_str)).map(str::as_bytes);
        let mut key = Sha256::new();
        for part in whose.iter().map(Vec::as_slice).chain(words) {
            key.update((part.len() as u64).to_le_bytes());
            key.update(part);
        }
        key.finalize().into()
    }
}

fn act(kind: Kind, mail: &Mail) -> Act {
    match &mail.home {
        Home::Message { maildir, listed } => {
            let name = Name::new(listed.file_name().unwrap_or(OsStr::new(""))).unique;
            Act::new(kind, maildir.clone(), name.to_vec())
        }
        Home::Mailbox { mailbox, .. } => Act::new(kind, mailbox.clone(), Vec::new()),
    }
}
