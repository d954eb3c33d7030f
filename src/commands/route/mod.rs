//! `mailsort route`: sorts maildirs and mailboxes by rules, each mail exactly once.

mod plan;
mod undo;

use std::process::ExitCode;

use anyhow::{Context, Result};

use super::routing::{self, Mails, Place, TRY_AGAIN, Tally};
use crate::cli::{Handling, Route};
use crate::delivery::{Journal, Router};
use crate::report::Report;
use crate::stream::Stop;

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
    let Route { routing, handling } = arguments;
    let Handling { ruling, verbosity, .. } = handling;
    let report = Report::new(verbosity.level(), verbosity.progress);
    let places = Place::all(&routing.sources)?;
    let (mut rules, tree) = routing::rules_and_tree(handling, &routing.sources)?;
    routing::check_headers(&rules, &places)?;
    let journal = Journal::path_of(tree.root(), ruling.journal.as_deref());
    if let Some(file) = &ruling.metrics {
        routing::check_metrics(file)?;
    }
    if routing.dry_run {
        let sorter = routing::sorter(handling, &mut rules, &report)?;
        return plan::write(routing.format, rules, &tree, &journal, &sorter, Mails::new(places), &report);
    }
    tree.make_root().with_context(|| format!("cannot make the folder {}", tree.root().display()))?;
    let _lock = match routing::lock(&journal, routing.wait)? {
        Ok(lock) => lock,
        Err(holder) => {
            report.say(format_args!("{holder}; try again later"));
            return Ok(ExitCode::from(TRY_AGAIN));
        }
    };
    let stop = Stop::listen()?;
    let _announced = routing::announce(&stop, &report);
    let journal = Journal::open(&journal, tree.root())?;
    let sorter = routing::sorter(handling, &mut rules, &report)?;
    let mut router = Router::new(journal, tree, rules, routing::names(&sorter), sorter.classifier.model().to_string())?;
    let mut tally = Tally::new(&report);
    tally.left(routing::settle(&mut router, &report)?);
    let routed = routing::route(&mut router, Mails::new(places), &sorter, &stop, &mut |_, _, _| Ok(()), &mut tally);
    // What was done is done, and is counted even where the run cannot go on.
    let run = tally.end(&mut router, routed.is_ok() && !stop.is_asked(), ruling.metrics.as_deref());
    routed?;
    let run = run?;
    report.close(tally.said(run));
    Ok(if stop.is_asked() { stop.exit_code() } else { ExitCode::from(u8::from(tally.has_errors())) })
}
