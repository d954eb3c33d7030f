//! Flags of `mailsort route`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum, ValueHint};

use super::filter::seconds;
use super::{Choosing, Cleaning, Engine, Run, Talk};

pub(super) const HELP: &str = "\
Examples:
  mailsort route ~/Maildir --rules rules.toml --dry-run
  mailsort route ~/Maildir --rules rules.toml
  mailsort route ~/Maildir --undo last
  mailsort route archive.mbox --into ~/Sorted --rules rules.toml
  mailsort route ~/Tickets --labels queues.txt --exec 'create-ticket --queue \"$MAILSORT_LABEL\"'

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
  At the top, for all rules: labels, classifier, threshold, action, keep-unread, on-unsure, layout.
  action = \"move\", \"copy\", \"link\" or \"tag\"; a tag is a line for `notmuch tag --batch` on stdout.
  keep-unread = false marks what is filed as seen. layout = \"auto\", \"maildir++\" or \"plain\".
  In a rule: label, set, folder, exec, timeout, retries, threshold, action, keep-unread. The first
  rule that fits wins; a mail whose label has no rule stays. A rule's threshold wins over all others.

Exactly once:
  What is about to be done is written to a journal first, and what came of it afterwards. A run
  that was killed is settled by the next one; nothing is lost, doubled or written over. What was
  copied, linked, tagged or given to a command is not done again by the same rule; only a command
  that was running when mailsort was killed runs again. One run at a time works on a journal.

Commands:
  get the mail on stdin, and in the environment MAILSORT_LABEL, _SCORE, _MODEL, _SET, _ID, _SUBJECT,
  _FROM, _SOURCE and _INDEX, without control characters. A mail whose command fails stays.

Exit status:
  0   done
  1   done, but some mails have an error: no verdict, a command that failed, a file in the way
  2   could not run: usage, rules, labels, model, journal
  75  another run holds the journal, for longer than --wait
  130, 143  stopped by Ctrl-C or SIGTERM, after finishing what was in hand";

/// `mailsort route`.
#[derive(Debug, Args)]
pub struct Route {
    /// What is sorted, and how.
    #[command(flatten)]
    pub routing: Routing,
    /// What to sort into.
    #[command(flatten)]
    pub choosing: Choosing,
    /// What scores.
    #[command(flatten)]
    pub engine: Engine,
    /// What counts as text.
    #[command(flatten)]
    pub cleaning: Cleaning,
    /// How to run.
    #[command(flatten)]
    pub run: Run,
    /// What to say.
    #[command(flatten)]
    pub talk: Talk,
}

/// What is sorted, and how.
#[derive(Debug, Args)]
#[command(next_help_heading = "Routing")]
pub struct Routing {
    /// Maildirs, of which the inbox is sorted and no folder below; and mailboxes (mbox), which stay as they are while
    /// their mails are copied
    #[arg(value_name = "SOURCE", required_unless_present_any = ["undo", "runs"], value_hint = ValueHint::AnyPath)]
    pub sources: Vec<PathBuf>,

    /// What is done with mail of which label, in TOML
    #[arg(long, value_name = "FILE", required_unless_present_any = ["undo", "runs", "exec"], value_hint = ValueHint::FilePath)]
    pub rules: Option<PathBuf>,

    /// The tree of maildirs in which folders are [default: the first SOURCE, if it is a maildir]
    #[arg(long, value_name = "ROOT", value_hint = ValueHint::DirPath)]
    pub into: Option<PathBuf>,

    /// Change nothing, and write what would be done
    #[arg(long)]
    pub dry_run: bool,

    /// The form of what --dry-run and --runs write
    #[arg(short, long, value_enum, default_value = "table")]
    pub format: PlanFormat,

    /// Where to write what is done [default: mailsort-journal.sqlite in ROOT]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub journal: Option<PathBuf>,

    /// Put back what a run has done: its number, or `last`. Folders that it has made stay
    #[arg(long, value_name = "RUN", value_parser = which_run, conflicts_with_all = ["dry_run", "rules", "exec", "runs"])]
    pub undo: Option<WhichRun>,

    /// List the runs
    #[arg(long, conflicts_with_all = ["dry_run", "rules", "exec"])]
    pub runs: bool,

    /// Wait so many seconds for another run that holds the journal
    #[arg(long, value_name = "SECONDS", value_parser = waiting, default_value = "0")]
    pub wait: Duration,

    /// Write counters to FILE for the textfile collector of Prometheus
    #[arg(long, value_name = "FILE", conflicts_with_all = ["undo", "runs", "dry_run"], value_hint = ValueHint::FilePath)]
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

/// The forms of plans and lists of runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PlanFormat {
    /// For people
    Table,
    /// One JSON object a line
    Jsonl,
}

/// A run of the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhichRun {
    /// The last that has done something which is not undone.
    Last,
    /// By its number.
    Number(i64),
}

fn which_run(text: &str) -> Result<WhichRun, String> {
    match (text, text.parse()) {
        ("last", _) => Ok(WhichRun::Last),
        (_, Ok(number)) if number > 0 => Ok(WhichRun::Number(number)),
        _ => Err("neither the number of a run nor `last`".into()),
    }
}

/// A time to wait, which may be none.
fn waiting(text: &str) -> Result<Duration, String> {
    if text == "0" { Ok(Duration::ZERO) } else { seconds(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_and_times() {
        assert_eq!((which_run("last"), which_run("12")), (Ok(WhichRun::Last), Ok(WhichRun::Number(12))));
        assert!(["", "0", "-1", "first", "1.5"].iter().all(|text| which_run(text).is_err()));
        assert_eq!((waiting("0"), waiting("1.5")), (Ok(Duration::ZERO), Ok(Duration::from_millis(1500))));
        assert!(waiting("-1").is_err());
    }
}
