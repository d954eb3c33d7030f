//! `mailsort watch`: stays, and sorts mail as it arrives in maildirs.

mod known;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::daemon;
use super::routing::{self, Mails, Place, Sorter, Tally};
use crate::arrivals::{Arrivals, Arrived, Note};
use crate::cli::{Handling, Watch};
use crate::delivery::{Journal, Lock, Mail, Outcome, Router, Rules, Tree};
use crate::report::Report;
use crate::stream::Stop;
use known::Known;

/// How long a signal waits at most while there is no mail.
const LOOK_UP: Duration = Duration::from_millis(500);

/// So long somebody has to make room on a full disk.
const FULL: Duration = Duration::from_secs(60);

/// And so long a maildir is away that is renamed with its journal in it.
const MOVED: Duration = Duration::from_secs(2);

/// A run of the journal, which is what an undo puts back, lasts so long at most.
const LONGEST_RUN: Duration = Duration::from_secs(3600);

/// Runs the command.
///
/// # Errors
/// When rules, labels, model, maildirs, journal or output cannot be used, or the model fails for good.
pub(super) fn run(arguments: &Watch) -> Result<ExitCode> {
    let Watch { watching, handling } = arguments;
    let Handling { ruling, verbosity, .. } = handling;
    let report = Report::new(verbosity.level(), verbosity.progress);
    let places = Place::all(&watching.sources)?;
    for place in &places {
        let shown = place.path().display();
        ensure!(place.is_maildir(), "{shown} is no maildir; `mailsort route` sorts mailboxes");
    }
    let (mut rules, tree) = routing::rules_and_tree(handling, &watching.sources)?;
    tree.make_root().with_context(|| format!("cannot make the folder {}", tree.root().display()))?;
    let journal = Journal::path_of(tree.root(), ruling.journal.as_deref());
    // Before the model is loaded, which may take long.
    drop(Journal::open(&journal, tree.root())?);
    if let Some(file) = &ruling.metrics {
        routing::check_metrics(file)?;
    }
    let stop = Stop::listen()?;
    let _announced = routing::announce(&stop, &report);
    let sorter = routing::sorter(handling, &mut rules, &report)?;
    let maildirs = places.iter().map(|place| std::path::absolute(place.path())).collect::<Result<Vec<_>, _>>()?;
    let mut arrivals = Arrivals::new(&maildirs, watching.rescan).context("cannot watch")?;
    let mut handler = Handler {
        rules,
        tree,
        journal,
        metrics: ruling.metrics.as_deref(),
        sorter: &sorter,
        stop: &stop,
        report: &report,
        known: maildirs.iter().map(|maildir| Known::new(maildir, watching.new_only)).collect(),
        run: None,
    };
    report.note(format_args!("watching, with the model {}", sorter.classifier.model()));
    let mut is_ready = false;
    while !stop.is_asked() {
        let news = arrivals.wait(LOOK_UP);
        news.notes.iter().for_each(|note| tell(note, &report));
        match handler.handle(news.arrived) {
            Err(error) if Journal::is_full(&error) || Journal::has_moved(&error) => {
                let wait = if Journal::is_full(&error) { FULL } else { MOVED };
                report.warn(format_args!("{error:#}; trying again in {} s", wait.as_secs()));
                arrivals.list_again(wait);
            }
            handled => handled?,
        }
        // The first news are what was there before.
        if !std::mem::replace(&mut is_ready, true) {
            daemon::ready();
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn tell(note: &Note, report: &Report) {
    match note {
        Note::Gone(path) => report.warn(format_args!("{} is no maildir any more; it is waited for", path.display())),
        Note::Back(path) => report.say(format_args!("{} is a maildir again", path.display())),
        Note::Unheard(path, why) => {
            report.warn(format_args!("the system does not tell of mail in {}: {why}; --rescan looks", path.display()));
        }
        Note::Unlisted(path, why) => report.warn(format_args!("cannot list {}: {why}", path.display())),
    }
}

/// Sorts what has arrived.
struct Handler<'h> {
    rules: Rules,
    tree: Tree,
    journal: PathBuf,
    metrics: Option<&'h Path>,
    sorter: &'h Sorter,
    stop: &'h Stop,
    report: &'h Report,
    /// One for each maildir.
    known: Vec<Known>,
    /// The run that is gone on with, and when it began.
    run: Option<(i64, Instant)>,
}

impl Handler<'_> {
    /// # Errors
    /// When the model fails for good, or journal, metrics or output cannot be written.
    fn handle(&mut self, mut arrived: Vec<Arrived>) -> Result<()> {
        arrived.retain(|arrived| self.known[arrived.maildir].concerns(arrived));
        if arrived.is_empty() {
            return Ok(());
        }
        // `route` and undos may come between any two of these.
        let Some(_lock) = self.lock()? else {
            return Ok(());
        };
        let journal = Journal::open(&self.journal, self.tree.root())?;
        let (rules, sets) = (self.rules.clone(), routing::names(self.sorter));
        let mut router =
            Router::new(journal, self.tree.clone(), rules, sets, self.sorter.classifier.model().to_string())?;
        if let Some((run, began)) = self.run.filter(|(_, began)| began.elapsed() < LONGEST_RUN) {
            router.go_on(run)?;
            self.run = Some((run, began));
        }
        let mut tally = Tally::new(self.report);
        tally.left(routing::settle(&mut router, self.report)?);
        let routed = arrived.into_iter().try_for_each(|arrived| self.route(&mut router, arrived, &mut tally));
        let ended = tally.end(&mut router, routed.is_ok() && !self.stop.is_asked(), self.metrics);
        routed?;
        let run = ended?;
        if !tally.is_empty() {
            self.report.say(tally.said(run));
        }
        if let Some(run) = run.filter(|run| self.run.is_none_or(|(before, _)| before != *run)) {
            self.run = Some((run, Instant::now()));
        }
        Ok(())
    }

    /// The journal's lock, as soon as it is to be had; `None` when the run shall stop.
    fn lock(&self) -> Result<Option<Lock>> {
        let mut said = false;
        while !self.stop.is_asked() {
            match routing::lock(&self.journal, LOOK_UP)? {
                Ok(lock) => return Ok(Some(lock)),
                Err(holder) if !said => {
                    self.report.note(format_args!("{holder}; waiting"));
                    said = true;
                }
                Err(_) => {}
            }
        }
        Ok(None)
    }

    fn route(&mut self, router: &mut Router, arrived: Arrived, tally: &mut Tally<'_>) -> Result<()> {
        let known = &mut self.known[arrived.maildir];
        let paths = known.unseen(router.journal(), arrived)?;
        if paths.is_empty() {
            return Ok(());
        }
        let Ok(place) = Place::messages(known.maildir(), paths) else {
            // It was renamed or removed a moment ago, which the next news tell.
            return Ok(());
        };
        let mut seen =
            |router: &mut Router, mails: &[Mail], outcomes: &[Outcome]| known.note(router.journal(), mails, outcomes);
        routing::route(router, Mails::new(vec![place]), self.sorter, self.stop, &mut seen, tally)
    }
}
