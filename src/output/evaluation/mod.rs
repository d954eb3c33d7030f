//! Reports of `eval`: figures in, a report for people, programs, browsers or build servers out.

mod compared;
mod html;
mod junit;
mod lines;
mod markdown;
mod markup;
mod pictures;
mod prediction;
mod text;

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::ser::Formatter;

pub use compared::{Changed, Compared, Side};
pub use prediction::{Mistake, Prediction};

/// What a report calls itself, so that no other JSON passes for one.
const FORMAT: &str = "mailsort-evaluation";
/// Changes when a program that reads reports would misunderstand one.
const VERSION: u32 = 1;

/// The forms of reports.
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

impl ReportFormat {
    /// The form that the ending of a file's name stands for.
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

/// All that is said of one evaluation. Shares are in [0, 1].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluated {
    /// `mailsort-evaluation`.
    pub format: String,
    /// The version of this form; another one is refused.
    pub version: u32,
    /// The version of the program.
    pub mailsort: String,
    /// The model's name.
    pub model: String,
    /// The label set's name.
    pub label_set: String,
    /// True where each label is a question of its own: a sample is right when all its labels are given and no other, a
    /// label's figures are over all samples, and ECE and reliability over all questions.
    #[serde(default)]
    pub questions: bool,
    /// How many samples were judged.
    pub samples: u64,
    /// How many of them are right.
    pub right: u64,
    /// How many got a label.
    pub answered: u64,
    /// How many could not be read or scored.
    pub without_verdict: u64,
    /// The share that is right.
    pub accuracy: f64,
    /// The mean F1 of the labels.
    pub macro_f1: f64,
    /// The same, each label counting as often as it is true.
    pub weighted_f1: f64,
    /// The expected calibration error.
    pub ece: f64,
    /// The labels, in the order of the set.
    pub labels: Vec<LabelFigures>,
    /// The cells of the confusion matrix that are not zero.
    pub confusion: Vec<ConfusionCell>,
    /// Bins of equal width over the best score.
    pub reliability: Vec<ReliabilityBin>,
    /// What thresholds from 0 to 1 leave.
    pub abstention: Vec<AbstentionPoint>,
    /// A threshold for each label, where one was asked for.
    pub target: Option<TargetPrecision>,
    /// How long it took. Differs from run to run.
    pub timing: Timing,
    /// What was asked for, and whether it was met.
    pub bars: Vec<Bar>,
    /// What was said of each sample, in the order of the input.
    pub predictions: Vec<Prediction>,
    /// The worst mistakes with their texts, which only a page shows.
    #[serde(skip)]
    pub mistakes: Vec<Mistake>,
}

/// One label's figures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LabelFigures {
    /// The label.
    pub label: String,
    /// Samples that count for it.
    pub support: u64,
    /// Samples that were given it.
    pub predicted: u64,
    /// Of those that were given it, the share that is right.
    pub precision: f64,
    /// Of its samples, the share that was found.
    pub recall: f64,
    /// Their harmonic mean.
    pub f1: f64,
}

/// One cell of the confusion matrix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfusionCell {
    /// The true label.
    pub truth: String,
    /// The label that was given, or `null`.
    pub predicted: Option<String>,
    /// How many samples.
    pub count: u64,
}

/// One bin of scores.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReliabilityBin {
    /// Where it begins.
    pub from: f64,
    /// Where it ends.
    pub to: f64,
    /// How many samples have their best score in it.
    pub samples: u64,
    /// Their mean score.
    pub confidence: f64,
    /// The share of them that is right.
    pub accuracy: f64,
}

/// What one threshold leaves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AbstentionPoint {
    /// The threshold.
    pub threshold: f64,
    /// The share of all samples that still gets a label.
    pub coverage: f64,
    /// The share of those that is right; `null` where none gets a label.
    pub accuracy: Option<f64>,
}

/// Thresholds for a precision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TargetPrecision {
    /// The precision that was asked for.
    pub precision: f64,
    /// One for each label.
    pub thresholds: Vec<TargetThreshold>,
}

/// The lowest threshold of one label that reaches the precision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TargetThreshold {
    /// The label.
    pub label: String,
    /// The threshold; `null` where none will do.
    pub threshold: Option<f64>,
    /// Samples that keep the label.
    pub kept: u64,
    /// Those of them that are right.
    pub right: u64,
}

/// How long scoring took, from clean text to verdict.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// Samples scored together as `classify` does, each second; `null` if there were none.
    pub samples_per_second: Option<f64>,
    /// How many samples were scored one by one and timed.
    pub timed: u64,
    /// Half of those took no longer, in milliseconds.
    pub p50_ms: Option<f64>,
    /// 95 % of those took no longer.
    pub p95_ms: Option<f64>,
    /// 99 % of those took no longer.
    pub p99_ms: Option<f64>,
}

/// Something that was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bar {
    /// Its name, such as `accuracy` or `F1 of billing`.
    pub name: String,
    /// What was asked for, as `at least 0.9`.
    pub asked: String,
    /// What was found, as `0.8731`.
    pub found: String,
    /// Whether it was met.
    pub met: bool,
}

impl Evaluated {
    /// What stands at the top of every report of this version.
    pub fn head() -> (String, u32, String) {
        (FORMAT.into(), VERSION, env!("CARGO_PKG_VERSION").into())
    }

    /// Reads a report that was written as JSON.
    ///
    /// # Errors
    /// When the file is missing or is none.
    pub fn read(path: &Path) -> Result<Self> {
        #[derive(Deserialize)]
        struct Head {
            format: Option<String>,
            version: Option<u32>,
        }
        let shown = path.display();
        let wanted = "a report that `mailsort eval --format json` has written";
        let open = || File::open(path).with_context(|| format!("cannot read {shown} ({wanted})"));
        // First the head alone, so that a report of another version is called that.
        let head: Head =
            serde_json::from_reader(BufReader::new(open()?)).with_context(|| format!("{shown} is not {wanted}"))?;
        ensure!(head.format.as_deref() == Some(FORMAT), "{shown} is not {wanted}");
        ensure!(
            head.version == Some(VERSION),
            "{shown} is a report of version {}, and this mailsort reads version {VERSION}; write it anew",
            head.version.map_or("?".into(), |version| version.to_string())
        );
        serde_json::from_reader(BufReader::new(open()?)).with_context(|| format!("{shown} is a damaged report"))
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

    /// The cells off the diagonal, the largest first.
    fn confused(&self) -> Vec<&ConfusionCell> {
        let mut cells: Vec<&ConfusionCell> =
            self.confusion.iter().filter(|cell| cell.predicted.as_ref() != Some(&cell.truth)).collect();
        cells.sort_by_key(|cell| std::cmp::Reverse(cell.count));
        cells
    }

    /// Labels as they are best shown: those that no sample has and no sample was given say nothing.
    fn seen_labels(&self) -> impl Iterator<Item = &LabelFigures> {
        self.labels.iter().filter(|label| label.support + label.predicted > 0)
    }
}

/// One object, but a line for each field and each entry of a list, so that a diff of two reports shows what changed.
fn json(value: &impl Serialize, out: &mut impl Write) -> io::Result<()> {
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut *out, Shallow::default()))?;
    out.write_all(b"\n")
}

/// Breaks lines in the outermost object and in its lists.
#[derive(Default)]
struct Shallow {
    depth: usize,
    /// True when the list being written has an entry.
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
