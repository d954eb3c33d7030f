//! How a Qwen3 checkpoint is told, opened and described.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use candle_core::DType;

use super::config::Qwen3Config;
use super::embedding::Qwen3Embedding;
use super::prompt::{EMBEDDING_TASK, EmbeddingPrompt, PREFIX, RERANKER_TASK, RerankerPrompt, SUFFIX};
use super::reranker::{Qwen3Reranker, head};
use super::vocabulary::Vocabulary;
use crate::engine::card::{self, Card};
use crate::engine::checkpoint::names::MODULES;
use crate::engine::checkpoint::{Checkpoint, Description, Kind};
use crate::engine::kernels::products::{Kind as Packing, Unit};
use crate::engine::linear::Placement;
use crate::engine::registry::{Loaded, Model, Request, Sketch, dtype};
use crate::engine::{allocator, memory};

/// See [`crate::engine::registry::Architecture`].
pub(crate) fn sketch(checkpoint: &Checkpoint) -> Result<Sketch> {
    let embeds = !scores(checkpoint) && is_embedding(checkpoint)?;
    let most_dims = if embeds { Some(Qwen3Config::of(checkpoint)?.hidden_size) } else { None };
    Ok(Sketch { embeds, infers: false, most_dims, runs_on_gpu: true })
}

/// See [`crate::engine::registry::Architecture`].
pub(crate) fn load(checkpoint: Checkpoint, request: Request) -> Result<Loaded> {
    let Request { id, device, options } = request;
    let (_, kind) = checkpoint.weights.size();
    let kind = kind.context("the checkpoint holds no weights")?;
    let dtype = dtype(options.dtype, kind, device);
    let placement = Placement::new(device, dtype, Qwen3Config::of(&checkpoint)?.head_dim);
    let class = class(kind, &placement);
    if placement.device.is_cpu() {
        let name = if kind.is_quantised() { kind.to_string() } else { placement.dtype.as_str().to_string() };
        // Where the CPU has no instructions for bf16 the weights are widened.
        let widened = placement.dtype == DType::BF16 && !Packing::Bf16.is_available();
        let name = if widened { "f32".to_string() } else { name };
        // Where it has AMX, weights of bf16 stay so, whatever they are multiplied with.
        let narrow = kind == Kind::Bf16 && placement.dtype == DType::F32 && Packing::Mixed.is_available();
        let name = if narrow { "bf16".to_string() } else { name };
        let needed = card::memory(&checkpoint, kind).into_iter().find(|(known, _)| *known == name);
        needed.map_or(Ok(()), |(name, bytes)| memory::check(bytes, &name))?;
        allocator::keep_freed_memory();
    }
    let budget = options.batch_tokens.unwrap_or(if placement.device.is_cpu() { 1024 } else { 16384 });
    let id = id.to_string();
    let model = if sketch(&checkpoint)?.embeds {
        Model::Embedder(Box::new(Qwen3Embedding::load(id, checkpoint, placement, options.dims, budget)?))
    } else {
        Model::Reranker(Box::new(Qwen3Reranker::load(id, checkpoint, placement, budget)?))
    };
    Ok(Loaded { model, class, notes: Vec::new() })
}

/// See [`crate::engine::registry::Architecture`].
pub(crate) fn describe(checkpoint: &Checkpoint, card: &mut Card) -> Result<()> {
    let config = Qwen3Config::of(checkpoint)?;
    let embeds = sketch(checkpoint)?.embeds;
    let Qwen3Config { hidden_size, num_hidden_layers, max_position_embeddings, .. } = config;
    card.layers = Some(num_hidden_layers as u64);
    card.hidden = Some(hidden_size as u64);
    card.context = Some(max_position_embeddings as u64);
    card.dims = embeds.then_some(hidden_size as u64);
    let vocabulary = Vocabulary::open(checkpoint)?;
    if embeds {
        EmbeddingPrompt::new(vocabulary)?;
        card.instruct = Some(EMBEDDING_TASK);
        card.template = Some("Instruct: {instruct}\nQuery:{mail}<|endoftext|>".into());
    } else {
        let prompt = RerankerPrompt::new(vocabulary)?;
        card.yes_no = Some((prompt.yes, prompt.no));
        card.instruct = Some(RERANKER_TASK);
        let body = "<Instruct>: {instruct}\n<Query>: {mail}\n<Document>: {label}";
        card.template = Some([PREFIX, body, SUFFIX].concat());
        // Only the rows of the answers are read.
        head(checkpoint, &config, &prompt)?;
    }
    Ok(())
}

/// True where the checkpoint has a head that scores pairs.
fn scores(checkpoint: &Checkpoint) -> bool {
    match &checkpoint.description {
        Description::Folder(config) => {
            let class = config["architectures"][0].as_str().unwrap_or_default();
            class.ends_with("ForSequenceClassification")
        }
        Description::Gguf(_) => checkpoint.weights.has("cls.output.weight"),
    }
}

/// Released embeddings come with a list of modules and lack the prefix of a language model; nothing else tells them from
/// rerankers before their tokenizers are read.
fn is_embedding(checkpoint: &Checkpoint) -> Result<bool> {
    let Description::Gguf(metadata) = &checkpoint.description else {
        let bare = checkpoint.weights.has("embed_tokens.weight");
        return Ok(bare || pools(&checkpoint.path));
    };
    // llama.cpp's numbers for pooling: 3 the last token, 4 a score.
    Ok(match metadata.whole("qwen3.pooling_type") {
        Some(3) => true,
        Some(4) => false,
        Some(other) => bail!("the GGUF file pools by {other}; mailsort reads the last token (3) or a score (4)"),
        None => metadata.flag("tokenizer.ggml.add_eos_token").unwrap_or(false),
    })
}

/// True where `modules.json` asks for pooling; that of a reranker asks for a score.
fn pools(folder: &Path) -> bool {
    let modules = std::fs::read_to_string(folder.join(MODULES)).unwrap_or_default();
    let modules: serde_json::Value = serde_json::from_str(&modules).unwrap_or_default();
    let pools = |module: &serde_json::Value| module["type"].as_str().is_some_and(|kind| kind.ends_with("Pooling"));
    modules.as_array().is_some_and(|modules| modules.iter().any(pools))
}

/// What the results depend on besides the weights: the type, and the sort of device.
///
/// CPUs differ in the order in which they add up products. In f32 that changes the sixth digit of a hidden state, and
/// blocks of 8 bits are added up in one order by all. With bf16 it may change to which of two neighbours, a 256th apart,
/// a number of the next layer is rounded: AMX and AVX-512 are classes of their own.
fn class(kind: Kind, placement: &Placement) -> String {
    let device = if placement.device.is_cpu() { "cpu" } else { "gpu" };
    let widened = placement.device.is_cpu() && placement.dtype == DType::BF16 && !Packing::Bf16.is_available();
    let tiles = placement.device.is_cpu() && Packing::Bf16.way().is_some_and(|way| way.unit == Unit::Tiles);
    let dtype = match placement.dtype {
        DType::BF16 if widened => "f32",
        DType::BF16 if tiles => "bf16 tiles",
        dtype => dtype.as_str(),
    };
    match kind {
        Kind::Q8_0 if placement.device.is_cpu() && Packing::Q8_0.is_available() => format!("{kind} blocks {device}"),
        _ if kind.is_quantised() => format!("{kind} {dtype} {device}"),
        _ => format!("{dtype} {device}"),
    }
}

/// Checks that the embedding has a row for every token of the tokenizer.
pub(super) fn check_vocabulary(highest: u32, config: &Qwen3Config) -> Result<()> {
    ensure!(
        (highest as usize) < config.vocab_size,
        "the tokenizer has tokens up to {highest}, the embedding {} rows: they are of different models",
        config.vocab_size
    );
    Ok(())
}
