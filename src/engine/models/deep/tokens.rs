//! Text to tokens as XLM-RoBERTa reads it: sentencepiece's `nmt_nfkc`, every word behind a `▁`, then the most probable
//! split of each word.
//!
//! The reference is the `tokenizer.json` of multilingual-e5-small with Hugging Face `tokenizers`; `model/make/deep_golden.py`
//! holds the two to each other.

use unicode_normalization::UnicodeNormalization;

use crate::engine::models::unigram::{Unigram, WordPart};

/// Stand around a text, and for characters that no piece has.
const START: u32 = 0;
pub(super) const END: u32 = 2;
pub(super) const UNKNOWN: u32 = 3;
/// How many stand around.
pub(super) const AROUND: usize = 2;

/// Bytes of a text that are looked at for each token that is wanted: what has fewer tokens is noise.
const BYTES_A_TOKEN: usize = 256;
/// Bytes that are split at once: a paragraph of a script without spaces is one word, and noise may be one of megabytes.
const LONGEST_WORD: usize = 1024;

/// The first `most` tokens of a text behind a prompt, within the tokens that stand around every text. Those of the
/// prompt and the two around are not counted.
pub(super) fn encode(unigram: &Unigram, prompt: &[u32], text: &str, most: usize) -> Vec<u32> {
    let mut ids = Vec::with_capacity(most.min(text.len() / 2 + 1) + prompt.len() + 2);
    ids.push(START);
    ids.extend(prompt);
    let first = ids.len();
    words(unigram, text, most, &mut ids);
    ids.truncate(first + most);
    ids.push(END);
    ids
}

/// The tokens of a text with nothing around it.
pub(super) fn bare(unigram: &Unigram, text: &str) -> Vec<u32> {
    let mut ids = Vec::new();
    words(unigram, text, usize::MAX, &mut ids);
    ids
}

/// Appends the tokens of a text, at least `most` where it has so many.
fn words(unigram: &Unigram, text: &str, most: usize, ids: &mut Vec<u32>) {
    let first = ids.len();
    let mut pieces = Vec::new();
    let mut word = String::new();
    let mut seen = 0;
    for run in text.split(is_space) {
        // Noise of megabytes has no more to tell than its start.
        if ids.len() - first >= most || seen > most.saturating_mul(BYTES_A_TOKEN) {
            return;
        }
        seen += run.len();
        word.clear();
        let mut begins = true;
        for c in run.nfkc().filter(|c| !is_control(*c)) {
            // A character such as ¨ is a space and another in NFKC.
            let is_space = is_space(c);
            if is_space || word.len() >= LONGEST_WORD {
                split(unigram, &word, &mut pieces, ids);
                word.clear();
                begins = is_space;
            }
            if ids.len() - first >= most {
                return;
            }
            if !is_space {
                if begins {
                    word.push('▁');
                }
                begins = false;
                word.push(c);
            }
        }
        split(unigram, &word, &mut pieces, ids);
    }
}

/// Appends the tokens of one word. Unknown characters in a row are one token.
fn split(unigram: &Unigram, word: &str, pieces: &mut Vec<WordPart>, ids: &mut Vec<u32>) {
    pieces.clear();
    unigram.split(word, pieces);
    let mut was_unknown = false;
    for WordPart { id, .. } in pieces.iter() {
        if id.is_some() || !was_unknown {
            ids.push(id.unwrap_or(UNKNOWN));
        }
        was_unknown = id.is_none();
    }
}

/// What `nmt_nfkc` makes a space.
fn is_space(c: char) -> bool {
    c.is_whitespace()
        || matches!(
            c,
            '\u{1680}' | '\u{200b}'..='\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{2581}' | '\u{feff}' | '\u{fffd}'
        )
}

/// What it leaves out.
fn is_control(c: char) -> bool {
    matches!(c, '\u{1}'..='\u{8}' | '\u{b}' | '\u{e}'..='\u{1f}' | '\u{7f}' | '\u{8f}' | '\u{9f}')
}
