//! The visible text of a message: which parts count, and their text.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::LazyLock;

use mail_parser::{Encoding, Message, MessagePart, MimeHeaders, PartType};
use regex::Regex;

use super::decoded::{content, decoded};
use super::{calendar, names, placeholder, sealed};
use crate::charset::{self, DecodedText};
use crate::intake::clean::Switches;
use crate::intake::visible::{self, Rendering, Visible};
use crate::intake::{html, pattern, sniff};

/// The greatest depth of nested messages that are read.
pub(super) const MAX_DEPTH: usize = 4;
/// Text attachments count up to this many bytes, so that a log file does not outweigh the message.
const MAX_ATTACHMENT: usize = 16 * 1024;
/// Text types with data rather than prose.
const DATA_TYPES: &[&str] =
    &["calendar", "css", "csv", "directory", "rfc822-headers", "rtf", "vcard", "x-amp-html", "x-vcard", "xml"];

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
    let alternatives = alternatives(message);
    let chosen = chosen(message, &alternatives, rendering);
    // Other forms of a text that is read are not read beside it.
    let has_text = !chosen.is_empty();
    visible.push(chosen);
    for &id in &message.attachments {
        let Some(part) = message.parts.get(id as usize) else {
            continue;
        };
        match &part.body {
            // The returned message is not what the bounce says.
            PartType::Message(inner) if depth < MAX_DEPTH && !is_report(message) => {
                visible.push_text(inner.subject().unwrap_or_default());
                collect(inner, rendering, depth + 1, visible);
            }
            PartType::Text(_) | PartType::Html(_) if is_prose(message, part) => {
                if has_text && alternatives.contains(&id) {
                    continue;
                }
                let mut attached = part_text(message, part, rendering);
                if !is_body(message, part) {
                    attached.cut = attached.text.len() > MAX_ATTACHMENT;
                    attached.text.truncate(attached.text.floor_char_boundary(MAX_ATTACHMENT));
                }
                visible.push(attached);
            }
            _ => {}
        }
    }
}

/// True for a delivery report.
pub(super) fn is_report(message: &Message<'_>) -> bool {
    message.parts.first().is_some_and(|root| root.is_content_type("multipart", "report"))
}

/// True for a page that only some mail programs run, always beside the same text as an ordinary page.
pub(super) fn is_amp(part: &MessagePart<'_>) -> bool {
    part.is_content_type("text", "x-amp-html")
}

/// True for text of the message that counts as attached only because its encoding is broken, as by a footer behind it.
fn is_body(message: &Message<'_>, part: &MessagePart<'_>) -> bool {
    let is_attached = part.content_disposition().is_some_and(|disposition| disposition.is_attachment());
    part.is_encoding_problem && !is_attached && names::attachment_name(message, part).is_none()
}

/// The parts that are forms of the same text.
fn alternatives(message: &Message<'_>) -> HashSet<u32> {
    let children = |part: &MessagePart<'_>| match &part.body {
        PartType::Multipart(children) if part.is_content_type("multipart", "alternative") => children.clone(),
        _ => Vec::new(),
    };
    message.parts.iter().flat_map(children).collect()
}

/// The text of the body: of its plain form, or of the page beside it where the plain form only stands for it.
fn chosen(message: &Message<'_>, alternatives: &HashSet<u32>, rendering: &mut Rendering<'_>) -> Visible {
    let broken = |id: &&u32| message.parts.get(**id as usize).is_some_and(|part| is_broken_page(part));
    let mut rich = message.html_body.clone();
    if rich == message.text_body {
        rich.retain(|id| !alternatives.contains(id));
        rich.extend(message.attachments.iter().filter(|id| alternatives.contains(id)).filter(broken));
    }
    let without = |ids: &[u32], others: &[u32]| {
        let others: HashSet<u32> = others.iter().copied().collect();
        ids.iter().copied().filter(|id| !others.contains(id)).collect::<Vec<u32>>()
    };
    let (only_plain, only_rich) = (without(&message.text_body, &rich), without(&rich, &message.text_body));
    if only_rich.is_empty() {
        return join(message, &message.text_body, rendering);
    }
    let plain = join(message, &only_plain, rendering);
    let sources = only_rich.iter().filter_map(|&id| message.parts.get(id as usize));
    let may_be = sources.map(|part| source(message, part)).all(|source| placeholder::may_be(&plain.text, &source));
    if may_be {
        let page = join(message, &only_rich, rendering);
        if placeholder::is(&plain.text, &page.text) {
            return if only_rich.len() == rich.len() { page } else { join(message, &rich, rendering) };
        }
    }
    if only_plain.len() == message.text_body.len() { plain } else { join(message, &message.text_body, rendering) }
}

/// True for a page whose encoding is broken, which mail-parser takes for a text.
fn is_broken_page(part: &MessagePart<'_>) -> bool {
    part.is_encoding_problem && part.is_content_type("text", "html")
}

fn source<'m>(message: &'m Message<'_>, part: &'m MessagePart<'_>) -> Cow<'m, str> {
    match &part.body {
        PartType::Text(text) | PartType::Html(text) => decoded(message, part, text).0,
        _ => Cow::Borrowed(""),
    }
}

fn join(message: &Message<'_>, ids: &[u32], rendering: &mut Rendering<'_>) -> Visible {
    let mut visible = Visible::default();
    for part in ids.iter().filter_map(|&id| message.parts.get(id as usize)) {
        if matches!(part.body, PartType::Text(_) | PartType::Html(_)) && !sealed::is_sealed(message, part) {
            visible.push(part_text(message, part, rendering));
        }
    }
    visible
}

fn is_prose(message: &Message<'_>, part: &MessagePart<'_>) -> bool {
    let declared = part.content_type();
    // The parser treats badly encoded parts as text, even pictures.
    let is_text = declared.is_none_or(|declared| declared.ctype().eq_ignore_ascii_case("text"));
    let subtype = declared.and_then(|declared| declared.subtype()).unwrap_or("plain");
    is_text && !sealed::is_sealed(message, part) && !DATA_TYPES.iter().any(|data| subtype.eq_ignore_ascii_case(data))
}

/// The text of one part; HTML is rendered.
fn part_text(message: &Message<'_>, part: &MessagePart<'_>, rendering: &mut Rendering<'_>) -> Visible {
    match &part.body {
        PartType::Text(text) => {
            let (text, doubt) = decoded(message, part, text);
            let is_page = is_broken_page(part) || html::is_source(&text);
            Visible { doubt, ..if is_page { rendering.page(&text) } else { visible::text(text.into_owned()) } }
        }
        PartType::Html(source) => {
            let (source, doubt) = decoded(message, part, source);
            Visible { doubt, ..rendering.page(&source) }
        }
        _ => Visible::default(),
    }
}

/// Puts the details of an invitation above the text, as mail programs show them, unless the text has them too. The
/// text beside an invitation is usually only its description.
fn invitation(message: &Message<'_>, visible: &mut Visible) {
    let is_calendar = |part: &&MessagePart<'_>| {
        part.is_content_type("text", "calendar") || part.is_content_type("application", "ics")
    };
    let event = |part: &MessagePart<'_>| {
        let charset = part.content_type().and_then(|declared| declared.attribute("charset"));
        calendar::event(&content(message, part), charset)
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
    let DecodedText { text, doubt } = charset::read(None, bytes);
    let is_html = sniff::sniff(bytes) == Some(sniff::SourceFormat::Html);
    let visible = if is_html { rendering.page(&text) } else { visible::text(text) };
    Some(Visible { doubt, ..visible })
}
