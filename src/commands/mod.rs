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

/// Runs the command.
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

/// Two digits and a decimal unit: `999 B`, `1.2 GB`, `16 GB`.
fn size(bytes: u64) -> String {
    let units = [(1_000_000_000_000, "TB"), (1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    match units.into_iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) if bytes < 10 * unit => format!("{:.1} {name}", bytes as f64 / unit as f64),
        Some((unit, name)) => format!("{:.0} {name}", bytes as f64 / unit as f64),
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let check = |bytes, expected: &str| assert_eq!(size(bytes), expected);
        check(0, "0 B");
        check(999, "999 B");
        check(28_672, "29 kB");
        check(1_191_586_416, "1.2 GB");
        check(16_376_000_000, "16 GB");
    }
}
