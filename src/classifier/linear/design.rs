//! Samples as matrices.

use ndarray::{Array2, ArrayView2, Axis, s};

use super::ngrams::{Counts, NGrams};

/// A sample as the arithmetic sees it.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The engine's vector. Shape: `[dims]`, of all samples the same.
    pub vector: Vec<f32>,
    /// Its words; empty where none are used.
    pub counts: Counts,
    /// Which labels it has, as indices; exactly one unless each label is a question of its own.
    pub labels: Vec<usize>,
    /// How much it counts; more than 0.
    pub weight: f32,
}

/// The features of samples. Shape: [samples, dims + n-grams].
pub(super) struct Design {
    /// Shape: [samples, dims].
    pub(super) dense: Array2<f32>,
    pub(super) rows: Sparse,
    /// The same by columns, for gradients.
    pub(super) columns: Sparse,
}

/// A sparse matrix by its first axis.
pub(super) struct Sparse {
    /// Where each row begins in `entries`, and the end of the last. Shape: [rows + 1].
    starts: Vec<usize>,
    /// Index along the second axis, and value.
    entries: Vec<(u32, f32)>,
}

impl Sparse {
    fn new(rows: impl Iterator<Item = Vec<(u32, f32)>>) -> Self {
        let (mut starts, mut entries) = (vec![0], Vec::new());
        for row in rows {
            entries.extend(row);
            starts.push(entries.len());
        }
        Self { starts, entries }
    }

    /// Swaps the axes; the new first axis has `width` rows.
    fn transposed(&self, width: usize) -> Self {
        let mut starts = vec![0; width + 1];
        self.entries.iter().for_each(|(column, _)| starts[*column as usize + 1] += 1);
        (0..width).for_each(|at| starts[at + 1] += starts[at]);
        let (mut free, mut entries) = (starts.clone(), vec![(0, 0.0); self.entries.len()]);
        for row in 0..self.len() {
            for &(column, value) in self.row(row) {
                let place = &mut free[column as usize];
                entries[*place] = (row as u32, value);
                *place += 1;
            }
        }
        Self { starts, entries }
    }

    /// How many rows it has.
    pub(super) fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// The entries of one row.
    pub(super) fn row(&self, at: usize) -> &[(u32, f32)] {
        &self.entries[self.starts[at]..self.starts[at + 1]]
    }
}

impl Design {
    /// The features of `samples`, with the words that `grams` knows.
    pub(super) fn new(samples: &[&Sample], grams: Option<&NGrams>) -> Self {
        let dims = samples.first().map_or(0, |sample| sample.vector.len());
        let mut dense = Array2::zeros((samples.len(), dims));
        for (mut row, sample) in dense.axis_iter_mut(Axis(0)).zip(samples) {
            row.iter_mut().zip(&sample.vector).for_each(|(to, from)| *to = *from);
        }
        let words = |sample: &&Sample| grams.map(|grams| grams.vector(&sample.counts)).unwrap_or_default();
        let rows = Sparse::new(samples.iter().map(words));
        let columns = rows.transposed(grams.map_or(0, NGrams::len));
        Self { dense, rows, columns }
    }

    /// Samples without words.
    pub(super) fn dense(dense: Array2<f32>) -> Self {
        let rows = Sparse::new((0..dense.nrows()).map(|_| Vec::new()));
        Self { columns: rows.transposed(0), dense, rows }
    }

    /// How many samples there are.
    pub(super) fn samples(&self) -> usize {
        self.rows.len()
    }

    /// How many features there are.
    pub(super) fn features(&self) -> usize {
        self.dense.ncols() + self.columns.len()
    }

    /// Adds the logits of `count` samples from `first` on to `logits`, shape [count, labels]. `weights` has shape
    /// [features, labels].
    pub(super) fn add_logits(&self, first: usize, weights: ArrayView2<'_, f32>, logits: &mut Array2<f32>) {
        let count = logits.nrows();
        let dims = self.dense.ncols();
        let (dense, words) = weights.split_at(Axis(0), dims);
        ndarray::linalg::general_mat_mul(1.0, &self.dense.slice(s![first..first + count, ..]), &dense, 1.0, logits);
        for (at, mut row) in logits.axis_iter_mut(Axis(0)).enumerate() {
            for &(column, value) in self.rows.row(first + at) {
                row.scaled_add(value, &words.row(column as usize));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transposed_matrix_has_the_same_entries() {
        let rows = Sparse::new([vec![(0, 1.0), (2, 2.0)], vec![], vec![(2, 3.0)]].into_iter());
        let columns = rows.transposed(3);
        assert_eq!((columns.row(0), columns.row(1)), (&[(0, 1.0)][..], &[][..]));
        assert_eq!(columns.row(2), [(0, 2.0), (2, 3.0)]);
    }
}
