//! Flags of `mailsort watch`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueHint};

use super::filter::seconds;
use super::handling::{COMMANDS, Handling, RULES};

const EXAMPLES: &str = "\
Examples:
  mailsort watch ~/Maildir --rules rules.toml
  mailsort watch ~/Maildir --labels labels.txt --new-only
  mailsort watch ~/Tickets --labels queues.txt --exec 'create-ticket --queue \"$MAILSORT_LABEL\"'

  Without --rules and --exec every mail gets the X-Mailsort headers of `mailsort filter`, and
  stays.";

const REST: &str = "\
Mail that is there already:
  At the first start all mail of the maildirs is sorted, as by `mailsort route`; with
  --new-only it stays as it is. From then on each mail is looked at once, also across
  restarts: what came in while nobody watched is sorted at the next start. What an undo puts
  back is left alone, and so is what rules that were changed meanwhile would treat otherwise;
  `mailsort route` sorts that again.

Journal:
  As with `mailsort route`, which may run beside it: what is about to be done is written down
  first, every mail is there once wherever a run is killed, and `mailsort route ROOT --undo
  RUN` puts back what an hour has done at most. What fails is tried again, at first after a
  minute.

Exit status:
  0  stopped by SIGTERM or Ctrl-C, after finishing what was in hand
  2  could not run: usage, rules, labels, model, journal";

pub(super) fn help() -> String {
    [EXAMPLES, RULES, COMMANDS, REST].join("\n\n")
}

/// `mailsort watch`.
#[derive(Debug, Args)]
pub struct Watch {
    /// What is watched.
    #[command(flatten)]
    pub watching: Watching,
    /// By what mail is handled, and how.
    #[command(flatten)]
    pub handling: Handling,
}

/// What is watched.
#[derive(Debug, Args)]
#[command(next_help_heading = "Watching")]
pub struct Watching {
    /// Maildirs; of each the inbox, and no folder below
    #[arg(value_name = "MAILDIR", required = true, value_hint = ValueHint::DirPath)]
    pub sources: Vec<PathBuf>,

    /// Leave the mail that is there at the first start as it is
    #[arg(long)]
    pub new_only: bool,

    /// List the maildirs every so many seconds, for mail that the system did not tell of
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "60")]
    pub rescan: Duration,
}
