//! RMSNorm (Zhang and Sennrich 2019, <https://arxiv.org/abs/1910.07467>), LayerNorm, and sums.
//!
//! Plain loops that the compiler vectorises for the CPU at hand. Sums are taken in an order that does not depend
//! on the width of registers, and multiplications and additions are never fused: every CPU gives the same bits.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// Products of one sum that are added up side by side.
const LANES: usize = 16;
/// Numbers that are worth a task of their own.
pub(super) const GRAIN: usize = 1 << 14;

/// Writes x / sqrt(mean(x²) + eps) · weight for every row.
///
/// Shapes: `x` and `out` [rows, width], `weight` `[width]`.
pub fn rms_norm(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
    assert_eq!(x.len(), out.len(), "an output for every input");
    let (arch, width) = (Arch::new(), weight.len().max(1));
    let rows = out.par_chunks_exact_mut(width).zip(x.par_chunks_exact(width));
    rows.with_min_len(GRAIN.div_ceil(width)).for_each(|(out, x)| arch.dispatch(Row { x, weight, eps, out }));
}

/// Adds `x` to `residual`, of the same shape.
pub fn add(residual: &mut [f32], x: &[f32]) {
    assert_eq!(residual.len(), x.len(), "a number for every other");
    let pieces = residual.par_chunks_mut(GRAIN).zip(x.par_chunks(GRAIN));
    pieces.for_each(|(residual, x)| residual.iter_mut().zip(x).for_each(|(residual, x)| *residual += x));
}

/// Adds `bias` to every row, in place. Shapes: `x` [rows, width], `bias` `[width]`.
pub fn add_bias(x: &mut [f32], bias: &[f32]) {
    let (arch, width) = (Arch::new(), bias.len().max(1));
    let rows = x.par_chunks_exact_mut(width);
    rows.with_min_len(GRAIN.div_ceil(width)).for_each(|row| arch.dispatch(Sum { row, bias }));
}

struct Sum<'a> {
    row: &'a mut [f32],
    bias: &'a [f32],
}

impl WithSimd for Sum<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (x, bias) in self.row.iter_mut().zip(self.bias) {
            *x += bias;
        }
    }
}

/// Writes (x - mean(x)) / sqrt(variance(x) + eps) · weight + bias into every row (Ba and others 2016,
/// <https://arxiv.org/abs/1607.06450>).
///
/// Shapes: `x` [rows, width], `weight` and `bias` `[width]`.
pub fn layer_norm(x: &mut [f32], weight: &[f32], bias: &[f32], eps: f32) {
    let (arch, width) = (Arch::new(), weight.len().max(1));
    let rows = x.par_chunks_exact_mut(width);
    rows.with_min_len(GRAIN.div_ceil(width)).for_each(|row| arch.dispatch(LayerNorm { row, weight, bias, eps }));
}

struct LayerNorm<'a> {
    row: &'a mut [f32],
    weight: &'a [f32],
    bias: &'a [f32],
    eps: f32,
}

impl WithSimd for LayerNorm<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { row, weight, bias, eps } = self;
        let width = row.len() as f32;
        let mean = sum(row, 0.0, false) / width;
        let variance = sum(row, mean, true) / width;
        let factor = 1.0 / (variance + eps).sqrt();
        for ((x, weight), bias) in row.iter_mut().zip(weight).zip(bias) {
            *x = (*x - mean) * factor * weight + bias;
        }
    }
}

/// The sum of x, or of (x - mean)².
#[inline(always)]
fn sum(row: &[f32], mean: f32, squared: bool) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let (blocks, rest) = row.as_chunks::<LANES>();
    for block in blocks {
        for lane in 0..LANES {
            let x = block[lane] - mean;
            lanes[lane] += if squared { x * x } else { x };
        }
    }
    for (lane, x) in lanes.iter_mut().zip(rest) {
        let x = x - mean;
        *lane += if squared { x * x } else { x };
    }
    let mut total = 0.0;
    for lane in lanes {
        total += lane;
    }
    total
}

/// One row. Not a closure, which the compiler may leave outside the code for the CPU at hand.
struct Row<'a> {
    x: &'a [f32],
    weight: &'a [f32],
    eps: f32,
    out: &'a mut [f32],
}

impl WithSimd for Row<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { x, weight, eps, out } = self;
        let factor = rms_factor(x, eps);
        for ((out, x), weight) in out.iter_mut().zip(x).zip(weight) {
            *out = x * factor * weight;
        }
    }
}

/// 1 / sqrt(mean(x²) + eps)
#[inline(always)]
pub(super) fn rms_factor(x: &[f32], eps: f32) -> f32 {
    let (blocks, rest) = x.as_chunks::<LANES>();
    let mut sums = [0.0f32; LANES];
    for block in blocks {
        for lane in 0..LANES {
            sums[lane] += block[lane] * block[lane];
        }
    }
    let mut last = 0.0;
    for x in rest {
        last += x * x;
    }
    for sum in sums {
        last += sum;
    }
    1.0 / (last / x.len() as f32 + eps).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative to the exact value.
    const TOLERANCE: f64 = 1e-6;

    fn numbers(count: usize) -> Vec<f32> {
        (0..count).map(|n| ((n * 7919) % 2003) as f32 / 1000.0 - 1.0).collect()
    }

    #[test]
    fn rows_equal_the_definition() {
        for (rows, width) in [(0, 8), (1, 1), (3, 33), (2, 128), (50, 1024)] {
            let (x, weight, eps) = (numbers(rows * width), numbers(width), 1e-6);
            let mut out = vec![f32::NAN; x.len()];
            rms_norm(&x, &weight, eps, &mut out);
            for (at, &got) in out.iter().enumerate() {
                let row = &x[at / width * width..][..width];
                let mean = row.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / width as f64;
                let exact = f64::from(x[at]) / (mean + f64::from(eps)).sqrt() * f64::from(weight[at % width]);
                assert!((f64::from(got) - exact).abs() <= TOLERANCE * exact.abs(), "{got} for {exact}");
            }
        }
    }

    #[test]
    fn layer_norm_equals_the_definition() {
        for (rows, width) in [(0, 8), (1, 1), (3, 33), (2, 128), (50, 384)] {
            let (x, weight, bias, eps) = (numbers(rows * width), numbers(width), numbers(2 * width), 1e-12);
            let bias = &bias[width..];
            let mut out = x.clone();
            layer_norm(&mut out, &weight, bias, eps);
            for (at, &got) in out.iter().enumerate() {
                let row = x[at / width * width..][..width].iter().map(|x| f64::from(*x));
                let mean = row.clone().sum::<f64>() / width as f64;
                let variance = row.map(|x| (x - mean).powi(2)).sum::<f64>() / width as f64;
                let factor = f64::from(weight[at % width]) / (variance + f64::from(eps)).sqrt();
                let exact = (f64::from(x[at]) - mean) * factor + f64::from(bias[at % width]);
                assert!((f64::from(got) - exact).abs() <= 2e-6, "{got} for {exact}");
            }
        }
    }

    #[test]
    fn a_bias_is_added_to_every_row() {
        let (x, bias) = (numbers(70 * 600), numbers(600));
        let mut got = x.clone();
        add_bias(&mut got, &bias);
        assert!(got.iter().enumerate().all(|(at, got)| *got == x[at] + bias[at % 600]));
    }

    #[test]
    fn sums_are_of_every_number() {
        for count in [0, 1, GRAIN, 3 * GRAIN + 5] {
            let (mut residual, x) = (numbers(count), numbers(count + 7)[7..].to_vec());
            let expected: Vec<f32> = residual.iter().zip(&x).map(|(a, b)| a + b).collect();
            add(&mut residual, &x);
            assert_eq!(residual, expected);
        }
    }

    #[test]
    fn a_row_is_the_same_in_any_company() {
        let (x, weight) = (numbers(100 * 1000), numbers(1000));
        let mut all = vec![0.0; x.len()];
        rms_norm(&x, &weight, 1e-6, &mut all);
        let mut one = vec![0.0; 1000];
        rms_norm(&x[57_000..58_000], &weight, 1e-6, &mut one);
        assert_eq!(one, all[57_000..58_000]);
    }

    #[test]
    fn zeros_stay_and_nan_spreads_over_its_row_only() {
        let mut out = [1.0; 8];
        rms_norm(&[0.0, 0.0, 0.0, 0.0, 1.0, f32::NAN, 1.0, 1.0], &[1.0; 4], 1e-6, &mut out);
        assert_eq!(out[..4], [0.0; 4]);
        assert!(out[4..].iter().all(|value| value.is_nan()));
    }
}
