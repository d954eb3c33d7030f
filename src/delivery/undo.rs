//! Undo: puts back what a run has done, newest first.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::executor::{Executor, Payload, foresee};
use super::files::{self, Sha};
use super::finder::Reservations;
use super::journal::{EntryState, JournalEntry, Operation};
use super::{mailbox, unique};
use crate::maildir::Name;

/// Number of operations per transaction.
const BATCH: usize = 64;

/// A longer name leaves no room for the flags that a message may have by now.
const LONGEST_NAME: usize = 240;

/// Result of an undo.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UndoReport {
    /// Number of the undoing run.
    pub run: i64,
    /// Messages that are back where they were.
    pub back: u64,
    /// Copies and links that were removed.
    pub removed: u64,
    /// Messages that are no longer where they were filed.
    pub gone: Vec<String>,
    /// Tags that the next run will print again.
    pub tags: u64,
    /// Messages that the next run will give to a command again; what the command did stays.
    pub commands: u64,
    /// Messages that were kept or could not be put back, and why.
    pub kept: Vec<String>,
    /// True when the undo was stopped before its end.
    pub stopped: bool,
}

impl Executor {
    /// Puts back what `run` has done. `originals` returns the identities of the messages in an mbox file: a copy is
    /// removed only while its original is there.
    ///
    /// # Errors
    /// When the journal cannot be read or written.
    pub fn undo(
        &mut self,
        run: i64,
        originals: &mut dyn FnMut(&Path) -> HashSet<Sha>,
        stop: &dyn Fn() -> bool,
    ) -> Result<UndoReport> {
        let entries = self.journal.done_by(run)?;
        let mut undone = UndoReport::default();
        if entries.is_empty() {
            return Ok(undone);
        }
        undone.run = self.journal.begin(Some(run))?;
        // What tags and commands did cannot be taken back, but the next run may repeat it.
        let (outside, files): (Vec<JournalEntry>, Vec<JournalEntry>) =
            entries.into_iter().partition(|entry| matches!(entry.operation, Operation::Tag | Operation::Exec));
        self.journal.forget(&outside)?;
        undone.tags = outside.iter().filter(|entry| entry.operation == Operation::Tag).count() as u64;
        undone.commands = outside.len() as u64 - undone.tags;
        let mut undoing = Undoing {
            executor: self,
            reservations: Reservations::default(),
            undone: &mut undone,
            mailboxes: Mailboxes { originals, known: HashMap::new() },
        };
        for batch in files.chunks(BATCH) {
            if stop() {
                undoing.undone.stopped = true;
                return Ok(undone);
            }
            undoing.batch(batch)?;
        }
        self.journal.end(undone.run, 0, undone.kept.len() as u64)?;
        Ok(undone)
    }
}

/// Identities of the messages in mbox files, each file read once.
struct Mailboxes<'m> {
    originals: &'m mut dyn FnMut(&Path) -> HashSet<Sha>,
    known: HashMap<PathBuf, HashSet<Sha>>,
}

impl Mailboxes<'_> {
    fn holds(&mut self, mailbox: &Path, copy: &Path) -> io::Result<bool> {
        let hashes = self.known.entry(mailbox.to_path_buf()).or_insert_with(|| (self.originals)(mailbox));
        Ok(hashes.contains(&mailbox::identity(&fs::read(copy)?)))
    }
}

struct Undoing<'u> {
    executor: &'u mut Executor,
    reservations: Reservations,
    undone: &'u mut UndoReport,
    mailboxes: Mailboxes<'u>,
}

impl Undoing<'_> {
    fn batch(&mut self, batch: &[JournalEntry]) -> Result<()> {
        let mut entries = Vec::with_capacity(batch.len());
        for done in batch {
            entries.push(match done.operation {
                Operation::Move => self.back(Operation::Back, done)?,
                Operation::Header => JournalEntry { sha: done.sha_before, ..self.back(Operation::Header, done)? },
                _ => self.undoing(Operation::Remove, done),
            });
        }
        self.executor.journal.intend(&mut entries)?;
        for (entry, done) in entries.iter_mut().zip(batch) {
            match entry.operation {
                // Checked at the last moment: mail programs are at work meanwhile.
                Operation::Remove => match self.may_remove(done) {
                    Ok(Removable::Allowed) => self.executor.execute(entry, Payload::default()),
                    Ok(Removable::Gone) => entry.state = EntryState::Gone,
                    Ok(Removable::Refused(why)) => (entry.state, entry.detail) = (EntryState::Failed, Some(why.into())),
                    Err(error) => (entry.state, entry.detail) = (EntryState::Failed, Some(error.to_string())),
                },
                _ => self.executor.execute(entry, Payload::default()),
            }
            match (entry.state, entry.operation) {
                (EntryState::Done, Operation::Remove) => self.undone.removed += 1,
                (EntryState::Done, _) => self.undone.back += 1,
                (EntryState::Gone, _) => {
                    self.undone.gone.push(format!("{} in {}", name(&entry.name), entry.source.display()))
                }
                _ => {
                    let why = entry.detail.clone().unwrap_or_default();
                    self.undone.kept.push(format!("{} in {}: {why}", name(&entry.name), entry.source.display()));
                }
            }
        }
        self.executor.conclude(&entries)
    }

    fn undoing(&self, operation: Operation, done: &JournalEntry) -> JournalEntry {
        let new = JournalEntry::new(operation, done.folder.clone(), done.base.clone());
        JournalEntry { run: self.undone.run, label: done.label.clone(), undoes: Some(done.id), ..new }
    }

    fn back(&mut self, operation: Operation, done: &JournalEntry) -> Result<JournalEntry> {
        // If it cannot be found now, the executor will look for it by name.
        let found = self.executor.finder.find(&done.folder, &done.base).ok().flatten();
        let fields = match (operation, &found) {
            // A rewritten message has another size.
            (Operation::Header, Some(path)) => {
                File::open(path).and_then(|file| foresee(&file, &[])).map_or_else(|_| Vec::new(), |mail| mail.size)
            }
            _ => Name::new(OsStr::from_bytes(&done.base)).fields_elsewhere(),
        };
        let has_room = done.name.len() + fields.len() <= LONGEST_NAME;
        let is_free = has_room && self.reservations.reserve(&done.source, &done.name);
        let base = [if is_free { done.name.clone() } else { unique::name() }, fields].concat();
        let file = found.and_then(|path| files::id(&path).ok());
        Ok(JournalEntry { folder: done.source.clone(), base, file, ..self.undoing(operation, done) })
    }

    /// Whether a copy or link may be removed.
    fn may_remove(&mut self, done: &JournalEntry) -> io::Result<Removable> {
        let finder = &mut self.executor.finder;
        let Some(copy) = finder.find_now(&done.folder, &done.base)? else {
            return Ok(Removable::Gone);
        };
        if done.name.is_empty() {
            let sha = files::sha(&copy)?;
            return Ok(match done.sha {
                Some(written) if written != sha => Removable::Refused("it was changed, so it is kept"),
                _ if !self.mailboxes.holds(&done.source, &copy)? => {
                    Removable::Refused("the mbox file no longer holds it, so it is kept")
                }
                _ => Removable::Allowed,
            });
        }
        let Some(original) = finder.find_now(&done.source, &done.name)? else {
            return Ok(Removable::Refused("its original is no longer there, so it is kept"));
        };
        Ok(match files::are_same(&original, &copy)? {
            true => Removable::Allowed,
            false => Removable::Refused("it was changed, so it is kept"),
        })
    }
}

enum Removable {
    Allowed,
    Refused(&'static str),
    /// It is gone already.
    Gone,
}

fn name(unique: &[u8]) -> String {
    String::from_utf8_lossy(unique).into_owned()
}
