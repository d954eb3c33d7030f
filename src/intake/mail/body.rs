//! The visible text of a message: which parts count, and their bytes as text.

use std::borrow::Cow;

use mail_parser::decoders::base64::base64_decode;
use mail_parser::decoders::quoted_printable::quoted_printable_decode;
use mail_parser::{Encoding, Message, MessagePart, MimeHeaders, PartType};

use super::calendar;
use crate::intake::clean::Switches;
use crate::intake::{charset, html, one_line};

/// Nested messages are read this deep.
const MAX_DEPTH: usize = 4;
/// Text attachments count up to this many bytes: a log file must not drown the mail it comes with.
const MAX_ATTACHMENT: usize = 16 * 1024;
/// A plain alternative shorter than this loses to an HTML one that says five times as much: it only says where to
/// read the mail in a browser.
const TERSE: usize = 120;
/// Text types that hold data rather than prose.
const DATA_TYPES: &[&str] =
    &["calendar", "css", "csv", "directory", "rfc822-headers", "rtf", "vcard", "x-vcard", "xml"];

/// The text that a reader of `message` would see.
pub(super) fn text(message: &Message<'_>, switches: &Switches) -> String {
    let mut out = String::new();
    let mut budget = html::Budget::default();
    collect(message, switches, 0, &mut budget, &mut out);
    if out.trim().is_empty() {
        out = invitation(message).unwrap_or(out);
    }
    if out.trim().is_empty() {
        out = raw_body(message, switches).unwrap_or(out);
    }
    out
}

fn collect(message: &Message<'_>, switches: &Switches, depth: usize, budget: &mut html::Budget, out: &mut String) {
    let plain = join(message, &message.text_body, switches, budget);
    let chosen = if plain.trim().len() < TERSE && message.html_body != message.text_body {
        let rich = join(message, &message.html_body, switches, budget);
        if rich.trim().len() > 5 * plain.trim().len() { rich } else { plain }
    } else {
        plain
    };
    push(out, &chosen);
    let is_report = message.parts.first().is_some_and(|root| root.is_content_type("multipart", "report"));
    for part in message.attachments() {
        match &part.body {
            // What came back with a bounce is not what the bounce says.
            PartType::Message(inner) if depth < MAX_DEPTH && !is_report => {
                push(out, inner.subject().unwrap_or_default());
                collect(inner, switches, depth + 1, budget, out);
            }
            PartType::Text(_) | PartType::Html(_) if is_prose(part) => {
                let text = part_text(message, part, switches, budget);
                push(out, cut(&text, MAX_ATTACHMENT));
            }
            _ => {}
        }
    }
}

fn push(out: &mut String, text: &str) {
    if text.trim().is_empty() {
        return;
    }
    if !out.is_empty() {
        out.push_str("\n\n");
    }
    out.push_str(text);
}

fn join(message: &Message<'_>, ids: &[u32], switches: &Switches, budget: &mut html::Budget) -> String {
    let mut out = String::new();
    for part in ids.iter().filter_map(|&id| message.parts.get(id as usize)) {
        if matches!(part.body, PartType::Text(_) | PartType::Html(_)) {
            push(&mut out, &part_text(message, part, switches, budget));
        }
    }
    out
}

fn is_prose(part: &MessagePart<'_>) -> bool {
    let subtype = part.content_type().and_then(|t| t.subtype()).unwrap_or("plain");
    !DATA_TYPES.iter().any(|data| subtype.eq_ignore_ascii_case(data))
}

/// The text of one part; HTML is rendered.
fn part_text(message: &Message<'_>, part: &MessagePart<'_>, switches: &Switches, budget: &mut html::Budget) -> String {
    match &part.body {
        PartType::Text(text) => decoded(message, part, text).into_owned(),
        PartType::Html(source) => html::to_text_within(&decoded(message, part, source), switches.quotes, budget).text,
        _ => String::new(),
    }
}

/// Takes mail-parser's text unless it shows that the charset was missing or wrong; then the bytes are decoded anew.
fn decoded<'t>(message: &Message<'_>, part: &MessagePart<'_>, text: &'t str) -> Cow<'t, str> {
    let declared = part.content_type().and_then(|t| t.attribute("charset"));
    // Mail that says ASCII and is not is nearly always UTF-8 or a local charset, not Windows-1252.
    let says_ascii = declared.is_some_and(|c| c.to_ascii_lowercase().ends_with("ascii")) && !text.is_ascii();
    if !says_ascii && !text.contains('\u{fffd}') {
        return Cow::Borrowed(text);
    }
    let Some(raw) = message.raw_message.get(part.offset_body as usize..part.offset_end as usize) else {
        return Cow::Borrowed(text);
    };
    let bytes = match part.encoding {
        Encoding::None => Some(raw.to_vec()),
        Encoding::Base64 => base64_decode(raw),
        Encoding::QuotedPrintable => quoted_printable_decode(raw),
    };
    let Some(bytes) = bytes.filter(|bytes| !bytes.is_empty()) else {
        return Cow::Borrowed(text);
    };
    let by_name = declared.filter(|_| !says_ascii).and_then(|charset| charset::decode_as(charset, &bytes));
    Cow::Owned(by_name.unwrap_or_else(|| charset::decode(&bytes)))
}

/// What an invitation without any other text says.
fn invitation(message: &Message<'_>) -> Option<String> {
    let calendars = message.parts.iter().filter(|part| part.is_content_type("text", "calendar"));
    calendars.filter_map(|part| calendar::event(&decoded(message, part, part.text_contents()?))).next()
}

/// A header that promises parts over a body that has none: everything behind the headers is the text.
fn raw_body(message: &Message<'_>, switches: &Switches) -> Option<String> {
    let root = message.parts.first()?;
    let promises = root.content_type().is_some_and(|t| t.ctype().eq_ignore_ascii_case("multipart"));
    let has_parts = message.parts.iter().any(|p| !matches!(p.body, PartType::Text(_)));
    let bytes = message.raw_message.get(root.offset_body as usize..)?;
    if !promises || has_parts || root.encoding != Encoding::None || bytes.trim_ascii().is_empty() {
        return None;
    }
    let text = charset::decode(bytes);
    let is_html = crate::intake::sniff::sniff(bytes) == Some(crate::intake::sniff::Format::Html);
    Some(if is_html { html::to_text(&text, switches.quotes).text } else { text })
}

/// File names of what is attached, in order.
pub(super) fn attachment_names(message: &Message<'_>) -> Vec<String> {
    message
        .attachments()
        .filter_map(|part| part.attachment_name())
        .map(one_line)
        .filter(|name| !name.is_empty())
        .collect()
}

/// The first `max` bytes, at a character border.
fn cut(text: &str, max: usize) -> &str {
    if text.len() <= max { text } else { &text[..text.floor_char_boundary(max)] }
}
