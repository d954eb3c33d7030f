//! Flags of `mailsort route`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum, ValueHint};

use super::delivery::{COMMANDS, DeliveryFlags, RULES};
use super::filter::seconds;

const EXAMPLES: &str = "\
Examples:
  mailsort route ~/Maildir --rules rules.toml --dry-run
  mailsort route ~/Maildir --rules rules.toml
  mailsort route ~/Maildir --undo last
  mailsort route archive.mbox --into ~/Sorted --rules rules.toml
  mailsort route ~/Tickets --labels queues.txt --exec 'create-ticket --queue \"$MAILSORT_LABEL\"'";

const REST: &str = "\
Exactly once:
  Each operation is written to a journal before it is carried out, and its result afterwards.
  After a kill or a crash the next run recovers; no message is lost, duplicated or
  overwritten. A copy, link, tag or command is not repeated for the same message and label,
  not even with another command; only a command that was running during a kill runs again.
  One run at a time uses a journal. The journal belongs to its tree and moves with it; a copy
  of the tree needs a journal of its own, or none.

Undo:
  --undo reverses a run of the last half year. Messages keep the flags that they have by then.
  A copy is removed only while its original exists. What a command has done stays. The next
  run does everything again, tags and commands too, unless the rules have changed. A message
  that had X-Mailsort headers of its own before the run is left as it is.

Mbox files:
  are locked while they are read. A message is recognised even after a mail program has
  changed its status.

Exit status:
  0   done
  1   done, but some messages have an error: no verdict, a failed command, a file in the way
  2   could not run: usage, rules, labels, model, journal
  75  another run holds the journal for longer than --wait
  130, 143  stopped by Ctrl-C or SIGTERM, after finishing the current messages";

pub(super) fn help() -> String {
    [EXAMPLES, RULES, COMMANDS, REST].join("\n\n")
}

/// `mailsort route`.
#[derive(Debug, Args)]
pub struct Route {
    /// Sources and modes.
    #[command(flatten)]
    pub flags: RouteFlags,
    /// Rules, labels and model.
    #[command(flatten)]
    pub delivery: DeliveryFlags,
}

/// Sources and modes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Routing")]
pub struct RouteFlags {
    /// Maildirs, without their subfolders, and mbox files, whose messages are copied and which stay unchanged
    #[arg(value_name = "SOURCE", required_unless_present_any = ["undo", "runs"], value_hint = ValueHint::AnyPath)]
    pub sources: Vec<PathBuf>,

    /// Print what would be done, and change nothing
    #[arg(long, conflicts_with = "metrics")]
    pub dry_run: bool,

    /// Output format of --dry-run and --runs
    #[arg(short, long, value_enum, default_value = "table")]
    pub format: PlanFormat,

    /// Undo a run: its number, or `last`. Folders that it has created stay
    #[arg(long, value_name = "RUN", value_parser = which_run, conflicts_with_all = ["dry_run", "rules", "exec", "runs", "metrics"])]
    pub undo: Option<WhichRun>,

    /// List the runs in the journal
    #[arg(long, conflicts_with_all = ["dry_run", "rules", "exec", "metrics"])]
    pub runs: bool,

    /// Wait up to SECONDS for another run that holds the journal
    #[arg(long, value_name = "SECONDS", value_parser = waiting, default_value = "0")]
    pub wait: Duration,
}

/// Formats of plans and lists of runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PlanFormat {
    /// A table for people
    Table,
    /// JSON Lines: one object per line
    Jsonl,
}

/// A run of the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhichRun {
    /// The last run with something to undo.
    Last,
    /// The run with this number.
    Number(i64),
}

fn which_run(text: &str) -> Result<WhichRun, String> {
    match (text, text.parse()) {
        ("last", _) => Ok(WhichRun::Last),
        (_, Ok(number)) if number > 0 => Ok(WhichRun::Number(number)),
        _ => Err("neither the number of a run nor `last`".into()),
    }
}

/// Parses a number of seconds, or 0.
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
