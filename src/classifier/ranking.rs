//! From scores to a ranking of labels. Pure arithmetic.

use std::sync::Arc;

use super::spec::RankingSpec;
use crate::condition::{HeaderCondition, HeaderSign};
use crate::labels::LabelSet;
use crate::record::{DECIMALS, Decider, Header, Ranking, Scores};

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
    /// What headers say about each label.
    pub conditions: Vec<Option<HeaderCondition>>,
    /// True where each label has a probability of its own; otherwise those of the set sum to 1.
    pub is_independent: bool,
}

impl RankingRules {
    /// The rules of a label set, whose thresholds win over those of the spec as [`LabelSet::threshold`] says.
    pub(super) fn new(set: &LabelSet, spec: &RankingSpec, is_independent: bool) -> Self {
        Self {
            names: set.labels.iter().map(|label| label.name.clone()).collect(),
            thresholds: (0..set.labels.len()).map(|at| set.threshold(at, spec.threshold)).collect(),
            top_k: spec.top_k,
            raw: spec.raw_scores,
            conditions: set.labels.iter().map(|label| label.headers.clone()).collect(),
            is_independent,
        }
    }

    /// Sorts the labels that have scores, best first; equal scores stay in the order of the label set. Labels that the
    /// headers make certain come first, those that they make impossible last.
    ///
    /// Returns `None` when a score is not a number, or there is none.
    pub fn rank(&self, scores: &Scores, headers: &[Header]) -> Option<Ranking> {
        let printed = if self.raw { &scores.raw } else { &scores.probabilities };
        if printed.iter().any(|score| !score.is_finite()) {
            return None;
        }
        let mut order: Vec<(usize, f32)> = scores.labels.iter().copied().zip(printed.iter().copied()).collect();
        order.first()?;
        let signs = self.signs(headers);
        let sign = |label: usize| signs.as_ref().and_then(|signs| signs[label]);
        if let Some(signs) = &signs {
            self.overrule(signs, &mut order);
        }
        let place = |label: usize| match sign(label) {
            Some(HeaderSign::Certain) => 0,
            None => 1,
            Some(HeaderSign::Impossible) => 2,
        };
        order.sort_by(|a, b| place(a.0).cmp(&place(b.0)).then(b.1.total_cmp(&a.1)).then(a.0.cmp(&b.0)));
        let &(best, score) = order.first()?;
        let (score, by_header) = (rounded(score), sign(best) == Some(HeaderSign::Certain));
        let reached = by_header || self.thresholds[best].is_none_or(|threshold| score >= threshold);
        let reached = reached && sign(best) != Some(HeaderSign::Impossible);
        order.truncate(self.top_k);
        Some(Ranking {
            label: reached.then(|| self.names[best].clone()),
            score,
            by: by_header.then_some(Decider::Header),
            top: order.into_iter().map(|(label, score)| (self.names[label].clone(), rounded(score))).collect(),
        })
    }
}

impl RankingRules {
    /// What the headers say about each label; `None` where they say nothing about any. Of several labels that are
    /// certain, where only one can be right, the first is.
    fn signs(&self, headers: &[Header]) -> Option<Vec<Option<HeaderSign>>> {
        if self.conditions.iter().all(Option::is_none) {
            return None;
        }
        let sign = |condition: &Option<HeaderCondition>| condition.as_ref()?.sign(headers);
        let mut signs: Vec<_> = self.conditions.iter().map(sign).collect();
        if !self.is_independent {
            let mut certain = signs.iter_mut().filter(|sign| **sign == Some(HeaderSign::Certain));
            certain.next();
            certain.for_each(|sign| *sign = None);
        }
        signs.iter().any(Option::is_some).then_some(signs)
    }

    /// Gives certain labels the score 1 and impossible ones 0. Where scores sum to 1, the other labels share the rest
    /// as they did.
    fn overrule(&self, signs: &[Option<HeaderSign>], order: &mut Vec<(usize, f32)>) {
        let certain = |label: usize| signs[label] == Some(HeaderSign::Certain);
        // A shortlist may have left it out.
        let missing =
            (0..signs.len()).filter(|label| certain(*label) && order.iter().all(|(scored, _)| scored != label));
        let missing: Vec<_> = missing.map(|label| (label, 1.0)).collect();
        order.extend(missing);
        let free: f32 = order.iter().filter(|(label, _)| signs[*label].is_none()).map(|(_, score)| score).sum();
        let is_decided = order.iter().any(|(label, _)| certain(*label));
        for (label, score) in order {
            *score = match signs[*label] {
                Some(HeaderSign::Certain) => 1.0,
                Some(HeaderSign::Impossible) => 0.0,
                None if self.raw || self.is_independent => *score,
                None if is_decided || free <= 0.0 => 0.0,
                None => *score / free,
            };
        }
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
        RankingRules {
            names: vec!["a".into(), "b".into(), "c".into()],
            thresholds: thresholds.to_vec(),
            top_k,
            raw,
            conditions: vec![None; 3],
            is_independent: false,
        }
    }

    fn scores() -> Scores {
        Scores { labels: vec![0, 1, 2], probabilities: vec![0.2, 0.4, 0.4], raw: vec![-0.1, 0.3, 0.3] }
    }

    #[test]
    fn best_first_and_ties_in_order() {
        let ranking = rules([None; 3], 2, false).rank(&scores(), &[]).unwrap();
        assert_eq!(ranking.label.as_deref(), Some("b"));
        assert_eq!(ranking.top, [("b".into(), 0.4), ("c".into(), 0.4)]);
        assert_eq!(rules([None; 3], 9, true).rank(&scores(), &[]).unwrap().top[2], ("a".into(), -0.1));
    }

    #[test]
    fn thresholds_are_met_exactly() {
        let check = |threshold, raw, expected: Option<&str>| {
            let ranking = rules([None, Some(threshold), None], 3, raw).rank(&scores(), &[]).unwrap();
            assert_eq!(ranking.label.as_deref(), expected, "{threshold}");
        };
        check(0.4, false, Some("b"));
        check(0.41, false, None);
        check(0.31, true, None);
    }

    #[test]
    fn thresholds_are_compared_with_what_is_printed() {
        let scores = Scores { labels: vec![0, 1, 2], probabilities: vec![0.503_46, 0.4, 0.1], raw: vec![0.0; 3] };
        let ranking = rules([Some(0.5035), None, None], 1, false).rank(&scores, &[]).unwrap();
        assert_eq!((ranking.label.as_deref(), ranking.score), (Some("a"), 0.5035));
    }

    #[test]
    fn not_a_number_is_no_ranking() {
        let bad = Scores { labels: vec![0, 1, 2], probabilities: vec![f32::NAN; 3], raw: vec![0.0; 3] };
        assert_eq!(rules([None; 3], 1, false).rank(&bad, &[]), None);
    }

    #[test]
    fn labels_without_a_score_are_not_ranked() {
        let two = Scores { labels: vec![2, 0], probabilities: vec![0.9, 0.9], raw: vec![2.0, 2.0] };
        let ranking = rules([None; 3], 3, false).rank(&two, &[]).unwrap();
        assert_eq!(ranking.top, [("a".into(), 0.9), ("c".into(), 0.9)]);
        let none = Scores { labels: Vec::new(), probabilities: Vec::new(), raw: Vec::new() };
        assert_eq!(rules([None; 3], 3, false).rank(&none, &[]), None);
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

    /// The labels and scores of a message of a list.
    fn ranked(
        conditions: [Option<&str>; 3],
        raw: bool,
        is_independent: bool,
    ) -> (Option<String>, bool, Vec<(String, f32)>) {
        let condition = |text: &str| {
            let table: toml::Table = toml::from_str(text).unwrap();
            HeaderCondition::new(table.into()).unwrap()
        };
        let conditions = conditions.into_iter().map(|text| text.map(condition)).collect();
        let rules = RankingRules { conditions, is_independent, ..rules([None, Some(0.9), Some(0.9)], 3, raw) };
        let headers = [Header { name: "list-id".into(), value: "a.example.com".into() }];
        let Ranking { label, by, top, .. } = rules.rank(&scores(), &headers).unwrap();
        (
            label.map(|label| label.to_string()),
            by == Some(Decider::Header),
            top.into_iter().map(|(label, score)| (label.to_string(), score)).collect(),
        )
    }

    const ON_LISTS: Option<&str> = Some("List-Id = '*'");
    const NOT_ON_LISTS: Option<&str> = Some("List-Id = { not = '*' }");

    #[test]
    fn a_header_makes_a_label_certain() {
        let (label, by_header, top) = ranked([ON_LISTS, None, ON_LISTS], false, false);
        assert_eq!((label.as_deref(), by_header), (Some("a"), true));
        assert_eq!(top, [("a".into(), 1.0), ("b".into(), 0.0), ("c".into(), 0.0)]);
        let (label, _, top) = ranked([None, None, ON_LISTS], false, true);
        assert_eq!((label.as_deref(), &top[0], &top[1]), (Some("c"), &("c".into(), 1.0), &("b".into(), 0.4)));
        // Where each label is by itself, several are certain.
        assert_eq!(ranked([ON_LISTS, None, ON_LISTS], false, true).2[1], ("c".into(), 1.0));
        let (label, _, top) = ranked([ON_LISTS, None, None], true, false);
        assert_eq!((label.as_deref(), &top[0], &top[1]), (Some("a"), &("a".into(), 1.0), &("b".into(), 0.3)));
        assert_eq!(ranked([Some("X-Other = '*'"), None, None], false, false).2[0], ("b".into(), 0.4));
    }

    #[test]
    fn a_header_makes_a_label_impossible() {
        let (label, by_header, top) = ranked([None, NOT_ON_LISTS, None], false, false);
        assert_eq!((label, by_header), (None, false));
        assert_eq!(top, [("c".into(), 0.6667), ("a".into(), 0.3333), ("b".into(), 0.0)]);
        assert_eq!(ranked([None, NOT_ON_LISTS, None], true, false).2[1], ("a".into(), -0.1));
        let (label, _, top) = ranked([NOT_ON_LISTS; 3], false, false);
        assert_eq!((label, top[0].1), (None, 0.0));
    }

    #[test]
    fn a_certain_label_needs_no_place_on_a_shortlist() {
        let condition = HeaderCondition::new(toml::from_str::<toml::Table>("X = '*'").unwrap().into()).unwrap();
        let rules = RankingRules {
            conditions: vec![None, Some(condition), None],
            is_independent: true,
            ..rules([None; 3], 3, false)
        };
        let two = Scores { labels: vec![2, 0], probabilities: vec![0.9, 0.5], raw: vec![2.0, 2.0] };
        let ranking = rules.rank(&two, &[Header { name: "x".into(), value: "y".into() }]).unwrap();
        assert_eq!(ranking.top, [("b".into(), 1.0), ("c".into(), 0.9), ("a".into(), 0.5)]);
    }
}
