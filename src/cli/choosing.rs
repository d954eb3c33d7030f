//! Flags that say what mail is sorted into.

use std::path::PathBuf;

use clap::{Args, ValueHint};

/// Label sets, or a classifier.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Labels")]
pub struct Choosing {
    /// A label file; given several times, each set gives its own verdict in the same record
    #[arg(short = 'l', long = "labels", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub files: Vec<PathBuf>,

    /// A label as `name` or `name: description`; may be given several times. Labels given so are a set of their own,
    /// called `label`
    #[arg(long, value_name = "LABEL")]
    pub label: Vec<String>,

    /// Sort with a classifier that `mailsort train` has learned from examples. It says which labels there are, which model
    /// and how mails are cleaned; of a label file beside it only thresholds are read
    #[arg(long, value_name = "FILE", conflicts_with = "label", value_hint = ValueHint::FilePath)]
    pub classifier: Option<PathBuf>,

    /// Whether the `examples` of label files count: for a model that gives vectors, a label lies between its own words and
    /// its examples
    #[arg(long, value_enum, value_name = "WHEN", default_value = "on", default_missing_value = "on", num_args = 0..=1, require_equals = true)]
    pub examples: Examples,

    /// Give no label when the best score is below this [0 to 1; with --raw-scores any score]. A label's own threshold in
    /// a TOML file wins over this, and this over the set's
    #[arg(short, long, value_name = "SCORE", value_parser = score, allow_negative_numbers = true)]
    pub threshold: Option<f32>,
}

/// Whether examples of labels count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Examples {
    /// They do
    On,
    /// Names and descriptions alone
    Off,
}

pub(super) fn score(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(score) if score.is_finite() => Ok(score),
        _ => Err("not a score: 0 to 1, or any number with --raw-scores".into()),
    }
}
