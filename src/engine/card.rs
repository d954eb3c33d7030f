//! What a model is, told from its files without loading its weights.

use std::path::Path;

use anyhow::{Context, Result};
use candle_core::Device;
use serde_json::Value;

use super::checkpoint::{Checkpoint, Description, Kind};
use super::kernels::products::Packing;
use super::memory::check;
use super::registry::{self, Dtype, dtype};
use super::{Builtin, Deep, Embedder};

/// What a model is.
#[derive(Clone, Debug, PartialEq)]
pub struct Card {
    /// As its files name it.
    pub architecture: String,
    /// `reranker` or `embedding`.
    pub kind: &'static str,
    /// Numbers in its files.
    pub parameters: u64,
    /// How most of them are written.
    pub dtype: String,
    /// Layers, where they are told.
    pub layers: Option<u64>,
    /// Width between the layers.
    pub hidden: Option<u64>,
    /// Tokens of the longest input.
    pub context: Option<u64>,
    /// Values of its longest vectors.
    pub dims: Option<u64>,
    /// Numbers of the tokens that answer.
    pub yes_no: Option<(u32, u32)>,
    /// What it is asked, with names in braces where something is filled in.
    pub template: Option<String>,
    /// What it is asked to do unless told otherwise.
    pub instruct: Option<&'static str>,
    /// Bytes that its weights take on a CPU: by the type they are multiplied as, or that of the file.
    pub memory: Vec<(String, u64)>,
    /// The type among them that `--dtype auto` takes on this machine.
    pub auto: String,
    /// Why it cannot be run, as far as that shows without loading it.
    pub problem: Option<String>,
}

/// Describes the folder or GGUF file at `path`.
///
/// # Errors
/// When it is no checkpoint, or one of an architecture that mailsort does not run.
pub fn describe(path: &Path) -> Result<Card> {
    let named = || format!("cannot use the model {}", path.display());
    let (checkpoint, known, sketch) = registry::look(path)?;
    let (parameters, kind) = checkpoint.weights.size();
    let kind = kind.context("it holds no weights").with_context(named)?;
    let mut card = Card {
        architecture: architecture(&checkpoint),
        kind: if sketch.embeds { "embedding" } else { "reranker" },
        parameters,
        dtype: kind.to_string(),
        layers: None,
        hidden: None,
        context: None,
        dims: None,
        yes_no: None,
        template: None,
        instruct: None,
        memory: memory(&checkpoint, kind),
        auto: auto(kind),
        problem: None,
    };
    let described = (known.describe)(&checkpoint, &mut card);
    card.problem = described.err().map(|error| format!("{error:#}"));
    Ok(card)
}

/// Describes the model that is compiled into the program.
///
/// # Errors
/// When the program was built with a damaged model file.
pub fn builtin() -> Result<Card> {
    let (model, (parameters, bytes)) = (Builtin::new()?, Builtin::size()?);
    Ok(Card {
        architecture: "static token vectors with a window of context".into(),
        kind: "embedding",
        parameters,
        dtype: "int8".into(),
        layers: None,
        hidden: None,
        context: Some(model.default_max_tokens() as u64),
        dims: Some(model.dims() as u64),
        yes_no: None,
        template: None,
        instruct: None,
        memory: vec![("int8".into(), bytes)],
        auto: "int8".into(),
        problem: None,
    })
}

/// What is known about the model `deep`.
///
/// # Errors
/// When the program was built without it, or with a damaged file.
pub fn deep() -> Result<Card> {
    let (model, (parameters, bytes)) = (Deep::new()?, Deep::size()?);
    Ok(Card {
        architecture: "the built-in model, and multilingual-e5-small (BERT)".into(),
        kind: "embedding",
        parameters,
        dtype: "4-bit".into(),
        layers: Some(12),
        hidden: Some(384),
        context: Some(512),
        dims: Some(model.dims() as u64),
        yes_no: None,
        template: None,
        instruct: None,
        memory: vec![("8-bit".into(), bytes + DEEP_LAYERS)],
        auto: "8-bit".into(),
        problem: None,
    })
}

/// Bytes of the layers of `deep` as they are multiplied.
const DEEP_LAYERS: u64 = 23 << 20;

fn architecture(checkpoint: &Checkpoint) -> String {
    match &checkpoint.description {
        Description::Folder(config) => {
            let named = config["architectures"][0].as_str().or(config["model_type"].as_str());
            named.unwrap_or("unknown").to_string()
        }
        Description::Gguf(metadata) => metadata.text("general.architecture").unwrap_or("unknown").to_string(),
    }
}

/// The layers are copied for multiplication; of the table of tokens and of a head only the rows that are needed are
/// read, where they lie.
fn memory(checkpoint: &Checkpoint, kind: Kind) -> Vec<(String, u64)> {
    let is_table = |name: &str| name.contains("embed_tokens") || name.contains("word_embeddings");
    let in_memory = |name: &str| !is_table(name) && name != "lm_head.weight";
    let numbers = checkpoint.weights.numbers(in_memory);
    if kind.is_quantised() {
        return vec![(kind.to_string(), checkpoint.weights.bytes(in_memory))];
    }
    let mut memory = vec![("f32", numbers * 4), ("f16", numbers * 2)];
    if Packing::Bf16.is_available() {
        memory.push(("bf16", numbers * 2));
    }
    if Packing::Q8_0.is_available() {
        memory.push(("q8_0", numbers * 34 / 32));
    }
    memory.into_iter().map(|(name, bytes)| (name.to_string(), bytes)).collect()
}

/// Checks that weights which our kernels multiply fit into the memory of the CPU.
///
/// # Errors
/// When they do not.
pub(super) fn check_memory(checkpoint: &Checkpoint, kind: Kind, dtype: Dtype) -> Result<()> {
    // Where the CPU has no instructions for bf16 the weights are widened.
    let widened = dtype == Dtype::Bf16 && !Packing::Bf16.is_available();
    // Where it has AMX, weights of bf16 stay so, whatever they are multiplied with.
    let narrow = kind == Kind::Bf16 && dtype == Dtype::F32 && Packing::Mixed.is_available();
    let name = match kind {
        _ if kind.is_quantised() => kind.to_string(),
        _ if widened => "f32".into(),
        _ if narrow => "bf16".into(),
        _ if dtype == Dtype::Q8_0 => "q8_0".into(),
        _ => dtype.candle().as_str().into(),
    };
    let all = memory(checkpoint, kind);
    let Some((name, needed)) = all.iter().find(|(known, _)| *known == name) else {
        return Ok(());
    };
    let smaller = all.iter().filter(|(_, bytes)| bytes < needed);
    let mut remedy: String =
        smaller.map(|(name, bytes)| format!("--dtype {name} ({:.1} GB), ", *bytes as f64 / 1e9)).collect();
    remedy += "a GGUF file with Q8_0 or Q4_K weights where there is one, or a smaller model";
    check(*needed, name, &remedy)
}

/// What `--dtype auto` means on the CPU.
fn auto(kind: Kind) -> String {
    if kind.is_quantised() {
        return kind.to_string();
    }
    let bf16 = matches!(dtype(Dtype::Auto, kind, &Device::Cpu), Ok(Dtype::Bf16));
    if bf16 { "bf16" } else { "f32" }.into()
}

impl Card {
    /// The same for programs.
    pub fn to_json(&self) -> Value {
        let memory: serde_json::Map<String, Value> =
            self.memory.iter().map(|(name, bytes)| (name.clone(), (*bytes).into())).collect();
        serde_json::json!({
            "architecture": self.architecture,
            "kind": self.kind,
            "parameters": self.parameters,
            "dtype": self.dtype,
            "layers": self.layers,
            "hidden": self.hidden,
            "context": self.context,
            "dims": self.dims,
            "yes": self.yes_no.map(|(yes, _)| yes),
            "no": self.yes_no.map(|(_, no)| no),
            "template": self.template,
            "instruct": self.instruct,
            "memory": memory,
            "dtype_auto": self.auto,
            "problem": self.problem,
        })
    }
}
