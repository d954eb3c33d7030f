//! The default engine: a small multilingual embedding compiled into the binary.
//!
//! It is a student of all-MiniLM-L6-v2 for many languages; `model/README.md` says how it was made, what it can do and
//! what not.

mod calibration;
mod matrix;
mod student;
mod tokens;
mod weights;

use anyhow::Result;
use pulp::Arch;
use rayon::prelude::*;

use crate::engine::{Embedder, Embedding, LabelText, TokenizedText};
use tokens::Tokenizer;
use weights::Weights;

/// Its name.
pub const BUILTIN: &str = "builtin";

/// The embedded model.
pub struct Builtin {
    weights: Weights,
    tokenizer: Tokenizer,
    arch: Arch,
}

impl Builtin {
    /// Opens the embedded model and indexes its vocabulary, which takes a few milliseconds.
    ///
    /// # Errors
    /// When the binary was built with a damaged model file.
    pub fn new() -> Result<Self> {
        let weights = Weights::embedded()?;
        let tokenizer = Tokenizer::new(&weights);
        Ok(Self { weights, tokenizer, arch: Arch::new() })
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
        self.tokenizer.encode(&self.weights, text, most)
    }

    /// The normalised vector of a text, shape `[dims]`, and its language as an index into those of the model. `None`
    /// without a known token.
    pub fn vector(&self, text: &str) -> Option<(Vec<f32>, Option<usize>)> {
        self.sum(&self.tokens(text, self.default_max_tokens()))
    }

    fn sum(&self, ids: &[u32]) -> Option<(Vec<f32>, Option<usize>)> {
        Some((student::embed(&self.weights, ids, self.arch)?, self.weights.language(ids)))
    }
}

impl Embedder for Builtin {
    fn id(&self) -> &str {
        BUILTIN
    }

    fn default_max_tokens(&self) -> usize {
        512
    }

    /// Of its two halves together.
    fn dims(&self) -> usize {
        2 * self.weights.dims
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
        // What all texts of a language share tells nothing about labels, so their mean is taken away.
        let centred = |text: &&TokenizedText| {
            let (mut vector, language) = self.sum(&text.ids)?;
            if let Some(language) = language {
                vector.iter_mut().zip(self.weights.mean(language)).for_each(|(value, mean)| *value -= mean);
            }
            Some(Embedding { vector, tokens: text.tokens, truncated: text.truncated })
        };
        Ok(texts.par_iter().map(centred).collect())
    }

    fn embed_labels(&self, labels: &[LabelText]) -> Result<Vec<Option<Vec<f32>>>> {
        let text = |label: &LabelText| match &label.description {
            // One text, as the temperature was calibrated with.
            Some(description) => format!("{}. {description}", label.name),
            None => label.name.clone(),
        };
        Ok(labels.iter().map(|label| Some(self.vector(&text(label))?.0)).collect())
    }

    fn temperature(&self, labels: &[Vec<f32>]) -> f32 {
        calibration::factor(labels)
    }
}
