//! Embeds texts, or takes their vectors from the cache.

use std::borrow::Cow;

use anyhow::Result;
use rayon::prelude::*;

use super::memory::{KeyParts, Memory};
use super::retry::{self, Tried};
use super::{PreparedText, label_texts, vectors};
use crate::classifier::linear::Prior;
use crate::engine::{Embedder, Embedding, TokenizedText};
use crate::labels::{Label, LabelSet};

/// An embedder with its cache.
pub struct Embeddings {
    pub(in crate::classifier) engine: Box<dyn Embedder>,
    /// How many tokens of a text the model sees.
    pub max_tokens: usize,
    memory: Option<Memory>,
}

impl Embeddings {
    /// `max_tokens` is `None` for the model's own bound.
    pub(in crate::classifier) fn new(
        engine: Box<dyn Embedder>,
        max_tokens: Option<usize>,
        memory: Option<Memory>,
    ) -> Self {
        let max_tokens = max_tokens.unwrap_or(engine.default_max_tokens());
        Self { engine, max_tokens, memory }
    }

    /// Tokenises a text ahead of [`Embeddings::embed_each`], unless its vector may come from the cache.
    pub fn prepare(&self, text: String, instruct: Option<&str>) -> PreparedText {
        let tokens = vec![self.ahead(&text, instruct)];
        PreparedText { text, tokens }
    }

    /// The tokens of a text. `None` where its vector may come from the cache, or where it has none: the error comes
    /// again when it is embedded.
    pub(super) fn ahead(&self, text: &str, instruct: Option<&str>) -> Option<TokenizedText> {
        if self.memory.is_some() {
            return None;
        }
        self.engine.tokenize(text, instruct, self.max_tokens).ok()
    }

    /// One vector for each text, which asks `instruct`, the task of number `task` of its tokens. `None` for a text of
    /// which the model knows no word.
    ///
    /// # Errors
    /// When the model cannot run.
    pub(in crate::classifier) fn embed(
        &self,
        texts: &[PreparedText],
        task: usize,
        instruct: Option<&str>,
    ) -> Result<Vec<Option<Embedding>>> {
        let embed = |texts: &[&PreparedText]| -> Result<Vec<Option<Embedding>>> {
            let tokenize = |text: &str| self.engine.tokenize(text, instruct, self.max_tokens);
            let tokens = texts.par_iter().map(|text| text.tokens_for(task, tokenize));
            let tokens: Vec<Cow<TokenizedText>> = tokens.collect::<Result<_>>()?;
            self.engine.embed_tokens(&tokens.iter().map(|tokens| &**tokens).collect::<Vec<_>>())
        };
        let Some(memory) = &self.memory else {
            return embed(&texts.iter().collect::<Vec<_>>());
        };
        // An instruction that the model ignores is not part of the key.
        let instruct = instruct.filter(|_| self.engine.takes_instruction());
        let parts = KeyParts { instruct, max_tokens: self.max_tokens };
        let dims = self.engine.dims();
        let keys: Vec<_> = texts.iter().map(|text| memory.vector_key(&parts, &text.text, dims)).collect();
        let mut found = memory.vectors(&keys);
        let missing: Vec<usize> = (0..texts.len()).filter(|&at| found[at].is_none()).collect();
        let made = embed(&missing.iter().map(|&at| &texts[at]).collect::<Vec<_>>())?;
        let kept = missing.iter().zip(&made).filter_map(|(&at, made)| Some((keys[at].clone(), made.clone()?)));
        memory.keep_vectors(kept.collect());
        missing.into_iter().zip(made).for_each(|(at, made)| found[at] = made);
        Ok(found)
    }

    /// One vector for each text, or why there is none. `probe` is a text that any working model can embed.
    ///
    /// # Errors
    /// When the model cannot run.
    pub fn embed_each(&self, texts: &[PreparedText], instruct: Option<&str>, probe: &str) -> Result<Tried<Embedding>> {
        retry::each(texts, |texts| self.embed(texts, 0, instruct), || self.probe(&[probe.to_string()], instruct))
    }

    /// Embeds texts past the cache, to see whether the model can run.
    ///
    /// # Errors
    /// When it cannot.
    pub(super) fn probe(&self, texts: &[String], instruct: Option<&str>) -> Result<()> {
        self.engine.embed(texts, instruct, self.max_tokens).map(drop)
    }

    /// What the names and descriptions of labels say, as zero-shot classification would take them. `None` where the model
    /// knows no word of any.
    ///
    /// # Errors
    /// When the model cannot run, or a label is too long for it.
    pub fn prior(&self, labels: &[Label]) -> Result<Option<Prior>> {
        let vectors = self.engine.embed_labels(&label_texts(labels))?;
        let known: Vec<Vec<f32>> = vectors.iter().flatten().cloned().collect();
        Ok(Prior::new(&vectors, self.engine.temperature(&known)))
    }

    /// What the labels of a set say by their names, descriptions and examples, just as zero-shot classification takes
    /// them. `None` for a set without labels.
    ///
    /// # Errors
    /// When the model knows no word of a label, has no room for the instruction, or cannot run.
    pub fn names(&self, set: &LabelSet, instruct: Option<&str>) -> Result<Option<Prior>> {
        let instruct = instruct.filter(|_| self.engine.takes_instruction());
        self.engine.check(instruct)?;
        let vectors = vectors::label_vectors(self, set, instruct)?;
        let factor = self.engine.temperature(&vectors);
        Ok(Prior::new(&vectors.into_iter().map(Some).collect::<Vec<_>>(), factor))
    }

    /// What went wrong with the cache, once.
    pub fn trouble(&self) -> Option<String> {
        self.memory.as_ref()?.trouble()
    }
}
