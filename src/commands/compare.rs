//! `mailsort compare`: two contracts, clause by clause.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use rayon::ThreadPool;

use super::opening;
use crate::classifier::{LoadedModel, TextRole};
use crate::cli::Compare;
use crate::contracts::{self, ComparedContracts, Contract, DifferenceClass, GivenContract};
use crate::intake::{self, Options, Source};
use crate::output::Sink;
use crate::report::Report;
use crate::stream;

/// Runs the command.
///
/// # Errors
/// When an input is not one text, or the model or the output cannot be used.
pub(super) fn run(arguments: &Compare) -> Result<ExitCode> {
    let Compare { old, new, flags, model, run, verbosity } = arguments;
    let format = flags.format()?;
    Sink::check(flags.output.as_deref(), false)?;
    let real = |path: &Path| path.canonicalize().ok();
    let is_input = |output: &Path| {
        real(output).is_some_and(|output| [old, new].iter().any(|path| real(path).as_ref() == Some(&output)))
    };
    if let Some(output) = flags.output.as_deref().filter(|output| is_input(output)) {
        bail!("the output {} is one of the contracts; name another", output.display());
    }
    let report = Report::new(verbosity.level(), verbosity.progress);
    let read = |path: &Path| {
        let options = Options { encoding: flags.encoding, ..Options::default() };
        let source = Source::new(std::iter::once(path.to_path_buf()), options);
        intake::whole(source).with_context(|| format!("cannot compare {}", path.display()))
    };
    let texts = (read(old)?, read(new)?);
    let contracts = (Contract::read(&texts.0.text), Contract::read(&texts.1.text));
    let pool = stream::pool(run.threads)?;
    let embedder = opening::open_embedder(model.spec(), &pool, &report, verbosity)?;
    let (first, second) = (vectors(&contracts.0, &embedder, &pool)?, vectors(&contracts.1, &embedder, &pool)?);
    let comparison = contracts::compare(&contracts.0, &contracts.1, Some((&first, &second)));
    let names = (old.to_string_lossy(), new.to_string_lossy());
    let compared = ComparedContracts {
        old: GivenContract { name: &names.0, contract: &contracts.0, left_out: &texts.0.left_out },
        new: GivenContract { name: &names.1, contract: &contracts.1, left_out: &texts.1.left_out },
        comparison: &comparison,
        is_template: flags.template,
        model: embedder.id(),
    };
    let bytes = compared.write(format)?;
    Sink::put(flags.output.as_deref(), |mut out| out.write_all(&bytes))?;
    let classes: Vec<DifferenceClass> = flags.fail_on.iter().map(|class| DifferenceClass::from(*class)).collect();
    Ok(ExitCode::from(u8::from(contracts::differs(&comparison, &classes))))
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
