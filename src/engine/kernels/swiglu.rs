//! The gate of a SwiGLU layer (Shazeer 2020, <https://arxiv.org/abs/2002.05202>).

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::exp::exp;

/// Numbers that are worth a task of their own.
const GRAIN: usize = 1 << 14;
/// Below it silu(x) = x · exp(x) is below 3e-37 and counts as zero; exp(-x) would be infinite.
const LOWEST: f32 = -88.7;

/// Writes silu(gate) · up, where silu(x) = x / (1 + exp(-x)).
///
/// Shapes: `gate_up` [rows, 2 · width], the gate first; `out` [rows, width].
pub fn swiglu(gate_up: &[f32], width: usize, out: &mut [f32]) {
    assert_eq!(gate_up.len(), 2 * out.len(), "a gate and a factor for every output");
    if out.is_empty() {
        return;
    }
    let arch = Arch::new();
    let rows = out.par_chunks_exact_mut(width).zip(gate_up.par_chunks_exact(2 * width));
    rows.with_min_len(GRAIN.div_ceil(width)).for_each(|(out, row)| {
        let (gate, up) = row.split_at(width);
        arch.dispatch(Row { gate, up, out });
    });
}

struct Row<'a> {
    gate: &'a [f32],
    up: &'a [f32],
    out: &'a mut [f32],
}

impl WithSimd for Row<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (gate, gate_rest) = S::as_simd_f32s(self.gate);
        let (up, up_rest) = S::as_simd_f32s(self.up);
        let (out, out_rest) = S::as_mut_simd_f32s(self.out);
        for ((out, gate), up) in out.iter_mut().zip(gate).zip(up) {
            *out = simd.mul_f32s(silu(simd, *gate), *up);
        }
        let (gate, up) = (simd.partial_load_f32s(gate_rest), simd.partial_load_f32s(up_rest));
        simd.partial_store_f32s(out_rest, simd.mul_f32s(silu(simd, gate), up));
    }
}

#[inline(always)]
fn silu<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let divisor = simd.add_f32s(simd.splat_f32s(1.0), exp(simd, simd.neg_f32s(x)));
    let low = simd.less_than_f32s(x, simd.splat_f32s(LOWEST));
    simd.select_f32s(low, simd.splat_f32s(-0.0), simd.div_f32s(x, divisor))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative to the exact value: the exponential, a sum, a division and a product.
    const TOLERANCE: f64 = 5e-7;

    #[test]
    fn rows_equal_the_definition() {
        for (rows, width) in [(0, 4), (1, 1), (3, 7), (5, 48), (40, 3072), (7, 3001)] {
            let value = |n: usize| ((n * 7919) % 20_011) as f32 / 200.0 - 50.0;
            let gate_up: Vec<f32> = (0..rows * 2 * width).map(value).collect();
            let mut out = vec![f32::NAN; rows * width];
            swiglu(&gate_up, width, &mut out);
            for (at, &got) in out.iter().enumerate() {
                let row = &gate_up[at / width * 2 * width..];
                let (gate, up) = (f64::from(row[at % width]), f64::from(row[width + at % width]));
                let exact = gate / (1.0 + (-gate).exp()) * up;
                assert!((f64::from(got) - exact).abs() <= TOLERANCE * exact.abs(), "{got} for {exact}");
            }
        }
    }

    #[test]
    fn far_inputs_reach_their_limits_and_nan_stays() {
        let gate = [f32::NEG_INFINITY, f32::MIN, -1e4, -88.8, -80.0, 0.0, 80.0, 1e4, f32::MAX, f32::INFINITY, f32::NAN];
        let mut gate_up = gate.to_vec();
        gate_up.extend([1.0; 11]);
        let mut out = [f32::NAN; 11];
        swiglu(&gate_up, 11, &mut out);
        assert_eq!(out[..4], [0.0; 4]);
        assert!(out[4] < 0.0 && out[4] > -1e-32);
        assert_eq!(out[5..10], [0.0, 80.0, 1e4, f32::MAX, f32::INFINITY]);
        assert!(out[10].is_nan());
        swiglu(&[1.0, f32::NAN], 1, &mut out[..1]);
        assert!(out[0].is_nan());
    }
}
