//! One ordered, bounded, resumable stream from inputs to records. Everything that scores many documents is a client of
//! its [`Scheduler`].

mod inputs;
mod resume;
mod run;
mod samples;
mod scheduler;
mod stop;

use std::thread::available_parallelism;

use anyhow::{Context, Result};
use rayon::ThreadPool;

use crate::classifier::{Classifier, PreparedDocument};
use crate::intake::Raw;
use crate::record::{Skip, Verdict};

pub use inputs::{InputSpec, OutputGuard};
pub use run::{Fingerprint, OpenedOutput, OutputSpec, Stream, Verb};
pub use samples::{Gathered, SampleSpec, gather};
pub use scheduler::Scheduler;
pub use stop::{Announced, Stop};

/// The threads of a run; `None` for as many as there are cores.
///
/// # Errors
/// When the system has no more.
pub fn pool(threads: Option<usize>) -> Result<ThreadPool> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads.or(available_parallelism().ok().map(Into::into)).unwrap_or(1))
        .build()
        .context("cannot start the threads; try a smaller --threads")
}

/// Reads and scores raw documents as they come, and hands the verdicts to `each` in order. Memory is flat in their
/// number.
///
/// # Errors
/// When the model cannot run, the threads cannot be started, or `each` fails.
pub fn classify(
    classifier: &Classifier,
    documents: impl Iterator<Item = Result<Raw, Skip>> + Send + 'static,
    mut each: impl FnMut(Verdict) -> Result<()>,
) -> Result<()> {
    let pool = pool(None)?;
    let prepare = |raw| classifier.prepare(classifier.read(raw));
    let tokens = |document: &PreparedDocument| classifier.tokens(document);
    Scheduler::of_files(&pool, classifier.budget()).run(
        documents,
        weight,
        prepare,
        tokens,
        || false,
        |batch| pool.install(|| classifier.verdicts(batch))?.into_iter().try_for_each(&mut each),
    )
}

/// The memory that a raw document holds.
fn weight(raw: &Result<Raw, Skip>) -> usize {
    raw.as_ref().map_or(0, Raw::weight)
}
