//! Products with small matrices, vectorised by the compiler for the CPU at hand.
//!
//! Sums are taken in an order that does not depend on the width of registers, and multiplications and additions are
//! never fused: the same text gives the same bits on every CPU.

/// Outputs, or products of one sum, that are added up side by side in registers.
const LANES: usize = 16;
/// Vectors that are multiplied at once, so that a row of the matrix is loaded once for all of them.
const TILE: usize = 4;

/// A matrix in rows. Shape: [inputs, outputs].
#[derive(Clone, Copy)]
pub(super) struct Matrix {
    values: &'static [f32],
    outputs: usize,
}

impl Matrix {
    /// Takes the values row by row. Their number must be a multiple of `outputs`.
    pub(super) fn new(values: &'static [f32], outputs: usize) -> Self {
        Self { values, outputs }
    }

    /// Length of the vectors that it gives.
    pub(super) fn outputs(&self) -> usize {
        self.outputs
    }

    /// Adds to every row of `outputs`, shape [n, outputs], the product of the vector that begins at its multiple of
    /// `stride` in `inputs`. Vectors may overlap.
    #[inline(always)]
    pub(super) fn add_products(&self, inputs: &[f32], stride: usize, outputs: &mut [f32]) {
        let tiles = outputs.chunks_mut(TILE * self.outputs);
        for (at, tile) in tiles.enumerate() {
            let inputs = &inputs[at * TILE * stride..];
            if tile.len() == TILE * self.outputs {
                self.add_tile::<TILE>(inputs, stride, tile);
            } else {
                for (row, output) in tile.chunks_exact_mut(self.outputs).enumerate() {
                    self.add_tile::<1>(&inputs[row * stride..], stride, output);
                }
            }
        }
    }

    #[inline(always)]
    fn add_tile<const ROWS: usize>(&self, inputs: &[f32], stride: usize, outputs: &mut [f32]) {
        let length = self.values.len() / self.outputs;
        let vectors: [&[f32]; ROWS] = std::array::from_fn(|row| &inputs[row * stride..][..length]);
        let mut start = 0;
        while start + LANES <= self.outputs {
            let mut sums = [[0.0f32; LANES]; ROWS];
            for (row, sum) in sums.iter_mut().enumerate() {
                sum.copy_from_slice(&outputs[row * self.outputs + start..][..LANES]);
            }
            for (at, weights) in self.values.chunks_exact(self.outputs).enumerate() {
                let Some(weights) = weights[start..].first_chunk::<LANES>() else {
                    break;
                };
                for (row, sum) in sums.iter_mut().enumerate() {
                    let value = vectors[row][at];
                    for lane in 0..LANES {
                        sum[lane] += value * weights[lane];
                    }
                }
            }
            for (row, sum) in sums.iter().enumerate() {
                outputs[row * self.outputs + start..][..LANES].copy_from_slice(sum);
            }
            start += LANES;
        }
        for (row, vector) in vectors.iter().enumerate() {
            let rest = &mut outputs[row * self.outputs..][start..self.outputs];
            for (value, weights) in vector.iter().zip(self.values.chunks_exact(self.outputs)) {
                rest.iter_mut().zip(&weights[start..]).for_each(|(sum, weight)| *sum += value * weight);
            }
        }
    }

    /// Adds the product of one vector to `output`, row by row, which suits a matrix too large for the nearest cache;
    /// rows of inputs that are zero are left out.
    #[inline(always)]
    pub(super) fn add_product_by_rows(&self, input: &[f32], output: &mut [f32]) {
        for (&value, row) in input.iter().zip(self.values.chunks_exact(self.outputs)) {
            if value != 0.0 {
                output.iter_mut().zip(row).for_each(|(sum, weight)| *sum += value * weight);
            }
        }
    }
}

/// The product of two vectors.
#[inline(always)]
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; LANES];
    let (a_blocks, a_rest) = a.as_chunks::<LANES>();
    let (b_blocks, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_equal_the_definition() {
        // Sizes that leave a rest in every direction.
        let (inputs, outputs, rows) = (7, 37, 6);
        let values: Vec<f32> = (0..inputs * outputs).map(|n| (n % 11) as f32 - 5.0).collect();
        let matrix = Matrix::new(values.clone().leak(), outputs);
        let stride = 3;
        let vectors: Vec<f32> = (0..rows * stride + inputs).map(|n| (n % 5) as f32 - 2.0).collect();
        let mut got = vec![1.0; rows * outputs];
        matrix.add_products(&vectors, stride, &mut got);
        for row in 0..rows {
            let vector = &vectors[row * stride..][..inputs];
            let mut by_rows = vec![1.0; outputs];
            matrix.add_product_by_rows(vector, &mut by_rows);
            for output in 0..outputs {
                let expected: f32 = 1.0 + (0..inputs).map(|i| vector[i] * values[i * outputs + output]).sum::<f32>();
                assert_eq!(got[row * outputs + output], expected);
                assert_eq!(by_rows[output], expected);
            }
        }
        assert_eq!(dot(&[2.0; 37], &[0.5; 37]), 37.0);
    }
}
