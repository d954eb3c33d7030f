//! Scores by what labels mean: the product of the text's vector with each label's, then a softmax.

use super::softmax;
use crate::record::Scores;

/// The labels of one set as vectors.
#[derive(Clone, Debug, PartialEq)]
pub struct ZeroShot {
    labels: Vec<Vec<f32>>,
    temperature: f32,
}

impl ZeroShot {
    /// Takes the label vectors, shape [labels, dims], and the calibrated factor before the softmax.
    pub fn new(labels: Vec<Vec<f32>>, temperature: f32) -> Self {
        Self { labels, temperature }
    }

    /// Scores one text vector, shape [dims].
    pub fn scores(&self, text: &[f32]) -> Scores {
        let raw: Vec<f32> = self.labels.iter().map(|label| label.iter().zip(text).map(|(a, b)| a * b).sum()).collect();
        let logits: Vec<f32> = raw.iter().map(|score| self.temperature * score).collect();
        Scores { labels: (0..raw.len()).collect(), probabilities: softmax(&logits), raw }
    }

    /// How many labels there are.
    pub fn labels(&self) -> usize {
        self.labels.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearer_is_likelier() {
        let sorter = ZeroShot::new(vec![vec![1.0, 0.0], vec![0.0, 1.0]], 2.0);
        let scores = sorter.scores(&[0.6, 0.8]);
        assert_eq!(scores.raw, [0.6, 0.8]);
        let expected = 1.0 / (1.0 + (2.0f32 * 0.2).exp());
        assert!((scores.probabilities[0] - expected).abs() < 1e-6);
    }
}
