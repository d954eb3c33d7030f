//! Stands for `watch` where files have no names of any bytes and cannot be renamed without replacing others.

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::cli::Watch;

/// # Errors
/// Always.
pub(super) fn run(_: &Watch) -> Result<ExitCode> {
    bail!("maildirs are sorted on Unix systems only")
}
