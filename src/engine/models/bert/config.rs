//! The shape of BERT and its kin: `config.json` of a folder.

use anyhow::{Result, bail, ensure};
use serde_json::Value;

use crate::engine::backend::Activation;
use crate::engine::checkpoint::Checkpoint;
use crate::engine::models::encoder::config::{eps, heads, number};

/// The architectures, which differ in where positions begin, in names and in the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Bert,
    /// RoBERTa, XLM-RoBERTa and CamemBERT.
    Roberta,
    DistilBert,
}

/// Names follow `config.json`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Config {
    pub(super) family: Family,
    /// Rows of the embedding.
    pub(super) vocab_size: usize,
    /// Width of the residual stream.
    pub(super) hidden_size: usize,
    pub(super) num_hidden_layers: usize,
    pub(super) num_attention_heads: usize,
    /// Width between the two products of a layer.
    pub(super) intermediate_size: usize,
    /// Rows of the table of positions.
    pub(super) max_position_embeddings: usize,
    /// Rows of the table that tells the texts of a pair apart.
    pub(super) type_vocab_size: usize,
    pub(super) layer_norm_eps: f64,
    pub(super) pad_token_id: usize,
    pub(super) hidden_act: Activation,
}

impl Config {
    /// Takes the shape from `config.json`.
    ///
    /// # Errors
    /// When a value is missing or of another kind, or asks for something that these families do not have.
    pub(super) fn of(checkpoint: &Checkpoint) -> Result<Self> {
        let config = checkpoint.config()?;
        let family = Family::of(config);
        let named = |name| if family == Family::DistilBert { distilbert(name) } else { name };
        let number = |name| number(config, &[named(name)]);
        let positions = config["position_embedding_type"].as_str().unwrap_or("absolute");
        ensure!(positions == "absolute", "config.json: `position_embedding_type` {positions:?} is not supported");
        ensure!(config["is_decoder"] != true, "config.json: `is_decoder` is true; an encoder reads both ways");
        let hidden_size = number("hidden_size")?;
        let shape = Self {
            family,
            vocab_size: number("vocab_size")?,
            hidden_size,
            num_hidden_layers: number("num_hidden_layers")?,
            num_attention_heads: heads(config, &[named("num_attention_heads")], hidden_size)?,
            intermediate_size: number("intermediate_size")?,
            max_position_embeddings: number("max_position_embeddings")?,
            type_vocab_size: if family == Family::DistilBert { 1 } else { number("type_vocab_size")? },
            layer_norm_eps: if family == Family::DistilBert { 1e-12 } else { eps(config, &["layer_norm_eps"])? },
            // The classes of `transformers` have these where the file says nothing.
            pad_token_id: config["pad_token_id"].as_u64().unwrap_or(u64::from(family == Family::Roberta)) as usize,
            hidden_act: activation(config)?,
        };
        ensure!(shape.num_hidden_layers <= 1024, "{} layers are no encoder", shape.num_hidden_layers);
        ensure!(
            shape.first_position() < shape.max_position_embeddings,
            "config.json: {} positions, of which the first used is {}",
            shape.max_position_embeddings,
            shape.first_position()
        );
        Ok(shape)
    }

    /// The position of the first token. RoBERTa counts from behind the padding token's number.
    pub(super) fn first_position(&self) -> usize {
        if self.family == Family::Roberta { self.pad_token_id + 1 } else { 0 }
    }

    /// The longest input in tokens, special ones included: 512 of the 514 positions of XLM-RoBERTa.
    pub(super) fn longest(&self) -> usize {
        self.max_position_embeddings - self.first_position()
    }
}

impl Family {
    fn of(config: &Value) -> Self {
        let class = config["architectures"][0].as_str().unwrap_or_default();
        match config["model_type"].as_str() {
            Some("roberta" | "xlm-roberta" | "camembert") => Self::Roberta,
            Some("distilbert") => Self::DistilBert,
            None if class.contains("Roberta") || class.starts_with("Camembert") => Self::Roberta,
            None if class.starts_with("DistilBert") => Self::DistilBert,
            _ => Self::Bert,
        }
    }
}

/// What DistilBERT calls a field.
fn distilbert(name: &str) -> &str {
    match name {
        "hidden_size" => "dim",
        "num_hidden_layers" => "n_layers",
        "num_attention_heads" => "n_heads",
        "intermediate_size" => "hidden_dim",
        other => other,
    }
}

fn activation(config: &Value) -> Result<Activation> {
    let said = config["hidden_act"].as_str().or(config["activation"].as_str());
    Ok(match said.unwrap_or("gelu") {
        "gelu" => Activation::Gelu,
        "gelu_new" | "gelu_pytorch_tanh" => Activation::GeluTanh,
        "relu" => Activation::Relu,
        other => bail!("config.json: `hidden_act` {other:?} is not supported"),
    })
}
