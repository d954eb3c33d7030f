//! Every flag, its help and its validation. No input or output happens here.

mod cache;
mod compare;
mod delivery;
mod eval;
mod filter;
mod generated;
mod knowledge;
mod labelled;
mod labels;
mod mcp;
mod model;
mod models;
mod reading;
mod route;
mod serve;
mod train;
mod values;
mod watch;
mod writing;

use clap::builder::Resettable;
use clap::{Args, Parser, Subcommand};

use crate::classifier::{RankingSpec, Spec};
use crate::intake::office;

pub use cache::{CacheAction, CacheClear, CacheCommand, CacheFormat, CacheLimits, CachePrune, CacheStats};
pub use compare::{Compare, CompareFlags};
pub use delivery::{DeliveryFlags, FilingFlags};
pub use eval::{Bars, Eval, Judging, Reports};
pub use filter::{Filter, FilterFlags, OrElse};
pub use knowledge::{IndexCommand, IndexFlags, Search, SearchFlags, SearchFormat};
pub use labelled::SampleFlags;
pub use labels::{ClassifierFlags, Examples, LabelFlags};
pub use mcp::{Mcp, McpFlags};
pub use model::ModelFlags;
pub use models::{ListForm, ListModels, ModelSource, Models, ModelsVerb, PathModel, PullModels, ShowModel};
pub use reading::{Cleaning, InputFlags, InputFormat, TableFlags};
pub use route::{PlanFormat, Route, RouteFlags, WhichRun};
pub use serve::{Serve, ServeFlags};
pub use train::{Learning, NGramsFlag, Train, TrainOutput};
pub use watch::{Watch, WatchFlags};
pub use writing::{OutputFlags, TextFlags, Verbosity, Writing};

/// Classifies mail and documents against labels in plain words, on this machine.
#[derive(Debug, Parser)]
#[command(name = "mailsort", version, max_term_width = 100, subcommand_required = true, arg_required_else_help = true)]
#[command(after_help = EXIT_STATUS)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// The number of --threads, if given.
    pub fn threads(&self) -> Option<usize> {
        match &self.command {
            Command::Classify(arguments) => arguments.run.threads,
            Command::Eval(arguments) => arguments.run.threads,
            Command::Train(arguments) => arguments.run.threads,
            Command::Serve(arguments) => arguments.run.threads,
            Command::Mcp(arguments) => arguments.run.threads,
            Command::Route(arguments) => arguments.delivery.run.threads,
            Command::Watch(arguments) => arguments.delivery.run.threads,
            Command::Show(arguments) => arguments.threads,
            Command::Compare(arguments) => arguments.run.threads,
            Command::Index(arguments) => arguments.run.threads,
            Command::Search(arguments) => arguments.run.threads,
            _ => None,
        }
    }
}

const EXIT_STATUS: &str = "\
Exit status:
  0  every document got a verdict
  1  finished, but some documents have an `error`, or `eval` missed a bar
  2  could not run: usage, labels, model, input or output
  130, 143  stopped by Ctrl-C or SIGTERM, after finishing what was in hand";

const CLASSIFY_HELP: &str = "\
Examples:
  mailsort classify inbox.mbox --labels labels.txt
  mailsort classify ~/Maildir --labels mail.txt --format csv --output sorted.csv
  mailsort classify mail.eml --label 'invoice: a bill to pay' --label 'meeting: a date to meet'
  find ~/tickets -name '*.eml' -print0 | mailsort classify --files-from - -0 --labels tickets.toml
  cat mail.eml | mailsort classify - --labels queues.toml --labels priority.toml --threshold 0.5

Label files:
  Plain words in any language, one label a line: `name` or `name: description`.
  A file that ends in .toml may also hold `instruct` and `threshold`, and one [[label]] table a
  label with `name`, `description`, `threshold` and `examples`. Models that give vectors, the
  built-in one among them, place a label between its words and its examples; rerankers read
  names and descriptions. `instruct` is for models that take an instruction.";

const MORE_HELP: &str = "`--help` shows all flags, with examples.";

const SHOW_HELP: &str = "\
Examples:
  mailsort show inbox.mbox --format text --removed | less
  mailsort show ~/Maildir | jq -r .body

Fields:
  JSON Lines have `source`, `index`, `id`, `from`, `subject`, `body`, `attachments` and `truncated`,
  with --removed also `removed`: a list of `step` and `text`; without a body there is an `error`.

Steps:
  quotes, forwards, signatures, disclaimers, footers and links, each turned off by its --keep flag;
  html for what a page hides; data for encrypted blocks, uuencoded files and base64, which are never
  read as text.";

/// Of verbs that print no scores of models.
const SHARE_THRESHOLD: &str = "Give no label when the best score is below this, from 0 to 1. A label's own threshold in a \
    TOML file wins over this, and this over the set's";

/// Of verbs that have rules beside.
const ACTED_THRESHOLD: &str = "A mail is unsure when its best score is below this, from 0 to 1. A rule's own threshold wins \
    over a label's own in a TOML file, that over this, this over the threshold at the top of the rules, and that over the set's";

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Score every message against the labels and write one record each
    #[command(after_help = MORE_HELP, after_long_help = format!("{CLASSIFY_HELP}\n\n{EXIT_STATUS}"))]
    Classify(Box<Classify>),

    /// Learn a classifier from labelled samples
    #[command(after_help = format!("{}\n\n{EXIT_STATUS}", train::HELP))]
    #[command(mut_arg("shortlist", |flag| flag.hide(true)), mut_arg("shortlist_model", |flag| flag.hide(true)))]
    Train(Box<Train>),

    /// Evaluate a model and a label set on labelled samples, and fail below a bar
    #[command(after_help = eval::HELP)]
    Eval(Box<Eval>),

    /// Add a header with the label to one message, from stdin to stdout
    #[command(after_help = filter::HELP, mut_arg("threshold", |flag| flag.help(SHARE_THRESHOLD).long_help(Resettable::Reset)))]
    Filter(Box<Filter>),

    /// Serve an HTTP API on this machine, and keep a model loaded for filters
    #[command(after_help = MORE_HELP, after_long_help = serve::HELP)]
    #[command(mut_arg("threshold", |flag| flag.help(SHARE_THRESHOLD).long_help(Resettable::Reset)))]
    Serve(Box<Serve>),

    /// Offer tools to a language model, which classify, show, search and compare (MCP)
    #[command(after_help = MORE_HELP, after_long_help = mcp::HELP)]
    #[command(mut_arg("threshold", |flag| flag.help(SHARE_THRESHOLD).long_help(Resettable::Reset)))]
    Mcp(Box<Mcp>),

    /// Sort a maildir or mailbox into folders by rules, each message exactly once
    #[command(after_help = route::help())]
    #[command(mut_arg("rules", |flag| flag.required_unless_present_any(["undo", "runs", "exec"])))]
    #[command(mut_arg("threshold", |flag| flag.help(ACTED_THRESHOLD).long_help(Resettable::Reset)))]
    Route(Box<Route>),

    /// Watch maildirs, and sort messages as they arrive
    #[command(after_help = watch::help(), mut_arg("threshold", |flag| flag.help(ACTED_THRESHOLD).long_help(Resettable::Reset)))]
    Watch(Box<Watch>),

    /// Print the text of every message as a model sees it, and what cleaning removed
    #[command(after_help = format!("{SHOW_HELP}\n\n{EXIT_STATUS}"))]
    Show(Box<Show>),

    /// Compare two contracts clause by clause: what was changed, moved, added or left out
    #[command(after_help = compare::HELP)]
    Compare(Box<Compare>),

    /// Keep the passages of documents in one file, for `search`
    #[command(after_help = MORE_HELP, after_long_help = knowledge::INDEX_HELP)]
    Index(Box<IndexCommand>),

    /// Find passages of an index that answer a question
    #[command(after_help = MORE_HELP, after_long_help = knowledge::SEARCH_HELP)]
    Search(Box<Search>),

    /// Show or shrink a cache of scores and vectors
    #[command(after_help = cache::HELP, subcommand_required = true, arg_required_else_help = true)]
    Cache(CacheCommand),

    /// List, download and describe models
    #[command(after_help = models::HELP)]
    Models(Models),

    /// Print a shell completion script
    #[command(after_help = COMPLETIONS_HELP)]
    Completions(Completions),

    /// Print a manual page
    #[command(after_help = MAN_HELP)]
    Man(Man),

    /// Read a PDF from stdin and write its text to stdout, as the program asks of itself
    #[command(name = office::CHILD, hide = true)]
    PdfText,
}

const COMPLETIONS_HELP: &str = "\
Examples:
  mailsort completions bash > ~/.local/share/bash-completion/completions/mailsort
  mailsort completions zsh > ~/.zfunc/_mailsort    (with ~/.zfunc in fpath, before compinit)
  mailsort completions fish > ~/.config/fish/completions/mailsort.fish";

const MAN_HELP: &str = "\
Examples:
  mailsort man > ~/.local/share/man/man1/mailsort.1
  mailsort man classify > ~/.local/share/man/man1/mailsort-classify.1";

/// `mailsort completions`.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// `mailsort man`.
#[derive(Debug, Args)]
pub struct Man {
    /// The command to print the page of [default: the page of mailsort]
    pub command: Option<String>,
}

/// `mailsort show`.
#[derive(Debug, Args)]
pub struct Show {
    /// What to read.
    #[command(flatten)]
    pub input: InputFlags,
    /// How documents are cleaned.
    #[command(flatten)]
    pub cleaning: Cleaning,
    /// The output.
    #[command(flatten)]
    pub output: TextFlags,
    /// The number of threads [default: one a core]
    #[arg(long, value_name = "N", value_parser = at_least_one(MOST_THREADS), allow_negative_numbers = true, help_heading = "Running")]
    pub threads: Option<usize>,
}

/// `mailsort classify`.
#[derive(Debug, Args)]
pub struct Classify {
    /// What to read.
    #[command(flatten)]
    pub input: InputFlags,
    /// The labels.
    #[command(flatten)]
    pub ranking: RankingFlags,
    /// The model.
    #[command(flatten)]
    pub model: ModelFlags,
    /// How documents are cleaned.
    #[command(flatten)]
    pub cleaning: Cleaning,
    /// The output.
    #[command(flatten)]
    pub output: OutputFlags,
    /// Threads.
    #[command(flatten)]
    pub run: Run,
}

impl Classify {
    /// The classifier that the flags describe.
    pub fn spec(&self) -> Spec {
        let RankingFlags { labels, top_k, raw_scores } = &self.ranking;
        let ranking = RankingSpec { threshold: labels.threshold, top_k: *top_k, raw_scores: *raw_scores };
        Spec {
            labels: labels.source(self.input.tables.encoding),
            model: self.model.spec(),
            reading: self.cleaning.reading(),
            ranking,
        }
    }
}

/// Label sets, and how they are ranked.
#[derive(Debug, Args)]
#[command(next_help_heading = "Labels")]
pub struct RankingFlags {
    /// The labels.
    #[command(flatten)]
    pub labels: LabelFlags,

    /// How many labels each record shows
    #[arg(short = 'k', long, value_name = "N", default_value = "3", value_parser = at_least_one(MOST), allow_negative_numbers = true)]
    pub top_k: usize,

    /// Print cosines or logits instead of probabilities
    ///
    /// Logits are those of a reranker or a trained classifier. Thresholds are compared with them too.
    #[arg(long, hide_short_help = true)]
    pub raw_scores: bool,
}

/// Resources.
#[derive(Debug, Args)]
#[command(next_help_heading = "Running")]
pub struct Run {
    /// The number of threads [default: one a core]
    #[arg(long, value_name = "N", value_parser = at_least_one(MOST_THREADS), allow_negative_numbers = true)]
    pub threads: Option<usize>,
}

/// The largest count that a flag takes; more is a typing error.
const MOST: u64 = 1_000_000;
const MOST_THREADS: u64 = 256;

fn at_least_one(most: u64) -> impl Fn(&str) -> Result<usize, String> + Clone {
    move |text| match text.parse::<u64>() {
        Ok(count) if (1..=most).contains(&count) => Ok(count as usize),
        _ => Err(format!("not a whole number from 1 to {most}")),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn flags_are_consistent() {
        super::Cli::command().debug_assert();
    }
}
