//! Flags of `mailsort train`.

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};

use super::{Cleaning, ModelFlags, Run, SampleFlags, Verbosity};
use crate::classifier::linear::LabelWeights;

pub(super) const HELP: &str = "\
Examples:
  mailsort train tickets.jsonl --output tickets.json
  mailsort train --maildir ~/Mail --exclude Trash --exclude Sent --output folders.json
  mailsort classify inbox.mbox --classifier folders.json
  mailsort train tickets.csv --model qwen3-embedding-0.6b --dims 256 --output tickets.json

A large model teaches a small one:
  mailsort classify unsorted.mbox -l queues.txt --model qwen3-reranker-4b --output taught.jsonl
  mailsort train taught.jsonl --min-score 0.8 --output queues.json

Without labelled samples, names and unlabelled mail teach it:
  mailsort train archive.mbox --labels queues.txt --output queues.json
  mailsort train ~/Maildir --labels queues.txt --from-names --output queues.json

Samples:
  A row has `text` (and perhaps `subject`, `from`, `id`) or a `path`, and a `label`; where rows have
  lists of `labels`, each label becomes a question of its own. A `weight` from 0.000001 to 1000000 says
  how much a row counts, 1 being usual, and one of 0 leaves it out. Of a folder every sub-folder is a
  label, of a maildir tree every maildir but the inbox. Of records of `mailsort classify` the texts are
  found again through `source` and `index`, and the score says how much a record counts.

Output:
  The table on stdout is of cross-validation: every sample is judged by a classifier that has not
  seen it. Of texts without labels nobody knows which are right: the table says how many each label
  found, and how far the rounds agree. The file holds numbers, the names of labels and what they
  need to be used (model, cleaning switches), but no text. The same samples, flags and seed give
  the same file.";

/// `mailsort train`.
#[derive(Debug, Args)]
pub struct Train {
    /// The labelled samples.
    #[command(flatten)]
    pub samples: SampleFlags,
    /// How to learn.
    #[command(flatten)]
    pub learning: Learning,
    /// The embedding model.
    #[command(flatten)]
    pub model: ModelFlags,
    /// How documents are cleaned.
    #[command(flatten)]
    pub cleaning: Cleaning,
    /// The output.
    #[command(flatten)]
    pub output: TrainOutput,
    /// Threads.
    #[command(flatten)]
    pub run: Run,
}

/// How to learn.
#[derive(Debug, Args)]
#[command(next_help_heading = "Learning")]
pub struct Learning {
    /// A label file: its descriptions say more than the names of the labels do, and texts without a label are learned
    /// from by them
    ///
    /// Inputs that say nothing of labels, and rows without one, are read as `classify` reads them. The texts that the
    /// labels fit best teach the classifier. With samples enough that have labels, the others are left out.
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub labels: Option<PathBuf>,

    /// Nothing is labelled: folders are no labels, and a row with one is an error
    #[arg(long, requires = "labels", conflicts_with_all = ["maildirs", "exclude", "inbox", "set", "min_score"])]
    pub from_names: bool,

    /// The random seed of the cross-validation folds
    #[arg(long, value_name = "N", default_value = "0")]
    pub seed: u64,

    /// How many folds cross-validation has; few samples are each a fold
    #[arg(long, value_name = "N", default_value = "5", value_parser = folds)]
    pub folds: usize,

    /// Whether n-grams of words, characters, subject and sender are features beside the model's vectors; auto is on for builtin and deep
    #[arg(long, value_enum, value_name = "WHEN", default_value = "auto")]
    pub ngrams: NGramsFlag,

    /// The inverse regularisation strength, as scikit-learn's C [default: the best in cross-validation]
    #[arg(short = 'C', long, value_name = "C", value_parser = penalty)]
    pub c: Option<f64>,

    /// How labels are weighted; where rows have lists of labels, how the yes and no of each label are weighted
    #[arg(long, value_enum, value_name = "HOW", default_value = "balanced")]
    pub label_weights: LabelWeights,
}

/// When n-grams are features.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum NGramsFlag {
    /// For the models in the program
    Auto,
    /// For any model
    On,
    /// Never
    Off,
}

/// The classifier.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub struct TrainOutput {
    /// Write the classifier to FILE, which appears when it is complete
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath, required = true)]
    pub output: PathBuf,

    /// What goes to stderr.
    #[command(flatten)]
    pub verbosity: Verbosity,
}

fn folds(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(folds) if (2..=100).contains(&folds) => Ok(folds),
        _ => Err("not a whole number from 2 to 100".into()),
    }
}

fn penalty(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(c) if (1e-6..=1e6).contains(&c) => Ok(c),
        _ => Err("not a number from 0.000001 to 1000000".into()),
    }
}
