//! Every flag, its help and its validation. No input or output happens here.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum, ValueHint};

use crate::intake::clean::Switches;
use crate::intake::{MIN_TEXT, Reading, office, sniff};
use crate::output;
use crate::report::{Level, Progress};

/// Classifies mail and documents against labels in plain words, on this machine.
#[derive(Debug, Parser)]
#[command(name = "mailsort", version, max_term_width = 100, subcommand_required = true, arg_required_else_help = true)]
#[command(after_help = EXIT_STATUS)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_STATUS: &str = "\
Exit status:
  0  every document got a verdict
  1  finished, but some documents have an `error`
  2  could not run: usage, labels, input or output
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
  label with `name`, `description`, `threshold` and `examples`. The built-in model reads names and
  descriptions; `instruct` and `examples` are for models that use them.";

const SHOW_HELP: &str = "\
Examples:
  mailsort show inbox.mbox --format text --removed | less
  mailsort show ~/Maildir | jq -r .body

JSON Lines have `source`, `index`, `id`, `from`, `subject`, `body` and `attachments`, with --removed also
`removed`: a list of `step` and `text`. The steps: quotes, forwards, signatures, disclaimers, footers and
links, each turned off by its --keep flag; html for what a page hides; data for encrypted blocks,
uuencoded files and base64, which are never read as text.";

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Score every mail against the labels and write one record each
    #[command(after_help = format!("{CLASSIFY_HELP}\n\n{EXIT_STATUS}"))]
    Classify(Box<Classify>),

    /// Print what a model would see of every mail, and what was cut
    #[command(after_help = format!("{SHOW_HELP}\n\n{EXIT_STATUS}"))]
    Show(Box<Show>),

    /// Print a script that completes the commands and flags of mailsort in a shell
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
    pub input: Input,
    /// What counts as text.
    #[command(flatten)]
    pub cleaning: Cleaning,
    /// What to write.
    #[command(flatten)]
    pub output: Texts,
    /// How many threads work [default: one a core]
    #[arg(long, value_name = "N", value_parser = at_least_one(MOST_THREADS), allow_negative_numbers = true, help_heading = "Running")]
    pub threads: Option<usize>,
}

/// Output of texts.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub struct Texts {
    /// The form of the texts
    #[arg(short, long, value_enum, default_value = "jsonl")]
    pub format: output::TextFormat,

    /// Also print what was cut, and by which step
    #[arg(long)]
    pub removed: bool,

    /// Where to write, and what to say.
    #[command(flatten)]
    pub writing: Writing,
}

/// `mailsort classify`.
#[derive(Debug, Args)]
pub struct Classify {
    /// What to read.
    #[command(flatten)]
    pub input: Input,
    /// What to sort into.
    #[command(flatten)]
    pub labels: Labels,
    /// What counts as text.
    #[command(flatten)]
    pub cleaning: Cleaning,
    /// What to write.
    #[command(flatten)]
    pub output: Output,
    /// How to run.
    #[command(flatten)]
    pub run: Run,
}

/// Inputs.
#[derive(Debug, Args)]
#[command(next_help_heading = "Input", next_display_order = 1)]
pub struct Input {
    /// Mailboxes (mbox), maildirs, folders, mails, HTML, text, PDF, DOCX, JSON Lines, gzip of these; `-` for stdin
    #[arg(value_name = "INPUT", display_order = 0, required_unless_present = "files_from", value_hint = ValueHint::AnyPath)]
    pub inputs: Vec<PathBuf>,

    /// Read the names of inputs from FILE, one a line; `-` for stdin
    #[arg(long, value_name = "FILE", conflicts_with = "inputs", value_hint = ValueHint::FilePath)]
    pub files_from: Option<PathBuf>,

    /// Names in --files-from end with a NUL byte, as from `find -print0`
    #[arg(short = '0', long, requires = "files_from")]
    pub null: bool,

    /// Read every file as this kind instead of telling it from name and bytes
    #[arg(long, value_enum, value_name = "KIND")]
    pub input_format: Option<InputFormat>,

    /// Read the sub-folders of a maildir too; those of other folders are read anyway
    #[arg(long)]
    pub recursive: bool,
}

/// Kinds of input that can be forced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum InputFormat {
    /// Mails one after the other behind `From ` lines
    Mbox,
    /// One mail (RFC 5322)
    Eml,
    /// One HTML page
    Html,
    /// One plain text
    Text,
    /// One JSON object with a `text` field a line
    Jsonl,
    /// One PDF
    Pdf,
    /// One document of a word processor
    Docx,
}

impl From<InputFormat> for sniff::Format {
    fn from(format: InputFormat) -> Self {
        match format {
            InputFormat::Mbox => Self::Mbox,
            InputFormat::Eml => Self::Mail,
            InputFormat::Html => Self::Html,
            InputFormat::Text => Self::Text,
            InputFormat::Jsonl => Self::Jsonl,
            InputFormat::Pdf => Self::Pdf,
            InputFormat::Docx => Self::Docx,
        }
    }
}

/// Label sets.
#[derive(Debug, Args)]
#[command(next_help_heading = "Labels")]
pub struct Labels {
    /// A label file; given several times, each set gives its own verdict in the same record
    #[arg(short = 'l', long = "labels", value_name = "FILE", required_unless_present = "label", value_hint = ValueHint::FilePath)]
    pub files: Vec<PathBuf>,

    /// A label as `name` or `name: description`; may be given several times. Labels given so are a set of their own,
    /// called `label`
    #[arg(long, value_name = "LABEL")]
    pub label: Vec<String>,

    /// How many labels each record shows
    #[arg(short = 'k', long, value_name = "N", default_value = "3", value_parser = at_least_one(MOST), allow_negative_numbers = true)]
    pub top_k: usize,

    /// Give no label when the best score is below this [0 to 1; with --raw-scores -1 to 1]. A label's own threshold in
    /// a TOML file wins over this, and this over the set's
    #[arg(short, long, value_name = "SCORE", value_parser = score, allow_negative_numbers = true)]
    pub threshold: Option<f32>,

    /// Print cosines instead of probabilities; thresholds are compared with them too
    #[arg(long)]
    pub raw_scores: bool,
}

/// More of anything counted on the command line is a slip of the finger.
const MOST: u64 = 1_000_000;
const MOST_THREADS: u64 = 256;

fn at_least_one(most: u64) -> impl Fn(&str) -> Result<usize, String> + Clone {
    move |text| match text.parse::<u64>() {
        Ok(count) if (1..=most).contains(&count) => Ok(count as usize),
        _ => Err(format!("not a whole number from 1 to {most}")),
    }
}

fn score(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(score) if (-1.0..=1.0).contains(&score) => Ok(score),
        _ => Err("not a score: 0 to 1, or -1 to 1 with --raw-scores".into()),
    }
}

/// Cleaning switches.
#[derive(Debug, Args)]
#[command(next_help_heading = "Cleaning")]
pub struct Cleaning {
    /// Use the text as it is; the same as all the --keep flags, but HTML is still rendered
    #[arg(long)]
    pub no_clean: bool,

    /// Keep the markup of HTML and what it hides
    #[arg(long)]
    pub keep_html: bool,

    /// Keep quoted replies
    #[arg(long)]
    pub keep_quotes: bool,

    /// Keep the header lines of forwarded mail
    #[arg(long)]
    pub keep_forwards: bool,

    /// Keep signatures
    #[arg(long)]
    pub keep_signatures: bool,

    /// Keep legal notices
    #[arg(long)]
    pub keep_disclaimers: bool,

    /// Keep footers of mailing lists and newsletters
    #[arg(long)]
    pub keep_footers: bool,

    /// Keep long links whole
    #[arg(long)]
    pub keep_links: bool,

    /// Sort a mail without text in its body (a picture, an encrypted mail) by subject and sender if these hold at least
    /// N letters and digits; with fewer it gets the error `no text`
    #[arg(long, value_name = "N", default_value_t = MIN_TEXT, allow_negative_numbers = true)]
    pub min_text: usize,
}

impl Cleaning {
    /// How documents are read.
    pub fn reading(&self) -> Reading {
        Reading { switches: self.switches(), min_text: self.min_text }
    }

    fn switches(&self) -> Switches {
        let on = |keep: bool| !(keep || self.no_clean);
        Switches {
            quotes: on(self.keep_quotes),
            forwards: on(self.keep_forwards),
            signatures: on(self.keep_signatures),
            disclaimers: on(self.keep_disclaimers),
            footers: on(self.keep_footers),
            links: on(self.keep_links),
            html: !self.keep_html,
        }
    }
}

/// Output.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub struct Output {
    /// The form of the records [default: jsonl, or what the ending of --output says: .csv, .tsv]
    #[arg(short, long, value_enum)]
    format: Option<output::Format>,

    /// Colours of --format table
    #[arg(long, value_enum, default_value = "auto", value_name = "WHEN")]
    color: output::Color,

    /// What stands in front of every tag of --format notmuch, as in `sorted/`
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true, allow_hyphen_values = true)]
    tag_prefix: String,

    /// Where to write, and what to say.
    #[command(flatten)]
    pub writing: Writing,
}

impl Output {
    /// How the records are written: as asked for, or as the ending of the output says.
    pub fn form(&self) -> output::Form {
        let ending = self.writing.output.as_deref().and_then(Path::extension).and_then(OsStr::to_str);
        let format = self.format.or(ending.and_then(output::Format::of_ending)).unwrap_or(output::Format::Jsonl);
        output::Form { format, color: self.color, tag_prefix: self.tag_prefix.clone() }
    }
}

/// Where output goes, and what is said beside it.
#[derive(Debug, Args)]
pub struct Writing {
    /// Write to FILE, which appears when it is complete, instead of stdout
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,

    /// Go on after what a stopped run with the same arguments has written to --output
    #[arg(long, requires = "output")]
    pub resume: bool,

    /// Say nothing but what ends the run
    #[arg(short, long)]
    pub quiet: bool,

    /// Also name every document without a verdict, and the speed
    #[arg(short, long, action = ArgAction::SetTrue, conflicts_with = "quiet")]
    pub verbose: bool,

    /// Show mails, mails/s, share of the input and time left on stderr; plain lines where it is no terminal
    #[arg(long, value_enum, default_value = "auto", value_name = "WHEN")]
    pub progress: Progress,
}

impl Writing {
    /// How much is said.
    pub fn level(&self) -> Level {
        match (self.quiet, self.verbose) {
            (true, _) => Level::Quiet,
            (_, true) => Level::Verbose,
            _ => Level::Normal,
        }
    }
}

/// Resources.
#[derive(Debug, Args)]
#[command(next_help_heading = "Running")]
pub struct Run {
    /// How many tokens of a mail the model sees [default: 512]
    #[arg(long, value_name = "N", value_parser = at_least_one(MOST), allow_negative_numbers = true)]
    pub max_tokens: Option<usize>,

    /// How many threads work [default: one a core]
    #[arg(long, value_name = "N", value_parser = at_least_one(MOST_THREADS), allow_negative_numbers = true)]
    pub threads: Option<usize>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn flags_are_consistent() {
        super::Cli::command().debug_assert();
    }
}
