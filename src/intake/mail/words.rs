//! Encoded words of header fields (RFC 2047), of which many mail programs cut characters apart: the bytes of neighbours
//! are joined before they are decoded.

use super::decoded::base64;
use crate::charset::{self, DecodedText};

/// Bytes in which the end of an encoded word is looked for. The standard allows 75; the bound keeps a header field of
/// nothing but beginnings cheap.
const LONGEST: usize = 8 * 1024;

/// A piece of a header field.
enum Piece {
    /// Bytes that are no encoded word.
    Plain(Vec<u8>),
    /// The charset and the bytes of encoded words side by side.
    Encoded(String, Vec<u8>),
}

/// The text of a header field's bytes, of which those that are not encoded are in the charset of the message. `None`
/// where any parser reads it rightly: UTF-8 without encoded words.
pub(super) fn decode(raw: &[u8], declared: Option<&str>) -> Option<DecodedText> {
    let has_words = memchr::memmem::find(raw, b"=?").is_some();
    if !has_words && memchr::memchr(0x1b, raw).is_none() && std::str::from_utf8(raw).is_ok() {
        return None;
    }
    Some(text(raw, declared))
}

/// The same for any field.
pub(super) fn text(raw: &[u8], declared: Option<&str>) -> DecodedText {
    let mut whole = DecodedText { text: String::new(), doubt: None };
    for piece in pieces(raw) {
        let DecodedText { text, doubt } = match &piece {
            Piece::Plain(bytes) => charset::read(declared, bytes),
            Piece::Encoded(name, bytes) => charset::read(Some(name), bytes),
        };
        whole.text.push_str(&text);
        whole.doubt = whole.doubt.or(doubt);
    }
    whole
}

fn pieces(raw: &[u8]) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut rest = raw;
    while let Some(at) = memchr::memmem::find(rest, b"=?") {
        let Some((charset, bytes, behind)) = word(&rest[at + 2..]) else {
            plain(&mut pieces, &rest[..at + 2]);
            rest = &rest[at + 2..];
            continue;
        };
        // White space between encoded words is none of the text.
        let is_beside = rest[..at].trim_ascii().is_empty();
        match pieces.last_mut() {
            Some(Piece::Encoded(before, all)) if is_beside && before.eq_ignore_ascii_case(&charset) => {
                all.extend(bytes);
            }
            Some(Piece::Encoded(..)) if is_beside => pieces.push(Piece::Encoded(charset, bytes)),
            _ => {
                plain(&mut pieces, &rest[..at]);
                pieces.push(Piece::Encoded(charset, bytes));
            }
        }
        rest = behind;
    }
    plain(&mut pieces, rest);
    pieces
}

fn plain(pieces: &mut Vec<Piece>, bytes: &[u8]) {
    match pieces.last_mut() {
        Some(Piece::Plain(before)) => before.extend(bytes),
        _ if bytes.is_empty() => {}
        _ => pieces.push(Piece::Plain(bytes.to_vec())),
    }
}

/// The charset, the bytes and what follows of an encoded word, behind its `=?`.
fn word(bytes: &[u8]) -> Option<(String, Vec<u8>, &[u8])> {
    let mut parts = bytes.splitn(3, |&byte| byte == b'?');
    let (charset, encoding, behind) = (parts.next()?, parts.next()?, parts.next()?);
    // A language may follow (RFC 2231).
    let charset = std::str::from_utf8(charset.split(|&byte| byte == b'*').next()?).ok()?;
    let is_name = !charset.is_empty() && charset.bytes().all(|byte| byte.is_ascii_graphic());
    let end = memchr::memmem::find(&behind[..behind.len().min(LONGEST)], b"?=")?;
    let (text, behind) = (&behind[..end], &behind[end + 2..]);
    let bytes = match encoding {
        b"B" | b"b" if text.is_empty() => Vec::new(),
        b"B" | b"b" => base64(text)?,
        b"Q" | b"q" => quoted(text),
        _ => return None,
    };
    is_name.then(|| (charset.to_string(), bytes, behind))
}

/// The Q encoding: an underscore is a space, and `=` with two digits a byte.
fn quoted(text: &[u8]) -> Vec<u8> {
    let digit = |byte: Option<&u8>| byte.and_then(|&byte| char::from(byte).to_digit(16));
    let mut bytes = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match (byte, digit(text.get(at + 1)), digit(text.get(at + 2))) {
            (b'=', Some(high), Some(low)) => {
                bytes.push((high * 16 + low) as u8);
                at += 2;
            }
            (b'_', ..) => bytes.push(b' '),
            _ => bytes.push(byte),
        }
        at += 1;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_that_were_cut_are_whole() {
        let check = |raw: &[u8], expected: Option<&str>| {
            assert_eq!(decode(raw, None).map(|read| read.text).as_deref(), expected, "{raw:?}")
        };
        check(b"=?utf-8?B?5YWz5LqO5YWt?= =?UTF-8?q?=E6=9C?=\r\n =?utf-8*zh?Q?=88_1?=", Some("关于六月 1"));
        check(b"=?gb2312?B?udjT2sH51MK3?=\n =?gb2312?B?3beixrE?=", Some("关于六月份发票"));
        check(b"Re: =?iso-8859-1?q?caf=E9?= =?utf-8?q?_=C3=A9t=C3=A9?= end", Some("Re: café été end"));
        check(b"=?utf-8?q?a?= b =?utf-8?q?c?=", Some("a b c"));
        check("Grüße".as_bytes(), None);
        check(b"Gr\xfc\xdfe aus K\xf6ln", Some("Grüße aus Köln"));
        check(b"\x1b$B@A5a=q\x1b(B", Some("請求書"));
        // What is no encoded word stays as it is.
        check(b"a =? b =?x?z?c?= =?utf-8?q?never", Some("a =? b =?x?z?c?= =?utf-8?q?never"));
        check(b"=?utf-8?b??= =?utf-8?b?YQ?=", Some("a"));
        check(b"plain", None);
        check(b"=?utf-8?q?one?=", Some("one"));
        check("=?gb2312?q?\u{6c49}?=".as_bytes(), Some("汉"));
        check(b"=?utf-7?q?Gr+APwA3w-e?=", Some("Grüße"));
    }

    #[test]
    fn beginnings_without_end_are_cheap() {
        let started = std::time::Instant::now();
        assert!(decode(&b"=?a?q?x ".repeat(32 * 1024), None).is_some());
        assert!(started.elapsed() < std::time::Duration::from_secs(4), "{:?}", started.elapsed());
    }
}
