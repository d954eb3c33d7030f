//! `mailsort compare`: two contracts, clause by clause; or one against a library.

mod against;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use rayon::ThreadPool;

use super::opening;
use crate::classifier::{LoadedModel, TextRole};
use crate::cli::{Compare, CompareFlags};
use crate::contracts::{ComparedContracts, ComparedWithLibrary, ComparisonFormat, Contract, GivenContract};
use crate::intake::{self, Options, Source, WholeText};
use crate::output::Sink;
use crate::report::Report;
use crate::stream;
use against::Library;

/// What is written, and whether there are differences.
type Written = (Vec<u8>, bool);

/// Runs the command.
///
/// # Errors
/// When an input is not one text, or the model or the output cannot be used.
pub(super) fn run(arguments: &Compare) -> Result<ExitCode> {
    let Compare { contracts: inputs, flags, model, run, verbosity } = arguments;
    let format = flags.format()?;
    Sink::check(flags.output.as_deref(), false)?;
    let real = |path: &Path| path.canonicalize().ok();
    let is_input = |output: &Path| {
        real(output).is_some_and(|output| inputs.iter().any(|path| real(path).as_ref() == Some(&output)))
    };
    if let Some(output) = flags.output.as_deref().filter(|output| is_input(output)) {
        bail!("the output {} is one of the contracts; name another", output.display());
    }
    let report = Report::new(verbosity.level(), verbosity.progress);
    let pool = stream::pool(run.threads)?;
    ensure!(
        flags.against.is_none() || matches!(format, ComparisonFormat::Text | ComparisonFormat::Json),
        "--against writes text or json; compare with one contract of the library for another format"
    );
    let load = || opening::open_embedder(model.spec(), &pool, &report, verbosity);
    let (bytes, differs) = match &flags.against {
        Some(library) => {
            let new = arguments.only()?;
            ensure!(library.exists(), "cannot read the library {}: there is no such file or folder", library.display());
            with_library(flags, (library, new), &read(new, flags)?, format, (&load()?, &pool, &report))?
        }
        None => {
            let (old, new) = arguments.both()?;
            let texts = (read(old, flags)?, read(new, flags)?);
            both(flags, (old, new), &texts, format, (&load()?, &pool))?
        }
    };
    Sink::put(flags.output.as_deref(), |mut out| out.write_all(&bytes))?;
    Ok(ExitCode::from(u8::from(differs)))
}

fn read(path: &Path, flags: &CompareFlags) -> Result<WholeText> {
    let options = Options { encoding: flags.encoding, ..Options::default() };
    let source = Source::new(std::iter::once(path.to_path_buf()), options);
    intake::whole(source).with_context(|| format!("cannot compare {}", path.display()))
}

/// Compares two contracts.
fn both(
    flags: &CompareFlags,
    (old, new): (&Path, &Path),
    texts: &(WholeText, WholeText),
    format: ComparisonFormat,
    (embedder, pool): (&LoadedModel, &ThreadPool),
) -> Result<Written> {
    let contracts = (Contract::read(&texts.0.text), Contract::read(&texts.1.text));
    let (first, second) = (vectors(&contracts.0, embedder, pool)?, vectors(&contracts.1, embedder, pool)?);
    let names = (old.to_string_lossy(), new.to_string_lossy());
    let old = GivenContract { name: &names.0, contract: &contracts.0, left_out: &texts.0.left_out };
    let new = GivenContract { name: &names.1, contract: &contracts.1, left_out: &texts.1.left_out };
    let compared = ComparedContracts::new(old, new, Some((&first, &second)), embedder.id()).of_template(flags.template);
    Ok((compared.write(format)?, compared.differs(&flags.fail_on)))
}

/// Holds a contract against a library.
fn with_library(
    flags: &CompareFlags,
    (library, new): (&Path, &Path),
    text: &WholeText,
    format: ComparisonFormat,
    (embedder, pool, report): (&LoadedModel, &ThreadPool, &Report),
) -> Result<Written> {
    let contract = Contract::read(&text.text);
    let opened = Library::open(library, embedder, pool)?;
    for (what, why) in opened.failures()? {
        report.warn(format_args!("{what} is not in the library: {why}"));
    }
    ensure!(
        opened.documents()? > 0,
        "there is no document in the library {}; name a folder of contracts",
        library.display()
    );
    let closest = opened.closest(&contract, &vectors(&contract, embedder, pool)?, new, flags.top)?;
    let (name, shown) = (new.to_string_lossy(), library.to_string_lossy());
    let compared = ComparedWithLibrary {
        new: GivenContract { name: &name, contract: &contract, left_out: &text.left_out },
        library: &shown,
        clauses: &closest,
        model: embedder.id(),
    };
    let written = if format == ComparisonFormat::Json { compared.json()? } else { compared.text() };
    Ok((written.into_bytes(), compared.differs(&flags.fail_on)))
}

/// The vectors of the clauses of a contract; zeros for one of which the model knows no word.
///
/// # Errors
/// When the model cannot run.
pub(super) fn vectors(contract: &Contract, embedder: &LoadedModel, pool: &ThreadPool) -> Result<Vec<Vec<f32>>> {
    let texts = (0..contract.clauses.len()).map(|clause| contract.matching_text(clause)).collect();
    let made = pool.install(|| embedder.vectors(texts, TextRole::Passage))?;
    let none = || vec![0.0; embedder.passage_dims()];
    Ok(made.into_iter().map(|vector| vector.unwrap_or_else(none)).collect())
}
