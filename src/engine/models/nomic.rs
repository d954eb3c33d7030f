//! NomicBERT (Nussbaum and others 2024, <https://arxiv.org/abs/2402.01613>): nomic-embed-text. BERT with rotary
//! positions and SwiGLU. The layers are candle-transformers'.
//! <https://github.com/huggingface/transformers/blob/main/src/transformers/models/nomic_bert/modeling_nomic_bert.py>

use anyhow::{Result, bail, ensure};
use candle_transformers::models::nomic_bert::{Config, NomicBertModel};
use serde_json::{Value, json};

use super::candle::{self, CandleEncoder, positions, tensors};
use super::encoder::EncoderShape;
use super::encoder::config::{eps, heads, number, refuse_other};
use super::encoder::head::Head;
use crate::engine::checkpoint::{Checkpoint, Weights};
use crate::engine::registry::{Loaded, Request};

/// See [`crate::engine::registry::Architecture`].
pub(crate) fn load(checkpoint: Checkpoint, request: Request) -> Result<Loaded> {
    candle::open(&checkpoint, request, &candle::Parts { encoder, head, unused: &["cls.", "pooler."] })
}

fn encoder(weights: &Weights, config: &Value) -> Result<CandleEncoder> {
    let read = configuration(config)?;
    let shape = EncoderShape {
        hidden_size: read.n_embd,
        max_tokens: longest(config, read.n_positions),
        vocab_size: read.vocab_size,
        type_vocab_size: read.type_vocab_size.max(1),
    };
    let model = NomicBertModel::load(tensors(weights), &read)?;
    CandleEncoder::new(shape, Box::new(move |ids, types| model.forward(ids, Some(types), None)))
}

fn head(_: &Weights, _: &Value, _: usize) -> Result<Head> {
    bail!("mailsort reads NomicBERT as an embedding only")
}

/// Beyond the positions that it was trained on the model may want rotary scaling, which candle does not have.
fn longest(config: &Value, positions: usize) -> usize {
    let trained = config["max_trained_positions"].as_u64().filter(|_| !config["rotary_scaling_factor"].is_null());
    trained.map_or(positions, |trained| positions.min(trained as usize))
}

/// Released files name fields as GPT-2 does, those that transformers 5 writes as BERT.
fn configuration(config: &Value) -> Result<Config> {
    let n_embd = number(config, &["n_embd", "hidden_size"])?;
    let n_head = heads(config, &["n_head", "num_attention_heads"], n_embd)?;
    let no = |name| (name, json!(false));
    refuse_other(
        config,
        &[
            ("activation_function", json!("swiglu")),
            ("hidden_act", json!("silu")),
            ("head_dim", json!(n_embd / n_head)),
            ("rotary_emb_fraction", json!(1.0)),
            ("rotary_emb_scale_base", Value::Null),
            ("moe_every_n_layers", json!(0)),
            no("causal"),
            no("parallel_block"),
            no("use_rms_norm"),
            // candle has these, but transformers does not, and so nothing says whether candle is right.
            no("rotary_emb_interleaved"),
            no("qkv_proj_bias"),
            no("mlp_fc1_bias"),
            no("mlp_fc2_bias"),
            no("prenorm"),
        ],
    )?;
    let rope = &config["rope_parameters"];
    let kind = rope["rope_type"].as_str().unwrap_or("default");
    ensure!(kind == "default", "config.json: rotary scaling {kind:?} is not supported");
    Ok(Config {
        vocab_size: number(config, &["vocab_size"])?,
        n_embd,
        n_head,
        n_layer: number(config, &["n_layer", "num_hidden_layers"])?,
        n_inner: number(config, &["n_inner", "intermediate_size"])?,
        n_positions: positions(config, &["n_positions", "max_position_embeddings"])?,
        type_vocab_size: config["type_vocab_size"].as_u64().unwrap_or(2) as usize,
        layer_norm_epsilon: eps(config, &["layer_norm_epsilon", "layer_norm_eps"])?,
        rotary_emb_base: config["rotary_emb_base"].as_f64().or(rope["rope_theta"].as_f64()).unwrap_or(1000.0),
        model_type: None,
        // SwiGLU, no bias, norms behind the layers.
        ..Config::default()
    })
}
