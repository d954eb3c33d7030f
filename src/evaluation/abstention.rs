//! What a threshold buys: fewer answers, of which more are right.

use super::{Row, share};

/// What is left when scores below a threshold give no label.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Abstention {
    /// The threshold.
    pub threshold: f32,
    /// Rows whose best score reaches it.
    pub answered: u64,
    /// Those of them that are right.
    pub right: u64,
    /// The share of all rows that are answered.
    pub coverage: f64,
    /// The share of the answered rows that is right; `None` where none is answered.
    pub accuracy: Option<f64>,
}

/// What each of `thresholds` leaves, one threshold for all labels.
pub fn abstention(rows: &[Row], thresholds: &[f32]) -> Vec<Abstention> {
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

/// The threshold from which on a label is right as often as asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LabelThreshold {
    /// The lowest score that will do; `None` where none will, or the label is never the best.
    pub threshold: Option<f32>,
    /// Rows that keep the label; without a threshold, those whose best label it is.
    pub kept: u64,
    /// Those of them that are right.
    pub right: u64,
}

impl LabelThreshold {
    /// The share of the kept rows that is right.
    pub fn precision(&self) -> f64 {
        share(self.right, self.kept)
    }
}

/// For each of so many labels the lowest threshold at which its precision is at least `precision`.
pub fn thresholds(rows: &[Row], labels: usize, precision: f64) -> Vec<LabelThreshold> {
    let mut by_label: Vec<Vec<(f32, bool)>> = vec![Vec::new(); labels];
    for row in rows {
        if let Some((label, score)) = row.best.filter(|(label, _)| *label < labels) {
            by_label[label].push((score, row.best_is_right()));
        }
    }
    by_label.into_iter().map(|scores| lowest(scores, precision)).collect()
}

/// The lowest threshold at which scores, of which some are right, are right often enough.
pub(super) fn lowest(mut scores: Vec<(f32, bool)>, precision: f64) -> LabelThreshold {
    scores.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut kept, mut right) = (0, 0);
    let mut found = None;
    for (at, &(score, is_right)) in scores.iter().enumerate() {
        kept += 1;
        right += u64::from(is_right);
        // Equal scores stand or fall together.
        let is_last = scores.get(at + 1).is_none_or(|(next, _)| *next < score);
        if is_last && share(right, kept) >= precision {
            found = Some(LabelThreshold { threshold: Some(score), kept, right });
        }
    }
    found.unwrap_or(LabelThreshold { threshold: None, kept, right })
}
