//! Embeds texts, or takes their vectors from the cache.

use std::borrow::Cow;

use anyhow::{Result, ensure};
use rayon::prelude::*;

use super::background::Background;
use super::memory::{KeyParts, Memory};
use super::retry::{self, Tried};
use super::{Made, PreparedText, TextPair, label_texts};
use crate::classifier::linear::Prior;
use crate::classifier::zero_shot::prototype;
use crate::engine::{Embedder, Embedding, LabelText, RETRIEVAL_TASK, TokenizedText};
use crate::labels::{Label, LabelSet};
use crate::record::{HeadLines, Reason};

/// What a text is to a model that was trained with prompts.
#[derive(Clone, Copy, Debug)]
pub enum TextRole<'i> {
    /// A text by itself, without prompt.
    Bare,
    /// A text that is looked for.
    Passage,
    /// A question, with an instruction instead of that for a web search.
    Query(Option<&'i str>),
}

/// A text that any working model can embed.
const PROBE: &str = "a message";

/// An embedder with its cache.
pub struct Embeddings {
    pub(in crate::classifier) engine: Box<dyn Embedder>,
    /// How many tokens of a text the model sees.
    pub max_tokens: usize,
    memory: Option<Memory>,
    /// What is taken off all vectors; `None` where the model does that itself.
    background: Option<Background>,
    /// Whether labels are read in the label prompts.
    prompts: bool,
}

impl Embeddings {
    /// `max_tokens` is `None` for the model's own bound.
    pub(in crate::classifier) fn new(
        engine: Box<dyn Embedder>,
        max_tokens: Option<usize>,
        memory: Option<Memory>,
    ) -> Self {
        let max_tokens = max_tokens.unwrap_or(engine.default_max_tokens());
        Self { engine, max_tokens, memory, background: None, prompts: false }
    }

    /// Takes off all vectors what the model makes of text in general. `prompts` says whether labels are read in the
    /// label prompts.
    ///
    /// # Errors
    /// When the program was built with a damaged file.
    pub(in crate::classifier) fn centred(self, prompts: bool) -> Result<Self> {
        Ok(Self { background: Some(Background::new()?), prompts, ..self })
    }

    /// How many words of a text are counted beside its vector.
    pub fn words(&self) -> usize {
        self.engine.words(self.max_tokens)
    }

    /// A name for the texts whose mean is taken off here.
    pub fn background(&self) -> Option<String> {
        self.background.as_ref().map(|_| Background::fingerprint())
    }

    /// Whether the model knows words of a text, and not letters alone.
    pub(super) fn knows(&self, text: &str) -> bool {
        self.engine.knows(text)
    }

    /// Tokenises a text ahead of [`Embeddings::embed_each`], unless its vector may come from the cache.
    pub fn prepare(&self, text: String, instruct: Option<&str>) -> PreparedText {
        let tokens = vec![self.ahead(&text, instruct)];
        PreparedText { text, heads: HeadLines::default(), tokens }
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
        let mut made = self.raw(texts, task, instruct)?;
        let Some(background) = &self.background else {
            return Ok(made);
        };
        let embed = |texts: Vec<String>| -> Result<Vec<Vec<f32>>> {
            // A damaged tokenizer fails on some texts; the others have a mean as well.
            let is_readable = |text: &String| self.engine.tokenize(text, instruct, self.max_tokens).is_ok();
            let texts = texts.into_iter().filter(is_readable).map(PreparedText::from);
            let made = self.raw(&texts.collect::<Vec<_>>(), task, instruct)?;
            Ok(made.into_iter().flatten().map(|made| made.vector).collect())
        };
        let languages: Vec<_> = texts.par_iter().map(|text| background.language(&text.text)).collect();
        for (made, language) in made.iter_mut().zip(languages) {
            if let Some(made) = made {
                made.vector = background.take_off(&made.vector, language, instruct, embed)?;
            }
        }
        Ok(made)
    }

    /// The vectors of labels. `None` for one of which the model knows no word.
    ///
    /// # Errors
    /// When the model cannot run, or a label is too long for it.
    pub(super) fn labels(&self, labels: &[LabelText]) -> Result<Vec<Option<Vec<f32>>>> {
        match &self.background {
            Some(background) => background.labels(&*self.engine, labels, self.prompts),
            None => self.engine.embed_labels(labels),
        }
    }

    /// The vectors of the labels of a set, with their examples, which are embedded as texts. `None` for a label of
    /// which the model knows no word.
    ///
    /// # Errors
    /// When the model cannot run, or a label is too long for it.
    pub(super) fn of_set(&self, set: &LabelSet, instruct: Option<&str>) -> Result<Vec<Option<Vec<f32>>>> {
        let texts = set.labels.iter().flat_map(|label| label.examples.iter().cloned());
        let texts: Vec<PreparedText> = texts.map(PreparedText::from).collect();
        let mut examples = self.embed(&texts, 0, instruct)?.into_iter();
        let vector = |(label, own): (&Label, Option<Vec<f32>>)| {
            // An example without a known word is ignored.
            let examples: Vec<Embedding> = examples.by_ref().take(label.examples.len()).flatten().collect();
            if examples.is_empty() {
                return own;
            }
            let examples: Vec<&[f32]> = examples.iter().map(|example| &example.vector[..]).collect();
            prototype(own.as_deref(), &examples)
        };
        Ok(set.labels.iter().zip(self.labels(&label_texts(&set.labels))?).map(vector).collect())
    }

    /// The vectors as the model makes them, or from the cache.
    fn raw(&self, texts: &[PreparedText], task: usize, instruct: Option<&str>) -> Result<Vec<Option<Embedding>>> {
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

    /// One vector for each text by itself, without a mean.
    ///
    /// # Errors
    /// When the model cannot run.
    pub(in crate::classifier) fn by_role(
        &self,
        texts: &[PreparedText],
        role: TextRole<'_>,
    ) -> Result<Vec<Result<Embedding, Reason>>> {
        let tokenize = |text: &str| match role {
            TextRole::Bare => self.engine.tokenize_bare(text, self.max_tokens),
            TextRole::Passage => self.engine.tokenize_passage(text, self.max_tokens),
            TextRole::Query(instruct) => self.query(text, instruct),
        };
        let embed = |texts: &[PreparedText]| {
            let tokens = texts.par_iter().map(|text| tokenize(&text.text));
            let tokens: Vec<TokenizedText> = tokens.collect::<Result<_>>()?;
            self.engine.embed_tokens(&tokens.iter().collect::<Vec<_>>())
        };
        Ok(retry::each(texts, embed, || self.probe(&[PROBE.to_string()], None))?.outcomes)
    }

    /// The tokens of a question to passages.
    fn query(&self, text: &str, instruct: Option<&str>) -> Result<TokenizedText> {
        let instruct = Some(instruct.unwrap_or(RETRIEVAL_TASK)).filter(|_| self.engine.takes_instruction());
        self.engine.tokenize(text, instruct, self.max_tokens)
    }

    /// How relevant each document is to its query: half of 1 and the cosine, from 0 to 1. A document of which the model
    /// knows no word has 0.
    ///
    /// # Errors
    /// When the model cannot run.
    pub(in crate::classifier) fn compare(&self, pairs: &[TextPair]) -> Result<Vec<Result<Made<f32>, Reason>>> {
        let run = |pairs: &[TextPair]| self.compared(pairs);
        let tried = retry::each(pairs, run, || self.probe(&[PROBE.to_string()], None))?;
        Ok(tried.outcomes)
    }

    fn compared(&self, pairs: &[TextPair]) -> Result<Vec<Option<Made<f32>>>> {
        // A query is embedded once for all its documents that stand beside each other.
        let mut queries: Vec<&TextPair> = pairs.iter().collect();
        queries.dedup_by(|a, b| a.asks_as(b));
        let query = |pair: &&TextPair| self.query(pair.query, pair.instruct);
        let document = |pair: &TextPair| self.engine.tokenize_passage(pair.document, self.max_tokens);
        let mut tokens: Vec<TokenizedText> = queries.par_iter().map(query).collect::<Result<_>>()?;
        tokens.par_extend(pairs.par_iter().map(document).collect::<Result<Vec<_>>>()?);
        let made = self.engine.embed_tokens(&tokens.iter().collect::<Vec<_>>())?;
        ensure!(made.len() == tokens.len(), "the model gave {} vectors for {} texts", made.len(), tokens.len());
        let (of_queries, of_documents) = made.split_at(queries.len());
        let mut at = 0;
        let made = pairs.iter().zip(of_documents).map(|(pair, document)| {
            at += usize::from(!queries[at].asks_as(pair));
            Some(relevance(of_queries[at].as_ref(), document.as_ref()))
        });
        Ok(made.collect())
    }

    /// Embeds texts past the cache, to see whether the model can run.
    ///
    /// # Errors
    /// When it cannot.
    pub(super) fn probe(&self, texts: &[String], instruct: Option<&str>) -> Result<()> {
        self.engine.embed(texts, instruct, self.max_tokens).map(drop)
    }

    /// What the labels of a set say by their names, descriptions and examples, just as zero-shot classification takes
    /// them. `None` where the model knows no word of any.
    ///
    /// # Errors
    /// When a label is too long, the model has no room for the instruction, or it cannot run.
    pub fn names(&self, set: &LabelSet, instruct: Option<&str>) -> Result<Option<Prior>> {
        let instruct = instruct.filter(|_| self.engine.takes_instruction());
        self.engine.check(instruct)?;
        let vectors = self.of_set(set, instruct)?;
        let known: Vec<Vec<f32>> = vectors.iter().flatten().cloned().collect();
        Ok(Prior::new(&vectors, self.engine.temperature(&known)))
    }

    /// See [`Memory::uses`].
    pub(in crate::classifier) fn cache_uses(&self) -> (u64, u64) {
        self.memory.as_ref().map_or((0, 0), Memory::uses)
    }

    /// What went wrong with the cache, once.
    pub fn trouble(&self) -> Option<String> {
        self.memory.as_ref()?.trouble()
    }
}

/// Half of 1 and the cosine; 0 where one of the two has no known word. NaN stays.
fn relevance(query: Option<&Embedding>, document: Option<&Embedding>) -> Made<f32> {
    let both = [query, document];
    let tokens = both.iter().flatten().map(|made| made.tokens).sum();
    let truncated = both.iter().flatten().any(|made| made.truncated);
    let value = match (query, document) {
        (Some(query), Some(document)) => {
            let product = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
            let lengths = product(&query.vector, &query.vector) * product(&document.vector, &document.vector);
            let cosine = product(&query.vector, &document.vector) / lengths.sqrt().max(1e-12);
            (1.0 + cosine.clamp(-1.0, 1.0)) / 2.0
        }
        _ => 0.0,
    };
    Made { value, tokens, truncated }
}
