//! What Qwen3 rerankers and embeddings are asked, word for word as their model cards have it, and how a mail that is
//! too long is cut: at its end, never the question around it.

use anyhow::{Context, Result, ensure};

use super::vocabulary::Vocabulary;
use crate::engine::{LabelText, TokenizedText};

/// What stands before every question to a reranker.
pub const PREFIX: &str = "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and \
                          the Instruct provided. Note that the answer can only be \"yes\" or \"no\".<|im_end|>\n\
                          <|im_start|>user\n";
/// What stands behind it. Without the empty thought the models have never seen the question.
pub const SUFFIX: &str = "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n";
/// The special tokens in both.
const SPECIALS: [&str; 4] = ["<|im_start|>", "<|im_end|>", "<think>", "</think>"];
/// The token that an embedding is read from.
const END: &str = "<|endoftext|>";

/// What a reranker is asked to do unless told otherwise. The mail is the query, a label the document.
pub const RERANKER_TASK: &str = "Given an email, judge whether the category described in the document fits the email";
/// What an embedding is asked to do unless told otherwise.
pub const EMBEDDING_TASK: &str = "Given an email, retrieve the category that describes it";

/// Bytes of text that are looked at for each token that is wanted; tokens of more are rare, and then more is looked at.
const BYTES_A_TOKEN: usize = 16;

/// Writes prompts for a reranker.
pub(crate) struct RerankerPrompt {
    vocabulary: Vocabulary,
    prefix: Vec<u32>,
    suffix: Vec<u32>,
    /// The answers.
    pub(crate) yes: u32,
    /// The answers.
    pub(crate) no: u32,
}

impl RerankerPrompt {
    /// Checks that the tokenizer is that of a reranker.
    ///
    /// # Errors
    /// When it lacks a special token, splits `yes` or `no`, or puts something behind every text as that of an
    /// embedding.
    pub(crate) fn new(vocabulary: Vocabulary) -> Result<Self> {
        ensure!(
            vocabulary.appended().is_none(),
            "the tokenizer puts a token behind every text, so this is the tokenizer of an embedding, not of a reranker"
        );
        let (prefix, suffix) = (vocabulary.template(PREFIX, &SPECIALS)?, vocabulary.template(SUFFIX, &SPECIALS)?);
        let (yes, no) = (vocabulary.single("yes")?, vocabulary.single("no")?);
        Ok(Self { vocabulary, prefix, suffix, yes, no })
    }

    /// The highest token number.
    pub(crate) fn highest(&self) -> u32 {
        self.vocabulary.highest()
    }

    /// Tokens behind a label.
    pub(crate) fn ending(&self) -> usize {
        self.suffix.len()
    }

    /// The part of a prompt that all labels of a mail share, up to the label: the label begins with a space, where every tokenizer of Qwen begins a new word.
    ///
    /// # Errors
    /// When the tokenizer fails.
    pub(crate) fn prefix(&self, instruct: &str, text: &str, max_tokens: usize) -> Result<TokenizedText> {
        let head = format!("<Instruct>: {instruct}\n<Query>: ");
        let cut = Cut { vocabulary: &self.vocabulary, head: &head, tail: "\n<Document>:", max_tokens };
        let mut prefix = cut.encode(text)?;
        prefix.ids.splice(0..0, self.prefix.iter().copied());
        Ok(prefix)
    }

    /// Tokens from a document on, whose end is cut off where it is too long.
    ///
    /// # Errors
    /// When the tokenizer fails.
    pub(crate) fn document(&self, text: &str, max_tokens: usize) -> Result<TokenizedText> {
        let cut = Cut { vocabulary: &self.vocabulary, head: " ", tail: "", max_tokens };
        let mut document = cut.encode(text)?;
        document.ids.extend(&self.suffix);
        Ok(document)
    }

    /// Tokens from the label on.
    ///
    /// # Errors
    /// When the tokenizer fails.
    pub(crate) fn tail(&self, label: &str) -> Result<Vec<u32>> {
        let mut ids = self.vocabulary.text(&format!(" {label}"))?.ids;
        ids.extend(&self.suffix);
        Ok(ids)
    }
}

/// A label as rerankers and embeddings read it.
pub(crate) fn label(label: &LabelText) -> String {
    match &label.description {
        Some(description) => format!("{}: {description}", label.name),
        None => label.name.clone(),
    }
}

/// Writes prompts for an embedding.
pub(crate) struct EmbeddingPrompt {
    vocabulary: Vocabulary,
    end: u32,
}

impl EmbeddingPrompt {
    /// Checks that the tokenizer is that of an embedding.
    ///
    /// # Errors
    /// When it does not put `<|endoftext|>` behind a text: the vector would be read from another token.
    pub(crate) fn new(vocabulary: Vocabulary) -> Result<Self> {
        let end =
            vocabulary.added(END).with_context(|| format!("the tokenizer lacks {END}, so this is no Qwen3 model"))?;
        ensure!(
            vocabulary.appended() == Some(end),
            "the tokenizer does not put {END} behind a text, so it is not the tokenizer of a Qwen3 embedding; download \
             tokenizer.json of the embedding again"
        );
        Ok(Self { vocabulary, end })
    }

    /// The highest token number.
    pub(crate) fn highest(&self) -> u32 {
        self.vocabulary.highest()
    }

    /// A text that looks for something.
    ///
    /// # Errors
    /// When the tokenizer fails.
    pub(crate) fn query(&self, instruct: &str, text: &str, max_tokens: usize) -> Result<TokenizedText> {
        self.ended(&format!("Instruct: {instruct}\nQuery:"), text, max_tokens)
    }

    /// A text that is looked for.
    ///
    /// # Errors
    /// When the tokenizer fails.
    pub(crate) fn document(&self, text: &str, max_tokens: usize) -> Result<TokenizedText> {
        self.ended("", text, max_tokens)
    }

    fn ended(&self, head: &str, text: &str, max_tokens: usize) -> Result<TokenizedText> {
        let cut = Cut { vocabulary: &self.vocabulary, head, tail: "", max_tokens };
        let mut prefix = cut.encode(text)?;
        prefix.ids.push(self.end);
        Ok(prefix)
    }
}

/// Encodes a text between two others, with its end cut off where it is too long.
struct Cut<'a> {
    vocabulary: &'a Vocabulary,
    head: &'a str,
    tail: &'a str,
    max_tokens: usize,
}

impl Cut<'_> {
    fn encode(&self, text: &str) -> Result<TokenizedText> {
        let mut seen = text.floor_char_boundary(self.max_tokens.saturating_mul(BYTES_A_TOKEN));
        loop {
            let prefix = self.encode_start(&text[..seen])?;
            if prefix.truncated || seen == text.len() {
                return Ok(prefix);
            }
            if prefix.tokens == self.max_tokens {
                return Ok(TokenizedText { truncated: true, ..prefix });
            }
            seen = text.floor_char_boundary(seen.saturating_mul(4));
        }
    }

    fn encode_start(&self, text: &str) -> Result<TokenizedText> {
        let mut end = text.len();
        loop {
            let whole = [self.head, &text[..end], self.tail].concat();
            let encoded = self.vocabulary.text(&whole)?;
            // A space before the text goes into its first token.
            let own = |&&(from, to): &&(usize, usize)| to > self.head.len() && from < self.head.len() + end;
            let tokens = encoded.spans.iter().filter(own).count();
            // Without a text the space before it may be one token with what stands behind.
            let tokens = if end == 0 { 0 } else { tokens };
            if tokens <= self.max_tokens {
                return Ok(TokenizedText { ids: encoded.ids, tokens, truncated: end < text.len() });
            }
            // The cut may make other tokens of what is left, so it is counted again.
            let first_over = encoded.spans.iter().filter(own).nth(self.max_tokens);
            let cut = first_over.map_or(0, |(from, _)| text.floor_char_boundary(from.saturating_sub(self.head.len())));
            end = if cut < end { cut } else { text.floor_char_boundary(end.saturating_sub(1)) };
        }
    }
}
