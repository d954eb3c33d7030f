//! Precision, recall and F1 per label.

use super::{Confusion, share};

/// The counts of one label.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LabelScores {
    /// Rows of which it is the true label.
    pub support: u64,
    /// Rows for which it was predicted.
    pub predicted: u64,
    /// Rows for which it was rightly predicted (true positives).
    pub right: u64,
}

impl LabelScores {
    /// The counts of each label.
    pub(super) fn of(confusion: &Confusion, labels: usize) -> Vec<Self> {
        let mut scores = vec![Self::default(); labels];
        for cell in confusion.cells() {
            if let Some(scores) = scores.get_mut(cell.truth) {
                scores.support += cell.count;
                scores.right += if cell.is_right() { cell.count } else { 0 };
            }
            if let Some(scores) = cell.predicted.and_then(|label| scores.get_mut(label)) {
                scores.predicted += cell.count;
            }
        }
        scores
    }

    /// True positives / predicted; 0 if it was never predicted.
    pub fn precision(&self) -> f64 {
        share(self.right, self.predicted)
    }

    /// True positives / support; 0 without support.
    pub fn recall(&self) -> f64 {
        share(self.right, self.support)
    }

    /// Harmonic mean of precision and recall; 0 without true positives.
    pub fn f1(&self) -> f64 {
        // The same as 2pr / (p + r), without a division by zero.
        share(2 * self.right, self.support + self.predicted)
    }

    /// True when the label is true or predicted somewhere.
    pub fn is_seen(&self) -> bool {
        self.support + self.predicted > 0
    }
}
