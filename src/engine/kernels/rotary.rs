//! The norm and the rotary position embedding of queries and keys (Su and others 2021,
//! <https://arxiv.org/abs/2104.09864>), with the halves of a head as the pairs, as Llama and Qwen do.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::attention::Heads;
use super::norm::{GRAIN, rms_factor};

/// The angles of every position. Shape of both: [positions, size / 2].
#[derive(Clone, Copy, Debug)]
pub struct Angles<'a> {
    /// Their cosines.
    pub cos: &'a [f32],
    /// Their sines.
    pub sin: &'a [f32],
}

/// The weights of the norms of heads. Shape of both: `[size]`.
#[derive(Clone, Copy, Debug)]
pub struct HeadNorms<'a> {
    /// Of queries.
    pub query: &'a [f32],
    /// Of keys.
    pub key: &'a [f32],
    /// Added to the mean of squares.
    pub eps: f32,
}

/// Normalises every head of queries and of keys as [`super::rms_norm`] does and turns it by the angles of its position,
/// in place.
///
/// Shapes: `qkv` [tokens, (heads.query + 2 · heads.key_value) · heads.size], `positions` `[tokens]`, below those of
/// `angles`. The size of a head is even.
pub fn norm_and_rotate(qkv: &mut [f32], heads: Heads, positions: &[u32], norms: HeadNorms, angles: Angles) {
    let stride = (heads.query + 2 * heads.key_value) * heads.size;
    assert!(heads.size.is_multiple_of(2), "halves are the pairs");
    assert_eq!(qkv.len(), positions.len() * stride, "a position for every row");
    let (arch, half) = (Arch::new(), heads.size / 2);
    let rows = qkv.par_chunks_exact_mut(stride.max(1)).zip(positions);
    rows.with_min_len(GRAIN.div_ceil(stride.max(1))).for_each(|(row, &position)| {
        let at = position as usize * half;
        let (cos, sin) = (&angles.cos[at..][..half], &angles.sin[at..][..half]);
        arch.dispatch(Row { row, heads, norms, cos, sin });
    });
}

/// Queries, keys and values of one token. Not a closure, which the compiler may leave outside the code for the CPU
/// at hand.
struct Row<'a> {
    row: &'a mut [f32],
    heads: Heads,
    norms: HeadNorms<'a>,
    cos: &'a [f32],
    sin: &'a [f32],
}

impl WithSimd for Row<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { row, heads, norms, cos, sin } = self;
        for (at, head) in row.chunks_exact_mut(heads.size).take(heads.query + heads.key_value).enumerate() {
            let weight = if at < heads.query { norms.query } else { norms.key };
            turn(simd, head, weight, norms.eps, (cos, sin));
        }
    }
}

/// Written with vectors, as the compiler makes none of the plain loop.
#[inline(always)]
fn turn<S: Simd>(simd: S, head: &mut [f32], weight: &[f32], eps: f32, angles: (&[f32], &[f32])) {
    let factor = simd.splat_f32s(rms_factor(head, eps));
    let (first, second) = head.split_at_mut(angles.0.len());
    let (weights, more) = weight.split_at(angles.0.len());
    let (firsts, first_rest) = S::as_mut_simd_f32s(first);
    let (seconds, second_rest) = S::as_mut_simd_f32s(second);
    let (weights, weights_rest) = S::as_simd_f32s(weights);
    let (more, more_rest) = S::as_simd_f32s(more);
    let (cos, cos_rest) = S::as_simd_f32s(angles.0);
    let (sin, sin_rest) = S::as_simd_f32s(angles.1);
    for at in 0..firsts.len() {
        let a = simd.mul_f32s(simd.mul_f32s(firsts[at], factor), weights[at]);
        let b = simd.mul_f32s(simd.mul_f32s(seconds[at], factor), more[at]);
        (firsts[at], seconds[at]) = turn_pair(simd, a, b, cos[at], sin[at]);
    }
    let a =
        simd.mul_f32s(simd.mul_f32s(simd.partial_load_f32s(first_rest), factor), simd.partial_load_f32s(weights_rest));
    let b =
        simd.mul_f32s(simd.mul_f32s(simd.partial_load_f32s(second_rest), factor), simd.partial_load_f32s(more_rest));
    let (a, b) = turn_pair(simd, a, b, simd.partial_load_f32s(cos_rest), simd.partial_load_f32s(sin_rest));
    simd.partial_store_f32s(first_rest, a);
    simd.partial_store_f32s(second_rest, b);
}

#[inline(always)]
fn turn_pair<S: Simd>(simd: S, a: S::f32s, b: S::f32s, cos: S::f32s, sin: S::f32s) -> (S::f32s, S::f32s) {
    let first = simd.sub_f32s(simd.mul_f32s(a, cos), simd.mul_f32s(b, sin));
    (first, simd.add_f32s(simd.mul_f32s(b, cos), simd.mul_f32s(a, sin)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Absolute, where numbers are of the size of one.
    const TOLERANCE: f64 = 2e-6;

    fn numbers(count: usize, factor: usize) -> Vec<f32> {
        (0..count).map(|n| ((n * factor) % 2003) as f32 / 1000.0 - 1.0).collect()
    }

    #[test]
    fn heads_are_normalised_and_turned_and_values_stay() {
        for (query, key_value, size) in [(4, 2, 128), (2, 1, 24), (3, 3, 2), (1, 1, 10)] {
            let heads = Heads { query, key_value, size };
            let positions = [0, 3, 1, 39, 3];
            let (half, stride) = (size / 2, (query + 2 * key_value) * size);
            let angle: Vec<f32> = (0..40 * half).map(|n| (n / half) as f32 * 0.9f32.powi((n % half) as i32)).collect();
            let (cos, sin): (Vec<f32>, Vec<f32>) = angle.iter().map(|a| (a.cos(), a.sin())).unzip();
            let (weight, other, before) = (numbers(size, 31), numbers(size, 77), numbers(5 * stride, 7919));
            let norms = HeadNorms { query: &weight, key: &other, eps: 1e-6 };
            let mut qkv = before.clone();
            norm_and_rotate(&mut qkv, heads, &positions, norms, Angles { cos: &cos, sin: &sin });
            for (at, &got) in qkv.iter().enumerate() {
                let (token, head, dim) = (at / stride, at % stride / size, at % size);
                let row = &before[at - dim..][..size];
                if head >= query + key_value {
                    assert_eq!(got, row[dim], "values stay");
                    continue;
                }
                let mean = row.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / size as f64;
                let weight = if head < query { &weight } else { &other };
                let normal = |dim: usize| f64::from(row[dim]) / (mean + 1e-6).sqrt() * f64::from(weight[dim]);
                let angle = f64::from(angle[positions[token] as usize * half + dim % half]);
                let exact = if dim < half {
                    normal(dim) * angle.cos() - normal(dim + half) * angle.sin()
                } else {
                    normal(dim) * angle.cos() + normal(dim - half) * angle.sin()
                };
                assert!((f64::from(got) - exact).abs() <= TOLERANCE, "{got} for {exact}");
            }
        }
    }

    #[test]
    fn nan_stays_in_its_head() {
        let heads = Heads { query: 2, key_value: 1, size: 4 };
        let mut qkv = [1.0; 16];
        qkv[1] = f32::NAN;
        let norms = HeadNorms { query: &[1.0; 4], key: &[1.0; 4], eps: 1e-6 };
        norm_and_rotate(&mut qkv, heads, &[0], norms, Angles { cos: &[1.0; 2], sin: &[0.0; 2] });
        assert!(qkv[..4].iter().all(|value| value.is_nan()));
        assert!(qkv[4..].iter().all(|value| value.is_finite()));
    }
}
