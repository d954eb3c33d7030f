//! Reports of `eval` for people, programs, browsers and build servers.

mod compared;
mod html;
mod junit;
mod lines;
mod markdown;
mod pictures;
mod prediction;
mod text;

use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::ser::Formatter;

use crate::platform;

pub use compared::{Changed, Compared, Side};
pub use prediction::{Mistake, Prediction};

/// Name of the JSON format, so that no other JSON passes for a report.
const FORMAT: &str = "mailsort-evaluation";
/// Version of the JSON format. Changes when readers would misunderstand a report.
const VERSION: u32 = 1;
/// Most bytes of a JSON report that is read.
const MAX_FILE: u64 = 1 << 30;

/// Formats of reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportFormat {
    /// For people
    Text,
    /// One JSON object, with every prediction and no text: what --baseline and --compare read
    Json,
    /// For pull requests and build summaries
    Markdown,
    /// One page with pictures, and the worst mistakes with their text
    Html,
    /// XML for build servers: a test for each bar
    Junit,
}

/// What the tests of a JUnit report are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum JunitCases {
    /// The bars.
    #[default]
    Bars,
    /// The bars and the samples.
    Samples,
}

impl ReportFormat {
    /// The format for an extension of a file name.
    pub fn of_ending(ending: &str) -> Option<Self> {
        let named = [
            ("json", Self::Json),
            ("md", Self::Markdown),
            ("markdown", Self::Markdown),
            ("html", Self::Html),
            ("htm", Self::Html),
            ("xml", Self::Junit),
        ];
        named.into_iter().find(|(name, _)| ending.eq_ignore_ascii_case(name)).map(|(_, format)| format)
    }
}

/// The report of one evaluation. Shares are in [0, 1].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluated {
    /// `mailsort-evaluation`.
    pub format: String,
    /// Version of the format; others are refused.
    pub version: u32,
    /// Version of the program.
    pub mailsort: String,
    /// Name of the model.
    pub model: String,
    /// Name of the label set.
    pub label_set: String,
    /// True for multi-label evaluation: a sample is right when exactly its true labels are predicted, the metrics of a
    /// label are over all samples, and ECE and reliability over all labels of all samples.
    #[serde(default)]
    pub questions: bool,
    /// Number of samples.
    pub samples: u64,
    /// Samples that are right.
    pub right: u64,
    /// Samples with a predicted label.
    pub answered: u64,
    /// Samples that could not be read or scored.
    pub without_verdict: u64,
    /// Share of samples that are right.
    pub accuracy: f64,
    /// Unweighted mean F1 of the labels.
    pub macro_f1: f64,
    /// Mean F1 of the labels, weighted by support.
    pub weighted_f1: f64,
    /// Expected calibration error.
    pub ece: f64,
    /// The labels, in the order of the set.
    pub labels: Vec<LabelFigures>,
    /// Nonzero cells of the confusion matrix.
    pub confusion: Vec<ConfusionCell>,
    /// Bins of equal width over the best score.
    pub reliability: Vec<ReliabilityBin>,
    /// Coverage and accuracy at thresholds from 0 to 1.
    pub abstention: Vec<AbstentionPoint>,
    /// Thresholds per label for a target precision, if one was given.
    pub target: Option<TargetPrecision>,
    /// Throughput and latency. Differs from run to run.
    pub timing: Timing,
    /// The bars and whether they were met.
    pub bars: Vec<Bar>,
    /// The prediction for each sample, in the order of the input.
    pub predictions: Vec<Prediction>,
    /// The worst mistakes with their texts, for the HTML page only.
    #[serde(skip)]
    pub mistakes: Vec<Mistake>,
    /// The tests of the JUnit report.
    #[serde(skip)]
    pub junit: JunitCases,
}

/// Metrics of one label.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LabelFigures {
    /// The label.
    pub label: String,
    /// Samples of which it is the true label.
    pub support: u64,
    /// Samples for which it was predicted.
    pub predicted: u64,
    /// Share of `predicted` that is right.
    pub precision: f64,
    /// Share of `support` that is right.
    pub recall: f64,
    /// Harmonic mean of precision and recall.
    pub f1: f64,
}

/// One cell of the confusion matrix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfusionCell {
    /// The true label.
    pub truth: String,
    /// The predicted label, or `null`.
    pub predicted: Option<String>,
    /// Number of samples.
    pub count: u64,
}

/// One bin of scores.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReliabilityBin {
    /// Lower end.
    pub from: f64,
    /// Upper end.
    pub to: f64,
    /// Samples with their best score in it.
    pub samples: u64,
    /// Their mean score.
    pub confidence: f64,
    /// Share of samples that are right.
    pub accuracy: f64,
}

/// Coverage and accuracy at one threshold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AbstentionPoint {
    /// The threshold.
    pub threshold: f64,
    /// Share of all samples that get a label.
    pub coverage: f64,
    /// Share of those that is right; `null` if there are none.
    pub accuracy: Option<f64>,
}

/// Thresholds for a target precision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TargetPrecision {
    /// The target precision.
    pub precision: f64,
    /// One per label.
    pub thresholds: Vec<TargetThreshold>,
}

/// The lowest threshold of a label that reaches the target precision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TargetThreshold {
    /// The label.
    pub label: String,
    /// The threshold; `null` where none is high enough.
    pub threshold: Option<f64>,
    /// Samples that keep the label.
    pub kept: u64,
    /// Kept samples that are right.
    pub right: u64,
}

/// Throughput and latency of scoring, from clean text to verdict.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// Samples per second, scored in batches as `classify` does; `null` without samples.
    pub samples_per_second: Option<f64>,
    /// Number of samples that were scored one by one and timed.
    pub timed: u64,
    /// Median latency in milliseconds.
    pub p50_ms: Option<f64>,
    /// 95th percentile of the latency.
    pub p95_ms: Option<f64>,
    /// 99th percentile of the latency.
    pub p99_ms: Option<f64>,
}

/// A minimum or maximum that `eval` was asked to check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bar {
    /// Its name, such as `accuracy` or `F1 of billing`.
    pub name: String,
    /// The requirement, such as `at least 0.9`.
    pub asked: String,
    /// The value, such as `0.8731`.
    pub found: String,
    /// Whether it was met.
    pub met: bool,
}

impl Evaluated {
    /// `format`, `version` and `mailsort` of a report.
    pub fn head() -> (String, u32, String) {
        (FORMAT.into(), VERSION, env!("CARGO_PKG_VERSION").into())
    }

    /// Reads a JSON report.
    ///
    /// # Errors
    /// When the file is missing or is not a report.
    pub fn read(path: &Path) -> Result<Self> {
        #[derive(Deserialize)]
        struct Head {
            format: Option<String>,
            version: Option<u32>,
        }
        let shown = path.display();
        let wanted = "a report that `mailsort eval --format json` has written";
        let bytes =
            platform::read_file_or_pipe(path, MAX_FILE).with_context(|| format!("cannot read {shown} ({wanted})"))?;
        // First the head alone, so that another version is reported as such.
        let head: Head = serde_json::from_slice(&bytes).with_context(|| format!("{shown} is not {wanted}"))?;
        ensure!(head.format.as_deref() == Some(FORMAT), "{shown} is not {wanted}");
        ensure!(
            head.version == Some(VERSION),
            "{shown} is a report of version {}, and this mailsort reads version {VERSION}; write it anew",
            head.version.map_or("?".into(), |version| version.to_string())
        );
        serde_json::from_slice(&bytes).with_context(|| format!("{shown} is a damaged report"))
    }

    /// Writes the report.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn write(&self, format: ReportFormat, mut out: impl Write) -> io::Result<()> {
        match format {
            ReportFormat::Json => json(self, &mut out)?,
            ReportFormat::Text => out.write_all(text::report(self).as_bytes())?,
            ReportFormat::Markdown => out.write_all(markdown::report(self).as_bytes())?,
            ReportFormat::Html => out.write_all(html::report(self).map_err(io::Error::other)?.as_bytes())?,
            ReportFormat::Junit => out.write_all(junit::report(self).as_bytes())?,
        }
        out.flush()
    }

    /// The cells off the diagonal, largest first.
    fn confused(&self) -> Vec<&ConfusionCell> {
        let mut cells: Vec<&ConfusionCell> =
            self.confusion.iter().filter(|cell| cell.predicted.as_ref() != Some(&cell.truth)).collect();
        cells.sort_by_key(|cell| std::cmp::Reverse(cell.count));
        cells
    }

    /// Labels that are true or predicted somewhere.
    fn seen_labels(&self) -> impl Iterator<Item = &LabelFigures> {
        self.labels.iter().filter(|label| label.support + label.predicted > 0)
    }
}

/// Writes an object with a line per field and per entry of a list, so that a diff of two reports is readable.
fn json(value: &impl Serialize, out: &mut impl Write) -> io::Result<()> {
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut *out, Shallow::default()))?;
    out.write_all(b"\n")
}

/// Breaks lines in the outermost object and in its lists.
#[derive(Default)]
struct Shallow {
    depth: usize,
    /// True when the current list has an entry.
    filled: bool,
}

impl Formatter for Shallow {
    fn begin_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.depth += 1;
        out.write_all(b"{")
    }

    fn end_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.depth -= 1;
        out.write_all(if self.depth == 0 { b"\n}" } else { b"}" })
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        let comma: &[u8] = if first { b"" } else { b"," };
        out.write_all(comma)?;
        out.write_all(if self.depth == 1 { b"\n" } else { b"" })
    }

    fn begin_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.depth += 1;
        self.filled &= self.depth > 2;
        out.write_all(b"[")
    }

    fn end_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.depth -= 1;
        out.write_all(if self.depth == 1 && self.filled { b"\n]" } else { b"]" })
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.filled |= self.depth == 2;
        let comma: &[u8] = if first { b"" } else { b"," };
        out.write_all(comma)?;
        out.write_all(if self.depth == 2 { b"\n  " } else { b"" })
    }
}

/// A share as it is printed.
fn share(share: f64) -> String {
    format!("{share:.4}")
}

#[cfg(test)]
mod tests;
