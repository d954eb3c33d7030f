//! Does with mails what rules say, exactly once.

mod plan;
mod settle;
#[cfg(test)]
mod tests;
mod undo;
mod worker;

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::files::{self, Sha};
use super::finder::Taken;
use super::folder::Folder;
use super::header::Field;
use super::journal::{Act, Counters, Journal, Kind, State};
use super::rules::{By, Deed, Rules};
use super::tree::Tree;
use crate::record::{Ranking, Verdict};
use plan::Planner;
use worker::{Details, Worker};

pub use settle::Settled;
pub use undo::Undone;

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
    /// True where all was done by an earlier run.
    pub before: bool,
    /// Why something went wrong, or the mail has no verdict.
    pub error: Option<String>,
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
        Ok(Self { worker, rules, sets, model, places, taken: Taken::default(), run: None })
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
        self.worker.settle()
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
        self.worker.finder.forget();
        let (mut outcomes, mut deeds) = (Vec::with_capacity(mails.len()), Vec::with_capacity(mails.len()));
        let mut planner = Planner {
            rules: &self.rules,
            sets: &self.sets,
            places: &self.places,
            root: self.worker.tree.root(),
            journal: Some(&self.worker.journal),
            taken: &mut self.taken,
        };
        for mail in mails {
            let planned = planner.plan(mail)?;
            deeds.push(planned.deed.cloned());
            outcomes.push(planned.outcome);
        }
        for (mail, outcome) in mails.iter().zip(&mut outcomes) {
            self.note_before(mail, &mut outcome.acts);
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
            self.act(mail, outcome, deed.as_ref(), tagger, stop)?;
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
                Kind::Tag => tag(mail, outcome.by.as_ref(), act, tagger)?,
                _ => self.worker.act(act, details),
            }
            goes_on &= act.state == State::Done;
            if act.state == State::Failed {
                outcome.error = act.detail.clone();
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

    /// Notes what a message is before it is written anew, for an undo.
    fn note_before(&mut self, mail: &Mail, acts: &mut [Act]) {
        if let Home::Message { listed, .. } = &mail.home {
            for act in acts.iter_mut().filter(|act| act.kind == Kind::Header) {
                let opened = worker::open(&mut self.worker.finder, act, listed);
                act.sha_before = opened.ok().flatten().and_then(|file| files::sha_of(file).ok());
            }
        }
    }

    /// Runs the command of a deed. What came of it is written down at once, for it cannot be seen.
    fn exec(
        &mut self,
        mail: &Mail,
        by: Option<&By>,
        deed: Option<&Deed>,
        act: &mut Act,
        stop: &dyn Fn() -> bool,
    ) -> Result<()> {
        let opened = match &mail.home {
            Home::Message { listed, .. } => worker::open(&mut self.worker.finder, act, listed),
            Home::Mailbox { bytes, .. } => in_file(bytes).map(Some),
        };
        match (opened, deed.and_then(|deed| deed.exec.as_ref())) {
            (Ok(Some(file)), Some(exec)) => {
                let ended = exec.run(&file, &self.variables(mail, by), stop);
                act.status = ended.status;
                act.state = if ended.failure.is_none() { State::Done } else { State::Failed };
                act.detail = ended.failure.map(|failure| format!("the command {:?}: {failure}", exec.name()));
            }
            (Ok(_), _) => act.state = State::Gone,
            (Err(error), _) => (act.state, act.detail) = (State::Failed, Some(error.to_string())),
        }
        self.worker.journal.conclude(std::slice::from_ref(act))
    }

    /// What a command is told.
    fn variables(&self, mail: &Mail, by: Option<&By>) -> Vec<(&'static str, String)> {
        let Verdict { origin, envelope, .. } = &mail.verdict;
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        vec![
            ("MAILSORT_LABEL", by.map_or(String::new(), |by| by.label.to_string())),
            ("MAILSORT_SCORE", by.map_or(String::new(), |by| format!("{:.4}", by.score))),
            ("MAILSORT_MODEL", self.model.clone()),
            ("MAILSORT_SET", by.and_then(|by| self.sets.get(by.set)).cloned().unwrap_or_default()),
            ("MAILSORT_ID", text(&envelope.id)),
            ("MAILSORT_SUBJECT", text(&envelope.subject)),
            ("MAILSORT_FROM", text(&envelope.from)),
            ("MAILSORT_SOURCE", origin.source.to_string()),
            ("MAILSORT_INDEX", origin.index.to_string()),
        ]
    }

    /// Ends the run, if it has done anything, and adds its figures to those of all runs. Returns its number.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub fn end(&mut self, unsure: u64, errors: u64, set: &Counters) -> Result<Option<i64>> {
        let name = |name: &str| (name.to_string(), String::new());
        let more = [(name("mailsort_unsure_total"), unsure as f64), (name("mailsort_errors_total"), errors as f64)];
        self.worker.journal.count(&more.into(), set)?;
        if let Some(run) = self.run {
            self.worker.journal.end(run, unsure, errors)?;
        }
        Ok(self.run.take())
    }

    /// Goes on with a run that [`Router::end`] has ended.
    pub fn go_on(&mut self, run: i64) {
        self.run = Some(run);
    }
}

/// Puts the tag of a mail.
fn tag(mail: &Mail, by: Option<&By>, act: &mut Act, tagger: &mut Tagger<'_>) -> Result<()> {
    let tagged = match by {
        Some(by) => tagger(&mail.verdict, by).context("cannot write the output")?,
        None => Err("it has no label".into()),
    };
    act.state = if tagged.is_ok() { State::Done } else { State::Failed };
    act.detail = tagged.err();
    Ok(())
}

/// A mail as a file that nobody else can open.
fn in_file(bytes: &[u8]) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    file.write_all(bytes)?;
    Ok(file)
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

/// Says what would be done, without a journal where there is none yet.
pub struct DryRun {
    rules: Rules,
    sets: Vec<String>,
    places: HashMap<Folder, PathBuf>,
    root: PathBuf,
    journal: Option<Journal>,
    taken: Taken,
}

impl DryRun {
    /// Puts together what planning needs.
    ///
    /// # Errors
    /// When the tree cannot hold a folder of the rules; the message names the rule.
    pub fn new(journal: Option<Journal>, tree: &Tree, rules: Rules, sets: Vec<String>) -> Result<Self> {
        let places = places(&rules, tree)?;
        Ok(Self { rules, sets, places, root: tree.root().to_path_buf(), journal, taken: Taken::default() })
    }

    /// What would come of a mail.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn plan(&mut self, mail: &Mail) -> Result<Outcome> {
        let root: &Path = &self.root;
        let (rules, sets, places) = (&self.rules, &self.sets, &self.places);
        let journal = self.journal.as_ref();
        Planner { rules, sets, places, root, journal, taken: &mut self.taken }.plan(mail).map(|planned| planned.outcome)
    }
}
