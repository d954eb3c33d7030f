//! `mailsort models`: lists, gets and describes models.

mod list;
mod show;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::cli::{Models, ModelsVerb, PathModel, PullModels};
use crate::engine::hub::{self, HubOptions, Located};
use crate::engine::{DEEP, Deep, EMBEDDED};
use crate::output::Sink;
use crate::report::Downloads;

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
    // All names are checked before the first download.
    for model in &arguments.models {
        ensure!(embedded(model)?.is_none(), "the model {model} is inside mailsort; there is nothing to get");
        hub::check(model, &options)?;
    }
    for model in &arguments.models {
        let located = hub::pull(model, &options, &progress)?;
        print(&line(&located.path))?;
    }
    Ok(())
}

fn path(arguments: &PathModel) -> Result<()> {
    print(&line(&find(&arguments.model, arguments.revision.as_deref())?.path))
}

/// Finds a model; two lie in the program itself.
fn find(model: &str, revision: Option<&str>) -> Result<Located> {
    let Some(id) = embedded(model)? else {
        return hub::find(model, revision);
    };
    ensure!(revision.is_none(), "the model {id} is inside mailsort and has no revisions; leave out --revision");
    let path = std::env::current_exe().context("the system does not tell where this program is")?;
    Ok(Located { id: id.into(), path, revision: None, may_lack_pooling: false })
}

/// The name of a model in the program, unless a folder of that name is here.
///
/// # Errors
/// When this program was built without it.
fn embedded(model: &str) -> Result<Option<&'static str>> {
    let found = EMBEDDED.into_iter().find(|&known| known == model && !Path::new(model).exists());
    if found == Some(DEEP) {
        Deep::fingerprint()?;
    }
    Ok(found)
}

/// A path as raw bytes.
fn line(path: &Path) -> Vec<u8> {
    [path.as_os_str().as_encoded_bytes(), b"\n"].concat()
}

/// A JSON value, for people and programs.
fn json(value: &Value) -> Result<Vec<u8>> {
    Ok([serde_json::to_vec_pretty(value)?, b"\n".to_vec()].concat())
}

fn print(bytes: &[u8]) -> Result<()> {
    let mut out = Sink::standard_output();
    out.write_all(bytes).context("cannot write the output")?;
    out.finish().context("cannot write the output")
}
