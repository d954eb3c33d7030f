//! Decodes a part whose charset mail-parser could not tell or whose encoding is broken.

use std::borrow::Cow;

use mail_parser::decoders::base64::base64_decode;
use mail_parser::decoders::quoted_printable::quoted_printable_decode;
use mail_parser::{Encoding, Message, MessagePart, MimeHeaders};

use crate::intake::charset;

/// The text by mail-parser, unless it shows that the charset is missing or wrong or the encoding is broken; then the
/// bytes are decoded again.
pub(super) fn decoded<'t>(message: &Message<'_>, part: &MessagePart<'_>, text: &'t str) -> Cow<'t, str> {
    let declared = part.content_type().and_then(|t| t.attribute("charset"));
    // Mail that declares ASCII but has other bytes is nearly always UTF-8 or a local charset, not Windows-1252.
    let says_ascii = declared.is_some_and(|c| c.to_ascii_lowercase().ends_with("ascii")) && !text.is_ascii();
    if !says_ascii && !text.contains('\u{fffd}') && !part.is_encoding_problem {
        return Cow::Borrowed(text);
    }
    let Some(raw) = message.raw_message.get(part.offset_body as usize..part.offset_end as usize) else {
        return Cow::Borrowed(text);
    };
    let bytes = match part.encoding {
        Encoding::None if part.is_encoding_problem => mended(part, raw),
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
    let is_digit = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
    let mut digits: Vec<u8> = lines.flatten().copied().filter(is_digit).collect();
    // A single digit is less than a byte.
    digits.truncate(digits.len() - usize::from(digits.len() % 4 == 1));
    digits.resize(digits.len().next_multiple_of(4), b'=');
    base64_decode(&digits)
}
