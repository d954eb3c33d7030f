//! Plans the operations for a message from its verdict and the rules, before anything is done.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use super::files::Sha;
use super::finder::Reservations;
use super::folder::FolderName;
use super::journal::{Journal, JournalEntry, Operation};
use super::message::{Disposition, Location, ScoredMessage};
use super::rules::{Action, Decision, Filing, Rules, Steps, TopLabel};
use super::tree::MaildirTree;
use super::unique;
use crate::maildir::{Name, unique_name};

/// Longest name of a message without flags; file systems take 255 bytes.
const LONGEST_BASE: usize = 200;

/// What planning looks at.
pub(super) struct Planner<'p> {
    pub(super) rules: &'p Rules,
    pub(super) sets: &'p [String],
    /// Paths of the rules' folders.
    pub(super) folders: &'p HashMap<FolderName, PathBuf>,
    /// Root of the maildir tree.
    pub(super) root: &'p Path,
    pub(super) journal: Option<&'p Journal>,
    pub(super) reservations: &'p mut Reservations,
    /// Messages with an unfinished operation that recovery could not settle.
    pub(super) unsettled: &'p HashSet<(PathBuf, Vec<u8>)>,
}

/// A plan, and the steps of the rule behind it.
pub(super) struct Planned<'p> {
    pub(super) disposition: Disposition,
    pub(super) steps: Option<&'p Steps>,
}

impl<'p> Planner<'p> {
    pub(super) fn plan(&mut self, message: &ScoredMessage) -> Result<Planned<'p>> {
        let decided = match &message.verdict.outcome {
            Ok(scored) => {
                let names: Vec<&str> = self.sets.iter().map(String::as_str).collect();
                Ok(self.rules.decide(&names, &scored.rankings, &message.verdict.envelope.headers))
            }
            Err(reason) => Err(reason.to_string()),
        };
        let (decision, error) = match decided {
            Ok(decision) => (decision, None),
            Err(why) => (Decision { steps: self.rules.on_error(), top: None, unsure: false }, Some(why)),
        };
        let Decision { steps, top, unsure } = decision;
        let mut disposition = Disposition { top, unsure, error, ..Disposition::default() };
        if let Some(steps) = steps {
            self.plan_steps(message, steps, &mut disposition)?;
        }
        Ok(Planned { disposition, steps })
    }

    fn plan_steps(&mut self, message: &ScoredMessage, steps: &Steps, disposition: &mut Disposition) -> Result<()> {
        if let Some(why) = self.refusal(message) {
            disposition.error = Some(why.into());
            return Ok(());
        }
        // An unsure message does not count as one of its best label.
        let top = disposition.top.as_ref().filter(|_| !disposition.unsure);
        let mut entries = Vec::new();
        let mut before = false;
        if steps.exec.is_some() {
            // The key names the label, not the command: a corrected command must not run for all old mail again.
            let key = self.message_key(message, top, &[Operation::Exec.name().to_string()]);
            let exec = JournalEntry { key: Some(key), ..entry(Operation::Exec, message) };
            self.add_new(exec, Some(key), &mut entries, &mut before)?;
        }
        if let Some(filing) = &steps.filing
            && let Some((entry, key)) = self.plan_filing(message, top, filing)
        {
            self.add_new(entry, key, &mut entries, &mut before)?;
        }
        let count = entries.len();
        for (at, entry) in entries.iter_mut().enumerate() {
            entry.last = at + 1 == count;
            if let Some(top) = top {
                (entry.label, entry.score) = (top.label.to_string(), f64::from(top.score));
            }
        }
        disposition.before = before && entries.is_empty();
        disposition.folder = steps.filing.as_ref().and_then(|filing| filing.folder.as_ref()).map(FolderName::name);
        disposition.entries = entries;
        Ok(())
    }

    /// Why nothing can be done with a message, if so.
    fn refusal(&self, message: &ScoredMessage) -> Option<&'static str> {
        match &message.location {
            Location::Mailbox { truncated: true, .. } => Some("it is too long to be copied out of an mbox file"),
            Location::Mailbox { .. } => None,
            Location::Maildir { maildir, listed } => match Name::new(listed.file_name().unwrap_or_default()).unique {
                unique if unique.is_empty() || unique_name(OsStr::from_bytes(unique)) != unique => {
                    Some("its file name has only flags and no unique part")
                }
                unique if self.unsettled.contains(&(maildir.clone(), unique.to_vec())) => {
                    Some("an operation of a stopped run on it could not be recovered")
                }
                _ => None,
            },
        }
    }

    /// Adds an operation, unless the journal knows by `key` that it was done before.
    fn add_new(
        &self,
        entry: JournalEntry,
        key: Option<Sha>,
        entries: &mut Vec<JournalEntry>,
        before: &mut bool,
    ) -> Result<()> {
        let is_done = match (self.journal, &key) {
            (Some(journal), Some(key)) => journal.is_done(key)?,
            _ => false,
        };
        if is_done {
            *before = true
        } else {
            entries.push(entry)
        }
        Ok(())
    }

    /// The filing operation, and the idempotency key under which an earlier run would have done it. `None` for a
    /// message that already is in its folder.
    fn plan_filing(
        &mut self,
        message: &ScoredMessage,
        top: Option<&TopLabel>,
        filing: &Filing,
    ) -> Option<(JournalEntry, Option<Sha>)> {
        let operation = match (filing.action, &message.location) {
            (Action::Tag, _) => Operation::Tag,
            (Action::Header, _) => Operation::Header,
            // An mbox file is never changed, and holds no file to link to.
            (_, Location::Mailbox { .. }) | (Action::Copy, _) => Operation::Copy,
            (Action::Link, _) => Operation::Link,
            (Action::Move, _) => Operation::Move,
        };
        let entry = entry(operation, message);
        let folder = match filing.folder.as_ref().and_then(|folder| self.folders.get(folder)) {
            Some(folder) => folder.clone(),
            None if operation == Operation::Header => entry.source.clone(),
            None => PathBuf::new(),
        };
        let action = filing.action.name().to_string();
        let name = filing.folder.as_ref().map(FolderName::name).unwrap_or_default();
        match operation {
            // The rewritten message has another length and so gets another name. Its own key is by that name.
            Operation::Header => {
                let base = unique::name();
                let key = self.key(self.maildir_identity(&folder, &base), top, std::slice::from_ref(&action));
                let done_before = self.message_key(message, top, &[action]);
                Some((JournalEntry { folder, base, key: Some(key), ..entry }, Some(done_before)))
            }
            Operation::Tag => {
                let key = Some(self.message_key(message, top, &[action, name]));
                Some((JournalEntry { key, ..entry }, key))
            }
            _ if entry.source == folder => None,
            _ => {
                let key = (operation != Operation::Move).then(|| self.message_key(message, top, &[action, name]));
                let base = self.base(message, operation, &folder);
                Some((JournalEntry { folder, base, key, ..entry }, key))
            }
        }
    }

    /// The message's name in its new folder, without flags.
    fn base(&mut self, message: &ScoredMessage, operation: Operation, folder: &Path) -> Vec<u8> {
        let Location::Maildir { listed, .. } = &message.location else {
            return unique::name();
        };
        let name = Name::new(listed.file_name().unwrap_or_default());
        let fields = name.fields_elsewhere();
        let base = [name.unique, &fields].concat();
        let is_kept = operation == Operation::Move && base.len() <= LONGEST_BASE;
        if is_kept && self.reservations.reserve(folder, name.unique) {
            return base;
        }
        let unique = unique::name();
        if unique.len() + fields.len() <= LONGEST_BASE { [unique, fields].concat() } else { unique }
    }

    /// Idempotency key of a rule's action on a message.
    fn message_key(&self, message: &ScoredMessage, top: Option<&TopLabel>, what: &[String]) -> Sha {
        let identity = match &message.location {
            Location::Maildir { maildir, listed } => {
                self.maildir_identity(maildir, Name::new(listed.file_name().unwrap_or_default()).unique)
            }
            Location::Mailbox { mailbox, sha, equal, .. } => {
                vec![b"mailbox".to_vec(), self.relative(mailbox), sha.to_vec(), equal.to_le_bytes().to_vec()]
            }
        };
        self.key(identity, top, what)
    }

    /// What distinguishes a message of a maildir from all others.
    fn maildir_identity(&self, maildir: &Path, unique: &[u8]) -> Vec<Vec<u8>> {
        vec![b"message".to_vec(), self.relative(maildir), unique.to_vec()]
    }

    /// Keys hold paths relative to the root, so that the tree can be moved as a whole.
    fn relative(&self, path: &Path) -> Vec<u8> {
        path.strip_prefix(self.root).unwrap_or(path).as_os_str().as_bytes().to_vec()
    }

    /// SHA-256 over the identity, the label set where there are several, the label and `what`, each with its length.
    fn key(&self, identity: Vec<Vec<u8>>, top: Option<&TopLabel>, what: &[String]) -> Sha {
        let set = top.filter(|_| self.sets.len() > 1).and_then(|top| self.sets.get(top.set)).map_or("", String::as_str);
        let label = top.map_or("", |top| &top.label);
        let words = [set, label].into_iter().chain(what.iter().map(String::as_str)).map(str::as_bytes);
        let mut key = Sha256::new();
        for part in identity.iter().map(Vec::as_slice).chain(words) {
            key.update((part.len() as u64).to_le_bytes());
            key.update(part);
        }
        key.finalize().into()
    }
}

fn entry(operation: Operation, message: &ScoredMessage) -> JournalEntry {
    match &message.location {
        Location::Maildir { maildir, listed } => {
            let name = Name::new(listed.file_name().unwrap_or(OsStr::new(""))).unique;
            JournalEntry::new(operation, maildir.clone(), name.to_vec())
        }
        Location::Mailbox { mailbox, .. } => JournalEntry::new(operation, mailbox.clone(), Vec::new()),
    }
}

/// Paths of the rules' folders.
///
/// # Errors
/// When the tree cannot hold one; the message names the rule.
pub(super) fn folders(rules: &Rules, tree: &MaildirTree) -> Result<HashMap<FolderName, PathBuf>> {
    let mut folders = HashMap::new();
    for (place, steps) in rules.steps() {
        if let Some(folder) = steps.filing.as_ref().and_then(|filing| filing.folder.as_ref()) {
            folders.insert(folder.clone(), tree.path(folder).with_context(|| place)?);
        }
    }
    Ok(folders)
}

/// Plans and does nothing, with or without a journal.
pub struct DryRun {
    rules: Rules,
    sets: Vec<String>,
    folders: HashMap<FolderName, PathBuf>,
    root: PathBuf,
    journal: Option<Journal>,
    reservations: Reservations,
}

impl DryRun {
    /// `sets` names the label sets, in the order of rankings.
    ///
    /// # Errors
    /// When the tree cannot hold a folder of the rules; the message names the rule.
    pub fn new(journal: Option<Journal>, tree: &MaildirTree, rules: Rules, sets: Vec<String>) -> Result<Self> {
        let folders = folders(&rules, tree)?;
        let (root, reservations) = (tree.root().to_path_buf(), Reservations::default());
        Ok(Self { rules, sets, folders, root, journal, reservations })
    }

    /// What would be done with a message.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn plan(&mut self, message: &ScoredMessage) -> Result<Disposition> {
        let mut planner = Planner {
            rules: &self.rules,
            sets: &self.sets,
            folders: &self.folders,
            root: &self.root,
            journal: self.journal.as_ref(),
            reservations: &mut self.reservations,
            unsettled: &HashSet::new(),
        };
        planner.plan(message).map(|planned| planned.disposition)
    }
}
