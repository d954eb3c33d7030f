//! Flags of the verbs that act on messages by rules.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueHint};

use super::filter::seconds;
use super::{Cleaning, LabelFlags, ModelFlags, Run, Verbosity};

/// What rules are, for the help of these verbs.
pub(super) const RULES: &str = "\
  # rules.toml
  labels = \"labels.txt\"       # beside this file; or classifier = \"mine.json\"
  threshold = 0.5             # below it a mail is unsure
  on-unsure = \"leave\"         # or { folder = \"Unsure\", errors = true }

  [[rule]]
  label = \"invoice\"
  folder = \"Money/Invoices\"

  [[rule]]
  label = \"ticket\"
  exec = [\"create-ticket\", \"--stdin\"]
  folder = \"Done\"             # where it goes if the command ends with 0

Rules:
  At the top, for all rules: labels, classifier, threshold, action, keep-unread, on-unsure,
  layout.
  action = \"move\", \"copy\", \"link\", \"tag\" or \"header\". A tag is a line for `notmuch tag
  --batch` on stdout. A header is what `mailsort filter` writes: the mail stays, or goes to
  the rule's folder, and has an X-Mailsort header then.
  keep-unread = false marks what is filed as seen. layout = \"auto\", \"maildir++\" or \"plain\".
  In a rule: label, set, folder, exec, timeout, retries, threshold, action, keep-unread. There
  is one rule for a label of a set; where mail has labels of several sets, the first rule that
  fits wins. A mail whose label has no rule stays. on-unsure with errors = true is done with
  mail without a verdict too, such as without text. Paths are seen from the file of rules,
  commands from the current folder.";

/// What is known of commands, for the help of these verbs.
pub(super) const COMMANDS: &str = "\
Commands:
  get the mail on stdin, and in the environment MAILSORT_LABEL, _SCORE, _MODEL, _SET, _ID,
  _SUBJECT, _FROM, _SOURCE and _INDEX, without control characters. A mail whose command fails
  stays. One that takes too long is killed with its process group. Its stdout is thrown away,
  and the last line of its stderr is in the message when it fails. One command runs at a time,
  and other mail waits: what takes long should put the mail into a queue of its own and end.
  After three mails in a row for which a command has failed, each further mail of the run is
  given to it once. SIGTERM waits for the command that runs, and for no further try.";

/// By what mail is handled, and how.
#[derive(Debug, Args)]
pub struct Handling {
    /// By which rules.
    #[command(flatten)]
    pub ruling: Ruling,
    /// The labels.
    #[command(flatten)]
    pub labels: LabelFlags,
    /// The model.
    #[command(flatten)]
    pub model: ModelFlags,
    /// How documents are cleaned.
    #[command(flatten)]
    pub cleaning: Cleaning,
    /// Threads.
    #[command(flatten)]
    pub run: Run,
    /// What goes to stderr.
    #[command(flatten)]
    pub verbosity: Verbosity,
}

/// What is done with mail, where, and what is written about it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Filing")]
pub struct Ruling {
    /// What is done with mail of which label, in TOML
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub rules: Option<PathBuf>,

    /// The tree of maildirs in which folders are [default: the first source, if it is a maildir]
    #[arg(long, value_name = "ROOT", value_hint = ValueHint::DirPath)]
    pub into: Option<PathBuf>,

    /// Where to write what is done [default: mailsort-journal.sqlite in ROOT]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub journal: Option<PathBuf>,

    /// Write counters to FILE for the textfile collector of Prometheus
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub metrics: Option<PathBuf>,

    /// Run CMD in a shell for mail of every label whose rule has no `exec`; without --rules, of every label
    #[arg(long, value_name = "CMD")]
    pub exec: Option<String>,

    /// Kill a command that takes longer
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "30")]
    pub exec_timeout: Duration,

    /// Run a command that fails so many times more, after a wait that doubles from time to time
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=20), default_value = "2")]
    pub exec_retries: u32,

    /// The first of these waits
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "1")]
    pub exec_wait: Duration,
}
