//! Accuracy against coverage: with a higher threshold fewer documents get a label, and more of those labels are right.

use super::{SingleLabelRow, share};

/// Coverage and accuracy when scores below a threshold give no label.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Abstention {
    /// The threshold.
    pub threshold: f32,
    /// Rows whose best score reaches it.
    pub answered: u64,
    /// Answered rows that are right.
    pub right: u64,
    /// The share of all rows that are answered.
    pub coverage: f64,
    /// The share of the answered rows that is right; `None` where none is answered.
    pub accuracy: Option<f64>,
}

/// Coverage and accuracy at each of `thresholds`, the same threshold for all labels.
pub fn abstention(rows: &[SingleLabelRow], thresholds: &[f32]) -> Vec<Abstention> {
    let best: Vec<(f32, bool)> = rows.iter().filter_map(|row| Some((row.best?.1, row.best_is_right()))).collect();
    let left = |&threshold: &f32| {
        let kept = || best.iter().filter(|(score, _)| *score >= threshold);
        let (answered, right) = (kept().count() as u64, kept().filter(|(_, right)| *right).count() as u64);
        Abstention {
            threshold,
            answered,
            right,
            coverage: share(answered, rows.len() as u64),
            accuracy: (answered > 0).then(|| share(right, answered)),
        }
    };
    thresholds.iter().map(left).collect()
}

/// The lowest threshold at which a label reaches a precision.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LabelThreshold {
    /// `None` where no threshold is high enough, or the label is never the best.
    pub threshold: Option<f32>,
    /// Rows that keep the label; without a threshold, rows whose best label it is.
    pub kept: u64,
    /// Kept rows that are right.
    pub right: u64,
}

impl LabelThreshold {
    /// The share of kept rows that are right.
    pub fn precision(&self) -> f64 {
        share(self.right, self.kept)
    }
}

/// For each label the lowest threshold at which its precision is at least `precision`.
pub fn thresholds(rows: &[SingleLabelRow], labels: usize, precision: f64) -> Vec<LabelThreshold> {
    let mut by_label: Vec<Vec<(f32, bool)>> = vec![Vec::new(); labels];
    for row in rows {
        if let Some((label, score)) = row.best.filter(|(label, _)| *label < labels) {
            by_label[label].push((score, row.best_is_right()));
        }
    }
    by_label.into_iter().map(|scores| lowest(scores, precision)).collect()
}

/// The lowest threshold at which the precision of (score, right) pairs is at least `precision`.
pub(super) fn lowest(mut scores: Vec<(f32, bool)>, precision: f64) -> LabelThreshold {
    scores.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut kept, mut right) = (0, 0);
    let mut found = None;
    for (at, &(score, is_right)) in scores.iter().enumerate() {
        kept += 1;
        right += u64::from(is_right);
        // A threshold cannot separate equal scores.
        let is_last = scores.get(at + 1).is_none_or(|(next, _)| *next < score);
        if is_last && share(right, kept) >= precision {
            found = Some(LabelThreshold { threshold: Some(score), kept, right });
        }
    }
    found.unwrap_or(LabelThreshold { threshold: None, kept, right })
}
