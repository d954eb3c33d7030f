//! Rows as documents: lines of JSON with `text` and optionally `id`, `subject` and `from`, and rows of tables in a form
//! of ours, which says the same of any table.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::clean::Switches;
use super::mail::Mail;
use super::visible::{self, Rendering, Visible};
use super::{html, one_line, tables};
use crate::charset::without_mark;
use crate::record::{Envelope, Reason};

/// The fields that are read; others are ignored.
#[derive(Deserialize)]
struct JsonRow<'a> {
    text: Option<String>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    subject: Option<String>,
    from: Option<String>,
}

/// A row of a table, with its columns chosen.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct TableText {
    pub(super) texts: Vec<String>,
    pub(super) id: Option<String>,
    pub(super) subject: Option<String>,
    pub(super) from: Option<String>,
    /// All its cells.
    pub(super) row: Vec<(String, Value)>,
    /// True where the subject is a question and the text its answer.
    pub(super) answers: bool,
}

impl TableText {
    /// As the bytes of a raw document.
    pub(super) fn into_bytes(self) -> Result<Vec<u8>, String> {
        serde_json::to_vec(&self).map_err(|error| error.to_string())
    }
}

/// Parses one line.
///
/// # Errors
/// If the line is not a JSON object or has no `text` string.
pub fn parse(line: &[u8]) -> Result<(Envelope, String), Reason> {
    let bad = |why: String| Reason::BadRow(why);
    let line = without_mark(line);
    let row: JsonRow<'_> = serde_json::from_slice(line).map_err(|error| bad(no_json(line, &error)))?;
    let text = row.text.ok_or_else(|| bad("no `text` field; --text-field names another".into()))?;
    // Exports of other programs often have numbers as ids.
    let id = row.id.map(tables::exact).transpose().map_err(|error| bad(message(&error)))?;
    let id = id.and_then(|id| match id {
        Value::String(id) => Some(id),
        Value::Number(id) => Some(id.to_string()),
        _ => None,
    });
    Ok((envelope(id, row.subject, row.from, Vec::new()), text))
}

/// Reads one line of JSON as a document.
pub(super) fn mail(line: &[u8], switches: &Switches) -> Result<Mail, Reason> {
    let (envelope, text) = parse(line)?;
    Ok(Mail { envelope, ..cell(text, &mut Rendering::new(switches)).into() })
}

/// Reads a row of a table, in our form, as a document.
pub(super) fn table_mail(bytes: &[u8], switches: &Switches) -> Result<Mail, Reason> {
    let row: TableText = serde_json::from_slice(bytes).map_err(|error| Reason::BadRow(message(&error)))?;
    let mut rendering = Rendering::new(switches);
    let mut texts = row.texts.into_iter();
    let mut visible = cell(texts.next().unwrap_or_default(), &mut rendering);
    texts.for_each(|text| visible.push(cell(text, &mut rendering)));
    let envelope = envelope(row.id, row.subject, row.from, row.row);
    Ok(Mail { envelope, answers: row.answers, ..visible.into() })
}

/// A text as its reader sees it: rendered where it is the source of a page.
fn cell(text: String, rendering: &mut Rendering<'_>) -> Visible {
    if html::is_source(&text) { rendering.page(&text) } else { visible::text(text) }
}

fn envelope(id: Option<String>, subject: Option<String>, from: Option<String>, row: Vec<(String, Value)>) -> Envelope {
    let header = |text: Option<String>| text.map(|text| one_line(&text)).filter(|text| !text.is_empty());
    Envelope { id: header(id), subject: header(subject), from: header(from), row, ..Envelope::default() }
}

/// Why a line is no row.
pub(super) fn no_json(line: &[u8], error: &serde_json::Error) -> String {
    match std::str::from_utf8(line) {
        Err(_) if !error.is_data() => format!("{}; it is not in UTF-8: --encoding names its charset", message(error)),
        _ => message(error),
    }
}

/// The error and the byte of the row; the library's line number counts within the row, which would mislead.
pub(super) fn message(error: &serde_json::Error) -> String {
    if !error.is_data() {
        return format!("no JSON at column {}", error.column());
    }
    let text = error.to_string();
    text.split(" at line").next().unwrap_or(&text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows() {
        let (envelope, text) = parse(br#"{"text":"x","id":7,"subject":"s","label":"other"}"#).unwrap();
        assert_eq!((envelope.id.as_deref(), envelope.subject.as_deref(), text.as_str()), (Some("7"), Some("s"), "x"));
        let (envelope, _) = parse(br#"{"text":"x","subject":"a\n\u001bb","from":" "}"#).unwrap();
        assert_eq!((envelope.subject.as_deref(), envelope.from), (Some("a b"), None));
        let (envelope, _) = parse(br#"{"text":"x","id":12345678901234567890123}"#).unwrap();
        assert_eq!(envelope.id.as_deref(), Some("12345678901234567890123"));
        assert!(parse(b"\xef\xbb\xbf{\"text\":\"x\"}").is_ok());
        assert!(parse(b"{\"id\":1}").unwrap_err().to_string().contains("no `text` field"));
        assert!(parse(b"not json").is_err());
        assert!(parse(br#"{"text":1}"#).is_err());
        assert!(parse(b"{\"text\":\"\xb8\xba\xc3\xe6\"}").unwrap_err().to_string().contains("--encoding"));
    }

    #[test]
    fn pages_in_rows_are_rendered() {
        let body = |texts: &[&str]| {
            let texts = texts.iter().map(ToString::to_string).collect();
            let bytes = TableText { texts, ..TableText::default() }.into_bytes().unwrap();
            table_mail(&bytes, &Switches::default()).unwrap().body
        };
        assert_eq!(body(&["<p>Please <b>pay</b></p><style>p{}</style>", "a < b"]).trim(), "Please pay\n\na < b");
        assert_eq!(body(&["How do I use <div>?"]), "How do I use <div>?");
        let line = mail(b"{\"text\":\"<div><p>Pay it</p></div>\"}", &Switches::default()).unwrap();
        assert_eq!(line.body.trim(), "Pay it");
    }
}
