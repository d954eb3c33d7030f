//! Fewer parameters when there are more features than samples. The best weights are linear combinations of the samples
//! (the representer theorem), so there are only as many unknowns per label as samples.
//!
//! With the Cholesky decomposition of the Gram matrix X Xᵀ = L Lᵀ, the rows of L have the same inner products as the
//! samples. A solution w for L corresponds to the weights Xᵀ L⁻ᵀ w for X, with the same norm.

use std::iter;
use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::design::Design;
use super::matrix::{Matrix, add_product, add_scaled, dot};
use super::weights::GroupWeights;

/// Maximum number of samples; the decomposition takes cubic time.
const MOST_SAMPLES: usize = 2048;
/// Added to the diagonal, relative to its mean, so that linearly dependent samples can be decomposed.
const JITTER: f64 = 1e-7;

/// The samples in as many dimensions as there are samples.
pub(super) struct Reduced {
    /// Their design matrix L.
    pub(super) design: Design,
    /// L in f64. Shape: [samples, samples], zero above the diagonal.
    lower: Vec<f64>,
}

/// The Gram matrices of the embeddings and of each group of n-grams: the inner products of all pairs of samples. Those of
/// n-grams are zero above the diagonal, which is not decomposed.
pub(super) struct Products(Vec<Vec<f64>>);

impl Products {
    /// `None` if fewer parameters would not be faster. `design` has no weights yet.
    pub(super) fn new(design: &Design) -> Option<Self> {
        let samples = design.samples();
        if samples == 0 || samples > MOST_SAMPLES || samples >= design.features() {
            return None;
        }
        let dense = design.dense.view();
        let mut products = vec![0.0; samples * samples];
        add_product(dense, dense.transposed(), &mut products);
        let mut grams: Vec<Vec<f64>> = vec![products.into_iter().map(f64::from).collect()];
        let mut start = 0;
        for &(_, end) in &design.ends {
            grams.push(products_of(design, start as u32..end as u32));
            start = end;
        }
        Some(Self(grams))
    }

    /// The Gram matrix of all features.
    fn weighted(&self, design: &Design, weights: &GroupWeights) -> Vec<f64> {
        let mut sum = vec![0.0; self.0[0].len()];
        let of_groups = design.ends.iter().map(|&(group, _)| weights.of(group));
        for (gram, weight) in self.0.iter().zip(iter::once(weights.embedding).chain(of_groups)) {
            add_scaled(&mut sum, f64::from(weight * weight), gram);
        }
        sum
    }
}

fn products_of(design: &Design, columns: Range<u32>) -> Vec<f64> {
    let samples = design.samples();
    let mut gram = vec![0.0; samples * samples];
    gram.par_chunks_exact_mut(samples).enumerate().for_each(|(at, row)| {
        let entries = design.rows.row(at).iter().filter(|(column, _)| columns.contains(column));
        for &(column, value) in entries {
            let before = |(other, _): &&(u32, f32)| *other as usize <= at;
            for &(other, beside) in design.columns.row(column as usize).iter().take_while(before) {
                row[other as usize] += f64::from(value * beside);
            }
        }
    });
    gram
}

impl Reduced {
    /// The samples of `design`, which has these weights, from the products of those without. `None` where they cannot be
    /// decomposed.
    pub(super) fn new(design: &Design, products: &Products, weights: &GroupWeights) -> Option<Self> {
        let samples = design.samples();
        let mut lower = products.weighted(design, weights);
        let jitter = JITTER * lower.iter().step_by(samples + 1).sum::<f64>() / samples as f64;
        lower.iter_mut().step_by(samples + 1).for_each(|value| *value += jitter);
        if !decompose(&mut lower, samples) {
            return None;
        }
        let narrow = lower.iter().map(|&value| value as f32).collect();
        Some(Self { design: Design::dense(Matrix::new(samples, narrow)), lower })
    }

    /// Converts a solution for L, shape [samples + 1, labels], to one for X, shape [features + 1, labels].
    pub(super) fn expand(&self, design: &Design, found: &[f64], labels: usize) -> Vec<f64> {
        let samples = self.design.samples();
        let (weights, intercepts) = found.split_at(samples * labels);
        let mut sums = weights.to_vec();
        // Solves Lᵀ a = w, from the last sample to the first.
        for at in (0..samples).rev() {
            let (above, rest) = sums.split_at_mut(at * labels);
            let (row, lower) = (&mut rest[..labels], &self.lower[at * samples..][..=at]);
            row.iter_mut().for_each(|value| *value /= lower[at]);
            above.chunks_exact_mut(labels).zip(lower).for_each(|(above, &factor)| add_scaled(above, -factor, row));
        }
        let dims = design.dense.columns();
        let narrow = Matrix::new(labels, sums.iter().map(|&value| value as f32).collect());
        let mut of_dense = vec![0.0; dims * labels];
        add_product(design.dense.view().transposed(), narrow.view(), &mut of_dense);
        let mut full: Vec<f64> = of_dense.into_iter().map(f64::from).collect();
        full.resize(design.features() * labels, 0.0);
        for (column, to) in full[dims * labels..].chunks_exact_mut(labels).enumerate() {
            for &(row, value) in design.columns.row(column) {
                add_scaled(to, f64::from(value), &sums[row as usize * labels..][..labels]);
            }
        }
        full.extend(intercepts);
        full
    }
}

/// Cholesky decomposition in place; false when the matrix is not positive definite.
pub(super) fn decompose(matrix: &mut [f64], size: usize) -> bool {
    Arch::new().dispatch(Decompose { matrix, size })
}

struct Decompose<'a> {
    matrix: &'a mut [f64],
    size: usize,
}

impl WithSimd for Decompose<'_> {
    type Output = bool;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> bool {
        for at in 0..self.size {
            let (above, rest) = self.matrix.split_at_mut(at * self.size);
            let row = &mut rest[..self.size];
            for (before, other) in above.chunks_exact(self.size).enumerate() {
                row[before] = (row[before] - dot(&row[..before], &other[..before])) / other[before];
            }
            let left = row[at] - dot(&row[..at], &row[..at]);
            if !(left > 0.0 && left.is_finite()) {
                return false;
            }
            row[at] = left.sqrt();
            row[at + 1..].fill(0.0);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classifier::linear::{Counts, FeatureGroup, NGrams, TrainingSample};
    use crate::record::HeadLines;

    #[test]
    fn few_samples_have_the_same_products_and_the_same_logits() {
        let texts = ["pay the bill", "the meeting on monday", "pay on monday", "a bill of march"];
        let sample = |(at, text): (usize, &&str)| TrainingSample {
            vector: vec![0.3 * at as f32 - 0.4, 0.2],
            counts: Counts::new(text, HeadLines::default(), 9, |_| true),
            labels: vec![at % 2],
            weight: 1.0,
        };
        let samples: Vec<TrainingSample> = texts.iter().enumerate().map(sample).collect();
        let samples: Vec<&TrainingSample> = samples.iter().collect();
        let counts: Vec<&Counts> = samples.iter().map(|sample| &sample.counts).collect();
        let groups =
            [FeatureGroup::Words, FeatureGroup::Characters].map(|group| NGrams::learn(group, &counts, 99, 1.0));
        let unweighted = Design::new(&samples, &groups);
        let weights = GroupWeights { embedding: 0.5, words: 1.5, characters: 2.0, heads: 0.0 };
        let design = unweighted.clone().weighted(&weights);
        let products = Products::new(&unweighted).unwrap();
        let reduced = Reduced::new(&design, &products, &weights).unwrap();
        let there = Products::new(&design).unwrap().0.into_iter().reduce(|mut sum, gram| {
            add_scaled(&mut sum, 1.0, &gram);
            sum
        });
        let (there, here) = (there.unwrap(), products.weighted(&unweighted, &weights));
        let below = (0..16).filter(|at| at % 4 <= at / 4);
        assert!(below.into_iter().all(|at| (there[at] - here[at]).abs() < 1e-5), "{there:?} {here:?}");
        let found: Vec<f64> = (0..10).map(|at| f64::from(at % 4) - 1.5).collect();
        let full = reduced.expand(&design, &found, 2);
        let logits = |design: &Design, parameters: &[f64]| {
            let narrow = Matrix::new(2, parameters.iter().map(|&value| value as f32).collect());
            let mut logits = vec![0.0; 8];
            design.logits(0, &narrow, &mut logits);
            logits
        };
        let (there, here) = (logits(&reduced.design, &found), logits(&design, &full));
        assert!(there.iter().zip(&here).all(|(a, b)| (a - b).abs() < 1e-4), "{there:?} {here:?}");
        let length = |values: &[f64]| values.iter().map(|value| value * value).sum::<f64>();
        assert!((length(&full[..full.len() - 2]) - length(&found[..8])).abs() < 1e-4);
    }
}
