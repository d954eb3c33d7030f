//! Workbooks of Excel: the visible sheets, one after another, each with a header row. Only this file knows calamine.
//!
//! A thread reads cells and hands rows on, because the reader of a sheet borrows the workbook. Of a workbook all
//! strings that cells share are in memory, so what an archive may inflate to is bounded before it is opened.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use calamine::{DataRef, ExcelDateTime, Reader, SheetType, SheetVisible, Xlsx};
use serde_json::{Number, Value};
use zip::ZipArchive;

use super::{CheckNames, MAX_COLUMNS, TableRow, distinct, written};
use crate::guard;
use crate::intake::open::InputStream;
use crate::intake::source::MAX_DOCUMENT;

/// The largest workbook, as a file and inflated.
const MAX_FILE: u64 = 256 << 20;
const MAX_INFLATED: u64 = 1 << 30;
/// Parts of an archive.
const MAX_PARTS: usize = 20_000;
/// Rows that are read ahead.
const AHEAD: usize = 64;

/// What the thread hands on.
enum Event {
    Sheet(String),
    /// A row by its number, from 1: cells by their columns.
    Row(u32, Vec<(u32, Value)>),
    Failed(String),
}

/// The rows of a workbook.
pub(in crate::intake) struct Workbook {
    events: Receiver<Event>,
    check: CheckNames,
    sheet: String,
    /// The columns of the current sheet; `None` before its header.
    columns: Option<Vec<(u32, String)>>,
    /// Rows that were looked at before they are read.
    waiting: VecDeque<TableRow>,
    ended: bool,
}

impl Workbook {
    /// Opens a workbook, or one sheet of it.
    ///
    /// # Errors
    /// Where it cannot be read, is too large, or has no such sheet.
    pub(super) fn open(stream: InputStream, sheet: Option<&str>, check: CheckNames) -> io::Result<Self> {
        let file = copied(stream)?;
        is_bounded(&file)?;
        let wanted = sheet.map(String::from);
        let (sender, events) = sync_channel(AHEAD);
        thread::Builder::new().name("workbook".into()).spawn(move || {
            let read = guard::catch(|| read(file, wanted.as_deref(), &sender));
            let failed = read.unwrap_or_else(|why| Err(format!("its reader failed: {why}")));
            if let Err(why) = failed {
                // Nobody listens where the run has ended.
                let _ = sender.send(Event::Failed(why));
            }
        })?;
        Ok(Self { events, check, sheet: String::new(), columns: None, waiting: VecDeque::new(), ended: false })
    }

    /// The columns of the first sheet with rows.
    pub(super) fn first_names(&mut self) -> io::Result<Vec<String>> {
        let first = self.next_row()?;
        self.waiting.extend(first);
        Ok(self.columns.iter().flatten().map(|(_, name)| name.clone()).collect())
    }

    /// The next row; `None` at the end.
    ///
    /// # Errors
    /// Where the workbook cannot be read on.
    pub(super) fn next_row(&mut self) -> io::Result<Option<TableRow>> {
        if let Some(row) = self.waiting.pop_front() {
            return Ok(Some(row));
        }
        while !self.ended {
            match self.events.recv() {
                Err(_) => self.ended = true,
                Ok(Event::Failed(why)) => {
                    self.ended = true;
                    return Err(io::Error::other(why));
                }
                Ok(Event::Sheet(name)) => (self.sheet, self.columns) = (name, None),
                Ok(Event::Row(number, cells)) => {
                    if let Some(row) = self.row(number, cells) {
                        return Ok(Some(row));
                    }
                }
            }
        }
        Ok(None)
    }

    /// One row; `None` for the header, and for the rows of a sheet whose header cannot be used.
    fn row(&mut self, number: u32, cells: Vec<(u32, Value)>) -> Option<TableRow> {
        let Some(columns) = &self.columns else {
            let columns = header(&cells);
            let checked = (self.check)(&columns.iter().map(|(_, name)| name.as_str()).collect::<Vec<_>>());
            self.columns = Some(if checked.is_ok() { columns } else { Vec::new() });
            let bad = checked.err().map(|why| format!("the sheet {:?} has {why}; --sheet names another", self.sheet));
            return bad.map(|why| TableRow { bad: Some(why), ..TableRow::default() });
        };
        if columns.is_empty() {
            return None;
        }
        let mut cells = cells.into_iter().peekable();
        let mut surplus = false;
        let mut found = Vec::with_capacity(columns.len());
        for (at, name) in columns {
            while cells.next_if(|(column, _)| column < at).is_some() {
                surplus = true;
            }
            let cell = cells.next_if(|(column, _)| column == at);
            found.push((name.clone(), cell.map_or(Value::String(String::new()), |(_, value)| value)));
        }
        surplus |= cells.next().is_some();
        let place = format!("row {number} of the sheet {:?}", self.sheet);
        let bad = surplus.then(|| format!("{place} has a cell outside of the columns that its first row names"));
        let length: usize = found.iter().map(|(_, value)| value.as_str().map_or(8, str::len)).sum();
        let bad = bad.or((length > MAX_DOCUMENT).then(|| format!("{place} is longer than {} MiB", MAX_DOCUMENT >> 20)));
        Some(TableRow { offset: 0, cells: found, bad })
    }
}

/// The columns from the first to the last that has a name.
fn header(cells: &[(u32, Value)]) -> Vec<(u32, String)> {
    let (Some((first, _)), Some((last, _))) = (cells.first(), cells.last()) else { return Vec::new() };
    let mut named = cells.iter().peekable();
    let mut name = |column: u32| named.next_if(|(at, _)| *at == column).and_then(|(_, value)| written(value));
    let names = (*first..=*last).map(|column| name(column).unwrap_or_default()).collect();
    (*first..=*last).zip(distinct(names)).collect()
}

/// A file that can be searched, whatever it came from.
fn copied(stream: InputStream) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    if io::copy(&mut stream.take(MAX_FILE + 1), &mut file)? > MAX_FILE {
        return Err(io::Error::other(format!("the workbook is larger than {} MiB; save it as CSV", MAX_FILE >> 20)));
    }
    file.flush()?;
    Ok(file)
}

/// Inflates all parts and drops them: what an archive says of their sizes need not be true.
fn is_bounded(mut file: &File) -> io::Result<()> {
    let no_workbook = |_| io::Error::other("it is no workbook of Excel, or encrypted, or damaged: save it as CSV");
    file.rewind()?;
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(no_workbook)?;
    let too_large =
        || io::Error::other(format!("the workbook inflates to more than {} MiB; save it as CSV", MAX_INFLATED >> 20));
    let damaged = || io::Error::other("the workbook is damaged: open it in Excel and save it as CSV");
    if archive.len() > MAX_PARTS {
        return Err(too_large());
    }
    let mut left = MAX_INFLATED;
    for part in 0..archive.len() {
        let Ok(part) = archive.by_index(part) else { continue };
        let inflated = io::copy(&mut part.take(left + 1), &mut io::sink()).map_err(|_| damaged())?;
        left = left.checked_sub(inflated).ok_or_else(too_large)?;
    }
    Ok(())
}

/// Reads the sheets and hands on their rows; ends early where nobody listens.
fn read(mut file: File, wanted: Option<&str>, events: &SyncSender<Event>) -> Result<(), String> {
    let failed = |error: calamine::XlsxError| format!("the workbook cannot be read: {error}");
    file.rewind().map_err(|error| error.to_string())?;
    let mut workbook = Xlsx::new(BufReader::new(file)).map_err(failed)?;
    let sheets = workbook.sheets_metadata().to_vec();
    let names: Vec<&str> = sheets.iter().map(|sheet| sheet.name.as_str()).collect();
    if wanted.is_some_and(|wanted| !names.contains(&wanted)) {
        return Err(format!("no sheet of that name: its sheets are {}", super::listed(&names)));
    }
    let is_read = |sheet: &&calamine::Sheet| match wanted {
        Some(wanted) => sheet.name == wanted,
        None => sheet.visible == SheetVisible::Visible && sheet.typ == SheetType::WorkSheet,
    };
    for sheet in sheets.iter().filter(is_read) {
        if events.send(Event::Sheet(sheet.name.clone())).is_err() {
            return Ok(());
        }
        let mut reader = workbook.worksheet_cells_reader(&sheet.name).map_err(failed)?;
        let (mut at, mut row, mut length) = (0, Vec::new(), 0);
        while let Some(cell) = reader.next_cell().map_err(failed)? {
            let (number, column) = cell.get_position();
            if column as usize >= MAX_COLUMNS {
                return Err(format!("the sheet {:?} has more than {MAX_COLUMNS} columns", sheet.name));
            }
            if number != at {
                length = 0;
                if !row.is_empty() && events.send(Event::Row(at + 1, std::mem::take(&mut row))).is_err() {
                    return Ok(());
                }
                at = number;
            }
            if let Some(value) = value(cell.get_value()) {
                // Many cells may refer to one long text.
                length += value.as_str().map_or(8, str::len);
                if length > MAX_DOCUMENT {
                    let (row, most) = (number + 1, MAX_DOCUMENT >> 20);
                    return Err(format!("row {row} of the sheet {:?} is longer than {most} MiB", sheet.name));
                }
                row.push((column, value));
            }
        }
        if !row.is_empty() && events.send(Event::Row(at + 1, row)).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// The value of a cell as a person sees it; `None` for an empty one.
fn value(cell: &DataRef<'_>) -> Option<Value> {
    Some(match cell {
        DataRef::Empty => return None,
        DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => Value::from(text.as_str()),
        DataRef::SharedString(text) => Value::from(*text),
        DataRef::Bool(truth) => Value::from(*truth),
        DataRef::Int(number) => Value::from(*number),
        DataRef::Float(number) => figure(*number),
        DataRef::DateTime(date) => Value::from(written_date(date)),
        DataRef::Error(error) => Value::from(error.to_string()),
    })
}

/// A number with the fifteen digits that Excel shows at most.
fn figure(number: f64) -> Value {
    let shown: f64 = format!("{number:.14e}").parse().unwrap_or(number);
    if shown.fract() == 0.0 && shown.abs() < 1e15 {
        return Value::from(shown as i64);
    }
    Number::from_f64(shown).map_or(Value::Null, Value::Number)
}

fn written_date(date: &ExcelDateTime) -> String {
    let (year, month, day, hour, minute, second, _) = date.to_ymd_hms_milli();
    let serial = date.as_f64();
    if date.is_duration() {
        let seconds = (serial * 86_400.0).round() as i64;
        return format!("{}:{:02}:{:02}", seconds / 3600, (seconds / 60).abs() % 60, seconds.abs() % 60);
    }
    match (serial < 1.0, serial.fract() == 0.0) {
        (true, _) => format!("{hour:02}:{minute:02}:{second:02}"),
        (_, true) => format!("{year:04}-{month:02}-{day:02}"),
        _ => format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_dates_are_as_a_person_sees_them() {
        let check = |number: f64, expected: &str| assert_eq!(figure(number).to_string(), expected);
        check(1001.0, "1001");
        check(0.1 + 0.2, "0.3");
        check(-12.5, "-12.5");
        check(f64::NAN, "null");
        let date = |serial: f64, kind| written_date(&ExcelDateTime::new(serial, kind, false));
        assert_eq!(date(45454.0, calamine::ExcelDateTimeType::DateTime), "2024-06-11");
        assert_eq!(date(45454.5, calamine::ExcelDateTimeType::DateTime), "2024-06-11 12:00:00");
        assert_eq!(date(0.75, calamine::ExcelDateTimeType::DateTime), "18:00:00");
        assert_eq!(date(1.5, calamine::ExcelDateTimeType::TimeDelta), "36:00:00");
    }
}
