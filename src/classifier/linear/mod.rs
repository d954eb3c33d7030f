//! Logistic regression on embeddings and n-grams, trained on examples.
//!
//! `objective` is the loss, `lbfgs` the optimiser, `folds` the cross-validation that chooses how strong the penalty is.
//! The result is that of scikit-learn's `LogisticRegression`, which `parity` tests. Thousands of labels are learned by
//! `discriminant` instead, in closed form. `from_names` learns from texts without a label.

mod design;
mod discriminant;
mod file;
mod fit;
mod folds;
mod from_names;
mod lbfgs;
mod link;
mod matrix;
mod ngrams;
mod objective;
#[cfg(test)]
mod parity;
mod prior;
mod reduced;
mod temperature;
mod train;
mod weights;

use crate::record::Scores;

pub use design::TrainingSample;
pub use file::{About, LearnedLabel, Needs, TrainedClassifier, Training, Unsorted, Validation, text_hash};
pub use from_names::{FoundLabel, FromNames, Harm, fewest_texts, learn};
pub use link::Link;
pub use ngrams::{Counts, FeatureGroup, NGrams};
pub use prior::Prior;
pub use train::{
    FitProgress, HeldOut, LabelWeights, Settings, TrainingResult, are_few, is_closed_form, names_count, train,
};

/// A fitted classifier.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearModel {
    /// Number of labels.
    pub labels: usize,
    /// Length of the embeddings.
    pub dims: usize,
    /// The groups of n-gram features that it has, in the order of [`FeatureGroup::ALL`].
    pub ngrams: Vec<NGrams>,
    /// Shape: [dims + n-grams, labels].
    pub weights: Vec<f32>,
    /// Shape: `[labels]`.
    pub intercepts: Vec<f32>,
    /// The link function.
    pub link: Link,
    /// The temperature, by which logits are divided.
    pub temperature: f32,
}

impl LinearModel {
    /// The logits of a text with this embedding, shape `[dims]`, and these n-grams.
    pub fn logits(&self, vector: &[f32], counts: &Counts) -> Vec<f32> {
        let mut logits = self.intercepts.clone();
        let mut add = |feature: usize, value: f32| {
            let weights = &self.weights[feature * self.labels..][..self.labels];
            logits.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += value * weight);
        };
        vector.iter().take(self.dims).enumerate().for_each(|(at, &value)| add(at, value));
        let mut first = self.dims;
        for ngrams in &self.ngrams {
            ngrams.vector(counts).into_iter().for_each(|(at, value)| add(first + at as usize, value));
            first += ngrams.len();
        }
        logits
    }

    /// The probabilities of a text; the raw scores are its logits.
    pub fn scores(&self, vector: &[f32], counts: &Counts) -> Scores {
        let raw = self.logits(vector, counts);
        let logits: Vec<f32> = raw.iter().map(|logit| logit / self.temperature).collect();
        Scores { labels: (0..self.labels).collect(), probabilities: self.link.probabilities(&logits), raw }
    }
}
