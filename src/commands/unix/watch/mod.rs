//! `mailsort watch`: sorts messages as they arrive in maildirs, until it is stopped.

mod seen;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::routing::{self, MailStore, Messages, Sorter, Tally};
use crate::cli::{DeliveryFlags, Watch};
use crate::delivery::{Disposition, Journal, Lock, MaildirTree, Router, Rules, ScoredMessage};
use crate::platform;
use crate::report::Report;
use crate::stream::Stop;
use crate::watcher::{Arrival, MaildirWatcher, Notice};
use seen::SeenMessages;

/// Interval at which signals are looked for while there is no mail.
const STOP_INTERVAL: Duration = Duration::from_millis(500);

/// Wait before a retry when the disk is full.
const DISK_FULL_WAIT: Duration = Duration::from_secs(60);

/// Wait before a retry when the maildir was renamed with the journal in it.
const MOVED_WAIT: Duration = Duration::from_secs(2);

/// Longest run in the journal; an undo puts back one run.
const LONGEST_RUN: Duration = Duration::from_secs(3600);

/// Runs the command.
///
/// # Errors
/// When rules, labels, model, maildirs, journal or output cannot be used, or the model fails for good.
pub(in crate::commands) fn run(arguments: &Watch) -> Result<ExitCode> {
    let Watch { flags, delivery } = arguments;
    let DeliveryFlags { filing, verbosity, .. } = delivery;
    let report = Report::new(verbosity.level(), verbosity.progress);
    let stores = MailStore::all(&flags.sources)?;
    for store in &stores {
        let shown = store.path().display();
        ensure!(store.is_maildir(), "{shown} is not a maildir; `mailsort route` sorts mbox files");
    }
    let (mut rules, tree) = routing::rules_and_tree(delivery, &flags.sources)?;
    tree.create_root().with_context(|| format!("cannot create the folder {}", tree.root().display()))?;
    let journal = Journal::path_of(tree.root(), filing.journal.as_deref());
    // An unusable journal is an error before the model is loaded, which may take long.
    drop(Journal::open(&journal, tree.root())?);
    if let Some(file) = &filing.metrics {
        routing::check_metrics(file)?;
    }
    let stop = Stop::listen()?;
    let _announced = routing::announce(&stop, &report);
    let sorter = routing::sorter(delivery, &mut rules, &report)?;
    let maildirs = stores.iter().map(|store| std::path::absolute(store.path())).collect::<Result<Vec<_>, _>>()?;
    let mut watcher = MaildirWatcher::new(&maildirs, flags.rescan).context("cannot watch")?;
    let mut handler = Handler {
        rules,
        tree,
        journal,
        metrics: filing.metrics.as_deref(),
        sorter: &sorter,
        stop: &stop,
        report: &report,
        seen: maildirs.iter().map(|maildir| SeenMessages::new(maildir, flags.new_only)).collect(),
        run: None,
    };
    report.note(format_args!("watching, with the model {}", sorter.model()));
    let mut is_ready = false;
    while !stop.is_asked() {
        let update = watcher.wait(STOP_INTERVAL);
        update.notices.iter().for_each(|notice| report_notice(notice, &report));
        match handler.handle(update.arrivals) {
            Err(error) if Journal::is_full(&error) || Journal::has_moved(&error) => {
                let wait = if Journal::is_full(&error) { DISK_FULL_WAIT } else { MOVED_WAIT };
                report.warn(format_args!("{error:#}; retrying in {} s", wait.as_secs()));
                watcher.list_again(wait);
            }
            handled => handled?,
        }
        // The first update is the mail that was there before.
        if !std::mem::replace(&mut is_ready, true) {
            platform::notify_ready();
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn report_notice(notice: &Notice, report: &Report) {
    match notice {
        Notice::Removed(path) => report.warn(format_args!("{} is no longer a maildir; waiting for it", path.display())),
        Notice::Restored(path) => report.say(format_args!("{} is a maildir again", path.display())),
        Notice::NotWatched(path, why) => {
            report.warn(format_args!(
                "the system sends no events for {}: {why}; it is listed every --rescan seconds",
                path.display()
            ));
        }
        Notice::NotListed(path, why) => report.warn(format_args!("cannot list {}: {why}", path.display())),
    }
}

/// Sorts arriving messages.
struct Handler<'h> {
    rules: Rules,
    tree: MaildirTree,
    journal: PathBuf,
    metrics: Option<&'h Path>,
    sorter: &'h Sorter,
    stop: &'h Stop,
    report: &'h Report,
    /// One for each maildir.
    seen: Vec<SeenMessages>,
    /// The run in the journal that is continued, and its start.
    run: Option<(i64, Instant)>,
}

impl Handler<'_> {
    /// # Errors
    /// When the model fails for good, or journal, metrics or output cannot be written.
    fn handle(&mut self, mut arrivals: Vec<Arrival>) -> Result<()> {
        arrivals.retain(|arrival| self.seen[arrival.maildir].concerns(arrival));
        if arrivals.is_empty() {
            return Ok(());
        }
        // Locked for one update only, so that `route` and an undo can work in between.
        let Some(_lock) = self.lock()? else {
            return Ok(());
        };
        let journal = Journal::open(&self.journal, self.tree.root())?;
        let (rules, sets) = (self.rules.clone(), self.sorter.set_names());
        let mut router = Router::new(journal, self.tree.clone(), rules, sets, self.sorter.model().to_string())?;
        if let Some((run, began)) = self.run.filter(|(_, began)| began.elapsed() < LONGEST_RUN) {
            router.go_on(run)?;
            self.run = Some((run, began));
        }
        let mut tally = Tally::new(self.report);
        tally.unsettled(routing::report_recovery(&router.recover()?, self.report));
        let routed = arrivals.into_iter().try_for_each(|arrival| self.route(&mut router, arrival, &mut tally));
        let ended = tally.end(&mut router, routed.is_ok() && !self.stop.is_asked(), self.metrics);
        routed?;
        let run = ended?;
        if !tally.is_empty() {
            self.report.say(tally.summary(run));
        }
        if let Some(run) = run.filter(|run| self.run.is_none_or(|(before, _)| before != *run)) {
            self.run = Some((run, Instant::now()));
        }
        Ok(())
    }

    /// Waits for the journal's lock; `None` after a signal.
    fn lock(&self) -> Result<Option<Lock>> {
        let mut said = false;
        while !self.stop.is_asked() {
            match routing::lock(&self.journal, STOP_INTERVAL)? {
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

    fn route(&mut self, router: &mut Router, arrival: Arrival, tally: &mut Tally<'_>) -> Result<()> {
        let seen = &mut self.seen[arrival.maildir];
        let paths = seen.unseen(router.journal(), arrival)?;
        if paths.is_empty() {
            return Ok(());
        }
        let Ok(store) = MailStore::messages(seen.maildir(), paths) else {
            // Just renamed or removed: the next update will say so.
            return Ok(());
        };
        let mut observer = |router: &mut Router, messages: &[ScoredMessage], dispositions: &[Disposition]| {
            seen.note(router.journal(), messages, dispositions)
        };
        routing::route(router, Messages::new(vec![store]), self.sorter, self.stop, &mut observer, tally)
    }
}
