//! Flags of output, on stdout and stderr.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{ArgAction, Args, ValueHint};

use crate::intake::TableForm;
use crate::intake::sniff::SourceFormat;
use crate::output;
use crate::report::{Downloads, Level, Progress};
use crate::stream::OutputSpec;

/// Output.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub struct OutputFlags {
    /// The format of the records [default: what the ending of --output says, or that of a table that is read, or jsonl]
    #[arg(short, long, value_enum)]
    format: Option<&'static output::Format>,

    /// Begin CSV and TSV with a byte order mark, by which Excel knows UTF-8
    #[arg(long, hide_short_help = true, value_enum, default_value = "auto", value_name = "WHEN")]
    bom: output::Bom,

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
    /// True where the first input has a say in how records are written. It is opened then before the output is, and of
    /// standard input waited for.
    pub fn depends_on_table(&self) -> bool {
        let of_ending = || self.writing.ending().and_then(output::Format::of_extension);
        self.format.or_else(of_ending).is_none_or(|format| format.has_columns)
    }

    /// The format of the records: as asked for, by the file extension of the output, or as the table that is read.
    ///
    /// # Errors
    /// When the extension stands for no format, and none is asked for.
    pub fn form(&self, table: Option<&TableForm>) -> Result<output::Form> {
        let ending = self.writing.ending();
        let format = match (self.format, ending) {
            (Some(format), _) => format,
            (None, Some(ending)) => output::Format::of_extension(ending).with_context(|| {
                let known = output::Format::extensions();
                format!("no format ends in .{ending}; name one with --format, or let --output end in one of {known}")
            })?,
            (None, None) => table.map_or(&output::JSONL, form_of_table),
        };
        let delimiter = table.map(|table| table.delimiter).filter(|delimiter| *delimiter != b'\t').unwrap_or(b',');
        let is_csv = ending.is_some_and(|ending| ending.eq_ignore_ascii_case("csv"));
        let bom = if self.bom == output::Bom::Auto && !is_csv { output::Bom::Off } else { self.bom };
        Ok(output::Form { format, delimiter, bom, color: self.color, tag_prefix: self.tag_prefix.clone() })
    }
}

/// The format in which a table was read.
fn form_of_table(table: &TableForm) -> &'static output::Format {
    match (table.format, table.delimiter) {
        (SourceFormat::Json, _) => &output::JSON,
        (SourceFormat::Delimited, b'\t') => &output::TSV,
        // A workbook is nothing for a pipe.
        _ => &output::CSV,
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
    /// The file extension of the output.
    fn ending(&self) -> Option<&str> {
        self.output.as_deref().and_then(Path::extension).and_then(OsStr::to_str)
    }

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

impl TextFlags {
    /// The format of the texts.
    ///
    /// # Errors
    /// When the output ends as a table does, which this is not.
    pub fn format(&self) -> Result<output::TextFormat> {
        let ending = self.writing.ending().and_then(output::Format::of_extension);
        if let Some(other) = ending.filter(|format| format.name != output::JSONL.name) {
            bail!("show writes jsonl and text, and no {}: let --output end in .jsonl or .txt", other.name);
        }
        Ok(self.format)
    }
}

/// What goes to stderr.
#[derive(Clone, Debug, Args)]
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
