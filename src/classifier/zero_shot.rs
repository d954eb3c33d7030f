//! Zero-shot classification: the cosine of the text's vector with each label's, then a softmax.

use super::ranking::softmax;
use crate::record::Scores;

/// This many examples weigh as much as the label's own words. Over ten public sets with one, three and eight examples a
/// label, 3 was best or near it.
const PRIOR: f32 = 3.0;

/// The vector of a label with examples: the weighted mean of the vector of its own words, if the model knows any, and
/// of its examples. Shape: `[dims]`, normalised to length 1; `None` where nothing is known.
pub fn prototype(own: Option<&[f32]>, examples: &[&[f32]]) -> Option<Vec<f32>> {
    let count = examples.len() as f32;
    let dims = own.or(examples.first().copied())?.len();
    let share = if own.is_some() { count / (count + PRIOR) } else { 1.0 };
    let mut sum = vec![0.0; dims];
    let mut add = |vector: &[f32], factor: f32| {
        sum.iter_mut().zip(vector).for_each(|(sum, value)| *sum += factor * value);
    };
    own.into_iter().for_each(|own| add(own, 1.0 - share));
    examples.iter().for_each(|example| add(example, share / count));
    let length = sum.iter().map(|value| value * value).sum::<f32>().sqrt();
    (length > 1e-6).then(|| sum.iter().map(|value| value / length).collect())
}

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

    /// Scores one text vector, shape `[dims]`.
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
    fn examples_move_a_label() {
        let (own, example) = ([1.0, 0.0], [0.0, 1.0]);
        assert_eq!(prototype(Some(&own), &[]), Some(vec![1.0, 0.0]));
        assert_eq!(prototype(None, &[&example[..]]), Some(vec![0.0, 1.0]));
        assert_eq!(prototype(None, &[]), None);
        assert_eq!(prototype(None, &[&own[..], &[-1.0, 0.0]]), None);
        let one = prototype(Some(&own), &[&example[..]]).unwrap();
        let three = prototype(Some(&own), &[&example[..]; 3]).unwrap();
        assert!((one[1] / one[0] - 1.0 / 3.0).abs() < 1e-6);
        assert!((three[1] / three[0] - 1.0).abs() < 1e-6);
    }

    #[test]
    fn nearer_is_likelier() {
        let sorter = ZeroShot::new(vec![vec![1.0, 0.0], vec![0.0, 1.0]], 2.0);
        let scores = sorter.scores(&[0.6, 0.8]);
        assert_eq!(scores.raw, [0.6, 0.8]);
        let expected = 1.0 / (1.0 + (2.0f32 * 0.2).exp());
        assert!((scores.probabilities[0] - expected).abs() < 1e-6);
    }
}
