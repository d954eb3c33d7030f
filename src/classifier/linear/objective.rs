//! The loss: the cross-entropy of the labels, and a penalty on large weights.
//!
//! The same as scikit-learn's `LogisticRegression`, divided by C and the sum of the sample weights, which moves no
//! minimum. Sums are taken over fixed pieces in a fixed order, so that the number of threads changes no bit of them.

use rayon::prelude::*;

use super::Link;
use super::design::Design;
use super::matrix::{Matrix, add_product};

/// Samples and features per task.
const SAMPLES: usize = 256;
const FEATURES: usize = 64;

/// The loss of a classifier as a function of its parameters: the weights of all features, then the intercepts. Their
/// shape is [features + 1, labels].
pub(super) struct Objective<'a> {
    pub(super) design: &'a Design,
    /// The labels of each sample.
    pub(super) targets: &'a [&'a [usize]],
    /// Weights of the samples; they sum to 1.
    pub(super) weights: &'a [f32],
    /// For independent labels: weights of each where it is false and where it is true; empty if all are 1.
    pub(super) balance: &'a [[f32; 2]],
    pub(super) labels: usize,
    pub(super) link: Link,
    /// Factor of half the squared length of the weights.
    pub(super) penalty: f64,
    /// Logits that are added to those of the weights. Shape: [samples, labels].
    pub(super) prior: Option<&'a [f32]>,
    /// The same factor for the intercepts, which have none where each label has samples enough.
    pub(super) penalty_of_intercepts: f64,
}

impl Objective<'_> {
    /// Value and gradient at a point.
    pub(super) fn evaluate(&self, point: &[f64]) -> (f64, Vec<f64>) {
        let size = self.design.features() * self.labels;
        let weights = Matrix::new(self.labels, point.iter().map(|&value| value as f32).collect());
        let (loss, residuals) = self.residuals(&weights);
        let mut gradient = vec![0.0; point.len()];
        let (of_weights, of_intercepts) = gradient.split_at_mut(size);
        self.gradient(&residuals, of_weights);
        let mut length = 0.0;
        for (slope, &weight) in of_weights.iter_mut().zip(point) {
            *slope += self.penalty * weight;
            length += weight * weight;
        }
        let mut intercepts = 0.0;
        for (slope, &intercept) in of_intercepts.iter_mut().zip(&point[size..]) {
            *slope += self.penalty_of_intercepts * intercept;
            intercepts += intercept * intercept;
        }
        for sample in 0..residuals.rows() {
            of_intercepts.iter_mut().zip(residuals.row(sample)).for_each(|(sum, &value)| *sum += f64::from(value));
        }
        (loss + 0.5 * (self.penalty * length + self.penalty_of_intercepts * intercepts), gradient)
    }

    /// The loss, and the weighted residuals (probability - truth). Shape: [samples, labels].
    fn residuals(&self, weights: &Matrix) -> (f64, Matrix) {
        let mut residuals = Matrix::zeros(self.design.samples(), self.labels);
        let pieces = residuals.values_mut().par_chunks_mut(SAMPLES * self.labels).enumerate();
        let losses = pieces.map(|(piece, logits)| {
            let first = piece * SAMPLES;
            self.design.logits(first, weights, logits);
            if let Some(prior) = self.prior {
                let prior = &prior[first * self.labels..][..logits.len()];
                logits.iter_mut().zip(prior).for_each(|(logit, prior)| *logit += prior);
            }
            let mut loss = 0.0;
            for (sample, logits) in (first..).zip(logits.chunks_exact_mut(self.labels)) {
                let weight = self.weights[sample];
                loss += f64::from(weight) * self.link.residual(logits, self.targets[sample], self.balance);
                logits.iter_mut().for_each(|value| *value *= weight);
            }
            loss
        });
        let losses: Vec<f64> = losses.collect();
        (losses.iter().sum(), residuals)
    }

    /// The gradient of the weights without the penalty: featuresᵀ × residuals. Shape: [features, labels].
    fn gradient(&self, residuals: &Matrix, to: &mut [f64]) {
        let (dense, columns, labels) = (&self.design.dense, &self.design.columns, self.labels);
        let (of_dense, of_words) = to.split_at_mut(dense.columns() * labels);
        of_dense.par_chunks_mut(FEATURES * labels).enumerate().for_each(|(piece, to)| {
            let first = piece * FEATURES;
            let features = dense.view().columns(first..first + to.len() / labels).transposed();
            let mut part = vec![0.0f32; to.len()];
            for start in (0..dense.rows()).step_by(4 * SAMPLES) {
                let samples = start..dense.rows().min(start + 4 * SAMPLES);
                part.fill(0.0);
                add_product(features.columns(samples.clone()), residuals.view().rows(samples), &mut part);
                to.iter_mut().zip(&part).for_each(|(sum, &value)| *sum += f64::from(value));
            }
        });
        of_words.par_chunks_mut(FEATURES * labels).enumerate().for_each(|(piece, to)| {
            let mut sum = vec![0.0f32; labels];
            for (column, to) in (piece * FEATURES..).zip(to.chunks_exact_mut(labels)) {
                sum.fill(0.0);
                for &(sample, value) in columns.row(column) {
                    let residuals = residuals.row(sample as usize);
                    sum.iter_mut().zip(residuals).for_each(|(sum, residual)| *sum += value * residual);
                }
                to.iter_mut().zip(&sum).for_each(|(to, &sum)| *to = f64::from(sum));
            }
        });
    }
}
