//! What the names of the labels say before any sample is seen: the weights that the regression starts at and is drawn
//! to.
//!
//! The zero-shot logit of a label is its vector times the text's, times the model's factor. A part of it is the prior;
//! samples move the weights from there, the more of them the further. So a label with two samples is found by its name
//! as well as by what its samples show.

use super::design::TrainingSample;
use super::matrix::{Matrix, add_product};
use super::{LinearModel, Link};

/// The part of the zero-shot logits that is the prior.
///
/// The best of 0, 0.5, 1 and 2 on twelve sets with 1 to 16 samples a label (`model/make/few_samples.py`).
const SHARE: f32 = 0.5;
/// From this many samples a label on, the prior shrinks as their number grows.
const FEW: f32 = 16.0;
/// With so many samples a label the prior does not matter.
const MANY: f32 = 128.0;
/// Samples per product.
const SAMPLES: usize = 1024;

/// Weights of the embedding for each label. Shape: [dims, labels].
#[derive(Clone, Debug, PartialEq)]
pub struct Prior(Matrix);

impl Prior {
    /// The vectors of the labels, `None` for a name that says nothing to the model, and the factor of their logits.
    pub fn new(labels: &[Option<Vec<f32>>], factor: f32) -> Option<Self> {
        let dims = labels.iter().flatten().next()?.len();
        let mut weights = Matrix::zeros(dims, labels.len());
        for (label, vector) in labels.iter().enumerate() {
            for (dim, value) in vector.iter().flatten().enumerate() {
                weights.row_mut(dim)[label] = factor * value;
            }
        }
        Some(Self(weights))
    }

    /// True where it matters beside so many samples.
    pub(super) fn counts(labels: usize, samples: usize) -> bool {
        samples as f32 <= MANY * labels as f32
    }

    /// Number of labels.
    pub(super) fn labels(&self) -> usize {
        self.0.columns()
    }

    /// Zero-shot classification as a classifier.
    pub(super) fn model(&self) -> LinearModel {
        let (dims, labels) = (self.0.rows(), self.0.columns());
        let weights = (0..dims).flat_map(|dim| self.0.row(dim).to_vec()).collect();
        let intercepts = vec![0.0; labels];
        LinearModel { labels, dims, ngrams: Vec::new(), weights, intercepts, link: Link::Softmax, temperature: 1.0 }
    }

    /// Numbers of the labels of which the model knows no word.
    pub fn unknown(&self) -> Vec<usize> {
        let is_zero = |label: &usize| (0..self.0.rows()).all(|dim| self.0.row(dim)[*label] == 0.0);
        (0..self.labels()).filter(is_zero).collect()
    }

    /// The prior for these samples; `None` where it does not matter, and where it is worse than none: "spam" and "not spam"
    /// may say nothing about them.
    pub(super) fn for_samples(&self, samples: &[&TrainingSample]) -> Option<Self> {
        let labels = self.0.columns();
        if !Self::counts(labels, samples.len()) {
            return None;
        }
        let each = samples.len() as f32 / labels as f32;
        let share = SHARE * (FEW / each).min(1.0);
        let mut weights = self.0.clone();
        weights.values_mut().iter_mut().for_each(|weight| *weight *= share);
        let prior = Self(weights);
        (prior.loss(samples) < (labels as f64).ln()).then_some(prior)
    }

    /// The mean cross-entropy of the samples' labels in nats, each label counting the same.
    fn loss(&self, samples: &[&TrainingSample]) -> f64 {
        let labels = self.0.columns();
        let mut sums = vec![(0.0, 0_u32); labels];
        for samples in samples.chunks(SAMPLES) {
            let logits = self.logits(samples);
            for (sample, logits) in samples.iter().zip(logits.chunks_exact(labels)) {
                let loss = Link::Softmax.loss(logits, 1.0, &sample.labels);
                for &label in &sample.labels {
                    sums[label] = (sums[label].0 + loss, sums[label].1 + 1);
                }
            }
        }
        let means: Vec<f64> = sums.into_iter().filter(|(_, n)| *n > 0).map(|(sum, n)| sum / f64::from(n)).collect();
        means.iter().sum::<f64>() / means.len() as f64
    }

    /// The logits that it gives samples. Shape: [samples, labels].
    pub(super) fn logits(&self, samples: &[&TrainingSample]) -> Vec<f32> {
        let (dims, labels) = (self.0.rows(), self.0.columns());
        let mut logits = vec![0.0; samples.len() * labels];
        for (samples, logits) in samples.chunks(SAMPLES).zip(logits.chunks_mut(SAMPLES * labels)) {
            let mut dense = Matrix::zeros(samples.len(), dims);
            for (at, sample) in samples.iter().enumerate() {
                dense.row_mut(at).copy_from_slice(&sample.vector);
            }
            add_product(dense.view(), self.0.view(), logits);
        }
        logits
    }

    /// Adds its weights to those that were learned beside it. Shape: [features, labels], of which the first are those
    /// of the embedding.
    pub(super) fn add_to(&self, weights: &mut [f64]) {
        for dim in 0..self.0.rows() {
            let row = &mut weights[dim * self.0.columns()..][..self.0.columns()];
            row.iter_mut().zip(self.0.row(dim)).for_each(|(weight, prior)| *weight += f64::from(*prior));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classifier::linear::Counts;

    #[test]
    fn it_is_half_of_what_names_say_and_shrinks() {
        let prior = Prior::new(&[Some(vec![1.0, 0.0]), None, Some(vec![0.0, 2.0])], 3.0).unwrap();
        let sample = |label: usize| TrainingSample {
            vector: vec![0.5, 1.0],
            counts: Counts::default(),
            labels: vec![label],
            weight: 1.0,
        };
        let logits =
            |count: usize| prior.for_samples(&vec![&sample(2); count]).map(|prior| prior.logits(&[&sample(2)]));
        assert_eq!(logits(3).unwrap(), [0.75, 0.0, 3.0]);
        assert_eq!(logits(96).unwrap(), [0.375, 0.0, 1.5]);
        assert_eq!(logits(3000), None);
        assert_eq!(Prior::new(&[None, None], 3.0), None);
        let mut weights = vec![1.0; 9];
        prior.for_samples(&[&sample(2)]).unwrap().add_to(&mut weights);
        assert_eq!(weights, [2.5, 1.0, 1.0, 1.0, 1.0, 4.0, 1.0, 1.0, 1.0]);
        // It is sure, and wrong.
        assert_eq!(prior.for_samples(&[&sample(1), &sample(1)]), None);
    }
}
