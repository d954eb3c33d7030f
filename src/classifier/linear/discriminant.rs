//! Linear discriminant analysis: weights in closed form, for sets of so many labels that logistic regression would take
//! hours.
//!
//! Samples of a label are taken to lie around its mean, all with one covariance Σ. Then the logit of a label is linear
//! (Hastie, Tibshirani and Friedman, The Elements of Statistical Learning, section 4.3): Σ⁻¹d · x less half of dᵀΣ⁻¹d,
//! where d is the label's mean less that of all samples. A part of the mean variance, in inverse proportion to C, is
//! added to the diagonal of Σ. Time grows with samples × features² and labels × features².

use anyhow::{Result, ensure};
use rayon::prelude::*;

use super::Link;
use super::design::Design;
use super::fit::Problem;
use super::matrix::{Matrix, add_product};
use super::reduced::decompose;

/// Sets of at most this many labels, or labels × samples, are learned by logistic regression.
const FEW_LABELS: usize = 256;
const FEW_LOGITS: usize = 1 << 23;
/// Logits of held-out samples that are looked at; 5,000 of 3,000 labels tell accuracy to a half percent.
const MOST_LOGITS: usize = 1 << 24;
/// The logit of a label that no sample has, or less it that of one that all have.
const NEVER: f64 = 1000.0;
/// Samples, and rows of a product, per task.
const SAMPLES: usize = 4096;
const ROWS: usize = 64;

/// True where logistic regression would take too long.
pub(super) fn is_used(labels: usize, samples: usize) -> bool {
    labels > FEW_LABELS && labels.saturating_mul(samples) > FEW_LOGITS
}

/// How many samples are held out to compare classifiers, at most.
pub(super) fn most_tested(labels: usize) -> usize {
    (MOST_LOGITS / labels).max(500)
}

/// The mean of each label and the covariance within labels, or of all samples where labels are independent.
struct Moments {
    /// Weight of the samples of each label, as a share of all. Shape: [labels].
    shares: Vec<f64>,
    /// Mean of all samples. Shape: [features].
    mean: Vec<f64>,
    /// Mean of each label less that of all samples. Shape: [labels, features].
    centred: Matrix,
    /// Shape: [features, features].
    covariance: Vec<f64>,
    /// Mean variance of a feature.
    variance: f64,
}

/// The parameters for C = `c`. Shape: [features + 1, labels].
///
/// # Errors
/// When the run is stopped, or the numbers overflow.
pub(super) fn fit(problem: &Problem, c: f64) -> Result<Vec<f64>> {
    ensure!(!problem.is_stopped(), "stopped");
    let Moments { shares, mean, centred, mut covariance, variance } = moments(problem)?;
    let (features, labels) = (mean.len(), problem.labels);
    let ridge = variance / c.min(1e9) + f64::MIN_POSITIVE;
    covariance.iter_mut().step_by(features + 1).for_each(|value| *value += ridge);
    let inverse = inverted(covariance, features)?;
    ensure!(!problem.is_stopped(), "stopped");
    // Σ⁻¹d of each label. Shape: [labels, features].
    let mut weights = vec![0.0f32; labels * features];
    weights.par_chunks_mut(ROWS * features).enumerate().for_each(|(piece, to)| {
        let rows = piece * ROWS..piece * ROWS + to.len() / features;
        add_product(centred.view().rows(rows), inverse.view(), to);
    });
    let mut parameters = vec![0.0; (features + 1) * labels];
    for (label, row) in weights.chunks_exact(features).enumerate() {
        let along = |other: &mut dyn Iterator<Item = f64>| -> f64 {
            row.iter().zip(other).map(|(&weight, other)| f64::from(weight) * other).sum()
        };
        let spread = along(&mut centred.row(label).iter().map(|&value| f64::from(value)));
        let at_mean = along(&mut mean.iter().copied());
        let (factor, intercept) = line(problem, shares[label], spread);
        row.iter().enumerate().for_each(|(feature, &weight)| {
            parameters[feature * labels + label] = factor * f64::from(weight);
        });
        parameters[features * labels + label] = intercept - factor * at_mean;
    }
    ensure!(parameters.iter().all(|value| value.is_finite()), "the numbers overflow");
    Ok(parameters)
}

/// The factor of Σ⁻¹d, and the logit at the mean of all samples, of a label with this share of the samples and this
/// dᵀΣ⁻¹d.
fn line(problem: &Problem, share: f64, spread: f64) -> (f64, f64) {
    match problem.link {
        _ if share <= 0.0 => (0.0, -NEVER),
        // The weights of samples make labels even where they should be.
        Link::Softmax => (1.0, share.ln() - 0.5 * spread),
        Link::Sigmoid if share >= 1.0 - 1e-12 => (0.0, NEVER),
        // Σ is of all samples here. Within the label and its absence it is smaller, by the outer product of the
        // distance of their means, which the formula of Sherman and Morrison takes out of the inverse.
        Link::Sigmoid => {
            let rest = 1.0 - share;
            let factor = 1.0 / rest / (1.0 - share / rest * spread).max(1e-6);
            let prior = if problem.is_balanced() { 0.0 } else { (share / rest).ln() };
            (factor, prior - 0.5 * (1.0 - share / rest) * factor * spread)
        }
    }
}

fn moments(problem: &Problem) -> Result<Moments> {
    let (design, labels) = (problem.design, problem.labels);
    let features = design.features();
    let weights = problem.weights();
    let mut mean = vec![0.0; features];
    let mut shares = vec![0.0; labels];
    let mut sums = vec![0.0; labels * features];
    for (at, sample) in problem.samples.iter().enumerate() {
        for_each_value(design, at, |feature, value| mean[feature] += weights[at] * value);
        for &label in &sample.labels {
            shares[label] += weights[at];
            let sum = &mut sums[label * features..][..features];
            for_each_value(design, at, |feature, value| sum[feature] += weights[at] * value);
        }
    }
    for (sum, &share) in sums.chunks_exact_mut(features).zip(&shares).filter(|(_, share)| **share > 0.0) {
        sum.iter_mut().zip(&mean).for_each(|(sum, mean)| *sum = *sum / share - mean);
    }
    let centred = Matrix::new(features, sums.iter().map(|&value| value as f32).collect());
    drop(sums);
    let mut covariance = vec![0.0; features * features];
    let rows = 0..problem.samples.len();
    scatter(rows, features, &mut covariance, 1.0, |at, row| {
        row.iter_mut().zip(&mean).for_each(|(value, mean)| *value = -*mean as f32);
        for_each_value(design, at, |feature, value| row[feature] += value as f32);
        weights[at]
    });
    let variance = covariance.iter().step_by(features + 1).sum::<f64>() / features.max(1) as f64;
    ensure!(variance.is_finite(), "the numbers overflow");
    if problem.link == Link::Softmax {
        scatter(0..labels, features, &mut covariance, -1.0, |label, row| {
            row.copy_from_slice(centred.row(label));
            shares[label]
        });
    }
    Ok(Moments { shares, mean, centred, covariance, variance: variance.max(1e-12) })
}

/// Calls `each` with every feature of a sample that is not zero.
fn for_each_value(design: &Design, at: usize, mut each: impl FnMut(usize, f64)) {
    let dims = design.dense.columns();
    design.dense.row(at).iter().enumerate().for_each(|(feature, &value)| each(feature, f64::from(value)));
    design.rows.row(at).iter().for_each(|&(word, value)| each(dims + word as usize, f64::from(value)));
}

/// Adds `sign` times the sum of the outer products of rows with themselves. `fill` writes a row and gives its weight.
fn scatter(
    rows: std::ops::Range<usize>,
    features: usize,
    sum: &mut [f64],
    sign: f64,
    fill: impl Fn(usize, &mut [f32]) -> f64 + Sync,
) {
    for first in rows.clone().step_by(SAMPLES) {
        let count = SAMPLES.min(rows.end - first);
        let mut block = Matrix::zeros(count, features);
        block.values_mut().par_chunks_mut(features).enumerate().for_each(|(at, row)| {
            let root = fill(first + at, row).sqrt() as f32;
            row.iter_mut().for_each(|value| *value *= root);
        });
        sum.par_chunks_mut(ROWS * features).enumerate().for_each(|(piece, to)| {
            let left = block.view().transposed().rows(piece * ROWS..piece * ROWS + to.len() / features);
            let mut part = vec![0.0f32; to.len()];
            add_product(left, block.view(), &mut part);
            to.iter_mut().zip(&part).for_each(|(sum, &value)| *sum += sign * f64::from(value));
        });
    }
}

/// The inverse of a positive definite matrix.
fn inverted(mut matrix: Vec<f64>, size: usize) -> Result<Matrix> {
    ensure!(decompose(&mut matrix, size), "the numbers overflow");
    // Row i has the i-th column of the inverse: L Lᵀ x = eᵢ.
    let mut inverse = vec![0.0f32; size * size];
    inverse.par_chunks_mut(size.max(1)).enumerate().for_each(|(unit, to)| {
        let mut x = vec![0.0; size];
        for at in unit..size {
            let row = &matrix[at * size..][..=at];
            let sum: f64 = row[unit..at].iter().zip(&x[unit..]).map(|(lower, x)| lower * x).sum();
            x[at] = (f64::from(u8::from(at == unit)) - sum) / row[at];
        }
        for at in (0..size).rev() {
            x[at] /= matrix[at * size + at];
            let (above, value) = (&matrix[at * size..][..at], x[at]);
            x[..at].iter_mut().zip(above).for_each(|(x, lower)| *x -= lower * value);
        }
        to.iter_mut().zip(&x).for_each(|(to, &value)| *to = value as f32);
    });
    Ok(Matrix::new(size, inverse))
}

#[cfg(test)]
mod tests {
    use super::super::{LabelWeights, Settings, TrainingSample, train};
    use super::*;
    use crate::classifier::linear::Counts;

    /// Bits that look random (splitmix64).
    fn bits(at: usize) -> u64 {
        let mixed = (at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A sum of four numbers from -0.5 to 0.5.
    fn noise(at: usize) -> f32 {
        (0..4).map(|part| (bits(at) >> (16 * part) & 0xffff) as f32 / 65536.0 - 0.5).sum()
    }

    /// Corners of a cube of 64 dimensions, three samples around each.
    fn samples(labels: usize, link: Link) -> Vec<TrainingSample> {
        let corner = |label: usize, dim: usize| if bits(label) >> dim & 1 == 1 { 1.0 } else { -1.0 };
        let sample = |at: usize| TrainingSample {
            vector: (0..64).map(|dim| corner(at % labels, dim) + noise(at * 64 + dim)).collect(),
            counts: Counts::default(),
            labels: if link == Link::Sigmoid && !at.is_multiple_of(labels) {
                vec![0, at % labels]
            } else {
                vec![at % labels]
            },
            weight: 1.0,
        };
        (0..3 * labels).map(sample).collect()
    }

    fn settings(link: Link) -> Settings {
        Settings { link, seed: 1, folds: 5, c: None, ngrams: false, label_weights: LabelWeights::Balanced, prior: None }
    }

    const LABELS: usize = 2000;

    #[test]
    fn thousands_of_labels_are_told_apart_in_seconds_and_threads_change_no_bit() {
        let samples = samples(LABELS, Link::Softmax);
        assert!(is_used(LABELS, samples.len()));
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| train(&samples, LABELS, settings(Link::Softmax), &|_| false)).unwrap()
        };
        let trained = with(2);
        assert_eq!(trained.model, with(1).model);
        let best = |scores: &[f32]| (0..LABELS).max_by(|&a, &b| scores[a].total_cmp(&scores[b])).unwrap();
        let held_out = trained.held_out.unwrap();
        let tested = held_out.probabilities.iter().zip(&samples).filter(|(made, _)| !made.is_empty());
        let right: Vec<bool> = tested.map(|(made, sample)| [best(made)] == sample.labels[..]).collect();
        assert!(right.len() > LABELS / 4, "{}", right.len());
        assert!(right.iter().filter(|&&is| is).count() * 100 > right.len() * 95);
    }

    #[test]
    fn independent_labels_have_their_own_probabilities() {
        let samples = samples(LABELS, Link::Sigmoid);
        let model = train(&samples, LABELS, settings(Link::Sigmoid), &|_| false).unwrap().model;
        let scores = model.scores(&samples[7].vector, &Counts::default()).probabilities;
        assert!(scores[7] > 0.9 && scores[0] > 0.5, "{} {}", scores[7], scores[0]);
        assert!(scores.iter().filter(|score| **score > 0.5).count() < 20);
    }

    /// With one covariance and enough samples, logistic regression estimates the same line.
    #[test]
    fn logits_are_those_of_the_formula() {
        let sample = |at: usize| TrainingSample {
            vector: vec![(at % 2) as f32 + noise(2 * at), noise(2 * at + 1)],
            counts: Counts::default(),
            labels: vec![at % 2],
            weight: 1.0,
        };
        let samples: Vec<TrainingSample> = (0..4000).map(sample).collect();
        let samples: Vec<&TrainingSample> = samples.iter().collect();
        let design = Design::new(&samples, &[]);
        for link in [Link::Softmax, Link::Sigmoid] {
            let label_weights = [[1.0, 1.0]; 2];
            let stop = |_| false;
            let problem = Problem {
                samples: &samples,
                design: &design,
                labels: 2,
                link,
                label_weights: &label_weights,
                prior: None,
                is_few: false,
                closed_form: true,
                fits: &Default::default(),
                stop: &stop,
            };
            let closed = problem.fit(1e6, None, super::super::fit::FINE).unwrap();
            let fitted = Problem { closed_form: false, ..problem }.fit(1e6, None, super::super::fit::FINE).unwrap();
            // [dim 0, dim 1, intercept] of the second label, less those of the first for a softmax.
            let line = |found: &[f64]| -> Vec<f64> {
                let other = if link == Link::Softmax { 1.0 } else { 0.0 };
                found.chunks_exact(2).map(|pair| pair[1] - other * pair[0]).collect()
            };
            let (closed, fitted) = (line(&closed), line(&fitted));
            // The variance is a third, so one step of the mean is three.
            assert!((closed[0] - 3.0).abs() < 0.4 && closed[1].abs() < 0.2, "{link:?} {closed:?}");
            for (closed, fitted) in closed.iter().zip(&fitted) {
                assert!((closed - fitted).abs() < 0.6, "{link:?} {closed} {fitted}");
            }
        }
    }
}
