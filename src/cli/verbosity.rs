//! Flags of messages and progress on stderr.

use clap::{ArgAction, Args};

use crate::report::{Downloads, Level, Progress};

/// What goes to stderr.
#[derive(Debug, Args)]
pub struct Verbosity {
    /// Print nothing but the error that ends the run
    #[arg(short, long)]
    pub quiet: bool,

    /// Also name what gets no verdict or is left out, and print the speed
    #[arg(short, long, action = ArgAction::SetTrue, conflicts_with = "quiet")]
    pub verbose: bool,

    /// Show progress on stderr: a bar on a terminal, plain lines elsewhere
    #[arg(long, value_enum, default_value = "auto", value_name = "WHEN")]
    pub progress: Progress,
}

impl Verbosity {
    /// How downloads are shown.
    pub fn downloads(&self) -> Downloads {
        Downloads::new(self.level(), self.progress)
    }

    /// How much is printed.
    pub fn level(&self) -> Level {
        match (self.quiet, self.verbose) {
            (true, _) => Level::Quiet,
            (_, true) => Level::Verbose,
            _ => Level::Normal,
        }
    }
}
