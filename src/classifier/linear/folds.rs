//! Cross-validation: the samples of each fold are scored by a classifier that is trained on the other folds.

use std::collections::HashSet;
use std::sync::Arc;

use anyhow::Result;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::design::{Design, TrainingSample};
use super::fit::COARSE;
use super::matrix::Matrix;
use super::reduced::{Products, Reduced};
use super::train::TrainingRun;
use super::weights::GroupWeights;
use super::{Link, temperature};

/// With more samples than this, hyperparameters are compared on folds with `COMPARED` percent of the tested samples.
const MANY_SAMPLES: usize = 2500;
const COMPARED: usize = 40;
/// Number of folds that stay in memory while hyperparameters are compared; others are rebuilt each time. A fold has a
/// copy of the embeddings and a matrix of samples × samples.
const KEPT: usize = 5;

/// The assignment of samples to folds.
pub(super) struct Dealt {
    /// Number of folds.
    pub(super) folds: usize,
    /// Shape: [samples].
    pub(super) part: Vec<usize>,
    /// True if the other folds have the labels of the sample. Shape: [samples].
    tested: Vec<bool>,
}

/// A fold.
pub(super) struct Fold<'a> {
    part: usize,
    /// The training data of its classifier, while it is in memory.
    rest: Option<Rest<'a>>,
    /// The last solution, for the reduced problem if there is one.
    found: Option<Vec<f64>>,
    /// True while several weights are tried.
    tries_weights: bool,
}

/// The training data of a fold (all other folds), and its test data.
struct Rest<'a> {
    samples: Vec<&'a TrainingSample>,
    /// What other weights are applied to, while they are tried.
    unweighted: Option<Unweighted>,
    weights: GroupWeights,
    design: Design,
    reduced: Option<Reduced>,
    label_weights: Vec<[f64; 2]>,
    held: Vec<usize>,
    unseen: Design,
    /// Logits that names give the samples, and the held ones.
    prior: Option<[Vec<f32>; 2]>,
}

/// The features of a fold before they are weighted.
#[derive(Clone)]
struct Unweighted {
    design: Design,
    unseen: Design,
    products: Option<Arc<Products>>,
}

/// Scores of held-out samples.
pub(super) struct Held {
    /// Empty for samples that were not tested. Shape: [samples, labels].
    pub(super) logits: Vec<Vec<f32>>,
    pub(super) temperature: f64,
    pub(super) loss: f64,
}

impl Dealt {
    /// Assigns samples to folds, stratified by the rarest label of each sample.
    pub(super) fn new(
        samples: &[TrainingSample],
        labels: usize,
        folds: usize,
        seed: u64,
        link: Link,
        are_named: bool,
    ) -> Self {
        let folds = folds.clamp(2, samples.len().max(2));
        let mut counts = vec![0usize; labels];
        samples.iter().flat_map(|sample| &sample.labels).for_each(|&label| counts[label] += 1);
        let rarest =
            |sample: &TrainingSample| sample.labels.iter().copied().min_by_key(|&label| (counts[label], label));
        let place = |(at, one)| (rarest(one), shuffled(seed, at), at);
        let mut order: Vec<_> = samples.iter().enumerate().map(place).collect();
        order.sort_unstable();
        let mut part = vec![0; samples.len()];
        order.iter().enumerate().for_each(|(turn, &(_, _, at))| part[at] = turn % folds);
        // Where names are the prior, a label without a sample in the other folds has one all the same.
        let tested = if are_named { vec![true; samples.len()] } else { tested(samples, &counts, &part, folds, link) };
        Self { folds, part, tested }
    }

    /// Tests no more than `most` samples, a random part of those that can be; true if that leaves some out.
    pub(super) fn test_at_most(&mut self, most: usize, seed: u64) -> bool {
        let mut tested: Vec<usize> = (0..self.tested.len()).filter(|&at| self.tested[at]).collect();
        tested.sort_by_cached_key(|&at| shuffled(seed, at));
        let left = tested.split_off(most.min(tested.len()));
        left.iter().for_each(|&at| self.tested[at] = false);
        !left.is_empty()
    }

    /// True if any sample can be tested.
    pub(super) fn tests_something(&self) -> bool {
        self.tested.contains(&true)
    }

    /// Number of folds on which hyperparameters are compared: the first ones.
    pub(super) fn compared(&self) -> usize {
        if self.part.len() <= MANY_SAMPLES {
            return self.folds;
        }
        let all = self.tested.iter().filter(|&&tested| tested).count();
        self.testing((all * COMPARED).div_ceil(100)).max(2)
    }

    /// Number of folds that test so many samples, of all folds where that is fewer: the first ones.
    pub(super) fn testing(&self, samples: usize) -> usize {
        let mut sizes = vec![0usize; self.folds];
        self.part.iter().zip(&self.tested).for_each(|(&part, &tested)| sizes[part] += usize::from(tested));
        let mut held = 0;
        let fewer = sizes.iter().take_while(|&&size| {
            held += size;
            held < samples
        });
        (fewer.count() + 1).min(self.folds)
    }

    /// The first folds, to try weights on.
    pub(super) fn first_parts<'a>(&self, count: usize) -> Vec<Fold<'a>> {
        self.parts().into_iter().take(count).map(|fold| Fold { tries_weights: true, ..fold }).collect()
    }

    /// The folds, without data.
    pub(super) fn parts<'a>(&self) -> Vec<Fold<'a>> {
        (0..self.folds).map(|part| Fold { part, rest: None, found: None, tries_weights: false }).collect()
    }
}

/// The place of a sample in a random order. Unlike random number generators, a hash gives the same order on every
/// machine and in every version.
fn shuffled(seed: u64, at: usize) -> [u8; 32] {
    Sha256::new().chain_update(seed.to_le_bytes()).chain_update((at as u64).to_le_bytes()).finalize().into()
}

/// Which samples can be tested. If no sample outside a fold has a label, the intercept of that label has no penalty and
/// no minimum, so the loss of a sample with the label is unbounded and says nothing about C. The same holds for an
/// independent label that all samples outside have.
fn tested(samples: &[TrainingSample], counts: &[usize], part: &[usize], folds: usize, link: Link) -> Vec<bool> {
    let mut inside = vec![vec![0usize; counts.len()]; folds];
    let mut sizes = vec![0usize; folds];
    for (sample, &part) in samples.iter().zip(part) {
        sizes[part] += 1;
        sample.labels.iter().for_each(|&label| inside[part][label] += 1);
    }
    let outside = |part: usize, label: usize| counts[label] - inside[part][label];
    let always = |part: usize| -> Vec<usize> {
        let all = samples.len() - sizes[part];
        (0..counts.len()).filter(|&label| link == Link::Sigmoid && outside(part, label) == all).collect()
    };
    let always: Vec<Vec<usize>> = (0..folds).map(always).collect();
    let is_tested = |(sample, &part): (&TrainingSample, &usize)| {
        let own: HashSet<usize> = sample.labels.iter().copied().collect();
        own.iter().all(|&label| outside(part, label) > 0) && always[part].iter().all(|label| own.contains(label))
    };
    samples.iter().zip(part).map(is_tested).collect()
}

impl<'a> TrainingRun<'a> {
    /// Fits folds with C = `c` and these weights of features. Samples that no fold tests have no logits.
    pub(super) fn held(&self, dealt: &Dealt, folds: &mut [Fold<'a>], weights: GroupWeights, c: f64) -> Result<Held> {
        let mut logits = vec![Vec::new(); self.samples.len()];
        // Not all at once, because a fold takes memory.
        let together = rayon::current_num_threads().max(KEPT);
        for folds in folds.chunks_mut(together) {
            let fitted: Vec<Vec<(usize, Vec<f32>)>> =
                folds.par_iter_mut().map(|fold| self.held_logits(dealt, fold, weights, c)).collect::<Result<_>>()?;
            fitted.into_iter().flatten().for_each(|(at, made)| logits[at] = made);
        }
        let (temperature, loss) = temperature::fit(&logits, self.samples, self.settings.link)?;
        Ok(Held { logits, temperature, loss })
    }

    /// Fits one fold and returns the logits of its test samples.
    fn held_logits(
        &self,
        dealt: &Dealt,
        fold: &mut Fold<'a>,
        weights: GroupWeights,
        c: f64,
    ) -> Result<Vec<(usize, Vec<f32>)>> {
        let mut rest = fold.rest.take().unwrap_or_else(|| self.rest(dealt, fold, weights));
        rest.weigh(weights);
        let design = rest.reduced.as_ref().map_or(&rest.design, |reduced| &reduced.design);
        let problem = self.problem(
            &rest.samples,
            design,
            &rest.label_weights,
            rest.prior.as_ref().map(|[of_samples, _]| &of_samples[..]),
        );
        let found = problem.fit(c, fold.found.as_deref(), COARSE)?;
        let expanded = rest.reduced.as_ref().map(|reduced| reduced.expand(&rest.design, &found, self.labels));
        let parameters = expanded.as_ref().unwrap_or(&found);
        let narrow = Matrix::new(self.labels, parameters.iter().map(|&value| value as f32).collect());
        let mut logits = vec![0.0; rest.held.len() * self.labels];
        rest.unseen.logits(0, &narrow, &mut logits);
        if let Some([_, of_held]) = &rest.prior {
            logits.iter_mut().zip(of_held).for_each(|(logit, prior)| *logit += prior);
        }
        let rows = logits.chunks_exact(self.labels).map(<[f32]>::to_vec);
        let logits = rest.held.iter().copied().zip(rows).collect();
        fold.found = Some(found);
        fold.rest = (fold.part < KEPT).then_some(rest);
        Ok(logits)
    }

    fn rest(&self, dealt: &Dealt, fold: &Fold<'a>, weights: GroupWeights) -> Rest<'a> {
        let part = fold.part;
        let all = || self.samples.iter().zip(&dealt.part).enumerate();
        let samples: Vec<&TrainingSample> =
            all().filter(|(_, (_, of))| **of != part).map(|(_, (one, _))| one).collect();
        let is_held = |(at, (_, of)): &(usize, (&TrainingSample, &usize))| **of == part && dealt.tested[*at];
        let held: Vec<usize> = all().filter(is_held).map(|(at, _)| at).collect();
        // The vocabulary must not come from the test samples.
        let ngrams = self.ngrams(&samples, &weights);
        let unseen: Vec<&TrainingSample> = held.iter().map(|&at| &self.samples[at]).collect();
        let [design, of_unseen] = [&samples, &unseen].map(|samples| Design::new(samples, &ngrams));
        let unweighted = Unweighted { products: self.products(&design).map(Arc::new), design, unseen: of_unseen };
        let kept = fold.tries_weights.then(|| unweighted.clone());
        let (design, unseen_design, reduced) = unweighted.weighted(weights);
        Rest {
            unweighted: kept,
            weights,
            design,
            reduced,
            label_weights: self.label_weights(&samples),
            // Nor may they say whether names help.
            prior: self.prior(&samples).map(|prior| [prior.logits(&samples), prior.logits(&unseen)]),
            samples,
            unseen: unseen_design,
            held,
        }
    }
}

impl Unweighted {
    /// The weighted training data and test data, and the training data with fewer parameters.
    fn weighted(self, weights: GroupWeights) -> (Design, Design, Option<Reduced>) {
        let design = self.design.weighted(&weights);
        let reduced = self.products.and_then(|products| Reduced::new(&design, &products, &weights));
        (design, self.unseen.weighted(&weights), reduced)
    }
}

impl Rest<'_> {
    /// Changes the weights. A group that has no features here stays out.
    fn weigh(&mut self, weights: GroupWeights) {
        if let Some(unweighted) = self.unweighted.as_ref().filter(|_| self.weights != weights) {
            (self.design, self.unseen, self.reduced) = unweighted.clone().weighted(weights);
            self.weights = weights;
        }
    }
}
