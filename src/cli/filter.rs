//! Flags of `mailsort filter`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum, ValueHint};

use super::ClassifierFlags;

pub(super) const HELP: &str = "\
Examples:
  mailsort filter --labels ~/labels.txt < mail.eml
  mailsort filter --labels ~/labels.txt --is newsletter < mail.eml && echo yes
  mailsort filter --labels ~/labels.txt --print-label < mail.eml
  mailsort filter --socket /run/user/1000/mailsort.sock < mail.eml

  # procmail
  :0fw
  | mailsort filter --labels $HOME/labels.txt

Headers:
  X-Mailsort: invoice; score=0.9132; model=builtin
      is added at the end of the header block. With several label sets there is one header per
      set, ending with `; set=NAME`. Below the threshold the header is X-Mailsort-Unsure instead.
      Incoming headers whose names begin with X-Mailsort are removed; no other byte of the message
      changes. A message that is compressed with gzip is compressed again. A label with non-ASCII characters, `;` or \" is encoded as in RFC 2047
      (=?UTF-8?B?...?=): use ASCII names for mail rules that match the header, or --print-label.

Failure:
  A message that cannot be scored is passed on without a header, with status 0. With --fail-closed
  nothing is written and the status is 75, which mail systems take as \"try again later\". A wrong
  set-up, such as a missing label file, is said on stderr in one line; -v also says what is wrong
  with a message.

Exit status:
  0   the message was written; with --is, it has the label
  1   with --is: it has another label, none, or no verdict
  2   wrong usage
  75  the message could not be read or written or, with --fail-closed, not scored; try again later";

/// `mailsort filter`.
#[derive(Clone, Debug, Args)]
pub struct Filter {
    /// What is written, and what scores.
    #[command(flatten)]
    pub flags: FilterFlags,

    /// Labels, model and cleaning.
    #[command(flatten)]
    pub classifier: ClassifierFlags,
}

/// What is written, and what scores.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Filter")]
pub struct FilterFlags {
    /// Write nothing; exit with 0 if the message has LABEL, else with 1
    #[arg(long, value_name = "LABEL")]
    pub is: Option<String>,

    /// Write the label instead of the message: one line per label set, empty if there is none
    #[arg(long, conflicts_with = "is")]
    pub print_label: bool,

    /// Write nothing and exit with 75 when the message cannot be scored, instead of passing it on unchanged
    #[arg(long)]
    pub fail_closed: bool,

    /// Pass on messages longer than SIZE without scoring them
    #[arg(long, value_name = "SIZE", value_parser = size, default_value = "16M")]
    pub max_size: usize,

    /// Pass on a message that is not scored within SECONDS
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "8")]
    pub timeout: Duration,

    /// Ask the `mailsort serve` that listens on PATH; labels and model are its own
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub socket: Option<PathBuf>,

    /// What to do when the server does not answer
    #[arg(long, value_enum, value_name = "WHAT", default_value = "fail", requires = "socket")]
    pub or_else: OrElse,

    /// Say on stderr why a message was not scored
    #[arg(short, long)]
    pub verbose: bool,
}

/// What to do when the server does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OrElse {
    /// Treat it as a message that cannot be scored
    Fail,
    /// Score it in this process, with the labels and model of the flags
    Score,
}

/// Parses a number of bytes with an optional K or M.
pub(super) fn size(text: &str) -> Result<usize, String> {
    let (number, unit) = match text.trim_end_matches(['B', 'b']).strip_suffix(['K', 'k', 'M', 'm']) {
        Some(number) if text.contains(['K', 'k']) => (number, 1 << 10),
        Some(number) => (number, 1 << 20),
        None => (text, 1),
    };
    let size = number.parse().ok().and_then(|number: usize| number.checked_mul(unit));
    size.filter(|size| (1..=MOST).contains(size)).ok_or(format!("not a size up to {}M, as in 512K or 16M", MOST >> 20))
}

/// Largest size; no mail server accepts longer messages.
const MOST: usize = 1 << 30;

/// Parses a number of seconds, up to a day.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.trim_end_matches('s').parse().ok().filter(|seconds| (0.001..=86_400.0).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or("not a number of seconds up to 86400".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times() {
        assert_eq!(
            (size("512K"), size("16m"), size("1MB"), size("7")),
            (Ok(512 << 10), Ok(16 << 20), Ok(1 << 20), Ok(7))
        );
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for bad in ["", "0", "-1", "x", "99999999999999999999", "2G", "18446744073709551615M"] {
            assert!(size(bad).is_err(), "{bad}");
        }
        assert!(seconds("0").is_err() && seconds("NaN").is_err() && seconds("1e9").is_err());
    }
}
