//! The input that is being read, where it holds several documents: messages of a mailbox, or rows.

use std::io;
use std::sync::Arc;

use super::{MAX_DOCUMENT, Raw, reason, skip};
use crate::charset::without_mark;
use crate::intake::lines::{InputLine, Lines};
use crate::intake::mbox::Mbox;
use crate::intake::open::InputStream;
use crate::intake::rows;
use crate::intake::sniff::SourceFormat;
use crate::intake::tables::{ObjectCells, RowFields, TableForm, TableReader, TableRow};
use crate::record::{Envelope, Origin, Reason, Skip};

/// An input that holds more than one document.
pub(super) enum Many {
    Mbox(Mbox<InputStream>),
    Rows(Lines<InputStream>),
    Table(TableReader),
}

/// The input being read.
pub(super) struct Current {
    source: Arc<str>,
    index: u64,
    many: Many,
    fields: RowFields,
    /// The stream has failed, and is not read on.
    failed: bool,
}

impl Current {
    pub(super) fn new(source: Arc<str>, many: Many, fields: RowFields) -> Self {
        Self { source, index: 0, many, fields, failed: false }
    }

    /// True where the stream has failed; it is not read on.
    pub(super) fn has_failed(&self) -> bool {
        self.failed
    }

    /// What is known of a table before its rows are read; `None` of anything else.
    pub(super) fn form(&mut self) -> Option<Result<TableForm, Skip>> {
        let Many::Table(table) = &mut self.many else { return None };
        let form = table.form();
        Some(form.map_err(|error| self.failure(&error)))
    }

    /// The next document; `None` at the end.
    pub(super) fn next_document(&mut self) -> Option<Result<Raw, Skip>> {
        let read = match &mut self.many {
            Many::Mbox(mbox) => {
                mbox.next_message().map(|m| m.map(|m| (SourceFormat::Mail, m.offset, m.bytes, m.truncated)))
            }
            Many::Rows(lines) if self.fields.are_default() && !self.fields.answers => {
                next_row(lines).map(|l| l.map(|l| (SourceFormat::Jsonl, l.offset, l.bytes, l.cut)))
            }
            Many::Rows(lines) => match next_row(lines) {
                Ok(line) => return line.map(|line| self.row(table_row(line), false)),
                Err(error) => Err(error),
            },
            Many::Table(table) => match table.next_row() {
                Ok(row) => return row.map(|row| self.row(row, true)),
                Err(error) => Err(error),
            },
        };
        match read {
            Ok(None) => None,
            Ok(Some((format, offset, bytes, truncated))) => {
                Some(Ok(Raw { origin: self.next_origin(offset), format, bytes, truncated }))
            }
            Err(error) => Some(Err(self.failure(&error))),
        }
    }

    fn next_origin(&mut self, offset: u64) -> Origin {
        self.index += 1;
        Origin { source: self.source.clone(), index: self.index - 1, offset }
    }

    /// The document of a row, which keeps its cells if `is_table`.
    fn row(&mut self, row: TableRow, is_table: bool) -> Result<Raw, Skip> {
        let origin = self.next_origin(row.offset);
        let read = row.bad.map_or_else(|| self.fields.text_of(&row.cells), Err);
        let kept = if is_table { row.cells } else { Vec::new() };
        let bad = |why: String, row| {
            let envelope = Envelope { row, ..Envelope::default() };
            Skip { origin: origin.clone(), envelope, attachments: Vec::new(), reason: Reason::BadRow(why) }
        };
        match read {
            Ok(mut text) => {
                text.row = kept;
                let bytes = text.into_bytes().map_err(|why| bad(why, Vec::new()))?;
                Ok(Raw { origin, format: SourceFormat::Delimited, bytes, truncated: false })
            }
            Err(why) => Err(bad(why, kept)),
        }
    }

    fn failure(&mut self, error: &io::Error) -> Skip {
        self.failed = true;
        skip(self.next_origin(0), Reason::Unreadable(reason(error)))
    }
}

/// A line of JSON as a row.
pub(in crate::intake) fn table_row(line: InputLine) -> TableRow {
    let InputLine { offset, bytes, cut } = line;
    let bytes = without_mark(&bytes);
    match serde_json::from_slice::<ObjectCells>(bytes) {
        _ if cut => {
            let why = format!("longer than {} MiB", MAX_DOCUMENT >> 20);
            TableRow { offset, cells: Vec::new(), bad: Some(why) }
        }
        Ok(ObjectCells(cells)) => TableRow { offset, cells, bad: None },
        Err(error) => TableRow { offset, cells: Vec::new(), bad: Some(rows::no_json(bytes, &error)) },
    }
}

/// The next line that is not blank.
pub(in crate::intake) fn next_row(lines: &mut Lines<InputStream>) -> io::Result<Option<InputLine>> {
    while let Some(line) = lines.next_line(MAX_DOCUMENT)? {
        if !line.bytes.trim_ascii().is_empty() {
            return Ok(Some(line));
        }
    }
    Ok(None)
}
