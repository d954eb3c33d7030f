//! The link function: softmax for mutually exclusive labels, sigmoid for independent ones.

use serde::{Deserialize, Serialize};

use crate::classifier::ranking::{sigmoid, softmax};

/// The link function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Link {
    /// Multinomial: the probabilities sum to 1.
    Softmax,
    /// One-vs-rest: each label is independent.
    Sigmoid,
}

impl Link {
    /// The probabilities of `logits`.
    pub fn probabilities(self, logits: &[f32]) -> Vec<f32> {
        match self {
            Self::Softmax => softmax(logits),
            Self::Sigmoid => logits.iter().map(|&logit| sigmoid(logit)).collect(),
        }
    }

    /// The cross-entropy of a sample with the labels `truth`. Turns the logits into residuals (probability - truth).
    /// `balance` has weights of independent labels where they are false and where they are true; empty for 1.
    pub(super) fn residual(self, logits: &mut [f32], truth: &[usize], balance: &[[f32; 2]]) -> f64 {
        match self {
            Self::Softmax => {
                let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let right: f32 = truth.iter().map(|&label| logits[label] - highest).sum();
                logits.iter_mut().for_each(|logit| *logit = (*logit - highest).exp());
                let total: f32 = logits.iter().sum();
                logits.iter_mut().for_each(|power| *power /= total);
                truth.iter().for_each(|&label| logits[label] -= 1.0);
                f64::from(total).ln() - f64::from(right)
            }
            Self::Sigmoid => {
                // ln(1 + e^z) without overflow.
                let softplus = |z: f32| f64::from(z.max(0.0)) + f64::from((-z.abs()).exp()).ln_1p();
                // Truths are few or ascending; either way none is searched for among thousands.
                let ascending = truth.is_sorted();
                let question = |(label, logit): (usize, &mut f32)| {
                    let is_true = if ascending { truth.binary_search(&label).is_ok() } else { truth.contains(&label) };
                    let z = *logit;
                    let weight = balance.get(label).map_or(1.0, |weights| weights[usize::from(is_true)]);
                    let truth = if is_true { 1.0 } else { 0.0 };
                    *logit = weight * (sigmoid(z) - truth);
                    f64::from(weight) * (softplus(z) - f64::from(truth * z))
                };
                logits.iter_mut().enumerate().map(question).sum()
            }
        }
    }

    /// The cross-entropy of `logits` times `factor`.
    pub(super) fn loss(self, logits: &[f32], factor: f64, truth: &[usize]) -> f64 {
        let mut scaled: Vec<f32> = logits.iter().map(|&logit| (f64::from(logit) * factor) as f32).collect();
        self.residual(&mut scaled, truth, &[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_cross_entropies() {
        let check = |link: Link, expected: f64| {
            let mut logits = [1.0, -2.0, 0.5];
            let probabilities = link.probabilities(&logits);
            assert!((link.residual(&mut logits, &[2], &[]) - expected).abs() < 1e-6, "{link:?}");
            for (at, (residual, probability)) in logits.iter().zip(probabilities).enumerate() {
                assert!((residual - (probability - f32::from(u8::from(at == 2)))).abs() < 1e-6);
            }
        };
        let e = f64::exp;
        check(Link::Softmax, (e(1.0) + e(-2.0) + e(0.5)).ln() - 0.5);
        check(Link::Sigmoid, e(1.0).ln_1p() + e(-2.0).ln_1p() + e(-0.5).ln_1p());
        assert!(Link::Sigmoid.loss(&[800.0], 1.0, &[]) > 700.0);
        // The first label counts twice where it is not true, the second three times where it is.
        let mut logits = [1.0, -2.0];
        let loss = Link::Sigmoid.residual(&mut logits, &[1], &[[2.0, 9.0], [9.0, 3.0]]);
        assert!((loss - 2.0 * e(1.0).ln_1p() - 3.0 * e(2.0).ln_1p()).abs() < 1e-6);
        assert!((logits[0] - 2.0 * sigmoid(1.0)).abs() < 1e-6 && (logits[1] + 3.0 * sigmoid(2.0)).abs() < 1e-6);
        assert_eq!(Link::Softmax.loss(&[800.0, 0.0], 1.0, &[0]), 0.0);
    }
}
