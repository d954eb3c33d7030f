//! From scores to a ranking of labels. Pure arithmetic.

use std::sync::Arc;

use super::spec::RankingSpec;
use crate::labels::LabelSet;
use crate::record::{DECIMALS, Ranking, Scores};

/// The default threshold of a label in multi-label classification.
pub const LIKELIER_THAN_NOT: f32 = 0.5;

/// How scores become a ranking.
#[derive(Clone, Debug, PartialEq)]
pub struct RankingRules {
    /// The label names, in the order of the scores.
    pub names: Vec<Arc<str>>,
    /// The threshold of each label, compared with the printed score.
    pub thresholds: Vec<Option<f32>>,
    /// How many labels are kept.
    pub top_k: usize,
    /// Rank by cosines or logits instead of probabilities.
    pub raw: bool,
}

impl RankingRules {
    /// The rules of a label set, whose thresholds win over those of the spec as [`LabelSet::threshold`] says.
    pub(super) fn new(set: &LabelSet, spec: &RankingSpec) -> Self {
        Self {
            names: set.labels.iter().map(|label| label.name.clone()).collect(),
            thresholds: (0..set.labels.len()).map(|at| set.threshold(at, spec.threshold)).collect(),
            top_k: spec.top_k,
            raw: spec.raw_scores,
        }
    }

    /// Sorts the labels that have scores, best first; equal scores stay in the order of the label set.
    ///
    /// Returns `None` when a score is not a number, or there is none.
    pub fn rank(&self, scores: &Scores) -> Option<Ranking> {
        let printed = if self.raw { &scores.raw } else { &scores.probabilities };
        if printed.iter().any(|score| !score.is_finite()) {
            return None;
        }
        let mut order: Vec<(usize, f32)> = scores.labels.iter().copied().zip(printed.iter().copied()).collect();
        order.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let &(best, score) = order.first()?;
        let score = rounded(score);
        let reached = self.thresholds[best].is_none_or(|threshold| score >= threshold);
        order.truncate(self.top_k);
        Some(Ranking {
            label: reached.then(|| self.names[best].clone()),
            score,
            top: order.into_iter().map(|(label, score)| (self.names[label].clone(), rounded(score))).collect(),
        })
    }
}

/// A score, rounded as it is printed.
fn rounded(score: f32) -> f32 {
    let unit = 10f32.powi(DECIMALS as i32);
    (score * unit).round() / unit
}

/// The logistic function: the probability of a logit.
pub fn sigmoid(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit).exp())
}

/// The softmax of `logits`, safe from overflow.
pub fn softmax(logits: &[f32]) -> Vec<f32> {
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f32> = logits.iter().map(|logit| (logit - highest).exp()).collect();
    let total: f32 = powers.iter().sum();
    powers.into_iter().map(|power| power / total).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(thresholds: [Option<f32>; 3], top_k: usize, raw: bool) -> RankingRules {
        RankingRules { names: vec!["a".into(), "b".into(), "c".into()], thresholds: thresholds.to_vec(), top_k, raw }
    }

    fn scores() -> Scores {
        Scores { labels: vec![0, 1, 2], probabilities: vec![0.2, 0.4, 0.4], raw: vec![-0.1, 0.3, 0.3] }
    }

    #[test]
    fn best_first_and_ties_in_order() {
        let ranking = rules([None; 3], 2, false).rank(&scores()).unwrap();
        assert_eq!(ranking.label.as_deref(), Some("b"));
        assert_eq!(ranking.top, [("b".into(), 0.4), ("c".into(), 0.4)]);
        assert_eq!(rules([None; 3], 9, true).rank(&scores()).unwrap().top[2], ("a".into(), -0.1));
    }

    #[test]
    fn thresholds_are_met_exactly() {
        let check = |threshold, raw, expected: Option<&str>| {
            let ranking = rules([None, Some(threshold), None], 3, raw).rank(&scores()).unwrap();
            assert_eq!(ranking.label.as_deref(), expected, "{threshold}");
        };
        check(0.4, false, Some("b"));
        check(0.41, false, None);
        check(0.31, true, None);
    }

    #[test]
    fn thresholds_are_compared_with_what_is_printed() {
        let scores = Scores { labels: vec![0, 1, 2], probabilities: vec![0.503_46, 0.4, 0.1], raw: vec![0.0; 3] };
        let ranking = rules([Some(0.5035), None, None], 1, false).rank(&scores).unwrap();
        assert_eq!((ranking.label.as_deref(), ranking.score), (Some("a"), 0.5035));
    }

    #[test]
    fn not_a_number_is_no_ranking() {
        let bad = Scores { labels: vec![0, 1, 2], probabilities: vec![f32::NAN; 3], raw: vec![0.0; 3] };
        assert_eq!(rules([None; 3], 1, false).rank(&bad), None);
    }

    #[test]
    fn labels_without_a_score_are_not_ranked() {
        let two = Scores { labels: vec![2, 0], probabilities: vec![0.9, 0.9], raw: vec![2.0, 2.0] };
        let ranking = rules([None; 3], 3, false).rank(&two).unwrap();
        assert_eq!(ranking.top, [("a".into(), 0.9), ("c".into(), 0.9)]);
        let none = Scores { labels: Vec::new(), probabilities: Vec::new(), raw: Vec::new() };
        assert_eq!(rules([None; 3], 3, false).rank(&none), None);
    }

    #[test]
    fn a_sigmoid_is_taken_once() {
        assert_eq!(sigmoid(0.0), 0.5);
        assert!(sigmoid(-200.0) >= 0.0 && sigmoid(-30.0) < 1e-12 && sigmoid(200.0) == 1.0);
        assert!(sigmoid(f32::NAN).is_nan());
    }

    #[test]
    fn softmax_is_stable() {
        assert_eq!(softmax(&[1000.0, 1000.0]), [0.5, 0.5]);
        assert_eq!(softmax(&[0.0]), [1.0]);
    }
}
