//! What the verbs share that act on mail by rules.

mod mails;
mod tags;
mod tally;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rayon::ThreadPool;

use super::opening;
use crate::classifier::Classifier;
use crate::cli::Handling;
use crate::delivery::{By, Exec, Home, Journal, Limits, Lock, Mail, Outcome, Router, Rules, Set, Tree, Words};
use crate::intake::Raw;
use crate::output::{Sink, metrics};
use crate::record::{Intake, Verdict};
use crate::report::Report;
use crate::stream::{self, Announced, Scheduler, Stop};
use mails::Located;
pub(super) use mails::{Found, Mails, Place, hashes};
pub(super) use tally::Tally;

/// A classifier and the threads that it works on.
pub(super) struct Sorter {
    pub(super) classifier: Classifier,
    pool: ThreadPool,
}

/// EX_TEMPFAIL of sysexits.h: another run is at work.
pub(super) const TRY_AGAIN: u8 = 75;

/// The rules of the flags, and the tree that they are about.
///
/// # Errors
/// When the rules cannot be used, or nothing says where the tree is.
pub(super) fn rules_and_tree(handling: &Handling, sources: &[PathBuf]) -> Result<(Rules, Tree)> {
    let rules = match &handling.ruling.rules {
        Some(file) => Rules::read(file, limits(handling))?,
        None => Rules::default(),
    };
    let tree = Tree::new(&root(handling, sources)?, rules.layout)?;
    Router::check(&rules, &tree)?;
    Ok((rules, tree))
}

/// Loads labels and model, as the flags say or else the rules, and makes rules of the flags where there is no file of them.
///
/// # Errors
/// When labels, flags or the model cannot be used, or rules are about other labels.
pub(super) fn sorter(handling: &Handling, rules: &mut Rules, report: &Report) -> Result<Sorter> {
    let Handling { ruling, labels, model, cleaning, run, verbosity } = handling;
    let mut labels = labels.clone();
    if labels.files.is_empty() && labels.label.is_empty() && labels.classifier.is_none() {
        labels.files.clone_from(&rules.labels);
        labels.classifier.clone_from(&rules.classifier);
    }
    labels.threshold = labels.threshold.or(rules.threshold);
    let pool = stream::pool(run.threads)?;
    let spec = labels.best_label_spec(model, cleaning);
    let classifier = opening::open(&spec, &pool, report, verbosity)?;
    let labels = |set: &'_ crate::labels::LabelSet| set.labels.iter().map(|label| label.name.to_string()).collect();
    let named: Vec<(String, Vec<String>)> =
        classifier.sets().iter().map(|set| (set.name.clone(), labels(set))).collect();
    let sets: Vec<Set<'_>> =
        named.iter().map(|(name, labels)| (name.as_str(), labels.iter().map(String::as_str).collect())).collect();
    let exec = ruling.exec.as_ref().map(|line| Exec::new(Words::Shell(line.clone()), limits(handling)));
    match (ruling.rules.is_some(), exec.transpose().context("--exec")?) {
        (true, Some(exec)) => rules.run_for_all(&exec),
        (true, None) => {}
        (false, Some(exec)) => *rules = Rules::for_all(&sets, &exec),
        (false, None) => *rules = Rules::headers_for_all(&sets),
    }
    ensure!(!rules.is_empty(), "{}: it holds no [[rule]], so there is nothing to do", rules.file());
    rules.check(&sets)?;
    tags::check(rules.tags(), classifier.sets(), classifier.model())?;
    Ok(Sorter { classifier, pool })
}

/// Says at once that a signal was heard: what is in hand may take long.
pub(super) fn announce(stop: &Stop, report: &Report) -> Announced {
    let voice = report.voice();
    // Later than a stop takes that waits for nothing.
    stop.announce(Duration::from_secs(1), move || {
        voice.say("stopping after what is in hand; once more to stop at once")
    })
}

/// The names of the label sets.
pub(super) fn names(sorter: &Sorter) -> Vec<String> {
    sorter.classifier.sets().iter().map(|set| set.name.clone()).collect()
}

fn limits(handling: &Handling) -> Limits {
    let ruling = &handling.ruling;
    Limits { timeout: ruling.exec_timeout, retries: ruling.exec_retries, wait: ruling.exec_wait }
}

/// The root of the tree.
///
/// # Errors
/// When nothing says where it is.
pub(super) fn root(handling: &Handling, sources: &[PathBuf]) -> Result<PathBuf> {
    if let Some(root) = &handling.ruling.into {
        return Ok(root.clone());
    }
    match sources.first() {
        Some(first) if crate::maildir::is_maildir(first) => Ok(first.clone()),
        Some(first) if !first.exists() => bail!("cannot read {}: there is no such file or folder", first.display()),
        _ => bail!("nothing says in which tree folders are: give a maildir first, or --into ROOT"),
    }
}

/// Takes the journal's lock. Inside is who holds it, where that is not to be had in time.
///
/// # Errors
/// When there can be no lock.
pub(super) fn lock(journal: &Path, wait: Duration) -> Result<Result<Lock, String>> {
    let holder = Lock::take(&Journal::lock_path(journal), wait)?;
    Ok(holder.map_err(|holder| format!("{holder} works with the journal {}", journal.display())))
}

/// Settles what a stopped run has left, and says so. Returns how much of it cannot be settled.
///
/// # Errors
/// When the journal cannot be used.
pub(super) fn settle(router: &mut Router, report: &Report) -> Result<u64> {
    let settled = router.settle()?;
    settled.left.iter().for_each(|left| report.warn(left));
    if settled.done + settled.forgotten > 0 {
        let (done, anew) = (settled.done, settled.forgotten);
        report
            .say(format_args!("a run was stopped: {done} of its acts were done, {anew} were not and are decided anew"));
    }
    Ok(settled.left.len() as u64)
}

/// Refuses a file for figures that could not be written in the end.
///
/// # Errors
/// When it is such a file.
pub(super) fn check_metrics(file: &Path) -> Result<()> {
    metrics::check(file).with_context(|| format!("cannot write the metrics {}", file.display()))
}

/// Refuses what can be done with no mail of a mailbox.
///
/// # Errors
/// When there are both.
pub(super) fn check_headers(rules: &Rules, places: &[Place]) -> Result<()> {
    let mailbox = places.iter().find(|place| !place.is_maildir() && rules.write_headers());
    mailbox.map_or(Ok(()), |mailbox| {
        let shown = mailbox.path().display();
        bail!("{shown} is a mailbox, and `action = \"header\"` is for mail of maildirs; split it with rules that copy first")
    })
}

/// Is told what came of mails.
pub(super) type Seen<'s> = dyn FnMut(&mut Router, &[Mail], &[Outcome]) -> Result<()> + 's;

impl Sorter {
    /// Scores mails in batches and hands each batch to `each`, with the time that scoring took. A stop leaves those that
    /// were not scored where they are.
    ///
    /// # Errors
    /// When the model cannot run, or `each` fails.
    pub(super) fn sort(
        &self,
        mails: Mails,
        stop: impl Fn() -> bool,
        mut each: impl FnMut(Vec<Found>, Duration) -> Result<()>,
    ) -> Result<()> {
        let Self { classifier, pool } = self;
        let mut scheduler = Scheduler::of_files(pool, classifier.budget());
        scheduler.finish_prepared = false;
        let prepare = |(home, raw): Located| (home, classifier.read(raw));
        let bytes = |(_, raw): &Located| raw.as_ref().map_or(0, Raw::weight);
        let tokens = |(_, read): &(Option<Home>, Intake)| stream::tokens(read);
        scheduler.run(mails, bytes, prepare, tokens, stop, |batch| {
            let started = Instant::now();
            let (homes, read): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
            let verdicts = pool.install(|| classifier.verdicts(read))?;
            let found = homes.into_iter().zip(verdicts).map(|(home, verdict)| mails::found(home, verdict));
            each(found.collect(), started.elapsed())
        })
    }
}

/// Routes all mails, and hands each with its outcome to `seen`.
///
/// # Errors
/// When the model cannot run, or journal or output cannot be written.
pub(super) fn route(
    router: &mut Router,
    mails: Mails,
    sorter: &Sorter,
    stop: &Stop,
    seen: &mut Seen<'_>,
    tally: &mut Tally<'_>,
) -> Result<()> {
    let mut out = Sink::standard_output();
    let mut tagger = |verdict: &Verdict, by: &By| tags::write(&mut out, verdict, by);
    sorter.sort(
        mails,
        || stop.is_asked(),
        |batch, taken| {
            let each = taken / u32::try_from(batch.len()).unwrap_or(u32::MAX).max(1);
            let mut found: Vec<Mail> = Vec::with_capacity(batch.len());
            for mail in batch {
                match mail {
                    Ok(mail) => found.push(mail),
                    Err(skip) => tally.unread(&skip),
                }
            }
            let outcomes = router.route(&found, &mut tagger, &|| stop.is_asked())?;
            for (mail, outcome) in found.iter().zip(&outcomes) {
                tally.add(mail, outcome, each + outcome.taken);
            }
            seen(router, &found, &outcomes)
        },
    )
}
