//! Text to vocabulary pieces: the Unigram tokenizer that the model was trained with.
//!
//! The reference is `model/make` with Hugging Face `tokenizers`: white space folded, NFKC, lower case, digit runs to
//! `0`; runs of Han and Kana apart from the rest; every word behind a `▁`; then the most probable split of each word. A
//! letter that no piece has is spelled in its bytes; other characters that none has are left out.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::LazyLock;

use anyhow::Result;
use regex::Regex;
use unicode_normalization::UnicodeNormalization;

use super::weights::Weights;
use crate::engine::models::unigram::{Unigram, WordPart};

/// The unknown piece. It has no meaning and is left out of every sum.
const UNKNOWN: u32 = 0;
/// The bare word mark, likewise.
const MARK: u32 = 1;

/// The flag of a piece that is a whole word and wins over every split of itself.
const WHOLE_WORD: u8 = 0x80;
/// Words that a thread remembers before it starts anew.
const REMEMBERED_WORDS: usize = 32 * 1024;
/// Longer stretches without white space are cut before anything else happens to them.
const LONGEST_RUN: usize = 4096;
/// Text is searched this far, and further for more pieces than this holds bytes a piece: who asks for a few hundred has
/// them long before, unless the text is noise.
const FARTHEST: usize = 2 * 1024 * 1024;
const BYTES_PER_PIECE: usize = 256;
/// Longer words are split but not remembered.
const LONGEST_REMEMBERED: usize = 48;

thread_local! {
    static SPLITS: RefCell<HashMap<Box<str>, Box<[u32]>>> = RefCell::new(HashMap::new());
}

/// Text to pieces of the vocabulary.
pub(super) struct Tokenizer {
    unigram: Unigram,
    /// See [`Weights::piece_flags`].
    flags: &'static [u8],
    /// The piece of byte 0; those of the others follow.
    first_byte: u32,
}

impl Tokenizer {
    /// Indexes the vocabulary.
    ///
    /// # Errors
    /// When its tensors do not belong together.
    pub(super) fn new(weights: &Weights) -> Result<Self> {
        let unigram = Unigram::new(weights.pieces, weights.piece_ends, weights.piece_scores)?;
        Ok(Self { unigram, flags: weights.piece_flags, first_byte: weights.first_byte })
    }

    /// The pieces of `text` that have a meaning, at most `most` of them: without bare word marks and unknown signs. Text
    /// behind them is not looked at, nor what lies megabytes into a text.
    ///
    /// A piece of the vocabulary is letters, perhaps behind a mark, or one character. So the most probable split of
    /// `▁agenda,` is that of `▁agenda` and that of `,`, and words in front of punctuation are found as fast as others.
    pub(super) fn encode(&self, text: &str, most: usize) -> Vec<u32> {
        let mut ids = Vec::with_capacity(most.min(text.len() / 4 + 1));
        let mut normal = String::new();
        let mut marked = String::new();
        let text = &text[..text.floor_char_boundary(FARTHEST.max(most.saturating_mul(BYTES_PER_PIECE)))];
        for run in text.split(char::is_whitespace).flat_map(bounded) {
            if ids.len() >= most {
                break;
            }
            normal.clear();
            normalise(run, &mut normal);
            for_each_word(&normal, |word| {
                if ids.len() < most {
                    self.encode_word(word, &mut marked, &mut ids);
                }
            });
        }
        ids.truncate(most);
        ids
    }

    /// Appends the pieces of one word: those of its letters, with the mark in front of the first, and its other
    /// characters one by one. `marked` is room for the letters behind their mark.
    fn encode_word(&self, word: &str, marked: &mut String, ids: &mut Vec<u32>) {
        let mut rest = word;
        while let Some(first) = rest.chars().next() {
            let letters = rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len());
            let (part, behind) = rest.split_at(if letters > 0 { letters } else { first.len_utf8() });
            if letters == 0 {
                ids.extend(self.unigram.find(part.as_bytes()));
            } else if rest.len() == word.len() {
                marked.clear();
                marked.push('▁');
                marked.push_str(part);
                self.encode_part(marked, ids);
            } else {
                self.encode_part(part, ids);
            }
            rest = behind;
        }
    }

    /// Splits the letters of a word. Most are one piece or were seen before.
    fn encode_part(&self, word: &str, ids: &mut Vec<u32>) {
        if let Some(id) = self.unigram.find(word.as_bytes())
            && self.flags[id as usize] & WHOLE_WORD != 0
        {
            ids.push(id);
            return;
        }
        if word.len() > LONGEST_REMEMBERED {
            self.split(word, ids);
            return;
        }
        SPLITS.with_borrow_mut(|splits| {
            if let Some(known) = splits.get(word) {
                ids.extend_from_slice(known);
                return;
            }
            let start = ids.len();
            self.split(word, ids);
            if splits.len() >= REMEMBERED_WORDS {
                splits.clear();
            }
            splits.insert(word.into(), ids[start..].into());
        });
    }

    /// The most probable split of `word`, without what has no meaning.
    fn split(&self, word: &str, ids: &mut Vec<u32>) {
        let mut pieces = Vec::with_capacity(8);
        self.unigram.split(word, &mut pieces);
        let mut at = 0;
        for WordPart { id, len } in pieces {
            match id {
                None => ids.extend(word.as_bytes()[at..at + len].iter().map(|&byte| self.first_byte + u32::from(byte))),
                Some(id) => ids.extend((id != UNKNOWN && id != MARK).then_some(id)),
            }
            at += len;
        }
    }
}

/// Cuts a run without white space into stretches that take bounded time and memory. No word of any language reaches
/// the bound, and text of a script without spaces is cut at a character.
fn bounded(run: &str) -> impl Iterator<Item = &str> {
    let mut rest = run;
    std::iter::from_fn(move || {
        let (stretch, behind) = rest.split_at(rest.floor_char_boundary(LONGEST_RUN));
        rest = behind;
        (!stretch.is_empty()).then_some(stretch)
    })
}

/// Appends `run` in NFKC and lower case, every run of decimal digits as one `0`.
fn normalise(run: &str, out: &mut String) {
    let mut digits = false;
    let mut push = |c: char| {
        let digit = is_digit(c);
        if !(digit && digits) {
            out.push(if digit { '0' } else { c });
        }
        digits = digit;
    };
    if run.is_ascii() {
        run.bytes().for_each(|byte| push(byte.to_ascii_lowercase().into()));
    } else {
        run.nfkc().flat_map(char::to_lowercase).for_each(&mut push);
    }
}

/// A decimal digit of any script.
fn is_digit(c: char) -> bool {
    #[allow(clippy::expect_used, reason = "the pattern is constant")]
    static DIGIT: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^\d$").expect("a valid pattern"));
    if c.is_ascii() {
        return c.is_ascii_digit();
    }
    c.is_numeric() && DIGIT.is_match(c.encode_utf8(&mut [0; 4]))
}

/// Scripts that are written without spaces: Han, Kana and their punctuation-like marks.
fn is_han(c: char) -> bool {
    matches!(c,
        '\u{2e80}'..='\u{2fdf}' | '\u{3005}'..='\u{3007}' | '\u{3040}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}'
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}')
}

/// Calls `each` for every maximal run without space that is all Han and Kana, or has none.
fn for_each_word(text: &str, mut each: impl FnMut(&str)) {
    let mut start = 0;
    let mut before = None;
    for (at, c) in text.char_indices() {
        let kind = if c == ' ' || c == '▁' { None } else { Some(is_han(c)) };
        if kind != before {
            if before.is_some() {
                each(&text[start..at]);
            }
            start = at;
            before = kind;
        }
    }
    if before.is_some() {
        each(&text[start..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_forms() {
        let check = |text: &str, expected: &str| {
            let mut out = String::new();
            normalise(text, &mut out);
            assert_eq!(out, expected);
        };
        check("HeLLo", "hello");
        check("10:30,4711", "0:0,0");
        check("Ａ１２ﬁne½²", "a0fine0⁄0");
        check("٣٤x", "0x");
        check("", "");
    }

    #[test]
    fn long_runs_are_cut_at_characters() {
        let text = "é".repeat(5000);
        let cut: Vec<usize> = bounded(&text).map(str::len).collect();
        assert_eq!(cut, [4096, 4096, 1808]);
        assert_eq!(bounded("").count(), 0);
    }

    #[test]
    fn words() {
        let mut seen = Vec::new();
        for_each_word("abc 会议ok ▁x", |word| seen.push(word.to_string()));
        assert_eq!(seen, ["abc", "会议", "ok", "x"]);
    }
}
