//! Which label was given for which.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::Row;

/// A confusion matrix, of which only the cells that are not zero are kept: label sets may have thousands of labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Confusion {
    cells: BTreeMap<(usize, Option<usize>), u64>,
}

/// One cell that is not zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The true label.
    pub truth: usize,
    /// The label that was given, `None` where none was.
    pub predicted: Option<usize>,
    /// How many rows.
    pub count: u64,
}

impl Cell {
    /// True on the diagonal.
    pub fn is_right(&self) -> bool {
        self.predicted == Some(self.truth)
    }
}

impl Confusion {
    /// Counts rows.
    pub(super) fn new(rows: &[Row]) -> Self {
        let mut cells = BTreeMap::new();
        for row in rows {
            if let Some(truth) = row.counted_truth() {
                *cells.entry((truth, row.predicted())).or_default() += 1;
            }
        }
        Self { cells }
    }

    /// How many rows of the label `truth` were given `predicted`.
    pub fn count(&self, truth: usize, predicted: Option<usize>) -> u64 {
        self.cells.get(&(truth, predicted)).copied().unwrap_or(0)
    }

    /// The cells that are not zero, by true label; those without a label first.
    pub fn cells(&self) -> impl Iterator<Item = Cell> {
        self.cells.iter().map(|(&(truth, predicted), &count)| Cell { truth, predicted, count })
    }

    /// The cells off the diagonal, the largest first; equal ones in the order of the labels.
    pub fn mistakes(&self) -> Vec<Cell> {
        let mut cells: Vec<Cell> = self.cells().filter(|cell| !cell.is_right()).collect();
        cells.sort_by_key(|cell| Reverse(cell.count));
        cells
    }
}
