//! From texts to scores: whichever model scores, behind whichever shortlist and cache.

mod background;
mod cascade;
mod embeddings;
mod learned;
mod memory;
mod pairs;
mod retry;
mod vectors;

use std::borrow::Cow;

use anyhow::Result;

use crate::engine::{BUILTIN, Comparison, Deep, LabelText, TokenizedText};
use crate::labels::Label;
use crate::record::{Decider, HeadLines, Scores};

pub(super) use background::Background;
pub(super) use cascade::Cascade;
pub use embeddings::{Embeddings, TextRole};
pub(super) use learned::LearnedScorer;
pub(super) use memory::Memory;
pub(super) use pairs::{PairModel, Pairs};
pub use retry::Tried;
pub(super) use retry::each;
pub(super) use vectors::Vectors;

/// What scores a text.
pub(super) enum Scorer {
    /// Vectors of texts and labels.
    Vectors(Vectors),
    /// Those of a fast model where it is sure, of a better one elsewhere.
    Cascade(Box<Cascade>),
    /// Pairs of text and label.
    Pairs(Pairs),
    /// A trained classifier on vectors of texts.
    Learned(Box<LearnedScorer>),
}

/// A text that is to be scored or embedded.
#[derive(Default)]
pub struct PreparedText {
    pub(super) text: String,
    pub(super) heads: HeadLines,
    /// Its tokens for each task of the models: those of a shortlist, then those of the model that scores. `None` where
    /// they were not made ahead.
    pub(super) tokens: Vec<Option<TokenizedText>>,
}

impl PreparedText {
    /// How many tokens of it the model sees: a guess before it was tokenised, four bytes are a token of English.
    pub fn tokens(&self, max_tokens: usize) -> usize {
        let most = self.tokens.iter().flatten().map(|tokens| tokens.tokens).max();
        most.unwrap_or_else(|| (self.text.len() / 4).min(max_tokens))
    }

    /// Its tokens for the task of that number, by `tokenize` where they were not made ahead.
    fn tokens_for(
        &self,
        task: usize,
        tokenize: impl FnOnce(&str) -> Result<TokenizedText>,
    ) -> Result<Cow<'_, TokenizedText>> {
        match self.tokens.get(task) {
            Some(Some(tokens)) => Ok(Cow::Borrowed(tokens)),
            _ => tokenize(&self.text).map(Cow::Owned),
        }
    }
}

impl From<String> for PreparedText {
    fn from(text: String) -> Self {
        Self { text, ..Self::default() }
    }
}

/// What a model makes of one text, or of a query with one document.
#[derive(Clone, Debug, PartialEq)]
pub struct Made<T> {
    /// The vector or score.
    pub value: T,
    /// Tokens that were read.
    pub tokens: usize,
    /// True when there were more.
    pub truncated: bool,
}

/// A query and a document.
#[derive(Clone, Copy, Debug)]
pub struct TextPair<'a> {
    /// What makes the document relevant; `None` for the model's own instruction for documents.
    pub instruct: Option<&'a str>,
    /// The query.
    pub query: &'a str,
    /// The document.
    pub document: &'a str,
}

impl<'a> TextPair<'a> {
    /// The same query with these documents.
    fn alone(&self, documents: &'a [&'a str]) -> Comparison<'a> {
        Comparison { instruct: self.instruct, query: self.query, documents }
    }

    /// True where both ask the same.
    pub(super) fn asks_as(&self, other: &Self) -> bool {
        self.query == other.query && self.instruct == other.instruct
    }
}

/// The scores of one text.
pub(super) struct Scored {
    /// One for each label set.
    pub(super) sets: Vec<Scores>,
    /// What made them, for each set; empty where the name of the model says it.
    pub(super) by: Vec<Decider>,
    pub(super) tokens: usize,
    pub(super) truncated: bool,
}

impl Scorer {
    /// The tokens of a text for each task, in the order of [`PreparedText`]: `None` where results may come from the
    /// cache, or where the tokenizer fails, which [`Scorer::score`] reports.
    pub(super) fn tokenize(&self, text: &str) -> Vec<Option<TokenizedText>> {
        match self {
            Self::Vectors(vectors) => vectors.tokenize(text),
            Self::Cascade(cascade) => cascade.tokenize(text),
            Self::Pairs(pairs) => pairs.tokenize(text),
            Self::Learned(learned) => vec![learned.tokenize(text)],
        }
    }

    /// Scores texts. `None` for one of which the model knows no word.
    pub(super) fn score(&self, texts: &[PreparedText]) -> Result<Vec<Option<Scored>>> {
        match self {
            Self::Vectors(vectors) => vectors.score(texts),
            Self::Cascade(cascade) => cascade.score(texts),
            Self::Pairs(pairs) => Ok(pairs.score(texts)?.into_iter().map(Some).collect()),
            Self::Learned(learned) => learned.score(texts),
        }
    }

    /// How many tokens of a text the model sees.
    pub(super) fn max_tokens(&self) -> usize {
        match self {
            Self::Vectors(vectors) => vectors.max_tokens(),
            Self::Cascade(cascade) => cascade.max_tokens(),
            Self::Pairs(pairs) => pairs.max_tokens(),
            Self::Learned(learned) => learned.max_tokens(),
        }
    }

    /// Scores the words of a label past the cache, to see whether the model can run.
    pub(super) fn probe(&self) -> Result<()> {
        match self {
            Self::Vectors(vectors) => vectors.probe(),
            Self::Cascade(cascade) => cascade.probe(),
            Self::Pairs(pairs) => pairs.probe(),
            Self::Learned(learned) => learned.probe(),
        }
    }

    /// What went wrong with the cache, once.
    pub(super) fn trouble(&self) -> Option<String> {
        match self {
            Self::Vectors(vectors) => vectors.trouble(),
            Self::Cascade(cascade) => cascade.trouble(),
            Self::Pairs(pairs) => pairs.trouble(),
            Self::Learned(learned) => learned.trouble(),
        }
    }
}

/// Says that a model knows no word of a label of a set, and what to do.
pub fn unknown_label(model: &str, label: &str, set: &str) -> String {
    let other = match model == BUILTIN && Deep::is_here() {
        true => ", or take --model deep, which reads a hundred languages",
        false => "",
    };
    format!("the model {model} knows no word of the label {label:?} in {set:?}; describe it in other words{other}")
}

/// Labels as a model reads them.
pub(super) fn label_texts(labels: &[Label]) -> Vec<LabelText> {
    let text = |label: &Label| LabelText { name: label.words(), description: label.description.clone() };
    labels.iter().map(text).collect()
}
