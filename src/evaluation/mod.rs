//! Metrics from predictions and true labels: accuracy, precision, recall, F1, confusion, calibration. Pure arithmetic.
//!
//! # What counts
//!
//! A row is one sample. It may have several true labels, while a prediction is one label: it is right if it is any of
//! them. Metrics that need one true label per row (precision, recall, F1, support, confusion) take the predicted label
//! if it is right, else the first true label. So every row counts once and micro-averages equal the accuracy. With one
//! true label per row all metrics equal scikit-learn's.
//!
//! In multi-label evaluation ([`MultiLabelRow`]) a row counts for every true label. It is right when exactly these are
//! predicted (subset accuracy).
//!
//! A row without a prediction, because the document got no verdict or the score is below its threshold, is wrong: a
//! false negative of its true label and a false positive of none.

mod abstention;
mod confusion;
mod labels;
mod multi_label;
mod reliability;
mod statistics;

pub use abstention::{Abstention, LabelThreshold, abstention, thresholds};
pub use confusion::{Confusion, ConfusionCount};
pub use labels::LabelScores;
pub use multi_label::{MultiLabelRow, question_thresholds};
pub use reliability::{BINS, Bin, Reliability};
pub use statistics::{McNemar, mcnemar, percentile};

/// One sample and its prediction.
#[derive(Clone, Debug, PartialEq)]
pub struct SingleLabelRow {
    /// The true labels, as indices into the label set; at least one.
    pub truth: Vec<usize>,
    /// The best label and its score in [0, 1], before any threshold; `None` without a verdict.
    pub best: Option<(usize, f32)>,
    /// True when the score of the best label reaches its threshold, or there is none.
    pub answered: bool,
}

impl SingleLabelRow {
    /// The predicted label.
    pub fn predicted(&self) -> Option<usize> {
        self.best.filter(|_| self.answered).map(|(label, _)| label)
    }

    /// True when the predicted label is right.
    pub fn is_right(&self) -> bool {
        self.predicted().is_some_and(|label| self.truth.contains(&label))
    }

    /// True when the best label is right, with or without a threshold.
    fn best_is_right(&self) -> bool {
        self.best.is_some_and(|(label, _)| self.truth.contains(&label))
    }

    /// The true label that the row counts for.
    fn counted_truth(&self) -> Option<usize> {
        self.predicted().filter(|label| self.truth.contains(label)).or(self.truth.first().copied())
    }
}

/// The metrics of one evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// Number of rows.
    pub rows: u64,
    /// Rows with the right label.
    pub right: u64,
    /// Rows with a predicted label.
    pub answered: u64,
    /// Rows without a verdict.
    pub without_verdict: u64,
    /// One entry per label of the set.
    pub labels: Vec<LabelScores>,
    /// True against predicted labels.
    pub confusion: Confusion,
    /// Calibration of the scores.
    pub reliability: Reliability,
}

impl Evaluation {
    /// Evaluates `rows` over a set of `labels` labels.
    pub fn new(rows: &[SingleLabelRow], labels: usize) -> Self {
        let count = |is: &dyn Fn(&SingleLabelRow) -> bool| rows.iter().filter(|row| is(row)).count() as u64;
        let confusion = Confusion::new(rows);
        Self {
            rows: rows.len() as u64,
            right: count(&SingleLabelRow::is_right),
            answered: count(&|row| row.predicted().is_some()),
            without_verdict: count(&|row| row.best.is_none()),
            labels: LabelScores::of(&confusion, labels),
            confusion,
            reliability: Reliability::new(rows),
        }
    }

    /// The share of rows that are right. Rows without a label count as wrong.
    pub fn accuracy(&self) -> f64 {
        share(self.right, self.rows)
    }

    /// Unweighted mean F1 over the labels that are true or predicted somewhere.
    pub fn macro_f1(&self) -> f64 {
        let seen: Vec<f64> = self.labels.iter().filter(|label| label.is_seen()).map(LabelScores::f1).collect();
        if seen.is_empty() { 0.0 } else { seen.iter().sum::<f64>() / seen.len() as f64 }
    }

    /// Mean F1 over the labels, weighted by support.
    pub fn weighted_f1(&self) -> f64 {
        let support: u64 = self.labels.iter().map(|label| label.support).sum();
        let sum: f64 = self.labels.iter().map(|label| label.f1() * label.support as f64).sum();
        if support == 0 { 0.0 } else { sum / support as f64 }
    }
}

/// `part / whole`; 0 if `whole` is 0.
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn near(found: f64, expected: &Value) {
        let expected = expected.as_f64().unwrap();
        assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
    }

    /// The rows of a case of the reference file.
    fn rows(case: &Value) -> Vec<SingleLabelRow> {
        let row = |row: &Value| SingleLabelRow {
            truth: row["truth"].as_array().unwrap().iter().map(|label| label.as_u64().unwrap() as usize).collect(),
            best: row["best"].as_u64().map(|label| (label as usize, row["score"].as_f64().unwrap() as f32)),
            answered: row["answered"].as_bool().unwrap(),
        };
        case["rows"].as_array().unwrap().iter().map(row).collect()
    }

    fn reference() -> Value {
        serde_json::from_str(include_str!("../../tests/evaluation/reference.json")).unwrap()
    }

    #[test]
    fn figures_are_those_of_scikit_learn() {
        let reference = reference();
        let cases = reference["cases"].as_array().unwrap();
        assert!(cases.len() >= 4);
        for case in cases {
            let found = Evaluation::new(&rows(case), case["labels"].as_u64().unwrap() as usize);
            near(found.accuracy(), &case["accuracy"]);
            near(found.macro_f1(), &case["macro_f1"]);
            near(found.weighted_f1(), &case["weighted_f1"]);
            for (label, scores) in found.labels.iter().enumerate() {
                near(scores.precision(), &case["precision"][label]);
                near(scores.recall(), &case["recall"][label]);
                near(scores.f1(), &case["f1"][label]);
                assert_eq!(scores.support, case["support"][label].as_u64().unwrap());
                for (predicted, count) in case["confusion"][label].as_array().unwrap().iter().enumerate() {
                    assert_eq!(found.confusion.count(label, Some(predicted)), count.as_u64().unwrap());
                }
            }
            near(found.reliability.error, &case["ece"]);
            let bins = case["bins"].as_array().unwrap();
            assert_eq!(found.reliability.bins.len(), bins.len());
            for (bin, expected) in found.reliability.bins.iter().zip(bins) {
                assert_eq!(bin.rows, expected["rows"].as_u64().unwrap());
                near(bin.confidence, &expected["confidence"]);
                near(bin.accuracy, &expected["accuracy"]);
            }
        }
    }

    #[test]
    fn curves_and_thresholds_are_those_of_numpy() {
        for case in reference()["cases"].as_array().unwrap() {
            let rows = rows(case);
            for expected in case["abstention"].as_array().unwrap() {
                let found = &abstention(&rows, &[expected["threshold"].as_f64().unwrap() as f32])[0];
                near(found.coverage, &expected["coverage"]);
                assert_eq!(found.accuracy.is_none(), expected["accuracy"].is_null());
                found.accuracy.into_iter().for_each(|accuracy| near(accuracy, &expected["accuracy"]));
            }
            let found = thresholds(&rows, case["labels"].as_u64().unwrap() as usize, 0.75);
            for (found, expected) in found.iter().zip(case["thresholds"].as_array().unwrap()) {
                let threshold = found.threshold.map(|threshold| f64::from(threshold) as f32);
                assert_eq!(threshold, expected["threshold"].as_f64().map(|threshold| threshold as f32));
                assert_eq!(found.kept, expected["kept"].as_u64().unwrap());
                assert_eq!(found.right, expected["right"].as_u64().unwrap());
            }
        }
    }

    #[test]
    fn p_values_are_those_of_scipy() {
        let reference = reference();
        for case in reference["mcnemar"].as_array().unwrap() {
            let found = mcnemar(case["lost"].as_u64().unwrap(), case["won"].as_u64().unwrap());
            near(found.p, &case["p"]);
            assert_eq!(found.exact, case["exact"].as_bool().unwrap());
        }
        for case in reference["percentiles"].as_array().unwrap() {
            let mut values: Vec<f64> = case["values"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
            values.sort_by(f64::total_cmp);
            near(percentile(&values, case["percent"].as_f64().unwrap()).unwrap(), &case["value"]);
        }
    }

    #[test]
    fn of_several_true_labels_any_is_right_and_the_row_counts_once() {
        let row = |truth: &[usize], best| SingleLabelRow { truth: truth.to_vec(), best, answered: true };
        let rows = [row(&[0, 1], Some((1, 0.9))), row(&[0, 1], Some((2, 0.9))), row(&[2], None)];
        let found = Evaluation::new(&rows, 3);
        assert_eq!((found.right, found.without_verdict), (1, 1));
        assert_eq!(found.labels.iter().map(|label| label.support).collect::<Vec<_>>(), [1, 1, 1]);
        assert_eq!((found.labels[1].recall(), found.labels[0].recall(), found.labels[2].precision()), (1.0, 0.0, 0.0));
        assert_eq!(found.confusion.count(2, None), 1);
    }

    #[test]
    fn nothing_is_no_division_by_zero() {
        let found = Evaluation::new(&[], 2);
        assert_eq!((found.accuracy(), found.macro_f1(), found.weighted_f1()), (0.0, 0.0, 0.0));
        assert_eq!(found.reliability.error, 0.0);
        assert_eq!(abstention(&[], &[0.5])[0].coverage, 0.0);
        assert_eq!(percentile(&[], 50.0), None);
    }
}
