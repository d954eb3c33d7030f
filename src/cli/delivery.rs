//! Flags that `route` and `watch` share: rules, maildir tree, journal and commands.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueHint};

use super::filter::seconds;
use super::{ClassifierFlags, Run, Verbosity};

/// Help about rules.
pub(super) const RULES: &str = "\
  # rules.toml
  labels = \"labels.txt\"       # next to this file; or classifier = \"mine.json\"
  threshold = 0.5             # below it a message is unsure
  on-unsure = \"leave\"         # or { folder = \"Unsure\", errors = true }

  [[rule]]
  label = \"invoice\"
  folder = \"Money/Invoices\"

  [[rule]]
  label = \"ticket\"
  exec = [\"create-ticket\", \"--stdin\"]
  folder = \"Done\"             # where it goes if the command exits with 0

Rules:
  Keys at the top, for all rules: labels, classifier, threshold, action, keep-unread,
  on-unsure, layout. Keys of a rule: label, set, folder, exec, timeout, retries, threshold,
  action, keep-unread.
  action = \"move\", \"copy\", \"link\", \"tag\" or \"header\". A tag is a line for `notmuch tag
  --batch` on stdout. A header is that of `mailsort filter`; the message stays, or goes to the
  rule's folder.
  keep-unread = false marks filed messages as seen. layout = \"auto\", \"maildir++\" or \"plain\".
  Each label of a set has at most one rule. If several rules match, the first wins. A message
  whose label has no rule stays. on-unsure with errors = true applies to messages without a
  verdict too, such as those without text. Paths are relative to the rules file; commands run
  in the current folder.";

/// Help about commands.
pub(super) const COMMANDS: &str = "\
Commands:
  get the message on stdin and the environment variables MAILSORT_LABEL, _SCORE, _MODEL, _SET,
  _ID, _SUBJECT, _FROM, _SOURCE and _INDEX, without control characters. A message whose
  command fails stays. A command that exceeds its timeout is killed with its process group.
  Stdout is discarded; the last line of stderr is reported after a failure. One command runs
  at a time while other mail waits, so slow work belongs in a queue of its own. After a
  command has failed for three messages in a row, further messages of the run are tried once.
  SIGTERM waits for the running command, but not for a retry.";

/// Flags of `route` and `watch`.
#[derive(Debug, Args)]
pub struct DeliveryFlags {
    /// Rules and journal.
    #[command(flatten)]
    pub filing: FilingFlags,
    /// Labels, model and cleaning.
    #[command(flatten)]
    pub classifier: ClassifierFlags,
    /// Threads.
    #[command(flatten)]
    pub run: Run,
    /// What goes to stderr.
    #[command(flatten)]
    pub verbosity: Verbosity,
}

/// Rules, maildir tree, journal and commands.
#[derive(Debug, Args)]
#[command(next_help_heading = "Filing")]
pub struct FilingFlags {
    /// Rules file (TOML): what is done with messages of each label
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub rules: Option<PathBuf>,

    /// Root of the maildir tree that holds the folders [default: the first source, if it is a maildir]
    #[arg(long, value_name = "ROOT", value_hint = ValueHint::DirPath)]
    pub into: Option<PathBuf>,

    /// Journal of what is done [default: mailsort-journal.sqlite in ROOT]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub journal: Option<PathBuf>,

    /// Write metrics to FILE, for the textfile collector of Prometheus
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub metrics: Option<PathBuf>,

    /// Run CMD in a shell for messages of every label whose rule has no `exec`; without --rules, of every label
    #[arg(long, value_name = "CMD")]
    pub exec: Option<String>,

    /// Kill a command after SECONDS
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "30")]
    pub exec_timeout: Duration,

    /// Retry a failed command up to N times, after a wait that doubles each time
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=20), default_value = "2")]
    pub exec_retries: u32,

    /// Wait before the first retry
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "1")]
    pub exec_wait: Duration,
}
