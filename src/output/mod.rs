//! Verdicts in, bytes out. Only this room writes to standard output.

mod columns;
mod csv;
pub mod evaluation;
mod jsonl;
pub mod metrics;
mod notmuch;
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
mod workbook;

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::{fmt, io};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::charset::BYTE_ORDER_MARK;
use crate::record::{DECIMALS, Verdict};

pub use self::csv::FORMAT as CSV;
pub(crate) use columns::neutral;
pub use jsonl::{ARRAY as JSON, FORMAT as JSONL, json_line};
pub use notmuch::{FORMAT as NOTMUCH, NotmuchRecords};
pub use plans::{PlannedMessage, Plans};
pub use record_key::{RecordKey, Shown};
pub use resume_reader::ResumeReader;
pub use sink::{Sink, without_standard_output};
pub use texts::Texts;
pub use tsv::FORMAT as TSV;
pub use workbook::FORMAT as WORKBOOK;

/// What the records of one run have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The label sets. One set stands at the top of a record, several stand under their names.
    pub sets: Vec<SetLayout>,
    /// How many labels each record shows.
    pub top_k: usize,
    /// The model's name.
    pub model: String,
    /// The columns of the table that is read, if the first input is one.
    pub columns: Vec<String>,
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

    /// Writes what stands behind the last record.
    ///
    /// # Errors
    /// When the output cannot be written.
    fn finish(&mut self) -> io::Result<()> {
        self.flush()
    }
}

/// Reads the key of a record from its line and the header row.
type ReadKey = fn(&[u8], &[u8]) -> Result<RecordKey>;

/// A format of records. Each has a file of its own, which describes it, and a line in [`FORMATS`].
pub struct Format {
    /// Its name on the command line.
    pub name: &'static str,
    /// Its help there.
    pub help: &'static str,
    /// The file name extensions that stand for it.
    extensions: &'static [&'static str],
    /// Rows of a table keep their cells in columns of their own, which are known before the first record.
    pub has_columns: bool,
    /// Tells which document a line is about, from the line and the header row. Without it a run cannot be resumed.
    record_key: Option<ReadKey>,
    /// Refuses labels that it cannot hold.
    check: Option<fn(&Form, &Layout) -> Result<()>>,
    /// Makes the writer. A format with a header writes it at once.
    records: fn(&Form, Sink, Layout) -> io::Result<Box<dyn Records>>,
}

/// The formats of records, in the order of the help.
pub static FORMATS: [&Format; 7] =
    [&jsonl::FORMAT, &jsonl::ARRAY, &csv::FORMAT, &tsv::FORMAT, &workbook::FORMAT, &table::FORMAT, &notmuch::FORMAT];

/// The forms of shown texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub enum TextFormat {
    /// One JSON object a line
    Jsonl,
    /// For people
    Text,
}

impl TextFormat {
    /// As [`Format::record_key`].
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
    /// The format that the extension of a file name stands for.
    pub fn of_extension(extension: &str) -> Option<&'static Self> {
        let is_named = |own: &&str| extension.eq_ignore_ascii_case(own);
        FORMATS.into_iter().find(|format| format.extensions.iter().any(&is_named))
    }

    /// The extensions that stand for a format, as a list to read.
    pub fn extensions() -> String {
        let all: Vec<String> =
            FORMATS.iter().flat_map(|format| format.extensions).map(|extension| format!(".{extension}")).collect();
        all.join(", ")
    }

    /// The key of the record in a line of this format, below `header`.
    ///
    /// # Errors
    /// When the line is no such record, or the format does not say which document a line is about.
    pub fn record_key(&self, line: &[u8], header: &[u8]) -> Result<RecordKey> {
        let read = self.record_key.context("it does not say which document it is about")?;
        read(line, header)
    }

    /// Refuses formats that do not say which document a line is about.
    ///
    /// # Errors
    /// When this is one.
    pub fn check_resumable(&self) -> Result<()> {
        let names: Vec<&str> =
            FORMATS.iter().filter(|other| other.record_key.is_some()).map(|other| other.name).collect();
        let [names @ .., last] = &names[..] else { bail!("--resume can continue no format") };
        ensure!(self.record_key.is_some(), "--resume can go on after the formats {} and {last}", names.join(", "));
        Ok(())
    }
}

impl fmt::Debug for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl serde::Serialize for Format {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name)
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

/// When CSV and TSV begin with a byte order mark, by which Excel knows UTF-8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub enum Bom {
    /// In a file whose text is not ASCII, when it is complete
    #[default]
    Auto,
    /// Always
    On,
    /// Never
    Off,
}

/// How records are written.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Form {
    /// In which format.
    pub format: &'static Format,
    /// What separates the columns of CSV.
    pub delimiter: u8,
    /// Whether CSV and TSV begin with a byte order mark.
    pub bom: Bom,
    /// Whether a table has colours.
    pub color: Color,
    /// What stands in front of every label that becomes a notmuch tag.
    pub tag_prefix: String,
}

impl Form {
    /// Records in a format as it is by itself.
    pub fn new(format: &'static Format, color: Color) -> Self {
        Self { format, delimiter: b',', bom: Bom::Off, color, tag_prefix: String::new() }
    }

    /// Refuses what the format cannot hold, before anything is written.
    ///
    /// # Errors
    /// When the format cannot hold a label.
    pub fn check(&self, layout: &Layout) -> Result<()> {
        self.format.check.map_or(Ok(()), |check| check(self, layout))
    }

    /// Refuses forms that do not say which document a line is about, or whose records are not one line each.
    ///
    /// # Errors
    /// When this is one.
    pub fn check_resumable(&self, columns: &[String]) -> Result<()> {
        self.format.check_resumable()?;
        let has_cells = self.format.has_columns && !columns.is_empty();
        ensure!(
            !has_cells,
            "--resume cannot go on after {} of a table, whose cells may hold line ends; it can with --format jsonl",
            self.format.name
        );
        Ok(())
    }

    /// Why the cells of a row have no place beside its record, where the columns are those of another table.
    pub fn misfit(&self, columns: &[String], row: &[(String, Value)]) -> Option<String> {
        if !self.format.has_columns {
            return None;
        }
        let is_lost =
            |name: &str, value: &Value| !value.is_null() && value != "" && !columns.iter().any(|own| own == name);
        // The columns of one table are in one order.
        let is_same = columns.len() == row.len() && columns.iter().zip(row).all(|(own, (name, _))| own == name);
        let (name, _) = row.iter().filter(|_| !is_same).find(|(name, value)| is_lost(name, value))?;
        Some(format!(
            "its column {name:?} is none of the columns of the first input: classify its table by itself, or with --format \
             jsonl"
        ))
    }

    /// Writes the byte order mark, or has it written where it turns out to be needed.
    fn begin(&self, out: &mut Sink) -> io::Result<()> {
        match self.bom {
            Bom::On => out.write_all(BYTE_ORDER_MARK),
            Bom::Auto => {
                out.mark_at_end();
                Ok(())
            }
            Bom::Off => Ok(()),
        }
    }

    /// Makes the writer of records; a format with a header writes it at once.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn records(&self, out: Sink, layout: Layout) -> io::Result<Box<dyn Records>> {
        (self.format.records)(self, out, layout)
    }
}

/// The folder that a file is in.
fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
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
