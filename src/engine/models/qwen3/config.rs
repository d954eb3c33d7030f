//! The shape of a Qwen3 model: `config.json` of a folder, or the metadata of a GGUF file.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::engine::checkpoint::{Checkpoint, Description, gguf};

/// The shape of a Qwen3 trunk. Names follow `config.json` of the released models.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Qwen3Config {
    /// Width of the residual stream.
    pub(crate) hidden_size: usize,
    /// Layers.
    pub(crate) num_hidden_layers: usize,
    /// Heads that ask.
    pub(crate) num_attention_heads: usize,
    /// Heads that answer; each serves several that ask.
    pub(crate) num_key_value_heads: usize,
    /// Width of a head. Never hidden_size / num_attention_heads: the released models have other values.
    pub(crate) head_dim: usize,
    /// Width inside the MLP.
    pub(crate) intermediate_size: usize,
    /// Rows of the embedding.
    pub(crate) vocab_size: usize,
    /// Added to the mean square before its root.
    pub(crate) rms_norm_eps: f32,
    /// Base of the rotary frequencies.
    pub(crate) rope_theta: f32,
    /// The longest input, in tokens.
    pub(crate) max_position_embeddings: usize,
    /// True where the output head is the embedding.
    pub(crate) tie_word_embeddings: bool,
}

impl Qwen3Config {
    /// The shape of a checkpoint.
    ///
    /// # Errors
    /// When a value is missing or of another kind, or asks for something that the released models do not have.
    pub(crate) fn of(checkpoint: &Checkpoint) -> Result<Self> {
        match &checkpoint.description {
            Description::Folder(config) => Self::of_json(config),
            Description::Gguf(metadata) => Self::of_gguf(metadata, checkpoint.weights.has("lm_head.weight")),
        }
    }

    fn of_json(config: &Value) -> Result<Self> {
        let number = |name: &str| -> Result<usize> {
            let value = config[name].as_u64().filter(|&value| value > 0 && value <= 1 << 30);
            Ok(value.with_context(|| format!("config.json: `{name}` is missing or not a positive number"))? as usize)
        };
        let is = |name: &str| config[name].as_bool().unwrap_or(false);
        ensure!(
            !is("use_sliding_window"),
            "config.json: `use_sliding_window` is true, which mailsort does not support"
        );
        ensure!(!is("attention_bias"), "config.json: `attention_bias` is true, which no Qwen3 model has");
        let activation = config["hidden_act"].as_str().unwrap_or("silu");
        ensure!(activation == "silu", "config.json: `hidden_act` is {activation:?}; Qwen3 has \"silu\"");
        let shape = Self {
            hidden_size: number("hidden_size")?,
            num_hidden_layers: number("num_hidden_layers")?,
            num_attention_heads: number("num_attention_heads")?,
            num_key_value_heads: number("num_key_value_heads")?,
            head_dim: number("head_dim")?,
            intermediate_size: number("intermediate_size")?,
            vocab_size: number("vocab_size")?,
            rms_norm_eps: config["rms_norm_eps"].as_f64().context("config.json: `rms_norm_eps` is missing")? as f32,
            rope_theta: rope_theta(config)?,
            max_position_embeddings: number("max_position_embeddings")?,
            tie_word_embeddings: is("tie_word_embeddings"),
        };
        shape.check()?;
        Ok(shape)
    }

    /// `has_head` where the file has an output head of its own.
    fn of_gguf(metadata: &gguf::Metadata, has_head: bool) -> Result<Self> {
        if let Some(scaling) = metadata.text("qwen3.rope.scaling.type") {
            ensure!(scaling == "none", "rotary scaling {scaling:?} is not supported");
        }
        let shape = Self {
            hidden_size: metadata.number("qwen3.embedding_length")?,
            num_hidden_layers: metadata.number("qwen3.block_count")?,
            num_attention_heads: metadata.number("qwen3.attention.head_count")?,
            num_key_value_heads: metadata.number("qwen3.attention.head_count_kv")?,
            head_dim: metadata.number("qwen3.attention.key_length")?,
            intermediate_size: metadata.number("qwen3.feed_forward_length")?,
            vocab_size: metadata.get("tokenizer.ggml.tokens")?.to_vec()?.len(),
            rms_norm_eps: metadata.float("qwen3.attention.layer_norm_rms_epsilon")?,
            rope_theta: metadata.float("qwen3.rope.freq_base")?,
            max_position_embeddings: metadata.number("qwen3.context_length")?,
            tie_word_embeddings: !has_head,
        };
        shape.check()?;
        Ok(shape)
    }

    /// Checks that the numbers do not contradict each other.
    fn check(&self) -> Result<()> {
        ensure!(
            self.num_attention_heads.is_multiple_of(self.num_key_value_heads),
            "{} attention heads cannot share {} key-value heads",
            self.num_attention_heads,
            self.num_key_value_heads
        );
        ensure!(self.head_dim.is_multiple_of(2), "head_dim {} is odd; rotary positions need pairs", self.head_dim);
        ensure!(self.rope_theta.is_finite() && self.rope_theta > 1.0, "rope_theta {} makes no sense", self.rope_theta);
        ensure!(self.num_hidden_layers <= 1024, "{} layers are no Qwen3 model", self.num_hidden_layers);
        Ok(())
    }
}

/// The base of the rotary frequencies: at the top of older files, in `rope_parameters` of newer ones.
fn rope_theta(config: &Value) -> Result<f32> {
    let newer = &config["rope_parameters"];
    for scaling in [newer, &config["rope_scaling"]] {
        let kind = scaling["rope_type"].as_str().or(scaling["type"].as_str()).unwrap_or("default");
        ensure!(kind == "default", "config.json: rotary scaling {kind:?} is not supported");
    }
    let theta = config["rope_theta"].as_f64().or(newer["rope_theta"].as_f64());
    Ok(theta.context("config.json: `rope_theta` is missing")? as f32)
}
