//! Verdicts in, bytes out. Only this room writes to standard output.

mod columns;
mod csv;
pub mod evaluation;
mod jsonl;
pub mod metrics;
mod notmuch;
mod page;
mod partial_file;
mod plans;
mod record_key;
mod resume_reader;
pub mod runs;
mod sink;
mod table;
mod texts;
pub mod trained;
mod tsv;

use std::io;
use std::sync::Arc;

use anyhow::{Result, bail};
use serde_json::value::RawValue;

use crate::record::{DECIMALS, Verdict};

pub use self::csv::CsvRecords;
pub use jsonl::JsonlRecords;
pub use notmuch::NotmuchRecords;
pub use plans::{Plan, Plans};
pub use record_key::{RecordKey, Shown};
pub use resume_reader::ResumeReader;
pub use sink::Sink;
pub use table::TableRecords;
pub use texts::Texts;
pub use tsv::TsvRecords;

/// What the records of one run have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The label sets. One set stands at the top of a record, several stand under their names.
    pub sets: Vec<SetLayout>,
    /// How many labels each record shows.
    pub top_k: usize,
    /// The model's name.
    pub model: String,
}

/// A label set as its records show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetLayout {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: Vec<Arc<str>>,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub enum Format {
    /// One JSON object a line
    Jsonl,
    /// A header row, then one row a document; safe to open in a spreadsheet
    Csv,
    /// The same with tabs between the columns and no quoting, for cut and awk
    Tsv,
    /// For people: one line a document, as wide as the terminal
    Table,
    /// Lines for `notmuch tag --batch`; comments for mails that get no tag
    Notmuch,
}

/// The forms of shown texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextFormat {
    /// One JSON object a line
    Jsonl,
    /// For people
    Text,
}

impl TextFormat {
    /// As [`Format::place`].
    ///
    /// # Errors
    /// When the line is no such record.
    pub fn record_key(self, line: &[u8], _: &[u8]) -> Result<RecordKey> {
        record_key::of_json(line)
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

impl Format {
    /// The format that the ending of a file's name stands for.
    pub fn of_ending(ending: &str) -> Option<Self> {
        let named = [("csv", Self::Csv), ("tsv", Self::Tsv)];
        named.into_iter().find(|(name, _)| ending.eq_ignore_ascii_case(name)).map(|(_, format)| format)
    }

    /// The place that a line written in this format names, behind `header`.
    ///
    /// # Errors
    /// When the line is no such record, or the format does not say which document a line is about.
    pub fn record_key(self, line: &[u8], header: &[u8]) -> Result<RecordKey> {
        match self {
            Self::Jsonl => record_key::of_json(line),
            Self::Csv => record_key::of_row(line, header, Some(b',')),
            Self::Tsv => record_key::of_row(line, header, None),
            Self::Table | Self::Notmuch => bail!("it does not say which document it is about"),
        }
    }

    /// Refuses formats that do not say which document a line is about.
    ///
    /// # Errors
    /// When this is one.
    pub fn check_resumable(self) -> Result<()> {
        match self {
            Self::Jsonl | Self::Csv | Self::Tsv => Ok(()),
            Self::Table | Self::Notmuch => bail!("--resume can go on after the formats jsonl, csv and tsv"),
        }
    }
}

/// When a table has colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// How records are written.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Form {
    /// In which format.
    pub format: Format,
    /// Whether a table has colours.
    pub color: Color,
    /// What stands in front of every label that becomes a notmuch tag.
    pub tag_prefix: String,
}

impl Form {
    /// Refuses what the format cannot hold, before anything is written.
    ///
    /// # Errors
    /// When a label cannot be a notmuch tag.
    pub fn check(&self, layout: &Layout) -> Result<()> {
        match self.format {
            Format::Notmuch => notmuch::check(layout, &self.tag_prefix),
            _ => Ok(()),
        }
    }

    /// Makes the writer of records; a format with a header writes it at once.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn records(&self, out: Sink, layout: Layout) -> io::Result<Box<dyn Records>> {
        Ok(match self.format {
            Format::Jsonl => Box::new(JsonlRecords::new(out, layout)),
            Format::Csv => Box::new(CsvRecords::new(out, layout)?),
            Format::Tsv => Box::new(TsvRecords::new(out, layout)?),
            Format::Table => {
                let page = page::Page::new(out.is_terminal(), self.color);
                Box::new(TableRecords::new(out, &layout, page)?)
            }
            Format::Notmuch => Box::new(NotmuchRecords::new(out, &self.tag_prefix)),
        })
    }
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
