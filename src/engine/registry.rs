//! Which model opens a checkpoint: the architecture that its files name, and the functions that know it.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use candle_core::Device;

pub use super::backend::Dtype;
use super::card::Card;
use super::checkpoint::{Checkpoint, Description, Kind};
use super::device::OpenedDevice;
use super::kernels::products::{Packing, Unit};
use super::memory;
use super::models::encoder::{Hypothesis, Nli};
use super::models::{bert, candle, deberta, encoder, modernbert, nomic, qwen3};
use super::{Embedder, Reranker};

/// An architecture that mailsort runs.
pub(crate) struct Architecture {
    /// `model_type` in config.json, `general.architecture` in a GGUF file.
    pub(crate) name: &'static str,
    /// The names of its classes in transformers, up to `Model` or `For…`. Tells it where config.json has no
    /// `model_type`.
    pub(crate) class: &'static str,
    /// What of it mailsort runs, for messages.
    pub(crate) title: &'static str,
    /// What can be told before the weights are loaded.
    pub(crate) sketch: fn(&Checkpoint) -> Result<Sketch>,
    /// Loads the weights.
    pub(crate) load: fn(Checkpoint, Request) -> Result<Loaded>,
    /// Fills in what only the architecture knows of a model.
    pub(crate) describe: fn(&Checkpoint, &mut Card) -> Result<()>,
}

/// Every architecture. A new one is a line here and a file in `models/`.
#[rustfmt::skip]
const ARCHITECTURES: &[Architecture] = &[
    Architecture { name: "qwen3", class: "Qwen3", title: "Qwen3 (rerankers and embeddings)", sketch: qwen3::sketch, load: qwen3::load, describe: qwen3::describe },
    Architecture { name: "bert", class: "Bert", title: "BERT", sketch: encoder::sketch, load: bert::load, describe: encoder::describe },
    Architecture { name: "xlm-roberta", class: "XLMRoberta", title: "XLM-RoBERTa", sketch: encoder::sketch, load: bert::load, describe: encoder::describe },
    Architecture { name: "roberta", class: "Roberta", title: "RoBERTa", sketch: encoder::sketch, load: bert::load, describe: encoder::describe },
    Architecture { name: "camembert", class: "Camembert", title: "CamemBERT", sketch: encoder::sketch, load: bert::load, describe: encoder::describe },
    Architecture { name: "distilbert", class: "DistilBert", title: "DistilBERT", sketch: encoder::sketch, load: bert::load, describe: encoder::describe },
    Architecture { name: "deberta-v2", class: "DebertaV2", title: "DeBERTa-v2 and v3", sketch: encoder::sketch, load: deberta::load, describe: candle::describe },
    Architecture { name: "modernbert", class: "ModernBert", title: "ModernBERT", sketch: encoder::sketch, load: modernbert::load, describe: candle::describe },
    Architecture { name: "nomic_bert", class: "NomicBert", title: "NomicBERT (embeddings)", sketch: encoder::sketch, load: nomic::load, describe: candle::describe },
];

/// What a model is opened with.
#[derive(Clone, Copy)]
pub(crate) struct Request<'a> {
    /// What records call the model.
    pub(crate) id: &'a str,
    /// Where it computes.
    pub(crate) device: &'a Device,
    /// How.
    pub(crate) options: &'a LoadOptions,
}

/// How a model is opened.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// What weights are multiplied as.
    pub dtype: Dtype,
    /// How many values vectors have, where a model gives a choice.
    pub dims: Option<usize>,
    /// Tokens that go through the model together.
    pub batch_tokens: Option<usize>,
    /// What stands before texts and labels for an encoder; `None` for what its files or its name say.
    pub query_prefix: Option<String>,
    /// How an NLI model scores labels.
    pub nli: Nli,
    /// What an NLI model is asked of each label.
    pub hypothesis: Hypothesis,
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

/// A model, and what there is to say about it.
pub struct Loaded {
    /// The model.
    pub model: Model,
    /// The class of numbers that its results depend on, such as `bf16 cpu`.
    pub class: String,
    /// What a user should know, such as a guess that had to be made.
    pub notes: Vec<String>,
}

/// What is known about a model before its weights are loaded or even fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sketch {
    /// True for an embedding, false for a reranker.
    pub embeds: bool,
    /// True for a reranker that was trained for natural language inference (NLI).
    pub infers: bool,
    /// The length of its longest vectors, where it gives a choice.
    pub most_dims: Option<usize>,
    /// True where a GPU can run it. Others run on the CPU whatever the device.
    pub runs_on_gpu: bool,
}

/// The shortest vectors that models with a choice of lengths were trained for.
const FEWEST_DIMS: usize = 32;

impl Sketch {
    /// Looks at the folder or GGUF file at `path`.
    ///
    /// # Errors
    /// When it is no checkpoint, or one of an architecture that mailsort does not run.
    pub fn of(path: &Path) -> Result<Self> {
        Ok(look(path)?.2)
    }

    /// # Errors
    /// When vectors of `dims` values are asked for and the model cannot give them.
    pub fn check_dims(&self, id: &str, dims: Option<usize>) -> Result<()> {
        let Some(dims) = dims else {
            return Ok(());
        };
        ensure!(self.embeds, "--dims is for embeddings, and {id} is a reranker; leave it out");
        let most = self.most_dims.with_context(|| {
            format!("--dims is for embeddings that were trained for it, and {id} was not; leave it out")
        })?;
        ensure!((FEWEST_DIMS..=most).contains(&dims), "--dims {dims}: {id} gives {FEWEST_DIMS} to {most} dims");
        Ok(())
    }
}

/// Opens the folder or GGUF file at `path`; `id` is what records call it.
///
/// # Errors
/// When it is no model that mailsort runs, something in it is missing, of another shape or left over, or the device has
/// not enough memory. The message names what.
pub fn open(id: &str, path: &Path, opened: &OpenedDevice, options: LoadOptions) -> Result<Loaded> {
    let (checkpoint, architecture, sketch) = look(path)?;
    sketch.check_dims(id, options.dims).with_context(|| named(path))?;
    let device = if sketch.runs_on_gpu { &opened.device } else { &Device::Cpu };
    let loaded = (architecture.load)(checkpoint, Request { id, device, options: &options });
    loaded.map_err(memory::explained).with_context(|| named(path))
}

/// A checkpoint with its weights unread, the architecture that runs it, and its sketch.
pub(crate) fn look(path: &Path) -> Result<(Checkpoint, &'static Architecture, Sketch)> {
    // Before the weights are opened: their absence must not hide that the architecture is another one.
    let checkpoint = Checkpoint::open(path, |description| Architecture::of(description).map(drop))?;
    let architecture = Architecture::of(&checkpoint.description)?;
    let sketch = (architecture.sketch)(&checkpoint).with_context(|| named(path))?;
    Ok((checkpoint, architecture, sketch))
}

fn named(path: &Path) -> String {
    format!("cannot use the model {}", path.display())
}

impl Architecture {
    /// The architecture that a checkpoint names.
    ///
    /// # Errors
    /// When there is none of that name. The message lists those that there are.
    pub(crate) fn of(description: &Description) -> Result<&'static Self> {
        let (class, name) = match description {
            Description::Folder(config) => (config["architectures"][0].as_str(), config["model_type"].as_str()),
            Description::Gguf(metadata) => (None, metadata.text("general.architecture")),
        };
        let Some(shown) = class.or(name) else {
            match description {
                Description::Folder(_) => bail!("config.json names no architecture"),
                Description::Gguf(_) => bail!("the GGUF metadata lacks `general.architecture`"),
            }
        };
        let by_name = ARCHITECTURES.iter().find(|known| name == Some(known.name));
        let by_class = || ARCHITECTURES.iter().find(|known| class.is_some_and(|class| known.has_class(class)));
        by_name.or_else(by_class).with_context(|| {
            let titles: Vec<&str> = ARCHITECTURES.iter().map(|known| known.title).collect();
            format!("the architecture {shown:?} is not one that mailsort runs: these are {}", titles.join(", "))
        })
    }

    /// True for a class such as `Qwen3ForCausalLM`, and not for `Qwen3MoeForCausalLM`.
    fn has_class(&self, class: &str) -> bool {
        class.strip_prefix(self.class).is_some_and(|rest| rest == "Model" || rest.starts_with("For"))
    }
}

/// The type that weights are multiplied as. CPUs have f16 products, but they are slower than those of f32, and a file
/// of f16 has more precision than bf16 keeps.
///
/// # Errors
/// When the weights or the device do not allow what was asked for.
pub(crate) fn dtype(asked: Dtype, kind: Kind, device: &Device) -> Result<Dtype> {
    if asked == Dtype::Q8_0 {
        ensure!(device.is_cpu(), "--dtype q8_0 is for CPUs; on a GPU use bf16 or a GGUF file of Q8_0");
        ensure!(
            Packing::Q8_0.is_available(),
            "--dtype q8_0 needs a CPU with AVX512-VNNI, which this one has not; leave the flag out"
        );
        ensure!(
            !kind.is_quantised() || kind == Kind::Q8_0,
            "--dtype q8_0: the file holds {kind}, which is not rounded a second time; leave the flag out"
        );
    }
    Ok(match asked {
        Dtype::Auto if !device.is_cpu() => Dtype::Bf16,
        Dtype::Auto if kind == Kind::Bf16 && Packing::Bf16.is_available() => Dtype::Bf16,
        // A file of 8 bits stays as it is, with what it holds as other types.
        Dtype::Auto => Dtype::F32,
        Dtype::Q8_0 if kind == Kind::Q8_0 => Dtype::F32,
        asked => asked,
    })
}

/// What the results depend on besides the weights: the type, and the sort of device.
///
/// CPUs differ in the order in which they add up products. In f32 that changes the sixth digit of a hidden state, and
/// blocks of 8 bits are added up in one order by all. With bf16 it may change to which of two neighbours, a 256th
/// apart, a number of the next layer is rounded: AMX and AVX-512 are classes of their own.
pub(crate) fn class(kind: Kind, device: &Device, dtype: Dtype) -> String {
    let is_cpu = device.is_cpu();
    let device = if is_cpu { "cpu" } else { "gpu" };
    let widened = is_cpu && dtype == Dtype::Bf16 && !Packing::Bf16.is_available();
    let tiles = is_cpu && Packing::Bf16.way().is_some_and(|way| way.unit == Unit::Tiles);
    let blocks = dtype == Dtype::Q8_0 || kind == Kind::Q8_0 && Packing::Q8_0.is_available();
    let others = !matches!(dtype, Dtype::F32 | Dtype::Q8_0);
    let dtype = match dtype {
        Dtype::Bf16 if widened => "f32",
        Dtype::Bf16 if tiles => "bf16 tiles",
        dtype => dtype.candle().as_str(),
    };
    match kind {
        Kind::Q4_0 if is_cpu && Packing::Int8.is_available() => format!("{kind} int8 {device}"),
        // What else the file holds is multiplied as this type.
        _ if is_cpu && blocks && others => format!("{} blocks {dtype} {device}", Kind::Q8_0),
        _ if is_cpu && blocks => format!("{} blocks {device}", Kind::Q8_0),
        _ if kind.is_quantised() => format!("{kind} {dtype} {device}"),
        _ => format!("{dtype} {device}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn architectures_by_type_or_by_class() {
        let check = |config: serde_json::Value, expected: Option<&str>| {
            let found = Architecture::of(&Description::Folder(config.clone()));
            assert_eq!(found.ok().map(|found| found.name), expected, "{config}");
        };
        check(json!({"model_type": "bert", "architectures": ["BertModel"]}), Some("bert"));
        check(json!({"model_type": "xlm-roberta"}), Some("xlm-roberta"));
        check(json!({"architectures": ["Qwen3ForCausalLM"]}), Some("qwen3"));
        check(json!({"architectures": ["BertForSequenceClassification"]}), Some("bert"));
        check(json!({"architectures": ["Qwen3MoeForCausalLM"]}), None);
        check(json!({"model_type": "qwen3_vl", "architectures": ["Qwen3VLForConditionalGeneration"]}), None);
        check(json!({"model_type": "llama", "architectures": ["LlamaForCausalLM"]}), None);
        check(json!({}), None);
    }

    #[test]
    fn an_unknown_architecture_is_told_which_are_known() {
        let config = json!({"model_type": "llama", "architectures": ["LlamaForCausalLM"]});
        let error = Architecture::of(&Description::Folder(config)).err().map(|error| error.to_string());
        let error = error.unwrap_or_default();
        assert!(error.contains("LlamaForCausalLM"), "{error}");
        assert!(ARCHITECTURES.iter().all(|known| error.contains(known.title)), "{error}");
    }
}
