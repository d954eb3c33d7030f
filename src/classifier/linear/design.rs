//! The design matrix: samples × features.

use super::matrix::{Matrix, add_product};
use super::ngrams::{Counts, FeatureGroup, NGrams};
use super::weights::GroupWeights;

/// A training sample.
#[derive(Clone, Debug)]
pub struct TrainingSample {
    /// The embedding. Shape: `[dims]`.
    pub vector: Vec<f32>,
    /// Its n-grams.
    pub counts: Counts,
    /// Indices of its labels; exactly one for mutually exclusive labels.
    pub labels: Vec<usize>,
    /// Its weight; more than 0.
    pub weight: f32,
}

/// The features of samples. Shape: [samples, dims + n-grams].
#[derive(Clone)]
pub(super) struct Design {
    /// Shape: [samples, dims].
    pub(super) dense: Matrix,
    pub(super) rows: Sparse,
    /// The transpose of `rows`, for gradients.
    pub(super) columns: Sparse,
    /// Where the columns of each group of n-grams end.
    pub(super) ends: Vec<(FeatureGroup, usize)>,
}

/// A sparse matrix in compressed row format.
#[derive(Clone)]
pub(super) struct Sparse {
    /// Offsets of the rows in `entries`, and the end of the last. Shape: [rows + 1].
    starts: Vec<usize>,
    /// Column and value.
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

    /// The transpose, which has `width` rows.
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

    /// Number of rows.
    pub(super) fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// The entries of one row.
    pub(super) fn row(&self, at: usize) -> &[(u32, f32)] {
        &self.entries[self.starts[at]..self.starts[at + 1]]
    }
}

impl Design {
    /// The features of `samples`: the embedding, then the n-grams of `groups`.
    pub(super) fn new(samples: &[&TrainingSample], groups: &[NGrams]) -> Self {
        let dims = samples.first().map_or(0, |sample| sample.vector.len());
        let mut dense = Matrix::zeros(samples.len(), dims);
        for (at, sample) in samples.iter().enumerate() {
            dense.row_mut(at).iter_mut().zip(&sample.vector).for_each(|(to, from)| *to = *from);
        }
        let mut end = 0;
        let ends: Vec<(FeatureGroup, usize)> = groups
            .iter()
            .map(|ngrams| {
                end += ngrams.len();
                (ngrams.group, end)
            })
            .collect();
        let row = |sample: &&TrainingSample| {
            let group = |(ngrams, &(_, end)): (&NGrams, &(FeatureGroup, usize))| {
                let start = (end - ngrams.len()) as u32;
                ngrams.vector(&sample.counts).into_iter().map(move |(at, value)| (start + at, value))
            };
            groups.iter().zip(&ends).flat_map(group).collect()
        };
        let rows = Sparse::new(samples.iter().map(row));
        let columns = rows.transposed(end);
        Self { dense, rows, columns, ends }
    }

    /// The same samples, where each group of features counts as `weights` say.
    pub(super) fn weighted(mut self, weights: &GroupWeights) -> Self {
        self.dense.values_mut().iter_mut().for_each(|value| *value *= weights.embedding);
        let mut factors = Vec::with_capacity(self.columns.len());
        self.ends.iter().for_each(|&(group, end)| factors.resize(end, weights.of(group)));
        self.rows.entries.iter_mut().for_each(|(column, value)| *value *= factors[*column as usize]);
        let Sparse { starts, entries } = &mut self.columns;
        for (column, factor) in factors.into_iter().enumerate() {
            entries[starts[column]..starts[column + 1]].iter_mut().for_each(|(_, value)| *value *= factor);
        }
        self
    }

    /// Dense features only.
    pub(super) fn dense(dense: Matrix) -> Self {
        let rows = Sparse::new((0..dense.rows()).map(|_| Vec::new()));
        Self { columns: rows.transposed(0), dense, rows, ends: Vec::new() }
    }

    /// Number of samples.
    pub(super) fn samples(&self) -> usize {
        self.rows.len()
    }

    /// Number of features.
    pub(super) fn features(&self) -> usize {
        self.dense.columns() + self.columns.len()
    }

    /// The logits of samples from `first` on, as many as `logits` has rows. Shapes: `parameters` [features + 1,
    /// labels], `logits` [samples, labels].
    pub(super) fn logits(&self, first: usize, parameters: &Matrix, logits: &mut [f32]) {
        let (dims, labels) = (self.dense.columns(), parameters.columns());
        let samples = first..first + logits.len() / labels;
        logits.chunks_exact_mut(labels).for_each(|row| row.copy_from_slice(parameters.row(self.features())));
        add_product(self.dense.view().rows(samples.clone()), parameters.view().rows(0..dims), logits);
        for (sample, logits) in samples.zip(logits.chunks_exact_mut(labels)) {
            for &(column, value) in self.rows.row(sample) {
                let weights = parameters.row(dims + column as usize);
                logits.iter_mut().zip(weights).for_each(|(logit, weight)| *logit += value * weight);
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
