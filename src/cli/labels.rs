//! Flags of labels.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use encoding_rs::Encoding;

use super::values::encoding;
use super::{Cleaning, ModelFlags};
use crate::classifier::{LabelSource, RankingSpec, Spec};

/// Label sets, or a classifier.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Labels")]
pub struct LabelFlags {
    /// A label file: one `name` or `name: description` a line, or TOML, or CSV
    ///
    /// Given several times, each set gives its own verdict in the same record.
    #[arg(short = 'l', long = "labels", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub files: Vec<PathBuf>,

    /// A label as `name` or `name: description`; may be given several times
    ///
    /// Labels given so are a set of their own, called `label`.
    #[arg(long, value_name = "LABEL")]
    pub label: Vec<String>,

    /// Classify with a classifier that `mailsort train` has learned
    ///
    /// It says which labels there are, which model is used and how messages are cleaned. Of a label file beside it only
    /// thresholds and headers are read.
    #[arg(long, value_name = "FILE", conflicts_with = "label", value_hint = ValueHint::FilePath)]
    pub classifier: Option<PathBuf>,

    /// Whether the `examples` of label files count
    ///
    /// With a model that gives vectors, a label lies between its own words and its examples.
    #[arg(long, hide_short_help = true, value_enum, value_name = "WHEN", default_value = "on", default_missing_value = "on", num_args = 0..=1, require_equals = true)]
    pub examples: Examples,

    /// Give no label when the best score is below this
    ///
    /// From 0 to 1; with --raw-scores any score. A label's own threshold in a TOML file wins over this, and this wins
    /// over the threshold of the set.
    #[arg(short, long, value_name = "SCORE", value_parser = score, allow_negative_numbers = true)]
    pub threshold: Option<f32>,
}

impl LabelFlags {
    /// Where labels come from. `encoding` is the charset of label files that are not in UTF-8.
    pub fn source(&self, encoding: Option<&'static Encoding>) -> LabelSource {
        match &self.classifier {
            Some(file) => LabelSource::Trained { file: file.clone(), thresholds: self.files.clone(), encoding },
            None => LabelSource::Files {
                files: self.files.clone(),
                inline: self.label.clone(),
                examples: self.examples == Examples::On,
                encoding,
            },
        }
    }
}

/// The classifier of a verb that acts on the best label alone.
#[derive(Clone, Debug, Args)]
pub struct ClassifierFlags {
    /// The labels.
    #[command(flatten)]
    pub labels: LabelFlags,
    /// The model.
    #[command(flatten)]
    pub model: ModelFlags,
    /// How documents are cleaned.
    #[command(flatten)]
    pub cleaning: Cleaning,

    /// The charset of label files that are not in UTF-8, such as gbk or windows-1252
    ///
    /// By default it is told from their bytes; where that leaves a doubt, the file is refused.
    #[arg(long, hide_short_help = true, value_name = "CHARSET", value_parser = encoding, help_heading = "Labels")]
    pub encoding: Option<&'static Encoding>,
}

impl ClassifierFlags {
    /// The classifier that the flags describe.
    pub fn spec(&self) -> Spec {
        let Self { labels, model, cleaning, encoding } = self;
        let ranking = RankingSpec { threshold: labels.threshold, top_k: 1, raw_scores: false };
        Spec { labels: labels.source(*encoding), model: model.spec(), reading: cleaning.reading(), ranking }
    }

    /// The same, which may have no labels: requests bring their own.
    pub fn spec_of_server(&self) -> Spec {
        let LabelFlags { files, label, classifier, .. } = &self.labels;
        let has_labels = !files.is_empty() || !label.is_empty() || classifier.is_some();
        let spec = self.spec();
        if has_labels { spec } else { Spec { labels: LabelSource::Sets(Vec::new()), ..spec } }
    }
}

/// Whether examples of labels are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Examples {
    /// Use them
    On,
    /// Use names and descriptions only
    Off,
}

pub(super) fn score(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(score) if score.is_finite() => Ok(score),
        _ => Err("not a score: 0 to 1, or any number with --raw-scores".into()),
    }
}
