//! Calibration: the one factor that makes probabilities as sure as they are right (Guo et al. 2017).

use anyhow::{Result, anyhow};
use argmin::core::{CostFunction, Error, Executor, State};
use argmin::solver::brent::BrentOpt;

use super::Link;
use super::design::Sample;

/// Factors between a twentieth and twenty are tried.
const MOST: f64 = 20.0;

struct Held<'a> {
    logits: &'a [Vec<f32>],
    samples: &'a [Sample],
    link: Link,
}

impl CostFunction for Held<'_> {
    type Param = f64;
    type Output = f64;

    /// The mean loss at the logarithm of a factor.
    fn cost(&self, factor: &f64) -> Result<f64, Error> {
        let factor = factor.exp();
        let (mut loss, mut total) = (0.0, 0.0);
        // Samples that were not held out have none.
        let held = self.logits.iter().zip(self.samples).filter(|(logits, _)| !logits.is_empty());
        for (logits, sample) in held {
            let weight = f64::from(sample.weight);
            loss += weight * self.link.loss(logits, factor, &sample.labels);
            total += weight;
        }
        Ok(loss / total)
    }
}

/// The temperature at which the logits of held-out samples have the least loss, and that loss in nats.
///
/// # Errors
/// When the logits are not numbers.
pub(super) fn fit(logits: &[Vec<f32>], samples: &[Sample], link: Link) -> Result<(f64, f64)> {
    let solver = BrentOpt::new(-MOST.ln(), MOST.ln()).set_tolerance(1e-6, 1e-6);
    let run = Executor::new(Held { logits, samples, link }, solver).configure(|state| state.max_iters(100));
    let failed = |error: Error| anyhow!("cannot calibrate the classifier: {error}");
    let ended = run.ctrlc(false).run().map_err(failed)?;
    let loss = ended.state.get_best_cost();
    let factor = ended.state.get_best_param().filter(|_| loss.is_finite());
    let factor = factor.ok_or_else(|| anyhow!("cannot calibrate the classifier: its scores are not numbers"))?;
    Ok(((-factor).exp(), loss))
}
