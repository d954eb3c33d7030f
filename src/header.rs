//! X-Mailsort header fields: inserts ours and removes foreign ones, without touching any other byte of the message.
//!
//! A header can only be trusted if nobody else could have written it. So incoming fields of this name are removed, in
//! every spelling that a mail parser might accept. New fields go where every parser sees them: at the end of the header
//! block, or before the first malformed line.

use std::borrow::Cow;
use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Prefix of the names of all our header fields.
pub const NAME: &str = "X-Mailsort";

/// Longest label in a field. A line may have 998 bytes (RFC 5322, 2.1.1).
const LONGEST_LABEL: usize = 400;
/// Longest name of a model, and of a label set.
const LONGEST_NAME: usize = 150;

/// What editors put before UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Bytes of text in an encoded word, which has at most 75 characters (RFC 2047, 2).
const WORD_BYTES: usize = 45;

/// One of our header fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    name: Cow<'static, str>,
    value: String,
}

impl Field {
    /// `X-Mailsort: label; score=0.9132; model=builtin`, with `set=NAME` if there are several sets. A label below the
    /// threshold goes into `X-Mailsort-Unsure`, so that mail rules on `X-Mailsort` do not match it.
    pub fn verdict(label: &str, is_sure: bool, score: f32, model: &str, set: Option<&str>) -> Self {
        let mut value =
            format!("{}; score={score:.4}; model={}", words(label, LONGEST_LABEL), words(model, LONGEST_NAME));
        if let Some(set) = set {
            value.push_str("; set=");
            value.push_str(&words(set, LONGEST_NAME));
        }
        let name = if is_sure { NAME.into() } else { format!("{NAME}-Unsure").into() };
        Self { name, value }
    }

    fn line(&self, ending: &str) -> Vec<u8> {
        format!("{}: {}{ending}", self.name, self.value).into_bytes()
    }
}

/// Text as the value of a header: printable ASCII as it is, everything else as encoded words (RFC 2047), cut to fit a
/// line. `;` separates parts of the value and `=?` begins an encoded word, so both are encoded too.
fn words(text: &str, longest: usize) -> String {
    let plain = text.bytes().all(|byte| matches!(byte, 0x20..=0x7e)) && text.trim() == text && !text.is_empty();
    if plain && text.len() <= longest && !text.contains([';', '"']) && !text.contains("=?") {
        return text.to_string();
    }
    let mut encoded: Vec<String> = Vec::new();
    let mut rest = text;
    while !rest.is_empty() && encoded.len() * 76 < longest {
        let (word, behind) = rest.split_at(rest.floor_char_boundary(WORD_BYTES));
        encoded.push(format!("=?UTF-8?B?{}?=", STANDARD.encode(word)));
        rest = behind;
    }
    encoded.join(" ")
}

/// The header block of a message.
#[derive(Debug, PartialEq)]
struct HeaderBlock {
    /// Position for a new field.
    end: usize,
    /// Line ending.
    ending: &'static str,
    /// Ranges of fields with our name.
    ours: Vec<Range<usize>>,
}

/// What a message is compressed with, by its first bytes: mail servers keep messages so. `None` for plain bytes.
pub fn compression(mail: &[u8]) -> Option<&'static str> {
    match mail {
        [0x1f, 0x8b, 8, ..] => Some("gzip"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some("zstd"),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some("xz"),
        [b'B', b'Z', b'h', _, b'1', b'A', b'Y', b'&', b'S', b'Y', ..] => Some("bzip2"),
        [0x04, 0x22, 0x4d, 0x18, ..] => Some("lz4"),
        _ => mail.starts_with(b"Dovecot-LZ4\r\x2a\x9b\xc5").then_some("lz4"),
    }
}

/// The message with `fields` inserted and all other fields of our name removed, in pieces to write one after the other.
/// One that is compressed comes back as it is, as text before its bytes would destroy it.
pub fn marked<'m>(mail: &'m [u8], fields: &[Field]) -> Vec<Cow<'m, [u8]>> {
    if compression(mail).is_some() {
        return vec![mail.into()];
    }
    let HeaderBlock { end, ending, ours } = HeaderBlock::of(mail);
    let mut pieces: Vec<Cow<'m, [u8]>> = Vec::with_capacity(2 * ours.len() + fields.len() + 2);
    let mut at = 0;
    let mut is_put = false;
    let put = |pieces: &mut Vec<Cow<'m, [u8]>>| {
        pieces.extend(fields.iter().map(|field| Cow::Owned(field.line(ending))));
    };
    for taken in ours {
        if !is_put && end <= taken.start {
            pieces.push(mail[at..end].into());
            put(&mut pieces);
            (at, is_put) = (end, true);
        }
        pieces.push(mail[at..taken.start].into());
        at = taken.end;
    }
    if !is_put {
        // A removed range never reaches beyond the end.
        let end = end.max(at);
        pieces.push(mail[at..end].into());
        put(&mut pieces);
        at = end;
    }
    pieces.push(mail[at..].into());
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

impl HeaderBlock {
    fn of(mail: &[u8]) -> Self {
        let mut ours: Vec<Range<usize>> = Vec::new();
        // Start of the last field that stays, and whether the current one is removed.
        let (mut last, mut goes, mut malformed, mut kept) = (0, false, None, 0..0);
        let mut at = 0;
        let mut blank = None;
        for line in mail.split_inclusive(|&byte| byte == b'\n') {
            let range = at..at + line.len();
            at = range.end;
            if matches!(line, b"\n" | b"\r\n") {
                blank = Some(range.start);
                break;
            }
            let is_envelope = line.starts_with(b"From ") && range.start == 0;
            let continues = line.starts_with(b" ") || line.starts_with(b"\t");
            // Some readers skip a byte order mark; before it a field would take all headers from them.
            let mark = if range.start == 0 && line.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
            if !continues {
                goes = is_ours(&line[mark..]);
                if !goes && !is_envelope && !is_field(&line[mark..]) && malformed.is_none() {
                    malformed = Some(range.start);
                }
            } else if range.start == 0 {
                malformed = Some(0);
            }
            if goes {
                ours.push(range.start + mark..range.end);
            } else {
                ours.extend(behind_returns(line, range.start));
                if !continues {
                    last = range.start + mark;
                }
                kept = range;
            }
        }
        let end = malformed.or(blank).unwrap_or(match mail[kept.clone()].last() {
            Some(b'\n') => kept.end,
            _ => last,
        });
        Self { end, ending: ending(mail, end), ours }
    }
}

/// Line ending of the line before `at`, or else of the one after it.
fn ending(mail: &[u8], at: usize) -> &'static str {
    let behind = || mail[at..].split_inclusive(|&byte| byte == b'\n').next().unwrap_or_default();
    let line = if at > 0 { &mail[..at] } else { behind() };
    if line.ends_with(b"\r\n") { "\r\n" } else { "\n" }
}

/// True for the first line of a field, and for `>From ` of old mbox files, which mail programs skip.
fn is_field(line: &[u8]) -> bool {
    let name = line.split(|&byte| byte == b':').next().filter(|name| name.len() < line.len()).unwrap_or_default();
    let name = name.trim_ascii_end();
    line.starts_with(b">From ") || (!name.is_empty() && name.iter().all(|byte| matches!(byte, 0x21..=0x7e)))
}

/// True for a line that a mail parser may take for one of our fields, whatever stands between name and colon.
fn is_ours(line: &[u8]) -> bool {
    line.get(..NAME.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(NAME.as_bytes()))
}

/// Fields of our name after a lone carriage return, at which some parsers end a line.
fn behind_returns(line: &[u8], start: usize) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = start;
    for part in line.split_inclusive(|&byte| byte == b'\r') {
        let text = part.trim_ascii_end();
        if at > start && is_ours(text) {
            found.push(at..at + text.len());
        }
        at += part.len();
    }
    found
}

#[cfg(test)]
mod tests;
