//! Multi-label evaluation: every label is a binary decision of its own.

use super::abstention::lowest;
use super::{Confusion, Evaluation, LabelScores, LabelThreshold, Reliability};

/// One sample and its scores.
#[derive(Clone, Debug, PartialEq)]
pub struct MultiLabelRow {
    /// The true labels, as indices into the label set.
    pub truth: Vec<usize>,
    /// The score of each label in [0, 1]; `None` without a verdict. Shape: `[labels]`.
    pub scores: Option<Vec<f32>>,
}

impl MultiLabelRow {
    /// A row of which only the predicted labels are known, or that has no verdict.
    pub fn of_given(truth: Vec<usize>, given: Option<Vec<usize>>, labels: usize) -> Self {
        let scores = given.map(|given| {
            let mut scores = vec![0.0; labels];
            given.into_iter().filter(|&label| label < labels).for_each(|label| scores[label] = 1.0);
            scores
        });
        Self { truth, scores }
    }

    /// The true labels in ascending order, in which one of thousands is found at once.
    fn ascending_truth(&self) -> Vec<usize> {
        let mut truth = self.truth.clone();
        truth.sort_unstable();
        truth
    }

    /// The predicted labels, ascending: those whose score reaches their threshold.
    pub fn given(&self, thresholds: &[f32]) -> Vec<usize> {
        let scores = self.scores.iter().flatten().zip(thresholds).enumerate();
        scores.filter(|(_, (score, threshold))| score >= threshold).map(|(label, _)| label).collect()
    }
}

impl Evaluation {
    /// Evaluates multi-label rows. A row is right when exactly its true labels are predicted. It counts for each of its
    /// labels. A row without a verdict has no predicted label. There is no confusion matrix, since no label is
    /// predicted in place of another. Calibration is over all labels of all rows.
    pub fn of_questions(rows: &[MultiLabelRow], thresholds: &[f32]) -> Self {
        let mut labels = vec![LabelScores::default(); thresholds.len()];
        let (mut right, mut answered) = (0, 0);
        for row in rows {
            let given = row.given(thresholds);
            row.truth.iter().for_each(|&label| labels[label].support += 1);
            let truth = row.ascending_truth();
            for &label in &given {
                labels[label].predicted += 1;
                labels[label].right += u64::from(truth.binary_search(&label).is_ok());
            }
            let found = row.truth.iter().filter(|label| given.binary_search(label).is_ok()).count();
            right += u64::from(row.scores.is_some() && found == row.truth.len() && found == given.len());
            answered += u64::from(!given.is_empty());
        }
        Self {
            rows: rows.len() as u64,
            right,
            answered,
            without_verdict: rows.iter().filter(|row| row.scores.is_none()).count() as u64,
            labels,
            confusion: Confusion::default(),
            reliability: Reliability::of(rows.iter().flat_map(answers).map(|(_, score, is_true)| (score, is_true))),
        }
    }
}

/// Label, score and truth of each label of a row.
fn answers(row: &MultiLabelRow) -> impl Iterator<Item = (usize, f32, bool)> {
    let truth = row.ascending_truth();
    let scores = row.scores.iter().flatten().enumerate();
    scores.map(move |(label, &score)| (label, score, truth.binary_search(&label).is_ok()))
}

/// For each label the lowest threshold at which its precision over all rows is at least `precision`.
pub fn question_thresholds(rows: &[MultiLabelRow], labels: usize, precision: f64) -> Vec<LabelThreshold> {
    let mut by_label: Vec<Vec<(f32, bool)>> = vec![Vec::new(); labels];
    for (label, score, is_true) in rows.iter().flat_map(answers) {
        by_label[label].push((score, is_true));
    }
    by_label.into_iter().map(|scores| lowest(scores, precision)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<MultiLabelRow> {
        let row =
            |truth: &[usize], scores: &[f32]| MultiLabelRow { truth: truth.to_vec(), scores: Some(scores.to_vec()) };
        vec![row(&[0, 1], &[0.9, 0.8, 0.1]), row(&[1], &[0.6, 0.9, 0.1]), row(&[2], &[0.1, 0.1, 0.4])]
    }

    fn counts(found: &Evaluation) -> Vec<(u64, u64, u64)> {
        found.labels.iter().map(|one| (one.support, one.predicted, one.right)).collect()
    }

    #[test]
    fn every_label_is_judged() {
        let found = Evaluation::of_questions(&rows(), &[0.5; 3]);
        assert_eq!((found.right, found.answered, found.accuracy()), (1, 2, 1.0 / 3.0));
        assert_eq!(counts(&found), [(1, 2, 1), (2, 2, 2), (1, 0, 0)]);
        assert!((found.macro_f1() - (2.0 / 3.0 + 1.0 + 0.0) / 3.0).abs() < 1e-9);
        assert!((found.weighted_f1() - (2.0 / 3.0 + 2.0 * 1.0 + 0.0) / 4.0).abs() < 1e-9);
        assert_eq!(found.reliability.bins.iter().map(|bin| bin.rows).sum::<u64>(), 9);
        let nothing = Evaluation::of_questions(&[], &[0.5; 2]);
        assert_eq!((nothing.reliability.error, nothing.accuracy(), nothing.macro_f1()), (0.0, 0.0, 0.0));
        let sure = MultiLabelRow { truth: vec![1, 0], scores: Some(vec![1.0, 1.0, 0.0]) };
        let sure = Evaluation::of_questions(&[sure], &[0.5; 3]);
        assert_eq!((sure.accuracy(), sure.reliability.error), (1.0, 0.0));
    }

    #[test]
    fn thresholds_decide_and_what_has_no_verdict_is_missed() {
        let mut rows = rows();
        rows.push(MultiLabelRow { truth: vec![1], scores: None });
        let found = Evaluation::of_questions(&rows, &[0.7, 0.85, 0.4]);
        assert_eq!(counts(&found), [(1, 1, 1), (3, 1, 1), (1, 1, 1)]);
        assert_eq!((found.right, found.answered, found.without_verdict), (2, 3, 1));
        let thresholds = question_thresholds(&rows, 3, 0.9);
        let found: Vec<_> = thresholds.iter().map(|found| (found.threshold, found.kept, found.right)).collect();
        assert_eq!(found, [(Some(0.9), 1, 1), (Some(0.8), 2, 2), (Some(0.4), 1, 1)]);
    }
}
