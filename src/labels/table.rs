//! Label files in CSV: a header row with `name`, `description` and `threshold`, then a label a row.

use anyhow::{Context, Result, bail, ensure};
use csv::{ReaderBuilder, StringRecord};

use super::{Label, LabelSet, visible};

/// What separates the cells.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// A column of a label file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Column {
    Name,
    Description,
    Threshold,
}

impl Column {
    fn of(header: &str) -> Option<Self> {
        match &*visible(header).to_lowercase() {
            "name" | "label" => Some(Self::Name),
            "description" => Some(Self::Description),
            "threshold" => Some(Self::Threshold),
            _ => None,
        }
    }
}

/// The header row with the first delimiter that makes columns of it, as its cells.
fn header(text: &str) -> Option<(u8, StringRecord)> {
    let first = text.lines().find(|line| !visible(line).is_empty())?;
    let cells = |delimiter: &u8| {
        let mut reader = ReaderBuilder::new().delimiter(*delimiter).has_headers(false).from_reader(first.as_bytes());
        let cells = reader.records().next()?.ok()?;
        cells.iter().any(|cell| Column::of(cell) == Some(Column::Name)).then_some((*delimiter, cells))
    };
    DELIMITERS.iter().find_map(cells)
}

/// True where the first line names the columns of a table.
pub(super) fn has_header(text: &str) -> bool {
    header(text).is_some_and(|(_, cells)| cells.len() > 1 && cells.iter().filter_map(Column::of).count() > 1)
}

impl LabelSet {
    /// Parses a table. A file without delimiters and header is a list of names.
    ///
    /// # Errors
    /// When columns are not named, a row is invalid, or as [`LabelSet::from_text`].
    pub fn from_csv(name: String, text: &str) -> Result<Self> {
        let Some((delimiter, header)) = header(text) else {
            let is_list = !text.bytes().any(|byte| DELIMITERS.contains(&byte));
            ensure!(is_list, "line 1: the first line of a table names its columns: name, description, threshold");
            return Self::from_text(name, text);
        };
        let column = |cell: &str| {
            Column::of(cell).with_context(|| {
                format!("line 1: the column {cell:?} is unknown; a label file has the columns name, description and threshold")
            })
        };
        let columns = header.iter().map(column).collect::<Result<Vec<_>>>()?;
        for (at, column) in columns.iter().enumerate() {
            ensure!(!columns[..at].contains(column), "line 1: two columns are called {:?}", &header[at]);
        }
        let mut reader = ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(text.as_bytes());
        let (mut labels, mut lines) = (Vec::new(), Vec::new());
        let is_open = text.bytes().filter(|&byte| byte == b'"').count() % 2 == 1;
        for row in reader.records() {
            let row = row.context("this is no table")?;
            let line = row.position().map_or(0, |position| position.line() as usize);
            if row.iter().all(|cell| visible(cell).is_empty()) {
                continue;
            }
            ensure!(
                !is_open || !row.iter().any(|cell| cell.contains('\n')),
                "line {line}: a quotation mark is left open, so that the lines behind it are one cell"
            );
            labels.push(label(&row, &columns).with_context(|| format!("line {line}"))?);
            lines.push(line);
        }
        Self { name, instruct: None, threshold: None, labels }.checked(&lines)
    }
}

/// The label of a row.
fn label(row: &StringRecord, columns: &[Column]) -> Result<Label> {
    ensure!(
        row.len() <= columns.len(),
        "this row has {} cells, and there are {} columns; a cell that holds the delimiter stands in double quotes",
        row.len(),
        columns.len()
    );
    let cell = |wanted: Column| {
        let at = columns.iter().position(|column| *column == wanted)?;
        row.get(at).map(visible).filter(|cell| !cell.is_empty())
    };
    let description = cell(Column::Description).map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "));
    let threshold = cell(Column::Threshold).map(|text| match text.replace(',', ".").parse::<f32>() {
        Ok(threshold) => Ok(threshold),
        Err(_) => bail!("the threshold {text:?} is no number"),
    });
    let name = cell(Column::Name).unwrap_or_default();
    let label = Label { description, threshold: threshold.transpose()?, ..Label::named(name.into()) };
    label.check()?;
    Ok(label)
}
