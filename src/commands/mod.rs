//! One file per verb: builds the parts and wires the stream.

mod cache;
mod chosen;
mod classifier;
mod classify;
mod completions;
#[cfg(unix)]
mod daemon;
#[cfg(not(unix))]
#[path = "without_daemon.rs"]
mod daemon;
mod downloads;
mod eval;
mod filter;
mod inputs;
mod man;
mod model;
mod models;
mod pipeline;
mod resume;
#[cfg(unix)]
mod route;
#[cfg(not(unix))]
#[path = "without_route.rs"]
mod route;
#[cfg(unix)]
mod routing;
mod samples;
mod scoring;
mod show;
mod sizes;
mod sorter;
mod stop;
mod stream;
mod train;
#[cfg(unix)]
mod watch;
#[cfg(not(unix))]
#[path = "without_watch.rs"]
mod watch;

use std::process::ExitCode;

use anyhow::Result;

use crate::cli::{Cli, Command};
use crate::intake::office;

/// Runs the command and says how it ended.
///
/// # Errors
/// When it could not run.
pub fn run(cli: &Cli) -> Result<ExitCode> {
    match &cli.command {
        Command::Classify(arguments) => classify::run(arguments),
        Command::Eval(arguments) => eval::run(arguments),
        Command::Train(arguments) => train::run(arguments),
        Command::Daemon(arguments) => daemon::run(arguments),
        Command::Filter(arguments) => filter::run(arguments),
        Command::Route(arguments) => route::run(arguments),
        Command::Watch(arguments) => watch::run(arguments),
        Command::Show(arguments) => show::run(arguments),
        Command::Cache(arguments) => cache::run(arguments),
        Command::Models(arguments) => models::run(arguments),
        Command::Completions(arguments) => completions::run(arguments),
        Command::Man(arguments) => man::run(arguments),
        Command::PdfText => Ok(office::serve()),
    }
}
