//! Stands for `daemon` where there are no Unix sockets.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};

use super::filter::Answer;
use crate::cli::Daemon;

/// As of `daemon/wire.rs`; nobody says any of it here.
pub(super) enum Reply {
    Answer(Answer),
    Unscored(String),
    Refused(String),
}

/// # Errors
/// Always.
pub(super) fn run(_: &Daemon) -> Result<ExitCode> {
    bail!("the daemon listens on a Unix socket, which this system does not have")
}

/// # Errors
/// Always.
pub(super) fn ask(_: &Path, _: &[u8], _: Duration) -> Result<Reply> {
    bail!("--socket is a Unix socket, which this system does not have")
}
