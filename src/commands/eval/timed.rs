//! Scores samples, and measures the time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use rayon::ThreadPool;

use super::truth::LabelledDocument;
use crate::classifier::{Classifier, PreparedDocument};
use crate::evaluation::percentile;
use crate::output::evaluation::Timing;
use crate::record::{Intake, Verdict};
use crate::report::Report;
use crate::stream::Scheduler;

/// How many samples are scored one by one, to measure the latency of one message.
const ALONE: usize = 200;
/// The same for slow models, which are faster in batches.
const ALONE_SLOW: usize = 50;

/// Verdicts in the order of the samples, and how long they took.
pub(super) struct Timed {
    pub(super) verdicts: Vec<Verdict>,
    /// Latencies in seconds of the samples that were scored one by one, sorted.
    alone: Vec<f64>,
    /// How many samples were scored in batches, and the time that scoring took.
    together: (usize, Duration),
}

/// Scores all samples: some, evenly spread, one by one, and the others as `classify` does. No sample is scored twice.
///
/// # Errors
/// When the model cannot run.
pub(super) fn score(
    classifier: &Classifier,
    judged: &[LabelledDocument],
    pool: &ThreadPool,
    report: &mut Report,
) -> Result<Timed> {
    let most = if classifier.budget().is_slow() { ALONE_SLOW } else { ALONE };
    let step = judged.len().div_ceil(most).max(1);
    let mut verdicts: Vec<Option<Verdict>> = vec![None; judged.len()];
    let mut alone = Vec::new();
    for at in (0..judged.len()).step_by(step) {
        let document = (*judged[at].document).clone();
        let is_read = document.is_ok();
        let started = Instant::now();
        let verdict = pool.install(|| classifier.verdicts(vec![classifier.prepare(document)]))?.pop();
        if is_read {
            alone.push(started.elapsed().as_secs_f64());
        }
        told(classifier, report, verdict.iter());
        verdicts[at] = verdict;
    }
    let others: Vec<usize> = (0..judged.len()).filter(|&at| verdicts[at].is_none()).collect();
    let documents: Vec<Arc<Intake>> = others.iter().map(|&at| judged[at].document.clone()).collect();
    let (mut at, mut took, mut scored) = (others.iter(), Duration::ZERO, Instant::now());
    Scheduler::of_files(pool, classifier.budget()).run(
        documents.into_iter(),
        |_| 0,
        |document| classifier.prepare((*document).clone()),
        |document: &PreparedDocument| classifier.tokens(document),
        || false,
        |batch| {
            let made = pool.install(|| classifier.verdicts(batch))?;
            took += scored.elapsed();
            told(classifier, report, made.iter());
            made.into_iter().zip(at.by_ref()).for_each(|(verdict, &at)| verdicts[at] = Some(verdict));
            scored = Instant::now();
            Ok(())
        },
    )?;
    alone.sort_by(f64::total_cmp);
    Ok(Timed { verdicts: verdicts.into_iter().flatten().collect(), alone, together: (others.len(), took) })
}

/// Counts verdicts.
fn told<'v>(classifier: &Classifier, report: &mut Report, verdicts: impl Iterator<Item = &'v Verdict>) {
    classifier.troubles().iter().for_each(|trouble| report.warn(trouble));
    for verdict in verdicts {
        match &verdict.outcome {
            Ok(_) => report.scored(),
            Err(reason) => report.failed(&verdict.origin, reason),
        }
    }
    report.tick();
}

impl Timed {
    /// How long it took, as a report says it.
    pub(super) fn timing(&self) -> Timing {
        let (count, took) = self.together;
        let ms = |percent| percentile(&self.alone, percent).map(|seconds| rounded(seconds * 1e3));
        Timing {
            samples_per_second: (count > 0).then(|| rounded(count as f64 / took.as_secs_f64().max(1e-9))),
            timed: self.alone.len() as u64,
            p50_ms: ms(50.0),
            p95_ms: ms(95.0),
            p99_ms: ms(99.0),
        }
    }
}

/// Rounds to three decimals.
fn rounded(time: f64) -> f64 {
    (time * 1e3).round() / 1e3
}
