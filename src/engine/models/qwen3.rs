//! Qwen3: tokens in, the hidden states that a head reads out.
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

use anyhow::{Context, Result, ensure};

use crate::engine::backend::{Backend, Heads, Mask, RotaryEmbedding, Sequences, Tree};
use crate::engine::checkpoint::{Checkpoint, Weights};
use crate::engine::memory;
use batch::{Prompt, Slot};
use config::Qwen3Config;

pub(crate) use load::{describe, load, sketch};

/// Tokens that go through the model together.
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

/// `Qwen3Model` on any device, as its heads use it.
pub(crate) trait Qwen3: Send + Sync {
    /// The shape of the model.
    fn config(&self) -> &Qwen3Config;

    /// The hidden states of `batch.last` behind the last norm. Shape: [outputs][hidden].
    ///
    /// # Errors
    /// When the device has not enough memory.
    fn forward(&self, batch: &Batch) -> Result<Vec<Vec<f32>>>;
}

impl dyn Qwen3 {
    /// Runs prompts in batches of `budget` tokens. `read` gets the states of each batch, shape [outputs][hidden], and which
    /// prompts they are of.
    fn run(
        &self,
        id: &str,
        prompts: &[Prompt],
        budget: usize,
        mut read: impl FnMut(&[Slot], Vec<Vec<f32>>),
    ) -> Result<()> {
        for (slots, batch) in batch::pack(prompts, budget) {
            let states = self.forward(&batch).map_err(memory::explained).with_context(|| format!("cannot run {id}"))?;
            read(&slots, states);
        }
        Ok(())
    }
}

/// `Qwen3Model`.
pub(crate) struct Qwen3Model<B: Backend> {
    backend: B,
    config: Qwen3Config,
    embed_tokens: B::Embedding,
    layers: Vec<Layer<B>>,
    norm: B::Norm,
    rotary_emb: RotaryEmbedding,
}

impl<B: Backend> Qwen3Model<B> {
    /// Takes the weights. `prefix` stands before every name: `model.` in rerankers, nothing in embeddings.
    ///
    /// # Errors
    /// When a weight is missing or has another shape, or the device has not enough memory.
    pub(crate) fn load(checkpoint: &Checkpoint, prefix: &str, backend: B) -> Result<Self> {
        let config = Qwen3Config::of(checkpoint)?;
        let Qwen3Config { vocab_size, hidden_size, rope_theta, head_dim, rms_norm_eps: eps, .. } = config;
        let weights = &checkpoint.weights;
        let embed_tokens =
            backend.load_embedding(weights, &format!("{prefix}embed_tokens.weight"), [vocab_size, hidden_size])?;
        let layer = |at| Layer::load(weights, &config, &backend, &format!("{prefix}layers.{at}."));
        let layers = (0..config.num_hidden_layers).map(layer).collect::<Result<_>>()?;
        let norm = backend.load_norm(weights.take(&format!("{prefix}norm.weight"), &[hidden_size])?, None, eps)?;
        // What one thread has asked of a device, others would not wait for.
        backend.synchronize()?;
        let rotary_emb = RotaryEmbedding::new(rope_theta, head_dim);
        Ok(Self { embed_tokens, layers, norm, rotary_emb, config, backend })
    }

    /// As [`Qwen3::forward`], on the device; `watch` is shown what goes into every layer.
    fn states(&self, batch: &Batch, watch: impl Fn(&B, &B::Tensor) -> Result<()>) -> Result<B::Tensor> {
        let Qwen3Config { num_attention_heads, num_key_value_heads, head_dim, vocab_size, .. } = self.config;
        let highest = batch.ids.iter().max().map_or(0, |&id| id as usize);
        ensure!(highest < vocab_size, "the token {highest} is not in the vocabulary of the model");
        let backend = &self.backend;
        let attention = backend.attention_of(&Sequences {
            trees: &batch.trees,
            mask: Mask::Causal,
            heads: Heads { query: num_attention_heads, key_value: num_key_value_heads, size: head_dim },
            rope: Some((&batch.positions, &self.rotary_emb)),
        })?;
        let mut x = backend.embed(&self.embed_tokens, &batch.ids)?; // [tokens, hidden]
        for (at, layer) in self.layers.iter().enumerate() {
            watch(backend, &x)?;
            // Nothing but the outputs is read of the last layer.
            let wanted = (at + 1 == self.layers.len()).then_some(&batch.last[..]);
            x = layer.forward(backend, x, &attention, wanted)?; // [tokens, hidden]
        }
        backend.rms_norm(&self.norm, &x) // [outputs, hidden]
    }

    /// What goes into every layer. Shape: [layers][tokens · hidden].
    #[cfg(test)]
    pub(crate) fn watched(&self, batch: &Batch) -> Result<Vec<Vec<f32>>> {
        let seen = std::cell::RefCell::new(Vec::new());
        self.states(batch, |backend, x| {
            seen.borrow_mut().push(backend.read(x)?);
            Ok(())
        })?;
        Ok(seen.into_inner())
    }
}

impl<B: Backend> Qwen3 for Qwen3Model<B> {
    fn config(&self) -> &Qwen3Config {
        &self.config
    }

    fn forward(&self, batch: &Batch) -> Result<Vec<Vec<f32>>> {
        let states = self.backend.read(&self.states(batch, |_, _| Ok(()))?)?;
        Ok(states.chunks_exact(self.config.hidden_size).map(<[f32]>::to_vec).collect())
    }
}

/// `Qwen3DecoderLayer`, with `Qwen3Attention` and `Qwen3MLP`.
struct Layer<B: Backend> {
    input_layernorm: B::Norm,
    /// `q_proj`, `k_proj` and `v_proj`, side by side.
    qkv_proj: B::Linear,
    q_norm: B::Norm,
    k_norm: B::Norm,
    o_proj: B::Linear,
    post_attention_layernorm: B::Norm,
    /// `gate_proj` and `up_proj`, side by side.
    gate_up_proj: B::Linear,
    down_proj: B::Linear,
}

impl<B: Backend> Layer<B> {
    fn load(weights: &Weights, config: &Qwen3Config, backend: &B, prefix: &str) -> Result<Self> {
        let Qwen3Config { hidden_size: hidden, intermediate_size: intermediate, head_dim, .. } = *config;
        let (query, key) = (config.num_attention_heads * head_dim, config.num_key_value_heads * head_dim);
        let take = |name: &str, shape: &[usize]| weights.take(&format!("{prefix}{name}.weight"), shape);
        let norm = |name: &str, width| backend.load_norm(take(name, &[width])?, None, config.rms_norm_eps);
        // Weights of shape [outputs, inputs].
        let linear = |names: &[(&str, usize)], inputs| {
            let views = names.iter().map(|(name, outputs)| take(name, &[*outputs, inputs]));
            backend.load_linear(&views.collect::<Result<Vec<_>>>()?, &[])
        };
        Ok(Self {
            input_layernorm: norm("input_layernorm", hidden)?,
            qkv_proj: linear(
                &[("self_attn.q_proj", query), ("self_attn.k_proj", key), ("self_attn.v_proj", key)],
                hidden,
            )?,
            q_norm: norm("self_attn.q_norm", head_dim)?,
            k_norm: norm("self_attn.k_norm", head_dim)?,
            o_proj: linear(&[("self_attn.o_proj", hidden)], query)?,
            post_attention_layernorm: norm("post_attention_layernorm", hidden)?,
            gate_up_proj: linear(&[("mlp.gate_proj", intermediate), ("mlp.up_proj", intermediate)], hidden)?,
            down_proj: linear(&[("mlp.down_proj", hidden)], intermediate)?,
        })
    }

    /// [tokens, hidden] -> [tokens, hidden], or [wanted, hidden] of the tokens that are wanted.
    fn forward(
        &self,
        backend: &B,
        x: B::Tensor,
        attention: &B::Attention,
        wanted: Option<&[u32]>,
    ) -> Result<B::Tensor> {
        let h = backend.rms_norm(&self.input_layernorm, &x)?; // [tokens, hidden]
        let qkv = backend.qkv(&self.qkv_proj, &h, attention)?; // [tokens, (heads + 2 · key_value_heads) · head_dim]
        drop(h);
        let qkv = backend.rope(qkv, [&self.q_norm, &self.k_norm], attention)?;
        let h = backend.attention(qkv, attention)?; // [tokens, heads · head_dim]
        let (x, h) = match wanted {
            Some(wanted) => (backend.select(x, wanted)?, backend.select(h, wanted)?),
            None => (x, h),
        };
        let x = backend.add(x, backend.linear(&self.o_proj, &h)?)?; // [tokens, hidden]
        drop(h);

        let h = backend.rms_norm(&self.post_attention_layernorm, &x)?; // [tokens, hidden]
        let h = backend.swiglu(&self.gate_up_proj, &h)?; // [tokens, intermediate]
        backend.add(x, backend.linear(&self.down_proj, &h)?) // [tokens, hidden]
    }
}
