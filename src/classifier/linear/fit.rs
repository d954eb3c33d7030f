//! Fits the weights with L-BFGS, which is scikit-learn's default.

use anyhow::{Context, Result, ensure};

use super::Link;
use super::design::{Design, TrainingSample};
use super::lbfgs::{self, Precision};
use super::objective::Objective;

/// Precision of a classifier that is kept.
pub(super) const FINE: Precision = Precision { gradient: 1e-5, decrease: 1e-9, steps: 500 };
/// Precision of classifiers that are only compared.
pub(super) const COARSE: Precision = Precision { gradient: 1e-4, decrease: 1e-6, steps: 60 };

/// What a classifier is fitted to.
pub(super) struct Problem<'a> {
    pub(super) samples: &'a [&'a TrainingSample],
    pub(super) design: &'a Design,
    pub(super) labels: usize,
    pub(super) link: Link,
    /// Factors on the weights of samples, per label: without it, and with it.
    pub(super) label_weights: &'a [[f64; 2]],
    pub(super) stop: &'a (dyn Fn() -> bool + Sync),
}

impl Problem<'_> {
    /// The parameters that minimise the loss for C = `c`, starting from `start`.
    ///
    /// # Errors
    /// When the run is stopped, or the numbers overflow.
    pub(super) fn fit(&self, c: f64, start: Option<&[f64]>, precision: Precision) -> Result<Vec<f64>> {
        let targets: Vec<&[usize]> = self.samples.iter().map(|sample| &sample.labels[..]).collect();
        // In f64, because balanced weights of labels with tiny sample weights are large.
        let weight = |sample: &&TrainingSample| match (self.link, &sample.labels[..]) {
            (Link::Softmax, &[label]) => f64::from(sample.weight) * self.label_weights[label][1],
            _ => f64::from(sample.weight),
        };
        let weights: Vec<f64> = self.samples.iter().map(weight).collect();
        let total: f64 = weights.iter().sum();
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
        };
        let size = (self.design.features() + 1) * self.labels;
        let start = start.filter(|start| start.len() == size).map_or_else(|| vec![0.0; size], <[f64]>::to_vec);
        let evaluate = |point: &[f64]| {
            ensure!(!(self.stop)(), "stopped");
            Ok(objective.evaluate(point))
        };
        lbfgs::minimise(evaluate, start, precision).context("cannot fit the classifier")
    }
}
