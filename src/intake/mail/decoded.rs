//! The bytes of a part without its transfer encoding, and their text.

use std::borrow::Cow;

use mail_parser::decoders::base64::base64_decode;
use mail_parser::decoders::quoted_printable::quoted_printable_decode;
use mail_parser::{Encoding, Message, MessagePart, MimeHeaders, PartType};

use crate::charset::{self, DecodedText, Doubt};
use crate::intake::sniff;
use crate::intake::visible::declared_by;

/// A line of base64 that is this long is no word of a text.
const LONG: usize = 20;
/// Where other text or padding came before, a line of base64 is longer.
const LONGER: usize = 40;

/// The text of a part, and why its charset is in doubt. mail-parser believes every charset that a part declares, so
/// that its text is taken only where all charsets agree and where it is UTF-8 without a fault; else the bytes are
/// decoded again.
pub(super) fn decoded<'t>(
    message: &Message<'_>,
    part: &MessagePart<'_>,
    text: &'t str,
) -> (Cow<'t, str>, Option<Doubt>) {
    let declared = part.content_type().and_then(|t| t.attribute("charset"));
    let Some(raw) = raw(message, part) else {
        return (Cow::Borrowed(text), None);
    };
    let (encoded, behind) = raw.split_at(end_of_encoded(part, raw).unwrap_or(raw.len()));
    let is_utf8 = || {
        declared.is_some_and(|name| ["utf-8", "utf8"].iter().any(|utf8| name.trim().eq_ignore_ascii_case(utf8)))
            && !text.contains(char::REPLACEMENT_CHARACTER)
    };
    let is_plain = || text.is_ascii() && !declared.is_some_and(charset::is_seven_bit);
    let is_right = behind.is_empty() && !text.contains('\x1b') && (is_plain() || is_utf8());
    if is_right && !part.is_encoding_problem {
        return (Cow::Borrowed(text), None);
    }
    let Some(bytes) = bytes(part, encoded).filter(|bytes| !bytes.is_empty()) else {
        return (Cow::Borrowed(text), None);
    };
    let by_page = || declared_by(&bytes).filter(|_| matches!(part.body, PartType::Html(_)));
    let DecodedText { text: mut whole, doubt } = charset::read(declared.or_else(by_page), &bytes);
    if !behind.is_empty() {
        whole.push('\n');
        // What is appended is hardly ever in the charset of the part, and UTF-8 shows itself.
        let declared = declared.filter(|_| std::str::from_utf8(behind).is_err());
        whole.push_str(&charset::decode_declared(declared, behind));
    }
    (Cow::Owned(whole), doubt)
}

/// The bytes of a part.
pub(super) fn content<'m>(message: &'m Message<'_>, part: &'m MessagePart<'_>) -> Cow<'m, [u8]> {
    if let (PartType::Binary(bytes) | PartType::InlineBinary(bytes), false) = (&part.body, part.is_encoding_problem) {
        return Cow::Borrowed(bytes);
    }
    let raw = raw(message, part).unwrap_or_default();
    bytes(part, &raw[..end_of_encoded(part, raw).unwrap_or(raw.len())]).unwrap_or_default()
}

/// The part as it is written, without what follows where its end is missing.
fn raw<'m>(message: &'m Message<'_>, part: &MessagePart<'_>) -> Option<&'m [u8]> {
    let raw = message.raw_message.get(part.offset_body as usize..part.offset_end as usize)?;
    Some(if part.is_encoding_problem { &raw[..boundary(raw).unwrap_or(raw.len())] } else { raw })
}

/// Where a line is a boundary: it starts with two hyphens, is no rule or signature mark, and ends in two hyphens, or
/// headers or nothing follow.
fn boundary(raw: &[u8]) -> Option<usize> {
    let mut lines = memchr::memmem::find_iter(raw, b"\n--").map(|at| at + 1);
    lines.find(|&at| {
        let (line, behind) =
            raw[at..].split_at(memchr::memchr(b'\n', &raw[at..]).map_or(raw.len() - at, |end| end + 1));
        let name = line[2..].trim_ascii_end();
        let is_name = name.iter().any(|byte| !matches!(byte, b'-' | b'_' | b'=' | b'*' | b' '));
        is_name && (name.ends_with(b"--") || behind.iter().all(u8::is_ascii_whitespace) || sniff::is_field(behind))
    })
}

/// The encoding that a part declares, which mail-parser drops where it breaks off.
fn encoding(part: &MessagePart<'_>) -> Encoding {
    match part.content_transfer_encoding() {
        Some(name) if part.is_encoding_problem && name.eq_ignore_ascii_case("base64") => Encoding::Base64,
        Some(name) if part.is_encoding_problem && name.eq_ignore_ascii_case("quoted-printable") => {
            Encoding::QuotedPrintable
        }
        _ => part.encoding,
    }
}

fn bytes<'m>(part: &MessagePart<'_>, raw: &'m [u8]) -> Option<Cow<'m, [u8]>> {
    match encoding(part) {
        Encoding::None if part.is_encoding_problem => None,
        Encoding::None => Some(Cow::Borrowed(raw)),
        Encoding::Base64 => base64_decode(raw).or_else(|| base64(raw)).map(Cow::Owned),
        Encoding::QuotedPrintable => {
            Some(Cow::Owned(quoted_printable_decode(raw).unwrap_or_else(|| quoted_printable(raw))))
        }
    }
}

/// Where what is encoded ends and text follows that is not, such as the footer that a mailing list appends. `None`
/// where nothing follows.
fn end_of_encoded(part: &MessagePart<'_>, raw: &[u8]) -> Option<usize> {
    match encoding(part) {
        Encoding::None => None,
        Encoding::Base64 => end_of_base64(raw),
        Encoding::QuotedPrintable => end_of_quoted(raw),
    }
}

/// Base64 ends behind its last long line, or behind the shorter one that follows it at once.
fn end_of_base64(raw: &[u8]) -> Option<usize> {
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let (mut end, mut at) = (0, 0);
    // The length of the last line of base64 if another may follow, however short.
    let mut last = Some(0);
    let (mut is_whole, mut is_padded) = (true, false);
    for line in raw.split_inclusive(|&byte| byte == b'\n') {
        at += line.len();
        let line = line.trim_ascii();
        if line.is_empty() {
            last = last.filter(|_| end == 0);
            continue;
        }
        let digits = line.strip_suffix(b"==").or(line.strip_suffix(b"=")).unwrap_or(line);
        let is_base64 = !digits.is_empty() && digits.iter().all(is_digit);
        let is_even = line.len() % 4 == 0;
        let least = if is_whole && !is_padded { LONG } else { LONGER };
        // A message that is cut off may end without padding.
        let is_last = || raw[at..].trim_ascii().is_empty();
        let is_next = is_whole && (end == 0 || last.is_some() && (is_even || is_last()));
        if is_base64 && (is_next || line.len() >= least && (is_even || least == LONG)) {
            is_padded |= digits.len() < line.len();
            last = Some(line.len()).filter(|length| !is_padded && last.is_none_or(|last| *length >= last));
            end = at;
        } else {
            last = None;
            // Several pieces that were encoded each by itself are one text.
            is_whole &= is_base64 && is_even;
        }
    }
    let is_followed = !is_whole && end > 0 && !raw[end..].trim_ascii().is_empty();
    is_followed.then_some(end)
}

/// Quoted-printable is ASCII: other bytes are text that was appended, unless they are among what is quoted.
fn end_of_quoted(raw: &[u8]) -> Option<usize> {
    let first = raw.iter().position(|byte| !byte.is_ascii())?;
    let start = memchr::memrchr(b'\n', &raw[..first]).map_or(0, |at| at + 1);
    let is_high = |at: usize| {
        matches!(raw.get(at + 1), Some(b'8' | b'9' | b'A'..=b'F' | b'a'..=b'f'))
            && raw.get(at + 2).is_some_and(u8::is_ascii_hexdigit)
    };
    let last = memchr::memchr_iter(b'=', raw).rfind(|&at| is_high(at))?;
    (last < start).then_some(start)
}

/// Base64 with other bytes between, and with or without its padding.
pub(super) fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let is_digit = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
    let mut digits: Vec<u8> = text.iter().copied().filter(is_digit).collect();
    // A single digit is less than a byte.
    digits.truncate(digits.len() - usize::from(digits.len() % 4 == 1));
    digits.resize(digits.len().next_multiple_of(4), b'=');
    base64_decode(&digits)
}

/// Quoted-printable in which an equals sign that quotes nothing is text.
pub(super) fn quoted_printable(bytes: &[u8]) -> Vec<u8> {
    let digit = |at: usize| bytes.get(at).and_then(|&b| char::from(b).to_digit(16));
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let (byte, length) = match (bytes[at], digit(at + 1), digit(at + 2)) {
            (b'=', Some(high), Some(low)) => (Some((high * 16 + low) as u8), 3),
            (b'=', ..) if bytes[at + 1..].starts_with(b"\r\n") => (None, 3),
            (b'=', ..) if bytes[at + 1..].starts_with(b"\n") => (None, 2),
            (byte, ..) => (Some(byte), 1),
        };
        decoded.extend(byte);
        at += length;
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_ends_where_text_follows() {
        let line = "VGhlIG1lZXRpbmcgaXMgb24gVHVlc2RheSwgbm90IG9uIE1vbmRheTsgcGxlYXNlIHRlbGwg";
        let check = |encoded: &str, behind: &str| {
            for encoded in [format!("{encoded}\n"), format!("{encoded}\r\n")] {
                let raw = format!("{encoded}{behind}");
                let expected = (!behind.trim().is_empty()).then_some(encoded.len());
                assert_eq!(end_of_base64(raw.as_bytes()), expected, "{raw}");
            }
        };
        for footer in ["", "\n", "\n_____\nlist mailing list\n", "-- \nYou get this\nmail\n", "Regards\n\nBob\n"] {
            check("SGVsbG8=", footer);
            check("SGVsbG8gd29ybGQh", footer);
            check(&format!("{line}\n{line}\nSGVsbG8="), footer);
            check(&format!("{line}\n{line}\nSGVsbG8h"), footer);
            check(&format!("{line}\n{line}"), footer);
        }
        // Pieces of any length, each encoded by itself.
        check("SGVsbG8=\n\nSGVsbG8=\nSGVsbG8gd29ybGQh", "");
        check("SGVsbG8gd29y\nbGQhIQ\n", "");
        assert_eq!(end_of_base64(b"no base64 at all"), None);
        let noisy = format!("{line}\n!!\n{line}\n");
        assert_eq!(end_of_base64(noisy.as_bytes()), None);
    }

    #[test]
    fn quoted_printable_ends_where_bytes_follow() {
        let check = |raw: &[u8], expected| assert_eq!(end_of_quoted(raw), expected, "{}", raw.escape_ascii());
        check(b"caf=E9\n-- \nS\xfcd\n", Some(11));
        check(b"S\xfcd\ncaf=E9\n", None);
        check(b"plain\n-- \nS\xfcd\n", None);
        check(b"caf=E9\n", None);
        assert_eq!(quoted_printable(b"a=3D=\nb== c=\r\n=4"), b"a=b== c=4");
    }

    #[test]
    fn boundaries() {
        let check = |raw: &str, expected| assert_eq!(boundary(raw.as_bytes()), expected, "{raw}");
        check("SGVs\n--b--\n", Some(5));
        check("SGVs\n--b\nContent-Type: x\n", Some(5));
        check("SGVs\n--b\n\n", Some(5));
        check("SGVs\n-- \nA: b\n--- --\n----------\nList: x\n--tom and jerry\nwent\n", None);
    }
}
