//! The Qwen3 trunk: tokens in, the hidden states that a head reads out.
//!
//! It follows `modeling_qwen3.py` of Hugging Face transformers, class by class, for packed sequences without padding:
//! the tokens of a batch lie one behind the other, and several label tails may share the prefix before them (see
//! [`Tree`]). <https://github.com/huggingface/transformers/blob/main/src/transformers/models/qwen3/modeling_qwen3.py>

pub(crate) mod batch;
pub(crate) mod config;
mod embedding;
mod load;
pub mod prompt;
pub(crate) mod reranker;
pub(crate) mod vocabulary;

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, ensure};
use candle_core::{DType, Tensor};

use crate::engine::buffers;
use crate::engine::checkpoint::{Checkpoint, Weights};
use crate::engine::kernels::{Heads, Tree};
use crate::engine::linear::{Linear, Placement, Way};
use crate::engine::ops::{self, Angles, Attention, HeadNorms, Scale};
use config::Qwen3Config;

pub(crate) use load::{describe, load, sketch};

/// Tokens that go through the trunk together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Batch {
    /// Shape: [tokens].
    pub(crate) ids: Vec<u32>,
    /// The position of each token in its own sequence. Shape: [tokens].
    pub(crate) positions: Vec<u32>,
    /// Which tokens see which.
    pub(crate) trees: Vec<Tree>,
    /// The tokens whose hidden states are wanted. Shape: [outputs].
    pub(crate) last: Vec<u32>,
}

/// `Qwen3Model`.
pub(crate) struct Model {
    checkpoint: Checkpoint,
    config: Qwen3Config,
    /// The name of the embedding's weight.
    embedding: String,
    /// The embedding itself where it is on another device; on the processor its rows are read where they lie.
    /// Shape: [vocabulary, hidden].
    table: Option<Tensor>,
    layers: Vec<Layer>,
    norm: Scale,
    angles: Mutex<Arc<Angles>>,
    placement: Placement,
}

impl Model {
    /// Takes the weights of the trunk. `prefix` stands before every name: `model.` in rerankers, nothing in embeddings.
    ///
    /// # Errors
    /// When a weight is missing or has another shape, or the device has not enough memory.
    pub(crate) fn load(checkpoint: Checkpoint, prefix: &str, placement: Placement) -> Result<Self> {
        let config = Qwen3Config::of(&checkpoint)?;
        let loader = Loader { weights: &checkpoint.weights, config: &config, placement: &placement };
        let embedding = format!("{prefix}embed_tokens.weight");
        let table = loader.weights.take(&embedding, &[config.vocab_size, config.hidden_size])?;
        let table = (placement.way != Way::Kernels).then(|| table.tensor(&placement.device, placement.activations()));
        let table = table.transpose()?;
        let layer = |at| Layer::load(&loader, &format!("{prefix}layers.{at}."));
        let layers = (0..config.num_hidden_layers).map(layer).collect::<Result<_>>()?;
        let norm = loader.scale(&format!("{prefix}norm.weight"), config.hidden_size)?;
        let angles = Mutex::new(Arc::new(Angles::new(config.rope_theta, config.head_dim, 0)));
        // What one thread has asked of a device, others would not wait for.
        placement.device.synchronize()?;
        Ok(Self { embedding, table, layers, norm, angles, config, placement, checkpoint })
    }

    /// The shape of the model.
    pub(crate) fn config(&self) -> &Qwen3Config {
        &self.config
    }

    /// The tensors of the checkpoint, for what is not of the trunk.
    pub(crate) fn weights(&self) -> &Weights {
        &self.checkpoint.weights
    }

    /// The hidden states of `batch.last` behind the last norm, on the processor. Shape: [outputs][hidden].
    ///
    /// # Errors
    /// When the device has not enough memory.
    pub(crate) fn forward(&self, batch: &Batch) -> Result<Vec<Vec<f32>>> {
        let states = self.states(batch, |_, _| Ok(()))?;
        Ok(states.to_dtype(DType::F32)?.to_vec2()?)
    }

    /// As [`Model::forward`], on the device; `watch` is shown what goes into every layer.
    fn states(&self, batch: &Batch, watch: impl Fn(usize, &Tensor) -> Result<()>) -> Result<Tensor> {
        let angles = self.angles(batch.positions.iter().max().map_or(0, |&last| last as usize + 1));
        let attention = Attention::new(self.heads(), &batch.trees, &batch.positions, &angles, &self.placement)?;
        let last = Tensor::from_slice(&batch.last, batch.last.len(), &self.placement.device)?;
        let mut x = self.embed(&batch.ids)?; // [tokens, hidden]
        for (at, layer) in self.layers.iter().enumerate() {
            watch(at, &x)?;
            // Of the last layer nothing but the outputs is read on.
            let wanted = (at + 1 == self.layers.len()).then_some(&last);
            x = layer.forward(x, &attention, wanted)?;
        }
        Ok(self.norm.norm(&x)?) // [outputs, hidden]
    }

    /// What goes into every layer. Shape: [layers][tokens][hidden].
    #[cfg(test)]
    pub(crate) fn watched(&self, batch: &Batch) -> Result<Vec<Vec<Vec<f32>>>> {
        let seen = std::cell::RefCell::new(Vec::new());
        self.states(batch, |_, x| {
            seen.borrow_mut().push(x.to_vec2()?);
            Ok(())
        })?;
        Ok(seen.into_inner())
    }

    fn heads(&self) -> Heads {
        let Qwen3Config { num_attention_heads, num_key_value_heads, head_dim, .. } = self.config;
        Heads { query: num_attention_heads, key_value: num_key_value_heads, size: head_dim }
    }

    /// Rows of the embedding. Shape: [tokens, hidden].
    fn embed(&self, ids: &[u32]) -> Result<Tensor> {
        let Qwen3Config { hidden_size: hidden, vocab_size, .. } = self.config;
        let highest = ids.iter().max().map_or(0, |&id| id as usize);
        ensure!(highest < vocab_size, "the token {highest} is not in the vocabulary of the model");
        if let Some(table) = &self.table {
            let ids = Tensor::from_slice(ids, ids.len(), &self.placement.device)?;
            return Ok(table.index_select(&ids, 0)?);
        }
        let table = self.weights().take(&self.embedding, &[vocab_size, hidden])?;
        let mut rows = Vec::with_capacity(ids.len() * hidden);
        for &id in ids {
            table.add_rows(id as usize..id as usize + 1, &mut rows)?;
        }
        Ok(Tensor::from_vec(rows, (ids.len(), hidden), &self.placement.device)?)
    }

    /// The angles of at least so many positions.
    fn angles(&self, positions: usize) -> Arc<Angles> {
        let mut angles = self.angles.lock().unwrap_or_else(PoisonError::into_inner);
        if angles.positions() < positions {
            // Twice as many as now, so that a run of ever longer mails computes each angle few times.
            let positions = positions.next_power_of_two().max(1024);
            *angles = Arc::new(Angles::new(self.config.rope_theta, self.config.head_dim, positions));
        }
        angles.clone()
    }
}

/// `Qwen3DecoderLayer`, with `Qwen3Attention` and `Qwen3MLP`.
struct Layer {
    input_norm: Scale,
    qkv: Linear,
    head_norms: HeadNorms,
    output: Linear,
    post_attention_norm: Scale,
    gate_up: Linear,
    down: Linear,
    intermediate: usize,
    way: Way,
}

impl Layer {
    fn load(loader: &Loader, prefix: &str) -> Result<Self> {
        let Qwen3Config { hidden_size, intermediate_size, head_dim, num_attention_heads, num_key_value_heads, .. } =
            *loader.config;
        let (queries, keys) = (num_attention_heads * head_dim, num_key_value_heads * head_dim);
        let scale = |name: &str, width| loader.scale(&format!("{prefix}{name}.weight"), width);
        let linear = |names: &[(&str, usize)], inputs| loader.linear(prefix, names, inputs);
        Ok(Self {
            input_norm: scale("input_layernorm", hidden_size)?,
            qkv: linear(
                &[("self_attn.q_proj", queries), ("self_attn.k_proj", keys), ("self_attn.v_proj", keys)],
                hidden_size,
            )?,
            head_norms: HeadNorms {
                query: scale("self_attn.q_norm", head_dim)?,
                key: scale("self_attn.k_norm", head_dim)?,
            },
            output: linear(&[("self_attn.o_proj", hidden_size)], queries)?,
            post_attention_norm: scale("post_attention_layernorm", hidden_size)?,
            gate_up: linear(&[("mlp.gate_proj", intermediate_size), ("mlp.up_proj", intermediate_size)], hidden_size)?,
            down: linear(&[("mlp.down_proj", hidden_size)], intermediate_size)?,
            intermediate: intermediate_size,
            way: loader.placement.way,
        })
    }

    /// [tokens, hidden] -> [tokens, hidden], or [wanted, hidden] of the tokens that are wanted.
    fn forward(&self, x: Tensor, attention: &Attention, wanted: Option<&Tensor>) -> Result<Tensor> {
        let normed = self.input_norm.norm(&x)?;
        let seen = attention.forward(&self.qkv, &normed, &self.head_norms)?; // [tokens, heads · head_dim]
        buffers::spent(normed)?;
        let (x, seen) = match wanted {
            Some(wanted) => (x.index_select(wanted, 0)?, seen.index_select(wanted, 0)?),
            None => (x, seen),
        };
        let x = ops::add(x, self.output.forward(&seen)?)?;
        buffers::spent(seen)?;
        let normed = self.post_attention_norm.norm(&x)?;
        let gated = ops::gated(&self.gate_up, &normed, self.intermediate, self.way)?; // [tokens, intermediate]
        buffers::spent(normed)?;
        let x = ops::add(x, self.down.forward(&gated)?)?;
        buffers::spent(gated)?;
        Ok(x)
    }
}

/// What layers are loaded from.
struct Loader<'a> {
    weights: &'a Weights,
    config: &'a Qwen3Config,
    placement: &'a Placement,
}

impl Loader<'_> {
    fn scale(&self, name: &str, width: usize) -> Result<Scale> {
        let values = self.weights.take(name, &[width])?.values()?;
        Ok(Scale::new(values, self.config.rms_norm_eps, self.placement)?)
    }

    /// Weights side by side, each of the shape [outputs, inputs].
    fn linear(&self, prefix: &str, names: &[(&str, usize)], inputs: usize) -> Result<Linear> {
        let take =
            |&(name, outputs): &(&str, usize)| self.weights.take(&format!("{prefix}{name}.weight"), &[outputs, inputs]);
        Linear::load(&names.iter().map(take).collect::<Result<Vec<_>>>()?, self.placement)
    }
}
