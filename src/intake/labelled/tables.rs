//! CSV and TSV with a header row.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Result, bail};
use csv::ByteRecord;
use serde_json::{Map, Value};

use super::row::{BEST_LABEL, SampleRow};
use super::{LabelledOptions, TableRows};
use crate::charset::{self, without_mark};
use crate::intake::open::InputStream;
use crate::intake::source::MAX_DOCUMENT;

/// Separators of columns. Spreadsheets write semicolons where the comma is the decimal point.
const SEPARATORS: [u8; 3] = [b',', b'\t', b';'];

/// The columns that are read besides text and label.
const COLUMNS: [&str; 10] =
    ["path", "subject", "from", "id", "labels", "weight", "source", "index", "score", BEST_LABEL];

/// The rows of a table.
pub(super) struct Cells {
    reader: csv::Reader<RowLimited>,
    /// The name of each column that is read.
    columns: Vec<Option<String>>,
    text: String,
    /// A table of `classify`, in which an apostrophe keeps cells from being formulas.
    is_neutral: bool,
    row: ByteRecord,
    seen: Arc<RowProgress>,
}

/// State shared by the stream of a table and its reader.
#[derive(Default)]
struct RowProgress {
    /// Bytes that the current row may still take.
    room: AtomicUsize,
    /// Quotation marks so far.
    quotes: AtomicUsize,
    /// True after the last byte.
    ended: AtomicBool,
}

/// A stream that fails if a row is too long: an unclosed quotation mark makes the rest of the file one cell.
struct RowLimited {
    stream: InputStream,
    seen: Arc<RowProgress>,
}

impl Read for RowLimited {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.stream.read(buffer)?;
        let RowProgress { room, quotes, ended } = &*self.seen;
        ended.store(read == 0, Ordering::Relaxed);
        quotes.fetch_add(memchr::memchr_iter(b'"', &buffer[..read]).count(), Ordering::Relaxed);
        if room.load(Ordering::Relaxed) < read {
            let longest = MAX_DOCUMENT >> 20;
            return Err(io::Error::other(format!(
                "a row is longer than {longest} MiB; is a quotation mark left open?"
            )));
        }
        room.fetch_sub(read, Ordering::Relaxed);
        Ok(read)
    }
}

/// Reads a table whose first bytes are `head`. Its first row must name a column of labels and one of texts.
pub(super) fn open(stream: InputStream, head: &[u8], options: &LabelledOptions) -> Result<Cells> {
    let head = without_mark(head);
    let names = |separator: u8| header(head, separator);
    let is_named = |names: &[String], name: &str| names.iter().any(|column| column.eq_ignore_ascii_case(name));
    let LabelledOptions { text_field, label_field, .. } = options;
    let fits = |names: &[String]| {
        let text = [text_field, "path", "source"].iter().any(|name| is_named(names, name));
        text && (is_named(names, label_field) || is_named(names, "labels"))
    };
    let Some(separator) = SEPARATORS.into_iter().find(|&separator| fits(&names(separator))) else {
        let most = SEPARATORS.into_iter().map(names).max_by_key(Vec::len).unwrap_or_default();
        let columns: Vec<String> = most.iter().take(12).map(|name| format!("{:?}", clipped(name))).collect();
        bail!(
            "these are no labelled samples: neither JSON Lines, nor a table whose first row names the columns \
             `{text_field}` (or `path`) and `{label_field}`; its first row reads {}. --text-field and --label-field name \
             other columns",
            columns.join(", ")
        );
    };
    let wanted = |column: String| {
        let known = COLUMNS.into_iter().chain([text_field.as_str(), label_field.as_str()]);
        known.into_iter().find(|name| column.eq_ignore_ascii_case(name)).map(String::from)
    };
    let columns: Vec<Option<String>> = names(separator).into_iter().map(wanted).collect();
    let has = |name: &str| columns.iter().flatten().any(|column| column == name);
    let is_neutral = has("source") && has("index") && has(BEST_LABEL);
    let seen = Arc::<RowProgress>::default();
    let mut form = csv::ReaderBuilder::new();
    let reader = form.delimiter(separator).flexible(true).from_reader(RowLimited { stream, seen: seen.clone() });
    let text = text_field.clone();
    Ok(Cells { reader, columns, text, is_neutral, row: ByteRecord::new(), seen })
}

/// A cell without the apostrophe that keeps it from being a formula.
fn risky(cell: String) -> String {
    let begins = |rest: &&str| rest.trim_start().starts_with(['=', '+', '-', '@', '"', '＝', '＋', '－', '＠']);
    cell.strip_prefix('\'').filter(begins).map(String::from).unwrap_or(cell)
}

/// A name cut to the length of a message.
fn clipped(name: &str) -> String {
    name.chars().take(40).collect()
}

fn header(head: &[u8], separator: u8) -> Vec<String> {
    let mut form = csv::ReaderBuilder::new();
    let mut reader = form.delimiter(separator).has_headers(false).from_reader(head);
    let first = reader.byte_records().next().and_then(Result::ok).unwrap_or_default();
    first.iter().map(|name| charset::decode(name).trim().to_string()).collect()
}

impl Cells {
    /// The number of lines that the row from `line` on takes up to the end of the file because of an unclosed
    /// quotation mark. A mark inside a line, as in `5\" pipe`, takes none.
    fn left_open(&self, line: u64) -> Option<u64> {
        let lines = self.reader.position().line().saturating_sub(line + 1);
        let odd = self.seen.quotes.load(Ordering::Relaxed) % 2 == 1;
        (odd && self.seen.ended.load(Ordering::Relaxed) && lines > 0).then_some(lines)
    }
}

impl TableRows for Cells {
    fn next_row(&mut self) -> io::Result<Option<(u64, Result<SampleRow, String>)>> {
        // The reader buffers more than one row.
        self.seen.room.store(MAX_DOCUMENT + 64 * 1024, Ordering::Relaxed);
        let (offset, line) = (self.reader.position().byte(), self.reader.position().line());
        match self.reader.read_byte_record(&mut self.row) {
            Ok(false) => return Ok(None),
            Ok(true) => {}
            Err(error) => {
                return match error.into_kind() {
                    csv::ErrorKind::Io(error) => Err(error),
                    other => Err(io::Error::other(format!("{other:?}"))),
                };
            }
        }
        if let Some(lines) = self.left_open(line) {
            let why = format!(
                "the quotation mark of line {line} is never closed: it and {lines} lines behind it are one row"
            );
            return Ok(Some((offset, Err(why))));
        }
        let mut fields = Map::new();
        for (name, cell) in self.columns.iter().zip(self.row.iter()) {
            if let Some(name) = name.as_ref().filter(|name| !cell.is_empty() || **name == self.text) {
                let cell = charset::decode(cell);
                fields.insert(name.clone(), Value::String(if self.is_neutral { risky(cell) } else { cell }));
            }
        }
        Ok(Some((offset, Ok(SampleRow(fields)))))
    }
}
