//! `mailsort models`: lists, gets and describes models.

mod list;
mod show;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::cli::{Models, ModelsVerb, PathModel, PullModels};
use crate::engine::hub::{self, HubOptions};
use crate::output::Target;
use crate::report::Downloads;

/// The model inside the program.
const BUILTIN: &str = "builtin";

/// Runs the command.
///
/// # Errors
/// When a model cannot be found or got, or the output cannot be written.
pub(super) fn run(arguments: &Models) -> Result<ExitCode> {
    match &arguments.verb {
        ModelsVerb::List(arguments) => list::run(arguments.format)?,
        ModelsVerb::Pull(arguments) => pull(arguments)?,
        ModelsVerb::Show(arguments) => show::run(arguments)?,
        ModelsVerb::Path(arguments) => path(arguments)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn pull(arguments: &PullModels) -> Result<()> {
    let progress = Downloads::new(arguments.level(), arguments.progress);
    let options = HubOptions { revision: arguments.revision.clone(), offline: false };
    // A slip in the last name ought not to show only when the others are there.
    for model in &arguments.models {
        refuse_builtin(model)?;
        hub::check(model, &options)?;
    }
    for model in &arguments.models {
        let located = hub::pull(model, &options, &progress)?;
        print(&line(&located.path))?;
    }
    Ok(())
}

fn path(arguments: &PathModel) -> Result<()> {
    refuse_builtin(&arguments.model)?;
    print(&line(&hub::find(&arguments.model, arguments.revision.as_deref())?.path))
}

fn refuse_builtin(model: &str) -> Result<()> {
    ensure!(
        model != BUILTIN || Path::new(model).exists(),
        "the model builtin is inside mailsort; there is nothing to get or to find"
    );
    Ok(())
}

/// A path as it is, for programs.
fn line(path: &Path) -> Vec<u8> {
    [path.as_os_str().as_encoded_bytes(), b"\n"].concat()
}

/// A JSON value, for people and programs.
fn json(value: &Value) -> Result<Vec<u8>> {
    Ok([serde_json::to_vec_pretty(value)?, b"\n".to_vec()].concat())
}

fn print(bytes: &[u8]) -> Result<()> {
    let mut out = Target::standard_output();
    out.write_all(bytes).context("cannot write the output")?;
    out.finish().context("cannot write the output")
}

/// A number of bytes for people: two digits, as disks are sold.
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
        check(1_191_586_416, "1.2 GB");
        check(16_376_000_000, "16 GB");
    }
}
