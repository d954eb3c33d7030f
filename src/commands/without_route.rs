//! Stands for `route` where files have no names of any bytes and cannot be renamed without replacing others.

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::cli::Route;

/// # Errors
/// Always.
pub(super) fn run(_: &Route) -> Result<ExitCode> {
    bail!("maildirs are sorted on Unix systems only")
}
