//! Puts back what a run has done, the newest first.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::Router;
use super::worker::{Details, Worker};
use crate::delivery::files::{self, Sha};
use crate::delivery::finder::Taken;
use crate::delivery::journal::{Act, Kind, State};
use crate::delivery::unique;
use crate::maildir::Name;

/// So many acts are undone together.
const PIECE: usize = 64;

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
    pub gone: u64,
    /// What cannot be undone, by kind.
    pub left: Vec<(&'static str, u64)>,
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
        let (files, left): (Vec<Act>, Vec<Act>) =
            acts.into_iter().partition(|act| matches!(act.kind, Kind::Move | Kind::Copy | Kind::Link | Kind::Header));
        let mut undone = Undone { left: counted(&left), ..Undone::default() };
        if files.is_empty() {
            return Ok(undone);
        }
        undone.run = self.worker.journal.begin(Some(run))?;
        let mut undoing = Undoing {
            worker: &mut self.worker,
            taken: Taken::default(),
            undone: &mut undone,
            mailboxes: Mailboxes { originals, known: HashMap::new() },
        };
        for piece in files.chunks(PIECE) {
            if stop() {
                undoing.undone.stopped = true;
                break;
            }
            undoing.piece(piece)?;
        }
        let failed = undone.kept.len() as u64;
        self.worker.journal.end(undone.run, 0, failed)?;
        Ok(undone)
    }
}

fn counted(acts: &[Act]) -> Vec<(&'static str, u64)> {
    let kinds: BTreeSet<Kind> = acts.iter().map(|act| act.kind).collect();
    kinds.into_iter().map(|kind| (kind.name(), acts.iter().filter(|act| act.kind == kind).count() as u64)).collect()
}

/// The hashes of the mails of mailboxes, each read once.
struct Mailboxes<'m> {
    originals: &'m mut dyn FnMut(&Path) -> HashSet<Sha>,
    known: HashMap<PathBuf, HashSet<Sha>>,
}

impl Mailboxes<'_> {
    fn holds(&mut self, mailbox: &Path, sha: &Sha) -> bool {
        let hashes = self.known.entry(mailbox.to_path_buf()).or_insert_with(|| (self.originals)(mailbox));
        hashes.contains(sha)
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
        let mut acts = Vec::new();
        for done in piece {
            match done.kind {
                Kind::Move => acts.push(self.back(Kind::Back, done)),
                Kind::Header => acts.push(Act { sha: done.sha_before, ..self.back(Kind::Header, done) }),
                _ => match self.keeps(done) {
                    Ok(None) => acts.push(self.undoing(Kind::Remove, done)),
                    Ok(Some("")) => self.undone.gone += 1,
                    Ok(Some(why)) => self.keep(done, why),
                    Err(error) => self.keep(done, &error.to_string()),
                },
            }
        }
        self.worker.journal.intend(&mut acts)?;
        for act in &mut acts {
            self.worker.act(act, Details::default());
            match (act.state, act.kind) {
                (State::Done, Kind::Back | Kind::Header) => self.undone.back += 1,
                (State::Done, _) => self.undone.removed += 1,
                (State::Gone, _) => self.undone.gone += 1,
                _ => {
                    let why = act.detail.clone().unwrap_or_default();
                    self.undone.kept.push(format!("{} in {}: {why}", name(&act.name), act.source.display()));
                }
            }
        }
        self.worker.conclude(&acts)
    }

    fn keep(&mut self, done: &Act, why: &str) {
        self.undone.kept.push(format!("{} in {}: {why}", name(&done.base), done.folder.display()));
    }

    fn undoing(&self, kind: Kind, done: &Act) -> Act {
        let new = Act::new(kind, done.folder.clone(), done.base.clone());
        Act { run: self.undone.run, label: done.label.clone(), undoes: Some(done.id), ..new }
    }

    fn back(&mut self, kind: Kind, done: &Act) -> Act {
        let unique = if self.taken.take(&done.source, &done.name) { done.name.clone() } else { unique::name() };
        let base = [unique, Name::new(OsStr::from_bytes(&done.base)).fields_elsewhere()].concat();
        Act { folder: done.source.clone(), base, ..self.undoing(kind, done) }
    }

    /// Why a copy or link is kept, if it is; nothing is said of one that is gone.
    fn keeps(&mut self, done: &Act) -> io::Result<Option<&'static str>> {
        let finder = &mut self.worker.finder;
        let Some(copy) = finder.find(&done.folder, &done.base)? else {
            return Ok(Some(""));
        };
        if done.name.is_empty() {
            let sha = files::sha(&copy)?;
            return Ok(match done.sha {
                Some(written) if written != sha => Some("it was changed, so it is kept"),
                _ if !self.mailboxes.holds(&done.source, &sha) => Some("the mailbox does not hold it, so it is kept"),
                _ => None,
            });
        }
        let Some(original) = finder.find(&done.source, &done.name)? else {
            return Ok(Some("the mail that it was made of is no longer there, so it is kept"));
        };
        Ok((!files::are_same(&original, &copy)?).then_some("it was changed, so it is kept"))
    }
}

fn name(unique: &[u8]) -> String {
    String::from_utf8_lossy(unique).into_owned()
}
