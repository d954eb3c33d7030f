//! Text to tokens by a repository's own `tokenizer.json`, in which foreign text can never write a special token.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::Value;
use tokenizers::Tokenizer;

use crate::engine::TokenizedText;
use crate::engine::checkpoint::TokenizerFile;
use crate::engine::checkpoint::names::TOKENIZER;

/// Stands before the names of special tokens, so that no text spells them. Unicode promises never to make it a
/// character; where a text has it all the same, it becomes a space.
const UNSPELLABLE: char = '\u{FFFF}';
/// Bytes of text that are looked at for each token that is wanted; tokens of more are rare, and then more is looked at.
const BYTES_A_TOKEN: usize = 16;
/// So many tokens more than wanted, and those wanted do not depend on where a long word was cut.
const SLACK: usize = 16;

/// Tokens that may stand around texts, and that may stand for a letter.
const MOST_AROUND: usize = 64;

/// One token of the pattern around texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    /// A token and its type.
    Special(u32, u32),
    /// All tokens of the first or second text, and their type.
    Text(usize, u32),
}

/// What goes into the model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Input {
    /// Shape: [tokens].
    pub(crate) ids: Vec<u32>,
    /// Shape: [tokens].
    pub(crate) types: Vec<u32>,
}

/// The tokenizer of a folder.
pub(crate) struct Tokens {
    tokenizer: Tokenizer,
    lower_case: bool,
    unknown: Option<u32>,
    /// Bytes of a text that are looked at, at most.
    room: usize,
    highest: u64,
    single: Vec<Piece>,
    pair: Vec<Piece>,
}

impl Tokens {
    /// Opens `tokenizer.json`.
    ///
    /// # Errors
    /// When it is missing, damaged, or puts nothing around texts.
    pub(crate) fn open(folder: &Path, lower_case: bool) -> Result<Self> {
        let path = folder.join(TOKENIZER);
        Self::of(TokenizerFile::read(&path)?, lower_case).with_context(|| format!("cannot use {}", path.display()))
    }

    fn of(file: TokenizerFile, lower_case: bool) -> Result<Self> {
        let (room, mut json) = (file.room(), file.json);
        let highest = highest(&json)?;
        let kept = hide_specials(&mut json);
        let unknown = unknown(&json["model"]);
        let tokenizer: Tokenizer = serde_json::from_value(json).context("the tokenizers library does not know it")?;
        for (word, id) in kept {
            let got = tokenizer.token_to_id(&word);
            ensure!(got.map(u64::from) == id, "the added token {word:?} has no place of its own in the vocabulary");
        }
        let (single, pair) = (pattern(&tokenizer, false)?, pattern(&tokenizer, true)?);
        for pattern in [&single, &pair] {
            let ends = [pattern.first(), pattern.last()];
            ensure!(
                ends.iter().all(|end| matches!(end, Some(Piece::Special(..)))),
                "it puts no special tokens around a text, but these models were trained with them"
            );
        }
        // A template may name a number that no vocabulary has.
        let special = |piece: &Piece| if let Piece::Special(id, _) = piece { u64::from(*id) } else { 0 };
        let highest = single.iter().chain(&pair).map(special).fold(highest, u64::max);
        Ok(Self { tokenizer, lower_case, unknown, room, highest, single, pair })
    }

    /// The highest token number.
    pub(crate) fn highest(&self) -> u64 {
        self.highest
    }

    /// The highest number of a text in a pair.
    pub(crate) fn highest_type(&self) -> u32 {
        let kind = |piece: &Piece| match piece {
            Piece::Special(_, kind) | Piece::Text(_, kind) => *kind,
        };
        self.single.iter().chain(&self.pair).map(kind).max().unwrap_or(0)
    }

    /// How many special tokens stand around one text.
    pub(crate) fn around_one(&self) -> usize {
        self.single.len() - 1
    }

    /// How many special tokens stand around and between two texts.
    pub(crate) fn around_two(&self) -> usize {
        self.pair.len() - 2
    }

    /// True for the token that stands for what the vocabulary cannot write.
    pub(crate) fn is_unknown(&self, id: u32) -> bool {
        self.unknown == Some(id)
    }

    /// The first `most` tokens of a text, without special ones. Of a long text no more is looked at than they need.
    ///
    /// # Errors
    /// When the tokenizer fails.
    pub(crate) fn words(&self, text: &str, most: usize) -> Result<TokenizedText> {
        let all = text.trim();
        let text = start(all, self.room);
        let mut bytes = most.saturating_add(SLACK).saturating_mul(BYTES_A_TOKEN);
        loop {
            let part = start(text, bytes);
            let whole = part.len() == text.len();
            let mut ids = self.encode(part)?;
            if whole || ids.len() > most.saturating_add(SLACK) {
                let truncated = ids.len() > most || text.len() < all.len();
                ids.truncate(most);
                return Ok(TokenizedText { tokens: ids.len(), ids, truncated });
            }
            bytes = bytes.saturating_mul(4);
        }
    }

    fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let mut text = text.replace(UNSPELLABLE, " ");
        if self.lower_case {
            text = text.to_lowercase();
        }
        let encoding =
            self.tokenizer.encode_fast(text, false).map_err(|error| anyhow!("the tokenizer failed: {error}"))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// One text with what stands around it.
    pub(crate) fn input(&self, text: &[u32]) -> Input {
        fill(&self.single, [text, &[]])
    }

    /// Two texts with what stands around and between them.
    pub(crate) fn pair(&self, first: &[u32], second: &[u32]) -> Input {
        fill(&self.pair, [first, second])
    }
}

fn fill(pattern: &[Piece], texts: [&[u32]; 2]) -> Input {
    let mut input = Input::default();
    for piece in pattern {
        match *piece {
            Piece::Special(id, kind) => {
                input.ids.push(id);
                input.types.push(kind);
            }
            Piece::Text(which, kind) => {
                input.ids.extend(texts[which]);
                input.types.resize(input.ids.len(), kind);
            }
        }
    }
    input
}

/// About so many bytes of a text from its start, up to the end of a word where there is one.
fn start(text: &str, bytes: usize) -> &str {
    if bytes >= text.len() {
        return text;
    }
    let part = &text[..text.floor_char_boundary(bytes)];
    part.rfind(char::is_whitespace).filter(|&end| end > 0).map_or(part, |end| &part[..end])
}

/// The highest number of a token.
fn highest(json: &Value) -> Result<u64> {
    let vocabulary = match &json["model"]["vocab"] {
        Value::Array(pieces) => pieces.len().checked_sub(1).map(|last| last as u64),
        Value::Object(words) => words.values().filter_map(Value::as_u64).max(),
        _ => None,
    };
    let added = json["added_tokens"].as_array().into_iter().flatten().filter_map(|token| token["id"].as_u64()).max();
    vocabulary.max(added).context("it has no vocabulary")
}

/// Takes away what would read special tokens out of texts; returns the added tokens that are none.
fn hide_specials(json: &mut Value) -> Vec<(String, Option<u64>)> {
    let added = json["added_tokens"].as_array_mut().map(std::mem::take).unwrap_or_default();
    let (special, kept): (Vec<Value>, Vec<Value>) = added.into_iter().partition(|token| token["special"] == true);
    let word = |token: &Value| token["content"].as_str().unwrap_or("").to_string();
    let hidden: BTreeSet<String> = special.iter().map(word).collect();
    let names = kept.iter().map(|token| (word(token), token["id"].as_u64())).collect();
    json["added_tokens"] = kept.into();
    let unknown = json["model"]["unk_token"].as_str().map(String::from);
    match &mut json["model"]["vocab"] {
        Value::Array(pieces) => {
            for piece in pieces {
                if let Some(Value::String(word)) =
                    piece.get_mut(0).filter(|word| word.as_str().is_some_and(|w| hidden.contains(w)))
                {
                    word.insert(0, UNSPELLABLE);
                }
            }
        }
        Value::Object(words) => {
            // Models find the token for what they cannot write by its name.
            for word in hidden.into_iter().filter(|word| unknown.as_ref() != Some(word)) {
                if let Some(id) = words.remove(&word) {
                    words.insert(format!("{UNSPELLABLE}{word}"), id);
                }
            }
        }
        _ => {}
    }
    names
}

fn unknown(model: &Value) -> Option<u32> {
    let named = model["unk_token"].as_str().and_then(|word| model["vocab"][word].as_u64());
    model["unk_id"].as_u64().or(named).map(|id| id as u32)
}

/// What the tokenizer puts around one text or two, found by letting it.
fn pattern(tokenizer: &Tokenizer, pair: bool) -> Result<Vec<Piece>> {
    let failed = |error| anyhow!("the tokenizer failed: {error}");
    let one = tokenizer.encode("a", false).map_err(failed)?.len();
    ensure!((1..=MOST_AROUND).contains(&one), "it makes {one} tokens of a letter");
    let whole = if pair { tokenizer.encode(("a", "a"), true) } else { tokenizer.encode("a", true) }.map_err(failed)?;
    ensure!(whole.len() <= 2 * one + MOST_AROUND, "it puts more than {MOST_AROUND} tokens around a text");
    let mut pattern = Vec::new();
    let mut seen = 0;
    for (at, (&id, &kind)) in whole.get_ids().iter().zip(whole.get_type_ids()).enumerate() {
        if whole.get_special_tokens_mask()[at] == 1 {
            pattern.push(Piece::Special(id, kind));
            continue;
        }
        if seen % one == 0 {
            pattern.push(Piece::Text(seen / one, kind));
        }
        seen += 1;
    }
    let texts = 1 + usize::from(pair);
    ensure!(seen == texts * one, "it makes {seen} tokens of {texts} times {one}");
    Ok(pattern)
}
