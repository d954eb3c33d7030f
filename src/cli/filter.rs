//! Flags of `mailsort filter`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum, ValueHint};

use super::{Cleaning, LabelFlags, ModelFlags};

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
      is put at the end of the header block, and `set=NAME` behind it where there are several label
      sets, each with a header of its own. Below the threshold it is X-Mailsort-Unsure instead.
      Headers whose names begin so are taken out where they come in; no other byte of the mail is
      touched. A label in another script, or with ; or \" in it, is written as RFC 2047 says
      (=?UTF-8?B?...?=): choose names in ASCII for rules that look at headers, or use --print-label.

Failure:
  A mail that cannot be scored goes out without a header of ours, with status 0 and silence; -v says
  why on stderr. With --fail-closed nothing goes out and the status is 75, which mail systems take
  as \"try again later\".

Exit status:
  0   the mail was written; with --is, it has the label
  1   with --is: it has another label, none, or no verdict
  2   wrong usage
  75  the mail could not be read or written, or with --fail-closed not scored; try again later";

/// `mailsort filter`.
#[derive(Clone, Debug, Args)]
pub struct Filter {
    /// The labels.
    #[command(flatten)]
    pub labels: LabelFlags,

    /// What to do with the answer.
    #[command(flatten)]
    pub passing: Passing,

    /// The model.
    #[command(flatten)]
    pub model: ModelFlags,

    /// How documents are cleaned.
    #[command(flatten)]
    pub cleaning: Cleaning,
}

/// What to do with the answer, and where it comes from.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Filter")]
pub struct Passing {
    /// Write nothing, and end with 0 if the mail has LABEL, with 1 if not
    #[arg(long, value_name = "LABEL")]
    pub is: Option<String>,

    /// Write the label instead of the mail, one line a label set; an empty line where there is none
    #[arg(long, conflicts_with = "is")]
    pub print_label: bool,

    /// Write nothing and end with 75 when a mail cannot be scored, instead of letting it pass as it is
    #[arg(long)]
    pub fail_closed: bool,

    /// Let longer mails pass without scoring them
    #[arg(long, value_name = "SIZE", value_parser = size, default_value = "16M")]
    pub max_size: usize,

    /// Let a mail pass that is not scored within SECONDS
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "8")]
    pub timeout: Duration,

    /// Ask the `mailsort daemon` that listens on PATH, which has its own labels and model
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub socket: Option<PathBuf>,

    /// What to do when nobody answers on the socket
    #[arg(long, value_enum, value_name = "WHAT", default_value = "fail", requires = "socket")]
    pub or_else: OrElse,

    /// Say on stderr why a mail was not scored
    #[arg(short, long)]
    pub verbose: bool,
}

/// What to do when nobody answers on the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OrElse {
    /// As with any mail that cannot be scored
    Fail,
    /// Score it in this process, with the labels and the model of the flags
    Score,
}

/// A number of bytes, with K or M behind it.
pub(super) fn size(text: &str) -> Result<usize, String> {
    let (number, unit) = match text.trim_end_matches(['B', 'b']).strip_suffix(['K', 'k', 'M', 'm']) {
        Some(number) if text.contains(['K', 'k']) => (number, 1 << 10),
        Some(number) => (number, 1 << 20),
        None => (text, 1),
    };
    let size = number.parse().ok().and_then(|number: usize| number.checked_mul(unit));
    size.filter(|size| (1..=MOST).contains(size)).ok_or(format!("not a size up to {}M, as in 512K or 16M", MOST >> 20))
}

/// More than a mail server lets through.
const MOST: usize = 1 << 30;

/// A time that a mail system would wait.
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
