//! Delimited text: CSV, TSV, and what has semicolons or bars between its cells (RFC 4180, and what spreadsheets write).
//!
//! A record ends where a line ends outside of quotation marks. A mark that is never closed would make the rest of the
//! file one cell, so it damages one line only: that line is an error, and reading goes on behind it.

use std::io;

use serde_json::Value;

use super::{CheckNames, MAX_COLUMNS, TableRow, distinct, fields};
use crate::charset;
use crate::intake::lines::Lines;
use crate::intake::open::InputStream;
use crate::intake::source::MAX_DOCUMENT;

/// What may stand between cells. Spreadsheets write semicolons where the comma is the decimal point.
const DELIMITERS: [u8; 4] = [b',', b'\t', b';', b'|'];

/// A byte that is in no UTF-8.
const NO_DELIMITER: u8 = 0xff;

/// Bytes that may be read again behind marks that are left open; more is no table.
const MOST_READ_AGAIN: u64 = 1 << 30;

/// The column of a table of `classify` that keeps the model's best label when `label` is corrected.
pub(in crate::intake) const BEST_LABEL: &str = "label_1";

/// The rows of a table of text.
pub(in crate::intake) struct Delimited {
    stream: Lines<InputStream>,
    delimiter: u8,
    names: Vec<String>,
    /// The number of the next line, from 1.
    line: u64,
    read_again: u64,
    /// A table of `classify`, in which an apostrophe keeps cells from being formulas.
    is_neutral: bool,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum State {
    /// Before a cell.
    #[default]
    Start,
    /// In a cell without quotation marks.
    Plain,
    Quoted,
    /// Behind a mark in a quoted cell: the end of the cell, or the first of two.
    Closing,
}

/// The scan of one record, which goes on when more bytes are there.
#[derive(Default)]
struct RecordScan {
    state: State,
    at: usize,
    /// Where the first line ends, if the record has gone beyond it.
    first_line: Option<usize>,
}

/// How a scan ends.
#[derive(Debug, PartialEq)]
enum Scanned {
    /// A record of so many bytes with its line end.
    Record(usize),
    /// The mark of the first line is not closed as a cell is.
    Open,
    /// More bytes are needed.
    Unsure,
}

impl RecordScan {
    fn advance(&mut self, bytes: &[u8], ended: bool, delimiter: u8) -> Scanned {
        while self.at < bytes.len() {
            let byte = bytes[self.at];
            match self.state {
                State::Quoted => {
                    let Some(mark) = memchr::memchr(b'"', &bytes[self.at..]) else {
                        self.pass_quoted(bytes, bytes.len());
                        break;
                    };
                    self.pass_quoted(bytes, self.at + mark + 1);
                    self.state = State::Closing;
                    continue;
                }
                State::Closing if byte == b'"' => self.state = State::Quoted,
                State::Start if byte == b'"' => self.state = State::Quoted,
                _ if byte == delimiter => self.state = State::Start,
                _ if byte == b'\n' => return Scanned::Record(self.at + 1),
                _ if byte == b'\r' => match bytes.get(self.at + 1) {
                    Some(b'\n') => return Scanned::Record(self.at + 2),
                    None if !ended => return Scanned::Unsure,
                    _ => return Scanned::Record(self.at + 1),
                },
                // Behind a cell of several lines there is a delimiter or a line end.
                State::Closing if self.first_line.is_some() => return Scanned::Open,
                _ => self.state = State::Plain,
            }
            self.at += 1;
        }
        match self.state {
            _ if !ended => Scanned::Unsure,
            State::Quoted => Scanned::Open,
            _ => Scanned::Record(bytes.len()),
        }
    }

    fn pass_quoted(&mut self, bytes: &[u8], end: usize) {
        if self.first_line.is_none() {
            self.first_line = memchr::memchr2(b'\n', b'\r', &bytes[self.at..end]).map(|at| self.at + at);
        }
        self.at = end;
    }
}

/// The cells of a record, without its line end.
fn cells(record: &[u8], delimiter: u8) -> Vec<Vec<u8>> {
    let record = record.strip_suffix(b"\n").unwrap_or(record);
    let record = record.strip_suffix(b"\r").unwrap_or(record);
    let (mut cells, mut cell, mut state) = (Vec::new(), Vec::new(), State::Start);
    for &byte in record {
        match (state, byte) {
            (State::Start, b'"') => state = State::Quoted,
            (State::Quoted, b'"') => state = State::Closing,
            (State::Closing, b'"') => {
                cell.push(b'"');
                state = State::Quoted;
            }
            (State::Quoted, byte) => cell.push(byte),
            // One more than there may be columns is enough to see that there are too many.
            (_, byte) if byte == delimiter && cells.len() <= MAX_COLUMNS => {
                cells.push(std::mem::take(&mut cell));
                state = State::Start;
            }
            (_, byte) => {
                cell.push(byte);
                state = State::Plain;
            }
        }
    }
    cells.push(cell);
    cells
}

fn text(cell: Vec<u8>) -> String {
    String::from_utf8(cell).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

fn header(record: &[u8], delimiter: u8) -> Vec<String> {
    distinct(cells(record, delimiter).into_iter().map(text).collect())
}

fn is_blank(record: &[u8]) -> bool {
    record.iter().all(|byte| matches!(byte, b'\n' | b'\r'))
}

fn lines_of(record: &[u8]) -> u64 {
    let breaks = memchr::memchr2_iter(b'\n', b'\r', record).count();
    let pairs = memchr::memmem::find_iter(record, b"\r\n").count();
    (breaks - pairs) as u64
}

impl Delimited {
    /// Reads the header. The delimiter is the one with which `check` takes it, or else the one with most columns.
    ///
    /// # Errors
    /// Where the stream cannot be read, or the columns cannot be used.
    pub(super) fn open(stream: InputStream, check: &CheckNames) -> io::Result<Self> {
        let mut table = Self {
            stream: Lines::new(stream),
            delimiter: b',',
            names: Vec::new(),
            line: 1,
            read_again: 0,
            is_neutral: false,
        };
        let given = table.skip_to_header()?;
        let mut best: Option<(bool, Vec<String>, u8, usize)> = None;
        for delimiter in DELIMITERS.into_iter().filter(|delimiter| given.is_none_or(|given| given == *delimiter)) {
            table.delimiter = delimiter;
            let Some(length) = table.scan()?.ok().or(table.first_line()?) else { continue };
            if length == 0 {
                continue;
            }
            let names = header(&table.stream.ahead(length)?.0[..length], delimiter);
            let fits = check(&names.iter().map(String::as_str).collect::<Vec<_>>()).is_ok();
            if best.as_ref().is_none_or(|(is_fit, found, ..)| (fits, names.len()) > (*is_fit, found.len())) {
                best = Some((fits, names, delimiter, length));
            }
        }
        let Some((_, names, delimiter, length)) = best else {
            table.delimiter = NO_DELIMITER;
            return Ok(table);
        };
        if names.len() > MAX_COLUMNS {
            return Err(io::Error::other(format!("the table has more than {MAX_COLUMNS} columns")));
        }
        check(&names.iter().map(String::as_str).collect::<Vec<_>>()).map_err(io::Error::other)?;
        let is_named = |name: &str| names.iter().any(|column| column == name);
        table.is_neutral = is_named("source") && is_named("index") && is_named(BEST_LABEL);
        // In a single column nothing stands between cells, and what looks like it is text.
        table.delimiter = if names.len() == 1 { NO_DELIMITER } else { delimiter };
        table.names = names;
        table.consume(length)?;
        Ok(table)
    }

    /// Passes blank lines, and the line by which Excel is told the delimiter.
    fn skip_to_header(&mut self) -> io::Result<Option<u8>> {
        let mut given = None;
        while let Some(length) = self.first_line()? {
            let line = &self.stream.ahead(length)?.0[..length];
            match line.trim_ascii_end() {
                [b's' | b'S', b'e' | b'E', b'p' | b'P', b'=', delimiter] if given.is_none() => given = Some(*delimiter),
                b"sep=" if given.is_none() => given = Some(b'\t'),
                [] => {}
                _ => break,
            }
            self.consume(length)?;
        }
        Ok(given.filter(|given| DELIMITERS.contains(given)))
    }

    /// What stands between cells; a comma where there is one column.
    pub(super) fn delimiter(&self) -> u8 {
        if self.delimiter == NO_DELIMITER { b',' } else { self.delimiter }
    }

    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    fn consume(&mut self, length: usize) -> io::Result<()> {
        self.line += lines_of(&self.stream.ahead(length)?.0[..length]);
        self.stream.consume(length);
        Ok(())
    }

    /// The length of the next line; `None` at the end.
    fn first_line(&mut self) -> io::Result<Option<usize>> {
        let mut seen = 0;
        loop {
            let (bytes, ended) = self.stream.ahead(seen + 2)?;
            let found = memchr::memchr2(b'\n', b'\r', &bytes[seen..]).map(|at| seen + at);
            match found {
                Some(at) if bytes[at] == b'\r' && bytes.get(at + 1) == Some(&b'\n') => return Ok(Some(at + 2)),
                Some(at) if bytes[at] == b'\r' && at + 1 == bytes.len() && !ended => seen = at,
                Some(at) => return Ok(Some(at + 1)),
                None if ended || bytes.len() > MAX_DOCUMENT => {
                    return Ok(Some(bytes.len()).filter(|length| *length > 0));
                }
                None => seen = bytes.len(),
            }
        }
    }

    /// The length of the next record; an error where its first line has a mark that is left open. 0 at the end.
    fn scan(&mut self) -> io::Result<Result<usize, ()>> {
        let (mut scan, mut wanted) = (RecordScan::default(), 1);
        loop {
            let (bytes, ended) = self.stream.ahead(wanted)?;
            match scan.advance(bytes, ended, self.delimiter) {
                Scanned::Record(length) => return Ok(Ok(length)),
                Scanned::Open => break,
                Scanned::Unsure if bytes.len() > MAX_DOCUMENT => break,
                Scanned::Unsure => wanted = bytes.len() + 1,
            }
        }
        self.count_again(scan.at)?;
        Ok(Err(()))
    }

    fn count_again(&mut self, bytes: usize) -> io::Result<()> {
        self.read_again += bytes as u64;
        if self.read_again > MOST_READ_AGAIN {
            return Err(io::Error::other("its quotation marks are those of no table"));
        }
        Ok(())
    }

    /// The next row that is not blank; `None` at the end.
    ///
    /// # Errors
    /// Where the stream cannot be read.
    pub(super) fn next_row(&mut self) -> io::Result<Option<TableRow>> {
        loop {
            let (offset, line) = (self.stream.offset(), self.line);
            let Ok(length) = self.scan()? else { return self.open_line(offset, line).map(Some) };
            if length == 0 {
                return Ok(None);
            }
            let record = &self.stream.ahead(length)?.0[..length];
            if is_blank(record) {
                self.consume(length)?;
                continue;
            }
            let found = cells(record, self.delimiter);
            if found.len() != self.names.len() && lines_of(record) > 1 && self.hides_rows(length)? {
                self.count_again(length)?;
                return self.open_line(offset, line).map(Some);
            }
            self.consume(length)?;
            return Ok(Some(self.row(offset, line, found)));
        }
    }

    /// True if the second line of a record is a whole row by itself.
    fn hides_rows(&mut self, length: usize) -> io::Result<bool> {
        let first = self.first_line()?.unwrap_or(length);
        let rest = &self.stream.ahead(length)?.0[first..length];
        let mut scan = RecordScan::default();
        Ok(match scan.advance(rest, true, self.delimiter) {
            Scanned::Record(second) => cells(&rest[..second], self.delimiter).len() == self.names.len(),
            _ => false,
        } && self.names.len() > 1)
    }

    /// The line whose mark is left open, as an error.
    fn open_line(&mut self, offset: u64, line: u64) -> io::Result<TableRow> {
        let length = self.first_line()?.unwrap_or(0);
        let cells = cells(&self.stream.ahead(length)?.0[..length], self.delimiter);
        // A line that is too long to be read is passed by up to its end.
        if length > MAX_DOCUMENT {
            self.stream.next_line(0)?;
            self.line += 1;
            let why = format!("line {line} is longer than {} MiB", MAX_DOCUMENT >> 20);
            return Ok(TableRow { offset, cells: Vec::new(), bad: Some(why) });
        }
        self.consume(length)?;
        let why = format!("a quotation mark of line {line} is not closed, or not as a cell ends");
        Ok(TableRow { bad: Some(why), ..self.row(offset, line, cells) })
    }

    fn row(&self, offset: u64, line: u64, found: Vec<Vec<u8>>) -> TableRow {
        let (count, columns) = (found.len(), self.names.len());
        let surplus = found.iter().skip(columns).any(|cell| !cell.trim_ascii().is_empty());
        let bad = surplus.then(|| format!("line {line} has {count} cells, and the first row names {columns} columns"));
        let mut values = found.into_iter().map(|cell| Value::String(self.cell(cell)));
        let cell = |name: &String| (name.clone(), values.next().unwrap_or_default());
        TableRow { offset, cells: self.names.iter().map(cell).collect(), bad }
    }

    fn cell(&self, cell: Vec<u8>) -> String {
        if self.is_neutral { risky(text(cell)) } else { text(cell) }
    }
}

/// A cell without the apostrophe that keeps it from being a formula.
fn risky(cell: String) -> String {
    let begins = |rest: &&str| rest.trim_start().starts_with(['=', '+', '-', '@', '"', '＝', '＋', '－', '＠']);
    cell.strip_prefix('\'').filter(begins).map(String::from).unwrap_or(cell)
}

/// Whether bytes without a telling name look like a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::intake) enum Likeness {
    No,
    Yes,
    /// More bytes are needed.
    Unsure,
}

/// Looks at the first row, which names a column of texts, and the second, which has as many cells. Nothing behind them
/// counts, so that the answer does not depend on how fast a stream comes.
pub(in crate::intake) fn likeness(head: &[u8], is_whole: bool) -> Likeness {
    let head = charset::without_mark(head);
    let line = head.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')).next().unwrap_or_default();
    let ends = line.ends_with(b"\n") || line.ends_with(b"\r");
    if !ends {
        return if is_whole { Likeness::No } else { Likeness::Unsure };
    }
    let is_one = |delimiter: &u8| !is_prose(&cells(line, *delimiter)) && is_header(&header(line, *delimiter));
    let Some(delimiter) = DELIMITERS.into_iter().find(is_one) else {
        return Likeness::No;
    };
    let columns = cells(line, delimiter).len();
    let mut rest = &head[line.len()..];
    while let [b'\n' | b'\r', behind @ ..] = rest {
        rest = behind;
    }
    match RecordScan::default().advance(rest, is_whole, delimiter) {
        Scanned::Record(length) if length > 0 && cells(&rest[..length], delimiter).len() == columns => Likeness::Yes,
        Scanned::Unsure => Likeness::Unsure,
        _ => Likeness::No,
    }
}

/// True for words with a space behind their only comma, and for a row of Markdown, which begins with a bar.
fn is_prose(cells: &[Vec<u8>]) -> bool {
    match cells {
        [_, second] if second.starts_with(b" ") => true,
        [first, ..] => first.trim_ascii().is_empty(),
        [] => true,
    }
}

/// Names of columns, one of them of texts, and no prose.
fn is_header(names: &[String]) -> bool {
    let is_name = |name: &String| {
        name.chars().count() <= 40
            && name.split(' ').count() <= 4
            && !name.contains(['.', '?', '!', ':', '<', '>', '{', '@'])
    };
    names.len() > 1
        && !names[0].starts_with("From ")
        && names.iter().all(is_name)
        && names.iter().any(|name| fields::TEXT.iter().any(|known| name.eq_ignore_ascii_case(known)))
}

#[cfg(test)]
mod tests;
