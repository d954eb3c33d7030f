//! The name of an attached file: a parameter of a header field, in pieces and percent signs (RFC 2231), or in encoded
//! words, which the standard forbids and most mail programs write. Pieces are joined before they are decoded.

use std::borrow::Cow;
use std::collections::BTreeMap;

use mail_parser::{HeaderName, Message, MessagePart, MimeHeaders};

use super::words;
use crate::intake::{charset, one_line};

/// The name of an attachment.
pub(super) fn attachment_name(message: &Message<'_>, part: &MessagePart<'_>) -> Option<String> {
    let field = |name: HeaderName<'_>| {
        let header = part.headers.iter().rev().find(|header| header.name == name)?;
        message.raw_message.get(header.offset_start as usize..header.offset_end as usize)
    };
    let said = |name, key| field(name).and_then(|raw| parameter(raw, key)).filter(|name| !name.is_empty());
    said(HeaderName::ContentDisposition, "filename")
        .or_else(|| said(HeaderName::ContentType, "name"))
        .or_else(|| part.attachment_name().map(one_line).filter(|name| !name.is_empty()))
}

/// The text of the parameter `key` of a header field.
fn parameter(field: &[u8], key: &str) -> Option<String> {
    let mut plain = None;
    // By number, so that they may come in any order; the one without a number but percent signs is the only one.
    let mut pieces: BTreeMap<u32, (Cow<'_, [u8]>, bool)> = BTreeMap::new();
    let mut rest = behind(field, b';').unwrap_or_default();
    while !rest.is_empty() {
        let Some(equals) = rest.iter().position(|byte| matches!(byte, b'=' | b';')) else {
            break;
        };
        let (name, is_value) = (rest[..equals].trim_ascii(), rest[equals] == b'=');
        rest = &rest[equals + 1..];
        if !is_value {
            continue;
        }
        let (value, next) = value(rest);
        rest = next;
        let Some((own, more)) =
            name.split_at_checked(key.len()).filter(|(own, _)| own.eq_ignore_ascii_case(key.as_bytes()))
        else {
            continue;
        };
        match (own, number(more)) {
            (_, Some((number, is_percent))) => {
                pieces.entry(number).or_insert((value, is_percent));
            }
            (_, None) if more.is_empty() => plain = plain.or(Some(value)),
            _ => {}
        }
    }
    let whole = if pieces.is_empty() { plain.map(|plain| text(&plain)) } else { Some(joined(pieces.into_values())) };
    whole.map(|name| one_line(&name))
}

/// The number of a piece, and whether percent signs are in it: `*` is the only one, `*0` and `*0*` the first.
fn number(more: &[u8]) -> Option<(u32, bool)> {
    let more = std::str::from_utf8(more).ok()?.strip_prefix('*')?;
    let digits = more.strip_suffix('*').unwrap_or(more);
    if digits.is_empty() { Some((0, true)) } else { Some((digits.parse().ok()?, digits.len() < more.len())) }
}

/// A value, quoted or not, without its line breaks, and what follows its semicolon.
fn value(field: &[u8]) -> (Cow<'_, [u8]>, &[u8]) {
    let field = field.trim_ascii_start();
    let Some(quoted) = field.strip_prefix(b"\"") else {
        let end = field.iter().position(|&byte| byte == b';').unwrap_or(field.len());
        return (Cow::Borrowed(field[..end].trim_ascii()), field.get(end + 1..).unwrap_or_default());
    };
    let mut value = Vec::new();
    let mut bytes = quoted.iter().enumerate();
    while let Some((at, &byte)) = bytes.next() {
        match byte {
            b'"' => return (Cow::Owned(value), behind(&quoted[at..], b';').unwrap_or_default()),
            b'\\' if matches!(quoted.get(at + 1), Some(b'"' | b'\\')) => {
                value.push(quoted[at + 1]);
                bytes.next();
            }
            b'\r' | b'\n' => {}
            byte => value.push(byte),
        }
    }
    (Cow::Owned(value), &[])
}

fn behind(bytes: &[u8], mark: u8) -> Option<&[u8]> {
    memchr::memchr(mark, bytes).map(|at| &bytes[at + 1..])
}

/// Pieces as one text. The first with percent signs starts with the charset: `utf-8'en'`.
fn joined<'f>(pieces: impl Iterator<Item = (Cow<'f, [u8]>, bool)>) -> String {
    let mut whole = Vec::new();
    let mut declared = None;
    let mut has_percents = false;
    for (piece, is_percent) in pieces {
        let head = if is_percent && !has_percents { charset_of(&piece) } else { None };
        let piece = match head {
            Some((name, piece)) => {
                declared = Some(name.to_string());
                Cow::Borrowed(piece)
            }
            None => piece,
        };
        has_percents |= is_percent;
        if is_percent { whole.extend(unescaped(&piece)) } else { whole.extend_from_slice(&piece) }
    }
    if has_percents { charset::decode_declared(declared.as_deref(), &whole) } else { text(&whole) }
}

/// The charset before a value, which may be empty, and the value behind its language.
fn charset_of(piece: &[u8]) -> Option<(&str, &[u8])> {
    let mut parts = piece.splitn(3, |&byte| byte == b'\'');
    let (name, _language, value) = (parts.next()?, parts.next()?, parts.next()?);
    let is_name = name.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b':' | b'.'));
    Some((std::str::from_utf8(name).ok().filter(|_| is_name)?, value))
}

/// Bytes behind percent signs, where two digits follow.
fn unescaped(bytes: &[u8]) -> Vec<u8> {
    let digit = |at: usize| bytes.get(at).and_then(|&byte| char::from(byte).to_digit(16));
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                plain.push((high * 16 + low) as u8);
                at += 3;
            }
            _ => {
                plain.push(byte);
                at += 1;
            }
        }
    }
    plain
}

/// A value of one piece: encoded words, bytes of any charset, or the form with percent signs without saying so.
fn text(value: &[u8]) -> String {
    if let Some((name, rest)) = charset_of(value)
        && !name.is_empty()
        && memchr::memchr(b'%', rest).is_some()
        && charset::is_known(name)
    {
        return charset::decode_declared(Some(name), &unescaped(rest));
    }
    words::decode(value, None).map_or_else(|| charset::decode(value), |read| read.text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_every_form() {
        let check = |field: &[u8], expected: &str| {
            let field = [b"attachment; ", field].concat();
            assert_eq!(parameter(&field, "filename").as_deref(), Some(expected), "{}", field.escape_ascii());
        };
        check(b"filename=offer.pdf", "offer.pdf");
        check(b"size=7; FileName = \"my offer; 1.pdf\" ; x=y", "my offer; 1.pdf");
        check(b"filename=my offer (1).pdf\r\n", "my offer (1).pdf");
        check(b"filename=\"a \\\"b\\\".txt\"", "a \"b\".txt");
        check(b"filename=\"C:\\temp\\a.txt\"", "C:\\temp\\a.txt");
        check(b"filename*=utf-8''%E5%8F%91%E7%A5%A8.pdf", "发票.pdf");
        check(b"filename*=\"UTF-8'zh'%E5%8F%91%E7%A5%A8.pdf\"", "发票.pdf");
        check(b"filename=\"utf-8''%E5%8F%91.pdf\"", "发.pdf");
        check(b"filename*=''caf%E9.pdf", "café.pdf");
        check(b"filename*=gb2312''%B7%A2%C6%B1.pdf", "发票.pdf");
        check(b"filename=\"x.pdf\"; filename*=utf-8''%E5%8F%91.pdf", "发.pdf");
        // In pieces, cut inside a character, in any order.
        check(b"filename*0*=utf-8''%E5%8F; filename*1*=%91%E7%A5%A8; filename*2=\".pdf\"", "发票.pdf");
        check(b"filename*1*=%91.pdf;\r\n\tfilename*0*=utf-8''%E5%8F", "发.pdf");
        check(b"filename*0=\"a very long \"; filename*1=\"name.pdf\"", "a very long name.pdf");
        check(b"filename*0=\"=?utf-8?B?5Y+R56\"; filename*1=\"Wo?=.pdf\"", "发票.pdf");
        check(b"filename*0=\"about \"; filename*1*=utf-8''%E2%98; filename*2*=%95%20it's.gif", "about ☕ it's.gif");
        // Encoded words, cut inside a character.
        check(b"filename=\"=?utf-8?B?5Y+R56U=?=\r\n =?utf-8?B?qC5wZGY=?=\"", "发票.pdf");
        check(b"filename==?gb2312?B?t6LGsS5wZGY=?=", "发票.pdf");
        check(b"filename=\"=?iso-8859-1?Q?caf=E9.pdf?=\"", "café.pdf");
        check("filename=\"发票.pdf\"".as_bytes(), "发票.pdf");
        check(b"filename=\"caf\xe9.pdf\"", "café.pdf");
        check(b"filename=\"100%.pdf\"", "100%.pdf");
        check(b"filename=\"it's Bob's 5%25.pdf\"", "it's Bob's 5%25.pdf");
        check(b"filename=\"not ended", "not ended");
        for none in [&b"attachment"[..], b"attachment; filename", b"filename=x", b"attachment; filenames=x", b""] {
            assert_eq!(parameter(none, "filename"), None);
        }
    }

    #[test]
    fn many_parameters_are_cheap() {
        let started = std::time::Instant::now();
        for piece in ["filename*1*=%", ";=\"", "filename*=a''", "\\\"=;"] {
            parameter(&[b"x; ", piece.repeat(100_000).as_bytes()].concat(), "filename");
        }
        assert!(started.elapsed().as_secs() < 4, "{:?}", started.elapsed());
    }
}
