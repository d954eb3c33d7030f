//! Which model a checkpoint is, and how it is opened.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use candle_core::{DType, Device};

use super::checkpoint::names::MODULES;
use super::checkpoint::{Checkpoint, Description, Family, Kind, Qwen3Config};
use super::device::Opened;
use super::embedding::{FEWEST_DIMS, Qwen3Embedding};
use super::kernels::products::{Kind as Packing, Unit};
use super::linear::Placement;
use super::reranker::Qwen3Reranker;
use super::{Embedder, Encoder, PairEncoder, Reranker};
use super::{card, memory};

/// What weights are multiplied as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dtype {
    /// On a processor as the weights are written, where it is fast with that, else f32; on a GPU bf16
    #[default]
    Auto,
    /// 4 bytes a number
    F32,
    /// 2 bytes a number, up to 65504; large models overflow on some texts
    F16,
    /// 2 bytes a number, as the released weights are
    Bf16,
}

/// How a model is opened.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// What weights are multiplied as.
    pub dtype: Dtype,
    /// How many values vectors have, where a model gives a choice.
    pub dims: Option<usize>,
    /// Tokens that go through the model together.
    pub batch_tokens: Option<usize>,
}

/// A model that is ready.
pub enum Model {
    /// Places texts and labels in one space.
    Embedder(Box<dyn Embedder>),
    /// Reads a mail and a label together.
    Reranker(Box<dyn Reranker>),
}

impl Model {
    /// As [`Embedder::takes_instruction`].
    pub fn takes_instruction(&self) -> bool {
        match self {
            Self::Embedder(embedder) => embedder.takes_instruction(),
            Self::Reranker(reranker) => reranker.takes_instruction(),
        }
    }
}

/// A model and what is to be said of it.
pub struct Loaded {
    /// The model.
    pub model: Model,
    /// The class of numbers that its results depend on, such as `bf16 cpu`.
    pub class: String,
    /// What a user should know, such as a guess that had to be made.
    pub notes: Vec<String>,
}

/// What can be told of a model, and of what is asked of it, before its weights are loaded or even fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sketch {
    /// True for one that gives vectors, false for one that scores pairs.
    pub embeds: bool,
    /// How long its vectors are, where it gives a choice.
    pub most_dims: Option<usize>,
    /// True where a GPU can run it. Encoders are small, and run on the processor in f32 whatever the device.
    pub runs_on_gpu: bool,
}

impl Sketch {
    /// Looks at the folder or GGUF file at `path`.
    ///
    /// # Errors
    /// When it is no checkpoint, or one of an architecture that mailsort does not run.
    pub fn of(path: &Path) -> Result<Self> {
        let checkpoint = Checkpoint::open(path)?;
        Self::of_checkpoint(&checkpoint).with_context(|| named(path))
    }

    pub(super) fn of_checkpoint(checkpoint: &Checkpoint) -> Result<Self> {
        let (family, scores) = checkpoint.family()?;
        let runs_on_gpu = family == Family::Qwen3;
        let embeds = !scores && (!runs_on_gpu || is_embedding(checkpoint)?);
        let most_dims = if runs_on_gpu && embeds { Some(checkpoint.qwen3()?.hidden_size) } else { None };
        Ok(Self { embeds, most_dims, runs_on_gpu })
    }

    /// # Errors
    /// When vectors of `dims` values are asked for and the model cannot give them.
    pub fn check_dims(&self, id: &str, dims: Option<usize>) -> Result<()> {
        let Some(dims) = dims else {
            return Ok(());
        };
        ensure!(self.embeds, "--dims is for embeddings; {id} is a reranker");
        let most = self
            .most_dims
            .with_context(|| format!("--dims is for embeddings that were trained for it; {id} was not"))?;
        ensure!((FEWEST_DIMS..=most).contains(&dims), "--dims {dims}: {id} gives {FEWEST_DIMS} to {most} dims");
        Ok(())
    }
}

/// Opens the folder or GGUF file at `path`; `id` is what records call it.
///
/// # Errors
/// When it is no model that mailsort runs, something in it is missing, of another shape or left over, or the device has
/// not enough memory. The message names what.
pub fn open(id: &str, path: &Path, opened: &Opened, options: Options) -> Result<Loaded> {
    let checkpoint = Checkpoint::open(path)?;
    let sketch = Sketch::of_checkpoint(&checkpoint).with_context(|| named(path))?;
    sketch.check_dims(id, options.dims).with_context(|| named(path))?;
    if sketch.runs_on_gpu {
        let loaded = qwen3(id, checkpoint, sketch.embeds, opened, options);
        return loaded.map_err(memory::explained).with_context(|| named(path));
    }
    encoder(id, &checkpoint, sketch.embeds).with_context(|| named(path))
}

fn named(path: &Path) -> String {
    format!("cannot use the model {}", path.display())
}

fn qwen3(id: &str, checkpoint: Checkpoint, embeds: bool, opened: &Opened, options: Options) -> Result<Loaded> {
    let (_, kind) = checkpoint.weights.size();
    let kind = kind.context("the checkpoint holds no weights")?;
    let dtype = dtype(options.dtype, kind, &opened.device);
    let placement = Placement::new(&opened.device, dtype, checkpoint.qwen3()?.head_dim);
    let class = class(kind, &placement);
    if placement.device.is_cpu() {
        let name = if kind.is_quantised() { kind.to_string() } else { placement.dtype.as_str().to_string() };
        // Where the processor has no instructions for bf16 it is widened.
        let widened = placement.dtype == DType::BF16 && !Packing::Bf16.is_available();
        let name = if widened { "f32".to_string() } else { name };
        // Where it has tiles, weights of bf16 stay so, whatever they are multiplied with.
        let narrow = kind == Kind::Bf16 && placement.dtype == DType::F32 && Packing::Mixed.is_available();
        let name = if narrow { "bf16".to_string() } else { name };
        let needed = card::memory(&checkpoint, kind).into_iter().find(|(known, _)| *known == name);
        needed.map_or(Ok(()), |(name, bytes)| memory::check(bytes, &name))?;
        super::allocator::keep_freed_memory();
    }
    let budget = options.batch_tokens.unwrap_or(if placement.device.is_cpu() { 1024 } else { 16384 });
    let id = id.to_string();
    let model = if embeds {
        Model::Embedder(Box::new(Qwen3Embedding::load(id, checkpoint, placement, options.dims, budget)?))
    } else {
        Model::Reranker(Box::new(Qwen3Reranker::load(id, checkpoint, placement, budget)?))
    };
    Ok(Loaded { model, class, notes: Vec::new() })
}

fn encoder(id: &str, checkpoint: &Checkpoint, embeds: bool) -> Result<Loaded> {
    if !embeds {
        let model = Model::Reranker(Box::new(PairEncoder::open(checkpoint, id)?));
        return Ok(Loaded { model, class: "f32 cpu".into(), notes: Vec::new() });
    }
    let encoder = Encoder::open(checkpoint, id)?;
    let (class, notes) = (encoder.class(), encoder.notes().to_vec());
    Ok(Loaded { model: Model::Embedder(Box::new(encoder)), class, notes })
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

/// The type that weights are multiplied as. The processor has f16 products, but they are slower than those of f32, and a
/// file of f16 has more precision than bf16 keeps.
pub(super) fn dtype(asked: Dtype, kind: Kind, device: &Device) -> DType {
    match asked {
        Dtype::Auto if !device.is_cpu() => DType::BF16,
        Dtype::Auto if kind == Kind::Bf16 && Packing::Bf16.is_available() => DType::BF16,
        Dtype::Auto | Dtype::F32 => DType::F32,
        Dtype::F16 => DType::F16,
        Dtype::Bf16 => DType::BF16,
    }
}

/// What the results depend on besides the weights: the type, and on which sort of device.
///
/// Processors differ in the order in which they add up products. In f32 that changes the sixth digit of a hidden state,
/// and blocks of 8 bits are added up in one order by all. With bf16 it may change to which of two neighbours, a 256th
/// apart, a number of the next layer is rounded: tiles and vectors are classes of their own.
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

/// # Errors
/// When the tokenizer has tokens that the embedding has no row for.
pub(super) fn check_vocabulary(highest: u32, config: &Qwen3Config) -> Result<()> {
    ensure!(
        (highest as usize) < config.vocab_size,
        "the tokenizer has tokens up to {highest}, the embedding {} rows: they are of different models",
        config.vocab_size
    );
    Ok(())
}
