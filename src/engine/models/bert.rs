//! The layers of BERT (Devlin et al. 2018, <https://arxiv.org/abs/1810.04805>), of RoBERTa, XLM-RoBERTa and CamemBERT,
//! which begin positions elsewhere, and of DistilBERT, which has no token types and other names: tokens in, last hidden
//! states out. (candle-transformers has DistilBERT too, but computes its GELU by a hyperbolic tangent.)
//!
//! Several texts go through the layers side by side, never padded. Every row of a product is the same whatever its
//! neighbours, and attention is each text's own, so that no bit of a text's states depends on the others.

mod config;
mod layers;

use anyhow::Result;
use rayon::prelude::*;

use super::encoder::{self, CrossEncoder, Encoder, EncoderShape, Head, Input, SentenceEmbedding};
use crate::engine::checkpoint::{Checkpoint, Weights};
use crate::engine::registry::{Loaded, Request};
use config::{Config, Family};
use layers::{Dense, Norm, activate, attend};

/// Tokens that go through the layers together: enough to keep the cores busy, few enough to stay in the caches.
const TOGETHER: usize = 1024;

/// The layers.
struct BertModel {
    config: Config,
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

impl BertModel {
    /// Takes the weights, whose names may begin with that of the family.
    ///
    /// # Errors
    /// When one is missing or has another config.
    fn load(weights: &Weights, config: &Config) -> Result<Self> {
        let prefix = prefix(weights);
        let hidden = config.hidden_size;
        let table = |name: &str, rows: usize| {
            weights.take(&format!("{prefix}embeddings.{name}_embeddings.weight"), &[rows, hidden])?.values()
        };
        let norm = |name: String| -> Result<Norm> {
            let part = |part: &str| weights.take(&older(weights, format!("{name}.{part}")), &[hidden])?.values();
            Ok(Norm::new(part("weight")?, part("bias")?, config.layer_norm_eps as f32))
        };
        let layer = |at: usize| -> Result<Layer> {
            let names = names(config.family);
            let layer = format!("{prefix}{}.{at}", names.layers);
            let dense =
                |part: &str, outputs, inputs| Dense::load(weights, &[format!("{layer}.{part}")], outputs, inputs);
            let parts = names.query_key_value.map(|part| format!("{layer}.{part}"));
            Ok(Layer {
                attention: Dense::load(weights, &parts, hidden, hidden)?,
                attention_output: dense(names.attention_output, hidden, hidden)?,
                attention_norm: norm(format!("{layer}.{}", names.attention_norm))?,
                intermediate: dense(names.intermediate, config.intermediate_size, hidden)?,
                output: dense(names.output, hidden, config.intermediate_size)?,
                output_norm: norm(format!("{layer}.{}", names.output_norm))?,
            })
        };
        Ok(Self {
            words: table("word", config.vocab_size)?,
            positions: table("position", config.max_position_embeddings)?,
            types: match config.family {
                Family::DistilBert => vec![0.0; hidden],
                _ => table("token_type", config.type_vocab_size)?,
            },
            norm: norm(format!("{prefix}embeddings.LayerNorm"))?,
            layers: (0..config.num_hidden_layers).map(layer).collect::<Result<_>>()?,
            config: config.clone(),
        })
    }

    /// The last hidden states of some inputs, one after another. Shape: [tokens of all, hidden].
    fn forward(&self, inputs: &[Input]) -> Vec<f32> {
        let lengths: Vec<usize> = inputs.iter().map(|input| input.ids.len()).collect();
        let mut states = self.embed(inputs);
        for layer in &self.layers {
            let qkv = layer.attention.forward(&states);
            let seen = attend(&qkv, &lengths, self.config.num_attention_heads, self.config.hidden_size);
            layer.attention_norm.add(&layer.attention_output.forward(&seen), &mut states);
            let mut inner = layer.intermediate.forward(&states);
            activate(self.config.hidden_act, &mut inner);
            layer.output_norm.add(&layer.output.forward(&inner), &mut states);
        }
        states
    }

    /// Word, position and type of every token. Shape: [tokens of all, hidden].
    fn embed(&self, inputs: &[Input]) -> Vec<f32> {
        let hidden = self.config.hidden_size;
        let first = self.config.first_position();
        let row = |table: &'_ [f32], at: usize| table[at * hidden..][..hidden].to_vec();
        let mut states = Vec::new();
        for input in inputs {
            for (at, (&id, &kind)) in input.ids.iter().zip(&input.types).enumerate() {
                // XLM-RoBERTa has one type for all, whatever its tokenizer says.
                let kind = (kind as usize).min(self.config.type_vocab_size - 1);
                let (position, kind) = (row(&self.positions, first + at), row(&self.types, kind));
                let word = row(&self.words, id as usize);
                states.extend(word.iter().zip(&kind).zip(&position).map(|((word, kind), place)| word + kind + place));
            }
        }
        states.par_chunks_exact_mut(hidden).with_min_len(16).for_each(|row| self.norm.row(row));
        states
    }
}

impl Encoder for BertModel {
    fn shape(&self) -> EncoderShape {
        let Config { hidden_size, vocab_size, type_vocab_size, .. } = self.config;
        EncoderShape { hidden_size, vocab_size, type_vocab_size, max_tokens: self.config.longest() }
    }

    fn encode(&self, inputs: &[Input], read: &mut dyn FnMut(&[f32])) -> Result<()> {
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
                (own, left) = left.split_at(input.ids.len() * self.config.hidden_size);
                read(own);
            }
            rest = later;
        }
        Ok(())
    }
}

/// See [`crate::engine::registry::Architecture`].
pub(crate) fn load(checkpoint: Checkpoint, request: Request) -> Result<Loaded> {
    if encoder::has_classes(&checkpoint)? {
        Ok(cross_encoder(&checkpoint, request)?.loaded("f32 cpu"))
    } else {
        Ok(embedding(&checkpoint, request.id)?.loaded("f32 cpu"))
    }
}

pub(super) fn embedding(checkpoint: &Checkpoint, id: &str) -> Result<SentenceEmbedding> {
    let weights = &checkpoint.weights;
    let model = BertModel::load(weights, &Config::of(checkpoint)?)?;
    let embedding = SentenceEmbedding::new(id, checkpoint, Box::new(model))?;
    weights.finish(|name| {
        let name = name.strip_prefix(prefix(weights)).unwrap_or(name);
        let head = |start: &&str| name.starts_with(start);
        name == "embeddings.position_ids" || ["pooler.dense.", "cls.", "lm_head.", "vocab_"].iter().any(head)
    })?;
    Ok(embedding)
}

pub(super) fn cross_encoder(checkpoint: &Checkpoint, request: Request) -> Result<CrossEncoder> {
    let classes = encoder::classes(checkpoint)?;
    let (weights, config) = (&checkpoint.weights, Config::of(checkpoint)?);
    let model = BertModel::load(weights, &config)?;
    let head = head(weights, &config, classes)?;
    let reranker = CrossEncoder::new(checkpoint, request, Box::new(model), head)?;
    // XLM-RoBERTa saved with a pooler has no use for it.
    weights.finish(|name| {
        let name = name.strip_prefix(prefix(weights)).unwrap_or(name);
        name == "embeddings.position_ids" || name.starts_with("pooler.dense.")
    })?;
    Ok(reranker)
}

/// `BertPooler` and the classifier behind it, `RobertaClassificationHead`, or `pre_classifier` and `classifier` of
/// DistilBERT: a layer and its activation, and a product with one output for each class, all of the first token.
fn head(weights: &Weights, config: &Config, classes: usize) -> Result<Head> {
    let hidden = config.hidden_size;
    let (dense, activation, out): (_, fn(f32) -> f32, _) = match config.family {
        Family::Bert => (format!("{}pooler.dense", prefix(weights)), f32::tanh, "classifier"),
        Family::Roberta => ("classifier.dense".to_string(), f32::tanh, "classifier.out_proj"),
        Family::DistilBert => ("pre_classifier".to_string(), |value| value.max(0.0), "classifier"),
    };
    let dense = Dense::load(weights, &[dense], hidden, hidden)?;
    let classifier = Dense::load(weights, &[out.to_string()], classes, hidden)?;
    Ok(Box::new(move |states| {
        let mut pooled = dense.forward(&states[..hidden]); // [hidden]
        pooled.iter_mut().for_each(|value| *value = activation(*value));
        Ok(classifier.forward(&pooled)) // [classes]
    }))
}

/// What the parts of a layer are called.
struct Names {
    layers: &'static str,
    query_key_value: [&'static str; 3],
    attention_output: &'static str,
    attention_norm: &'static str,
    intermediate: &'static str,
    output: &'static str,
    output_norm: &'static str,
}

fn names(family: Family) -> Names {
    match family {
        Family::Bert | Family::Roberta => Names {
            layers: "encoder.layer",
            query_key_value: ["attention.self.query", "attention.self.key", "attention.self.value"],
            attention_output: "attention.output.dense",
            attention_norm: "attention.output.LayerNorm",
            intermediate: "intermediate.dense",
            output: "output.dense",
            output_norm: "output.LayerNorm",
        },
        Family::DistilBert => Names {
            layers: "transformer.layer",
            query_key_value: ["attention.q_lin", "attention.k_lin", "attention.v_lin"],
            attention_output: "attention.out_lin",
            attention_norm: "sa_layer_norm",
            intermediate: "ffn.lin1",
            output: "ffn.lin2",
            output_norm: "output_layer_norm",
        },
    }
}

/// What stands before the names of the weights.
fn prefix(weights: &Weights) -> &'static str {
    let has = |prefix: &&&str| weights.has(&format!("{prefix}embeddings.word_embeddings.weight"));
    ["bert.", "roberta.", "distilbert."].iter().find(has).copied().unwrap_or("")
}

/// Files of the first BERT models call the scale of a norm gamma and its shift beta.
fn older(weights: &Weights, name: String) -> String {
    if weights.has(&name) || !name.contains("LayerNorm") {
        return name;
    }
    let old = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta");
    if weights.has(&old) { old } else { name }
}
