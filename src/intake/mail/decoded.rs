//! The text of a part from its bytes.

use std::borrow::Cow;

use mail_parser::decoders::base64::base64_decode;
use mail_parser::decoders::quoted_printable::quoted_printable_decode;
use mail_parser::{Encoding, Message, MessagePart, MimeHeaders};

use crate::charset;

/// Charsets whose ASCII is not what it seems, which mail-parser does not know.
const SEVEN_BIT: [&str; 4] = ["hz-gb-2312", "hz", "iso-2022-kr", "csiso2022kr"];

/// The text of a part. mail-parser believes every charset that a part declares, so that its text is taken only where
/// all charsets agree and where it is UTF-8 without a fault; else the bytes are decoded again.
pub(super) fn decoded<'t>(message: &Message<'_>, part: &MessagePart<'_>, text: &'t str) -> Cow<'t, str> {
    let declared = part.content_type().and_then(|t| t.attribute("charset"));
    let is_named =
        |names: &[&str]| declared.is_some_and(|name| names.iter().any(|n| name.trim().eq_ignore_ascii_case(n)));
    let is_utf8 = || is_named(&["utf-8", "utf8"]) && !text.contains(char::REPLACEMENT_CHARACTER);
    let is_right = !text.contains('\x1b') && (text.is_ascii() && !is_named(&SEVEN_BIT) || is_utf8());
    if is_right && !part.is_encoding_problem || is_named(&["utf-7", "unicode-1-1-utf-7"]) {
        return Cow::Borrowed(text);
    }
    let Some(raw) = message.raw_message.get(part.offset_body as usize..part.offset_end as usize) else {
        return Cow::Borrowed(text);
    };
    let bytes = match part.encoding {
        Encoding::None if part.is_encoding_problem => mended(part, raw).map(Cow::Owned),
        Encoding::None => Some(Cow::Borrowed(raw)),
        Encoding::Base64 => base64_decode(raw).map(Cow::Owned),
        Encoding::QuotedPrintable => quoted_printable_decode(raw).map(Cow::Owned),
    };
    match bytes.filter(|bytes| !bytes.is_empty()) {
        Some(bytes) => Cow::Owned(charset::decode_declared(declared, &bytes)),
        None => Cow::Borrowed(text),
    }
}

/// The content of a part whose encoding breaks off or whose end is missing; `None` if there is none.
fn mended(part: &MessagePart<'_>, raw: &[u8]) -> Option<Vec<u8>> {
    let encoding = part.content_transfer_encoding()?;
    if encoding.eq_ignore_ascii_case("quoted-printable") {
        return quoted_printable_decode(raw);
    }
    if !encoding.eq_ignore_ascii_case("base64") {
        return None;
    }
    let lines = raw.split(|&b| b == b'\n').take_while(|line| !line.starts_with(b"--"));
    base64(lines.flatten())
}

/// Base64 with other bytes between, and with or without its padding.
pub(super) fn base64<'b>(text: impl IntoIterator<Item = &'b u8>) -> Option<Vec<u8>> {
    let is_digit = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
    let mut digits: Vec<u8> = text.into_iter().copied().filter(is_digit).collect();
    // A single digit is less than a byte.
    digits.truncate(digits.len() - usize::from(digits.len() % 4 == 1));
    digits.resize(digits.len().next_multiple_of(4), b'=');
    base64_decode(&digits)
}
