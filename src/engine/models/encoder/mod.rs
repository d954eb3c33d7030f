//! What BERT-like encoders share: the tokens around texts, and the heads, which are sentence embeddings (all-MiniLM,
//! bge, multilingual-e5) and cross-encoders: rerankers with one logit (ms-marco-MiniLM, bge-reranker) and NLI models
//! with several.
//!
//! An architecture brings an `Encoder`, and for a cross-encoder the head of its last hidden states. No score depends on
//! its neighbours, bit for bit.

pub(crate) mod config;
mod embedding;
pub(crate) mod head;
mod nli;
#[cfg(test)]
mod parity;
mod recipe;
mod reranker;
#[cfg(test)]
mod strict;
pub(crate) mod tokens;

use anyhow::{Result, ensure};

use crate::engine::card::Card;
use crate::engine::checkpoint::Checkpoint;
use crate::engine::registry::Sketch;

pub(crate) use embedding::SentenceEmbedding;
pub use nli::{Hypothesis, Nli};
pub(crate) use reranker::{CrossEncoder, classes};
pub(crate) use tokens::{Input, Tokens};

/// An encoder without a head: tokens in, last hidden states out.
pub(crate) trait Encoder: Send + Sync {
    /// The sizes of its tables.
    fn shape(&self) -> EncoderShape;

    /// How many tokens an input has at most unless more are asked for, special ones included.
    fn default_max_tokens(&self) -> usize {
        self.shape().max_tokens
    }

    /// Hands the last hidden states of each input to `read`, in order. Shape: [tokens, hidden_size].
    ///
    /// # Errors
    /// When the device has not enough memory.
    fn encode(&self, inputs: &[Input], read: &mut dyn FnMut(&[f32])) -> Result<()>;
}

/// What heads and tokenizers need to know of an encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EncoderShape {
    /// Width of a hidden state.
    pub(crate) hidden_size: usize,
    /// The longest input in tokens, special ones included.
    pub(crate) max_tokens: usize,
    /// Rows of the word embedding.
    pub(crate) vocab_size: usize,
    /// Rows of the embedding that tells the two texts of a pair apart; 1 where there is none.
    pub(crate) type_vocab_size: usize,
}

/// True where config.json names a head for classes.
pub(crate) fn has_classes(checkpoint: &Checkpoint) -> Result<bool> {
    let class = checkpoint.config()?["architectures"][0].as_str().unwrap_or_default();
    Ok(class.ends_with("ForSequenceClassification"))
}

/// See [`crate::engine::registry::Architecture`].
pub(crate) fn sketch(checkpoint: &Checkpoint) -> Result<Sketch> {
    let has_classes = has_classes(checkpoint)?;
    let infers = has_classes && nli::classes(checkpoint.config()?)?.len() > 1;
    Ok(Sketch { embeds: !has_classes, infers, most_dims: None, runs_on_gpu: false })
}

/// Fills in what config.json says of an encoder.
pub(crate) fn describe(checkpoint: &Checkpoint, card: &mut Card) -> Result<()> {
    let config = checkpoint.config()?;
    // As BERT, DistilBERT and NomicBERT call it.
    let said = |names: [&str; 3]| names.iter().find_map(|name| config[*name].as_u64());
    card.layers = said(["num_hidden_layers", "n_layers", "n_layer"]);
    card.hidden = said(["hidden_size", "dim", "n_embd"]);
    card.context = said(["max_position_embeddings", "n_positions", "max_trained_positions"]);
    if !has_classes(checkpoint)? {
        card.dims = card.hidden;
    } else if classes(checkpoint)? > 1 {
        let hypothesis = Hypothesis::default().to_string().replace("{}", "{label}");
        card.template = Some(format!("premise: {{mail}}\nhypothesis: {hypothesis}"));
    }
    Ok(())
}

/// The sum of the states of all tokens. [tokens, hidden] -> [hidden]
pub(crate) fn sum(states: &[f32], hidden: usize) -> Vec<f32> {
    let (first, others) = states.split_at(hidden);
    let mut total = first.to_vec();
    for row in others.chunks_exact(hidden) {
        total.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
    }
    total
}

/// Checks that the model has a row for every token and type of the tokenizer, and room for a text.
fn check_tokens(tokens: &Tokens, shape: &EncoderShape) -> Result<()> {
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
    ensure!(around + 2 <= shape.max_tokens, "{} positions leave no room for a text", shape.max_tokens);
    Ok(())
}
