//! How well each label is told from the others.

use super::{Confusion, share};

/// The counts of one label.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LabelScores {
    /// Rows that count for the label.
    pub support: u64,
    /// Rows that were given the label.
    pub predicted: u64,
    /// Rows that were rightly given the label.
    pub right: u64,
}

impl LabelScores {
    /// Counts for each of so many labels.
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

    /// Of the rows that were given the label, the share that is right; 0 if there is none.
    pub fn precision(&self) -> f64 {
        share(self.right, self.predicted)
    }

    /// Of the rows of the label, the share that was found; 0 if there is none.
    pub fn recall(&self) -> f64 {
        share(self.right, self.support)
    }

    /// The harmonic mean of precision and recall; 0 where nothing is right.
    pub fn f1(&self) -> f64 {
        // The same as 2pr / (p + r), without a division of nothing by nothing.
        share(2 * self.right, self.support + self.predicted)
    }

    /// True when the label is true or predicted somewhere.
    pub fn is_seen(&self) -> bool {
        self.support + self.predicted > 0
    }
}
