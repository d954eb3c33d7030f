//! The parts of a layer, on plain slices of f32.

use anyhow::Result;
use pulp::Arch;
use rayon::prelude::*;

use super::config::Activation;
use crate::engine::checkpoint::Weights;
use crate::engine::kernels::products::{Builder, Kind, Packed, Rows};

/// Rows that are worth a task of their own.
const GRAIN: usize = 16;

/// A product and a shift.
pub(super) struct Dense {
    weight: Packed,
    /// Shape: [outputs].
    bias: Vec<f32>,
}

impl Dense {
    /// Takes weights of shape [outputs, inputs] each and puts them side by side.
    ///
    /// # Errors
    /// When one is missing or has another shape.
    pub(super) fn load(weights: &Weights, names: &[String], outputs: usize, inputs: usize) -> Result<Self> {
        let mut builder = Builder::new(Kind::F32, names.len() * outputs, inputs);
        let mut bias = Vec::new();
        for name in names {
            let weight = weights.take(&format!("{name}.weight"), &[outputs, inputs])?.values()?;
            builder.push(Rows::F32(&weight));
            bias.extend(weights.take(&format!("{name}.bias"), &[outputs])?.values()?);
        }
        Ok(Self { weight: builder.finish(), bias })
    }

    /// [rows, inputs] -> [rows, outputs]
    pub(super) fn forward(&self, rows: &[f32]) -> Vec<f32> {
        let outputs = self.bias.len();
        let mut out = vec![0.0; rows.len() / self.weight.inputs() * outputs];
        self.weight.product(rows, &mut out);
        out.par_chunks_exact_mut(outputs).with_min_len(GRAIN).for_each(|row| add(row, &self.bias));
        out
    }
}

/// A layer norm.
pub(super) struct Norm {
    scale: Vec<f32>,
    shift: Vec<f32>,
    eps: f32,
}

impl Norm {
    /// Takes scale and shift; shape of both: [width].
    pub(super) fn new(scale: Vec<f32>, shift: Vec<f32>, eps: f32) -> Self {
        Self { scale, shift, eps }
    }

    /// Adds rows to the states and norms these. Shape of both: [rows, width].
    pub(super) fn add(&self, rows: &[f32], states: &mut [f32]) {
        let (width, arch) = (self.scale.len(), Arch::new());
        let both = states.par_chunks_exact_mut(width).zip(rows.par_chunks_exact(width));
        both.with_min_len(GRAIN).for_each(|(state, row)| {
            arch.dispatch(|| {
                add(state, row);
                self.row(state);
            });
        });
    }

    /// Norms one row.
    #[inline(always)]
    pub(super) fn row(&self, row: &mut [f32]) {
        let width = row.len() as f32;
        let mean = sum(row, |value| value) / width;
        let variance = sum(row, |value| (value - mean) * (value - mean)) / width;
        let factor = 1.0 / (variance + self.eps).sqrt();
        for ((value, scale), shift) in row.iter_mut().zip(&self.scale).zip(&self.shift) {
            *value = (*value - mean) * factor * scale + shift;
        }
    }
}

#[inline(always)]
fn add(row: &mut [f32], other: &[f32]) {
    row.iter_mut().zip(other).for_each(|(value, other)| *value += other);
}

/// The sum over a row in sixteen lanes, which the compiler may give to one register.
#[inline(always)]
fn sum(row: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0f32; 16];
    let (whole, rest) = row.as_chunks::<16>();
    for chunk in whole {
        lanes.iter_mut().zip(chunk).for_each(|(lane, &value)| *lane += of(value));
    }
    lanes.iter_mut().zip(rest).for_each(|(lane, &value)| *lane += of(value));
    lanes.iter().sum()
}

/// Attention within each text, both ways: [tokens, 3 · hidden] -> [tokens, hidden].
pub(super) fn attend(qkv: &[f32], lengths: &[usize], heads: usize, hidden: usize) -> Vec<f32> {
    let size = hidden / heads;
    let mut starts = lengths.iter().scan(0, |next, length| Some(std::mem::replace(next, *next + length)));
    let texts = lengths.iter().flat_map(|&length| {
        let start = starts.next().unwrap_or(0);
        (0..heads).map(move |head| (start, length, head))
    });
    let texts: Vec<(usize, usize, usize)> = texts.collect();
    let parts: Vec<Vec<f32>> = texts
        .par_iter()
        .map(|&(start, length, head)| {
            let rows = &qkv[start * 3 * hidden..(start + length) * 3 * hidden];
            let part = |which: usize| -> Vec<f32> {
                let columns = which * hidden + head * size;
                rows.chunks_exact(3 * hidden).flat_map(|row| &row[columns..columns + size]).copied().collect()
            };
            blend(&part(0), &part(1), &part(2), size)
        })
        .collect();
    let mut out = vec![0.0; qkv.len() / 3];
    for (&(start, _, head), part) in texts.iter().zip(&parts) {
        for (at, row) in part.chunks_exact(size).enumerate() {
            out[(start + at) * hidden + head * size..][..size].copy_from_slice(row);
        }
    }
    out
}

/// One head over one text: softmax(q · k / √size) · v. Shape of all: [tokens, size].
fn blend(q: &[f32], k: &[f32], v: &[f32], size: usize) -> Vec<f32> {
    let tokens = q.len() / size;
    let mut scores = vec![0.0; tokens * tokens];
    Packed::f32(k, tokens, size).product(q, &mut scores);
    let factor = 1.0 / (size as f32).sqrt();
    Arch::new().dispatch(|| scores.chunks_exact_mut(tokens).for_each(|row| softmax(row, factor)));
    let columns: Vec<f32> = (0..size).flat_map(|column| v.iter().skip(column).step_by(size)).copied().collect();
    let mut out = vec![0.0; tokens * size];
    Packed::f32(&columns, size, tokens).product(&scores, &mut out);
    out
}

#[inline(always)]
fn softmax(row: &mut [f32], factor: f32) {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let (whole, rest) = row.as_chunks::<16>();
    let mut lanes = [f32::NEG_INFINITY; 16];
    whole.iter().for_each(|chunk| lanes.iter_mut().zip(chunk).for_each(|(lane, value)| *lane = larger(*lane, *value)));
    let highest = lanes.iter().chain(rest).copied().fold(f32::NEG_INFINITY, larger);
    row.iter_mut().for_each(|value| *value = exp((*value - highest) * factor));
    let total = sum(row, |value| value);
    row.iter_mut().for_each(|value| *value /= total);
}

/// What stands between the two products of a layer.
pub(super) fn activate(activation: Activation, values: &mut [f32]) {
    let arch = Arch::new();
    values.par_chunks_mut(1 << 14).for_each(|chunk| match activation {
        Activation::Gelu => arch.dispatch(|| {
            chunk.iter_mut().for_each(|x| *x = 0.5 * *x * (1.0 + erf(*x * std::f32::consts::FRAC_1_SQRT_2)));
        }),
        Activation::GeluTanh => {
            chunk
                .iter_mut()
                .for_each(|x| *x = 0.5 * *x * (1.0 + (0.797_884_6 * (*x + 0.044_715 * *x * *x * *x)).tanh()));
        }
        Activation::Relu => chunk.iter_mut().for_each(|x| *x = x.max(0.0)),
    });
}

/// The error function, off by at most 2e-7 (Abramowitz and Stegun 7.1.26).
#[inline(always)]
fn erf(x: f32) -> f32 {
    let size = x.abs();
    let t = 1.0 / (1.0 + 0.327_591_1 * size);
    let series = t * (0.254_829_6 + t * (-0.284_496_74 + t * (1.421_413_7 + t * (-1.453_152 + t * 1.061_405_4))));
    (1.0 - series * exp(-size * size)).copysign(x)
}

/// exp(x) for x ≤ 0, off by 2e-7 of itself; the compiler can do many at once, which it cannot with a call.
#[inline(always)]
fn exp(x: f32) -> f32 {
    // Added to a small number it leaves the nearest whole one in the lowest bits.
    const ROUNDING: f32 = 12_582_912.0;
    // Below it the power of two would not be a normal number. NaN stays.
    let x = if x < -87.0 { -87.0 } else { x };
    let rounded = x * std::f32::consts::LOG2_E + ROUNDING;
    let whole = rounded - ROUNDING;
    let rest = x - whole * (355.0 / 512.0) + whole * 2.121_944_4e-4;
    let sum = 1.0
        + rest
            * (1.0
                + rest
                    * (0.5
                        + rest
                            * (0.166_664_15
                                + rest * (0.041_666_35 + rest * (0.008_375_168 + rest * 0.001_394_116_1)))));
    sum * f32::from_bits(rounded.to_bits().wrapping_add(127) << 23)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_and_error_function() {
        for at in 0..80_000 {
            let x = -(at as f32) / 1000.0;
            let exact = f64::from(x).exp();
            assert!((f64::from(exp(x)) - exact).abs() <= 3e-7 * exact, "{x}: {} for {exact}", exp(x));
        }
        assert!(exp(f32::NAN).is_nan() && exp(f32::NEG_INFINITY) < 1e-37);
        // From tables.
        for (x, exact) in [(0.0, 0.0), (0.5, 0.520_499_9), (1.0, 0.842_700_8), (2.0, 0.995_322_3), (-3.0, -0.999_977_9)]
        {
            assert!((erf(x) - exact).abs() < 4e-7, "{x}: {}", erf(x));
        }
    }

    #[test]
    fn activations_at_one() {
        let at_one = |activation| {
            let mut values = [1.0, -1.0];
            activate(activation, &mut values);
            values
        };
        let near = |a: [f32; 2], b: [f32; 2]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6);
        assert!(near(at_one(Activation::Gelu), [0.841_344_8, -0.158_655_2]));
        assert!(near(at_one(Activation::GeluTanh), [0.841_192, -0.158_808]));
        assert!(near(at_one(Activation::Relu), [1.0, 0.0]));
    }
}
