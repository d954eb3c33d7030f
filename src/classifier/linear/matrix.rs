//! Dense matrices and their products.
//!
//! Every product is summed in the order of its terms, whatever the width of the registers and the number of threads, so
//! that neither changes a bit of the result.

use std::ops::Range;

use bytemuck::cast_slice;
use pulp::{Arch, Simd, WithSimd};

/// Terms of a product that are summed at a time; the packed block of the right side then stays in the cache.
const DEPTH: usize = 256;

/// A matrix in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Matrix {
    rows: usize,
    columns: usize,
    values: Vec<f32>,
}

impl Matrix {
    /// A matrix of zeros.
    pub(super) fn zeros(rows: usize, columns: usize) -> Self {
        Self { rows, columns, values: vec![0.0; rows * columns] }
    }

    /// The matrix with these values. Shape: [values / columns, columns].
    pub(super) fn new(columns: usize, values: Vec<f32>) -> Self {
        Self { rows: values.len().checked_div(columns).unwrap_or(0), columns, values }
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    pub(super) fn row(&self, at: usize) -> &[f32] {
        &self.values[at * self.columns..][..self.columns]
    }

    pub(super) fn row_mut(&mut self, at: usize) -> &mut [f32] {
        &mut self.values[at * self.columns..][..self.columns]
    }

    pub(super) fn values_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }

    pub(super) fn view(&self) -> MatrixView<'_> {
        MatrixView { values: &self.values, rows: self.rows, columns: self.columns, strides: [self.columns, 1] }
    }
}

/// A part of a matrix, or a part of its transpose.
#[derive(Clone, Copy)]
pub(super) struct MatrixView<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    /// Distance of two rows and of two columns in `values`.
    strides: [usize; 2],
}

impl MatrixView<'_> {
    pub(super) fn transposed(self) -> Self {
        let [row, column] = self.strides;
        Self { values: self.values, rows: self.columns, columns: self.rows, strides: [column, row] }
    }

    /// Only these rows.
    pub(super) fn rows(self, range: Range<usize>) -> Self {
        // A matrix without columns has no values to skip.
        let values = self.values.get(range.start * self.strides[0]..).unwrap_or_default();
        Self { values, rows: range.len(), ..self }
    }

    /// Only these columns.
    pub(super) fn columns(self, range: Range<usize>) -> Self {
        self.transposed().rows(range).transposed()
    }

    /// Writes `R` rows from `first` on, of the columns `range`, one column after the other. Rows beyond the last are
    /// zero.
    fn pack(&self, first: usize, size: usize, range: Range<usize>, to: &mut Vec<f32>) {
        let start = to.len();
        to.resize(start + size * range.len(), 0.0);
        let to = &mut to[start..];
        let rows = size.min(self.rows - first);
        let at = |row: usize, column: usize| row * self.strides[0] + column * self.strides[1];
        if self.strides[0] == 1 {
            for (to, column) in to.chunks_exact_mut(size).zip(range) {
                to[..rows].copy_from_slice(&self.values[at(first, column)..][..rows]);
            }
        } else {
            for row in 0..rows {
                let from = self.values[at(first + row, range.start)..].iter().step_by(self.strides[1]);
                to[row..].iter_mut().step_by(size).zip(from).for_each(|(to, from)| *to = *from);
            }
        }
    }
}

/// Adds the product of `left` and `right` to `sum`, shape [left.rows, right.columns].
pub(super) fn add_product(left: MatrixView, right: MatrixView, sum: &mut [f32]) {
    if left.columns > 0 && right.columns > 0 {
        Arch::new().dispatch(MatrixProduct { left, right, sum });
    }
}

struct MatrixProduct<'a> {
    left: MatrixView<'a>,
    right: MatrixView<'a>,
    sum: &'a mut [f32],
}

impl WithSimd for MatrixProduct<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // Twelve registers of sums hide the latency of a multiplication; 16 columns waste little where labels are few.
        if S::F32_LANES >= 16 { tiles::<S, 1, 12>(simd, self) } else { tiles::<S, 2, 6>(simd, self) }
    }
}

/// Sums tiles of `R` rows and `N` registers of columns.
#[inline(always)]
fn tiles<S: Simd, const N: usize, const R: usize>(simd: S, MatrixProduct { left, right, sum }: MatrixProduct) {
    let (width, columns) = (N * S::F32_LANES, right.columns);
    let (mut panels, mut rows) = (Vec::new(), Vec::new());
    for from in (0..left.columns).step_by(DEPTH) {
        let range = from..left.columns.min(from + DEPTH);
        panels.clear();
        (0..columns).step_by(width).for_each(|at| right.transposed().pack(at, width, range.clone(), &mut panels));
        for first in (0..left.rows).step_by(R) {
            rows.clear();
            left.pack(first, R, range.clone(), &mut rows);
            let (rows, _) = rows.as_chunks::<R>();
            let sum = &mut sum[first * columns..];
            for (panel, column) in panels.chunks_exact(width * range.len()).zip((0..columns).step_by(width)) {
                let mut tile = [[simd.splat_f32s(0.0); N]; R];
                for (right, left) in S::as_simd_f32s(panel).0.as_chunks::<N>().0.iter().zip(rows) {
                    for row in 0..R {
                        let value = simd.splat_f32s(left[row]);
                        for at in 0..N {
                            tile[row][at] = simd.mul_add_f32s(value, right[at], tile[row][at]);
                        }
                    }
                }
                for (tile, sum) in tile.iter().zip(sum.chunks_mut(columns)) {
                    let tile: &[f32] = cast_slice(tile);
                    sum[column..].iter_mut().zip(tile).for_each(|(sum, value)| *sum += value);
                }
            }
        }
    }
}

/// The product of two vectors.
#[inline(always)]
pub(super) fn dot(left: &[f64], right: &[f64]) -> f64 {
    const LANES: usize = 16;
    let ((left, left_rest), (right, right_rest)) = (left.as_chunks::<LANES>(), right.as_chunks::<LANES>());
    let mut sums = [0.0; LANES];
    for (left, right) in left.iter().zip(right) {
        for lane in 0..LANES {
            sums[lane] += left[lane] * right[lane];
        }
    }
    let rest: f64 = left_rest.iter().zip(right_rest).map(|(left, right)| left * right).sum();
    sums.iter().sum::<f64>() + rest
}

/// Adds `factor` times `vector` to `sum`.
pub(super) fn add_scaled(sum: &mut [f64], factor: f64, vector: &[f64]) {
    sum.iter_mut().zip(vector).for_each(|(sum, value)| *sum += factor * value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_of_all_shapes() {
        let matrix = |rows: usize, columns: usize| {
            let value = |at: usize| ((at * 37 + rows) % 19) as f32 - 9.0;
            Matrix::new(columns, (0..rows * columns).map(value).collect())
        };
        for (rows, depth, columns) in [(1, 1, 1), (12, 3, 16), (13, 257, 17), (5, 600, 33), (70, 8, 2), (3, 0, 4)] {
            let (left, right) = (matrix(rows, depth), matrix(depth, columns));
            let (flipped, beside) = (matrix(depth, rows), matrix(columns, depth));
            for (left, right) in [
                (left.view(), right.view()),
                (flipped.view().transposed(), right.view()),
                (left.view(), beside.view().transposed()),
            ] {
                let mut found = Matrix::zeros(rows, columns);
                found.values_mut().fill(0.5);
                add_product(left, right, found.values_mut());
                for (row, column) in (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))) {
                    let at = |view: &MatrixView, row: usize, column: usize| {
                        view.values[row * view.strides[0] + column * view.strides[1]]
                    };
                    // Whole numbers, so that sums are exact.
                    let expected: f32 = (0..depth).map(|n| at(&left, row, n) * at(&right, n, column)).sum();
                    assert_eq!(found.row(row)[column], expected + 0.5, "{rows} {depth} {columns}: {row} {column}");
                }
            }
        }
    }

    #[test]
    fn a_part_of_a_product() {
        let left = Matrix::new(4, (0..12).map(|at| at as f32).collect());
        let mut found = [0.0; 4];
        add_product(left.view().rows(1..3).columns(1..3), left.view().columns(2..4).rows(0..2), &mut found);
        assert_eq!(
            found,
            [5.0 * 2.0 + 6.0 * 6.0, 5.0 * 3.0 + 6.0 * 7.0, 9.0 * 2.0 + 10.0 * 6.0, 9.0 * 3.0 + 10.0 * 7.0]
        );
    }

    #[test]
    fn dot_takes_what_is_left_over() {
        for length in [0, 1, 15, 16, 17, 50] {
            let vector: Vec<f64> = (0..length).map(f64::from).collect();
            let expected: f64 = vector.iter().map(|value| value * value).sum();
            assert_eq!(dot(&vector, &vector), expected, "{length}");
        }
    }
}
