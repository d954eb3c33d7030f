//! Routes messages by rules: plans the operations, writes them to the journal, carries them out, writes their results.

use std::collections::{HashMap, HashSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::executor::{self, Executor, Payload, Recovery, Tagger};
use super::finder::Reservations;
use super::folder::FolderName;
use super::journal::{Counters, EntryState, Journal, JournalEntry, Operation};
use super::message::{Disposition, Location, ScoredMessage};
use super::planner::{self, Planner};
use super::rules::{Rules, Steps, TopLabel};
use super::tree::MaildirTree;
use crate::header::Field;
use crate::maildir::unfinished;
use crate::record::{Ranking, Verdict};

/// Longest wait for a program that writes a message in place.
const LONGEST_WRITE: Duration = Duration::from_secs(60);

/// Rules, a maildir tree and a journal.
pub struct Router {
    executor: Executor,
    rules: Rules,
    /// Names of the label sets, in the order of rankings.
    sets: Vec<String>,
    model: String,
    /// Paths of the rules' folders.
    folders: HashMap<FolderName, PathBuf>,
    reservations: Reservations,
    /// Messages with an unfinished operation that recovery could not settle: maildir and unique name.
    unsettled: HashSet<(PathBuf, Vec<u8>)>,
    /// The current run, once it has done something.
    run: Option<i64>,
}

impl Router {
    /// A router that does nothing yet. `sets` names the label sets, in the order of rankings.
    ///
    /// # Errors
    /// When the tree cannot hold a folder of the rules; the message names the rule.
    pub fn new(journal: Journal, tree: MaildirTree, rules: Rules, sets: Vec<String>, model: String) -> Result<Self> {
        let folders = planner::folders(&rules, &tree)?;
        let executor = Executor::new(journal, tree);
        let (reservations, unsettled) = Default::default();
        Ok(Self { executor, rules, sets, model, folders, reservations, unsettled, run: None })
    }

    /// Refuses rules whose folders the tree cannot hold.
    ///
    /// # Errors
    /// When there is one; the message names the rule.
    pub fn check(rules: &Rules, tree: &MaildirTree) -> Result<()> {
        planner::folders(rules, tree).map(drop)
    }

    /// Settles the operations of a stopped run. Call it first, while holding the journal's lock.
    ///
    /// # Errors
    /// When a maildir or the journal cannot be read or written.
    pub fn recover(&mut self) -> Result<Recovery> {
        let recovery = self.executor.recover()?;
        let unfinished = self.executor.journal.unfinished()?;
        self.unsettled = unfinished.into_iter().map(|entry| (entry.source, entry.name)).collect();
        Ok(recovery)
    }

    /// The journal.
    pub fn journal(&mut self) -> &mut Journal {
        &mut self.executor.journal
    }

    /// Does with messages what the rules say; one disposition each, in order. Once `stop` returns true, commands that
    /// have not started are left to the next run.
    ///
    /// # Errors
    /// When the journal or the output cannot be written. What was done until then stays done.
    pub fn route(
        &mut self,
        messages: &[ScoredMessage],
        tagger: &mut Tagger<'_>,
        stop: &dyn Fn() -> bool,
    ) -> Result<Vec<Disposition>> {
        let (mut dispositions, steps) = self.plan(messages)?;
        let mut entries = all_entries(&dispositions);
        if entries.is_empty() {
            return Ok(dispositions);
        }
        let run = match self.run {
            Some(run) => run,
            None => *self.run.insert(self.executor.journal.begin(None)?),
        };
        entries.iter_mut().for_each(|entry| entry.run = run);
        self.executor.journal.intend(&mut entries)?;
        let mut intended = entries.into_iter();
        for ((message, disposition), steps) in messages.iter().zip(&mut dispositions).zip(&steps) {
            disposition.entries = intended.by_ref().take(disposition.entries.len()).collect();
            let started = Instant::now();
            self.execute(message, disposition, steps.as_ref(), tagger, stop)?;
            disposition.taken = started.elapsed();
        }
        self.executor.conclude(&all_entries(&dispositions))?;
        Ok(dispositions)
    }

    fn plan(&mut self, messages: &[ScoredMessage]) -> Result<(Vec<Disposition>, Vec<Option<Steps>>)> {
        let (mut dispositions, mut steps) = (Vec::with_capacity(messages.len()), Vec::with_capacity(messages.len()));
        let mut planner = Planner {
            rules: &self.rules,
            sets: &self.sets,
            folders: &self.folders,
            root: self.executor.tree.root(),
            journal: Some(&self.executor.journal),
            reservations: &mut self.reservations,
            unsettled: &self.unsettled,
        };
        for message in messages {
            let planned = planner.plan(message)?;
            steps.push(planned.steps.cloned());
            dispositions.push(planned.disposition);
        }
        for (message, disposition) in messages.iter().zip(&mut dispositions) {
            self.note_file(message, disposition);
        }
        Ok((dispositions, steps))
    }

    /// Carries out the operations of one message.
    fn execute(
        &mut self,
        message: &ScoredMessage,
        disposition: &mut Disposition,
        steps: Option<&Steps>,
        tagger: &mut Tagger<'_>,
        stop: &dyn Fn() -> bool,
    ) -> Result<()> {
        let seen = steps.and_then(|steps| steps.filing.as_ref()).is_some_and(|filing| !filing.keep_unread);
        let fields = self.fields(&message.verdict, disposition);
        let payload = match &message.location {
            Location::Maildir { listed, .. } => Payload { listed: Some(listed), bytes: None, seen, fields: &fields },
            Location::Mailbox { bytes, .. } => Payload { listed: None, bytes: Some(bytes), seen, fields: &fields },
        };
        let mut goes_on = true;
        for entry in &mut disposition.entries {
            match entry.operation {
                _ if !goes_on => entry.state = EntryState::Forgotten,
                Operation::Exec if stop() => entry.state = EntryState::Forgotten,
                Operation::Exec => {
                    let exec = steps.and_then(|steps| steps.exec.as_ref());
                    let environment = self.environment(&message.verdict, disposition.top.as_ref());
                    self.executor.run_command(exec, &message.location, &environment, entry, stop)?;
                }
                Operation::Tag => executor::tag(&message.verdict, disposition.top.as_ref(), entry, tagger)?,
                _ => self.executor.execute(entry, payload),
            }
            goes_on &= entry.state == EntryState::Done;
            if matches!(entry.state, EntryState::Failed | EntryState::Intended) {
                disposition.error = entry.detail.clone();
            }
            if entry.state == EntryState::Intended {
                self.unsettled.insert((entry.source.clone(), entry.name.clone()));
            }
        }
        Ok(())
    }

    /// Environment variables of a command.
    fn environment(&self, verdict: &Verdict, top: Option<&TopLabel>) -> Vec<(&'static str, String)> {
        let Verdict { origin, envelope, .. } = verdict;
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        vec![
            ("MAILSORT_LABEL", top.map_or(String::new(), |top| top.label.to_string())),
            ("MAILSORT_SCORE", top.map_or(String::new(), |top| format!("{:.4}", top.score))),
            ("MAILSORT_MODEL", self.model.clone()),
            ("MAILSORT_SET", top.and_then(|top| self.sets.get(top.set)).cloned().unwrap_or_default()),
            ("MAILSORT_ID", text(&envelope.id)),
            ("MAILSORT_SUBJECT", text(&envelope.subject)),
            ("MAILSORT_FROM", text(&envelope.from)),
            ("MAILSORT_SOURCE", origin.source.to_string()),
            ("MAILSORT_INDEX", origin.index.to_string()),
        ]
    }

    /// The header fields that `filter` would write. In the set that decided, the rule's threshold counts.
    fn fields(&self, verdict: &Verdict, disposition: &Disposition) -> Vec<Field> {
        if !disposition.entries.iter().any(|entry| entry.operation == Operation::Header) {
            return Vec::new();
        }
        let rankings = verdict.outcome.iter().flat_map(|scored| &scored.rankings).enumerate();
        let field = |(set, ranking): (usize, &Ranking)| {
            let (label, score) = ranking.top.first()?;
            let decided = disposition.top.as_ref().is_some_and(|top| top.set == set);
            let is_sure = if decided { !disposition.unsure } else { ranking.label.is_some() };
            let name = self.sets.get(set).filter(|_| self.sets.len() > 1);
            Some(Field::verdict(label, is_sure, *score, &self.model, name.map(String::as_str)))
        };
        rankings.filter_map(field).collect()
    }

    /// Notes the message's file in its entries and, where it will be rewritten, the hash of its bytes for an undo.
    /// Drops the rewrite of a message that has these headers already.
    fn note_file(&mut self, message: &ScoredMessage, disposition: &mut Disposition) {
        let fields = self.fields(&message.verdict, disposition);
        let entries = &mut disposition.entries;
        let (Location::Maildir { listed, .. }, Some(first)) = (&message.location, entries.first()) else { return };
        if entries.iter().any(|entry| matches!(entry.operation, Operation::Copy | Operation::Header)) {
            wait_until_written(listed);
        }
        let Ok(Some(file)) = executor::open(&mut self.executor.finder, first, listed) else { return };
        let id = file.metadata().map(|found| (found.dev(), found.ino())).ok();
        let is_rewritten = entries.iter().any(|entry| entry.operation == Operation::Header);
        // A message that cannot be read fails when it is rewritten.
        let foreseen = if is_rewritten { executor::foresee(&file, &fields).ok() } else { None };
        for entry in entries.iter_mut() {
            entry.file = id;
            if let Some(foreseen) = foreseen.as_ref().filter(|_| entry.operation == Operation::Header) {
                entry.sha_before = Some(foreseen.sha_before);
                entry.base.extend_from_slice(&foreseen.size);
            }
        }
        let is_same = foreseen.is_some_and(|foreseen| foreseen.is_same);
        let count = entries.len();
        entries.retain(|entry| !(is_same && entry.operation == Operation::Header && entry.folder == entry.source));
        disposition.before |= entries.is_empty() && count > 0;
        if let Some(last) = entries.last_mut() {
            last.last = true;
        }
    }

    /// Ends the run, in which so many messages were unsure and had errors, adds `more` to the counters and sets the
    /// gauges in `set`. Returns the run's number if it did anything.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub fn end(&mut self, (unsure, errors): (u64, u64), more: &Counters, set: &Counters) -> Result<Option<i64>> {
        self.executor.journal.count(more, set)?;
        if let Some(run) = self.run
            && !self.executor.journal.end(run, unsure, errors)?
        {
            self.run = None;
        }
        Ok(self.run.take())
    }

    /// Continues a run that [`Router::end`] has ended, unless it was undone since.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn go_on(&mut self, run: i64) -> Result<()> {
        if !self.executor.journal.is_undone(run)? {
            self.run = Some(run);
        }
        Ok(())
    }
}

fn all_entries(dispositions: &[Disposition]) -> Vec<JournalEntry> {
    dispositions.iter().flat_map(|disposition| disposition.entries.iter().cloned()).collect()
}

/// Waits for a program that writes the message in place: half a message must not be copied, and what is written after a
/// rewrite would go to the old file.
fn wait_until_written(message: &Path) {
    let started = Instant::now();
    while let Some(left) = unfinished(message).filter(|_| started.elapsed() < LONGEST_WRITE) {
        thread::sleep(left);
    }
}
