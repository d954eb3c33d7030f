//! Text to tokens by a checkpoint's own tokenizer, in which foreign text can never write a special token.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};
use tokenizers::Tokenizer;
use tokenizers::models::bpe::BPE;
use tokenizers::normalizers::NFC;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::tokenizer::SplitDelimiterBehavior;

use crate::engine::checkpoint::gguf::Metadata;
use crate::engine::checkpoint::names::TOKENIZER;
use crate::engine::checkpoint::{Checkpoint, Description, TokenizerFile};

/// How Qwen2 and Qwen3 cut text into words, as their tokenizer.json has it; GGUF files only say `qwen2`.
const WORDS: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// Bytes that a form of Unicode makes of one, at most.
const MOST_GROWTH: usize = 12;
/// Kinds of tokens in GGUF metadata that text must not be read as: control, and user-defined.
const ADDED: [i32; 2] = [3, 4];

/// The tokenizer of a checkpoint.
pub(crate) struct Vocabulary {
    /// Without any added token, so that a mail which says `<|im_end|>` says these ten characters and nothing else.
    plain: Tokenizer,
    added: HashMap<String, u32>,
    appended: Option<u32>,
    highest: u32,
}

/// A piece of text as tokens.
pub(crate) struct Encoded {
    /// The tokens.
    pub(crate) ids: Vec<u32>,
    /// Where in the text, in bytes, each token begins and ends.
    pub(crate) spans: Vec<(usize, usize)>,
}

impl Vocabulary {
    /// Opens `tokenizer.json` of a folder, or the vocabulary inside a GGUF file.
    ///
    /// # Errors
    /// When it is missing, damaged, or of a kind that Qwen3 does not have.
    pub(crate) fn open(checkpoint: &Checkpoint) -> Result<Self> {
        match &checkpoint.description {
            Description::Folder(_) => Self::from_json(&checkpoint.path.join(TOKENIZER)),
            Description::Gguf(metadata) => {
                Self::from_gguf(metadata).with_context(|| format!("cannot use {}", checkpoint.path.display()))
            }
        }
    }

    pub(crate) fn from_json(path: &Path) -> Result<Self> {
        let shown = path.display();
        ensure!(path.exists(), "{shown} is missing; a model folder holds config.json, tokenizer.json and weights");
        let TokenizerFile { json, growth } = TokenizerFile::read(path)?;
        ensure!(growth <= MOST_GROWTH, "cannot use {shown}: its normalizer is not NFC, as that of Qwen3 is");
        let whole: Tokenizer = serde_json::from_value(json).map_err(|error| anyhow!("cannot use {shown}: {error}"))?;
        let appended = whole.encode("x", true).map_err(|error| anyhow!("cannot use {shown}: {error}"))?;
        let added = whole.get_added_tokens_decoder().into_iter().map(|(id, token)| (token.content, id)).collect();
        let mut plain = Tokenizer::new(whole.get_model().clone());
        let broken = |error| anyhow!("cannot use {shown}: {error}");
        plain.with_normalizer(whole.get_normalizer().cloned()).map_err(broken)?;
        plain.with_pre_tokenizer(whole.get_pre_tokenizer().cloned());
        let highest = whole.get_vocab(true).into_values().max().unwrap_or(0);
        let bare = plain.encode("x", false).map_err(|error| anyhow!("cannot use {shown}: {error}"))?;
        let appended = (appended.len() > bare.len()).then(|| appended.get_ids().last().copied()).flatten();
        Ok(Self { plain, added, appended, highest })
    }

    fn from_gguf(metadata: &Metadata) -> Result<Self> {
        let kind = metadata.text("tokenizer.ggml.model").unwrap_or("none");
        let words = metadata.text("tokenizer.ggml.pre").unwrap_or("none");
        ensure!(
            kind == "gpt2" && words == "qwen2",
            "the tokenizer of the GGUF file is {kind:?} with words as in {words:?}; Qwen3 has \"gpt2\" with \"qwen2\""
        );
        let tokens = metadata.texts("tokenizer.ggml.tokens")?;
        let kinds = metadata.numbers("tokenizer.ggml.token_type")?;
        ensure!(tokens.len() == kinds.len(), "the GGUF metadata has {} tokens, {} kinds", tokens.len(), kinds.len());
        let pair = |merge: String| merge.split_once(' ').map(|(a, b)| (a.to_string(), b.to_string()));
        let merges = metadata.texts("tokenizer.ggml.merges")?.into_iter().map(pair).collect::<Option<Vec<_>>>();
        let merges = merges.context("the GGUF metadata has a merge that is no pair")?;
        let highest = tokens.len().saturating_sub(1) as u32;
        let (mut added, mut vocabulary) = (HashMap::new(), Vec::new());
        for ((id, token), kind) in tokens.into_iter().enumerate().zip(kinds) {
            if ADDED.contains(&kind) {
                added.insert(token, id as u32);
            } else {
                vocabulary.push((token, id as u32));
            }
        }
        let model =
            BPE::builder().vocab_and_merges(vocabulary.into_iter().collect::<tokenizers::models::bpe::Vocab>(), merges);
        let wrong = |error| anyhow!("the vocabulary of the GGUF file cannot be used: {error}");
        let mut plain = Tokenizer::new(model.build().map_err(wrong)?);
        let split = Split::new(SplitPattern::Regex(WORDS.into()), SplitDelimiterBehavior::Isolated, false);
        let bytes = ByteLevel::new(false, false, false);
        plain.with_normalizer(Some(NFC)).map_err(wrong)?;
        plain.with_pre_tokenizer(Some(Sequence::new(vec![split.map_err(wrong)?.into(), bytes.into()])));
        let ends = metadata.flag("tokenizer.ggml.add_eos_token").unwrap_or(false);
        let appended = ends.then(|| metadata.whole("tokenizer.ggml.eos_token_id")).flatten();
        Ok(Self { plain, added, appended, highest })
    }

    /// The token that the tokenizer puts behind every text, where it does.
    pub(crate) fn appended(&self) -> Option<u32> {
        self.appended
    }

    /// The highest token number.
    pub(crate) fn highest(&self) -> u32 {
        self.highest
    }

    /// A special token by its name.
    pub(crate) fn added(&self, name: &str) -> Option<u32> {
        self.added.get(name).copied()
    }

    /// The one token that a word is.
    ///
    /// # Errors
    /// When it is several, or none.
    pub(crate) fn single(&self, word: &str) -> Result<u32> {
        match &self.text(word)?.ids[..] {
            &[id] => Ok(id),
            ids => Err(anyhow!(
                "the tokenizer writes {word:?} with {} tokens, so this is not the tokenizer of a Qwen3 reranker",
                ids.len()
            )),
        }
    }

    /// Foreign text as tokens, whatever it says.
    ///
    /// # Errors
    /// When the tokenizer fails.
    pub(crate) fn text(&self, text: &str) -> Result<Encoded> {
        let encoding = self.plain.encode(text, false).map_err(|error| anyhow!("the tokenizer failed: {error}"))?;
        let spans = encoding.get_offsets().to_vec();
        Ok(Encoded { ids: encoding.get_ids().to_vec(), spans })
    }

    /// Text of our own, in which special tokens are meant.
    ///
    /// # Errors
    /// When the tokenizer fails or lacks one of them.
    pub(crate) fn template(&self, text: &str, specials: &[&str]) -> Result<Vec<u32>> {
        let mut ids = Vec::new();
        let mut rest = text;
        while let Some((at, special)) = first_of(rest, specials) {
            ids.extend(self.text(&rest[..at])?.ids);
            let id = self.added(special);
            ids.push(id.with_context(|| format!("the tokenizer lacks {special}, so this is no Qwen3 model"))?);
            rest = &rest[at + special.len()..];
        }
        ids.extend(self.text(rest)?.ids);
        Ok(ids)
    }
}

/// Where the first of the words stands, and which it is.
fn first_of<'a>(text: &str, words: &[&'a str]) -> Option<(usize, &'a str)> {
    words.iter().filter_map(|word| Some((text.find(word)?, *word))).min_by_key(|(at, _)| *at)
}
