//! Samples are held out in parts, one after the other, and judged by classifiers that learned from the rest.

use anyhow::Result;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::design::{Design, Sample};
use super::fit::COARSE;
use super::matrix::Matrix;
use super::reduced::Reduced;
use super::train::Run;
use super::{Link, temperature};

/// With more samples, the folds that hold so many percent of those that are tested say which C is best as well as all do.
const MANY_SAMPLES: usize = 2500;
const COMPARED: usize = 40;
/// So many folds stay in memory while settings are compared; what others need is made anew for each setting. A fold has a
/// copy of the vectors and a matrix as long and wide as there are samples.
const KEPT: usize = 5;

/// Which part each sample is held out in.
pub(super) struct Dealt {
    /// How many parts there are.
    pub(super) folds: usize,
    /// Shape: [samples].
    pub(super) part: Vec<usize>,
    /// True where the other parts teach something of the sample. Shape: [samples].
    tested: Vec<bool>,
}

/// One part that is held out.
pub(super) struct Fold<'a> {
    part: usize,
    /// What its classifier is made from, while that is in memory.
    rest: Option<Rest<'a>>,
    /// What was found last, in the reduced space if there is one.
    found: Option<Vec<f64>>,
}

/// What a classifier of all other parts is made from, and what it is tested on.
struct Rest<'a> {
    samples: Vec<&'a Sample>,
    design: Design,
    reduced: Option<Reduced>,
    label_weights: Vec<[f64; 2]>,
    held: Vec<usize>,
    unseen: Design,
}

/// What the classifiers of folds make of the samples that they have not seen.
pub(super) struct Held {
    /// Empty for samples that were not tested. Shape: [samples, labels].
    pub(super) logits: Vec<Vec<f32>>,
    pub(super) temperature: f64,
    pub(super) loss: f64,
}

impl Dealt {
    /// Deals samples to folds, so that every fold has its share of every label. The rarest label of a sample counts.
    pub(super) fn new(samples: &[Sample], labels: usize, folds: usize, seed: u64, link: Link) -> Self {
        let folds = folds.clamp(2, samples.len().max(2));
        let mut counts = vec![0usize; labels];
        samples.iter().flat_map(|sample| &sample.labels).for_each(|&label| counts[label] += 1);
        let rarest = |sample: &Sample| sample.labels.iter().copied().min_by_key(|&label| (counts[label], label));
        // A hash is the same on every machine and in every version, which generators of random numbers do not promise.
        let shuffled = |at: usize| -> [u8; 32] {
            Sha256::new().chain_update(seed.to_le_bytes()).chain_update((at as u64).to_le_bytes()).finalize().into()
        };
        let mut order: Vec<_> = samples.iter().enumerate().map(|(at, one)| (rarest(one), shuffled(at), at)).collect();
        order.sort_unstable();
        let mut part = vec![0; samples.len()];
        order.iter().enumerate().for_each(|(turn, &(_, _, at))| part[at] = turn % folds);
        let tested = tested(samples, &counts, &part, folds, link);
        Self { folds, part, tested }
    }

    /// True where a sample can be held against what the others teach.
    pub(super) fn tests_something(&self) -> bool {
        self.tested.contains(&true)
    }

    /// How many folds are enough to compare settings: the first so many.
    pub(super) fn compared(&self) -> usize {
        if self.part.len() <= MANY_SAMPLES {
            return self.folds;
        }
        let mut sizes = vec![0usize; self.folds];
        self.part.iter().zip(&self.tested).for_each(|(&part, &tested)| sizes[part] += usize::from(tested));
        let all: usize = sizes.iter().sum();
        let mut held = 0;
        let fewer = sizes.iter().take_while(|&&size| {
            held += size;
            held * 100 < all * COMPARED
        });
        (fewer.count() + 1).clamp(2, self.folds)
    }

    /// The parts, of which nothing is in memory yet.
    pub(super) fn parts<'a>(&self) -> Vec<Fold<'a>> {
        (0..self.folds).map(|part| Fold { part, rest: None, found: None }).collect()
    }
}

/// Of a label that no sample outside a part has, its classifier can say nothing but never: an intercept costs nothing, so
/// it falls without end. How wrong that is of a sample with the label has no bound and tells nothing of C, so such samples
/// are not tested. Where labels are questions of their own the same goes for one that all samples outside have.
fn tested(samples: &[Sample], counts: &[usize], part: &[usize], folds: usize, link: Link) -> Vec<bool> {
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
    let is_tested = |(sample, &part): (&Sample, &usize)| {
        sample.labels.iter().all(|&label| outside(part, label) > 0)
            && always[part].iter().all(|label| sample.labels.contains(label))
    };
    samples.iter().zip(part).map(is_tested).collect()
}

impl<'a> Run<'a> {
    /// Fits folds for `c`, words being `scale` long. Samples that none of the folds test have no logits.
    pub(super) fn held(&self, dealt: &Dealt, folds: &mut [Fold<'a>], scale: f32, c: f64) -> Result<Held> {
        let mut logits = vec![Vec::new(); self.samples.len()];
        // Not all at once, for what is made of a fold takes memory.
        let together = rayon::current_num_threads().max(KEPT);
        for folds in folds.chunks_mut(together) {
            let fitted: Vec<Vec<(usize, Vec<f32>)>> =
                folds.par_iter_mut().map(|fold| self.held_logits(dealt, fold, scale, c)).collect::<Result<_>>()?;
            fitted.into_iter().flatten().for_each(|(at, made)| logits[at] = made);
        }
        let (temperature, loss) = temperature::fit(&logits, self.samples, self.settings.link)?;
        Ok(Held { logits, temperature, loss })
    }

    /// Fits one fold for `c`, and gives the logits of what it tests.
    fn held_logits(&self, dealt: &Dealt, fold: &mut Fold<'a>, scale: f32, c: f64) -> Result<Vec<(usize, Vec<f32>)>> {
        let rest = fold.rest.take().unwrap_or_else(|| self.rest(dealt, fold.part, scale));
        let design = rest.reduced.as_ref().map_or(&rest.design, |reduced| &reduced.design);
        let problem = self.problem(&rest.samples, design, &rest.label_weights);
        let found = problem.fit(c, fold.found.as_deref(), COARSE)?;
        let expanded = rest.reduced.as_ref().map(|reduced| reduced.expand(&rest.design, &found, self.labels));
        let parameters = expanded.as_ref().unwrap_or(&found);
        let narrow = Matrix::new(self.labels, parameters.iter().map(|&value| value as f32).collect());
        let mut logits = vec![0.0; rest.held.len() * self.labels];
        rest.unseen.logits(0, &narrow, &mut logits);
        let rows = logits.chunks_exact(self.labels).map(<[f32]>::to_vec);
        let logits = rest.held.iter().copied().zip(rows).collect();
        fold.found = Some(found);
        fold.rest = (fold.part < KEPT).then_some(rest);
        Ok(logits)
    }

    fn rest(&self, dealt: &Dealt, part: usize, scale: f32) -> Rest<'a> {
        let all = || self.samples.iter().zip(&dealt.part).enumerate();
        let samples: Vec<&Sample> = all().filter(|(_, (_, of))| **of != part).map(|(_, (one, _))| one).collect();
        let is_held = |(at, (_, of)): &(usize, (&Sample, &usize))| **of == part && dealt.tested[*at];
        let held: Vec<usize> = all().filter(is_held).map(|(at, _)| at).collect();
        // What is held out must not say which words there are: new mail will not either.
        let ngrams = self.ngrams(&samples, scale);
        let unseen: Vec<&Sample> = held.iter().map(|&at| &self.samples[at]).collect();
        let design = Design::new(&samples, ngrams.as_ref());
        Rest {
            reduced: Reduced::new(&design),
            design,
            label_weights: self.label_weights(&samples),
            samples,
            unseen: Design::new(&unseen, ngrams.as_ref()),
            held,
        }
    }
}
