//! What `route` and `watch` share.

mod messages;
mod tags;
mod tally;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rayon::ThreadPool;

use crate::classifier::{Classifier, PreparedDocument};
use crate::cli::DeliveryFlags;
use crate::commands::opening;
use crate::delivery::{
    CommandLine, Disposition, Exec, Journal, LabelNames, Location, Lock, MaildirTree, Recovery, RetryPolicy, Router,
    Rules, ScoredMessage, TopLabel,
};
use crate::intake::Raw;
use crate::labels::LabelSet;
use crate::output::{Sink, metrics};
use crate::record::{Skip, Verdict};
use crate::report::Report;
use crate::stream::{self, Announced, Scheduler, Stop};
use messages::LocatedMessage;
pub(super) use messages::{MailStore, Messages, identities};
pub(super) use tally::Tally;

/// A classifier and the threads that it works on.
pub(super) struct Sorter {
    classifier: Classifier,
    pool: ThreadPool,
}

impl Sorter {
    /// Name of the model.
    pub(super) fn model(&self) -> &str {
        self.classifier.model()
    }

    /// Names of the label sets.
    pub(super) fn set_names(&self) -> Vec<String> {
        self.classifier.sets().iter().map(|set| set.name.clone()).collect()
    }

    /// Scores messages and hands each batch to `each`, in order, with the time that scoring it took. After a stop,
    /// messages that were not scored yet are dropped, and the next run finds them where they are.
    ///
    /// # Errors
    /// When the model cannot run, or `each` fails.
    pub(super) fn score(
        &self,
        messages: Messages,
        stop: impl Fn() -> bool,
        mut each: impl FnMut(Vec<Result<ScoredMessage, Skip>>, Duration) -> Result<()>,
    ) -> Result<()> {
        let Self { classifier, pool } = self;
        let scheduler = Scheduler { finish_prepared: false, ..Scheduler::of_files(pool, classifier.budget()) };
        // A message of a mailbox is held twice, as its location has the bytes too.
        let held = |location: &Location| match location {
            Location::Mailbox { bytes, .. } => bytes.len(),
            Location::Maildir { .. } => 0,
        };
        let bytes = move |(location, raw): &LocatedMessage| {
            raw.as_ref().map_or(0, Raw::weight) + location.as_ref().map_or(0, held)
        };
        let prepare = |(location, raw): LocatedMessage| (location, classifier.prepare(classifier.read(raw)));
        let tokens = |(_, document): &(Option<Location>, PreparedDocument)| classifier.tokens(document);
        scheduler.run(messages, bytes, prepare, tokens, stop, |batch| {
            let started = Instant::now();
            let (locations, documents): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
            let verdicts = pool.install(|| classifier.verdicts(documents))?;
            let scored =
                locations.into_iter().zip(verdicts).map(|(location, verdict)| messages::scored(location, verdict));
            each(scored.collect(), started.elapsed())
        })
    }
}

/// EX_TEMPFAIL of sysexits.h: another run is at work.
pub(super) const TRY_AGAIN: u8 = 75;

/// Reads the rules, and finds the maildir tree.
///
/// # Errors
/// When the rules cannot be used, or no flag says where the tree is.
pub(super) fn rules_and_tree(delivery: &DeliveryFlags, sources: &[PathBuf]) -> Result<(Rules, MaildirTree)> {
    let rules = match &delivery.filing.rules {
        Some(file) => Rules::read(file, retry_policy(delivery))?,
        None => Rules::default(),
    };
    let tree = MaildirTree::new(&root(delivery, sources)?, rules.layout)?;
    Router::check(&rules, &tree)?;
    Ok((rules, tree))
}

/// Loads the labels and the model that the flags or else the rules name. Makes rules from the flags when there is no
/// rules file.
///
/// # Errors
/// When labels, flags or the model cannot be used, or a rule names an unknown label.
pub(super) fn sorter(delivery: &DeliveryFlags, rules: &mut Rules, report: &Report) -> Result<Sorter> {
    let DeliveryFlags { filing, classifier, run, verbosity } = delivery;
    let mut classifier = classifier.clone();
    let labels = &mut classifier.labels;
    if labels.files.is_empty() && labels.label.is_empty() && labels.classifier.is_none() {
        labels.files.clone_from(&rules.labels);
        labels.classifier.clone_from(&rules.classifier);
    }
    labels.threshold = labels.threshold.or(rules.threshold);
    let pool = stream::pool(run.threads)?;
    let mut spec = classifier.spec();
    spec.reading.headers.extend(rules.headers());
    let classifier = opening::open(&spec, &pool, report, verbosity)?;
    let labels = |set: &LabelSet| set.labels.iter().map(|label| label.name.to_string()).collect();
    let named: Vec<(String, Vec<String>)> =
        classifier.sets().iter().map(|set| (set.name.clone(), labels(set))).collect();
    let sets: Vec<LabelNames<'_>> =
        named.iter().map(|(name, labels)| (name.as_str(), labels.iter().map(String::as_str).collect())).collect();
    let exec = filing.exec.as_ref().map(|line| Exec::new(CommandLine::Shell(line.clone()), retry_policy(delivery)));
    match (filing.rules.is_some(), exec.transpose().context("--exec")?) {
        (true, Some(exec)) => rules.run_for_all(&exec),
        (true, None) => {}
        (false, Some(exec)) => *rules = Rules::for_all(&sets, &exec),
        (false, None) => *rules = Rules::headers_for_all(&sets),
    }
    ensure!(!rules.is_empty(), "{}: there is no [[rule]], so there is nothing to do", rules.file());
    rules.check(&sets)?;
    tags::check(rules.tags(), classifier.sets(), classifier.model())?;
    Ok(Sorter { classifier, pool })
}

/// Reports a signal soon after it came: finishing the current batch may take long.
pub(super) fn announce(stop: &Stop, report: &Report) -> Announced {
    let voice = report.voice();
    // A stop that has nothing to wait for is over by then.
    stop.announce(Duration::from_secs(1), move || {
        voice.say("stopping after what is in hand; once more to stop at once")
    })
}

fn retry_policy(delivery: &DeliveryFlags) -> RetryPolicy {
    let filing = &delivery.filing;
    RetryPolicy { timeout: filing.exec_timeout, retries: filing.exec_retries, wait: filing.exec_wait }
}

/// Root of the maildir tree.
///
/// # Errors
/// When no flag says where it is.
pub(super) fn root(delivery: &DeliveryFlags, sources: &[PathBuf]) -> Result<PathBuf> {
    if let Some(root) = &delivery.filing.into {
        return Ok(root.clone());
    }
    match sources.first() {
        Some(first) if crate::maildir::is_maildir(first) => Ok(first.clone()),
        Some(first) if !first.exists() => bail!("cannot read {}: there is no such file or folder", first.display()),
        _ => bail!("the maildir tree is unknown: name a maildir first, or --into ROOT"),
    }
}

/// Takes the journal's lock. The inner `Err` names the process that has held it for all of `wait`.
///
/// # Errors
/// When the lock file cannot be used.
pub(super) fn lock(journal: &Path, wait: Duration) -> Result<Result<Lock, String>> {
    let holder = Lock::take(&Journal::lock_path(journal), wait)?;
    Ok(holder.map_err(|holder| format!("{holder} holds the journal {}", journal.display())))
}

/// Reports a recovery. Returns the number of operations that could not be settled.
pub(super) fn report_recovery(recovery: &Recovery, report: &Report) -> u64 {
    recovery.unsettled.iter().for_each(|unsettled| report.warn(unsettled));
    if recovery.done + recovery.forgotten > 0 {
        let (done, anew) = (recovery.done, recovery.forgotten);
        report.say(format_args!(
            "recovered a stopped run: {done} of its operations were done, {anew} were not and are planned anew"
        ));
    }
    recovery.unsettled.len() as u64
}

/// Refuses a metrics file that could not be written at the end.
///
/// # Errors
/// When it cannot be written.
pub(super) fn check_metrics(file: &Path) -> Result<()> {
    metrics::check(file).with_context(|| format!("cannot write the metrics {}", file.display()))
}

/// Refuses `action = "header"` for mbox files, which are never changed.
///
/// # Errors
/// When there are both.
pub(super) fn check_headers(rules: &Rules, stores: &[MailStore]) -> Result<()> {
    let mailbox = stores.iter().find(|store| !store.is_maildir() && rules.write_headers());
    mailbox.map_or(Ok(()), |mailbox| {
        let shown = mailbox.path().display();
        bail!("{shown} is an mbox file, which is never changed: `action = \"header\"` needs a maildir, to which rules can copy first")
    })
}

/// Is called with each batch and what became of it.
pub(super) type BatchObserver<'o> = dyn FnMut(&mut Router, &[ScoredMessage], &[Disposition]) -> Result<()> + 'o;

/// Routes all messages, and shows each batch to `observer`.
///
/// # Errors
/// When the model cannot run, or journal or output cannot be written.
pub(super) fn route(
    router: &mut Router,
    messages: Messages,
    sorter: &Sorter,
    stop: &Stop,
    observer: &mut BatchObserver<'_>,
    tally: &mut Tally<'_>,
) -> Result<()> {
    let mut out = Sink::standard_output();
    let mut tagger = |verdict: &Verdict, top: &TopLabel| tags::write(&mut out, verdict, top);
    let is_asked = || stop.is_asked();
    sorter.score(messages, is_asked, |batch, taken| {
        let each = taken / u32::try_from(batch.len()).unwrap_or(u32::MAX).max(1);
        let mut messages: Vec<ScoredMessage> = Vec::with_capacity(batch.len());
        for message in batch {
            match message {
                Ok(message) => messages.push(message),
                Err(skip) => tally.unread(&skip),
            }
        }
        let dispositions = router.route(&messages, &mut tagger, &is_asked)?;
        for (message, disposition) in messages.iter().zip(&dispositions) {
            tally.add(message, disposition, each + disposition.taken);
        }
        observer(router, &messages, &dispositions)
    })
}
