//! Whole documents through `intake::read`, whatever their kind.

use mailsort::charset;
use mailsort::intake::clean::Switches;
use mailsort::intake::sniff::{self, SourceFormat};
use mailsort::intake::{self, Raw, Reading, rows};
use mailsort::record::{Document, Envelope, Intake, Origin, Reason};

/// A document gets longer only by decoding, list numbers and the like. Anything beyond this many bytes a byte fills
/// memory with what nobody wrote.
const MOST_GROWTH: usize = 16;
/// What even an empty document may come to.
const SMALLEST_ROOM: usize = 4096;

/// One message.
pub fn mail(bytes: &[u8]) {
    let cleaned = read(SourceFormat::Mail, bytes, &Switches::default());
    let whole = read(SourceFormat::Mail, bytes, &nothing_cut());
    for result in [&cleaned, &whole] {
        if let Err(skip) = result {
            assert!(matches!(skip.reason, Reason::Binary | Reason::NoText | Reason::Sealed(_)), "{:?}", skip.reason);
        }
    }
    assert!(cleaned.is_ok() || whole.is_err(), "cleaning left no document");
    let (Ok(cleaned), Ok(whole)) = (cleaned, whole) else { return };
    assert_eq!(cleaned.envelope, whole.envelope, "cleaning changes headers");
    assert_eq!(cleaned.attachments, whole.attachments, "cleaning changes attachments");
    let emptied = super::says_something(&whole.body) && !super::says_something(&cleaned.body);
    assert!(!emptied, "cleaning left nothing of {:?}", whole.body);
}

/// Bytes of any other kind: what they are taken for, and how each kind reads them.
pub fn text(bytes: &[u8]) {
    let head = &bytes[..bytes.len().min(sniff::HEAD)];
    assert!(sniff::sniff(head).is_some() || sniff::is_binary(head), "neither text nor binary");
    is_sniffed_early(head);
    decoding(bytes);
    for format in [SourceFormat::Text, SourceFormat::Html] {
        if let Err(skip) = read(format, bytes, &Switches::default()) {
            assert!(matches!(skip.reason, Reason::Binary | Reason::NoText | Reason::Sealed(_)), "{:?}", skip.reason);
        }
    }
    if let Err(skip) = read(SourceFormat::Jsonl, bytes, &Switches::default()) {
        assert!(matches!(skip.reason, Reason::BadRow(_) | Reason::NoText | Reason::Sealed(_)), "{:?}", skip.reason);
    }
    row(bytes);
}

fn read(format: SourceFormat, bytes: &[u8], switches: &Switches) -> Intake {
    let origin = Origin { source: "x".into(), index: 7, offset: 9 };
    let raw = Raw { origin: origin.clone(), format, bytes: bytes.to_vec(), truncated: false };
    let result = intake::read(raw, &Reading { switches: *switches, ..Reading::default() });
    match &result {
        Ok(document) => {
            assert_eq!(document.origin, origin);
            is_document(document, bytes.len());
        }
        Err(skip) => {
            assert_eq!(skip.origin, origin);
            assert_ne!(skip.reason, Reason::Panicked);
            is_envelope(&skip.envelope);
        }
    }
    result
}

/// A stream that comes slowly is taken for the same as one that comes at once. What is no text is left out, for a NUL
/// may come late and each reader looks for it.
fn is_sniffed_early(head: &[u8]) {
    let ends = head.iter().enumerate().filter(|&(_, &b)| b == b'\n').map(|(at, _)| at + 1);
    let early = ends.take(200).map(|end| &head[..end]).find(|early| sniff::is_enough(early));
    if let Some(early) = early.filter(|_| !sniff::is_binary(head)) {
        assert_eq!(sniff::sniff(early), sniff::sniff(head), "{} bytes are not enough", early.len());
    }
}

/// Everything passes, nothing is cleaned.
fn nothing_cut() -> Switches {
    Switches { html: true, ..Switches::all(false) }
}

fn is_document(document: &Document, length: usize) {
    assert!(!document.text().trim().is_empty(), "a document without text");
    // A field, or an attached text, may be too long; decoding and list numbers make a text at most so much longer.
    assert!(!document.truncated || length * MOST_GROWTH > 16 * 1024, "nothing was longer than a cap");
    is_envelope(&document.envelope);
    for name in &document.attachments {
        is_one_line("attachment", name);
    }
    let room = SMALLEST_ROOM + MOST_GROWTH * length;
    assert!(document.body.len() <= room, "{length} bytes became {}", document.body.len());
}

fn is_envelope(envelope: &Envelope) {
    let Envelope { id, subject, from, date, list_id, headers: _, row: _ } = envelope;
    for (name, value) in [("id", id), ("subject", subject), ("from", from), ("date", date), ("list-id", list_id)] {
        if let Some(value) = value {
            is_one_line(name, value);
        }
    }
    assert_ne!(id.as_deref(), Some("<>"), "an id that names nothing");
}

/// Non-empty, without control characters, single blanks between words.
fn is_one_line(name: &str, value: &str) {
    assert!(!value.is_empty(), "{name} is empty");
    assert!(!value.chars().any(char::is_control), "{name}: {value:?} holds a control character");
    assert_eq!(value, intake::one_line(value), "{name} is not one line");
}

/// UTF-8 stays as it is, but for Japanese that is made of escapes and ASCII and for UTF-16 of which the bytes happen to
/// be UTF-8, and nothing grows by more than an encoding can make it.
fn decoding(bytes: &[u8]) {
    let decoded = charset::decode(bytes);
    assert!(decoded.len() <= 3 * bytes.len(), "{} bytes became {}", bytes.len(), decoded.len());
    let is_japanese = bytes.is_ascii() && bytes.contains(&0x1b);
    let wide = |unit: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect();
        String::from_utf16_lossy(&units)
    };
    let is_utf16 = || {
        let read = [wide(u16::from_le_bytes), wide(u16::from_be_bytes)];
        bytes.contains(&0) && read.iter().any(|wide| decoded.starts_with(wide.as_str()))
    };
    if let Ok(utf8) = std::str::from_utf8(bytes)
        && !is_japanese
        && !is_utf16()
    {
        assert_eq!(decoded, utf8.strip_prefix('\u{feff}').unwrap_or(utf8), "UTF-8 is taken for something else");
    }
    assert!(intake::decode_html(bytes).len() <= 3 * bytes.len(), "a page grows while it is decoded");
}

/// A row that was read, written and read again says the same.
fn row(bytes: &[u8]) {
    let Ok((envelope, text)) = rows::parse(bytes) else { return };
    is_envelope(&envelope);
    let mut fields = vec![format!("\"text\":{}", json(&text))];
    for (name, value) in [("id", &envelope.id), ("subject", &envelope.subject), ("from", &envelope.from)] {
        fields.extend(value.as_ref().map(|value| format!("\"{name}\":{}", json(value))));
    }
    let written = format!("{{{}}}", fields.join(","));
    assert_eq!(rows::parse(written.as_bytes()), Ok((envelope, text)), "{written}");
}

/// A JSON string with everything but letters and figures escaped.
fn json(text: &str) -> String {
    let mut out = String::from("\"");
    for unit in text.encode_utf16() {
        match char::from_u32(u32::from(unit)).filter(char::is_ascii_alphanumeric) {
            Some(c) => out.push(c),
            None => out.push_str(&format!("\\u{unit:04x}")),
        }
    }
    out + "\""
}
