//! Trains a classifier. Cross-validation chooses the strength of the penalty and the temperature.

use anyhow::{Result, ensure};

use super::design::{Design, TrainingSample};
pub use super::fit::FitProgress;
use super::fit::{FINE, FitCount, Problem};
use super::folds::{Dealt, Held};
use super::reduced::{Products, Reduced};
use super::weights::GroupWeights;
use super::{LinearModel, Link, Prior, discriminant};

/// The path of C. Each fit starts from the solution of the one before.
const PATH: [f64; 8] = [0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0];
/// A larger C must lower the loss by this fraction.
const WORTHWHILE: f64 = 0.005;
/// C without cross-validation: about what the path finds for few samples.
const UNTRIED: f64 = 10.0;
/// With fewer samples a label, neither C nor the temperature is fitted.
const FEW: usize = 8;
/// C and temperature for few samples: without n-grams by `model/make/few_samples.py`, with them by `feature_weights.py`.
const FEW_WITHOUT: (f64, f64) = (10.0, 0.6);
const FEW_WITH: (f64, f64) = (30.0, 0.57);
/// Up to so many samples each is tested by a classifier of all others, if they are few.
const MOST_ALONE: usize = 256;

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
#[derive(Clone, Debug)]
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
    /// What the names of mutually exclusive labels say.
    pub prior: Option<Prior>,
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
    /// True where the samples were too few to choose C and the temperature.
    pub is_fixed: bool,
}

/// True where so many labels are learned by a linear discriminant instead of logistic regression.
pub fn is_closed_form(labels: usize, samples: usize) -> bool {
    discriminant::is_used(labels, samples)
}

/// True where the names of the labels may count beside so many samples.
pub fn names_count(labels: usize, samples: usize, link: Link) -> bool {
    link == Link::Softmax && !is_closed_form(labels, samples) && Prior::counts(labels, samples)
}

/// True where at least half of the labels have fewer than eight samples; `counts` has the number of each label.
pub fn are_few(mut counts: Vec<usize>) -> bool {
    counts.sort_unstable();
    counts.get(counts.len().saturating_sub(1) / 2).is_none_or(|&count| count < FEW)
}

/// Hyperparameters chosen by cross-validation.
struct Chosen {
    c: f64,
    weights: GroupWeights,
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
    let run = TrainingRun::new(samples, labels, &settings, stop);
    let closed_form = run.closed_form;
    let folds = if run.is_few && samples.len() <= MOST_ALONE { samples.len() } else { settings.folds };
    let mut dealt = Dealt::new(samples, labels, folds, settings.seed, settings.link, run.are_named);
    let is_part = closed_form && dealt.test_at_most(discriminant::most_tested(labels), settings.seed);
    let can_hold_out = run.can_hold_out() && dealt.tests_something();
    let held_out = if can_hold_out { Some(run.hold_out(&dealt)?) } else { None };
    let (chosen, held_out) = match held_out {
        Some((chosen, held_out)) => (chosen, Some(HeldOut { is_part, ..held_out })),
        None => (run.untried(), None),
    };
    Ok(TrainingResult { model: run.fit(&chosen)?, c: chosen.c, held_out })
}

/// Fits a classifier to few samples without testing any of them.
///
/// # Errors
/// As [`train`].
pub(super) fn fit_few(
    samples: &[TrainingSample],
    labels: usize,
    settings: &Settings,
    stop: &(dyn Fn(FitProgress) -> bool + Sync),
) -> Result<LinearModel> {
    let run = TrainingRun::new(samples, labels, settings, stop);
    run.fit(&run.untried())
}

/// Fits a classifier once, with this C and without cross-validation. Names are no prior of it. A label may have no
/// sample.
///
/// # Errors
/// As [`train`].
pub(super) fn fit_once(
    samples: &[TrainingSample],
    labels: usize,
    settings: &Settings,
    c: f64,
    stop: &(dyn Fn(FitProgress) -> bool + Sync),
) -> Result<LinearModel> {
    let settings = Settings { prior: None, ..settings.clone() };
    let run = TrainingRun { is_few: true, ..TrainingRun::new(samples, labels, &settings, stop) };
    let weights = run.usual_weights();
    run.fit(&Chosen { c, weights, temperature: 1.0 })
}

pub(super) struct TrainingRun<'a> {
    pub(super) samples: &'a [TrainingSample],
    pub(super) labels: usize,
    pub(super) settings: &'a Settings,
    /// What the names of the labels say, where they may count.
    names: Option<&'a Prior>,
    /// True where C and temperature are not fitted.
    is_few: bool,
    /// True where the names tell something of a label whose few samples are all held out.
    are_named: bool,
    pub(super) closed_form: bool,
    fits: FitCount,
    stop: &'a (dyn Fn(FitProgress) -> bool + Sync),
}

impl<'a> TrainingRun<'a> {
    fn new(
        samples: &'a [TrainingSample],
        labels: usize,
        settings: &'a Settings,
        stop: &'a (dyn Fn(FitProgress) -> bool + Sync),
    ) -> Self {
        let closed_form = is_closed_form(labels, samples.len());
        let names = settings.prior.as_ref().filter(|_| names_count(labels, samples.len(), settings.link));
        let mut counts = vec![0; labels];
        samples.iter().flat_map(|sample| &sample.labels).for_each(|&label| counts[label] += 1);
        let fits = FitCount::default();
        let run = Self { samples, labels, settings, names, is_few: false, are_named: false, closed_form, fits, stop };
        let few = are_few(counts) && settings.link == Link::Softmax && !closed_form;
        let are_named = few && run.prior(&samples.iter().collect::<Vec<_>>()).is_some();
        // Names that say nothing are no prior. The labels with many samples can then choose for the others.
        let is_few = are_named || few && samples.len() < FEW * labels;
        Self { is_few, are_named, ..run }
    }

    /// What the names say beside these samples.
    pub(super) fn prior(&self, samples: &[&TrainingSample]) -> Option<Prior> {
        self.names?.for_samples(samples)
    }

    /// Fits all samples.
    fn fit(&self, &Chosen { c, weights, temperature }: &Chosen) -> Result<LinearModel> {
        let labels = self.labels;
        let all: Vec<&TrainingSample> = self.samples.iter().collect();
        let mut ngrams = self.ngrams(&all, &weights);
        let unweighted = Design::new(&all, &ngrams);
        let products = self.products(&unweighted);
        let design = unweighted.weighted(&weights);
        ngrams.iter_mut().for_each(|ngrams| ngrams.scale = weights.of(ngrams.group));
        let label_weights = self.label_weights(&all);
        let reduced = products.and_then(|products| Reduced::new(&design, &products, &weights));
        self.fits.plan(1);
        let prior = self.prior(&all);
        let of_names = prior.as_ref().map(|prior| prior.logits(&all));
        let reduced_design = reduced.as_ref().map_or(&design, |reduced| &reduced.design);
        let problem = self.problem(&all, reduced_design, &label_weights, of_names.as_deref());
        let found = problem.fit(c, None, FINE)?;
        let mut parameters =
            reduced.as_ref().map_or_else(|| found.clone(), |reduced| reduced.expand(&design, &found, labels));
        let (features, dims) = (design.features(), design.dense.columns());
        // The weights for embeddings of length 1.
        parameters[..dims * labels].iter_mut().for_each(|weight| *weight *= f64::from(weights.embedding));
        if let Some(prior) = &prior {
            prior.add_to(&mut parameters);
        }
        let (weights, intercepts) = parameters.split_at(features * labels);
        let narrow = |values: &[f64]| values.iter().map(|&value| value as f32).collect();
        Ok(LinearModel {
            labels,
            dims,
            ngrams,
            weights: narrow(weights),
            intercepts: narrow(intercepts),
            link: self.settings.link,
            temperature: temperature as f32,
        })
    }

    /// Hyperparameters that are not tried.
    fn untried(&self) -> Chosen {
        let (c, temperature) = match (self.is_few, self.settings.ngrams) {
            (true, true) => FEW_WITH,
            (true, false) => FEW_WITHOUT,
            (false, _) => (UNTRIED, 1.0),
        };
        Chosen { c: self.settings.c.unwrap_or(c), weights: self.usual_weights(), temperature }
    }

    /// True when there are enough samples for cross-validation.
    fn can_hold_out(&self) -> bool {
        let mut counts = vec![0; self.labels];
        self.samples.iter().flat_map(|sample| &sample.labels).for_each(|&label| counts[label] += 1);
        let enough = match self.settings.link {
            Link::Softmax => 2,
            Link::Sigmoid => 1,
        };
        if self.are_named {
            return self.samples.len() > 2;
        }
        self.samples.len() > 2 && counts.iter().filter(|&&count| count > 1).count() >= enough
    }

    /// Chooses hyperparameters by cross-validation.
    fn hold_out(&self, dealt: &Dealt) -> Result<(Chosen, HeldOut)> {
        if self.is_few {
            return self.hold_out_few(dealt);
        }
        let first = self.settings.c.unwrap_or(UNTRIED);
        let compared = dealt.compared();
        // The weights, the path, all folds where fewer were compared, and all samples.
        let rest = |path: usize| path * compared + if compared < dealt.folds { dealt.folds } else { 0 } + 1;
        self.fits.plan(self.weight_fits(dealt) + rest(PATH.len()));
        let weights = self.weights(dealt, first)?;
        let mut folds = dealt.parts();
        let path: Vec<f64> = self.settings.c.map_or(PATH.to_vec(), |c| vec![c]);
        let mut tried = Vec::new();
        let mut best: Option<(f64, Held)> = None;
        self.fits.plan(rest(path.len()));
        for c in path {
            let held = self.held(dealt, &mut folds[..compared], weights, c)?;
            tried.push((c, held.loss));
            match &best {
                Some((_, least)) if held.loss > least.loss * (1.0 - WORTHWHILE) => break,
                _ => best = Some((c, held)),
            }
        }
        let (c, mut held) = best.ok_or_else(|| anyhow::anyhow!("no C was tried"))?;
        self.fits.plan(rest(0));
        if compared < folds.len() {
            held = self.held(dealt, &mut folds, weights, c)?;
        }
        let Held { logits, temperature, loss } = held;
        let probabilities = logits.iter().map(|logits| self.calibrated(logits, temperature)).collect();
        Ok((
            Chosen { c, weights, temperature },
            HeldOut { folds: folds.len(), probabilities, loss, path: tried, is_part: false, is_fixed: false },
        ))
    }

    /// Tests few samples with hyperparameters that are not chosen by them.
    fn hold_out_few(&self, dealt: &Dealt) -> Result<(Chosen, HeldOut)> {
        let chosen = self.untried();
        let mut folds = dealt.parts();
        self.fits.plan(folds.len() + 1);
        let held = self.held(dealt, &mut folds, chosen.weights, chosen.c)?;
        let (mut loss, mut total) = (0.0, 0.0);
        let probabilities: Vec<Vec<f32>> =
            held.logits.iter().map(|logits| self.calibrated(logits, chosen.temperature)).collect();
        for (made, sample) in probabilities.iter().zip(self.samples).filter(|(made, _)| !made.is_empty()) {
            let weight = f64::from(sample.weight);
            let likely = sample.labels.iter().map(|&label| f64::from(made[label].max(f32::MIN_POSITIVE)).ln());
            loss -= weight * likely.sum::<f64>();
            total += weight;
        }
        let held_out = HeldOut {
            folds: folds.len(),
            probabilities,
            loss: loss / total,
            path: Vec::new(),
            is_part: false,
            is_fixed: true,
        };
        Ok((chosen, held_out))
    }

    fn calibrated(&self, logits: &[f32], temperature: f64) -> Vec<f32> {
        let logits: Vec<f32> = logits.iter().map(|logit| logit / temperature as f32).collect();
        self.settings.link.probabilities(&logits)
    }

    pub(super) fn problem<'p>(
        &'p self,
        samples: &'p [&'p TrainingSample],
        design: &'p Design,
        label_weights: &'p [[f64; 2]],
        prior: Option<&'p [f32]>,
    ) -> Problem<'p> {
        let Self { labels, settings: &Settings { link, .. }, is_few, closed_form, ref fits, stop, .. } = *self;
        Problem { samples, design, labels, link, label_weights, prior, is_few, closed_form, fits, stop }
    }

    /// What is needed for fewer parameters, where there are fewer samples than features.
    pub(super) fn products(&self, design: &Design) -> Option<Products> {
        if self.closed_form { None } else { Products::new(design) }
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
