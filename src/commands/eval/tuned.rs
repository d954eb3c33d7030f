//! The label set with the thresholds that reach a precision, as a file.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use anyhow::{Result, ensure};

use crate::labels::LabelSet;
use crate::output::Sink;
use crate::output::evaluation::{TargetPrecision, TargetThreshold};
use crate::report::Report;

/// The threshold of a label that reaches the precision at no threshold: hardly any score reaches it.
const NEVER: f64 = 1.0;

/// Refuses a file name that would not be read as TOML again, or that is the report.
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

/// Writes `set` with the thresholds that were found. A label without a fitting threshold gets [`NEVER`]; without any
/// threshold it would be given always. `model` goes into a comment.
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
