//! The confusion matrix.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::SingleLabelRow;

/// A confusion matrix. It is sparse, because label sets may have thousands of labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Confusion {
    cells: BTreeMap<(usize, Option<usize>), u64>,
}

/// A nonzero cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConfusionCount {
    /// The true label.
    pub truth: usize,
    /// The predicted label, if any.
    pub predicted: Option<usize>,
    /// Number of rows.
    pub count: u64,
}

impl ConfusionCount {
    /// True on the diagonal.
    pub fn is_right(&self) -> bool {
        self.predicted == Some(self.truth)
    }
}

impl Confusion {
    /// Builds the matrix.
    pub(super) fn new(rows: &[SingleLabelRow]) -> Self {
        let mut cells = BTreeMap::new();
        for row in rows {
            if let Some(truth) = row.counted_truth() {
                *cells.entry((truth, row.predicted())).or_default() += 1;
            }
        }
        Self { cells }
    }

    /// Number of rows of the label `truth` for which `predicted` was predicted.
    pub fn count(&self, truth: usize, predicted: Option<usize>) -> u64 {
        self.cells.get(&(truth, predicted)).copied().unwrap_or(0)
    }

    /// The nonzero cells, ordered by true label, then by predicted label; rows without a prediction first.
    pub fn cells(&self) -> impl Iterator<Item = ConfusionCount> {
        self.cells.iter().map(|(&(truth, predicted), &count)| ConfusionCount { truth, predicted, count })
    }

    /// The cells off the diagonal, largest first; ties in the order of the labels.
    pub fn mistakes(&self) -> Vec<ConfusionCount> {
        let mut cells: Vec<ConfusionCount> = self.cells().filter(|cell| !cell.is_right()).collect();
        cells.sort_by_key(|cell| Reverse(cell.count));
        cells
    }
}
