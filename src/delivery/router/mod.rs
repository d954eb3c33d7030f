//! Does with mails what rules say, exactly once.

mod commands;
mod dry_run;
mod plan;
mod settle;
#[cfg(test)]
mod tests;
mod undo;
mod worker;

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::exec::Exec;
use super::files::{self, Sha};
use super::finder::Taken;
use super::folder::Folder;
use super::header::Field;
use super::journal::{Act, Counters, Journal, Kind, State};
use super::rules::{By, Deed, Rules};
use super::tree::Tree;
use crate::maildir::unfinished;
use crate::record::{Ranking, Verdict};
use plan::Planner;
use worker::{Details, Worker};

pub use dry_run::DryRun;
pub use settle::Settled;
pub use undo::Undone;

/// Who writes a message in its place is waited for so long.
const LONGEST_WRITING: Duration = Duration::from_secs(60);

/// Where a mail is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Home {
    /// A message of a maildir, where it was seen last.
    Message {
        /// The maildir, without links in its path.
        maildir: PathBuf,
        /// The message.
        listed: PathBuf,
    },
    /// A mail of a mailbox, which stays as it is.
    Mailbox {
        /// The mailbox, without links in its path.
        mailbox: PathBuf,
        /// The mail.
        bytes: Vec<u8>,
        /// Their hash.
        sha: Sha,
        /// How many mails before it are the same.
        equal: u64,
        /// True where only the beginning is held.
        truncated: bool,
    },
}

/// A mail with its verdict.
#[derive(Clone, Debug, PartialEq)]
pub struct Mail {
    /// Where it is.
    pub home: Home,
    /// What it is.
    pub verdict: Verdict,
}

/// What comes of a mail, or would.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// The label by which it was decided.
    pub by: Option<By>,
    /// True where no label set is sure.
    pub unsure: bool,
    /// What is done, or was tried.
    pub acts: Vec<Act>,
    /// The folder that it goes to, as the rule calls it.
    pub folder: Option<String>,
    /// True where all was done by an earlier run.
    pub before: bool,
    /// Why something went wrong, or the mail has no verdict.
    pub error: Option<String>,
    /// How long it took to do it.
    pub taken: Duration,
}

/// Writes the tag of a verdict, by the label of one set. Inside is why there can be none.
///
/// # Errors
/// When the output cannot be written.
pub type Tagger<'t> = dyn FnMut(&Verdict, &By) -> io::Result<Result<(), String>> + 't;

/// Rules, a tree of maildirs and a journal.
pub struct Router {
    worker: Worker,
    rules: Rules,
    /// The names of label sets, in the order of rankings.
    sets: Vec<String>,
    model: String,
    /// Where folders are.
    places: HashMap<Folder, PathBuf>,
    taken: Taken,
    /// Messages with which something was begun that cannot be settled.
    open: HashSet<(PathBuf, Vec<u8>)>,
    /// How often in a row a command has failed.
    failures: HashMap<Exec, u32>,
    /// The run in hand, once it has done something.
    run: Option<i64>,
}

impl Router {
    /// Puts together what routing needs. `sets` are the names of the label sets, in the order of rankings.
    ///
    /// # Errors
    /// When the tree cannot hold a folder of the rules; the message names the rule.
    pub fn new(journal: Journal, tree: Tree, rules: Rules, sets: Vec<String>, model: String) -> Result<Self> {
        let places = places(&rules, &tree)?;
        let worker = Worker::new(journal, tree);
        let (taken, open, failures) = Default::default();
        Ok(Self { worker, rules, sets, model, places, taken, open, failures, run: None })
    }

    /// Refuses rules whose folders the tree cannot hold, before anything is loaded or made.
    ///
    /// # Errors
    /// When there is one; the message names the rule.
    pub fn check(rules: &Rules, tree: &Tree) -> Result<()> {
        places(rules, tree).map(drop)
    }

    /// Settles what a stopped run has left. To be called under the journal's lock, and first.
    ///
    /// # Errors
    /// When a maildir or the journal cannot be read or written.
    pub fn settle(&mut self) -> Result<Settled> {
        let settled = self.worker.settle()?;
        let unfinished = self.worker.journal.unfinished()?;
        self.open = unfinished.into_iter().map(|act| (act.source, act.name)).collect();
        Ok(settled)
    }

    /// The journal.
    pub fn journal(&mut self) -> &mut Journal {
        &mut self.worker.journal
    }

    /// Does with mails what the rules say; one outcome for each, in order. Commands that were not begun when `stop` says so
    /// are left to the next run.
    ///
    /// # Errors
    /// When the journal or the output cannot be written. What was done until then is done.
    pub fn route(&mut self, mails: &[Mail], tagger: &mut Tagger<'_>, stop: &dyn Fn() -> bool) -> Result<Vec<Outcome>> {
        let (mut outcomes, mut deeds) = (Vec::with_capacity(mails.len()), Vec::with_capacity(mails.len()));
        let mut planner = Planner {
            rules: &self.rules,
            sets: &self.sets,
            places: &self.places,
            root: self.worker.tree.root(),
            journal: Some(&self.worker.journal),
            taken: &mut self.taken,
            open: &self.open,
        };
        for mail in mails {
            let planned = planner.plan(mail)?;
            deeds.push(planned.deed.cloned());
            outcomes.push(planned.outcome);
        }
        for (mail, outcome) in mails.iter().zip(&mut outcomes) {
            self.note_file(mail, outcome);
        }
        let mut acts: Vec<Act> = outcomes.iter().flat_map(|outcome| outcome.acts.iter().cloned()).collect();
        if acts.is_empty() {
            return Ok(outcomes);
        }
        let run = match self.run {
            Some(run) => run,
            None => *self.run.insert(self.worker.journal.begin(None)?),
        };
        acts.iter_mut().for_each(|act| act.run = run);
        self.worker.journal.intend(&mut acts)?;
        let mut intended = acts.into_iter();
        for ((mail, outcome), deed) in mails.iter().zip(&mut outcomes).zip(&deeds) {
            outcome.acts = intended.by_ref().take(outcome.acts.len()).collect();
            let started = Instant::now();
            self.act(mail, outcome, deed.as_ref(), tagger, stop)?;
            outcome.taken = started.elapsed();
        }
        let acts: Vec<Act> = outcomes.iter().flat_map(|outcome| outcome.acts.iter().cloned()).collect();
        self.worker.conclude(&acts)?;
        Ok(outcomes)
    }

    /// Does what is to be done with one mail.
    fn act(
        &mut self,
        mail: &Mail,
        outcome: &mut Outcome,
        deed: Option<&Deed>,
        tagger: &mut Tagger<'_>,
        stop: &dyn Fn() -> bool,
    ) -> Result<()> {
        let seen = deed.and_then(|deed| deed.filing.as_ref()).is_some_and(|filing| !filing.keep_unread);
        let fields = self.fields(&mail.verdict, outcome);
        let details = match &mail.home {
            Home::Message { listed, .. } => Details { listed: Some(listed), bytes: None, seen, fields: &fields },
            Home::Mailbox { bytes, .. } => Details { listed: None, bytes: Some(bytes), seen, fields: &fields },
        };
        let mut goes_on = true;
        for act in &mut outcome.acts {
            match act.kind {
                _ if !goes_on => act.state = State::Forgotten,
                Kind::Exec if stop() => act.state = State::Forgotten,
                Kind::Exec => self.exec(mail, outcome.by.as_ref(), deed, act, stop)?,
                Kind::Tag => commands::tag(mail, outcome.by.as_ref(), act, tagger)?,
                _ => self.worker.act(act, details),
            }
            goes_on &= act.state == State::Done;
            if matches!(act.state, State::Failed | State::Intended) {
                outcome.error = act.detail.clone();
            }
            if act.state == State::Intended {
                self.open.insert((act.source.clone(), act.name.clone()));
            }
        }
        Ok(())
    }

    /// The headers that `filter` would write; of the set that decided, as the rule saw it.
    fn fields(&self, verdict: &Verdict, outcome: &Outcome) -> Vec<Field> {
        if !outcome.acts.iter().any(|act| act.kind == Kind::Header) {
            return Vec::new();
        }
        let rankings = verdict.outcome.iter().flat_map(|scored| &scored.rankings).enumerate();
        let field = |(set, ranking): (usize, &Ranking)| {
            let (label, score) = ranking.top.first()?;
            let decided = outcome.by.as_ref().is_some_and(|by| by.set == set);
            let is_sure = if decided { !outcome.unsure } else { ranking.label.is_some() };
            let name = self.sets.get(set).filter(|_| self.sets.len() > 1);
            Some(Field::verdict(label, is_sure, *score, &self.model, name.map(String::as_str)))
        };
        rankings.filter_map(field).collect()
    }

    /// Notes which file a message is, and its bytes where it is written anew, for an undo.
    /// One that has the headers already needs none.
    fn note_file(&mut self, mail: &Mail, outcome: &mut Outcome) {
        let fields = self.fields(&mail.verdict, outcome);
        let acts = &mut outcome.acts;
        let (Home::Message { listed, .. }, Some(first)) = (&mail.home, acts.first()) else { return };
        if acts.iter().any(|act| matches!(act.kind, Kind::Copy | Kind::Header)) {
            wait_until_whole(listed);
        }
        let Ok(Some(file)) = worker::open(&mut self.worker.finder, first, listed) else { return };
        let id = file.metadata().map(|found| (found.dev(), found.ino())).ok();
        let is_rewritten = acts.iter().any(|act| act.kind == Kind::Header);
        let sha = if is_rewritten { files::sha_of(&file).ok() } else { None };
        for act in acts.iter_mut() {
            act.file = id;
            act.sha_before = sha.filter(|_| act.kind == Kind::Header);
        }
        let is_same = is_rewritten && worker::is_marked(&file, &fields).unwrap_or_default();
        let count = acts.len();
        acts.retain(|act| !(is_same && act.kind == Kind::Header && act.folder == act.source));
        outcome.before |= acts.is_empty() && count > 0;
        if let Some(last) = acts.last_mut() {
            last.last = true;
        }
    }

    /// Ends the run, of which so many mails were unsure and had errors, and adds `more` to the figures of all runs, or sets
    /// them. Returns its number, if it has done anything.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub fn end(&mut self, (unsure, errors): (u64, u64), more: &Counters, set: &Counters) -> Result<Option<i64>> {
        self.worker.journal.count(more, set)?;
        if let Some(run) = self.run
            && !self.worker.journal.end(run, unsure, errors)?
        {
            self.run = None;
        }
        Ok(self.run.take())
    }

    /// Goes on with a run that [`Router::end`] has ended, unless it was undone since.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn go_on(&mut self, run: i64) -> Result<()> {
        if !self.worker.journal.is_undone(run)? {
            self.run = Some(run);
        }
        Ok(())
    }
}

/// Half a mail shall not be copied, and what else is written would be lost with the old file.
fn wait_until_whole(message: &Path) {
    let started = Instant::now();
    while let Some(left) = unfinished(message).filter(|_| started.elapsed() < LONGEST_WRITING) {
        thread::sleep(left);
    }
}

/// Where the folders of the rules are.
fn places(rules: &Rules, tree: &Tree) -> Result<HashMap<Folder, PathBuf>> {
    let mut places = HashMap::new();
    for (place, deed) in rules.deeds() {
        if let Some(folder) = deed.filing.as_ref().and_then(|filing| filing.folder.as_ref()) {
            places.insert(folder.clone(), tree.path(folder).with_context(|| place)?);
        }
    }
    Ok(places)
}
