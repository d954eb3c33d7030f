//! The default engine: a small multilingual embedding compiled into the binary.
//!
//! It is a student of several larger ones, for many languages; `model/README.md` says how it was made, what it can do and
//! what not.

mod matrix;
mod student;
mod tokens;
mod weights;

use std::sync::LazyLock;

use anyhow::{Context, Result, anyhow};
use pulp::Arch;
use rayon::prelude::*;

use super::calibration;
use crate::engine::{Embedder, Embedding, LabelText, TokenizedText};
use tokens::Tokenizer;
use weights::Weights;

/// Its name.
pub const BUILTIN: &str = "builtin";

/// Of the factor between a cosine and a logit, by `model/make/calibrate.py`.
const COEFFICIENTS: [f64; 4] = [2.0133, 0.0677, 0.0044, 2.6471];

/// Tokens by which it tells whether it knows the script of a text.
const KNOWN_BY: usize = 64;

/// The embedded model.
#[derive(Clone, Copy)]
pub struct Builtin(&'static Opened);

/// What all who use it share.
struct Opened {
    weights: Weights,
    tokenizer: Tokenizer,
    arch: Arch,
}

impl Opened {
    fn new() -> Result<Self> {
        let weights = Weights::embedded()?;
        let tokenizer = Tokenizer::new(&weights).context("the embedded model is damaged")?;
        Ok(Self { weights, tokenizer, arch: Arch::new() })
    }
}

impl Builtin {
    /// Opens the embedded model. The first time indexes its vocabulary, which takes a few milliseconds.
    ///
    /// # Errors
    /// When the binary was built with a damaged model file.
    pub fn new() -> Result<Self> {
        static OPENED: LazyLock<Result<Opened>> = LazyLock::new(Opened::new);
        OPENED.as_ref().map(Self).map_err(|error| anyhow!("{error:#}"))
    }

    /// Tells the embedded model from that of another release.
    pub fn fingerprint() -> String {
        Weights::fingerprint()
    }

    /// Numbers that it has learned, and bytes of its file, which lie in the program.
    ///
    /// # Errors
    /// As [`Builtin::new`].
    pub fn size() -> Result<(u64, u64)> {
        Weights::size()
    }

    /// The first `most` pieces of a text that have a meaning.
    pub fn tokens(&self, text: &str, most: usize) -> Vec<u32> {
        self.0.tokenizer.encode(text, most)
    }

    /// The normalised vector of a text, shape `[dims]`, and its language as an index into those of the model. `None`
    /// without a known token.
    pub fn vector(&self, text: &str) -> Option<(Vec<f32>, Option<usize>)> {
        self.sum(&self.tokens(text, self.default_max_tokens()))
    }

    /// The vector of a text. What all texts of a language share tells nothing about labels, so their mean is taken away.
    pub(super) fn centred(&self, ids: &[u32]) -> Option<Vec<f32>> {
        let (mut vector, language) = self.sum(ids)?;
        if let Some(language) = language {
            vector.iter_mut().zip(self.0.weights.mean(language)).for_each(|(value, mean)| *value -= mean);
        }
        Some(vector)
    }

    /// True where a text has more letters that are spelled in bytes than pieces, as in a script that has none.
    pub(super) fn is_spelled(&self, ids: &[u32]) -> bool {
        let bytes = ids.iter().filter_map(|id| id.checked_sub(self.0.weights.first_byte));
        let (mut spelled, mut letters) = (0, 0);
        for byte in bytes {
            spelled += 1;
            // The others continue a character in UTF-8.
            letters += usize::from(byte & 0xc0 != 0x80);
        }
        letters > ids.len() - spelled
    }

    /// The language of a text, as [`Builtin::vector`] has it, where most pieces that are typical of any are of it.
    pub(super) fn sure_language(&self, ids: &[u32]) -> Option<usize> {
        self.0.weights.sure_language(ids)
    }

    /// The codes of its languages.
    pub(super) fn languages(&self) -> &[String] {
        &self.0.weights.languages
    }

    /// The code of the language of a text, such as `en`, told by its first `most` pieces; `None` where they are of
    /// several.
    pub fn language(&self, text: &str, most: usize) -> Option<&str> {
        Some(&self.0.weights.languages[self.sure_language(&self.tokens(text, most))?])
    }

    fn sum(&self, ids: &[u32]) -> Option<(Vec<f32>, Option<usize>)> {
        Some((student::embed(&self.0.weights, ids, self.0.arch)?, self.0.weights.language(ids)))
    }
}

impl Embedder for Builtin {
    fn id(&self) -> &str {
        BUILTIN
    }

    fn default_max_tokens(&self) -> usize {
        512
    }

    /// Of a script that has no pieces it tells no words, only letters.
    fn knows(&self, text: &str) -> bool {
        let ids = self.tokens(text, KNOWN_BY);
        !ids.is_empty() && !self.is_spelled(&ids)
    }

    /// Of its two halves together.
    fn dims(&self) -> usize {
        2 * self.0.weights.dims
    }

    fn takes_instruction(&self) -> bool {
        false
    }

    fn tokenize(&self, text: &str, _: Option<&str>, max_tokens: usize) -> Result<TokenizedText> {
        // One more tells whether there were more.
        let mut ids = self.tokens(text, max_tokens.saturating_add(1));
        let truncated = ids.len() > max_tokens;
        ids.truncate(max_tokens);
        Ok(TokenizedText { tokens: ids.len(), ids, truncated })
    }

    fn embed_tokens(&self, texts: &[&TokenizedText]) -> Result<Vec<Option<Embedding>>> {
        let embedding = |text: &&TokenizedText| {
            let vector = self.centred(&text.ids)?;
            Some(Embedding { vector, tokens: text.tokens, truncated: text.truncated })
        };
        Ok(texts.par_iter().map(embedding).collect())
    }

    fn embed_labels(&self, labels: &[LabelText]) -> Result<Vec<Option<Vec<f32>>>> {
        let vector = |label: &LabelText| self.knows_label(label).then(|| self.vector(&label.text()))?;
        Ok(labels.iter().map(|label| Some(vector(label)?.0)).collect())
    }

    fn temperature(&self, labels: &[Vec<f32>]) -> f32 {
        calibration::factor(labels, &COEFFICIENTS)
    }
}
