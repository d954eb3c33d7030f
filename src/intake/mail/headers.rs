//! The headers that mailsort uses, as single lines of decoded text.

use std::collections::BTreeSet;

use mail_parser::{DateTime, HeaderName, HeaderValue, Message, MimeHeaders};

use super::words;
use crate::charset::{DecodedText, Doubt};
use crate::intake::one_line;
use crate::record::{Envelope, Header};

/// How many headers of a message are kept, and how much of each: more is no mail but an attack.
const MOST_KEPT: usize = 1000;
const LONGEST_KEPT: usize = 16 * 1024;

/// Reads the envelope of `message`, and why it is in doubt how its subject or sender is read.
pub(super) fn envelope(message: &Message<'_>) -> (Envelope, Option<Doubt>) {
    let mut doubt = None;
    let envelope = Envelope {
        id: message.message_id().map(|id| format!("<{}>", one_line(id))),
        subject: subject(message, &mut doubt),
        from: from(message, &mut doubt),
        date: message.date().filter(|date| date.is_valid()).map(|date| date.to_rfc3339()),
        list_id: list_id(message),
        headers: Box::default(),
        row: Vec::new(),
    };
    (envelope, doubt)
}

/// The headers of `wanted`, whose names are in lower case. Those that describe content, such as `Content-Type`, stand
/// in the message and in each of its parts, and count in all; those of an attached message do not.
pub(super) fn kept(message: &Message<'_>, wanted: &BTreeSet<String>) -> Box<[Header]> {
    if wanted.is_empty() {
        return Box::default();
    }
    let mut kept = Vec::new();
    for (part, at) in message.parts.iter().zip(0..) {
        for header in &part.headers {
            let name = header.name.as_str().to_ascii_lowercase();
            let counts = wanted.contains(&name) && (at == 0 || name.starts_with("content-"));
            let raw = message.raw_message.get(header.offset_start as usize..header.offset_end as usize);
            if let Some(raw) = raw.filter(|_| counts && kept.len() < MOST_KEPT) {
                let raw = &raw[..raw.len().min(LONGEST_KEPT)];
                kept.push(Header { name, value: one_line(&words::text(raw, None).text) });
            }
        }
    }
    kept.into()
}

fn subject(message: &Message<'_>, doubt: &mut Option<Doubt>) -> Option<String> {
    let text = message.header(HeaderName::Subject)?.as_text()?;
    let decoded = one_line(decoded(message, HeaderName::Subject, doubt).as_deref().unwrap_or(text));
    (!decoded.is_empty()).then_some(decoded)
}

/// A header that the parser may read wrongly.
fn decoded(message: &Message<'_>, name: HeaderName<'static>, doubt: &mut Option<Doubt>) -> Option<String> {
    let DecodedText { text, doubt: found } = words::decode(raw(message, name)?, charset_of(message))?;
    *doubt = doubt.take().or(found);
    Some(text)
}

/// The charset that the text declares. Programs that write it into headers without encoding it use the same.
fn charset_of<'m>(message: &'m Message<'_>) -> Option<&'m str> {
    let mut declared = message.parts.iter().filter_map(|part| part.content_type()?.attribute("charset"));
    declared.next()
}

/// The bytes of the header.
fn raw<'m>(message: &'m Message<'_>, name: HeaderName<'static>) -> Option<&'m [u8]> {
    let header = message.headers().iter().rev().find(|header| header.name == name)?;
    message.raw_message.get(header.offset_start as usize..header.offset_end as usize)
}

fn from(message: &Message<'_>, doubt: &mut Option<Doubt>) -> Option<String> {
    let sender = message.from().or_else(|| message.sender())?.first()?;
    let mut name = sender.name().map(one_line);
    if name.is_some()
        && sender.address().is_some()
        && let Some(header) = decoded(message, HeaderName::From, doubt)
        && let Some((whole, _)) = header.split_once('<')
    {
        name = Some(one_line(whole.trim_matches([' ', '"'])));
    }
    match (name.filter(|name| !name.is_empty()), sender.address().map(one_line)) {
        (Some(name), Some(address)) => Some(format!("{name} <{address}>")),
        (name, address) => name.or(address),
    }
}

fn list_id(message: &Message<'_>) -> Option<String> {
    match message.list_id() {
        HeaderValue::Address(address) => address.first()?.address().map(one_line),
        other => other.as_text().map(|text| {
            let text = text.rsplit_once('<').map_or(text, |(_, id)| id.trim_end_matches('>'));
            one_line(text)
        }),
    }
    .filter(|id| !id.is_empty())
}

/// Seconds since 1970 at the beginning of a day such as `2024-06-17`, in UTC.
pub fn day(day: &str) -> Option<i64> {
    seconds(&format!("{day}T00:00:00Z"))
}

/// Seconds since 1970 of a date as [`Envelope`] has it.
pub fn seconds(date: &str) -> Option<i64> {
    DateTime::parse_rfc3339(date).filter(DateTime::is_valid).map(|date| date.to_timestamp())
}
