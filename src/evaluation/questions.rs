//! Rows of several labels, of which each is a question of its own: does it fit, or not?

use super::{BINS, LabelScores, share};

/// The figures of answers to such questions. A label is given where its probability is a half or more.
#[derive(Clone, Debug, PartialEq)]
pub struct Questions {
    /// One for each label.
    pub labels: Vec<LabelScores>,
    /// The share of rows of which all labels are right and no other is given.
    pub exact: f64,
    /// The expected calibration error over all questions of all rows, in bins of the probability.
    pub error: f64,
}

impl Questions {
    /// Judges probabilities, shape [rows, labels], by the true labels of each row.
    pub fn new(truths: &[&[usize]], probabilities: &[Vec<f32>], labels: usize) -> Self {
        let mut scores = vec![LabelScores::default(); labels];
        let mut bins = [(0u64, 0.0f64, 0u64); BINS];
        let mut exact = 0;
        for (truth, row) in truths.iter().zip(probabilities) {
            let mut all_right = true;
            for (label, (&probability, scores)) in row.iter().zip(&mut scores).enumerate() {
                let (is, said) = (truth.contains(&label), probability >= 0.5);
                scores.support += u64::from(is);
                scores.predicted += u64::from(said);
                scores.right += u64::from(is && said);
                all_right &= is == said;
                let probability = f64::from(probability).clamp(0.0, 1.0);
                let (count, sum, hits) = &mut bins[((probability * BINS as f64) as usize).min(BINS - 1)];
                *count += 1;
                *sum += probability;
                *hits += u64::from(is);
            }
            exact += u64::from(all_right);
        }
        let questions: u64 = bins.iter().map(|bin| bin.0).sum();
        let distance: f64 = bins.iter().map(|(_, sum, hits)| (sum - *hits as f64).abs()).sum();
        Self {
            labels: scores,
            exact: share(exact, truths.len() as u64),
            error: if questions == 0 { 0.0 } else { distance / questions as f64 },
        }
    }

    /// The mean F1 of the labels that are true or given somewhere.
    pub fn macro_f1(&self) -> f64 {
        let seen: Vec<f64> = self.labels.iter().filter(|label| label.is_seen()).map(LabelScores::f1).collect();
        if seen.is_empty() { 0.0 } else { seen.iter().sum::<f64>() / seen.len() as f64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_label_is_judged() {
        let truths: [&[usize]; 3] = [&[0, 1], &[1], &[2]];
        let said = vec![vec![0.9, 0.8, 0.1], vec![0.6, 0.9, 0.1], vec![0.1, 0.1, 0.4]];
        let found = Questions::new(&truths, &said, 3);
        assert_eq!(found.exact, 1.0 / 3.0);
        let counts: Vec<_> = found.labels.iter().map(|one| (one.support, one.predicted, one.right)).collect();
        assert_eq!(counts, [(1, 2, 1), (2, 2, 2), (1, 0, 0)]);
        assert!((found.macro_f1() - (2.0 / 3.0 + 1.0 + 0.0) / 3.0).abs() < 1e-9);
        assert_eq!(Questions::new(&[], &[], 2).error, 0.0);
        let sure = Questions::new(&truths[..1], &[vec![1.0, 1.0, 0.0]], 3);
        assert_eq!((sure.exact, sure.error), (1.0, 0.0));
    }
}
