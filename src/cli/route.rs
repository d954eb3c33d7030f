//! Flags of `mailsort route`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum, ValueHint};

use super::filter::seconds;
use super::handling::{COMMANDS, Handling, RULES};

const EXAMPLES: &str = "\
Examples:
  mailsort route ~/Maildir --rules rules.toml --dry-run
  mailsort route ~/Maildir --rules rules.toml
  mailsort route ~/Maildir --undo last
  mailsort route archive.mbox --into ~/Sorted --rules rules.toml
  mailsort route ~/Tickets --labels queues.txt --exec 'create-ticket --queue \"$MAILSORT_LABEL\"'";

const REST: &str = "\
Exactly once:
  What is about to be done is written to a journal first, and what came of it afterwards. A
  run that was killed is settled by the next one; nothing is lost, doubled or written over.
  What was copied, linked, tagged or given to a command is not done again for that mail and
  label, also not by another command; only one that was running when mailsort was killed runs
  again. One run at a time works on a journal. It belongs to its tree and moves with it; a
  copy of the tree needs another, or none.

Undo:
  puts back what a run of the last half year has done, mail with the flags that it has by
  then. Copies go while their original is there. What a command has done stays. The next run
  does it all again, tags and commands too, unless the rules are others by then. Where headers
  of our name had come with a mail, they are gone, and the mail is kept as it is.

Mailboxes:
  are locked while they are read, and their mails are known again when they were read
  meanwhile.

Exit status:
  0   done
  1   done, but some mails have an error: no verdict, a command that failed, a file in the way
  2   could not run: usage, rules, labels, model, journal
  75  another run holds the journal, for longer than --wait
  130, 143  stopped by Ctrl-C or SIGTERM, after finishing what was in hand";

pub(super) fn help() -> String {
    [EXAMPLES, RULES, COMMANDS, REST].join("\n\n")
}

/// `mailsort route`.
#[derive(Debug, Args)]
pub struct Route {
    /// What is sorted.
    #[command(flatten)]
    pub routing: Routing,
    /// By what, and how.
    #[command(flatten)]
    pub handling: Handling,
}

/// What is sorted.
#[derive(Debug, Args)]
#[command(next_help_heading = "Routing")]
pub struct Routing {
    /// Maildirs, of which the inbox is sorted and no folder below; and mailboxes (mbox), which stay as they are while
    /// their mails are copied
    #[arg(value_name = "SOURCE", required_unless_present_any = ["undo", "runs"], value_hint = ValueHint::AnyPath)]
    pub sources: Vec<PathBuf>,

    /// Change nothing, and write what would be done
    #[arg(long, conflicts_with = "metrics")]
    pub dry_run: bool,

    /// The form of what --dry-run and --runs write
    #[arg(short, long, value_enum, default_value = "table")]
    pub format: PlanFormat,

    /// Put back what a run has done: its number, or `last`. Folders that it has made stay
    #[arg(long, value_name = "RUN", value_parser = which_run, conflicts_with_all = ["dry_run", "rules", "exec", "runs", "metrics"])]
    pub undo: Option<WhichRun>,

    /// List the runs
    #[arg(long, conflicts_with_all = ["dry_run", "rules", "exec", "metrics"])]
    pub runs: bool,

    /// Wait so many seconds for another run that holds the journal
    #[arg(long, value_name = "SECONDS", value_parser = waiting, default_value = "0")]
    pub wait: Duration,
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
