//! Tables: delimited text (CSV, TSV, semicolons, bars), JSON arrays, and workbooks of Excel. One reader, for what is
//! classified and for samples.

mod delimited;
mod fields;
mod json;
mod workbook;

use std::io;
use std::sync::Arc;

use serde_json::Value;

use super::open::InputStream;
use super::sniff::SourceFormat;
use delimited::Delimited;
use json::JsonValues;
use workbook::Workbook;

/// Columns of a table, as in Excel.
const MAX_COLUMNS: usize = 16_384;

pub(super) use delimited::{BEST_LABEL, Likeness, likeness};
pub use fields::RowFields;
pub(super) use fields::{listed, written};
pub(super) use json::{ObjectCells, exact, starts_array};

/// Says whether the names of columns are those of a table that can be used; the error says why not.
pub(super) type CheckNames = Arc<dyn Fn(&[&str]) -> Result<(), String> + Send + Sync>;

/// One row: its cells, and why it cannot be used.
#[derive(Debug, Default, PartialEq)]
pub(super) struct TableRow {
    /// Byte offset in the table, 0 in a workbook.
    pub(super) offset: u64,
    /// The names of columns and what stands there. Missing cells are null.
    pub(super) cells: Vec<(String, Value)>,
    /// Why the row cannot be used.
    pub(super) bad: Option<String>,
}

/// A table of any kind.
pub(super) enum TableReader {
    Delimited(Box<Delimited>),
    Json(JsonValues<InputStream>),
    Workbook(Workbook),
}

/// What is known of a table before its rows are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableForm {
    /// Its kind.
    pub format: SourceFormat,
    /// What separates its columns, if it is text.
    pub delimiter: u8,
    /// The names of its columns; of an array those of its first rows, of a workbook those of its first sheet.
    pub columns: Vec<String>,
}

impl TableReader {
    /// Opens a table whose text is UTF-8. `sheet` names one sheet of a workbook.
    ///
    /// # Errors
    /// Where it cannot be read, or its columns cannot be used.
    pub(super) fn open(
        format: SourceFormat,
        stream: InputStream,
        sheet: Option<&str>,
        check: CheckNames,
    ) -> io::Result<Self> {
        Ok(match format {
            SourceFormat::Json => Self::Json(JsonValues::new(stream)),
            SourceFormat::Workbook => Self::Workbook(Workbook::open(stream, sheet, check)?),
            _ => Self::Delimited(Box::new(Delimited::open(stream, &check)?)),
        })
    }

    /// The next row; `None` at the end.
    ///
    /// # Errors
    /// Where the table cannot be read on.
    pub(super) fn next_row(&mut self) -> io::Result<Option<TableRow>> {
        match self {
            Self::Delimited(table) => table.next_row(),
            Self::Json(values) => values.next_row(),
            Self::Workbook(workbook) => workbook.next_row(),
        }
    }

    /// What is known before the rows are read.
    pub(super) fn form(&mut self) -> io::Result<TableForm> {
        Ok(match self {
            Self::Delimited(table) => TableForm {
                format: SourceFormat::Delimited,
                delimiter: table.delimiter(),
                columns: table.names().to_vec(),
            },
            Self::Json(values) => {
                TableForm { format: SourceFormat::Json, delimiter: b',', columns: values.first_names() }
            }
            Self::Workbook(workbook) => {
                TableForm { format: SourceFormat::Workbook, delimiter: b',', columns: workbook.first_names()? }
            }
        })
    }
}

/// Names of columns that are all different and not empty: an empty one is called by its number, a second `x` `x_2`.
fn distinct(names: Vec<String>) -> Vec<String> {
    let mut seen = std::collections::HashMap::<String, usize>::new();
    let mut kept = std::collections::HashSet::new();
    let mut distinct = Vec::with_capacity(names.len());
    for (at, name) in names.into_iter().enumerate() {
        let name = super::one_line(&name);
        let name = if name.is_empty() { format!("column_{}", at + 1) } else { name };
        let count = seen.entry(name.clone()).or_default();
        let mut own = name.clone();
        while *count > 0 || kept.contains(&own) {
            *count += 1;
            own = format!("{name}_{}", *count);
            if !kept.contains(&own) {
                break;
            }
        }
        *count = (*count).max(1);
        kept.insert(own.clone());
        distinct.push(own);
    }
    distinct
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_columns_are_distinct() {
        let names = |names: &[&str]| distinct(names.iter().map(ToString::to_string).collect());
        assert_eq!(names(&["a", "", "a", "a ", "b\nc"]), ["a", "column_2", "a_2", "a_3", "b c"]);
        assert_eq!(names(&["a_2", "a", "a"]), ["a_2", "a", "a_3"]);
        assert_eq!(names(&["x"; 4]), ["x", "x_2", "x_3", "x_4"]);
    }
}
