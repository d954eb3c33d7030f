//! What kind of model a checkpoint holds, and its shape: `config.json` of a folder.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::names::CONFIG;

/// The shape of a Qwen3 trunk. Names follow `config.json` of the released models.
#[derive(Clone, Debug, PartialEq)]
pub struct Qwen3Config {
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Layers.
    pub num_hidden_layers: usize,
    /// Heads that ask.
    pub num_attention_heads: usize,
    /// Heads that answer; each serves several that ask.
    pub num_key_value_heads: usize,
    /// Width of a head. Never hidden_size / num_attention_heads: the released models have other values.
    pub head_dim: usize,
    /// Width inside the MLP.
    pub intermediate_size: usize,
    /// Rows of the embedding.
    pub vocab_size: usize,
    /// Added to the mean square before its root.
    pub rms_norm_eps: f32,
    /// Base of the rotary frequencies.
    pub rope_theta: f32,
    /// The longest input, in tokens.
    pub max_position_embeddings: usize,
    /// True where the output head is the embedding.
    pub tie_word_embeddings: bool,
}

/// Families of models that can be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Qwen3: reranker or embedding.
    Qwen3,
    /// BERT: embedding, or a classifier of pairs with one logit.
    Bert,
    /// XLM-RoBERTa, likewise.
    XlmRoberta,
}

impl Family {
    /// Which family a `config.json` belongs to, and whether it has a head that scores pairs.
    ///
    /// # Errors
    /// When it belongs to none that mailsort knows.
    pub fn of(config: &Value) -> Result<(Self, bool)> {
        let named = config["architectures"][0].as_str();
        let kind = config["model_type"].as_str();
        let Some(name) = named.or(kind) else {
            bail!("config.json names no architecture");
        };
        let scores = name.ends_with("ForSequenceClassification");
        let family = match kind.unwrap_or(name) {
            "qwen3" => Self::Qwen3,
            "bert" => Self::Bert,
            "xlm-roberta" => Self::XlmRoberta,
            _ if name.starts_with("Qwen3") && !name.starts_with("Qwen3M") && !name.starts_with("Qwen3V") => Self::Qwen3,
            _ => bail!(
                "the architecture {name:?} is not one that mailsort runs: these are Qwen3 (rerankers and embeddings), \
                 BERT and XLM-RoBERTa (embeddings and sequence classification with one logit)"
            ),
        };
        Ok((family, scores))
    }
}

/// Reads `config.json` of a folder.
///
/// # Errors
/// When it is missing or no JSON.
pub fn read(folder: &Path) -> Result<Value> {
    let path = folder.join(CONFIG);
    let shown = path.display();
    let text = std::fs::read_to_string(&path).with_context(|| {
        format!("cannot read {shown}; a model folder holds config.json, tokenizer.json and .safetensors files")
    })?;
    serde_json::from_str(&text).with_context(|| format!("{shown} is not JSON"))
}

impl Qwen3Config {
    /// Takes the shape from `config.json`.
    ///
    /// # Errors
    /// When a value is missing or of another kind, or asks for something that the released models do not have.
    pub fn of(config: &Value) -> Result<Self> {
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

    /// # Errors
    /// When the numbers contradict each other.
    pub(super) fn check(&self) -> Result<()> {
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
