//! Products with small matrices, vectorised by the compiler for the CPU at hand.
//!
//! Sums are taken in an order that does not depend on the width of registers, and multiplications and additions are
//! never fused: the same text gives the same bits on every CPU.

/// Outputs, or products of one sum, that are added up side by side in registers.
const LANES: usize = 16;
/// Vectors that are multiplied at once, so that a row of the matrix is loaded once for all of them, and one addition
/// does not wait for the one before.
const TILE: usize = 6;
/// Rows of a matrix that are added at once, so that the sums are read and written once for all of them.
const TOGETHER: usize = 4;

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
        let mut vectors = [&[][..]; ROWS];
        for (row, vector) in vectors.iter_mut().enumerate() {
            *vector = &inputs[row * stride..][..length];
        }
        let mut start = 0;
        while start + LANES <= self.outputs {
            let columns = &self.values[start..];
            let mut sums = [[0.0f32; LANES]; ROWS];
            for row in 0..ROWS {
                if let Some(output) = outputs[row * self.outputs + start..].first_chunk() {
                    sums[row] = *output;
                }
            }
            // Indexed, so that the compiler sees that all vectors are as long and keeps them in registers.
            for at in 0..length {
                let Some(weights) = columns[at * self.outputs..].first_chunk::<LANES>() else {
                    break;
                };
                for row in 0..ROWS {
                    let value = vectors[row][at];
                    for lane in 0..LANES {
                        sums[row][lane] += value * weights[lane];
                    }
                }
            }
            for row in 0..ROWS {
                if let Some(output) = outputs[row * self.outputs + start..].first_chunk_mut() {
                    *output = sums[row];
                }
            }
            start += LANES;
        }
        for (row, vector) in vectors.iter().enumerate() {
            let rest = &mut outputs[row * self.outputs..][start..self.outputs];
            for (value, weights) in vector.iter().zip(self.values.chunks_exact(self.outputs)) {
                add(rest, *value, &weights[start..]);
            }
        }
    }

    /// Adds the product of one vector to `output`, row by row, which suits a matrix too large for the nearest cache;
    /// rows of inputs that are zero are left out.
    #[inline(always)]
    pub(super) fn add_product_by_rows(&self, input: &[f32], output: &mut [f32]) {
        let mut some = [(0.0, &[][..]); TOGETHER];
        let mut count = 0;
        for (&value, row) in input.iter().zip(self.values.chunks_exact(self.outputs)) {
            if value != 0.0 {
                some[count] = (value, row);
                count += 1;
            }
            if count == TOGETHER {
                add_rows(output, some);
                count = 0;
            }
        }
        for &(value, row) in &some[..count] {
            add(output, value, row);
        }
    }
}

/// Adds the rows, each times its factor, one after another to every sum.
#[inline(always)]
fn add_rows(sums: &mut [f32], rows: [(f32, &[f32]); TOGETHER]) {
    let [(a, w), (b, x), (c, y), (d, z)] = rows;
    for ((sum, (w, x)), (y, z)) in sums.iter_mut().zip(w.iter().zip(x)).zip(y.iter().zip(z)) {
        *sum = *sum + a * w + b * x + c * y + d * z;
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
    let mut rest = 0.0;
    for (a, b) in a_rest.iter().zip(b_rest) {
        rest += a * b;
    }
    let mut total = 0.0;
    for sum in sums {
        total += sum;
    }
    total + rest
}

/// Adds `factor` times `values` to `sums`.
#[inline(always)]
pub(super) fn add(sums: &mut [f32], factor: f32, values: &[f32]) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += factor * value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_equal_the_definition() {
        // Sizes that leave a rest in every direction.
        let (inputs, outputs, rows) = (7, 37, 8);
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
