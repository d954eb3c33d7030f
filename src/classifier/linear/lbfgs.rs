//! L-BFGS: minimises a smooth function from its values and gradients.
//!
//! Nocedal and Wright, Numerical Optimization, second edition: algorithm 7.4 for the direction, 3.5 and 3.6 for the
//! line search under the strong Wolfe conditions.

use std::collections::VecDeque;

use anyhow::{Result, bail, ensure};

use super::matrix::{add_scaled, dot};

/// Steps that the inverse Hessian is estimated from.
const HISTORY: usize = 6;
/// Wolfe conditions: how much of the decrease that the slope promises is enough, and how much of the slope may be left.
const DECREASE: f64 = 1e-4;
const CURVATURE: f64 = 0.9;
/// Points that a line search looks at.
const MOST_TRIALS: usize = 20;

/// When a minimum is near enough.
#[derive(Clone, Copy)]
pub(super) struct Precision {
    /// Length of the gradient.
    pub(super) gradient: f64,
    /// Decrease of the value by the last step.
    pub(super) decrease: f64,
    /// Steps after which the search ends wherever it is.
    pub(super) steps: usize,
}

/// A point, and the value and gradient of the function there.
struct Iterate {
    point: Vec<f64>,
    value: f64,
    gradient: Vec<f64>,
}

/// A step and the difference of gradients that it made.
struct Correction {
    step: Vec<f64>,
    change: Vec<f64>,
    /// Product of the two; above 0.
    curvature: f64,
}

/// The point near `start` at which `function` is least. `function` gives its value and gradient.
///
/// # Errors
/// When `function` fails or is not finite at `start` and all along the first direction.
pub(super) fn minimise(
    function: impl Fn(&[f64]) -> Result<(f64, Vec<f64>)>,
    start: Vec<f64>,
    precision: Precision,
) -> Result<Vec<f64>> {
    let evaluate = |point: Vec<f64>| -> Result<Iterate> {
        let (value, gradient) = function(&point)?;
        Ok(Iterate { point, value, gradient })
    };
    let mut here = evaluate(start)?;
    ensure!(here.is_finite(), "the numbers overflow");
    let mut updates: VecDeque<Correction> = VecDeque::with_capacity(HISTORY);
    for _ in 0..precision.steps {
        if dot(&here.gradient, &here.gradient).sqrt() < precision.gradient {
            break;
        }
        let direction = direction(&updates, &here.gradient);
        let Some(next) = search(&evaluate, &here, &direction)? else {
            break;
        };
        let gained = here.value - next.value;
        let minus = |(next, here): (&f64, &f64)| next - here;
        let step: Vec<f64> = next.point.iter().zip(&here.point).map(minus).collect();
        let change: Vec<f64> = next.gradient.iter().zip(&here.gradient).map(minus).collect();
        here = next;
        if gained < precision.decrease {
            break;
        }
        let curvature = dot(&step, &change);
        if curvature > 0.0 {
            if updates.len() == HISTORY {
                updates.pop_front();
            }
            updates.push_back(Correction { step, change, curvature });
        }
    }
    Ok(here.point)
}

impl Iterate {
    fn is_finite(&self) -> bool {
        self.value.is_finite() && self.gradient.iter().all(|value| value.is_finite())
    }
}

/// Minus the estimated inverse Hessian times the gradient (two-loop recursion).
fn direction(updates: &VecDeque<Correction>, gradient: &[f64]) -> Vec<f64> {
    let mut direction: Vec<f64> = gradient.iter().map(|value| -value).collect();
    let mut factors = Vec::with_capacity(HISTORY);
    for update in updates.iter().rev() {
        let factor = dot(&update.step, &direction) / update.curvature;
        add_scaled(&mut direction, -factor, &update.change);
        factors.push(factor);
    }
    if let Some(last) = updates.back() {
        let scale = last.curvature / dot(&last.change, &last.change);
        direction.iter_mut().for_each(|value| *value *= scale);
    }
    for (update, factor) in updates.iter().zip(factors.into_iter().rev()) {
        let correction = factor - dot(&update.change, &direction) / update.curvature;
        add_scaled(&mut direction, correction, &update.step);
    }
    direction
}

/// A point on the line that is searched: its distance from the start in steps, and the value and slope there.
#[derive(Clone, Copy)]
struct Trial {
    step: f64,
    value: f64,
    slope: f64,
}

/// A point in `direction` that meets the strong Wolfe conditions, or the lowest that was seen. `None` when none is
/// lower than `here`, as happens where rounding hides the slope.
fn search(
    evaluate: &impl Fn(Vec<f64>) -> Result<Iterate>,
    here: &Iterate,
    direction: &[f64],
) -> Result<Option<Iterate>> {
    let start = Trial { step: 0.0, value: here.value, slope: dot(&here.gradient, direction) };
    // Also where it is not a number.
    if start.slope.is_nan() || start.slope >= 0.0 {
        return Ok(None);
    }
    let (mut low, mut high, mut lowest) = (start, None::<Trial>, None);
    let (mut step, mut overflows) = (1.0, true);
    for _ in 0..MOST_TRIALS {
        let mut point = here.point.clone();
        add_scaled(&mut point, step, direction);
        let found = evaluate(point)?;
        let trial = Trial { step, value: found.value, slope: dot(&found.gradient, direction) };
        let is_finite = found.is_finite();
        overflows &= !is_finite;
        if !is_finite || trial.value > start.value + DECREASE * step * start.slope || trial.value >= low.value {
            high = Some(trial);
            step = between(low, trial);
            continue;
        }
        lowest = Some(found);
        if trial.slope.abs() <= -CURVATURE * start.slope {
            break;
        }
        let before = std::mem::replace(&mut low, trial);
        if trial.slope * high.map_or(1.0, |high| high.step - trial.step) >= 0.0 {
            high = Some(before);
        }
        step = high.map_or_else(|| beyond(before, low), |high| between(low, high));
    }
    if overflows {
        bail!("the numbers overflow");
    }
    Ok(lowest)
}

/// Where the cubic through two trials is least; not a number where it has no minimum.
fn cubic(from: Trial, to: Trial) -> f64 {
    let length = to.step - from.step;
    let middle = from.slope + to.slope - 3.0 * (to.value - from.value) / length;
    let root = length.signum() * (middle * middle - from.slope * to.slope).sqrt();
    to.step - length * (to.slope + root - middle) / (to.slope - from.slope + 2.0 * root)
}

/// A step between two trials that is not near either.
fn between(low: Trial, high: Trial) -> f64 {
    let (first, last) = (low.step.min(high.step), low.step.max(high.step));
    let (margin, found) = (0.1 * (last - first), cubic(low, high));
    if found.is_finite() { found.clamp(first + margin, last - margin) } else { 0.5 * (first + last) }
}

/// A step beyond `last`, where the function still falls.
fn beyond(before: Trial, last: Trial) -> f64 {
    let (length, found) = (last.step - before.step, cubic(before, last));
    let farthest = last.step + 4.0 * length;
    if found > last.step { found.clamp(last.step + 1.1 * length, farthest) } else { farthest }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const FINE: Precision = Precision { gradient: 1e-9, decrease: 0.0, steps: 500 };

    #[track_caller]
    fn check(function: impl Fn(&[f64]) -> (f64, Vec<f64>), start: &[f64], expected: &[f64], most: usize) {
        let calls = Cell::new(0);
        let counted = |point: &[f64]| {
            calls.set(calls.get() + 1);
            Ok(function(point))
        };
        let found = minimise(counted, start.to_vec(), FINE).unwrap();
        let near = found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-5);
        assert!(near && calls.get() <= most, "{found:?} is not {expected:?}, after {} calls", calls.get());
    }

    #[test]
    fn finds_minima() {
        check(|x| (x[0] * x[0], vec![2.0 * x[0]]), &[3.0], &[0.0], 4);
        check(|_| (1.0, vec![0.0]), &[3.0], &[3.0], 1);
        // Scales that are far apart, and too long or too short a first step.
        let scaled = |x: &[f64]| {
            let terms = x.iter().enumerate().map(|(at, x)| 10f64.powi(at as i32 * 2 - 4) * (x - 1.0).powi(2));
            let slopes = x.iter().enumerate().map(|(at, x)| 2.0 * 10f64.powi(at as i32 * 2 - 4) * (x - 1.0));
            (terms.sum(), slopes.collect())
        };
        check(scaled, &[0.0; 5], &[1.0; 5], 120);
        let rosenbrock = |x: &[f64]| {
            let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
            (a * a + 100.0 * b * b, vec![-2.0 * a - 400.0 * x[0] * b, 200.0 * b])
        };
        check(rosenbrock, &[-1.2, 1.0], &[1.0, 1.0], 80);
    }

    #[test]
    fn a_value_that_is_not_finite_is_too_far() {
        // Only defined above 0, and the first step leads below.
        let logarithm = |x: &[f64]| (100.0 * (x[0] - x[0].ln()), vec![100.0 - 100.0 / x[0]]);
        check(logarithm, &[2.0], &[1.0], 30);
        let nowhere = |x: &[f64]| Ok((if x[0] == 0.0 { 0.0 } else { f64::NAN }, vec![1.0]));
        assert!(minimise(nowhere, vec![0.0], FINE).unwrap_err().to_string().contains("overflow"));
        assert!(minimise(|_| Ok((0.0, vec![f64::INFINITY])), vec![0.0], FINE).is_err());
    }

    #[test]
    fn a_function_without_a_minimum_ends() {
        let found = minimise(|x| Ok((-x[0], vec![-1.0])), vec![0.0], Precision { steps: 3, ..FINE }).unwrap();
        assert!(found[0] > 1e3, "{found:?}");
        // A slope that promises what no value keeps.
        assert_eq!(minimise(|_| Ok((1.0, vec![1.0])), vec![0.0], FINE).unwrap(), [0.0]);
    }
}
