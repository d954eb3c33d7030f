//! Opens a classifier and tells the user what happens meanwhile.

use anyhow::Result;
use rayon::ThreadPool;

use crate::classifier::{Classifier, Observer, Selection, Spec};
use crate::cli::Verbosity;
use crate::engine::hub::DownloadProgress;
use crate::report::{Downloads, Report};

impl Observer for Report {
    fn warn(&self, message: &str) {
        Report::warn(self, message);
    }

    fn say(&self, message: &str) {
        Report::say(self, message);
    }
}

impl DownloadProgress for Downloads {
    fn begin(&self, file: &str, total: Option<u64>, there: u64) {
        Downloads::begin(self, file, total, there);
    }

    fn place(&self, bytes: u64) {
        Downloads::place(self, bytes);
    }

    fn end(&self) {
        Downloads::end(self);
    }

    fn note(&self, message: &str) {
        Downloads::note(self, message);
    }
}

/// Opens a classifier whose scores are probabilities, on the threads of `pool`.
///
/// # Errors
/// When labels, flags or the model cannot be used.
pub(super) fn open(spec: &Spec, pool: &ThreadPool, report: &Report, verbosity: &Verbosity) -> Result<Classifier> {
    open_selection(&Selection::read(spec)?, pool, report, verbosity)
}

/// As [`open`], for labels that were read.
///
/// # Errors
/// When flags or the model cannot be used.
pub(super) fn open_selection(
    selection: &Selection,
    pool: &ThreadPool,
    report: &Report,
    verbosity: &Verbosity,
) -> Result<Classifier> {
    let plan = selection.plan(report, &verbosity.downloads())?;
    for set in selection.sets.iter().filter(|set| set.labels.len() == 1 && !selection.is_independent(&plan)) {
        report.warn(format_args!(
            "the label set {:?} has one label, so its score is always 1; add a label for the rest",
            set.name
        ));
    }
    pool.install(|| Classifier::load(selection, &plan, false, report))
}
