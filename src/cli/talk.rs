//! Flags that say how much is said on stderr.

use clap::{ArgAction, Args};

use crate::report::{Level, Progress};

/// What is said beside the output.
#[derive(Debug, Args)]
pub struct Talk {
    /// Say nothing but what ends the run
    #[arg(short, long)]
    pub quiet: bool,

    /// Also name everything that gets no verdict or is left out, and the speed
    #[arg(short, long, action = ArgAction::SetTrue, conflicts_with = "quiet")]
    pub verbose: bool,

    /// Show mails, mails/s and, where it is known, share of the input and time left on stderr; plain lines where it is no
    /// terminal
    #[arg(long, value_enum, default_value = "auto", value_name = "WHEN")]
    pub progress: Progress,
}

impl Talk {
    /// How much is said.
    pub fn level(&self) -> Level {
        match (self.quiet, self.verbose) {
            (true, _) => Level::Quiet,
            (_, true) => Level::Verbose,
            _ => Level::Normal,
        }
    }
}
