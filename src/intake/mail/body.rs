//! The visible text of a message: which parts count, and their text.

use std::sync::LazyLock;

use mail_parser::{Encoding, Message, MessagePart, MimeHeaders, PartType};
use regex::Regex;

use super::decoded::decoded;
use super::{calendar, sealed};
use crate::intake::clean::Switches;
use crate::intake::visible::{self, Rendering, Visible};
use crate::intake::{charset, pattern, sniff};

/// The greatest depth of nested messages that are read.
pub(super) const MAX_DEPTH: usize = 4;
/// Text attachments count up to this many bytes, so that a log file does not outweigh the message.
const MAX_ATTACHMENT: usize = 16 * 1024;
/// A plain alternative shorter than this loses to an HTML alternative five times as long: it only says where to read
/// the message in a browser.
const TERSE: usize = 120;
/// Text types with data rather than prose.
const DATA_TYPES: &[&str] =
    &["calendar", "css", "csv", "directory", "rfc822-headers", "rtf", "vcard", "x-vcard", "xml"];

/// The text of `message`.
pub(super) fn read(message: &Message<'_>, switches: &Switches) -> Visible {
    let mut visible = Visible::default();
    let mut rendering = Rendering::new(switches);
    collect(message, &mut rendering, 0, &mut visible);
    invitation(message, &mut visible);
    if visible.is_empty() && visible.removed.is_empty() {
        visible.push(raw_body(message, &mut rendering).unwrap_or_default());
    }
    visible
}

fn collect(message: &Message<'_>, rendering: &mut Rendering<'_>, depth: usize, visible: &mut Visible) {
    let plain = join(message, &message.text_body, rendering);
    let chosen = if plain.text.trim().len() < TERSE && message.html_body != message.text_body {
        let rich = join(message, &message.html_body, rendering);
        if rich.text.trim().len() > 5 * plain.text.trim().len() { rich } else { plain }
    } else {
        plain
    };
    visible.push(chosen);
    let is_report = message.parts.first().is_some_and(|root| root.is_content_type("multipart", "report"));
    for part in message.attachments() {
        match &part.body {
            // The returned message is not what the bounce says.
            PartType::Message(inner) if depth < MAX_DEPTH && !is_report => {
                visible.push_text(inner.subject().unwrap_or_default());
                collect(inner, rendering, depth + 1, visible);
            }
            PartType::Text(_) | PartType::Html(_) if is_prose(part) => {
                let mut attached = part_text(message, part, rendering);
                attached.cut = attached.text.len() > MAX_ATTACHMENT;
                attached.text.truncate(attached.text.floor_char_boundary(MAX_ATTACHMENT));
                visible.push(attached);
            }
            _ => {}
        }
    }
}

fn join(message: &Message<'_>, ids: &[u32], rendering: &mut Rendering<'_>) -> Visible {
    let mut visible = Visible::default();
    for part in ids.iter().filter_map(|&id| message.parts.get(id as usize)) {
        if matches!(part.body, PartType::Text(_) | PartType::Html(_)) && !sealed::is_sealed(part) {
            visible.push(part_text(message, part, rendering));
        }
    }
    visible
}

fn is_prose(part: &MessagePart<'_>) -> bool {
    let declared = part.content_type();
    // The parser treats badly encoded parts as text, even pictures.
    let is_text = declared.is_none_or(|declared| declared.ctype().eq_ignore_ascii_case("text"));
    let subtype = declared.and_then(|declared| declared.subtype()).unwrap_or("plain");
    is_text && !sealed::is_sealed(part) && !DATA_TYPES.iter().any(|data| subtype.eq_ignore_ascii_case(data))
}

/// The text of one part; HTML is rendered.
fn part_text(message: &Message<'_>, part: &MessagePart<'_>, rendering: &mut Rendering<'_>) -> Visible {
    match &part.body {
        PartType::Text(text) => {
            let text = decoded(message, part, text).into_owned();
            if part.is_encoding_problem && part.is_content_type("text", "html") {
                rendering.page(&text)
            } else {
                visible::text(text)
            }
        }
        PartType::Html(source) => rendering.page(&decoded(message, part, source)),
        _ => Visible::default(),
    }
}

/// Puts the details of an invitation above the text, as mail programs show them, unless the text has them too. The
/// text beside an invitation is usually only its description.
fn invitation(message: &Message<'_>, visible: &mut Visible) {
    let is_calendar = |part: &&MessagePart<'_>| {
        part.is_content_type("text", "calendar") || part.is_content_type("application", "ics")
    };
    let event = |part: &MessagePart<'_>| match &part.body {
        PartType::Text(text) => calendar::event(&decoded(message, part, text)),
        _ => calendar::event(&charset::decode(part.contents())),
    };
    let Some(event) = message.parts.iter().filter(is_calendar).find_map(event) else {
        return;
    };
    let is_alone = visible.is_empty();
    let subject = message.subject().unwrap_or_default();
    let is_new = |line: &str| is_alone || !(visible.text.contains(line) || subject.contains(line));
    // A text with a time of day gives it in the reader's time zone; the invitation's would repeat it.
    let start = event.start.filter(|_| is_alone || !has_time(&visible.text));
    let told = [event.summary, start, event.place].into_iter().flatten().filter(|line| is_new(line));
    let mut lines: Vec<String> = told.chain(event.description.filter(|_| is_alone)).collect();
    if !is_alone && !lines.is_empty() {
        lines.push(String::new());
    }
    lines.push(std::mem::take(&mut visible.text));
    visible.text = lines.join("\n");
}

/// True if `text` has a time of day such as `14:30` or `9.15`.
fn has_time(text: &str) -> bool {
    static TIME: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)\b([01]?\d|2[0-3])[:.：h][0-5]\d\b|\d ?[ap]\.?m\b"));
    TIME.is_match(text)
}

/// The header declares parts but the body has none: everything after the header is the text.
fn raw_body(message: &Message<'_>, rendering: &mut Rendering<'_>) -> Option<Visible> {
    let root = message.parts.first()?;
    let promises = root.content_type().is_some_and(|t| t.ctype().eq_ignore_ascii_case("multipart"));
    let has_parts = message.parts.iter().any(|p| !matches!(p.body, PartType::Text(_)));
    let bytes = message.raw_message.get(root.offset_body as usize..)?;
    if !promises || has_parts || root.encoding != Encoding::None || bytes.trim_ascii().is_empty() {
        return None;
    }
    let text = charset::decode(bytes);
    let is_html = sniff::sniff(bytes) == Some(sniff::SourceFormat::Html);
    Some(if is_html { rendering.page(&text) } else { visible::text(text) })
}
