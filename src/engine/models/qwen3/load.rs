//! How a Qwen3 checkpoint is told, opened and described.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use super::config::Qwen3Config;
use super::embedding::Qwen3Embedding;
use super::prompt::{EMBEDDING_TASK, EmbeddingPrompt, PREFIX, RERANKER_TASK, RerankerPrompt, SUFFIX};
use super::reranker::{Qwen3Reranker, head};
use super::vocabulary::Vocabulary;
use super::{Qwen3, Qwen3Model};
use crate::engine::backend::candle::Candle;
use crate::engine::backend::cpu::Cpu;
use crate::engine::card::{self, Card};
use crate::engine::checkpoint::names::MODULES;
use crate::engine::checkpoint::{Checkpoint, Description, read_described};
use crate::engine::registry::{Loaded, Model, Request, Sketch, class, dtype};

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
    let dtype = dtype(options.dtype, kind, device)?;
    let head_dim = Qwen3Config::of(&checkpoint)?.head_dim;
    if device.is_cpu() {
        card::check_memory(&checkpoint, kind, dtype)?;
    }
    let model = |prefix: &str| -> Result<Box<dyn Qwen3>> {
        Ok(if device.is_cpu() {
            Box::new(Qwen3Model::load(&checkpoint, prefix, Cpu::new(dtype))?)
        } else {
            Box::new(Qwen3Model::load(&checkpoint, prefix, Candle::new(device, dtype.candle(), head_dim))?)
        })
    };
    let budget = options.batch_tokens.unwrap_or(if device.is_cpu() { 1024 } else { 16384 });
    let model = if sketch(&checkpoint)?.embeds {
        Model::Embedder(Box::new(Qwen3Embedding::new(id, &checkpoint, model, options.dims, budget)?))
    } else {
        Model::Reranker(Box::new(Qwen3Reranker::new(id, &checkpoint, model, budget)?))
    };
    Ok(Loaded { model, class: class(kind, device, dtype), notes: Vec::new() })
}

/// See [`crate::engine::registry::Architecture`].
pub(crate) fn describe(checkpoint: &Checkpoint, card: &mut Card) -> Result<()> {
    let config = Qwen3Config::of(checkpoint)?;
    let embeds = sketch(checkpoint)?.embeds;
    let &Qwen3Config { hidden_size, num_hidden_layers, max_position_embeddings, .. } = &config;
    card.layers = Some(num_hidden_layers as u64);
    card.hidden = Some(hidden_size as u64);
    card.context = Some(max_position_embeddings as u64);
    card.dims = embeds.then_some(hidden_size as u64);
    let vocabulary = Vocabulary::open(checkpoint)?;
    check_vocabulary(vocabulary.highest(), &config)?;
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

/// Released embeddings come with a list of modules and lack the prefix of a language model; nothing else tells them
/// from rerankers before their tokenizers are read.
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
    let modules = read_described(&folder.join(MODULES)).unwrap_or_default();
    let modules: serde_json::Value = serde_json::from_slice(&modules).unwrap_or_default();
    let pools = |module: &serde_json::Value| module["type"].as_str().is_some_and(|kind| kind.ends_with("Pooling"));
    modules.as_array().is_some_and(|modules| modules.iter().any(pools))
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
