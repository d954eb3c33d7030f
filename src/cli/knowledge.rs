//! Flags of `mailsort index` and `mailsort search`.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValue;
use clap::{Args, ValueEnum, ValueHint};

use super::filter::seconds;
use super::{Cleaning, MOST, ModelFlags, Run, TableFlags, Verbosity, at_least_one};
use crate::knowledge::Mode;
use crate::knowledge::passages::PassageKind;

pub(super) const INDEX_HELP: &str = "\
Examples:
  mailsort index ~/Maildir contracts/ faq.csv --into kb.db
  mailsort index --into kb.db              (what has changed since, in all that was indexed)
  mailsort index --into kb.db --watch
  mailsort index more/ --into kb.db --model deep --reembed
  mailsort index --into kb.db --status

What is indexed:
  Mail without quotes and signatures, contracts clause by clause, tables with the columns
  question and answer, other rows, and all documents that `classify` reads. FILE is one SQLite
  file, which remembers its inputs and the flags by which they are read. Files that have not
  changed are not read again; of files that are gone nothing is left in it.

Exit status:
  0  everything is in the index
  1  finished, but some files or documents cannot be read, or --verify found a fault
  2  could not run: usage, an input, the index or the model";

pub(super) const SEARCH_HELP: &str = "\
Examples:
  mailsort search kb.db 'may the buyer cancel after a late delivery?'
  mailsort search kb.db PO-4471 --keyword --from larderloom --since 2024-01-01
  mailsort search kb.db 'who signs?' --rerank qwen3-reranker-0.6b --rerank-top 20
  mailsort search kb.db --queries questions.jsonl --format jsonl > answers.jsonl
  mailsort search kb.db --bench labelled.jsonl

Scores:
  cosine, keyword rank and the probability of a reranker are shown apart. Only the last is a
  probability.

Exit status:
  0  searched, whether something was found or not
  2  could not run: usage, the index or the model";

/// `mailsort index`.
#[derive(Debug, Args)]
pub struct IndexCommand {
    /// What is read, and where it goes.
    #[command(flatten)]
    pub flags: IndexFlags,
    /// How tables are read.
    #[command(flatten)]
    pub tables: TableFlags,
    /// How documents are cleaned.
    #[command(flatten)]
    pub cleaning: Cleaning,
    /// The model.
    #[command(flatten)]
    pub model: ModelFlags,
    /// Threads.
    #[command(flatten)]
    pub run: Run,
    /// What goes to stderr.
    #[command(flatten)]
    pub verbosity: Verbosity,
}

/// What is read, and where it goes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Index")]
pub struct IndexFlags {
    /// What to read: files, folders, mailboxes, maildirs; together with all that was indexed before
    #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub inputs: Vec<PathBuf>,

    /// The index, which is made where there is none
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub into: PathBuf,

    /// Take an input that was indexed before out of the index; may be given several times
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub forget: Vec<PathBuf>,

    /// Read files by the flags of this run only, and not by those of runs before
    #[arg(long, hide_short_help = true)]
    pub forget_flags: bool,

    /// Take labels of documents from FILE, which `mailsort classify` has written as JSON Lines
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub records: Option<PathBuf>,

    /// Replace the vectors of another model
    #[arg(long)]
    pub reembed: bool,

    /// Search by keywords only: make no vectors
    #[arg(long, conflicts_with = "reembed")]
    pub no_vectors: bool,

    /// Say what is in the index, and change nothing
    #[arg(long, conflicts_with_all = ["inputs", "reembed", "verify", "watch", "forget"])]
    pub status: bool,

    /// Check the index, and change nothing
    #[arg(long, conflicts_with_all = ["inputs", "reembed", "watch", "forget"])]
    pub verify: bool,

    /// Go on until stopped, and look for changes again and again
    #[arg(long)]
    pub watch: bool,

    /// How long --watch waits between two looks
    #[arg(long, hide_short_help = true, value_name = "SECONDS", value_parser = seconds, default_value = "5")]
    pub every: Duration,
}

/// `mailsort search`.
#[derive(Debug, Args)]
pub struct Search {
    /// The index of `mailsort index`
    #[arg(value_name = "INDEX", value_hint = ValueHint::FilePath)]
    pub index: PathBuf,

    /// What to look for
    #[arg(value_name = "QUESTION", required_unless_present_any = ["queries", "bench"], conflicts_with_all = ["queries", "bench"])]
    pub question: Option<String>,

    /// What is searched, and by what.
    #[command(flatten)]
    pub flags: SearchFlags,
    /// The model of the questions.
    #[command(flatten)]
    pub model: ModelFlags,
    /// Threads.
    #[command(flatten)]
    pub run: Run,
    /// What goes to stderr.
    #[command(flatten)]
    pub verbosity: Verbosity,
}

/// What is searched, and by what.
#[derive(Debug, Args)]
#[command(next_help_heading = "Search")]
pub struct SearchFlags {
    /// Search by words only
    #[arg(long, conflicts_with = "semantic")]
    pub keyword: bool,

    /// Search by vectors only
    #[arg(long)]
    pub semantic: bool,

    /// How many passages are shown
    #[arg(short = 'k', long, value_name = "N", default_value = "10", value_parser = at_least_one(MOST), allow_negative_numbers = true)]
    pub top: usize,

    /// Let a reranker put the best passages in order
    #[arg(long, value_name = "MODEL")]
    pub rerank: Option<String>,

    /// How many passages the reranker reads
    #[arg(long, value_name = "N", default_value = "20", requires = "rerank", value_parser = at_least_one(MOST), allow_negative_numbers = true)]
    pub rerank_top: usize,

    /// Only documents whose sender has these words
    #[arg(long, value_name = "WORDS")]
    pub from: Option<String>,

    /// Only documents of this day or later, as 2024-06-17
    #[arg(long, value_name = "DATE", value_parser = day)]
    pub since: Option<i64>,

    /// Only documents before this day
    #[arg(long, value_name = "DATE", value_parser = day)]
    pub until: Option<i64>,

    /// Only documents whose path begins so
    #[arg(long, value_name = "PATH")]
    pub path: Option<String>,

    /// Only documents with this label, where --records brought labels
    #[arg(long, value_name = "LABEL")]
    pub label: Option<String>,

    /// Only documents of this kind
    #[arg(long, value_enum, value_name = "KIND")]
    pub kind: Option<PassageKind>,

    /// Show every passage of a conversation rather than the best
    #[arg(long)]
    pub every_passage: bool,

    /// Say where the order comes from
    #[arg(long)]
    pub explain: bool,

    /// The output format
    #[arg(short, long, value_enum, default_value = "text")]
    pub format: SearchFormat,

    /// Ask the questions of FILE, JSON Lines with `question`; one line of JSON each
    #[arg(long, value_name = "FILE", conflicts_with = "bench", value_hint = ValueHint::FilePath)]
    pub queries: Option<PathBuf>,

    /// Measure with the questions of FILE, JSON Lines with `question` and `answers`, a list of ids
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub bench: Option<PathBuf>,
}

impl SearchFlags {
    /// What is searched by.
    pub fn mode(&self) -> Mode {
        match (self.keyword, self.semantic) {
            (true, _) => Mode::Keyword,
            (_, true) => Mode::Semantic,
            _ => Mode::Hybrid,
        }
    }
}

impl ValueEnum for PassageKind {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let help = match self {
            Self::Mail => "Messages",
            Self::Document => "Texts",
            Self::Faq => "Questions with answers",
            Self::Contract => "Contracts",
        };
        Some(PossibleValue::new(self.name()).help(help))
    }
}

/// Formats of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SearchFormat {
    /// Passages for a terminal
    Text,
    /// One object a question
    Jsonl,
    /// One row a passage
    Csv,
    /// One page
    Html,
}

/// Seconds since 1970 at the beginning of a day.
fn day(text: &str) -> Result<i64, String> {
    crate::intake::mail::day(text).ok_or_else(|| "not a day such as 2024-06-17".into())
}
