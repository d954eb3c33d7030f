//! X-Mailsort header fields: inserts ours and removes foreign ones, without touching any other byte of the message.
//!
//! A header can only be trusted if nobody else could have written it. So incoming fields of this name are removed
//! wherever a mail program might read one (`removal`). New fields go where every program reads them, and takes nothing
//! of the message for their continuation (`position`). What a mail server has compressed stays compressed (`stored`).
//!
//! "Mail programs" here are Python's email, formail, procmail, reformail, maildrop and Dovecot, which differ on where a
//! header block begins and ends. `readers` holds this room to what Python, formail and reformail read.

mod position;
mod removal;
mod stored;

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use position::{FieldForm, Position};
pub use removal::copy_without_ours;
pub use stored::{GZIP, Inflated, Stored, compression};

/// Prefix of the names of all our header fields.
pub const NAME: &str = "X-Mailsort";

/// Longest label in a field. A line may have 998 bytes (RFC 5322, 2.1.1).
const LONGEST_LABEL: usize = 400;
/// Longest name of a model, and of a label set.
const LONGEST_NAME: usize = 150;

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

/// The message with `fields` inserted and all other fields of our name removed, in pieces to write one after the other.
/// One that is compressed comes back as it is, as text before its bytes would destroy it: see [`Stored`].
pub fn marked<'m>(mail: &'m [u8], fields: &[Field]) -> Vec<Cow<'m, [u8]>> {
    if compression(mail).is_some() {
        return vec![mail.into()];
    }
    let (block, rest) = removal::without_ours(mail, !fields.is_empty());
    let mut pieces = if fields.is_empty() { vec![block] } else { inserted(block, fields).into() };
    pieces.push(rest.into());
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

/// A header block without our fields, and the new ones in it.
fn inserted<'m>(block: Cow<'m, [u8]>, fields: &[Field]) -> [Cow<'m, [u8]>; 3] {
    let Position { at, form } = Position::of(&block);
    let ending = ending(&block, at);
    let lines: Vec<u8> = fields.iter().flat_map(|field| field.line(ending)).collect();
    let lines = match form {
        FieldForm::Lines => lines,
        FieldForm::ThenBlank => [&lines, ending.as_bytes()].concat(),
        FieldForm::OnNewLine => [ending.as_bytes(), &lines[..lines.len() - ending.len()]].concat(),
    };
    let (before, behind) = match block {
        Cow::Borrowed(block) => (block[..at].into(), block[at..].into()),
        Cow::Owned(mut block) => {
            let behind = block.split_off(at);
            (block.into(), behind.into())
        }
    };
    [before, lines.into(), behind]
}

/// Line ending of the line before `at`, or else of the one after it.
fn ending(mail: &[u8], at: usize) -> &'static str {
    let behind = || mail[at..].split_inclusive(|&byte| byte == b'\n').next().unwrap_or_default();
    let line = if at > 0 { &mail[..at] } else { behind() };
    if line.ends_with(b"\r\n") { "\r\n" } else { "\n" }
}

#[cfg(test)]
mod readers;
#[cfg(test)]
mod tests;
