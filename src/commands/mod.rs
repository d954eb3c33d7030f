//! One file a verb: builds the parts from the flags and wires them.

mod cache;
mod classify;
#[cfg(unix)]
mod daemon;
#[cfg(not(unix))]
#[path = "without_daemon.rs"]
mod daemon;
mod eval;
mod filter;
mod models;
mod opening;
#[cfg(unix)]
mod route;
#[cfg(not(unix))]
#[path = "without_route.rs"]
mod route;
#[cfg(unix)]
mod routing;
mod show;
mod sizes;
mod train;
#[cfg(unix)]
mod watch;
#[cfg(not(unix))]
#[path = "without_watch.rs"]
mod watch;

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::cli::{Cli, Command};
use crate::intake::office;
use crate::output::Sink;

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
        Command::Completions(arguments) => print(&arguments.script()),
        Command::Man(arguments) => print(&arguments.page()?),
        Command::PdfText => Ok(office::serve()),
    }
}

/// Writes all of an output.
fn print(bytes: &[u8]) -> Result<ExitCode> {
    let mut out = Sink::standard_output();
    out.write_all(bytes).and_then(|()| out.finish()).context("cannot write the output")?;
    Ok(ExitCode::SUCCESS)
}
