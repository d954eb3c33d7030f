//! The activations of feed-forward layers: GELU (Hendrycks and Gimpel 2016, <https://arxiv.org/abs/1606.08415>) and
//! ReLU.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::exp::exp;

/// Numbers that are worth a task of their own.
const GRAIN: usize = 1 << 14;

/// What stands between the two products of a feed-forward layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// x · Φ(x), by the error function.
    Gelu,
    /// The same by a hyperbolic tangent, which some models were trained with.
    GeluTanh,
    /// max(x, 0).
    Relu,
}

/// Applies the activation to every number, in place.
pub fn activate(activation: Activation, x: &mut [f32]) {
    let arch = Arch::new();
    x.par_chunks_mut(GRAIN).for_each(|x| arch.dispatch(Each { activation, x }));
}

/// Not a closure, which the compiler may leave outside the code for the CPU at hand.
struct Each<'a> {
    activation: Activation,
    x: &'a mut [f32],
}

impl WithSimd for Each<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (whole, rest) = S::as_mut_simd_f32s(self.x);
        match self.activation {
            Activation::Gelu => {
                whole.iter_mut().for_each(|x| *x = gelu(simd, *x));
                let last = gelu(simd, simd.partial_load_f32s(rest));
                simd.partial_store_f32s(rest, last);
            }
            Activation::GeluTanh => {
                whole.iter_mut().for_each(|x| *x = gelu_tanh(simd, *x));
                let last = gelu_tanh(simd, simd.partial_load_f32s(rest));
                simd.partial_store_f32s(rest, last);
            }
            Activation::Relu => {
                whole.iter_mut().for_each(|x| *x = relu(simd, *x));
                let last = relu(simd, simd.partial_load_f32s(rest));
                simd.partial_store_f32s(rest, last);
            }
        }
    }
}

/// x / 2 · (1 + erf(x / √2)). The error function is off by at most 2e-7 (Abramowitz and Stegun 7.1.26).
#[inline(always)]
fn gelu<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    const SERIES: [f32; 5] = [1.061_405_4, -1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6];
    let of = |value: f32| simd.splat_f32s(value);
    let scaled = simd.mul_f32s(x, of(std::f32::consts::FRAC_1_SQRT_2));
    let size = simd.abs_f32s(scaled);
    let t = simd.div_f32s(of(1.0), simd.mul_add_f32s(of(0.327_591_1), size, of(1.0)));
    let mut series = of(SERIES[0]);
    for factor in &SERIES[1..] {
        series = simd.mul_add_f32s(series, t, of(*factor));
    }
    let rest = simd.mul_f32s(simd.mul_f32s(series, t), exp(simd, simd.neg_f32s(simd.mul_f32s(size, size))));
    // 1 + erf is 2 - rest for numbers above zero, and rest for those below.
    let both = simd.select_f32s(simd.less_than_f32s(x, of(0.0)), rest, simd.sub_f32s(of(2.0), rest));
    simd.mul_f32s(simd.mul_f32s(x, of(0.5)), both)
}

/// x / 2 · (1 + tanh(√(2 / π) · (x + 0.044715 · x³))), which is x / (1 + exp(-2 · √(2 / π) · (x + 0.044715 · x³))).
#[inline(always)]
fn gelu_tanh<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    /// Twice √(2 / π).
    const FACTOR: f32 = 1.595_769;
    let of = |value: f32| simd.splat_f32s(value);
    let square = simd.mul_f32s(x, x);
    let inner = simd.mul_f32s(x, simd.mul_add_f32s(square, of(0.044_715 * FACTOR), of(FACTOR)));
    let power = exp(simd, simd.neg_f32s(inner));
    // Far below zero the power is infinite and the quotient minus zero.
    simd.div_f32s(x, simd.add_f32s(of(1.0), power))
}

#[inline(always)]
fn relu<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let zero = simd.splat_f32s(0.0);
    // In this order NaN stays.
    simd.select_f32s(simd.less_than_f32s(x, zero), zero, x)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against values from tables of the normal distribution, and against the formulas in f64.
    fn check(activation: Activation, exact: impl Fn(f64) -> f64) {
        let inputs: Vec<f32> = (-40_000..40_003).map(|at| at as f32 / 2000.0).collect();
        let mut got = inputs.clone();
        activate(activation, &mut got);
        for (x, got) in inputs.iter().zip(&got) {
            let exact = exact(f64::from(*x));
            assert!((f64::from(*got) - exact).abs() <= 4e-7 * f64::from(x.abs()).max(1.0), "{x}: {got} for {exact}");
        }
    }

    #[test]
    fn activations_equal_their_definitions() {
        check(Activation::Gelu, |x| 0.5 * x * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2));
        let root = (2.0 / std::f64::consts::PI).sqrt();
        check(Activation::GeluTanh, |x| 0.5 * x * (1.0 + (root * (x + 0.044_715 * x.powi(3))).tanh()));
        check(Activation::Relu, |x| x.max(0.0));
    }

    #[test]
    fn far_inputs_reach_their_limits_and_nan_stays() {
        for activation in [Activation::Gelu, Activation::GeluTanh, Activation::Relu] {
            let mut values = [-1e4, -100.0, 100.0, 1e4, f32::NAN];
            activate(activation, &mut values);
            assert_eq!(values[..4], [0.0, 0.0, 100.0, 1e4], "{activation:?}");
            assert!(values[4].is_nan(), "{activation:?}");
        }
    }
}
