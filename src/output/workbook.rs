//! A workbook of Excel: what CSV has, with numbers as numbers and text as text. Only this file knows rust_xlsxwriter.

use std::io::{self, Read, Seek, Write};

use rust_xlsxwriter::{Workbook, Worksheet, XlsxError};

use super::columns::{self, Cell};
use super::{Format, Layout, Records, Sink};
use crate::record::Verdict;

/// For Excel.
pub static FORMAT: Format = Format {
    name: "xlsx",
    help: "A workbook of Excel; give it an --output FILE",
    extensions: &["xlsx"],
    has_columns: true,
    record_key: None,
    check: None,
    records: |_, out, layout| Ok(Box::new(WorkbookRecords::new(out, layout)?)),
};

/// Rows of a sheet, as Excel has at most; the records behind them are on a further sheet.
const MOST_ROWS: u32 = 1_048_576;
/// Characters of a cell, as UTF-16 counts them. A longer text is cut, and says so.
const LONGEST_CELL: usize = 32_767;
const CUT: &str = "… [cut: a cell of Excel holds no more]";

/// Writes a workbook. Rows go to a temporary file, and the archive is made of them at the end.
struct WorkbookRecords {
    out: Sink,
    workbook: Workbook,
    layout: Layout,
    sheet: usize,
    row: u32,
}

impl WorkbookRecords {
    /// Will write to `out`.
    ///
    /// # Errors
    /// When that is a terminal, or there is no temporary file.
    fn new(out: Sink, layout: Layout) -> io::Result<Self> {
        if out.is_terminal() {
            return Err(io::Error::other("a workbook is nothing for a terminal; name a file with --output"));
        }
        let mut records = Self { out, workbook: Workbook::new(), layout, sheet: 0, row: 0 };
        records.begin_sheet()?;
        Ok(records)
    }

    fn begin_sheet(&mut self) -> io::Result<()> {
        let names = columns::names(&self.layout);
        let sheet = self.workbook.add_worksheet_with_constant_memory().map_err(failed)?;
        for (column, name) in names.into_iter().enumerate() {
            put(sheet, 0, column, Cell::Text(name.into()))?;
        }
        self.row = 1;
        Ok(())
    }
}

fn failed(error: XlsxError) -> io::Error {
    io::Error::other(format!("the workbook: {error}"))
}

fn put(sheet: &mut Worksheet, row: u32, column: usize, cell: Cell<'_>) -> io::Result<()> {
    let column = u16::try_from(column).map_err(|_| io::Error::other("a sheet has no room for so many columns"))?;
    let written = match cell {
        Cell::Text(text) if text.is_empty() => return Ok(()),
        Cell::Text(text) => sheet.write_string(row, column, fitting(&text)),
        Cell::Figure(figure) => sheet.write_string(row, column, figure),
        // A number with more digits than a float holds stays text.
        Cell::Number(number) => match number.parse::<f64>() {
            Ok(exact) if number.len() <= 15 => sheet.write_number(row, column, exact),
            _ => sheet.write_string(row, column, number),
        },
    };
    written.map(drop).map_err(failed)
}

/// The text as far as a cell holds it.
fn fitting(text: &str) -> String {
    if text.len() <= LONGEST_CELL || text.encode_utf16().count() <= LONGEST_CELL {
        return text.to_string();
    }
    let mut room = LONGEST_CELL - CUT.encode_utf16().count();
    let fits = |c: &char| {
        let is_room = c.len_utf16() <= room;
        room = room.saturating_sub(c.len_utf16());
        is_room
    };
    text.chars().take_while(fits).collect::<String>() + CUT
}

impl Records for WorkbookRecords {
    fn write(&mut self, verdict: &Verdict) -> io::Result<()> {
        if self.row == MOST_ROWS {
            self.sheet += 1;
            self.begin_sheet()?;
        }
        let sheet = self.workbook.worksheet_from_index(self.sheet).map_err(failed)?;
        for (column, cell) in columns::cells(verdict, &self.layout).into_iter().enumerate() {
            put(sheet, self.row, column, cell)?;
        }
        self.row += 1;
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        let mut archive = tempfile::tempfile()?;
        self.workbook.save_to_writer(&mut archive).map_err(failed)?;
        archive.rewind()?;
        let mut part = vec![0; 64 * 1024];
        loop {
            match archive.read(&mut part)? {
                0 => return self.out.flush(),
                read => self.out.write_all(&part[..read])?,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_and_say_so() {
        assert_eq!(fitting("short"), "short");
        for c in ["x", "会", "👍"] {
            let cut = fitting(&c.repeat(40_000));
            let length = cut.encode_utf16().count();
            assert!(cut.ends_with(CUT) && length <= LONGEST_CELL && length + 2 > LONGEST_CELL, "{c}: {length}");
        }
        assert_eq!(fitting(&"会".repeat(LONGEST_CELL)).chars().count(), LONGEST_CELL);
    }
}
