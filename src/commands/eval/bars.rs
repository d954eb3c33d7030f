//! The bars of an evaluation, and whether they are met.

use anyhow::{Result, ensure};

use super::matched::{self, Matched};
use crate::cli::Bars;
use crate::evaluation::Evaluation;
use crate::labels::LabelSet;
use crate::output::evaluation::{Bar, Evaluated, Prediction};
use crate::report::Report;

/// Tolerance for rounding errors of sums.
const NOISE: f64 = 1e-9;

/// Refuses bars for unknown labels.
///
/// # Errors
/// When a bar names one.
pub(super) fn check(bars: &Bars, set: &LabelSet) -> Result<()> {
    for (label, _) in &bars.min_f1 {
        ensure!(
            set.labels.iter().any(|known| *known.name == **label),
            "--min-f1 {label}: the label set has no label of this name; it has {}",
            set.labels.iter().take(10).map(|label| format!("{:?}", label.name)).collect::<Vec<_>>().join(", ")
        );
    }
    Ok(())
}

/// The bars that look at this evaluation alone.
pub(super) fn judge(bars: &Bars, found: &Evaluation, set: &LabelSet) -> Vec<Bar> {
    let mut judged = Vec::new();
    let mut at_least = |name: String, least: f64, found: f64| {
        let met = found >= least - NOISE;
        judged.push(Bar { name, asked: format!("at least {least}"), found: printed(found, least), met });
    };
    if let Some(least) = bars.min_accuracy {
        at_least("accuracy".into(), least, found.accuracy());
    }
    if let Some(least) = bars.min_macro_f1 {
        at_least("macro F1".into(), least, found.macro_f1());
    }
    for (label, least) in &bars.min_f1 {
        if let Some(at) = set.labels.iter().position(|known| *known.name == **label) {
            at_least(format!("F1 of {label}"), *least, found.labels[at].f1());
        }
    }
    if let Some(most) = bars.max_ece {
        let found = found.reliability.error;
        let met = found <= most + NOISE;
        judged.push(Bar { name: "ECE".into(), asked: format!("at most {most}"), found: printed(found, most), met });
    }
    judged
}

/// Unusable samples fail the evaluation whatever the bars, as leaving them out may make the rest look better.
pub(super) fn left_out(count: usize) -> Option<Bar> {
    let bar = || Bar { name: "samples left out".into(), asked: "none".into(), found: count.to_string(), met: false };
    (count > 0).then(bar)
}

/// A figure with four decimals, or with more where four would look like the bar that it misses.
fn printed(figure: f64, bar: f64) -> String {
    let short = format!("{figure:.4}");
    let alike = short.parse() == Ok(bar) && (figure - bar).abs() > NOISE;
    if alike { format!("{figure:.9}") } else { short }
}

/// Checks that a baseline is about the same samples, before anything is scored.
///
/// # Errors
/// When the baseline is about other samples, or judges them in another way.
pub(super) fn check_baseline(old: &Evaluated, new: &[Prediction], questions: bool, report: &Report) -> Result<()> {
    matched::check(old.questions, questions)?;
    let old = &old.predictions;
    let matched = Matched::new(old, new);
    let shared = matched.pairs.len();
    ensure!(shared > 0, "the baseline is about other samples: none of its {} is among these", old.len());
    let (old_alone, new_alone) = (old.len() - shared, new.len() - shared);
    if old_alone + new_alone > 0 {
        report.warn(format_args!(
            "the samples are not those of the baseline: {shared} are in both and compared, {old_alone} only in the \
             baseline, {new_alone} only here"
        ));
    }
    let relabelled = matched.pairs.iter().filter(|(old, new)| old.truth != new.truth).count();
    if relabelled > 0 {
        report.warn(format_args!(
            "{relabelled} samples have other labels than in the baseline; both sides are held against the labels of now"
        ));
    }
    Ok(())
}

/// The bars that a baseline sets.
pub(super) fn judge_against(bars: &Bars, old: &Evaluated, new: &Evaluated) -> Vec<Bar> {
    let matched = Matched::new(&old.predictions, &new.predictions);
    let (before, now) = matched.evaluations(new.questions);
    let Some(significance) = bars.significance else {
        let within = |name: &str, before: f64, now: f64| Bar {
            name: format!("{name} against the baseline"),
            asked: format!("at least {}", printed((before - bars.tolerance).max(0.0), now)),
            found: printed(now, before - bars.tolerance),
            met: now >= before - bars.tolerance - NOISE,
        };
        return vec![
            within("accuracy", before.accuracy(), now.accuracy()),
            within("macro F1", before.macro_f1(), now.macro_f1()),
        ];
    };
    let (test, (lost, won)) = (matched.test(), matched.lost_and_won());
    let kind = if test.exact { "exactly" } else { "by chi-square" };
    vec![Bar {
        name: "accuracy against the baseline".into(),
        asked: format!("{:.4}, or no less than chance allows at p = {significance}", before.accuracy()),
        found: format!("{:.4} (p = {:.4} {kind}; {lost} lost, {won} won)", now.accuracy(), test.p),
        met: lost <= won || test.p >= significance,
    }]
}
