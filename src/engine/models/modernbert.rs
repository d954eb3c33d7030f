//! ModernBERT (Warner and others 2024, <https://arxiv.org/abs/2412.13663>): most layers see a window around each token,
//! every third the whole text. The layers are candle-transformers'.
//! <https://github.com/huggingface/transformers/blob/main/src/transformers/models/modernbert/modeling_modernbert.py>

use anyhow::{Result, bail, ensure};
use candle_core::DType;
use candle_transformers::models::modernbert::{Config, ModernBert};
use serde_json::{Value, json};

use super::candle::{self, CandleEncoder, positions, tensors};
use super::encoder::config::{eps, heads, number, refuse_other};
use super::encoder::head::{Affine, Head};
use super::encoder::{EncoderShape, sum};
use crate::engine::checkpoint::{Checkpoint, Weights};
use crate::engine::kernels::{Activation, activate, layer_norm};
use crate::engine::registry::{Loaded, Request};

/// See [`crate::engine::registry::Architecture`].
pub(crate) fn load(checkpoint: Checkpoint, request: Request) -> Result<Loaded> {
    // Heads that guess words.
    let unused = &["head.", "decoder."];
    candle::open(&checkpoint, request, &candle::Parts { encoder, head, unused })
}

fn encoder(weights: &Weights, config: &Value) -> Result<CandleEncoder> {
    let read = configuration(config)?;
    let prefixed = weights.has("model.embeddings.tok_embeddings.weight");
    let name = move |asked: &str| asked.strip_prefix("model.").filter(|_| !prefixed).unwrap_or(asked).to_string();
    // candle leaves a norm out where its weight is not there. The first layer has none, every other one has.
    for layer in 0..read.num_hidden_layers {
        let norm = name(&format!("model.layers.{layer}.attn_norm.weight"));
        let wrong = if layer > 0 { "missing" } else { "left over" };
        ensure!(weights.has(&norm) == (layer > 0), "the weight {norm} is {wrong}");
    }
    let shape = EncoderShape {
        hidden_size: read.hidden_size,
        max_tokens: read.max_position_embeddings,
        vocab_size: read.vocab_size,
        type_vocab_size: 1,
    };
    let model = ModernBert::load(tensors(weights).rename_f(name), &read)?;
    CandleEncoder::new(shape, Box::new(move |ids, _| model.forward(ids, &ids.ones_like()?.to_dtype(DType::U32)?)))
}

/// `ModernBertPredictionHead` and the classifier behind it, of the first token or of the mean of all.
fn head(weights: &Weights, config: &Value, classes: usize) -> Result<Head> {
    refuse_other(config, &[("classifier_bias", json!(false)), ("classifier_activation", json!("gelu"))])?;
    let of_all = match config["classifier_pooling"].as_str().unwrap_or("cls") {
        "cls" => false,
        "mean" => true,
        other => bail!("config.json: `classifier_pooling` is {other:?}; mailsort has cls and mean"),
    };
    let (hidden, eps) = (number(config, &["hidden_size"])?, eps(config, &["norm_eps"])? as f32);
    let dense = Affine::without_bias(weights, "head.dense", [hidden, hidden])?;
    let norm = weights.take("head.norm.weight", &[hidden])?.values()?;
    let no_bias = vec![0.0; hidden];
    let classifier = Affine::load(weights, "classifier", [classes, hidden])?;
    Ok(Box::new(move |states| {
        let pooled = if of_all { mean(states, hidden) } else { states[..hidden].to_vec() }; // [hidden]
        let mut pooled = dense.forward(&pooled); // [hidden]
        activate(Activation::Gelu, &mut pooled);
        layer_norm(&mut pooled, &norm, &no_bias, eps);
        Ok(classifier.forward(&pooled)) // [classes]
    }))
}

/// [tokens, hidden] -> [hidden]
fn mean(states: &[f32], hidden: usize) -> Vec<f32> {
    let tokens = (states.len() / hidden) as f32;
    sum(states, hidden).into_iter().map(|sum| sum / tokens).collect()
}

fn configuration(config: &Value) -> Result<Config> {
    let no = |name| (name, json!(false));
    refuse_other(
        config,
        &[no("norm_bias"), no("attention_bias"), no("mlp_bias"), ("hidden_activation", json!("gelu"))],
    )?;
    let hidden_size = number(config, &["hidden_size"])?;
    let num_hidden_layers = number(config, &["num_hidden_layers"])?;
    Ok(Config {
        vocab_size: number(config, &["vocab_size"])?,
        hidden_size,
        num_hidden_layers,
        num_attention_heads: heads(config, &["num_attention_heads"], hidden_size)?,
        intermediate_size: number(config, &["intermediate_size"])?,
        max_position_embeddings: positions(config, &["max_position_embeddings"])?,
        layer_norm_eps: eps(config, &["norm_eps"])?,
        pad_token_id: 0,
        global_attn_every_n_layers: period(config, num_hidden_layers)?,
        global_rope_theta: theta(config, "full_attention", "global_rope_theta", 160_000.0)?,
        local_attention: number(config, &["local_attention"])?,
        local_rope_theta: theta(config, "sliding_attention", "local_rope_theta", 10_000.0)?,
        classifier_config: None,
    })
}

/// The base of the rotary frequencies: at the top of older files, by the sort of layer in newer ones.
fn theta(config: &Value, sort: &str, older: &str, default: f64) -> Result<f64> {
    let newer = &config["rope_parameters"][sort];
    for scaling in [newer, &config["rope_scaling"]] {
        let kind = scaling["rope_type"].as_str().or(scaling["type"].as_str()).unwrap_or("default");
        ensure!(kind == "default", "config.json: rotary scaling {kind:?} is not supported");
    }
    Ok(newer["rope_theta"].as_f64().or(config[older].as_f64()).unwrap_or(default))
}

/// Every how many layers one sees the whole text: a number in older files, a list of all layers in newer ones.
fn period(config: &Value, layers: usize) -> Result<usize> {
    let Some(sorts) = config["layer_types"].as_array() else {
        return number(config, &["global_attn_every_n_layers"]);
    };
    let full: Vec<bool> = sorts.iter().map(|sort| sort == "full_attention").collect();
    let period = full.iter().skip(1).position(|&full| full).map_or(layers, |at| at + 1);
    let regular = full.len() == layers && full.iter().enumerate().all(|(at, &full)| full == at.is_multiple_of(period));
    ensure!(regular, "config.json: `layer_types` is not one layer in N of full attention, which mailsort needs");
    Ok(period)
}
