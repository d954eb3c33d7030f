//! What is made small: the cross-entropy of the labels, and a penalty on large weights.
//!
//! The same as scikit-learn's `LogisticRegression`, divided by C and the sum of the sample weights, which moves no
//! minimum. Sums are taken over fixed pieces in a fixed order, so that the number of threads changes no bit of them.

use std::cell::RefCell;

use argmin::core::{CostFunction, Error, Gradient};
use ndarray::{Array1, Array2, ArrayView2, ArrayViewMut2, Axis, s};
use rayon::prelude::*;

use super::Link;
use super::design::Design;

/// Samples that one thread takes at a time, and features.
const SAMPLES: usize = 256;
const FEATURES: usize = 64;

/// Weights of all features, then the intercepts. Shape: [(features + 1) × labels], by features.
pub(super) type Parameters = Array1<f64>;

/// A value and where it falls.
pub(super) type Evaluated = (f64, Parameters);

/// What the fitting asks for.
pub(super) struct Objective<'a> {
    pub(super) design: &'a Design,
    /// The labels of each sample.
    pub(super) targets: &'a [&'a [usize]],
    /// How much each sample counts; they sum to 1.
    pub(super) weights: &'a [f32],
    /// How much each label that is a question counts, where it is not true and where it is; empty where all count the same.
    pub(super) balance: &'a [[f32; 2]],
    pub(super) labels: usize,
    pub(super) link: Link,
    /// Factor of half the squared length of the weights.
    pub(super) penalty: f64,
}

/// An objective that remembers the last point: the line search asks for value and gradient in turn.
pub(super) struct Remembered<'a> {
    pub(super) objective: Objective<'a>,
    /// True when nobody waits for the result any more.
    pub(super) stop: &'a (dyn Fn() -> bool + Sync),
    pub(super) last: RefCell<Option<(Parameters, Evaluated)>>,
}

impl Remembered<'_> {
    fn at<T>(&self, point: &Parameters, take: impl Fn(&Evaluated) -> T) -> Result<T, Error> {
        let mut last = self.last.borrow_mut();
        if let Some((known, evaluated)) = &*last
            && known == point
        {
            return Ok(take(evaluated));
        }
        if (self.stop)() {
            return Err(Error::msg("stopped"));
        }
        let evaluated = self.objective.evaluate(point);
        // The line search would look for ever for a value that is less than none.
        if !evaluated.0.is_finite() || evaluated.1.iter().any(|slope| !slope.is_finite()) {
            return Err(Error::msg("the numbers overflow"));
        }
        let taken = take(&evaluated);
        *last = Some((point.clone(), evaluated));
        Ok(taken)
    }
}

impl Objective<'_> {
    /// Value and gradient at a point.
    fn evaluate(&self, point: &Parameters) -> Evaluated {
        let (features, labels) = (self.design.features(), self.labels);
        let narrow: Vec<f32> = point.iter().map(|&value| value as f32).collect();
        // Its shape is that of the point by construction; a mismatch would be a bug, and an empty matrix shows it.
        let narrow = Array2::from_shape_vec((features + 1, labels), narrow).unwrap_or_default();
        let (loss, residuals) = self.residuals(narrow.view());
        let mut gradient = Array2::zeros((features + 1, labels));
        self.slopes(&residuals, gradient.slice_mut(s![..features, ..]));
        let mut length = 0.0;
        let weights = point.iter().take(features * labels);
        for (slope, &weight) in gradient.iter_mut().zip(weights) {
            *slope += self.penalty * weight;
            length += weight * weight;
        }
        for residual in residuals.outer_iter() {
            gradient.row_mut(features).iter_mut().zip(residual).for_each(|(sum, &value)| *sum += f64::from(value));
        }
        (loss + 0.5 * self.penalty * length, gradient.into_flat())
    }

    /// The loss, and by how much each probability is too high, weighted. Shape: [samples, labels].
    fn residuals(&self, weights: ArrayView2<'_, f32>) -> (f64, Array2<f32>) {
        let features = self.design.features();
        let mut residuals = Array2::zeros((self.design.samples(), self.labels));
        let pieces: Vec<ArrayViewMut2<f32>> = residuals.axis_chunks_iter_mut(Axis(0), SAMPLES).collect();
        let losses = pieces.into_par_iter().enumerate().map(|(piece, mut to)| {
            let first = piece * SAMPLES;
            let mut logits = Array2::zeros(to.raw_dim());
            logits.axis_iter_mut(Axis(0)).for_each(|mut row| row.assign(&weights.row(features)));
            self.design.add_logits(first, weights.slice(s![..features, ..]), &mut logits);
            let mut loss = 0.0;
            for (at, mut row) in logits.axis_iter_mut(Axis(0)).enumerate() {
                let weight = self.weights[first + at];
                let logits = row.as_slice_mut().unwrap_or_default();
                loss += f64::from(weight) * self.link.residual(logits, self.targets[first + at], self.balance);
                logits.iter_mut().for_each(|value| *value *= weight);
            }
            to.assign(&logits);
            loss
        });
        let losses: Vec<f64> = losses.collect();
        (losses.iter().sum(), residuals)
    }

    /// The products of features and residuals. Shape: [features, labels].
    fn slopes(&self, residuals: &Array2<f32>, mut to: ArrayViewMut2<'_, f64>) {
        let (dense, columns) = (&self.design.dense, &self.design.columns);
        let (of_dense, of_words) = to.view_mut().split_at(Axis(0), dense.ncols());
        let mut of_dense = of_dense;
        let pieces: Vec<ArrayViewMut2<f64>> = of_dense.axis_chunks_iter_mut(Axis(0), FEATURES).collect();
        pieces.into_par_iter().enumerate().for_each(|(piece, mut to)| {
            let first = piece * FEATURES;
            let last = first + to.nrows();
            let mut part = Array2::<f32>::zeros(to.raw_dim());
            for start in (0..dense.nrows()).step_by(4 * SAMPLES) {
                let end = dense.nrows().min(start + 4 * SAMPLES);
                let (rows, residuals) = (dense.slice(s![start..end, first..last]), residuals.slice(s![start..end, ..]));
                ndarray::linalg::general_mat_mul(1.0, &rows.t(), &residuals, 0.0, &mut part);
                to.iter_mut().zip(&part).for_each(|(sum, &value)| *sum += f64::from(value));
            }
        });
        let mut of_words = of_words;
        let pieces: Vec<ArrayViewMut2<f64>> = of_words.axis_chunks_iter_mut(Axis(0), FEATURES).collect();
        pieces.into_par_iter().enumerate().for_each(|(piece, mut to)| {
            let mut sum = Array1::<f32>::zeros(to.ncols());
            for (at, mut to) in to.axis_iter_mut(Axis(0)).enumerate() {
                sum.fill(0.0);
                for &(row, value) in columns.row(piece * FEATURES + at) {
                    sum.scaled_add(value, &residuals.row(row as usize));
                }
                to.zip_mut_with(&sum, |to, &value| *to = f64::from(value));
            }
        });
    }
}

impl CostFunction for Remembered<'_> {
    type Param = Parameters;
    type Output = f64;

    fn cost(&self, point: &Parameters) -> Result<f64, Error> {
        self.at(point, |(value, _)| *value)
    }
}

impl Gradient for Remembered<'_> {
    type Param = Parameters;
    type Gradient = Parameters;

    fn gradient(&self, point: &Parameters) -> Result<Parameters, Error> {
        self.at(point, |(_, gradient)| gradient.clone())
    }
}
