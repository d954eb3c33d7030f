//! Tab-separated values with a header row and no quoting: the same cells for `cut`, awk and a spreadsheet.

use std::borrow::Cow;
use std::io::{self, Write};

use super::columns::{self, Cell, neutral};
use super::{Format, Layout, Records, record_key};
use crate::record::Verdict;

/// For `cut`, awk and spreadsheets.
pub static FORMAT: Format = Format {
    name: "tsv",
    help: "The same with tabs between the columns and no quoting, for cut and awk",
    extensions: &["tsv", "tab"],
    has_columns: true,
    record_key: Some(|line, header| record_key::of_row(line, header, None)),
    check: None,
    records: |form, mut out, layout| {
        form.begin(&mut out)?;
        Ok(Box::new(TsvRecords::new(out, layout)?))
    },
};

/// Writes TSV. Every tab ends a cell and every line feed ends a row, so a value holds neither.
struct TsvRecords<W> {
    out: W,
    layout: Layout,
}

impl<W: Write> TsvRecords<W> {
    /// Writes to `out`, the header row first.
    ///
    /// # Errors
    /// When the output cannot be written.
    fn new(out: W, layout: Layout) -> io::Result<Self> {
        let mut records = Self { out, layout };
        let names = columns::names(&records.layout);
        records.row(names.into_iter().map(|name| Cell::Text(name.into())))?;
        Ok(records)
    }

    fn row<'a>(&mut self, cells: impl Iterator<Item = Cell<'a>>) -> io::Result<()> {
        for (at, cell) in cells.enumerate() {
            if at > 0 {
                self.out.write_all(b"\t")?;
            }
            match cell {
                Cell::Text(text) => self.out.write_all(plain(text).as_bytes())?,
                Cell::Number(number) => self.out.write_all(number.as_bytes())?,
                Cell::Figure(figure) => self.out.write_all(figure.as_bytes())?,
            }
        }
        self.out.write_all(b"\n")
    }
}

/// A value that every reader takes for the same text. What some reader might take for the end of a cell or row becomes
/// a blank. An escape such as `\t` would be undone by none of them, and would double the backslashes of every path. A
/// cell that begins with a quotation mark gets an apostrophe too: a spreadsheet would read on to the next such mark,
/// over tabs and line ends.
fn plain(text: Cow<'_, str>) -> Cow<'_, str> {
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    let flat = if text.contains(breaks) { text.replace(breaks, " ").into() } else { text };
    if flat.trim_start().starts_with('"') { format!("'{flat}").into() } else { neutral(flat) }
}

impl<W: Write> Records for TsvRecords<W> {
    fn write(&mut self, verdict: &Verdict) -> io::Result<()> {
        let cells = columns::cells(verdict, &self.layout);
        self.row(cells.into_iter())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_breaks_the_form() {
        let check = |cell: &str, expected: &str| assert_eq!(plain(cell.into()), expected);
        check("a\tb\r\nc", "a b  c");
        check("a\u{0}b\u{b}c\u{85}d\u{2028}e", "a b c d e");
        check("\t=1+1", "' =1+1");
        check("\"quoted\" at once", "'\"quoted\" at once");
        check(" \"", "' \"");
        check("he said \"no\"", "he said \"no\"");
        check("C:\\mail\\new", "C:\\mail\\new");
        check("-", "-");
    }
}
