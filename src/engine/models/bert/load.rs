//! How a checkpoint of BERT or its kin is told and opened.

use anyhow::{Context, Result};
use candle_core::Device;

use super::config::{Config, Family};
use super::{BertModel, prefix};
use crate::engine::backend::Backend;
use crate::engine::backend::cpu::Cpu;
use crate::engine::card;
use crate::engine::checkpoint::{Checkpoint, Weights};
use crate::engine::kernels::{Activation, activate};
use crate::engine::models::encoder::head::{self, Head};
use crate::engine::models::encoder::{self, CrossEncoder, Encoder, SentenceEmbedding};
use crate::engine::registry::{Dtype, Loaded, Request, class, dtype};

/// Tokens that go through the layers together on a core: few enough to stay in its caches, enough for the weights that
/// come from memory each time.
const TOGETHER: usize = 256;

/// See [`crate::engine::registry::Architecture`].
pub(crate) fn load(checkpoint: Checkpoint, request: Request) -> Result<Loaded> {
    let (_, kind) = checkpoint.weights.size();
    let kind = kind.context("the checkpoint holds no weights")?;
    let dtype = dtype(request.options.dtype, kind, &Device::Cpu)?;
    card::check_memory(&checkpoint, kind, dtype)?;
    let class = class(kind, &Device::Cpu, dtype);
    let backend = Cpu::new(dtype);
    if encoder::has_classes(&checkpoint)? {
        Ok(cross_encoder(&checkpoint, request, backend)?.loaded(&class))
    } else {
        let embedding = embedding(&checkpoint, request.id, backend)?;
        Ok(embedding.prefixed(request.options.query_prefix.as_deref())?.loaded(&class))
    }
}

/// An embedding on any device.
pub(crate) fn embedding<B>(checkpoint: &Checkpoint, id: &str, backend: B) -> Result<SentenceEmbedding>
where
    B: Backend + 'static,
{
    let weights = &checkpoint.weights;
    let model = BertModel::load(checkpoint, &Config::of(checkpoint)?, backend, TOGETHER)?;
    let embedding = SentenceEmbedding::new(id, checkpoint, Box::new(model))?;
    weights.finish(|name| {
        let name = name.strip_prefix(prefix(weights)).unwrap_or(name);
        let head = |start: &&str| name.starts_with(start);
        name == "embeddings.position_ids" || ["pooler.dense.", "cls.", "lm_head.", "vocab_"].iter().any(head)
    })?;
    Ok(embedding)
}

/// The encoder of a file that lies in the program. What does not begin like its weights is not its own.
pub(crate) fn embedded(checkpoint: &Checkpoint) -> Result<Box<dyn Encoder>> {
    let model = BertModel::load(checkpoint, &Config::of(checkpoint)?, Cpu::new(Dtype::F32), TOGETHER)?;
    checkpoint.weights.finish(|name| !["embeddings.", "encoder."].iter().any(|start| name.starts_with(start)))?;
    Ok(Box::new(model))
}

/// A cross-encoder on any device.
pub(crate) fn cross_encoder<B>(checkpoint: &Checkpoint, request: Request, backend: B) -> Result<CrossEncoder>
where
    B: Backend + 'static,
{
    let classes = encoder::classes(checkpoint)?;
    let (weights, config) = (&checkpoint.weights, Config::of(checkpoint)?);
    let model = BertModel::load(checkpoint, &config, backend, TOGETHER)?;
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
/// DistilBERT.
fn head(weights: &Weights, config: &Config, classes: usize) -> Result<Head> {
    let pooler = format!("{}pooler.dense", prefix(weights));
    let tanh: fn(&mut [f32]) = |row| row.iter_mut().for_each(|value| *value = value.tanh());
    let (names, activation) = match config.family {
        Family::Bert => ([&pooler[..], "classifier"], tanh),
        Family::Roberta => (["classifier.dense", "classifier.out_proj"], tanh),
        Family::DistilBert => (["pre_classifier", "classifier"], relu as fn(&mut [f32])),
    };
    head::of_first_token(weights, names, [config.hidden_size, classes], activation)
}

fn relu(row: &mut [f32]) {
    activate(Activation::Relu, row);
}
