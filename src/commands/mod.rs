//! One file a verb: builds the parts from the flags and wires them.

mod answer;
mod cache;
mod classify;
mod compare;
mod eval;
mod filter;
mod index;
mod mcp;
mod models;
mod opening;
mod search;
mod serve;
mod show;
mod train;
#[cfg(unix)]
mod unix;

use std::io::Write;
use std::path::Path;
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
        Command::Filter(arguments) => filter::run(arguments),
        Command::Route(arguments) => unix::route(arguments),
        Command::Watch(arguments) => unix::watch(arguments),
        Command::Serve(arguments) => serve::run(arguments),
        Command::Mcp(arguments) => mcp::run(arguments),
        Command::Show(arguments) => show::run(arguments),
        Command::Compare(arguments) => compare::run(arguments),
        Command::Index(arguments) => index::run(arguments),
        Command::Search(arguments) => search::run(arguments),
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

/// A path in full, or from the current folder where it is in that.
fn near(path: &str) -> String {
    let here = std::env::current_dir().ok();
    let near = here.as_ref().and_then(|here| Path::new(path).strip_prefix(here).ok());
    near.map_or_else(|| path.to_string(), |near| near.to_string_lossy().into_owned())
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

/// What other systems have instead of `unix`.
#[cfg(not(unix))]
mod unix {
    use std::path::Path;
    use std::process::ExitCode;
    use std::time::Duration;

    use anyhow::{Result, bail};

    use super::answer::Reply;
    use crate::cli::{Route, Watch};

    pub(super) fn ask(_: &Path, _: &[u8], _: bool, _: Duration) -> Result<Reply> {
        bail!("--socket is a Unix socket, which this system does not have")
    }

    pub(super) fn route(_: &Route) -> Result<ExitCode> {
        bail!("maildirs are sorted on Unix systems only")
    }

    pub(super) fn watch(_: &Watch) -> Result<ExitCode> {
        bail!("maildirs are sorted on Unix systems only")
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
