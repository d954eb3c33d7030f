//! DeBERTa-v2 and v3 (He and others 2021, <https://arxiv.org/abs/2006.03654>, <https://arxiv.org/abs/2111.09543>), the
//! encoder of most models for zero-shot classification. The layers are candle-transformers'.
//! <https://github.com/huggingface/transformers/blob/main/src/transformers/models/deberta_v2/modeling_deberta_v2.py>

use anyhow::{Context, Result, bail, ensure};
use candle_transformers::models::debertav2::{Config, DebertaV2Model, HiddenAct};
use serde_json::{Value, json};

use super::candle::{self, CandleEncoder, positions, tensors};
use super::encoder::EncoderShape;
use super::encoder::config::{eps, heads, number, refuse_other};
use super::encoder::head::{self, Head};
use crate::engine::checkpoint::{Checkpoint, Weights};
use crate::engine::kernels::{Activation, activate};
use crate::engine::registry::{Loaded, Request};

/// See [`crate::engine::registry::Architecture`].
pub(crate) fn load(checkpoint: Checkpoint, request: Request) -> Result<Loaded> {
    // Heads that guess words.
    let unused = &["cls.", "lm_predictions.", "mask_predictions."];
    candle::open(&checkpoint, request, &candle::Parts { encoder, head, unused })
}

fn encoder(weights: &Weights, config: &Value) -> Result<CandleEncoder> {
    let read = configuration(config)?;
    let shape = EncoderShape {
        hidden_size: read.hidden_size,
        // Relative positions go on for ever, but the buckets were trained on texts of this length.
        max_tokens: read.max_position_embeddings,
        vocab_size: read.vocab_size,
        type_vocab_size: read.type_vocab_size.max(1),
    };
    let tensors = tensors(weights);
    let prefixed = weights.has("deberta.embeddings.word_embeddings.weight");
    let model = DebertaV2Model::load(if prefixed { tensors.pp("deberta") } else { tensors }, &read)?;
    CandleEncoder::new(shape, Box::new(move |ids, types| model.forward(ids, Some(types.clone()), None)))
}

/// `ContextPooler` and the classifier behind it.
fn head(weights: &Weights, config: &Value, classes: usize) -> Result<Head> {
    let hidden = number(config, &["hidden_size"])?;
    refuse_other(config, &[("pooler_hidden_act", json!("gelu")), ("pooler_hidden_size", json!(hidden))])?;
    head::of_first_token(weights, ["pooler.dense", "classifier"], [hidden, classes], |row| {
        activate(Activation::Gelu, row);
    })
}

/// Where the file says nothing, the values are those of transformers.
fn configuration(config: &Value) -> Result<Config> {
    let hidden_size = number(config, &["hidden_size"])?;
    let num_attention_heads = heads(config, &["num_attention_heads"], hidden_size)?;
    refuse_other(
        config,
        &[
            // The convolution of deberta-v2-xlarge is a `todo!()` in candle.
            ("conv_kernel_size", json!(0)),
            ("attention_head_size", json!(hidden_size / num_attention_heads)),
            ("embedding_size", json!(hidden_size)),
            ("hidden_act", json!("gelu")),
        ],
    )?;
    let max_position_embeddings = positions(config, &["max_position_embeddings"])?;
    let flag = |name: &str, default: bool| config[name].as_bool().unwrap_or(default);
    let (max_relative_positions, position_buckets) = distances(config, max_position_embeddings)?;
    Ok(Config {
        vocab_size: number(config, &["vocab_size"])?,
        hidden_size,
        num_hidden_layers: number(config, &["num_hidden_layers"])?,
        num_attention_heads,
        intermediate_size: number(config, &["intermediate_size"])?,
        hidden_act: HiddenAct::Gelu,
        max_position_embeddings,
        type_vocab_size: config["type_vocab_size"].as_u64().unwrap_or(0) as usize,
        layer_norm_eps: eps(config, &["layer_norm_eps"])?,
        relative_attention: flag("relative_attention", false),
        max_relative_positions,
        position_biased_input: flag("position_biased_input", true),
        pos_att_type: position_attention(&config["pos_att_type"])?,
        position_buckets: Some(position_buckets),
        share_att_key: Some(flag("share_att_key", false)),
        norm_rel_ebd: Some(norm_of_positions(&config["norm_rel_ebd"])?),
        // What training, other heads or what is refused above would need.
        hidden_dropout_prob: 0.0,
        attention_probs_dropout_prob: 0.0,
        initializer_range: 0.02,
        pad_token_id: None,
        attention_head_size: None,
        embedding_size: None,
        conv_kernel_size: None,
        conv_groups: None,
        conv_act: None,
        id2label: None,
        label2id: None,
        pooler_dropout: None,
        pooler_hidden_act: None,
        pooler_hidden_size: None,
        cls_dropout: None,
    })
}

/// The longest distance between tokens that is told from others, and into how many buckets distances go. Both are -1
/// where they are not said: all positions, and each distance for itself.
fn distances(config: &Value, positions: usize) -> Result<(isize, isize)> {
    let read = |name: &str| -> Result<isize> {
        let value = config[name].as_i64().unwrap_or(-1);
        isize::try_from(value)
            .ok()
            .filter(|value| (-1..1 << 20).contains(value))
            .with_context(|| format!("config.json: `{name}` is {value}"))
    };
    let (longest, buckets) = (read("max_relative_positions")?, read("position_buckets")?);
    let furthest = if longest < 1 { positions as isize } else { longest };
    // Beyond half the buckets the logarithm of a distance is taken, as a share of that of the furthest.
    let fits = buckets < 1 || (buckets >= 2 && furthest > buckets / 2 + 1);
    ensure!(fits, "config.json: `position_buckets` is {buckets}, which does not suit {furthest} positions");
    Ok((longest, buckets))
}

/// `c2p`, `p2c`, both or none, as a list or with bars between them.
fn position_attention(said: &Value) -> Result<Vec<String>> {
    let kinds: Vec<String> = match said {
        Value::Null => Vec::new(),
        Value::String(kinds) => kinds.to_lowercase().split('|').map(|kind| kind.trim().to_string()).collect(),
        Value::Array(kinds) => kinds.iter().map(|kind| kind.as_str().unwrap_or_default().to_string()).collect(),
        _ => bail!("config.json: `pos_att_type` is {said}"),
    };
    let known = |kind: &String| kind == "c2p" || kind == "p2c";
    ensure!(kinds.iter().all(known), "config.json: `pos_att_type` is {said}; mailsort has c2p and p2c");
    Ok(kinds)
}

fn norm_of_positions(said: &Value) -> Result<String> {
    let name = said.as_str().unwrap_or("none").trim().to_lowercase();
    let known = ["none", "layer_norm"].contains(&&name[..]);
    ensure!(known, "config.json: `norm_rel_ebd` is {said}; mailsort has layer_norm");
    Ok(name)
}
