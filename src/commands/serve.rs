//! `mailsort serve`: loads a model and keeps it for all who ask over HTTP.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use rayon::ThreadPool;

use super::opening;
use crate::classifier::Selection;
use crate::cli::{Serve, Verbosity};
use crate::platform;
use crate::report::Report;
use crate::serve::{self, Served};
use crate::stream;

/// Runs the command.
///
/// # Errors
/// When labels, model or address cannot be used, or the model fails for good.
pub(super) fn run(arguments: &Serve) -> Result<ExitCode> {
    let Serve { flags, run, verbosity, .. } = arguments;
    let report = Arc::new(Report::new(verbosity.level(), verbosity.progress));
    let pool = stream::pool(run.threads)?;
    let load = || served(arguments, &pool, &report, verbosity);
    let ready = |address: &str, served: &Served| {
        report.say(format_args!("listening on {address}, with the model {}", served.name()));
        platform::notify_ready();
    };
    // Clients may wait while the model loads, and no model is loaded for an address that is taken.
    serve::run(&flags.spec(), &pool, &report, load, ready)?;
    Ok(ExitCode::SUCCESS)
}

/// Loads what is served.
fn served(arguments: &Serve, pool: &ThreadPool, report: &Report, verbosity: &Verbosity) -> Result<Served> {
    let selection = Selection::read(&arguments.spec())?;
    // The vectors of an index are of one model, which must be told from others.
    let identified = arguments.flags.index.is_some();
    let (loaded, classifier) = if selection.sets.is_empty() {
        let plan = selection.plan(report, &verbosity.downloads())?;
        (Arc::new(pool.install(|| plan.load(identified, report))?), None)
    } else {
        let classifier = opening::open_selection(&selection, identified, pool, report, verbosity)?;
        (classifier.loaded().clone(), Some(classifier))
    };
    let of_vectors = (identified && !loaded.is_of_pairs()).then(|| opening::index_model(&loaded));
    Ok(Served { selection, loaded, classifier, of_vectors })
}
