//! `mailsort route`: sorts maildirs and mbox files by rules, each message exactly once.

mod plan;
mod undo;

use std::process::ExitCode;

use anyhow::{Context, Result};

use super::routing::{self, MailStore, Messages, TRY_AGAIN, Tally};
use crate::cli::{DeliveryFlags, Route};
use crate::delivery::{Journal, Router};
use crate::report::Report;
use crate::stream::Stop;

/// Runs the command.
///
/// # Errors
/// When rules, labels, model, sources, journal or output cannot be used.
pub(in crate::commands) fn run(arguments: &Route) -> Result<ExitCode> {
    let flags = &arguments.flags;
    match flags.undo {
        Some(which) => undo::undo(arguments, which),
        None if flags.runs => undo::list(arguments),
        None => route(arguments),
    }
}

fn route(arguments: &Route) -> Result<ExitCode> {
    let Route { flags, delivery } = arguments;
    let DeliveryFlags { filing, verbosity, .. } = delivery;
    let report = Report::new(verbosity.level(), verbosity.progress);
    let stores = MailStore::all(&flags.sources)?;
    let (mut rules, tree) = routing::rules_and_tree(delivery, &flags.sources)?;
    routing::check_headers(&rules, &stores)?;
    let journal = Journal::path_of(tree.root(), filing.journal.as_deref());
    if let Some(file) = &filing.metrics {
        routing::check_metrics(file)?;
    }
    if flags.dry_run {
        let sorter = routing::sorter(delivery, &mut rules, &report)?;
        return plan::write(flags.format, rules, &tree, &journal, &sorter, Messages::new(stores), &report);
    }
    tree.create_root().with_context(|| format!("cannot create the folder {}", tree.root().display()))?;
    let _lock = match routing::lock(&journal, flags.wait)? {
        Ok(lock) => lock,
        Err(holder) => {
            report.say(format_args!("{holder}; try again later"));
            return Ok(ExitCode::from(TRY_AGAIN));
        }
    };
    let stop = Stop::listen()?;
    let _announced = routing::announce(&stop, &report);
    let journal = Journal::open(&journal, tree.root())?;
    let sorter = routing::sorter(delivery, &mut rules, &report)?;
    let mut router = Router::new(journal, tree, rules, sorter.set_names(), sorter.model().to_string())?;
    let mut tally = Tally::new(&report);
    tally.unsettled(routing::report_recovery(&router.recover()?, &report));
    let routed = routing::route(&mut router, Messages::new(stores), &sorter, &stop, &mut |_, _, _| Ok(()), &mut tally);
    // What was done is counted even when the run failed.
    let run = tally.end(&mut router, routed.is_ok() && !stop.is_asked(), filing.metrics.as_deref());
    routed?;
    let run = run?;
    report.close(tally.summary(run));
    Ok(if stop.is_asked() { stop.exit_code() } else { ExitCode::from(u8::from(tally.has_errors())) })
}
