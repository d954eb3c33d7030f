//! The headers that mailsort uses, as single lines of decoded text.

use mail_parser::{HeaderName, HeaderValue, Message};

use crate::intake::{charset, one_line};
use crate::record::Envelope;

/// Reads the envelope of `message`.
pub(super) fn envelope(message: &Message<'_>) -> Envelope {
    Envelope {
        id: message.message_id().map(|id| format!("<{}>", one_line(id))),
        subject: text(message, HeaderName::Subject),
        from: from(message),
        date: message.date().filter(|date| date.is_valid()).map(|date| date.to_rfc3339()),
        list_id: list_id(message),
    }
}

fn text(message: &Message<'_>, name: HeaderName<'static>) -> Option<String> {
    let text = message.header(name.clone())?.as_text()?;
    let decoded = match raw_eight_bit(message, name) {
        Some(bytes) if text.contains('\u{fffd}') => one_line(&charset::decode(bytes)),
        _ => one_line(text),
    };
    (!decoded.is_empty()).then_some(decoded)
}

/// The bytes of the header if they have unencoded 8-bit text, which no standard allows but many mail programs send.
fn raw_eight_bit<'m>(message: &'m Message<'_>, name: HeaderName<'static>) -> Option<&'m [u8]> {
    let header = message.headers().iter().rev().find(|header| header.name == name)?;
    let bytes = message.raw_message.get(header.offset_start as usize..header.offset_end as usize)?;
    (!bytes.is_ascii()).then_some(bytes)
}

fn from(message: &Message<'_>) -> Option<String> {
    let sender = message.from().or_else(|| message.sender())?.first()?;
    let mut name = sender.name().map(one_line);
    if name.as_deref().is_some_and(|name| name.contains('\u{fffd}'))
        && let Some(bytes) = raw_eight_bit(message, HeaderName::From)
    {
        let header = charset::decode(bytes);
        name = header.split('<').next().map(|name| one_line(name.trim_matches([' ', '"'])));
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
