//! How a checkpoint of BERT or XLM-RoBERTa is told and opened.

use anyhow::{Context, Result};
use candle_core::Device;

use super::config::{Config, Family};
use super::{BertModel, prefix};
use crate::engine::backend::Backend;
use crate::engine::backend::cpu::Cpu;
use crate::engine::checkpoint::{Checkpoint, Weights};
use crate::engine::kernels;
use crate::engine::kernels::products::Packed;
use crate::engine::models::encoder::{self, CrossEncoder, Head, SentenceEmbedding};
use crate::engine::registry::{Loaded, Request, class, dtype};

/// Tokens that go through the layers together unless told otherwise: enough to keep the cores busy, few enough to stay
/// in the caches.
const TOGETHER: usize = 1024;

/// See [`crate::engine::registry::Architecture`].
pub(crate) fn load(checkpoint: Checkpoint, request: Request) -> Result<Loaded> {
    let (_, kind) = checkpoint.weights.size();
    let kind = kind.context("the checkpoint holds no weights")?;
    let dtype = dtype(request.options.dtype, kind, &Device::Cpu);
    let class = class(kind, &Device::Cpu, dtype);
    let backend = Cpu::new(dtype);
    if encoder::has_classes(&checkpoint)? {
        Ok(cross_encoder(&checkpoint, request, backend)?.loaded(&class))
    } else {
        Ok(embedding(&checkpoint, request.id, backend)?.loaded(&class))
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

/// A cross-encoder on any device.
pub(crate) fn cross_encoder<B>(checkpoint: &Checkpoint, request: Request, backend: B) -> Result<CrossEncoder>
where
    B: Backend + 'static,
{
    let classes = encoder::classes(checkpoint)?;
    let (weights, config) = (&checkpoint.weights, Config::of(checkpoint)?);
    let model = BertModel::load(checkpoint, &config, backend, TOGETHER)?;
    let head = head(checkpoint, &config, classes)?;
    let reranker = CrossEncoder::new(checkpoint, request, Box::new(model), head)?;
    // XLM-RoBERTa saved with a pooler has no use for it.
    weights.finish(|name| {
        let name = name.strip_prefix(prefix(weights)).unwrap_or(name);
        name == "embeddings.position_ids" || name.starts_with("pooler.dense.")
    })?;
    Ok(reranker)
}

/// `BertPooler` and the classifier behind it, `RobertaClassificationHead`, or `pre_classifier` and `classifier` of
/// DistilBERT: a layer and its activation, and a product with one output for each class, all of the first token and in
/// f32.
fn head(checkpoint: &Checkpoint, config: &Config, classes: usize) -> Result<Head> {
    let (weights, hidden) = (&checkpoint.weights, config.hidden_size);
    let (dense, activation, out): (_, fn(f32) -> f32, _) = match config.family {
        Family::Bert => (format!("{}pooler.dense", prefix(weights)), f32::tanh, "classifier"),
        Family::Roberta => ("classifier.dense".to_string(), f32::tanh, "classifier.out_proj"),
        Family::DistilBert => ("pre_classifier".to_string(), |value| value.max(0.0), "classifier"),
    };
    let dense = Affine::load(weights, &dense, hidden, hidden)?;
    let classifier = Affine::load(weights, out, classes, hidden)?;
    Ok(Box::new(move |states| {
        let mut pooled = dense.forward(&states[..hidden]); // [hidden]
        pooled.iter_mut().for_each(|value| *value = activation(*value));
        Ok(classifier.forward(&pooled)) // [classes]
    }))
}

/// A product and a bias of one row.
struct Affine {
    weight: Packed,
    /// Shape: [outputs].
    bias: Vec<f32>,
}

impl Affine {
    fn load(weights: &Weights, name: &str, outputs: usize, inputs: usize) -> Result<Self> {
        let weight = weights.take(&format!("{name}.weight"), &[outputs, inputs])?.values()?;
        let bias = weights.take(&format!("{name}.bias"), &[outputs])?.values()?;
        Ok(Self { weight: Packed::f32(&weight, outputs, inputs), bias })
    }

    fn forward(&self, row: &[f32]) -> Vec<f32> {
        let mut out = vec![0.0; self.bias.len()];
        self.weight.product(row, &mut out);
        kernels::add_bias(&mut out, &self.bias);
        out
    }
}
