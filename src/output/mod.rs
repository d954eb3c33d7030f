//! Verdicts in, bytes out. Only this room writes to standard output.

mod csv;
mod jsonl;
mod target;
mod texts;
mod written;

use std::io::{self, Write};

use anyhow::{Result, bail};
use serde_json::value::RawValue;

use crate::record::{DECIMALS, Verdict};

pub use self::csv::CsvRecords;
pub use jsonl::JsonlRecords;
pub use target::Target;
pub use texts::Texts;
pub use written::{Place, Written};

/// What the records of one run have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Names of the label sets. One set stands at the top of a record, several stand under their names.
    pub sets: Vec<String>,
    /// How many labels each record shows.
    pub top_k: usize,
    /// The model's name.
    pub model: String,
}

/// Writes records in one format.
pub trait Records {
    /// Writes one record.
    ///
    /// # Errors
    /// When the output cannot be written.
    fn write(&mut self, verdict: &Verdict) -> io::Result<()>;

    /// Hands on what is buffered.
    ///
    /// # Errors
    /// When the output cannot be written.
    fn flush(&mut self) -> io::Result<()>;
}

/// The formats of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// One JSON object a line
    Jsonl,
    /// A header row, then one row a document; safe to open in a spreadsheet
    Csv,
}

/// The forms of shown texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum TextFormat {
    /// One JSON object a line
    Jsonl,
    /// For people
    Text,
}

impl Format {
    /// The place that a line written in this format names, behind `header`.
    ///
    /// # Errors
    /// When the line is no such record, or the format does not say which document a line is about.
    pub fn place(self, line: &[u8], header: &[u8]) -> Result<Place> {
        match self {
            Self::Jsonl => written::json_place(line),
            Self::Csv => written::row_place(line, header, b','),
        }
    }

    /// Refuses formats that do not say which document a line is about.
    ///
    /// # Errors
    /// When this is one.
    pub fn check_resumable(self) -> Result<()> {
        match self {
            Self::Jsonl | Self::Csv => Ok(()),
        }
    }
}

impl TextFormat {
    /// As [`Format::place`].
    ///
    /// # Errors
    /// When the line is no such record.
    pub fn place(self, line: &[u8], _: &[u8]) -> Result<Place> {
        written::json_place(line)
    }

    /// As [`Format::check_resumable`].
    ///
    /// # Errors
    /// When the format is for people.
    pub fn check_resumable(self) -> Result<()> {
        match self {
            Self::Jsonl => Ok(()),
            Self::Text => bail!("--resume cannot go on after text; it can with --format jsonl"),
        }
    }
}

/// Makes the writer of `format`; CSV writes its header row at once.
///
/// # Errors
/// When the output cannot be written.
pub fn records<'w, W: Write + 'w>(format: Format, out: W, layout: Layout) -> io::Result<Box<dyn Records + 'w>> {
    Ok(match format {
        Format::Jsonl => Box::new(JsonlRecords::new(out, layout)),
        Format::Csv => Box::new(CsvRecords::new(out, layout)?),
    })
}

/// A score with a fixed number of decimals, never `-0.0000`.
fn decimals(score: f32) -> String {
    let text = format!("{score:.DECIMALS$}");
    match text.strip_prefix('-') {
        Some(rest) if rest.bytes().all(|b| matches!(b, b'0' | b'.')) => rest.to_string(),
        _ => text,
    }
}

/// The same as a JSON number that keeps its zeros.
fn number(score: f32) -> io::Result<Box<RawValue>> {
    RawValue::from_string(decimals(score)).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_have_fixed_decimals() {
        let check = |score: f32, expected: &str| {
            assert_eq!(decimals(score), expected);
            assert_eq!(number(score).unwrap().get(), expected);
        };
        check(1.0, "1.0000");
        check(0.91321, "0.9132");
        check(-0.00001, "0.0000");
        check(-0.1, "-0.1000");
    }
}
