//! The layers of BERT (Devlin et al. 2018, <https://arxiv.org/abs/1810.04805>) and XLM-RoBERTa, which differ in where
//! positions begin: tokens in, last hidden states out.
//!
//! Several texts go through the layers side by side, never padded. Every row of a product is the same whatever its
//! neighbours, and attention is each text's own, so that no bit of a text's states depends on the others.

use anyhow::Result;
use rayon::prelude::*;

use super::layers::{Dense, Norm, activate, attend};
use super::shape::Shape;
use super::tokens::Input;
use crate::engine::checkpoint::Weights;

/// Tokens that go through the layers together: enough to keep the cores busy, few enough to stay in the caches.
const TOGETHER: usize = 1024;

/// The layers.
pub(super) struct Trunk {
    shape: Shape,
    /// Shape: [vocabulary, hidden].
    words: Vec<f32>,
    /// Shape: [positions, hidden].
    positions: Vec<f32>,
    /// Shape: [types, hidden].
    types: Vec<f32>,
    norm: Norm,
    layers: Vec<Layer>,
}

struct Layer {
    /// Queries, keys and values side by side: [hidden] -> [3 · hidden].
    attention: Dense,
    attention_output: Dense,
    attention_norm: Norm,
    intermediate: Dense,
    output: Dense,
    output_norm: Norm,
}

impl Trunk {
    /// Takes the weights, whose names may begin with that of the family.
    ///
    /// # Errors
    /// When one is missing or has another shape.
    pub(super) fn load(weights: &Weights, shape: &Shape) -> Result<Self> {
        let prefix = prefix(weights);
        let hidden = shape.hidden_size;
        let table = |name: &str, rows: usize| {
            weights.take(&format!("{prefix}embeddings.{name}_embeddings.weight"), &[rows, hidden])?.values()
        };
        let norm = |name: String| -> Result<Norm> {
            let part = |part: &str| weights.take(&older(weights, format!("{name}.{part}")), &[hidden])?.values();
            Ok(Norm::new(part("weight")?, part("bias")?, shape.layer_norm_eps as f32))
        };
        let layer = |at: usize| -> Result<Layer> {
            let layer = format!("{prefix}encoder.layer.{at}");
            let dense =
                |part: &str, outputs, inputs| Dense::load(weights, &[format!("{layer}.{part}")], outputs, inputs);
            let parts = ["query", "key", "value"].map(|part| format!("{layer}.attention.self.{part}"));
            Ok(Layer {
                attention: Dense::load(weights, &parts, hidden, hidden)?,
                attention_output: dense("attention.output.dense", hidden, hidden)?,
                attention_norm: norm(format!("{layer}.attention.output.LayerNorm"))?,
                intermediate: dense("intermediate.dense", shape.intermediate_size, hidden)?,
                output: dense("output.dense", hidden, shape.intermediate_size)?,
                output_norm: norm(format!("{layer}.output.LayerNorm"))?,
            })
        };
        Ok(Self {
            words: table("word", shape.vocab_size)?,
            positions: table("position", shape.max_position_embeddings)?,
            types: table("token_type", shape.type_vocab_size)?,
            norm: norm(format!("{prefix}embeddings.LayerNorm"))?,
            layers: (0..shape.num_hidden_layers).map(layer).collect::<Result<_>>()?,
            shape: shape.clone(),
        })
    }

    /// What `read` makes of the last hidden states of each input, shape [tokens, hidden].
    pub(super) fn each<T>(&self, inputs: &[Input], read: impl Fn(&[f32]) -> T) -> Vec<T> {
        let mut results = Vec::with_capacity(inputs.len());
        let mut rest = inputs;
        while !rest.is_empty() {
            let mut tokens = 0;
            let few = rest.iter().take_while(|input| {
                tokens += input.ids.len();
                tokens <= TOGETHER
            });
            let (now, later) = rest.split_at(few.count().max(1));
            let states = self.forward(now);
            let mut left = &states[..];
            for input in now {
                let own;
                (own, left) = left.split_at(input.ids.len() * self.shape.hidden_size);
                results.push(read(own));
            }
            rest = later;
        }
        results
    }

    /// The last hidden states of some inputs, one after another. Shape: [tokens of all, hidden].
    fn forward(&self, inputs: &[Input]) -> Vec<f32> {
        let lengths: Vec<usize> = inputs.iter().map(|input| input.ids.len()).collect();
        let mut states = self.embed(inputs);
        for layer in &self.layers {
            let qkv = layer.attention.forward(&states);
            let seen = attend(&qkv, &lengths, self.shape.num_attention_heads, self.shape.hidden_size);
            layer.attention_norm.add(&layer.attention_output.forward(&seen), &mut states);
            let mut inner = layer.intermediate.forward(&states);
            activate(self.shape.hidden_act, &mut inner);
            layer.output_norm.add(&layer.output.forward(&inner), &mut states);
        }
        states
    }

    /// Word, position and type of every token. Shape: [tokens of all, hidden].
    fn embed(&self, inputs: &[Input]) -> Vec<f32> {
        let hidden = self.shape.hidden_size;
        let first = self.shape.first_position();
        let row = |table: &'_ [f32], at: usize| table[at * hidden..][..hidden].to_vec();
        let mut states = Vec::new();
        for input in inputs {
            for (at, (&id, &kind)) in input.ids.iter().zip(&input.types).enumerate() {
                // XLM-RoBERTa has one type for all, whatever its tokenizer says.
                let kind = (kind as usize).min(self.shape.type_vocab_size - 1);
                let (position, kind) = (row(&self.positions, first + at), row(&self.types, kind));
                let word = row(&self.words, id as usize);
                states.extend(word.iter().zip(&kind).zip(&position).map(|((word, kind), place)| word + kind + place));
            }
        }
        states.par_chunks_exact_mut(hidden).with_min_len(16).for_each(|row| self.norm.row(row));
        states
    }
}

/// What stands before the names of the weights.
pub(super) fn prefix(weights: &Weights) -> &'static str {
    let has = |prefix: &&&str| weights.has(&format!("{prefix}embeddings.word_embeddings.weight"));
    ["bert.", "roberta."].iter().find(has).copied().unwrap_or("")
}

/// Files of the first BERT models call the scale of a norm gamma and its shift beta.
fn older(weights: &Weights, name: String) -> String {
    if weights.has(&name) || !name.contains("LayerNorm") {
        return name;
    }
    let old = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta");
    if weights.has(&old) { old } else { name }
}
