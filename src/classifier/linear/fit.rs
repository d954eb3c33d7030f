//! Finds the weights: L-BFGS, as scikit-learn does by default.

use std::cell::RefCell;

use anyhow::{Result, anyhow, ensure};
use argmin::core::Executor;
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::quasinewton::LBFGS;

use super::Link;
use super::design::{Design, Sample};
use super::objective::{Objective, Parameters, Remembered};

/// Steps that the method remembers.
const HISTORY: usize = 6;

/// How far a fit goes.
#[derive(Clone, Copy)]
pub(super) struct Precision {
    /// It ends when the slope is flatter.
    pub(super) slope: f64,
    /// It ends when a step gains less.
    pub(super) gain: f64,
    pub(super) steps: u64,
}

impl Precision {
    /// For what is kept.
    pub(super) const FINE: Self = Self { slope: 1e-5, gain: 1e-9, steps: 500 };
    /// For what is only compared.
    pub(super) const COARSE: Self = Self { slope: 1e-4, gain: 1e-6, steps: 60 };
}

/// What a fit learns from.
pub(super) struct Problem<'a> {
    pub(super) samples: &'a [&'a Sample],
    pub(super) design: &'a Design,
    pub(super) labels: usize,
    pub(super) link: Link,
    /// How much each label counts beside the weights of the samples: of those that lack it, and of those that have it.
    pub(super) label_weights: &'a [[f64; 2]],
    pub(super) stop: &'a (dyn Fn() -> bool + Sync),
}

impl Problem<'_> {
    /// The parameters at the minimum for `c`, which is what scikit-learn calls C. `start` is where to look first.
    ///
    /// # Errors
    /// When the run is stopped, or the numbers overflow.
    pub(super) fn fit(&self, c: f64, start: Option<&Parameters>, precision: Precision) -> Result<Parameters> {
        let targets: Vec<&[usize]> = self.samples.iter().map(|sample| &sample.labels[..]).collect();
        // In f64: a label whose samples weigh next to nothing counts as much as others.
        let weight = |sample: &&Sample| match (self.link, &sample.labels[..]) {
            (Link::Softmax, &[label]) => f64::from(sample.weight) * self.label_weights[label][1],
            _ => f64::from(sample.weight),
        };
        let weights: Vec<f64> = self.samples.iter().map(weight).collect();
        let total: f64 = weights.iter().sum();
        let weights: Vec<f32> = weights.into_iter().map(|weight| (weight / total) as f32).collect();
        let balance = |&[lack, have]: &[f64; 2]| [lack as f32, have as f32];
        let balance: Vec<[f32; 2]> = match self.link {
            Link::Softmax => Vec::new(),
            Link::Sigmoid => self.label_weights.iter().map(balance).collect(),
        };
        // Two labels are one question, so one vector of weights is penalised and not two halves of it.
        let vectors = if self.labels == 2 && self.link == Link::Softmax { 2.0 } else { 1.0 };
        let objective = Objective {
            design: self.design,
            targets: &targets,
            weights: &weights,
            balance: &balance,
            labels: self.labels,
            link: self.link,
            penalty: vectors / (c * total),
        };
        let objective = Remembered { objective, stop: self.stop, last: RefCell::default() };
        let size = (self.design.features() + 1) * self.labels;
        let start = start.filter(|start| start.len() == size).cloned().unwrap_or_else(|| Parameters::zeros(size));
        let failed = |error: argmin::core::Error| anyhow!("cannot fit the classifier: {error}");
        let solver = LBFGS::new(MoreThuenteLineSearch::new(), HISTORY);
        let solver = solver.with_tolerance_grad(precision.slope).map_err(failed)?;
        let solver = solver.with_tolerance_cost(precision.gain).map_err(failed)?;
        let run = Executor::new(objective, solver).configure(|state| state.param(start).max_iters(precision.steps));
        let mut ended = run.ctrlc(false).run().map_err(failed)?;
        ensure!(!(self.stop)(), "stopped");
        let best = ended.state.take_best_param();
        let best = best.ok_or_else(|| anyhow!("cannot fit the classifier: no step was made"))?;
        ensure!(best.iter().all(|value| value.is_finite()), "cannot fit the classifier: its weights are not numbers");
        Ok(best)
    }
}
