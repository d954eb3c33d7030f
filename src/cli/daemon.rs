//! Flags of `mailsort daemon`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueHint};

use super::filter::{seconds, size};
use super::{Cleaning, LabelFlags, ModelFlags, Run, Verbosity, at_least_one};

pub(super) const HELP: &str = "\
Examples:
  mailsort daemon --socket \"$XDG_RUNTIME_DIR/mailsort.sock\" --labels ~/labels.txt --model qwen3-reranker-0.6b
  mailsort filter --socket \"$XDG_RUNTIME_DIR/mailsort.sock\" < mail.eml

  The model is loaded once, and `mailsort filter --socket` asks it about each mail. Only the
  user who started the daemon can reach the socket. examples/recipes/ has units for systemd,
  with the socket opened by systemd (then --socket is not needed) or by the daemon.

Exit status:
  0  stopped by SIGTERM or Ctrl-C, after answering what had come in
  2  could not run: usage, labels, model or socket, or the model's device was lost";

/// `mailsort daemon`.
#[derive(Debug, Args)]
pub struct Daemon {
    /// Where to listen.
    #[command(flatten)]
    pub serving: Serving,
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

/// Where to listen, and how much to take on.
#[derive(Debug, Args)]
#[command(next_help_heading = "Daemon")]
pub struct Serving {
    /// Listen on PATH, a Unix socket that only its owner can use [default: the socket that systemd hands over]
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub socket: Option<PathBuf>,

    /// Let so many mails wait; more are told that the daemon is busy
    #[arg(long, value_name = "N", default_value = "64", value_parser = at_least_one(65_536), allow_negative_numbers = true)]
    pub queue: usize,

    /// Refuse longer mails
    #[arg(long, value_name = "SIZE", value_parser = size, default_value = "16M")]
    pub max_size: usize,

    /// Give up on a client that has not sent its mail within SECONDS, or does not take the answer
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "10")]
    pub patience: Duration,
}
