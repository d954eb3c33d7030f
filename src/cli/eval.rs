//! Flags of `mailsort eval`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};

use super::{Cleaning, ModelFlags, Run, SampleFlags, Verbosity};
use crate::output::evaluation::{JunitCases, ReportFormat};

pub(super) const HELP: &str = "\
Examples:
  mailsort eval samples.jsonl --labels labels.txt
  mailsort eval samples.csv --labels queues.toml --min-accuracy 0.9 --min-f1 billing=0.8
  mailsort eval filed/ --labels labels.txt --format html --output report.html
  mailsort eval samples.jsonl --labels labels.txt --format json --output new.json --baseline old.json
  mailsort eval --compare old.json new.json
  mailsort eval sampled.jsonl --recorded    (a file of `mailsort serve --sample-to`)
  mailsort eval --maildir ~/Mail --exclude Trash --exclude Sent --target-precision 0.95

Samples:
  A row has `text` (and perhaps `subject`, `from`, `id`) or a `path`, and a `label` or a list of
  `labels`, any of which is right. A --classifier that was learned from lists is judged by all of
  them: each label is a question, given where its score reaches its threshold or else 0.5. Of a
  folder every sub-folder is a label, of a maildir tree every maildir but the inbox. Records of
  `mailsort classify`, corrected by hand, are samples too: their texts are found again through
  `source` and `index`.

Exit status:
  0  every bar was met
  1  finished, but a bar was missed, or some samples could not be read or scored
  2  could not run: usage, samples, labels, model, baseline or output";

/// `mailsort eval`.
#[derive(Debug, Args)]
pub struct Eval {
    /// The labelled samples.
    #[command(flatten)]
    pub samples: SampleFlags,
    /// The labels.
    #[command(flatten)]
    pub judging: Judging,
    /// The bars.
    #[command(flatten)]
    pub bars: Bars,
    /// The model.
    #[command(flatten)]
    pub model: ModelFlags,
    /// How documents are cleaned.
    #[command(flatten)]
    pub cleaning: Cleaning,
    /// The output.
    #[command(flatten)]
    pub output: Reports,
    /// Threads.
    #[command(flatten)]
    pub run: Run,
}

/// The label set, and how samples are compared with it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Labels")]
pub struct Judging {
    /// The label file [default: the labels of the samples, by their names]
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub labels: Option<PathBuf>,

    /// A label as `name` or `name: description`, in place of a label file; may be given several times
    #[arg(long, value_name = "LABEL", conflicts_with = "labels")]
    pub label: Vec<String>,

    /// Evaluate a classifier of `mailsort train`; of a label file beside it only thresholds and headers are read. A classifier that
    /// was trained on lists of labels is evaluated label by label
    #[arg(long, value_name = "FILE", conflicts_with = "label", value_hint = ValueHint::FilePath)]
    pub classifier: Option<PathBuf>,

    /// Give no label when the best score is below this, which counts as wrong; as with `classify`, a label's own
    /// threshold wins. A multi-label classifier gives every label that reaches it [default there: 0.5]
    #[arg(short, long, value_name = "SCORE", value_parser = threshold)]
    pub threshold: Option<f32>,

    /// Judge the verdicts that stand in SAMPLES, as `serve --sample-to` writes them, by the `truth` that a person has put
    /// there; nothing is scored
    #[arg(long, conflicts_with_all = NOT_RECORDED)]
    pub recorded: bool,

    /// Leave out samples whose label is not in the label set; without this they are an error
    #[arg(long)]
    pub skip_unknown: bool,
}

/// The bars.
#[derive(Debug, Args)]
#[command(next_help_heading = "Bars")]
pub struct Bars {
    /// Fail when the accuracy is lower
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub min_accuracy: Option<f64>,

    /// Fail when the macro F1 is lower
    #[arg(long, value_name = "F1", value_parser = share)]
    pub min_macro_f1: Option<f64>,

    /// Fail when the F1 of a label is lower; may be given several times
    #[arg(long, value_name = "LABEL=F1", value_parser = label_share)]
    pub min_f1: Vec<(String, f64)>,

    /// Fail when the expected calibration error is higher
    #[arg(long, value_name = "ECE", value_parser = share)]
    pub max_ece: Option<f64>,

    /// Fail when accuracy or macro F1 are lower than in FILE, a report of --format json, over the samples that both
    /// have
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub baseline: Option<PathBuf>,

    /// How much lower they may be
    #[arg(long, value_name = "SHARE", value_parser = share, default_value = "0", requires = "baseline")]
    pub tolerance: f64,

    /// Fail only when accuracy is lower and McNemar's test gives a p-value below P
    #[arg(long, value_name = "P", value_parser = share, requires = "baseline", conflicts_with = "tolerance")]
    pub significance: Option<f64>,

    /// Print for each label the lowest threshold that reaches this precision, in the form of a label file
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub target_precision: Option<f64>,

    /// Write the label set with these thresholds to FILE, which `--labels` takes
    #[arg(long, value_name = "FILE", requires = "target_precision", value_hint = ValueHint::FilePath)]
    pub tuned_labels: Option<PathBuf>,

    /// Print two reports of --format json side by side, and the messages whose label changed; nothing is scored
    #[arg(long, num_args = 2, value_names = ["OLD", "NEW"], value_hint = ValueHint::FilePath,
        conflicts_with_all = NOT_COMPARED)]
    pub compare: Vec<PathBuf>,
}

/// Flags that have no meaning where verdicts are read.
const NOT_RECORDED: [&str; 10] = [
    "classifier",
    "skip_unknown",
    "threshold",
    "model",
    "endpoint",
    "revision",
    "instruct",
    "shortlist",
    "cache",
    "maildirs",
];

/// Flags that have no meaning where nothing is scored.
const NOT_COMPARED: [&str; 49] = [
    "endpoint",
    "recorded",
    "samples",
    "maildirs",
    "exclude",
    "inbox",
    "text_field",
    "subject_field",
    "id_field",
    "sheet",
    "encoding",
    "label_field",
    "set",
    "min_score",
    "labels",
    "label",
    "classifier",
    "skip_unknown",
    "threshold",
    "min_accuracy",
    "min_macro_f1",
    "min_f1",
    "max_ece",
    "baseline",
    "target_precision",
    "tuned_labels",
    "model",
    "revision",
    "offline",
    "instruct",
    "shortlist",
    "dims",
    "max_tokens",
    "batch_tokens",
    "device",
    "dtype",
    "cache",
    "no_texts",
    "junit",
    "threads",
    "no_clean",
    "keep_html",
    "keep_quotes",
    "keep_forwards",
    "keep_signatures",
    "keep_disclaimers",
    "keep_footers",
    "keep_links",
    "min_text",
];

/// The report.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub struct Reports {
    /// The format of the report [default: text, or what the ending of --output says: .json, .md, .html, .xml]
    #[arg(short, long, value_enum)]
    format: Option<ReportFormat>,

    /// What the tests of --format junit are
    #[arg(long, value_enum, value_name = "CASES")]
    pub junit: Option<JunitCases>,

    /// Leave the texts of misclassified messages out of --format html
    #[arg(long)]
    pub no_texts: bool,

    /// Write to FILE, which appears when it is complete, instead of stdout
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,

    /// What goes to stderr.
    #[command(flatten)]
    pub verbosity: Verbosity,
}

impl Reports {
    /// The format: as asked for, or by the file extension of the output.
    pub fn format(&self) -> ReportFormat {
        let ending = self.output.as_deref().and_then(Path::extension).and_then(OsStr::to_str);
        let format = self.format.or(self.junit.map(|_| ReportFormat::Junit));
        format.or(ending.and_then(ReportFormat::of_ending)).unwrap_or(ReportFormat::Text)
    }
}

pub(super) fn share(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|share| (0.0..=1.0).contains(share)).ok_or("not a number from 0 to 1".into())
}

fn threshold(text: &str) -> Result<f32, String> {
    share(text).map(|share| share as f32)
}

/// `LABEL=F1`; a label may hold a `=` itself.
fn label_share(text: &str) -> Result<(String, f64), String> {
    let (label, least) = text.rsplit_once('=').ok_or("not LABEL=F1, as in billing=0.8")?;
    Ok((label.trim().to_string(), share(least.trim())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_labels() {
        assert_eq!(label_share("billing=0.8"), Ok(("billing".into(), 0.8)));
        assert_eq!(label_share("a=b = 1"), Ok(("a=b".into(), 1.0)));
        for bad in ["billing", "billing=", "billing=2", "billing=-1", "billing=NaN"] {
            assert!(label_share(bad).is_err(), "{bad}");
        }
    }
}
