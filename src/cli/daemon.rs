//! Flags of `mailsort daemon`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueHint};

use super::filter::{seconds, size};
use super::{ClassifierFlags, Run, Verbosity, at_least_one};

pub(super) const HELP: &str = "\
Examples:
  mailsort daemon --socket \"$XDG_RUNTIME_DIR/mailsort.sock\" --labels ~/labels.txt --model qwen3-reranker-0.6b
  mailsort filter --socket \"$XDG_RUNTIME_DIR/mailsort.sock\" < mail.eml

  The model is loaded once; `mailsort filter --socket` asks about each message. Only the user
  who started the daemon can connect to the socket. examples/recipes/ has systemd units: with
  socket activation, where --socket is not needed, and without.

Exit status:
  0  stopped by SIGTERM or Ctrl-C, after answering all requests that had come in
  2  could not run: usage, labels, model or socket, or the model's device was lost";

/// `mailsort daemon`.
#[derive(Debug, Args)]
pub struct Daemon {
    /// The socket and its limits.
    #[command(flatten)]
    pub flags: DaemonFlags,
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

/// The socket and its limits.
#[derive(Debug, Args)]
#[command(next_help_heading = "Daemon")]
pub struct DaemonFlags {
    /// Listen on a Unix socket at PATH that only its owner can use [default: the socket passed by systemd]
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub socket: Option<PathBuf>,

    /// Queue at most N messages; refuse more as busy
    #[arg(long, value_name = "N", default_value = "64", value_parser = at_least_one(65_536), allow_negative_numbers = true)]
    pub queue: usize,

    /// Refuse messages longer than SIZE
    #[arg(long, value_name = "SIZE", value_parser = size, default_value = "16M")]
    pub max_size: usize,

    /// Disconnect a client that has not sent its message within SECONDS, or does not read the answer
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "10")]
    pub patience: Duration,
}
