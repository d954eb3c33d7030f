//! The figures of cross-validation.

use std::path::Path;
use std::sync::Arc;

use crate::classifier::linear::{HeldOut, LearnedLabel, Link, TrainingResult, TrainingSample, Validation};
use crate::classifier::ranking::LIKELIER_THAN_NOT;
use crate::evaluation::{ConfusionCount, Evaluation, LabelScores, MultiLabelRow, SingleLabelRow};
use crate::output::trained::{LabelLine, Table};
use crate::report::Report;

/// How many pairs of confused labels the table shows.
const CONFUSED: usize = 8;
/// With fewer samples all figures are rough.
const FEW_SAMPLES: usize = 50;

/// The result of cross-validation.
pub(super) struct CrossValidated {
    pub(super) validation: Option<Validation>,
    pub(super) learned: Vec<LearnedLabel>,
    /// True label, given label, how often.
    confused: Vec<(Arc<str>, Arc<str>, u64)>,
    samples: usize,
    /// True where only a part of the samples was tested.
    is_part: bool,
    /// True where the samples were too few to choose C and the temperature.
    is_fixed: bool,
    /// True where each label is a question of its own.
    questions: bool,
    c: f64,
    temperature: f32,
    words: usize,
}

/// Precision, recall and F1 of one label.
type Figures = [f64; 3];

/// Evaluates the predictions on held-out samples. `labels` are the names.
pub(super) fn judge(
    trained: &TrainingResult,
    samples: &[TrainingSample],
    labels: &[Arc<str>],
    link: Link,
) -> CrossValidated {
    let mut counts = vec![0; labels.len()];
    samples.iter().flat_map(|sample| &sample.labels).for_each(|&label| counts[label] += 1);
    let (mut validation, mut figures, mut confused) = (None, vec![None; labels.len()], Vec::new());
    if let Some(held_out) = &trained.held_out {
        (validation, figures, confused) = {
            let (found, by_label, pairs) = cross_validated(held_out, samples, labels, link);
            (Some(found), by_label, pairs)
        };
    }
    let learned = |(at, name): (usize, &Arc<str>)| {
        let figure = |which: usize| figures[at].map(|figures| rounded(figures[which]));
        LearnedLabel { name: name.clone(), samples: counts[at], precision: figure(0), recall: figure(1), f1: figure(2) }
    };
    CrossValidated {
        validation,
        learned: labels.iter().enumerate().map(learned).collect(),
        confused,
        samples: samples.len(),
        is_part: trained.held_out.as_ref().is_some_and(|held_out| held_out.is_part),
        is_fixed: trained.held_out.as_ref().is_some_and(|held_out| held_out.is_fixed),
        questions: link == Link::Sigmoid,
        c: trained.c,
        temperature: trained.model.temperature,
        words: trained.model.ngrams.iter().map(|ngrams| ngrams.len()).sum(),
    }
}

type TestedFigures = (Validation, Vec<Option<Figures>>, Vec<(Arc<str>, Arc<str>, u64)>);

/// The figures of the held-out samples; a label without one has no figures.
fn cross_validated(held_out: &HeldOut, samples: &[TrainingSample], labels: &[Arc<str>], link: Link) -> TestedFigures {
    let tested: Vec<(&[usize], &[f32])> = held_out
        .probabilities
        .iter()
        .zip(samples)
        .filter(|(made, _)| !made.is_empty())
        .map(|(made, sample)| (&sample.labels[..], &made[..]))
        .collect();
    let found = match link {
        Link::Softmax => exclusive(&tested, labels.len()),
        Link::Sigmoid => independent(&tested, labels.len()),
    };
    let figures = |label: &LabelScores| (label.support > 0).then(|| [label.precision(), label.recall(), label.f1()]);
    let figures: Vec<Option<Figures>> = found.labels.iter().map(figures).collect();
    let f1: Vec<f64> = figures.iter().flatten().map(|[_, _, f1]| *f1).collect();
    let validation = Validation {
        folds: held_out.folds,
        samples: tested.len(),
        accuracy: rounded(found.accuracy()),
        macro_f1: rounded(f1.iter().sum::<f64>() / f1.len().max(1) as f64),
        ece: rounded(found.reliability.error),
        log_loss: rounded(held_out.loss),
    };
    let pair = |cell: &ConfusionCount| Some((labels[cell.truth].clone(), labels[cell.predicted?].clone(), cell.count));
    (validation, figures, found.confusion.mistakes().iter().filter_map(pair).collect())
}

/// Single-label: the likeliest label is given.
fn exclusive(tested: &[(&[usize], &[f32])], labels: usize) -> Evaluation {
    let row = |&(truth, probabilities): &(&[usize], &[f32])| {
        let best = (0..probabilities.len())
            .reduce(|best, label| if probabilities[label] > probabilities[best] { label } else { best });
        SingleLabelRow { truth: truth.to_vec(), best: best.map(|best| (best, probabilities[best])), answered: true }
    };
    Evaluation::new(&tested.iter().map(row).collect::<Vec<_>>(), labels)
}

/// Multi-label: each label with a probability of at least one half is given.
fn independent(tested: &[(&[usize], &[f32])], labels: usize) -> Evaluation {
    let row = |(truth, made): &(&[usize], &[f32])| MultiLabelRow { truth: truth.to_vec(), scores: Some(made.to_vec()) };
    Evaluation::of_questions(&tested.iter().map(row).collect::<Vec<_>>(), &vec![LIKELIER_THAN_NOT; labels])
}

/// The interval of 95 % around a share of so many samples (Wilson, 1927).
fn within(share: f64, samples: usize) -> String {
    const Z: f64 = 1.96;
    let n = samples as f64;
    let middle = (share + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
    let half = Z / (1.0 + Z * Z / n) * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    let right = (share * n).round();
    format!("  {right} of {samples}, 95 % interval {:.2} to {:.2}", middle - half, middle + half)
}

/// Rounds to four decimals.
pub(super) fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

impl CrossValidated {
    /// The table that is printed.
    pub(super) fn table(&self, path: &Path, bytes: usize) -> Table {
        let mut head = vec![format!("{} samples, {} labels", self.samples, self.learned.len())];
        match &self.validation {
            Some(Validation { folds, samples, accuracy, macro_f1, ece, log_loss }) => {
                head.push(match self.is_fixed && *folds == self.samples {
                    true => "each sample judged by a classifier of all others:".into(),
                    false => format!("{folds}-fold cross-validation:"),
                });
                let left = self.samples - samples;
                if left > 0 {
                    let why = if self.is_part {
                        "samples: with so many labels a part tells"
                    } else {
                        "samples with a label that the other parts lack"
                    };
                    head.push(format!("  {:<10} {left:>6}  {why}", "not tested"));
                }
                let what = if self.questions { "all labels of a sample right" } else { "accuracy" };
                let interval = if self.samples < FEW_SAMPLES { within(*accuracy, *samples) } else { String::new() };
                head.push(format!("  {what:<10} {accuracy:.4}{interval}"));
                head.push(format!("  {:<10} {macro_f1:.4}", "macro F1"));
                head.push(format!("  {:<10} {ece:.4}  how far probabilities are from shares", "ECE"));
                head.push(format!("  {:<10} {log_loss:.4}", "log loss"));
            }
            None => head.push("too few samples for cross-validation".into()),
        }
        let line = |learned: &LearnedLabel| {
            let figure = |figure: Option<f64>| figure.map_or("–".into(), |value| format!("{value:.4}"));
            let LearnedLabel { name, samples, precision, recall, f1 } = learned;
            let cells = vec![samples.to_string(), figure(*precision), figure(*recall), figure(*f1)];
            LabelLine { label: name.to_string(), cells }
        };
        let confused =
            |(truth, given, count): &(Arc<str>, Arc<str>, u64)| (truth.to_string(), given.to_string(), *count);
        let words = if self.words > 0 { format!(", {} n-grams", self.words) } else { String::new() };
        Table {
            head,
            columns: vec![("samples", 7), ("precision", 9), ("recall", 6), ("F1", 6)],
            lines: self.learned.iter().map(line).collect(),
            confused: self.confused.iter().take(CONFUSED).map(confused).collect(),
            foot: format!(
                "{}: {} bytes, C = {}, temperature {:.2}{words}",
                path.display(),
                bytes,
                self.c,
                self.temperature
            ),
        }
    }
}

/// Warns where figures are not reliable.
pub(super) fn warn(judged: &CrossValidated, report: &Report) {
    if judged.validation.is_none() {
        report.warn(
            "there are too few samples to hold some of them out, so nobody knows how good the classifier is, and its \
             probabilities are not calibrated; give at least two samples of each label",
        );
    } else if judged.is_fixed {
        report.warn(format_args!(
            "{} samples are few for {} labels, so the figures are rough; more samples would help",
            judged.samples,
            judged.learned.len()
        ));
    } else if judged.samples < FEW_SAMPLES {
        report.warn(format_args!(
            "{} samples are few: the figures are rough, and labels in plain words may sort as well; more samples would help",
            judged.samples
        ));
    }
}
