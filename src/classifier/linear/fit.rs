//! Fits the weights with L-BFGS, which is scikit-learn's default, or in closed form.

use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, ensure};

use super::design::{Design, TrainingSample};
use super::lbfgs::{self, Precision};
use super::objective::Objective;
use super::{Link, discriminant};

/// Precision of a classifier that is kept.
pub(super) const FINE: Precision = Precision { gradient: 1e-5, decrease: 1e-9, steps: 500 };
/// Precision of classifiers that are only compared.
pub(super) const COARSE: Precision = Precision { gradient: 1e-4, decrease: 1e-6, steps: 60 };

/// How much weaker intercepts are drawn to zero than weights, where a label may have no sample.
const INTERCEPTS: f64 = 10.0;

/// What a classifier is fitted to.
pub(super) struct Problem<'a> {
    pub(super) samples: &'a [&'a TrainingSample],
    pub(super) design: &'a Design,
    pub(super) labels: usize,
    pub(super) link: Link,
    /// Factors on the weights of samples, per label: without it, and with it.
    pub(super) label_weights: &'a [[f64; 2]],
    /// Logits that names give the samples. Shape: [samples, labels].
    pub(super) prior: Option<&'a [f32]>,
    /// True where intercepts are drawn to zero too: a label may have no sample here.
    pub(super) is_few: bool,
    /// True where a linear discriminant takes the place of logistic regression.
    pub(super) closed_form: bool,
    /// Fits of the run so far.
    pub(super) fits: &'a FitCount,
    pub(super) stop: &'a (dyn Fn(FitProgress) -> bool + Sync),
}

/// How far training is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FitProgress {
    /// Number of classifiers that are fitted.
    pub done: usize,
    /// How many there will be at most.
    pub most: usize,
}

/// Counts fits on all threads.
#[derive(Default)]
pub(super) struct FitCount {
    done: AtomicUsize,
    most: AtomicUsize,
}

impl FitCount {
    /// There will be at most so many more.
    pub(super) fn plan(&self, more: usize) {
        self.most.store(self.done.load(Ordering::Relaxed) + more, Ordering::Relaxed);
    }

    fn progress(&self) -> FitProgress {
        FitProgress { done: self.done.load(Ordering::Relaxed), most: self.most.load(Ordering::Relaxed) }
    }
}

impl Problem<'_> {
    /// The parameters that minimise the loss for C = `c`, starting from `start`.
    ///
    /// # Errors
    /// When the run is stopped, or the numbers overflow.
    pub(super) fn fit(&self, c: f64, start: Option<&[f64]>, precision: Precision) -> Result<Vec<f64>> {
        let found = if self.closed_form { discriminant::fit(self, c) } else { self.regress(c, start, precision) };
        self.fits.done.fetch_add(1, Ordering::Relaxed);
        found.context("cannot fit the classifier")
    }

    /// True when the run is to end.
    pub(super) fn is_stopped(&self) -> bool {
        (self.stop)(self.fits.progress())
    }

    /// True where every label counts the same, or its presence as much as its absence.
    pub(super) fn is_balanced(&self) -> bool {
        self.label_weights.iter().any(|weights| *weights != [1.0; 2])
    }

    /// The weights of the samples before they are made to sum to 1. In f64, because balanced weights of labels with
    /// tiny sample weights are large.
    fn unscaled_weights(&self) -> (Vec<f64>, f64) {
        let weight = |sample: &&TrainingSample| match (self.link, &sample.labels[..]) {
            (Link::Softmax, &[label]) => f64::from(sample.weight) * self.label_weights[label][1],
            _ => f64::from(sample.weight),
        };
        let weights: Vec<f64> = self.samples.iter().map(weight).collect();
        let total = weights.iter().sum();
        (weights, total)
    }

    /// The weights of the samples, which sum to 1.
    pub(super) fn weights(&self) -> Vec<f64> {
        let (weights, total) = self.unscaled_weights();
        weights.into_iter().map(|weight| weight / total).collect()
    }

    fn regress(&self, c: f64, start: Option<&[f64]>, precision: Precision) -> Result<Vec<f64>> {
        let targets: Vec<&[usize]> = self.samples.iter().map(|sample| &sample.labels[..]).collect();
        let (weights, total) = self.unscaled_weights();
        let weights: Vec<f32> = weights.into_iter().map(|weight| (weight / total) as f32).collect();
        let balance = |&[lack, have]: &[f64; 2]| [lack as f32, have as f32];
        let balance: Vec<[f32; 2]> = match self.link {
            Link::Softmax => Vec::new(),
            Link::Sigmoid => self.label_weights.iter().map(balance).collect(),
        };
        // scikit-learn penalises one vector of weights for two labels; here it is split into two halves.
        let vectors = if self.labels == 2 && self.link == Link::Softmax { 2.0 } else { 1.0 };
        let objective = Objective {
            design: self.design,
            targets: &targets,
            weights: &weights,
            balance: &balance,
            labels: self.labels,
            link: self.link,
            penalty: vectors / (c * total),
            prior: self.prior,
            penalty_of_intercepts: if self.is_few { vectors / (INTERCEPTS * c * total) } else { 0.0 },
        };
        let size = (self.design.features() + 1) * self.labels;
        let start = start.filter(|start| start.len() == size).map_or_else(|| vec![0.0; size], <[f64]>::to_vec);
        let evaluate = |point: &[f64]| {
            ensure!(!self.is_stopped(), "stopped");
            Ok(objective.evaluate(point))
        };
        lbfgs::minimise(evaluate, start, precision)
    }
}
