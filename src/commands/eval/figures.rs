//! From an evaluation to the figures of a report.

use sha2::{Digest, Sha256};

use super::rows::Rows;
use super::truth::LabelledDocument;
use crate::evaluation::{Evaluation, LabelThreshold};
use crate::labels::LabelSet;
use crate::output::evaluation::{
    AbstentionPoint, ConfusionCell, Evaluated, JunitCases, LabelFigures, Mistake, Prediction, ReliabilityBin,
    TargetPrecision, TargetThreshold, Timing,
};
use crate::record::Verdict;

/// How many mistakes are shown, and how many characters of each text.
const MISTAKES: usize = 20;
const SHOWN: usize = 600;

/// All but timing, bars, predictions and mistakes.
pub(super) fn evaluated(
    evaluation: &Evaluation,
    rows: &Rows,
    set: &LabelSet,
    model: &str,
    target: Option<f64>,
) -> Evaluated {
    let name = |at: usize| set.labels[at].name.to_string();
    let labels = evaluation.labels.iter().enumerate().map(|(at, scores)| LabelFigures {
        label: name(at),
        support: scores.support,
        predicted: scores.predicted,
        precision: rounded(scores.precision()),
        recall: rounded(scores.recall()),
        f1: rounded(scores.f1()),
    });
    let confusion = evaluation.confusion.cells().map(|cell| ConfusionCell {
        truth: name(cell.truth),
        predicted: cell.predicted.map(name),
        count: cell.count,
    });
    let reliability = evaluation.reliability.bins.iter().map(|bin| ReliabilityBin {
        from: rounded(bin.from),
        to: rounded(bin.to),
        samples: bin.rows,
        confidence: rounded(bin.confidence),
        accuracy: rounded(bin.accuracy),
    });
    let steps: Vec<f32> = (0..20).map(|step| step as f32 / 20.0).chain([0.99]).collect();
    let abstention = rows.abstention(&steps).into_iter().map(|point| AbstentionPoint {
        threshold: decimals(point.threshold),
        coverage: rounded(point.coverage),
        accuracy: point.accuracy.map(rounded),
    });
    let (format, version, mailsort) = Evaluated::head();
    Evaluated {
        format,
        version,
        mailsort,
        model: model.to_string(),
        label_set: set.name.clone(),
        questions: rows.are_questions(),
        samples: evaluation.rows,
        right: evaluation.right,
        answered: evaluation.answered,
        without_verdict: evaluation.without_verdict,
        accuracy: rounded(evaluation.accuracy()),
        macro_f1: rounded(evaluation.macro_f1()),
        weighted_f1: rounded(evaluation.weighted_f1()),
        ece: rounded(evaluation.reliability.error),
        labels: labels.collect(),
        confusion: confusion.collect(),
        reliability: reliability.collect(),
        abstention: abstention.collect(),
        target: target.map(|precision| thresholds(rows, set, precision)),
        timing: Timing::default(),
        bars: Vec::new(),
        predictions: Vec::new(),
        mistakes: Vec::new(),
        junit: JunitCases::default(),
    }
}

fn thresholds(rows: &Rows, set: &LabelSet, precision: f64) -> TargetPrecision {
    let found = rows.thresholds(set.labels.len(), precision);
    let threshold = |(label, found): (&crate::labels::Label, LabelThreshold)| TargetThreshold {
        label: label.name.to_string(),
        threshold: found.threshold.map(decimals),
        kept: found.kept,
        right: found.right,
    };
    TargetPrecision { precision, thresholds: set.labels.iter().zip(found).map(threshold).collect() }
}

/// Predictions of samples that are not scored yet.
pub(super) fn unscored(judged: &[LabelledDocument]) -> Vec<Prediction> {
    let unscored = |judged: &LabelledDocument| {
        let (origin, envelope) = match &*judged.document {
            Ok(document) => (&document.origin, &document.envelope),
            Err(skip) => (&skip.origin, &skip.envelope),
        };
        Prediction {
            source: origin.source.to_string(),
            index: origin.index,
            id: envelope.id.clone(),
            text: (*judged.document).as_ref().ok().map(|document| hash(&document.text())),
            truth: judged.labels.iter().map(ToString::to_string).collect(),
            predicted: None,
            given: None,
            best: None,
            score: None,
            error: None,
        }
    };
    judged.iter().map(unscored).collect()
}

/// Fills in the verdicts.
pub(super) fn predictions(
    rows: &Rows,
    set: &LabelSet,
    unscored: Vec<Prediction>,
    verdicts: &[Verdict],
) -> Vec<Prediction> {
    let prediction = |(at, (unscored, verdict)): (usize, (Prediction, &Verdict))| {
        let name = |at: usize| set.labels[at].name.to_string();
        let given = rows.given(at).map(|given| given.into_iter().map(name).collect::<Vec<_>>());
        let ranking = verdict.outcome.as_ref().ok().and_then(|outcome| outcome.rankings.first());
        let best = ranking.and_then(|ranking| ranking.top.first());
        Prediction {
            predicted: match &given {
                Some(given) => given.first().cloned(),
                None => ranking.and_then(|ranking| ranking.label.as_deref()).map(String::from),
            },
            given,
            best: best.map(|(label, _)| label.to_string()),
            score: best.map(|(_, score)| decimals(*score)),
            error: verdict.outcome.as_ref().err().map(ToString::to_string),
            ..unscored
        }
    };
    unscored.into_iter().zip(verdicts).enumerate().map(prediction).collect()
}

/// The first 64 bits of the SHA-256 of a text.
fn hash(text: &str) -> String {
    Sha256::digest(text).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// The mistakes with the highest scores.
pub(super) fn mistakes(evaluated: &Evaluated, judged: &[LabelledDocument], texts: bool) -> Vec<Mistake> {
    let said = &evaluated.predictions;
    let is_wrong = |at: &usize| said[*at].is_answered() && !said[*at].is_right();
    let mut wrong: Vec<usize> = (0..said.len()).filter(is_wrong).collect();
    let score = |at: usize| said[at].score.unwrap_or(0.0);
    wrong.sort_by(|&a, &b| score(b).total_cmp(&score(a)));
    let text =
        |at: usize| (*judged[at].document).as_ref().ok().filter(|_| texts).map(|document| beginning(&document.text()));
    wrong.into_iter().take(MISTAKES).map(|at| Mistake { at, text: text(at) }).collect()
}

fn beginning(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

/// A figure, rounded to six decimals.
fn rounded(figure: f64) -> f64 {
    (figure * 1e6).round() / 1e6
}

/// A score with four decimals, without the digits that an f32 adds as an f64.
fn decimals(score: f32) -> f64 {
    (f64::from(score) * 1e4).round() / 1e4
}
