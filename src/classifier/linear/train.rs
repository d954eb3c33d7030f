//! Trains a classifier. Cross-validation chooses the strength of the penalty and the temperature.

use anyhow::{Result, ensure};

use super::design::{Design, TrainingSample};
pub use super::fit::FitProgress;
use super::fit::{FINE, FitCount, Problem};
use super::folds::{Dealt, Held};
use super::reduced::Reduced;
use super::{Counts, LinearModel, Link, NGrams, discriminant};

/// The path of C. Each fit starts from the solution of the one before.
const PATH: [f64; 8] = [0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0];
/// A larger C must lower the loss by this fraction.
const WORTHWHILE: f64 = 0.005;
/// Lengths of the n-gram vector relative to the embedding: the first to try, then the others.
const SCALE: f32 = 1.0;
const MORE: [f32; 2] = [2.0, 3.0];
const LESS: f32 = 0.5;
/// How many of them are tried at most.
const SCALES: usize = 3;
/// C without cross-validation: about what the path finds for few samples.
const UNTRIED: f64 = 10.0;
/// Maximum numbers of n-gram weights and of n-grams.
const MOST_WEIGHTS: usize = 256 * 1024;
const MOST_NGRAMS: usize = 32_768;

/// Class weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LabelWeights {
    /// All labels the same, however many samples each has
    #[default]
    Balanced,
    /// Each as many as it has samples
    None,
}

/// Training options.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Mutually exclusive labels, or independent ones.
    pub link: Link,
    /// Seed for dealing samples to folds.
    pub seed: u64,
    /// Number of folds.
    pub folds: usize,
    /// Inverse strength of the L2 penalty, as scikit-learn's C; `None` chooses it.
    pub c: Option<f64>,
    /// Whether n-grams are features.
    pub ngrams: bool,
    /// Class weights.
    pub label_weights: LabelWeights,
}

/// The result of training.
#[derive(Clone, Debug)]
pub struct TrainingResult {
    /// The classifier, fitted to all samples.
    pub model: LinearModel,
    /// Its C.
    pub c: f64,
    /// Cross-validation; `None` with too few samples.
    pub held_out: Option<HeldOut>,
}

/// Result of cross-validation.
#[derive(Clone, Debug)]
pub struct HeldOut {
    /// Number of folds.
    pub folds: usize,
    /// Calibrated probabilities. Shape: [samples, labels]. Empty for a sample with a label that no sample in another
    /// fold has.
    pub probabilities: Vec<Vec<f32>>,
    /// Mean cross-entropy in nats.
    pub loss: f64,
    /// C and its loss, for each C that was tried.
    pub path: Vec<(f64, f64)>,
    /// True where there are so many labels that only a part of the samples was tested.
    pub is_part: bool,
}

/// True where so many labels are learned by a linear discriminant instead of logistic regression.
pub fn is_closed_form(labels: usize, samples: usize) -> bool {
    discriminant::is_used(labels, samples)
}

/// Hyperparameters chosen by cross-validation.
struct Chosen {
    c: f64,
    scale: f32,
    temperature: f64,
}

/// Trains a classifier for `labels` labels. `stop` is told from all threads how far it is.
///
/// # Errors
/// When there are no samples, the numbers overflow, or `stop` returns true.
pub fn train(
    samples: &[TrainingSample],
    labels: usize,
    settings: Settings,
    stop: &(dyn Fn(FitProgress) -> bool + Sync),
) -> Result<TrainingResult> {
    ensure!(!samples.is_empty() && labels > 0, "there are no samples");
    let closed_form = is_closed_form(labels, samples.len());
    let run = TrainingRun { samples, labels, settings, closed_form, fits: FitCount::default(), stop };
    let mut dealt = Dealt::new(samples, labels, settings.folds, settings.seed, settings.link);
    let is_part = closed_form && dealt.test_at_most(discriminant::most_tested(labels), settings.seed);
    let can_hold_out = run.can_hold_out() && dealt.tests_something();
    let held_out = if can_hold_out { Some(run.hold_out(&dealt)?) } else { None };
    let (chosen, held_out) = match held_out {
        Some((chosen, held_out)) => (chosen, Some(HeldOut { is_part, ..held_out })),
        None => (Chosen { c: settings.c.unwrap_or(UNTRIED), scale: SCALE, temperature: 1.0 }, None),
    };
    let Chosen { c, scale, temperature } = chosen;
    let all: Vec<&TrainingSample> = samples.iter().collect();
    let ngrams = run.ngrams(&all, scale);
    let design = Design::new(&all, ngrams.as_ref());
    let label_weights = run.label_weights(&all);
    let reduced = run.reduced(&design);
    run.fits.plan(1);
    let problem = run.problem(&all, reduced.as_ref().map_or(&design, |reduced| &reduced.design), &label_weights);
    let found = problem.fit(c, None, FINE)?;
    let parameters = reduced.as_ref().map_or_else(|| found.clone(), |reduced| reduced.expand(&design, &found, labels));
    let features = design.features();
    let (weights, intercepts) = parameters.split_at(features * labels);
    let narrow = |values: &[f64]| values.iter().map(|&value| value as f32).collect();
    let model = LinearModel {
        labels,
        dims: design.dense.columns(),
        ngrams,
        weights: narrow(weights),
        intercepts: narrow(intercepts),
        link: settings.link,
        temperature: temperature as f32,
    };
    Ok(TrainingResult { model, c, held_out })
}

pub(super) struct TrainingRun<'a> {
    pub(super) samples: &'a [TrainingSample],
    pub(super) labels: usize,
    pub(super) settings: Settings,
    closed_form: bool,
    fits: FitCount,
    stop: &'a (dyn Fn(FitProgress) -> bool + Sync),
}

impl TrainingRun<'_> {
    /// True when there are enough samples for cross-validation.
    fn can_hold_out(&self) -> bool {
        let mut counts = vec![0; self.labels];
        self.samples.iter().flat_map(|sample| &sample.labels).for_each(|&label| counts[label] += 1);
        let enough = match self.settings.link {
            Link::Softmax => 2,
            Link::Sigmoid => 1,
        };
        self.samples.len() > 2 && counts.iter().filter(|&&count| count > 1).count() >= enough
    }

    /// Chooses hyperparameters by cross-validation.
    fn hold_out(&self, dealt: &Dealt) -> Result<(Chosen, HeldOut)> {
        let first = self.settings.c.unwrap_or(UNTRIED);
        let compared = dealt.compared();
        // The scales, the path, all folds where fewer were compared, and all samples.
        let rest = |path: usize| path * compared + if compared < dealt.folds { dealt.folds } else { 0 } + 1;
        self.fits.plan(SCALES * compared * usize::from(self.settings.ngrams) + rest(PATH.len()));
        let scale = if self.settings.ngrams { self.scale(dealt, first)? } else { SCALE };
        let mut folds = dealt.parts();
        let path: Vec<f64> = self.settings.c.map_or(PATH.to_vec(), |c| vec![c]);
        let mut tried = Vec::new();
        let mut best: Option<(f64, Held)> = None;
        self.fits.plan(rest(path.len()));
        for c in path {
            let held = self.held(dealt, &mut folds[..compared], scale, c)?;
            tried.push((c, held.loss));
            match &best {
                Some((_, least)) if held.loss > least.loss * (1.0 - WORTHWHILE) => break,
                _ => best = Some((c, held)),
            }
        }
        let (c, mut held) = best.ok_or_else(|| anyhow::anyhow!("no C was tried"))?;
        self.fits.plan(rest(0));
        if compared < folds.len() {
            held = self.held(dealt, &mut folds, scale, c)?;
        }
        let Held { logits, temperature, loss } = held;
        let calibrated = |logits: Vec<f32>| {
            let logits: Vec<f32> = logits.iter().map(|logit| logit / temperature as f32).collect();
            self.settings.link.probabilities(&logits)
        };
        let probabilities = logits.into_iter().map(calibrated).collect();
        Ok((
            Chosen { c, scale, temperature },
            HeldOut { folds: folds.len(), probabilities, loss, path: tried, is_part: false },
        ))
    }

    /// Chooses the length of the n-gram vector relative to the embedding.
    fn scale(&self, dealt: &Dealt, c: f64) -> Result<f32> {
        let loss = |scale: f32| -> Result<f64> {
            Ok(self.held(dealt, &mut dealt.parts()[..dealt.compared()], scale, c)?.loss)
        };
        let (first, mut best) = (loss(SCALE)?, (SCALE, f64::INFINITY));
        for scale in MORE {
            let found = loss(scale)?;
            if found >= first.min(best.1) {
                break;
            }
            best = (scale, found);
        }
        if best.0 == SCALE && loss(LESS)? < first {
            best.0 = LESS;
        }
        Ok(best.0)
    }

    pub(super) fn problem<'p>(
        &'p self,
        samples: &'p [&'p TrainingSample],
        design: &'p Design,
        label_weights: &'p [[f64; 2]],
    ) -> Problem<'p> {
        let Self { labels, settings: Settings { link, .. }, closed_form, ref fits, stop, .. } = *self;
        Problem { samples, design, labels, link, label_weights, closed_form, fits, stop }
    }

    /// Fewer parameters, where there are fewer samples than features.
    pub(super) fn reduced(&self, design: &Design) -> Option<Reduced> {
        if self.closed_form { None } else { Reduced::new(design) }
    }

    pub(super) fn ngrams(&self, samples: &[&TrainingSample], scale: f32) -> Option<NGrams> {
        let most = MOST_NGRAMS.min(MOST_WEIGHTS / self.labels);
        let texts = || samples.iter().map(|sample| &sample.counts).collect::<Vec<&Counts>>();
        self.settings.ngrams.then(|| NGrams::learn(&texts(), most, scale))
    }

    /// Weights of each label: for samples without it, and for samples with it.
    pub(super) fn label_weights(&self, samples: &[&TrainingSample]) -> Vec<[f64; 2]> {
        let mut totals = vec![0.0f64; self.labels];
        for sample in samples {
            sample.labels.iter().for_each(|&label| totals[label] += f64::from(sample.weight));
        }
        let (labels, sum): (f64, f64) = (self.labels as f64, totals.iter().sum());
        let all: f64 = samples.iter().map(|sample| f64::from(sample.weight)).sum();
        let weights = |&having: &f64| {
            let lacking = all - having;
            match (self.settings.label_weights, self.settings.link) {
                (LabelWeights::Balanced, Link::Softmax) if having > 0.0 => [1.0, sum / (labels * having)],
                // Two classes: with the label and without.
                (LabelWeights::Balanced, Link::Sigmoid) if having > 0.0 && lacking > 0.0 => {
                    [all / (2.0 * lacking), all / (2.0 * having)]
                }
                _ => [1.0; 2],
            }
        };
        totals.iter().map(weights).collect()
    }
}

#[cfg(test)]
mod tests;
