//! Bounds what is given to mail-parser, which is linear on real mail but not on hostile mail.
//!
//! It drops nested messages recursively, and a stack overflow cannot be caught; it keeps about two hundred bytes per
//! header field; it searches for every declared boundary up to the end of the message; and the parameters of a field
//! cost the square of their number. So a message is first scanned in linear time, and shortened or not parsed.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::LazyLock;

use mail_parser::decoders::base64::base64_decode;
use regex::bytes::Regex;

use super::decoded;
use crate::intake::byte_pattern;

/// Shorter messages are harmless.
const HARMLESS: usize = 16 * 1024;
/// Messages with more nested messages and digests are not parsed.
const MAX_NESTED: usize = 1000;
/// The depth at which mail-parser stops reading nested encoded messages.
const MAX_ENCODED: usize = 3;
/// The greatest number of header fields and parts; the rest is left out.
const MAX_PIECES: usize = 100_000;
/// Only this much of a field is read; less of MIME fields, because of the cost of their parameters.
const MAX_FIELD: usize = 256 * 1024;
const MAX_MIME_FIELD: usize = 8 * 1024;
/// Steps that the search for boundaries may take, about a nanosecond each.
const MAX_STEPS: usize = 1 << 30;

/// A message as far as it can be parsed.
pub(super) struct Bounded<'m> {
    /// Its bytes, without those that would take too much memory.
    pub bytes: Cow<'m, [u8]>,
    /// False if only its headers may be parsed.
    pub is_tame: bool,
}

/// Scans a message before it is parsed.
pub(super) fn bounded(bytes: &[u8]) -> Bounded<'_> {
    if bytes.len() <= HARMLESS {
        return Bounded { bytes: Cow::Borrowed(bytes), is_tame: true };
    }
    let bytes = shortened(bytes, &pieces(bytes));
    Bounded { is_tame: is_tame(&bytes, 0), bytes }
}

/// True if the depth and the boundaries of the message, and of messages encoded in it, are affordable.
fn is_tame(bytes: &[u8], encoded: usize) -> bool {
    let types = content_types(bytes);
    let is_message = |field: &&Range<usize>| nests(&bytes[(*field).clone()]);
    let nested = types.iter().filter(is_message).count();
    if nested > MAX_NESTED || boundary_steps(bytes, &types) > MAX_STEPS {
        return false;
    }
    if nested == 0 || encoded == MAX_ENCODED {
        return true;
    }
    let is_inner_tame = |inner: &[u8]| {
        let pieces = pieces(inner);
        inner.len() <= HARMLESS
            || (pieces.end == inner.len() && pieces.left_out.is_empty() && is_tame(inner, encoded + 1))
    };
    let base64 = types.iter().filter(is_message).filter_map(|field| base64_behind(bytes, field.end));
    base64.into_iter().all(|inner| is_inner_tame(&inner))
        && quoted_printable(bytes).is_none_or(|inner| is_inner_tame(&inner))
}

/// True for a Content-Type that mail-parser may read as a nested message.
fn nests(content_type: &[u8]) -> bool {
    static MESSAGE: LazyLock<Regex> = LazyLock::new(|| byte_pattern("(?i)message|digest"));
    MESSAGE.is_match(content_type)
}

/// The bodies of all Content-Type fields anywhere, because only mail-parser knows where a header starts. Like
/// mail-parser, ignores white space in the name.
fn content_types(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for colon in memchr::memchr_iter(b':', bytes) {
        if found.last().is_some_and(|last| colon < last.end) {
            continue;
        }
        let mut before = bytes[..colon].iter().rev().take(100).filter(|b| !b.is_ascii_whitespace());
        if b"epyt-tnetnoc".iter().all(|known| before.next().is_some_and(|b| b.eq_ignore_ascii_case(known))) {
            found.push(colon + 1..end_of_field(bytes, colon + 1));
        }
    }
    found
}

/// The end of a field that starts before `from`, including folded lines.
fn end_of_field(bytes: &[u8], from: usize) -> usize {
    memchr::memchr_iter(b'\n', &bytes[from..])
        .map(|at| from + at + 1)
        .find(|&next| !matches!(bytes.get(next), Some(b' ' | b'\t')))
        .unwrap_or(bytes.len())
}

/// The number of bytes compared in search of boundaries that do not occur.
fn boundary_steps(bytes: &[u8], types: &[Range<usize>]) -> usize {
    static BOUNDARY: LazyLock<Regex> = LazyLock::new(|| byte_pattern(r#"(?i)boundary\s*=\s*(?:"([^"]*)"|([^\s;"]+))"#));
    static MULTIPART: LazyLock<Regex> = LazyLock::new(|| byte_pattern("(?i)multipart"));
    let mut last = HashMap::new();
    for at in memchr::memmem::find_iter(bytes, b"\n--").map(|at| at + 3) {
        let line = bytes[at..].split(|&b| b == b'\n').next().unwrap_or_default().trim_ascii_end();
        last.insert(line, at);
        last.insert(line.strip_suffix(b"--").unwrap_or(line), at);
    }
    let mut missing = 0usize;
    let mut longest = 0;
    for field in types.iter().filter(|field| MULTIPART.is_match(&bytes[(*field).clone()])) {
        let named = BOUNDARY.captures(&bytes[field.clone()]).and_then(|found| found.get(1).or(found.get(2)));
        let boundary = named.map(|boundary| boundary.as_bytes());
        longest = longest.max(boundary.map_or(field.len(), <[u8]>::len));
        let found = boundary.and_then(|boundary| last.get(boundary)).is_some_and(|&at| at >= field.end);
        missing += usize::from(!found);
    }
    let dashes = if missing > 0 || longest > 100 { memchr::memchr_iter(b'-', bytes).count() } else { 0 };
    missing.saturating_mul(bytes.len()).saturating_add(longest.saturating_mul(dashes))
}

/// The decoded base64 body after the header block at `from`. Most messages are not encoded, which the first colon or
/// hyphen tells.
fn base64_behind(bytes: &[u8], from: usize) -> Option<Vec<u8>> {
    static BLANK: LazyLock<Regex> = LazyLock::new(|| byte_pattern(r"\n[ \t\r]*\n"));
    let start = from.checked_sub(1)?;
    let body = start + BLANK.find(&bytes[start..])?.end();
    let is_base64 = |b: &u8| b.is_ascii_alphanumeric() || b.is_ascii_whitespace() || matches!(b, b'+' | b'/' | b'=');
    let length = bytes[body..].iter().position(|b| !is_base64(b)).unwrap_or(bytes.len() - body);
    if length * 3 / 4 <= HARMLESS {
        return None;
    }
    base64_decode(&bytes[body..body + length])
}

/// All bytes with `=3D` and so on decoded, if the message mentions quoted-printable. Other text is hardly changed,
/// and its depth is already checked.
fn quoted_printable(bytes: &[u8]) -> Option<Vec<u8>> {
    static NAME: LazyLock<Regex> = LazyLock::new(|| byte_pattern("(?i)quoted-printable"));
    if !NAME.is_match(bytes) {
        return None;
    }
    Some(decoded::quoted_printable(bytes))
}

/// How far a message is read, and which ranges of it are left out.
struct Pieces {
    end: usize,
    left_out: Vec<Range<usize>>,
}

/// Counts header fields and parts, and finds fields that are too long. Everything that may be a header counts as one:
/// the block at the start, and blocks after a line that may be a boundary or the header of a nested message.
fn pieces(bytes: &[u8]) -> Pieces {
    let mut pieces = Pieces { end: bytes.len(), left_out: Vec::new() };
    let mut count = 0;
    let mut in_header = true;
    // After a blank line there is another header if the first belongs to a nested message or a part has none.
    let mut again = false;
    let mut at = 0;
    while at < bytes.len() {
        let line_end = memchr::memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |n| at + n + 1);
        let line = &bytes[at..line_end];
        let mut next = line_end;
        if line.trim_ascii().is_empty() {
            in_header &= again;
            again = false;
        } else if memchr::memmem::find(line, b"--").is_some() {
            (in_header, again) = (true, true);
        }
        count += usize::from(in_header);
        if in_header && memchr::memchr(b':', line).is_some() {
            next = end_of_field(bytes, at);
            again |= nests(&bytes[at..at + (next - at).min(MAX_MIME_FIELD)]);
            let most = if is_mime(line) { MAX_MIME_FIELD } else { MAX_FIELD };
            if next - at > most + 2 {
                pieces.left_out.push(at + most..next - 1);
            }
        }
        at = next;
        if count > MAX_PIECES {
            pieces.end = at;
            break;
        }
    }
    pieces
}

/// True for Content-Type and similar fields, ignoring white space in the name.
fn is_mime(line: &[u8]) -> bool {
    let mut name = line.iter().take(200).filter(|b| !b.is_ascii_whitespace());
    b"content".iter().all(|known| name.next().is_some_and(|b| b.eq_ignore_ascii_case(known)))
}

fn shortened<'m>(bytes: &'m [u8], pieces: &Pieces) -> Cow<'m, [u8]> {
    let bytes = &bytes[..pieces.end];
    if pieces.left_out.is_empty() {
        return Cow::Borrowed(bytes);
    }
    let mut kept = Vec::with_capacity(bytes.len());
    let mut from = 0;
    for gap in &pieces.left_out {
        kept.extend_from_slice(&bytes[from..gap.start]);
        from = gap.end;
    }
    kept.extend_from_slice(&bytes[from..]);
    Cow::Owned(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILL: usize = 2 * HARMLESS;

    fn kept(message: &[u8]) -> Option<usize> {
        let Bounded { bytes, is_tame } = bounded(message);
        is_tame.then_some(bytes.len())
    }

    #[test]
    fn what_mailers_write_is_left_as_it_is() {
        let long = ["Subject: x\n\nthe text, 10:30 -- a log\n", &"a: b -- c\n".repeat(50_000)].concat();
        let parts = "--b\nContent-Type: message/rfc822\n\nSubject: y\n\nz\n".repeat(900);
        let digest = format!("Content-Type: multipart/digest; boundary=\"b\"\n\n{parts}--b--\n");
        for message in [long, digest, "Content-Type: text/plain\n\n".to_string() + &"x".repeat(FILL)] {
            assert_eq!(kept(message.as_bytes()), Some(message.len()), "{:.80}", message);
        }
    }

    #[test]
    fn depth_is_seen_however_it_is_written() {
        let base64 = |text: &str| {
            let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
            let digit = |chunk: &[u8], n: usize| {
                let bits = chunk.iter().fold(0u32, |bits, &b| bits << 8 | u32::from(b));
                char::from(alphabet[(bits >> (18 - 6 * n) & 63) as usize])
            };
            let padded = format!("{text}{}", " ".repeat((3 - text.len() % 3) % 3));
            padded.as_bytes().chunks(3).flat_map(|chunk| (0..4).map(move |n| digit(chunk, n))).collect::<String>()
        };
        let deep = "Content-Type: message/rfc822\n\n".repeat(5000);
        let head = "Content-Type: message/rfc822\nContent-Transfer-Encoding:";
        for message in [
            deep.clone(),
            deep.replace("message", "MESSAGE\n "),
            deep.replace("message", "(x) message (y)"),
            deep.replace("Content-", "Con tent -"),
            deep.replace("Type", "Type \t"),
            deep.replace("rfc822", "global"),
            format!("{head} base64\n\n{}", base64(&deep)),
            format!("{head} base64\n\n{head} base64\n\n{}", base64(&format!("{head} base64\n\n{}", base64(&deep)))),
            format!("{head} quoted-printable\n\n{}", deep.replace("message", "=6dess=\nage")),
        ] {
            assert_eq!(kept(message.as_bytes()), None, "{:.80}", message);
        }
    }

    #[test]
    fn boundaries_are_not_looked_for_too_often() {
        let missing = "--b\nContent-Type: multipart/mixed; boundary=nowhere\n\n".repeat(20_000);
        assert_eq!(kept(format!("Content-Type: multipart/mixed; boundary=b\n\n{missing}").as_bytes()), None);
        let dashes =
            format!("Content-Type: multipart/mixed; boundary=\"{}x\"\n\n{}", "-".repeat(5000), "-".repeat(1 << 20));
        assert_eq!(kept(dashes.as_bytes()), None);
    }

    #[test]
    fn floods_are_read_to_their_bound() {
        assert_eq!(kept("X: y\n".repeat(MAX_PIECES * 2).as_bytes()), Some(5 * (MAX_PIECES + 1)));
        let parts = "Content-Type: multipart/mixed; boundary=b\n\n".to_string() + &"--b\n\nx\n".repeat(MAX_PIECES * 2);
        assert!(kept(parts.as_bytes()).unwrap() < parts.len() * 2 / 3);
        let subject = format!("Subject: {}\nTo: a\n\nx\n", "y".repeat(MAX_FIELD * 2));
        let bytes = bounded(subject.as_bytes()).bytes;
        assert_eq!(bytes.len(), MAX_FIELD + "\nTo: a\n\nx\n".len());
        assert!(bytes.ends_with(b"y\nTo: a\n\nx\n"));
        let parameters = format!("Content-Type: text/plain{}\n\nx\n", "; a=b".repeat(HARMLESS));
        assert_eq!(kept(parameters.as_bytes()), Some(MAX_MIME_FIELD + "\n\nx\n".len()));
    }
}
