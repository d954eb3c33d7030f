//! Temperature scaling (Guo et al., "On Calibration of Modern Neural Networks", 2017).

use anyhow::{Result, ensure};
use rayon::prelude::*;

use super::Link;
use super::design::TrainingSample;

/// The temperature is between a twentieth and twenty.
const MOST: f64 = 20.0;
/// Precision of the logarithm of the temperature.
const TOLERANCE: f64 = 1e-6;

/// The temperature that minimises the cross-entropy of held-out samples, and that loss in nats. Samples that were not
/// held out have no logits.
///
/// # Errors
/// When the logits are not finite.
pub(super) fn fit(logits: &[Vec<f32>], samples: &[TrainingSample], link: Link) -> Result<(f64, f64)> {
    let tested = logits.iter().zip(samples).filter(|(logits, _)| !logits.is_empty());
    let total: f64 = tested.map(|(_, sample)| f64::from(sample.weight)).sum();
    let mean_loss = |factor: f64| {
        let loss = |(logits, sample): (&Vec<f32>, &TrainingSample)| match logits.is_empty() {
            true => 0.0,
            false => f64::from(sample.weight) * link.loss(logits, factor.exp(), &sample.labels),
        };
        // Summed in one order, whatever the number of threads.
        let losses: Vec<f64> = logits.par_iter().zip(samples).map(loss).collect();
        losses.iter().sum::<f64>() / total
    };
    let (factor, loss) = brent(mean_loss, -MOST.ln(), MOST.ln());
    ensure!(loss.is_finite(), "cannot calibrate the classifier: its scores are not numbers");
    Ok(((-factor).exp(), loss))
}

/// Where a function of one variable is least between `first` and `last`, and its value there: Brent's method, which
/// takes the minimum of a parabola through the best three points, or a golden section where that gains too little
/// (Algorithms for Minimization without Derivatives, 1973, chapter 5).
fn brent(function: impl Fn(f64) -> f64, mut first: f64, mut last: f64) -> (f64, f64) {
    let golden = (3.0 - 5.0f64.sqrt()) / 2.0;
    let start = first + golden * (last - first);
    let mut best = (start, function(start));
    let (mut second, mut third) = (best, best);
    let (mut step, mut before) = (0.0f64, 0.0f64);
    for _ in 0..100 {
        let x = best.0;
        let (tolerance, middle) = (TOLERANCE * x.abs() + TOLERANCE, (first + last) / 2.0);
        if (x - middle).abs() <= 2.0 * tolerance - (last - first) / 2.0 {
            break;
        }
        let (r, s) = ((x - second.0) * (best.1 - third.1), (x - third.0) * (best.1 - second.1));
        let (p, q) = ((x - third.0) * s - (x - second.0) * r, 2.0 * (s - r));
        let (p, q) = if q > 0.0 { (-p, q) } else { (p, -q) };
        if before.abs() <= tolerance
            || p.abs() >= (q * before / 2.0).abs()
            || p <= q * (first - x)
            || p >= q * (last - x)
        {
            before = if x < middle { last - x } else { first - x };
            step = golden * before;
        } else {
            before = step;
            step = p / q;
            // Not too near an end.
            if x + step - first < 2.0 * tolerance || last - x - step < 2.0 * tolerance {
                step = tolerance.copysign(middle - x);
            }
        }
        // Not too near the best.
        let next = x + if step.abs() >= tolerance { step } else { tolerance.copysign(step) };
        let next = (next, function(next));
        if next.1 <= best.1 {
            *(if next.0 < x { &mut last } else { &mut first }) = x;
            (third, second, best) = (second, best, next);
        } else {
            *(if next.0 < x { &mut first } else { &mut last }) = next.0;
            if next.1 <= second.1 || second.0 == x {
                (third, second) = (second, next);
            } else if next.1 <= third.1 || third.0 == x || third.0 == second.0 {
                third = next;
            }
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classifier::linear::Counts;

    #[test]
    fn brent_finds_minima() {
        let check = |function: fn(f64) -> f64, expected: f64| {
            let (found, value) = brent(function, -3.0, 3.0);
            assert!((found - expected).abs() < 1e-4, "{found} is not {expected}");
            assert_eq!(value, function(found));
        };
        check(|x| (x - 1.0).powi(2), 1.0);
        check(|x| (x + 0.5).abs(), -0.5);
        check(|x| (-x).exp() + 2.0 * x, -(2.0f64.ln()));
        check(|x| x, -3.0);
        check(|x| -x, 3.0);
    }

    #[test]
    fn scores_that_are_not_numbers_are_refused() {
        let sample = TrainingSample { vector: Vec::new(), counts: Counts::default(), labels: vec![0], weight: 1.0 };
        let fit = |logit: f32| fit(&[vec![logit, 0.0]], std::slice::from_ref(&sample), Link::Softmax);
        assert!(fit(f32::NAN).is_err() && fit(1.0).is_ok());
    }
}
