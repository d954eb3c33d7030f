//! Truth and verdict of every sample: single-label, or multi-label.

use super::truth::{self, LabelledDocument};
use crate::evaluation::{self, Abstention, Evaluation, LabelThreshold, MultiLabelRow, SingleLabelRow};
use crate::labels::LabelSet;
use crate::record::{Ranking, Verdict};

/// The rows of an evaluation.
pub(super) enum Rows {
    /// Labels exclude each other, and the best one is given.
    Exclusive(Vec<SingleLabelRow>),
    /// Each label is given whose score reaches its threshold.
    Questions { rows: Vec<MultiLabelRow>, thresholds: Vec<f32> },
}

impl Rows {
    /// Multi-label where there are `thresholds`; verdicts must then hold the scores of all labels.
    pub(super) fn new(
        set: &LabelSet,
        judged: &[LabelledDocument],
        verdicts: &[Verdict],
        thresholds: Option<Vec<f32>>,
    ) -> Self {
        match thresholds {
            Some(thresholds) => Self::questions(set, judged, verdicts, thresholds),
            None => Self::exclusive(set, judged, verdicts),
        }
    }

    fn exclusive(set: &LabelSet, judged: &[LabelledDocument], verdicts: &[Verdict]) -> Self {
        let known = truth::indices(set);
        let row = |(judged, verdict): (&LabelledDocument, &Verdict)| {
            let ranking = ranking(verdict);
            let best = ranking.and_then(|ranking| ranking.top.first());
            SingleLabelRow {
                truth: judged.labels.iter().filter_map(|label| known.get(&**label).copied()).collect(),
                best: best.and_then(|(label, score)| Some((*known.get(&**label)?, *score))),
                answered: ranking.is_some_and(|ranking| ranking.label.is_some()),
            }
        };
        Self::Exclusive(judged.iter().zip(verdicts).map(row).collect())
    }

    fn questions(set: &LabelSet, judged: &[LabelledDocument], verdicts: &[Verdict], thresholds: Vec<f32>) -> Self {
        let known = truth::indices(set);
        let scores = |ranking: &Ranking| {
            let mut scores = vec![0.0; set.labels.len()];
            for (label, score) in &ranking.top {
                if let Some(&at) = known.get(&**label) {
                    scores[at] = *score;
                }
            }
            scores
        };
        let row = |(judged, verdict): (&LabelledDocument, &Verdict)| MultiLabelRow {
            truth: judged.labels.iter().filter_map(|label| known.get(&**label).copied()).collect(),
            scores: ranking(verdict).map(scores),
        };
        Self::Questions { rows: judged.iter().zip(verdicts).map(row).collect(), thresholds }
    }

    /// The figures.
    pub(super) fn evaluation(&self, labels: usize) -> Evaluation {
        match self {
            Self::Exclusive(rows) => Evaluation::new(rows, labels),
            Self::Questions { rows, thresholds } => Evaluation::of_questions(rows, thresholds),
        }
    }

    /// True where each label is a question.
    pub(super) fn are_questions(&self) -> bool {
        matches!(self, Self::Questions { .. })
    }

    /// Coverage and accuracy by threshold; empty for multi-label rows, which have no single best label.
    pub(super) fn abstention(&self, thresholds: &[f32]) -> Vec<Abstention> {
        match self {
            Self::Exclusive(rows) => evaluation::abstention(rows, thresholds),
            Self::Questions { .. } => Vec::new(),
        }
    }

    /// The lowest threshold of each label that gives it this precision.
    pub(super) fn thresholds(&self, labels: usize, precision: f64) -> Vec<LabelThreshold> {
        match self {
            Self::Exclusive(rows) => evaluation::thresholds(rows, labels, precision),
            Self::Questions { rows, .. } => evaluation::question_thresholds(rows, labels, precision),
        }
    }

    /// The labels that a sample was given, the likeliest first; `None` without a verdict, and for single-label rows.
    pub(super) fn given(&self, at: usize) -> Option<Vec<usize>> {
        let Self::Questions { rows, thresholds } = self else { return None };
        let row = rows.get(at)?;
        let scores = row.scores.as_ref()?;
        let mut given = row.given(thresholds);
        given.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        Some(given)
    }
}

fn ranking(verdict: &Verdict) -> Option<&Ranking> {
    verdict.outcome.as_ref().ok().and_then(|outcome| outcome.rankings.first())
}
