//! Headers of our own in a mail that is passed on: lines put in and taken out, and no other byte touched.
//!
//! A header says which label a mail has only if nobody else can have written it, so what comes in under our name goes out,
//! in whatever spelling a reader of mail would take for it. What is put in stands where every reader sees a header: at the
//! end of the block, or before the first line that is none.

use std::borrow::Cow;
use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// What all names of our headers begin with.
pub const NAME: &str = "X-Mailsort";

/// A line of a mail may have 998 bytes (RFC 5322, 2.1.1), of which a label takes so many and a few more at most.
const LONGEST_LABEL: usize = 400;
/// And so many the name of a model, and that of a label set.
const LONGEST_NAME: usize = 150;

/// An encoded word has 75 characters at most (RFC 2047, 2): so many bytes in base64, and what is around them.
const WORD_BYTES: usize = 45;

/// A header field of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    name: Cow<'static, str>,
    value: String,
}

impl Field {
    /// `X-Mailsort: label; score=0.9132; model=builtin`, and ` set=NAME` where there are several. A label that is best but
    /// not sure enough stands in `X-Mailsort-Unsure`, so that no rule on the other name matches it.
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

/// Words that can stand in a header and in nothing else: printable ASCII as it is, all other as RFC 2047 says, cut where
/// they would not fit a line. A `;` ends them, and `=?` begins an encoded word, so both are encoded too.
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

/// The header block of a mail.
#[derive(Debug, PartialEq)]
struct Block {
    /// Where a line can be put in.
    end: usize,
    /// How its lines end.
    ending: &'static str,
    /// What bears our name.
    ours: Vec<Range<usize>>,
}

/// A mail with `fields` put in and all others of our name taken out, in pieces that are written one after the other.
pub fn marked<'m>(mail: &'m [u8], fields: &[Field]) -> Vec<Cow<'m, [u8]>> {
    let Block { end, ending, ours } = Block::of(mail);
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
        // What is taken out reaches up to the end at most.
        let end = end.max(at);
        pieces.push(mail[at..end].into());
        put(&mut pieces);
        at = end;
    }
    pieces.push(mail[at..].into());
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

impl Block {
    fn of(mail: &[u8]) -> Self {
        let mut ours: Vec<Range<usize>> = Vec::new();
        // Where the last field that stays begins, and whether the one in hand goes.
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
            if !continues {
                goes = is_ours(line);
                if !goes && !is_envelope && !is_field(line) && malformed.is_none() {
                    malformed = Some(range.start);
                }
            } else if range.start == 0 {
                malformed = Some(0);
            }
            if goes {
                ours.push(range);
            } else {
                ours.extend(behind_returns(line, range.start));
                if !continues {
                    last = range.start;
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

/// As the line before ends, or else the one behind.
fn ending(mail: &[u8], at: usize) -> &'static str {
    let behind = || mail[at..].split_inclusive(|&byte| byte == b'\n').next().unwrap_or_default();
    let line = if at > 0 { &mail[..at] } else { behind() };
    if line.ends_with(b"\r\n") { "\r\n" } else { "\n" }
}

/// True for a line that begins a field, and for `>From ` of old mailboxes, which mail programs skip.
fn is_field(line: &[u8]) -> bool {
    let name = line.split(|&byte| byte == b':').next().filter(|name| name.len() < line.len()).unwrap_or_default();
    let name = name.trim_ascii_end();
    line.starts_with(b">From ") || (!name.is_empty() && name.iter().all(|byte| matches!(byte, 0x21..=0x7e)))
}

/// True for a line that a reader of mail may take for a field of ours, whatever stands between the name and the colon.
fn is_ours(line: &[u8]) -> bool {
    line.get(..NAME.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(NAME.as_bytes()))
}

/// What bears our name behind a carriage return by itself, at which some readers of mail end a line.
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
