//! Calibration: whether scores are probabilities.

use super::{SingleLabelRow, share};

/// Number of bins, as in Guo et al., "On Calibration of Modern Neural Networks", 2017.
pub const BINS: usize = 15;

/// The scores in one range and how often they were right. In multi-label evaluation each label of a row counts as a
/// row.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bin {
    /// Lower end, inclusive.
    pub from: f64,
    /// Upper end, exclusive except for the last bin.
    pub to: f64,
    /// Number of rows with their best score in it.
    pub rows: u64,
    /// Their mean score; 0 without rows.
    pub confidence: f64,
    /// The share of rows whose best label is right; 0 without rows.
    pub accuracy: f64,
}

/// Bins of equal width over the best score of each row, and the expected calibration error (ECE).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reliability {
    /// Ascending, from 0 to 1.
    pub bins: Vec<Bin>,
    /// ECE: mean of |confidence - accuracy| over the rows, regardless of thresholds.
    pub error: f64,
}

impl Reliability {
    /// Bins the best score of each row. Rows without a verdict have none.
    pub(super) fn new(rows: &[SingleLabelRow]) -> Self {
        Self::of(rows.iter().filter_map(|row| Some((row.best?.1, row.best_is_right()))))
    }

    /// Bins (score, right) pairs.
    pub(super) fn of(scores: impl Iterator<Item = (f32, bool)>) -> Self {
        let mut sums = [(0u64, 0.0f64, 0u64); BINS];
        for (score, is_right) in scores {
            let score = f64::from(score).clamp(0.0, 1.0);
            let (count, confidence, right) = &mut sums[((score * BINS as f64) as usize).min(BINS - 1)];
            *count += 1;
            *confidence += score;
            *right += u64::from(is_right);
        }
        let total: u64 = sums.iter().map(|(count, ..)| count).sum();
        let bin = |(at, &(rows, sum, right)): (usize, &(u64, f64, u64))| Bin {
            from: at as f64 / BINS as f64,
            to: (at + 1) as f64 / BINS as f64,
            rows,
            confidence: if rows == 0 { 0.0 } else { sum / rows as f64 },
            accuracy: share(right, rows),
        };
        let bins: Vec<Bin> = sums.iter().enumerate().map(bin).collect();
        let error = bins.iter().map(|bin| share(bin.rows, total) * (bin.accuracy - bin.confidence).abs()).sum();
        Self { bins, error }
    }
}
