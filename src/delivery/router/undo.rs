//! Puts back what a run has done, the newest first.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::Router;
use super::worker::{Details, Worker};
use crate::delivery::files::{self, Sha};
use crate::delivery::finder::Taken;
use crate::delivery::journal::{Act, Kind, State};
use crate::delivery::{mailbox, unique};
use crate::maildir::Name;

/// So many acts are undone together.
const PIECE: usize = 64;

/// A longer name has no room for the flags that a message may have by now.
const LONGEST_NAME: usize = 240;

/// What came of undoing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Undone {
    /// The number of the run that undid.
    pub run: i64,
    /// Mails that are back where they were.
    pub back: u64,
    /// Copies and links that are gone again.
    pub removed: u64,
    /// Mails that are no longer where they were put.
    pub gone: Vec<String>,
    /// Tags that were forgotten, so that they are written again.
    pub tags: u64,
    /// Commands that were forgotten: what they have done stays, and they run again.
    pub commands: u64,
    /// What was kept and why, and what failed.
    pub kept: Vec<String>,
    /// True when it was stopped before its end.
    pub stopped: bool,
}

impl Router {
    /// Puts back what `run` has done. `originals` says which mails, by the hash of their bytes, a mailbox holds: a copy goes
    /// only while its original is there.
    ///
    /// # Errors
    /// When the journal cannot be read or written.
    pub fn undo(
        &mut self,
        run: i64,
        originals: &mut dyn FnMut(&Path) -> HashSet<Sha>,
        stop: &dyn Fn() -> bool,
    ) -> Result<Undone> {
        let acts = self.worker.journal.done_by(run)?;
        let mut undone = Undone::default();
        if acts.is_empty() {
            return Ok(undone);
        }
        undone.run = self.worker.journal.begin(Some(run))?;
        // What was said cannot be unsaid, but it can be said again.
        let (said, files): (Vec<Act>, Vec<Act>) =
            acts.into_iter().partition(|act| matches!(act.kind, Kind::Tag | Kind::Exec));
        self.worker.journal.forget(&said)?;
        undone.tags = said.iter().filter(|act| act.kind == Kind::Tag).count() as u64;
        undone.commands = said.len() as u64 - undone.tags;
        let mut undoing = Undoing {
            worker: &mut self.worker,
            taken: Taken::default(),
            undone: &mut undone,
            mailboxes: Mailboxes { originals, known: HashMap::new() },
        };
        for piece in files.chunks(PIECE) {
            if stop() {
                undoing.undone.stopped = true;
                return Ok(undone);
            }
            undoing.piece(piece)?;
        }
        self.worker.journal.end(undone.run, 0, undone.kept.len() as u64)?;
        Ok(undone)
    }
}

/// The hashes of the mails of mailboxes, each read once.
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
    worker: &'u mut Worker,
    taken: Taken,
    undone: &'u mut Undone,
    mailboxes: Mailboxes<'u>,
}

impl Undoing<'_> {
    fn piece(&mut self, piece: &[Act]) -> Result<()> {
        let mut acts = Vec::with_capacity(piece.len());
        for done in piece {
            acts.push(match done.kind {
                Kind::Move => self.back(Kind::Back, done)?,
                Kind::Header => Act { sha: done.sha_before, ..self.back(Kind::Header, done)? },
                _ => self.undoing(Kind::Remove, done),
            });
        }
        self.worker.journal.intend(&mut acts)?;
        for (act, done) in acts.iter_mut().zip(piece) {
            match act.kind {
                // Looked at now and not before: mail programs are at work meanwhile.
                Kind::Remove => match self.keeps(done) {
                    Ok(Keeps::Nothing) => self.worker.act(act, Details::default()),
                    Ok(Keeps::Gone) => act.state = State::Gone,
                    Ok(Keeps::For(why)) => (act.state, act.detail) = (State::Failed, Some(why.into())),
                    Err(error) => (act.state, act.detail) = (State::Failed, Some(error.to_string())),
                },
                _ => self.worker.act(act, Details::default()),
            }
            match (act.state, act.kind) {
                (State::Done, Kind::Remove) => self.undone.removed += 1,
                (State::Done, _) => self.undone.back += 1,
                (State::Gone, _) => self.undone.gone.push(format!("{} in {}", name(&act.name), act.source.display())),
                _ => {
                    let why = act.detail.clone().unwrap_or_default();
                    self.undone.kept.push(format!("{} in {}: {why}", name(&act.name), act.source.display()));
                }
            }
        }
        self.worker.conclude(&acts)
    }

    fn undoing(&self, kind: Kind, done: &Act) -> Act {
        let new = Act::new(kind, done.folder.clone(), done.base.clone());
        Act { run: self.undone.run, label: done.label.clone(), undoes: Some(done.id), ..new }
    }

    fn back(&mut self, kind: Kind, done: &Act) -> Result<Act> {
        let fields = Name::new(OsStr::from_bytes(&done.base)).fields_elsewhere();
        let has_room = done.name.len() + fields.len() <= LONGEST_NAME;
        let is_free = has_room && self.taken.take(&done.source, &done.name);
        let base = [if is_free { done.name.clone() } else { unique::name() }, fields].concat();
        // Where it cannot be found now it is looked for again, by its name.
        let found = self.worker.finder.find(&done.folder, &done.base).ok().flatten();
        let file = found.and_then(|path| files::id(&path).ok());
        Ok(Act { folder: done.source.clone(), base, file, ..self.undoing(kind, done) })
    }

    /// What keeps a copy or link from being taken away.
    fn keeps(&mut self, done: &Act) -> io::Result<Keeps> {
        let finder = &mut self.worker.finder;
        let Some(copy) = finder.find_now(&done.folder, &done.base)? else {
            return Ok(Keeps::Gone);
        };
        if done.name.is_empty() {
            let sha = files::sha(&copy)?;
            return Ok(match done.sha {
                Some(written) if written != sha => Keeps::For("it was changed, so it is kept"),
                _ if !self.mailboxes.holds(&done.source, &copy)? => {
                    Keeps::For("the mailbox does not hold it, so it is kept")
                }
                _ => Keeps::Nothing,
            });
        }
        let Some(original) = finder.find_now(&done.source, &done.name)? else {
            return Ok(Keeps::For("the mail that it was made of is no longer there, so it is kept"));
        };
        Ok(match files::are_same(&original, &copy)? {
            true => Keeps::Nothing,
            false => Keeps::For("it was changed, so it is kept"),
        })
    }
}

enum Keeps {
    Nothing,
    For(&'static str),
    /// It is gone already.
    Gone,
}

fn name(unique: &[u8]) -> String {
    String::from_utf8_lossy(unique).into_owned()
}
