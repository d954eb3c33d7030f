//! `mailsort eval --compare`: two reports side by side.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, ensure};

use super::matched::{self, Matched, is_right};
use crate::cli::Reports;
use crate::output::Sink;
use crate::output::evaluation::{Changed, Compared, Evaluated, Prediction, Side};
use crate::stream::OutputGuard;

/// Compares the reports in two files.
///
/// # Errors
/// When one cannot be read, they share no sample or judge in different ways, or the output cannot be written.
pub(super) fn run(old: &PathBuf, new: &PathBuf, output: &Reports) -> Result<ExitCode> {
    Compared::check(output.format())?;
    OutputGuard::new(output.output.as_deref()).spare([old, new])?;
    let (before, now) = (Evaluated::read(old)?, Evaluated::read(new)?);
    matched::check(before.questions, now.questions)?;
    let matched = Matched::new(&before.predictions, &now.predictions);
    ensure!(!matched.pairs.is_empty(), "{} and {} have no sample in common", old.display(), new.display());
    let (lost, won) = matched.lost_and_won();
    let shared = matched.pairs.len() as u64;
    let (format, version) = Compared::head();
    let compared = Compared {
        format,
        version,
        old: side(old, &before, shared),
        new: side(new, &now, shared),
        matched: shared,
        lost,
        won,
        p: (matched.test().p * 1e6).round() / 1e6,
        labels: labels(&before, &now),
        changed: matched.pairs.iter().filter(|(old, new)| old.said() != new.said()).map(changed).collect(),
    };
    Sink::put(output.output.as_deref(), |target| compared.write(output.format(), target))?;
    Ok(ExitCode::SUCCESS)
}

fn side(path: &Path, of: &Evaluated, shared: u64) -> Side {
    Side {
        name: path.display().to_string(),
        model: of.model.clone(),
        label_set: of.label_set.clone(),
        samples: of.samples,
        alone: of.predictions.len() as u64 - shared,
        accuracy: of.accuracy,
        macro_f1: of.macro_f1,
        weighted_f1: of.weighted_f1,
        ece: of.ece,
    }
}

fn labels(old: &Evaluated, new: &Evaluated) -> Vec<(String, Option<f64>, Option<f64>)> {
    let figures = |of: &Evaluated| of.labels.iter().map(|label| (label.label.clone(), label.f1)).collect::<Vec<_>>();
    let mut both: BTreeMap<String, (Option<f64>, Option<f64>)> = BTreeMap::new();
    figures(old).into_iter().for_each(|(label, f1)| both.entry(label).or_default().0 = Some(f1));
    figures(new).into_iter().for_each(|(label, f1)| both.entry(label).or_default().1 = Some(f1));
    both.into_iter().map(|(label, (old, new))| (label, old, new)).collect()
}

fn changed(&(old, new): &(&Prediction, &Prediction)) -> Changed {
    Changed {
        source: new.source.clone(),
        index: new.index,
        id: new.id.clone(),
        truth: new.truth.clone(),
        old: old.said(),
        new: new.said(),
        verdict: match (is_right(old, new), new.is_right()) {
            (false, true) => "better",
            (true, false) => "worse",
            (true, true) => "both right",
            (false, false) => "both wrong",
        },
    }
}
