//! Few samples with many words: the weights that fit best are sums of the samples (the representer theorem), so it is
//! enough to look for as many numbers a label as there are samples.
//!
//! With the Gram matrix X Xᵀ = L Lᵀ, samples whose features are the rows of L have the same products with each other as
//! the true ones. What is found for them, w, belongs to the weights Xᵀ L⁻ᵀ w of the same length.

use ndarray::{Array2, Axis, s};
use rayon::prelude::*;

use super::design::Design;
use super::objective::Parameters;

/// The decomposition takes the third power of the number of samples.
const MOST_SAMPLES: usize = 2048;
/// Added to the diagonal, relative to its mean, so that samples that depend on each other can be decomposed.
const JITTER: f64 = 1e-7;

/// Samples in a space of their own number of dimensions.
pub(super) struct Reduced {
    /// The samples there.
    pub(super) design: Design,
    /// The same with all digits. Shape: [samples, samples], nothing above the diagonal.
    lower: Array2<f64>,
}

impl Reduced {
    /// `None` where it would not be faster.
    pub(super) fn new(design: &Design) -> Option<Self> {
        let samples = design.samples();
        if samples > MOST_SAMPLES || samples >= design.features() {
            return None;
        }
        let mut lower = gram(design);
        let jitter = JITTER * lower.diag().sum() / samples as f64;
        lower.diag_mut().iter_mut().for_each(|value| *value += jitter);
        decompose(&mut lower)?;
        Some(Self { design: Design::dense(lower.mapv(|value| value as f32)), lower })
    }

    /// The parameters of the true features. Those found here have shape [(samples + 1) × labels].
    pub(super) fn expand(&self, design: &Design, found: &Parameters, labels: usize) -> Parameters {
        let samples = self.lower.nrows();
        let (weights, intercepts) = found.as_slice().unwrap_or_default().split_at(samples * labels);
        let mut sums = Array2::from_shape_vec((samples, labels), weights.to_vec()).unwrap_or_default();
        // Lᵀ a = w, from the last sample to the first.
        for at in (0..samples).rev() {
            let (mut above, mut rest) = sums.view_mut().split_at(Axis(0), at);
            let mut row = rest.row_mut(0);
            row /= self.lower[[at, at]];
            for (before, mut other) in above.outer_iter_mut().enumerate() {
                other.scaled_add(-self.lower[[at, before]], &row);
            }
        }
        let narrow = sums.mapv(|value| value as f32);
        let mut full = Array2::<f64>::zeros((design.features() + 1, labels));
        let dims = design.dense.ncols();
        full.slice_mut(s![..dims, ..]).assign(&design.dense.t().dot(&narrow).mapv(f64::from));
        for column in 0..design.columns.len() {
            let mut to = full.row_mut(dims + column);
            for &(row, value) in design.columns.row(column) {
                to.scaled_add(f64::from(value), &sums.row(row as usize));
            }
        }
        full.row_mut(design.features()).iter_mut().zip(intercepts).for_each(|(to, from)| *to = *from);
        full.into_flat()
    }
}

/// The products of all pairs of samples.
fn gram(design: &Design) -> Array2<f64> {
    let mut gram = design.dense.dot(&design.dense.t()).mapv(f64::from);
    let rows: Vec<_> = gram.axis_iter_mut(Axis(0)).collect();
    rows.into_par_iter().enumerate().for_each(|(at, mut row)| {
        for &(column, value) in design.rows.row(at) {
            for &(other, beside) in design.columns.row(column as usize) {
                row[other as usize] += f64::from(value * beside);
            }
        }
    });
    gram
}

/// Cholesky's decomposition in place; `None` when the matrix is not positive.
fn decompose(matrix: &mut Array2<f64>) -> Option<()> {
    for at in 0..matrix.nrows() {
        let (above, mut rest) = matrix.view_mut().split_at(Axis(0), at);
        let mut row = rest.row_mut(0);
        for before in 0..at {
            let other = above.row(before);
            let sum = row.slice(s![..before]).dot(&other.slice(s![..before]));
            row[before] = (row[before] - sum) / other[before];
        }
        let own = row.slice(s![..at]);
        let left = row[at] - own.dot(&own);
        if !(left > 0.0 && left.is_finite()) {
            return None;
        }
        row[at] = left.sqrt();
        row.slice_mut(s![at + 1..]).fill(0.0);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classifier::linear::{Counts, NGrams, Sample, ngrams};

    #[test]
    fn few_samples_have_the_same_products_and_the_same_logits() {
        let texts = ["pay the bill", "the meeting on monday", "pay on monday", "a bill of march"];
        let sample = |(at, text): (usize, &&str)| Sample {
            vector: vec![0.3 * at as f32 - 0.4, 0.2],
            counts: ngrams::count(text, 9),
            labels: vec![at % 2],
            weight: 1.0,
        };
        let samples: Vec<Sample> = texts.iter().enumerate().map(sample).collect();
        let samples: Vec<&Sample> = samples.iter().collect();
        let counts: Vec<&Counts> = samples.iter().map(|sample| &sample.counts).collect();
        let grams = NGrams::learn(&counts, 99, 1.0);
        let design = Design::new(&samples, Some(&grams));
        let reduced = Reduced::new(&design).unwrap();
        let (there, here) = (gram(&reduced.design), gram(&design));
        assert!(there.iter().zip(&here).all(|(a, b)| (a - b).abs() < 1e-5));
        let found = Parameters::from_iter((0..10).map(|at| f64::from(at % 4) - 1.5));
        let full = reduced.expand(&design, &found, 2);
        let logits = |design: &Design, parameters: &Parameters| {
            let narrow: Vec<f32> = parameters.iter().map(|&value| value as f32).collect();
            let narrow = Array2::from_shape_vec((design.features() + 1, 2), narrow).unwrap();
            let mut logits = Array2::zeros((4, 2));
            design.add_logits(0, narrow.slice(s![..design.features(), ..]), &mut logits);
            logits
        };
        let (there, here) = (logits(&reduced.design, &found), logits(&design, &full));
        assert!(there.iter().zip(&here).all(|(a, b)| (a - b).abs() < 1e-4), "{there} {here}");
        let length = |values: &[f64]| values.iter().map(|value| value * value).sum::<f64>();
        let (all, few) = (full.as_slice().unwrap(), found.as_slice().unwrap());
        assert!((length(&all[..all.len() - 2]) - length(&few[..8])).abs() < 1e-4);
    }
}
