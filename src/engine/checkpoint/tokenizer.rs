//! `tokenizer.json`, checked before the library that runs it sees it.
//!
//! A tokenizer is a small program: its normalizer replaces text by text, step by step, and what it makes of a message
//! may be any number of times as long. Padding, templates and prefixes are numbers and texts of any size. Who makes a
//! model chooses them all, so each is bounded here, far above what models have.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use regex::Regex;
use serde_json::{Map, Value};

use super::read_described;

/// Bytes of text after normalisation. The library keeps 16 more of each, and every thread a text.
const MOST_NORMAL: usize = 8 << 20;
/// Bytes that the normalizer may make of one: SentencePiece's form of compatibility characters has 33.
const MOST_GROWTH: usize = 1024;
/// What the forms of Unicode make of a character at most, in bytes for one byte: `ﷺ` becomes 18 letters.
const UNICODE_GROWTH: usize = 12;
/// Bytes that the pre-tokenizer may make of one.
const MOST_SPLIT_GROWTH: usize = 16;
/// Steps with all their parts, and how deep they are nested.
const MOST_PARTS: usize = 512;
const DEEPEST: usize = 24;
/// Bytes of a pattern, or of a text that a step puts in.
const LONGEST_TEXT: usize = 4096;
/// Bytes of the texts that a model puts before and behind parts of words.
const LONGEST_AFFIX: usize = 256;
/// Characters of a word that is split, which takes the square of that in time. Models have 100.
const LONGEST_WORD: u64 = 1000;
/// Bytes of all pieces of a Unigram model, of which the library makes a tree. XLM-RoBERTa has 2.4 MB.
const MOST_PIECES: usize = 6 << 20;

/// The file of a tokenizer, safe to hand to the library.
pub(in crate::engine) struct TokenizerFile {
    /// What it says, without truncation, padding and decoder.
    pub(in crate::engine) json: Value,
    /// Bytes that its normalizer makes of one.
    pub(in crate::engine) growth: usize,
}

impl TokenizerFile {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// When it cannot be read, is no JSON, or asks for more than any model does.
    pub(in crate::engine) fn read(path: &Path) -> Result<Self> {
        let shown = path.display();
        let text = read_described(path).with_context(|| {
            format!("cannot read {shown}; a model folder holds config.json, tokenizer.json and weights")
        })?;
        let json: Value = serde_json::from_slice(&text).with_context(|| format!("{shown} is not JSON"))?;
        Self::checked(json).with_context(|| format!("cannot use {shown}"))
    }

    /// # Errors
    /// As [`TokenizerFile::read`].
    pub(in crate::engine) fn checked(mut json: Value) -> Result<Self> {
        for unused in ["truncation", "padding", "decoder"] {
            if let Some(value) = json.get_mut(unused) {
                *value = Value::Null;
            }
        }
        let mut normalizer = Vec::new();
        parts(&json["normalizer"], 0, &mut normalizer)?;
        let growth = growth(&normalizer)?;
        let mut others = Vec::new();
        parts(&json["pre_tokenizer"], 0, &mut others)?;
        let split = others.iter().map(|part| split_growth(part)).fold(1, usize::saturating_mul);
        ensure!(split <= MOST_SPLIT_GROWTH, "its pre-tokenizer makes up to {split} bytes of one");
        parts(&json["post_processor"], 0, &mut others)?;
        check_model(&json["model"])?;
        let added = json["added_tokens"].as_array().into_iter().flatten();
        let added: usize = added.map(|token| token["content"].as_str().map_or(0, str::len)).sum();
        ensure!(added.saturating_mul(growth) <= 8 * MOST_NORMAL, "its added tokens have {added} bytes");
        Ok(Self { json, growth })
    }

    /// Bytes of a text that may be normalised at once.
    pub(in crate::engine) fn room(&self) -> usize {
        MOST_NORMAL / self.growth
    }
}

/// All objects below a value, from left to right.
///
/// # Errors
/// When they are too many or too deep, or hold too long a text.
fn parts<'a>(value: &'a Value, deep: usize, found: &mut Vec<&'a Map<String, Value>>) -> Result<()> {
    ensure!(deep <= DEEPEST, "its steps are nested more than {DEEPEST} deep");
    ensure!(found.len() <= MOST_PARTS, "its steps have more than {MOST_PARTS} parts");
    match value {
        Value::Array(all) => {
            ensure!(all.len() <= MOST_PARTS, "its steps have a list of more than {MOST_PARTS} entries");
            all.iter().try_for_each(|value| parts(value, deep + 1, found))
        }
        Value::Object(fields) => {
            found.push(fields);
            let texts = fields.iter().filter(|(name, _)| *name != "precompiled_charsmap");
            let longest = texts.clone().filter_map(|(_, value)| value.as_str()).map(str::len).max().unwrap_or(0);
            ensure!(longest <= LONGEST_TEXT, "a step holds a text of {longest} bytes; {LONGEST_TEXT} are the most");
            texts.map(|(_, value)| value).try_for_each(|value| parts(value, deep + 1, found))
        }
        _ => Ok(()),
    }
}

/// Bytes that the steps of a normalizer make of one: the product over them.
///
/// # Errors
/// When it is too large.
fn growth(steps: &[&Map<String, Value>]) -> Result<usize> {
    // A form of Unicode changes nothing in text that is in such a form, unless a step has put something else in since.
    let (mut growth, mut is_normal) = (1usize, false);
    for step in steps {
        let factor = if let Some(content) = step.get("content").and_then(Value::as_str) {
            is_normal &= content.is_ascii();
            replacing(step.get("pattern").unwrap_or(&Value::Null), content.len())
        } else if let Some(text) = step.get("prepend").and_then(Value::as_str) {
            1 + text.len()
        } else if let Some(map) = step.get("precompiled_charsmap").and_then(Value::as_str) {
            let longest = longest_replacement(map)?;
            is_normal = longest <= 40;
            longest
        } else {
            match step.get("type").and_then(Value::as_str) {
                Some("NFC" | "NFD" | "NFKC" | "NFKD" | "Lowercase" | "BertNormalizer") if !is_normal => {
                    is_normal = true;
                    UNICODE_GROWTH
                }
                Some("ByteLevel") => 2,
                _ => 1,
            }
        };
        growth = growth.saturating_mul(factor.max(1));
        ensure!(
            growth <= MOST_GROWTH,
            "its normalizer makes up to {growth} bytes of one; a model makes no more than {MOST_GROWTH}"
        );
    }
    Ok(growth)
}

/// Bytes that a replacement by `content` bytes makes of one.
fn replacing(pattern: &Value, content: usize) -> usize {
    if let Some(text) = pattern["String"].as_str().filter(|text| !text.is_empty()) {
        return content.div_ceil(text.len());
    }
    // Where a pattern needs a character, there is no more than one match a byte; others match between characters too.
    let looks_around = |pattern: &&str| ["(?", "\\b", "\\B", "^", "$"].iter().any(|part| pattern.contains(part));
    let pattern = pattern["Regex"].as_str().filter(|pattern| !looks_around(pattern));
    let needs_one = pattern.and_then(|pattern| Regex::new(pattern).ok()).is_some_and(|regex| !regex.is_match(""));
    content + usize::from(!needs_one)
}

/// The longest text in SentencePiece's table of replacements: a tree, and then texts that each end in a NUL byte.
fn longest_replacement(map: &str) -> Result<usize> {
    let bytes = STANDARD.decode(map).context("its table of characters is no base64")?;
    let tree = bytes.first_chunk().map_or(0, |length| u32::from_le_bytes(*length) as usize);
    let texts = bytes.get(tree.saturating_add(4)..).context("its table of characters is cut short")?;
    Ok(texts.split(|&byte| byte == 0).map(<[u8]>::len).max().unwrap_or(0))
}

/// Bytes that a step of a pre-tokenizer makes of one: other characters for bytes, and a mark before each word.
fn split_growth(step: &Map<String, Value>) -> usize {
    match step.get("type").and_then(Value::as_str) {
        Some("ByteLevel") => 2,
        Some("Metaspace") => 5,
        _ => 1,
    }
}

fn check_model(model: &Value) -> Result<()> {
    for name in ["continuing_subword_prefix", "end_of_word_suffix", "unk_token"] {
        let length = model[name].as_str().map_or(0, str::len);
        ensure!(length <= LONGEST_AFFIX, "`{name}` has {length} bytes; {LONGEST_AFFIX} are the most");
    }
    let longest = model["max_input_chars_per_word"].as_u64().unwrap_or(0);
    ensure!(longest <= LONGEST_WORD, "`max_input_chars_per_word` is {longest}; {LONGEST_WORD} is the most");
    let pieces = model["vocab"].as_array().into_iter().flatten();
    let bytes: usize = pieces.map(|piece| piece[0].as_str().map_or(0, str::len)).sum();
    ensure!(bytes <= MOST_PIECES, "the pieces of its vocabulary have {bytes} bytes; {MOST_PIECES} are the most");
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn grows(normalizer: Value) -> Result<usize> {
        TokenizerFile::checked(json!({"normalizer": normalizer, "model": {}})).map(|file| file.growth)
    }

    fn replace(pattern: Value, content: &str) -> Value {
        json!({"type": "Replace", "pattern": pattern, "content": content})
    }

    #[test]
    fn growth_is_the_product_of_the_steps() {
        let check = |normalizer: Value, expected: usize| {
            assert_eq!(grows(normalizer.clone()).unwrap(), expected, "{normalizer}");
        };
        let text = |text: &str| json!({"String": text});
        let regex = |text: &str| json!({"Regex": text});
        let sequence = |steps: Vec<Value>| json!({"type": "Sequence", "normalizers": steps});
        let form = |name: &str| json!({"type": name});
        check(Value::Null, 1);
        check(form("NFC"), 12);
        check(sequence(vec![form("NFKC"), form("Lowercase"), form("StripAccents")]), 12);
        check(sequence(vec![form("NFKC"), replace(text("a"), "é"), form("NFD")]), 12 * 2 * 12);
        check(replace(text("``"), "\""), 1);
        check(replace(text("ab"), "abcd"), 2);
        check(replace(text(""), "ab"), 3);
        check(replace(regex(" {2,}"), " "), 1);
        check(replace(regex("x*"), "ab"), 3);
        check(replace(regex("(?=x)"), "ab"), 3);
        check(sequence(vec![replace(text("a"), "aa"), sequence(vec![replace(text("a"), "aaa")])]), 6);
        check(json!({"type": "Prepend", "prepend": "▁"}), 4);
        let table = [&4u32.to_le_bytes()[..], b"tree", b"a\0bcdef\0"].concat();
        check(json!({"type": "Precompiled", "precompiled_charsmap": STANDARD.encode(table)}), 5);
    }

    #[test]
    fn what_no_model_has_is_refused() {
        let check = |json: Value, expected: &str| {
            let error = format!("{:#}", TokenizerFile::checked(json).err().unwrap());
            assert!(error.contains(expected), "{error:?} lacks {expected:?}");
        };
        let doubling = |times: usize| vec![replace(json!({"String": "a"}), "aa"); times];
        check(
            json!({"normalizer": {"type": "Sequence", "normalizers": doubling(40)}}),
            "makes up to 2048 bytes of one",
        );
        let nested = (0..40).fold(Value::Null, |inner, _| json!({"type": "Sequence", "normalizers": [inner]}));
        check(json!({"normalizer": nested}), "more than 24 deep");
        check(json!({"normalizer": {"normalizers": vec![json!({"type": "NFC"}); 600]}}), "more than 512 entries");
        check(json!({"normalizer": replace(json!({"String": "a"}), &"a".repeat(5000))}), "a text of 5000 bytes");
        let levels = json!({"type": "Sequence", "pretokenizers": vec![json!({"type": "ByteLevel"}); 9]});
        check(json!({"pre_tokenizer": levels}), "pre-tokenizer makes up to 512 bytes");
        check(json!({"post_processor": {"single": vec![json!({"Sequence": {}}); 300]}}), "more than 512 parts");
        check(json!({"model": {"continuing_subword_prefix": "#".repeat(999)}}), "continuing_subword_prefix");
        check(json!({"model": {"max_input_chars_per_word": 1_000_000}}), "max_input_chars_per_word");
        check(json!({"model": {"vocab": [["a".repeat(7 << 20), 0.0]]}}), "the pieces of its vocabulary");
        let quiet = json!({"padding": {"strategy": {"Fixed": 1u64 << 40}}, "truncation": {}, "decoder": {}});
        let json = TokenizerFile::checked(quiet).unwrap().json;
        assert!(json["padding"].is_null() && json["truncation"].is_null() && json["decoder"].is_null());
    }
}
