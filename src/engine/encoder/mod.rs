//! Small encoders, which people run on a CPU: BERT and XLM-RoBERTa, as embeddings (all-MiniLM, bge, multilingual-e5) and
//! as classifiers of pairs with one logit (ms-marco-MiniLM, bge-reranker).
//!
//! Texts are never padded, and no score depends on its neighbours, bit for bit.

mod layers;
mod pairs;
#[cfg(test)]
mod parity;
mod recipe;
mod shape;
#[cfg(test)]
mod strict;
mod tokens;
mod trunk;

use anyhow::{Result, ensure};
use rayon::prelude::*;

use super::checkpoint::Checkpoint;
use super::tasks::too_long;
use super::{Embedder, Embedding, LabelText};
use recipe::{Pooling, Recipe};
use shape::Shape;
use tokens::{Input, Tokens, Words};
use trunk::Trunk;

pub use pairs::PairEncoder;

/// Heads of embedding repositories that are of no use here: they have none, or one that guesses words.
const BARE: [&str; 3] = ["Model", "ForMaskedLM", "ForPreTraining"];

/// An encoder that places texts and labels in one space. The mail is the query, a label the passage.
pub struct Encoder {
    id: String,
    shape: Shape,
    tokens: Tokens,
    trunk: Trunk,
    recipe: Recipe,
    /// Tokens of the query's prompt, with the instruction that it has unless told otherwise.
    prompted: usize,
}

impl Encoder {
    /// Opens a folder. `id` is the name that goes into every record; the e5 family, which wants `query: ` and
    /// `passage: ` before its texts, is known by the word `e5` in it or in the folder's name.
    ///
    /// # Errors
    /// When a file is missing or damaged, a weight is missing, left over or of another shape, or the repository asks for
    /// a step that mailsort does not have.
    pub fn open(checkpoint: &Checkpoint, id: &str) -> Result<Self> {
        let name = shape::config(checkpoint)?["architectures"][0].as_str().unwrap_or("Model");
        ensure!(
            BARE.iter().any(|end| name.ends_with(end)),
            "{name} is no embedding model; mailsort takes BertModel, XLMRobertaModel and their ForMaskedLM"
        );
        let shape = Shape::of(checkpoint)?;
        let recipe = Recipe::of(&checkpoint.path, id)?;
        let tokens = Tokens::open(&checkpoint.path, recipe.lower_case)?;
        let trunk = Trunk::load(&checkpoint.weights, &shape)?;
        fits(&tokens, &shape)?;
        checkpoint.weights.finish(|name| {
            let name = name.strip_prefix(trunk::prefix(&checkpoint.weights)).unwrap_or(name);
            let head = |start: &&str| name.starts_with(start);
            name == "embeddings.position_ids" || ["pooler.dense.", "cls.", "lm_head."].iter().any(head)
        })?;
        let prompted = tokens.words(&recipe.prompts.asking(None), usize::MAX)?.ids.len();
        Ok(Self { id: id.to_string(), shape, tokens, trunk, recipe, prompted })
    }

    /// What a user should know, such as a guess that had to be made.
    pub fn notes(&self) -> &[String] {
        &self.recipe.notes
    }

    /// The class of numbers that its vectors depend on, and the recipe by which they are made.
    pub fn class(&self) -> String {
        format!("f32 cpu, {}", self.recipe.words())
    }

    /// Tokens of a prompt, and of a text that fit behind it.
    fn room(&self, prompt: &str) -> Result<(usize, usize)> {
        let own = self.tokens.words(prompt, usize::MAX)?.ids.len();
        let room = self.shape.longest().saturating_sub(self.tokens.around_one() + own);
        ensure!(room > 0, "the instruction alone has {own} tokens; {} reads {}", self.id, self.shape.longest());
        Ok((own, room))
    }

    /// Embeds texts behind a prompt, which is no part of what is counted and never cut.
    fn embed_all(&self, prompt: &str, texts: &[String], max_tokens: usize) -> Result<Vec<Option<Embedding>>> {
        let (own, room) = self.room(prompt)?;
        let most = max_tokens.min(room) + own;
        let words = texts.par_iter().map(|text| self.tokens.words(&[prompt, text.trim()].concat(), most));
        let words: Vec<Words> = words.collect::<Result<_>>()?;
        let known = |words: &&Words| !words.ids.iter().skip(own).all(|&id| self.tokens.is_unknown(id));
        let inputs: Vec<Input> = words.iter().filter(known).map(|words| self.tokens.input(&words.ids)).collect();
        let mut vectors = self.trunk.each(&inputs, |states| self.pool(states)).into_iter();
        let embedding = |words: &Words| {
            let vector = if known(&words) { vectors.next() } else { None };
            let tokens = words.ids.len().saturating_sub(own);
            vector.map(|vector| Embedding { vector, tokens, truncated: words.truncated })
        };
        Ok(words.iter().map(embedding).collect())
    }

    /// [tokens, hidden] -> [hidden], of length 1. What is not a number stays so, and is an error where it is ranked.
    fn pool(&self, states: &[f32]) -> Vec<f32> {
        let (first, others) = states.split_at(self.shape.hidden_size);
        let mut vector = first.to_vec();
        if self.recipe.pooling == Pooling::Mean {
            for row in others.chunks_exact(first.len()) {
                vector.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
            }
        }
        // The length of a mean is that of the sum, but for a factor.
        let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
        vector.iter_mut().for_each(|value| *value /= length.max(1e-12));
        vector
    }
}

impl Embedder for Encoder {
    fn id(&self) -> &str {
        &self.id
    }

    /// How many tokens of a text the model sees unless told otherwise: what the repository says, less the special tokens
    /// and the prompt.
    fn default_max_tokens(&self) -> usize {
        let longest = self.recipe.max_seq_length.unwrap_or(usize::MAX).min(self.shape.longest());
        longest.saturating_sub(self.tokens.around_one() + self.prompted).max(1)
    }

    fn dims(&self) -> usize {
        self.shape.hidden_size
    }

    fn takes_instruction(&self) -> bool {
        self.recipe.prompts.has_task
    }

    fn check(&self, instruct: Option<&str>) -> Result<()> {
        self.room(&self.recipe.prompts.asking(instruct)).map(drop)
    }

    /// Embeds texts as queries, each by itself. Shape of a vector: [hidden], its length 1. `None` where no token is known.
    /// `instruct` is read by models that were trained with one, such as multilingual-e5-large-instruct, and by no other.
    /// `max_tokens` counts the text's own tokens: neither the special ones nor those of the prompt.
    ///
    /// # Errors
    /// When the tokenizer or the model fails.
    fn embed(&self, texts: &[String], instruct: Option<&str>, max_tokens: usize) -> Result<Vec<Option<Embedding>>> {
        self.embed_all(&self.recipe.prompts.asking(instruct), texts, max_tokens)
    }

    /// Embeds labels as passages; shape [labels, hidden]. `None` for a label of which no token is known.
    ///
    /// # Errors
    /// When a label is longer than the model can read, or the tokenizer or the model fails.
    fn embed_labels(&self, labels: &[LabelText]) -> Result<Vec<Option<Vec<f32>>>> {
        let texts: Vec<String> = labels.iter().map(words).collect();
        let embedded = self.embed_all(&self.recipe.prompts.passage, &texts, usize::MAX)?;
        for (label, embedding) in labels.iter().zip(&embedded) {
            let cut = embedding.as_ref().filter(|embedding| embedding.truncated);
            cut.map_or(Ok(()), |cut| Err(too_long(label, cut.tokens, &self.id)))?;
        }
        Ok(embedded.into_iter().map(|embedding| Some(embedding?.vector)).collect())
    }

    /// The factor between a cosine and the logit of a softmax over the labels.
    fn temperature(&self, _: &[Vec<f32>]) -> f32 {
        self.recipe.temperature
    }
}

/// A label as encoders read it.
fn words(label: &LabelText) -> String {
    match &label.description {
        Some(description) => format!("{}. {description}", label.name),
        None => label.name.clone(),
    }
}

/// # Errors
/// When the tokenizer has tokens or types of which the model has no row.
fn fits(tokens: &Tokens, shape: &Shape) -> Result<()> {
    ensure!(
        tokens.highest() < shape.vocab_size as u64,
        "tokenizer.json has a token of number {}, but the model has {} rows: they do not belong together",
        tokens.highest(),
        shape.vocab_size
    );
    ensure!(
        shape.type_vocab_size == 1 || (tokens.highest_type() as usize) < shape.type_vocab_size,
        "tokenizer.json numbers texts up to {}, but the model knows {} types",
        tokens.highest_type(),
        shape.type_vocab_size
    );
    let around = tokens.around_two();
    ensure!(around + 2 <= shape.longest(), "{} positions leave no room for a text", shape.longest());
    Ok(())
}
