//! Flags of `mailsort watch`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueHint};

use super::delivery::{COMMANDS, DeliveryFlags, RULES};
use super::filter::seconds;

const EXAMPLES: &str = "\
Examples:
  mailsort watch ~/Maildir --rules rules.toml
  mailsort watch ~/Maildir --labels labels.txt --new-only
  mailsort watch ~/Tickets --labels queues.txt --exec 'create-ticket --queue \"$MAILSORT_LABEL\"'

  Without --rules and --exec every message gets the X-Mailsort header of `mailsort filter` and
  stays in its folder.";

const REST: &str = "\
Existing mail:
  The first start sorts all mail of the maildirs, as `mailsort route` does; with --new-only it
  leaves it alone. After that each message is looked at once, even across restarts: mail that
  came while nothing was watching is sorted at the next start. Messages that an undo puts back
  are left alone, and changed rules do not apply to old mail; `mailsort route` sorts it again.

Journal:
  As with `mailsort route`, which may run at the same time: each operation is written to the
  journal first, and a kill at any time neither loses nor duplicates a message. A run in the
  journal lasts at most an hour; `mailsort route ROOT --undo RUN` undoes it. A failed message
  is retried, first after about a minute, then at growing intervals.

Exit status:
  0  stopped by SIGTERM or Ctrl-C, after finishing the current messages
  2  could not run: usage, rules, labels, model, journal";

pub(super) fn help() -> String {
    [EXAMPLES, RULES, COMMANDS, REST].join("\n\n")
}

/// `mailsort watch`.
#[derive(Debug, Args)]
pub struct Watch {
    /// Maildirs.
    #[command(flatten)]
    pub flags: WatchFlags,
    /// Rules, labels and model.
    #[command(flatten)]
    pub delivery: DeliveryFlags,
}

/// Maildirs.
#[derive(Debug, Args)]
#[command(next_help_heading = "Watching")]
pub struct WatchFlags {
    /// Maildirs, without their subfolders
    #[arg(value_name = "MAILDIR", required = true, value_hint = ValueHint::DirPath)]
    pub sources: Vec<PathBuf>,

    /// Leave mail alone that exists at the first start
    #[arg(long)]
    pub new_only: bool,

    /// List the maildirs every SECONDS, to find mail for which the system sent no event
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "60")]
    pub rescan: Duration,
}
