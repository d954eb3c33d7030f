//! The label set with the thresholds that reach a precision, as a file.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use anyhow::{Result, ensure};

use crate::labels::LabelSet;
use crate::output::Sink;
use crate::output::evaluation::{TargetPrecision, TargetThreshold};
use crate::report::Report;

/// What a label gets that is right often enough at no threshold: hardly any score reaches it.
const NEVER: f64 = 1.0;

/// Refuses a name under which the labels would not be read again, or not alone.
///
/// # Errors
/// When the file is the report too, or does not end in `.toml`.
pub(super) fn check(path: Option<&Path>, output: Option<&Path>) -> Result<()> {
    let Some(path) = path else {
        return Ok(());
    };
    ensure!(Some(path) != output, "--tuned-labels and --output are the same file; name two");
    let is_toml = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("toml"));
    ensure!(is_toml, "--tuned-labels {}: label files with thresholds end in .toml", path.display());
    Ok(())
}

/// Writes `set` with the thresholds that were found. A label for which none will do gets one that hardly any score reaches:
/// without any it would be given always. `model` is what the scores came from.
///
/// # Errors
/// When the file cannot be written.
pub(super) fn write(path: &Path, set: &LabelSet, found: &TargetPrecision, model: &str, report: &Report) -> Result<()> {
    let threshold = |found: &TargetThreshold| found.threshold.unwrap_or(NEVER);
    let thresholds: HashMap<&str, f64> =
        found.thresholds.iter().map(|found| (found.label.as_str(), threshold(found))).collect();
    let lacking = found.thresholds.iter().filter(|found| found.threshold.is_none()).count();
    if lacking > 0 {
        report.warn(format_args!(
            "{lacking} labels of {} reach the precision {} at no threshold and get {NEVER}, so that they are hardly given",
            path.display(),
            found.precision
        ));
    }
    let begin = format!(
        "# Thresholds for a precision of {} with the model {model:?}; with another they mean nothing.\n",
        found.precision
    );
    let text = begin + &set.to_toml(&thresholds)?;
    Sink::put(Some(path), |mut target| target.write_all(text.as_bytes()))
}
