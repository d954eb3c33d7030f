//! Flags of output, on stdout and stderr.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use clap::{ArgAction, Args, ValueHint};

use crate::output;
use crate::report::{Downloads, Level, Progress};
use crate::stream::OutputSpec;

/// Output.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub struct OutputFlags {
    /// The format of the records [default: jsonl, or what the ending of --output says: .csv, .tsv]
    #[arg(short, long, value_enum)]
    format: Option<&'static output::Format>,

    /// Colours of --format table
    #[arg(long, hide_short_help = true, value_enum, default_value = "auto", value_name = "WHEN")]
    color: output::Color,

    /// A prefix of every tag of --format notmuch, such as `sorted/`
    #[arg(
        long,
        hide_short_help = true,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true,
        allow_hyphen_values = true
    )]
    tag_prefix: String,

    /// Where output goes.
    #[command(flatten)]
    pub writing: Writing,
}

impl OutputFlags {
    /// The format of the records: as asked for, or by the file extension of the output.
    pub fn form(&self) -> output::Form {
        let ending = self.writing.output.as_deref().and_then(Path::extension).and_then(OsStr::to_str);
        let format = self.format.or(ending.and_then(output::Format::of_extension)).unwrap_or(&output::JSONL);
        output::Form { format, color: self.color, tag_prefix: self.tag_prefix.clone() }
    }
}

/// Where output goes.
#[derive(Debug, Args)]
pub struct Writing {
    /// Write to FILE, which appears when it is complete, instead of stdout
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,

    /// Continue a stopped run of the same command after its last record
    ///
    /// It goes on after the records that the run has left beside --output FILE, or after an incomplete FILE.
    #[arg(long, requires = "output")]
    pub resume: bool,

    /// What goes to stderr.
    #[command(flatten)]
    pub verbosity: Verbosity,
}

impl Writing {
    /// Where records go.
    pub fn spec(&self) -> OutputSpec {
        OutputSpec { path: self.output.clone(), resume: self.resume }
    }
}

/// Output of texts.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub struct TextFlags {
    /// The output format
    #[arg(short, long, value_enum, default_value = "jsonl")]
    pub format: output::TextFormat,

    /// Also print what cleaning removed, and by which step
    #[arg(long)]
    pub removed: bool,

    /// Where output goes.
    #[command(flatten)]
    pub writing: Writing,
}

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
