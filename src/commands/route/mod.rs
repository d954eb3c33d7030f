//! `mailsort route`: sorts maildirs and mailboxes by rules, each mail exactly once.

mod mails;
mod plan;
mod tags;
mod tally;
mod undo;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::sorter::Sorter;
use super::stop::Stop;
use super::stream;
use crate::cli::{Choosing, Route};
use crate::delivery::{By, Exec, Journal, Limits, Lock, Mail, Router, Rules, Set, Tree, Words};
use crate::output::Target;
use crate::record::Verdict;
use crate::report::{Downloads, Report};
use mails::{Mails, Place};
use tally::Tally;

/// EX_TEMPFAIL of sysexits.h: another run is at work.
const TRY_AGAIN: u8 = 75;

/// Runs the command.
///
/// # Errors
/// When rules, labels, model, sources, journal or output cannot be used.
pub(super) fn run(arguments: &Route) -> Result<ExitCode> {
    let routing = &arguments.routing;
    match routing.undo {
        Some(which) => undo::undo(arguments, which),
        None if routing.runs => undo::list(arguments),
        None => route(arguments),
    }
}

fn route(arguments: &Route) -> Result<ExitCode> {
    let routing = &arguments.routing;
    let report = Report::new(arguments.talk.level(), arguments.talk.progress);
    let mut rules = match &routing.rules {
        Some(file) => Rules::read(file, limits(arguments))?,
        None => Rules::default(),
    };
    let places = Place::all(&routing.sources)?;
    let tree = Tree::new(&root(arguments)?, rules.layout)?;
    Router::check(&rules, &tree)?;
    let journal = Journal::path_of(tree.root(), routing.journal.as_deref());
    if routing.dry_run {
        let sorter = sorter(arguments, &mut rules, &report)?;
        return plan::write(arguments, rules, &tree, &journal, &sorter, Mails::new(places), &report);
    }
    tree.make_root().with_context(|| format!("cannot make the folder {}", tree.root().display()))?;
    let Some(_lock) = locked(&journal, routing.wait, &report)? else {
        return Ok(ExitCode::from(TRY_AGAIN));
    };
    let stop = Stop::listen()?;
    let journal = Journal::open(&journal)?;
    let sorter = sorter(arguments, &mut rules, &report)?;
    let mut router = Router::new(journal, tree, rules, names(&sorter), sorter.model().to_string())?;
    let settled = router.settle()?;
    if settled.done + settled.forgotten > 0 {
        let (done, anew) = (settled.done, settled.forgotten);
        report
            .say(format_args!("a run was stopped: {done} of its acts were done, {anew} were not and are decided anew"));
    }
    let mut tally = Tally::default();
    let routed = all(&mut router, Mails::new(places), &sorter, &stop, &report, &mut tally);
    // What was done is done, and is counted even where the run cannot go on.
    let run = tally.end(&mut router, routed.is_ok() && !stop.is_asked(), routing.metrics.as_deref());
    routed?;
    let run = run?;
    report.close(tally.said(run));
    Ok(if stop.is_asked() { stop.exit_code() } else { ExitCode::from(u8::from(tally.has_errors())) })
}

/// Routes all mails.
fn all(
    router: &mut Router,
    mut mails: Mails,
    sorter: &Sorter,
    stop: &Stop,
    report: &Report,
    tally: &mut Tally,
) -> Result<()> {
    let mut out = Target::standard_output();
    let mut tagger = |verdict: &Verdict, by: &By| tags::write(&mut out, verdict, by);
    while !stop.is_asked() {
        let (piece, taken) = mails.next_piece(sorter)?;
        if piece.is_empty() {
            break;
        }
        tally.timed(piece.len(), taken);
        let mut found: Vec<Mail> = Vec::with_capacity(piece.len());
        for mail in piece {
            match mail {
                Ok(mail) => found.push(mail),
                Err(skip) => tally.unread(&skip, report),
            }
        }
        let outcomes = router.route(&found, &mut tagger, &|| stop.is_asked())?;
        for (mail, outcome) in found.iter().zip(&outcomes) {
            tally.add(mail, outcome, report);
        }
    }
    Ok(())
}

/// Loads labels and model, as the flags say or else the rules.
fn sorter(arguments: &Route, rules: &mut Rules, report: &Report) -> Result<Sorter> {
    let Route { choosing, engine, cleaning, run, talk, .. } = arguments;
    let mut choosing: Choosing = choosing.clone();
    if choosing.files.is_empty() && choosing.label.is_empty() && choosing.classifier.is_none() {
        choosing.files.clone_from(&rules.labels);
        choosing.classifier.clone_from(&rules.classifier);
    }
    choosing.threshold = choosing.threshold.or(rules.threshold);
    let downloads = Downloads::new(talk.level(), talk.progress);
    let sorter = Sorter::load(&choosing, engine, cleaning, Some(stream::pool(run.threads)?), report, &downloads)?;
    let labels = |set: &'_ crate::labels::LabelSet| set.labels.iter().map(|label| label.name.to_string()).collect();
    let named: Vec<(String, Vec<String>)> = sorter.sets().iter().map(|set| (set.name.clone(), labels(set))).collect();
    let sets: Vec<Set<'_>> =
        named.iter().map(|(name, labels)| (name.as_str(), labels.iter().map(String::as_str).collect())).collect();
    if let Some(line) = &arguments.routing.exec {
        let exec = Exec::new(Words::Shell(line.clone()), limits(arguments)).context("--exec")?;
        match arguments.routing.rules {
            Some(_) => rules.run_for_all(&exec),
            None => *rules = Rules::for_all(&sets, &exec),
        }
    }
    rules.check(&sets)?;
    tags::check(rules.tags(), sorter.sets(), sorter.model())?;
    Ok(sorter)
}

fn names(sorter: &Sorter) -> Vec<String> {
    sorter.sets().iter().map(|set| set.name.clone()).collect()
}

fn limits(arguments: &Route) -> Limits {
    let routing = &arguments.routing;
    Limits { timeout: routing.exec_timeout, retries: routing.exec_retries, wait: routing.exec_wait }
}

/// The root of the tree.
fn root(arguments: &Route) -> Result<PathBuf> {
    let routing = &arguments.routing;
    if let Some(root) = &routing.into {
        return Ok(root.clone());
    }
    match routing.sources.first() {
        Some(first) if crate::maildir::is_maildir(first) => Ok(first.clone()),
        Some(first) if !first.exists() => bail!("cannot read {}: there is no such file or folder", first.display()),
        _ => bail!("nothing says in which tree folders are: give a maildir first, or --into ROOT"),
    }
}

/// Takes the journal's lock; says who holds it where that cannot be had in time.
fn locked(journal: &Path, wait: Duration, report: &Report) -> Result<Option<Lock>> {
    Ok(match Lock::take(&Journal::lock_path(journal), wait)? {
        Ok(lock) => Some(lock),
        Err(holder) => {
            report.say(format_args!("{holder} works with the journal {}; try again later", journal.display()));
            None
        }
    })
}
