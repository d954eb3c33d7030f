//! The label set with the thresholds that reach a precision, as a file.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};

use crate::labels::LabelSet;
use crate::output::Target;
use crate::output::evaluation::Target as Precision;
use crate::report::Report;

/// Writes `set` with the thresholds that were found; a label for which none will do keeps none.
///
/// # Errors
/// When the file cannot be written.
pub(super) fn write(path: &Path, set: &LabelSet, found: &Precision, report: &Report) -> Result<()> {
    let thresholds: HashMap<&str, f64> =
        found.thresholds.iter().filter_map(|found| Some((found.label.as_str(), found.threshold?))).collect();
    let lacking = set.labels.iter().filter(|label| !thresholds.contains_key(&*label.name)).count();
    if lacking > 0 {
        report.warn(format_args!(
            "{lacking} labels of {} have no threshold, as none reaches the precision {} for them",
            path.display(),
            found.precision
        ));
    }
    let text = set.to_toml(&thresholds)?;
    let cannot = || format!("cannot write the labels {}", path.display());
    let (mut target, _) = Target::open(Some(path), false, 0).with_context(cannot)?;
    target.write_all(text.as_bytes()).with_context(cannot)?;
    target.finish().with_context(cannot)
}
