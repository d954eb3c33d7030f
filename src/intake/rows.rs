//! JSON Lines input: one object per line with `text` and optionally `id`, `subject` and `from`.

use serde::Deserialize;
use serde_json::Value;

use super::one_line;
use crate::charset::without_mark;
use crate::record::{Envelope, Reason};

/// The fields that are read; others are ignored.
#[derive(Deserialize)]
struct JsonRow {
    text: Option<String>,
    id: Option<Value>,
    subject: Option<String>,
    from: Option<String>,
}

/// Parses one line.
///
/// # Errors
/// If the line is not a JSON object or has no `text` string.
pub fn parse(line: &[u8]) -> Result<(Envelope, String), Reason> {
    let bad = |why: String| Reason::BadRow(why);
    let line = without_mark(line);
    let row: JsonRow = serde_json::from_slice(line).map_err(|error| bad(message(&error)))?;
    let text = row.text.ok_or_else(|| bad("no `text` field".into()))?;
    // Exports of other programs often have numbers as ids.
    let id = row.id.and_then(|id| match id {
        Value::String(id) => Some(id),
        Value::Number(id) => Some(id.to_string()),
        _ => None,
    });
    let header = |text: Option<String>| text.map(|text| one_line(&text)).filter(|text| !text.is_empty());
    let envelope =
        Envelope { id: header(id), subject: header(row.subject), from: header(row.from), ..Envelope::default() };
    Ok((envelope, text))
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
        assert!(parse(b"\xef\xbb\xbf{\"text\":\"x\"}").is_ok());
        assert!(parse(b"{\"id\":1}").unwrap_err().to_string().contains("no `text` field"));
        assert!(parse(b"not json").is_err());
        assert!(parse(br#"{"text":1}"#).is_err());
    }
}
