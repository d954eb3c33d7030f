//! What is to be done with a mail, before anything is.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::Result;
use sha2::{Digest, Sha256};

use super::{Home, Mail, Outcome};
use crate::delivery::exec::{Exec, Words};
use crate::delivery::files::Sha;
use crate::delivery::finder::Taken;
use crate::delivery::folder::Folder;
use crate::delivery::journal::{Act, Journal, Kind};
use crate::delivery::rules::{Action, By, Decision, Deed, Filing, Rules};
use crate::delivery::unique;
use crate::maildir::Name;

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
        if matches!(mail.home, Home::Mailbox { truncated: true, .. }) {
            outcome.error = Some("it is too long to be taken out of a mailbox".into());
            return Ok(());
        }
        // What is unsure is no mail of the label that comes nearest.
        let by = outcome.by.as_ref().filter(|_| !outcome.unsure);
        let mut acts = Vec::new();
        let mut before = false;
        if let Some(exec) = &deed.exec {
            let act = Act { key: Some(self.key(mail, by, &command(exec))), ..act(Kind::Exec, mail) };
            self.add(act, &mut acts, &mut before)?;
        }
        if let Some(filing) = &deed.filing
            && let Some(act) = self.filed(mail, by, filing)
        {
            self.add(act, &mut acts, &mut before)?;
        }
        let count = acts.len();
        for (at, act) in acts.iter_mut().enumerate() {
            act.last = at + 1 == count;
            if let Some(by) = by {
                (act.label, act.score) = (by.label.to_string(), f64::from(by.score));
            }
        }
        outcome.before = before && acts.is_empty();
        outcome.acts = acts;
        Ok(())
    }

    /// Adds what was not done before.
    fn add(&self, act: Act, acts: &mut Vec<Act>, before: &mut bool) -> Result<()> {
        let is_done = match (self.journal, &act.key) {
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

    /// `None` where the mail is where it shall be.
    fn filed(&mut self, mail: &Mail, by: Option<&By>, filing: &Filing) -> Option<Act> {
        let folder = filing.folder.as_ref().and_then(|folder| self.places.get(folder)).cloned().unwrap_or_default();
        let kind = match (filing.action, &mail.home) {
            (Action::Tag, _) => Kind::Tag,
            // Nothing is taken out of a mailbox, and there is no file to link to.
            (_, Home::Mailbox { .. }) | (Action::Copy, _) => Kind::Copy,
            (Action::Link, _) => Kind::Link,
            (Action::Move, _) => Kind::Move,
        };
        let act = act(kind, mail);
        if kind != Kind::Tag && act.source == folder {
            return None;
        }
        let key = (kind != Kind::Move).then(|| {
            let name = filing.folder.as_ref().map(|folder| format!("{folder:?}")).unwrap_or_default();
            self.key(mail, by, &[filing.action.name().to_string(), name])
        });
        let base = if kind == Kind::Tag { Vec::new() } else { self.base(mail, kind, &folder) };
        Some(Act { folder, base, key, ..act })
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
        let mut key = Sha256::new();
        let mut add = |part: &[u8]| {
            key.update((part.len() as u64).to_le_bytes());
            key.update(part);
        };
        let source = |path: &Path| path.strip_prefix(self.root).unwrap_or(path).as_os_str().as_bytes().to_vec();
        match &mail.home {
            Home::Message { maildir, listed } => {
                add(b"message");
                add(&source(maildir));
                add(Name::new(listed.file_name().unwrap_or_default()).unique);
            }
            Home::Mailbox { mailbox, sha, equal, .. } => {
                add(b"mailbox");
                add(&source(mailbox));
                add(sha);
                add(&equal.to_le_bytes());
            }
        }
        let set = by.and_then(|by| self.sets.get(by.set)).map_or("", String::as_str);
        add(set.as_bytes());
        add(by.map_or("", |by| &by.label).as_bytes());
        what.iter().for_each(|word| add(word.as_bytes()));
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

/// What tells a command from others.
fn command(exec: &Exec) -> Vec<String> {
    let (how, words) = match exec.words() {
        Words::Program(words) => ("exec", words.clone()),
        Words::Shell(line) => ("shell", vec![line.clone()]),
    };
    std::iter::once(how.to_string()).chain(words).collect()
}
