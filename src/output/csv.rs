//! Comma-separated values with a header row, safe to open in a spreadsheet.

use std::io::{self, Write};

use super::columns::{self, Cell, neutral};
use super::{Format, Layout, Records, record_key};
use crate::record::Verdict;

/// For spreadsheets.
pub static FORMAT: Format = Format {
    name: "csv",
    help: "A header row, then one row a document; safe to open in a spreadsheet",
    extensions: &["csv"],
    has_columns: true,
    record_key: Some(|line, header| record_key::of_row(line, header, Some(b','))),
    check: None,
    records: |form, mut out, layout| {
        form.begin(&mut out)?;
        Ok(Box::new(CsvRecords::new(out, form.delimiter, layout)?))
    },
};

/// Writes CSV.
struct CsvRecords<W: Write> {
    out: ::csv::Writer<W>,
    layout: Layout,
}

impl<W: Write> CsvRecords<W> {
    /// Writes to `out`, the header row first.
    ///
    /// # Errors
    /// When the output cannot be written.
    fn new(out: W, delimiter: u8, layout: Layout) -> io::Result<Self> {
        let out = ::csv::WriterBuilder::new().delimiter(delimiter).from_writer(out);
        let mut records = Self { out, layout };
        let names = columns::names(&records.layout);
        records.row(names.into_iter().map(|name| Cell::Text(name.into())))?;
        Ok(records)
    }

    fn row<'a>(&mut self, cells: impl Iterator<Item = Cell<'a>>) -> io::Result<()> {
        for cell in cells {
            match cell {
                Cell::Text(text) => self.out.write_field(neutral(text).as_bytes()),
                Cell::Number(number) => self.out.write_field(number),
                Cell::Figure(figure) => self.out.write_field(figure),
            }
            .map_err(io_error)?;
        }
        self.out.write_record(None::<&[u8]>).map_err(io_error)
    }
}

/// The error underneath, of which the kind matters: a closed pipe is no failure.
fn io_error(error: ::csv::Error) -> io::Error {
    match error.into_kind() {
        ::csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

impl<W: Write> Records for CsvRecords<W> {
    fn write(&mut self, verdict: &Verdict) -> io::Result<()> {
        let cells = columns::cells(verdict, &self.layout);
        self.row(cells.into_iter())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
