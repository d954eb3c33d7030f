//! Flags of the model.

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};

use super::models::ModelSource;
use super::{MOST, at_least_one};
use crate::classifier::{DeepReads, EndpointFlags, ModelSpec};
use crate::engine::{Dtype, Hypothesis, Nli, device::DeviceChoice};

/// The model.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Model")]
pub struct ModelFlags {
    /// Which model.
    #[command(flatten)]
    pub source: ModelSource,

    /// The task of the model in a sentence, if it takes an instruction
    ///
    /// It wins over the instruction of the label set. [default: the model's]
    #[arg(long, value_name = "TEXT", value_parser = instruction)]
    pub instruct: Option<String>,

    /// Let a faster model choose N labels for each message; a reranker scores only these
    #[arg(long, value_name = "N", value_parser = at_least_one(MOST), allow_negative_numbers = true)]
    pub shortlist: Option<usize>,

    /// The faster model
    #[arg(long, hide_short_help = true, value_name = "MODEL", default_value = "builtin", requires = "shortlist")]
    pub shortlist_model: String,

    /// How many dimensions the vectors of an embedding have [default: all]
    ///
    /// Fewer are faster to compare and a little less exact.
    #[arg(long, hide_short_help = true, value_name = "N", value_parser = at_least_one(MOST), allow_negative_numbers = true)]
    pub dims: Option<usize>,

    /// How an NLI model scores labels [default: single]
    #[arg(long, hide_short_help = true, value_enum, value_name = "WAY")]
    pub nli: Option<Nli>,

    /// What an NLI model is asked about each label; {} stands for the label
    ///
    /// [default: This email is about {}.]
    #[arg(long, hide_short_help = true, value_name = "TEXT")]
    pub hypothesis: Option<Hypothesis>,

    /// How many tokens of a message the model sees; the rest is cut off
    ///
    /// [default: 512 builtin, 96 deep, 2048 Qwen3, else the model's own]
    #[arg(long, value_name = "N", value_parser = at_least_one(MOST), allow_negative_numbers = true)]
    pub max_tokens: Option<usize>,

    /// How many tokens go through a model in one forward pass; fewer need less memory
    ///
    /// [default: 1024, on a GPU 16384]
    #[arg(long, hide_short_help = true, value_name = "N", value_parser = at_least_one(MOST), allow_negative_numbers = true)]
    pub batch_tokens: Option<usize>,

    /// Where to compute: auto, cpu, cuda or cuda:N
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub device: DeviceChoice,

    /// The number type of weights in products; those that a GGUF file has quantised stay as they are
    #[arg(long, hide_short_help = true, value_enum, default_value = "auto", value_name = "TYPE")]
    pub dtype: Dtype,

    /// What stands before texts and labels for an encoder that was trained with it, such as "query: "
    ///
    /// [default: what the model's files say, for e5 "query: "]
    #[arg(long, hide_short_help = true, value_name = "TEXT")]
    pub query_prefix: Option<String>,

    /// Whether an embedding reads labels in sentences about them, such as "topic: invoice"
    #[arg(long, hide_short_help = true, value_enum, default_value = "on", value_name = "WHEN")]
    pub label_prompts: LabelPromptsFlag,

    /// Which messages the model deep reads
    #[arg(long, hide_short_help = true, value_enum, default_value = "unsure", value_name = "WHICH")]
    pub deep: DeepReads,

    /// Ask the model of a server instead: vLLM, SGLang, TEI, llama.cpp, Infinity or another mailsort
    ///
    /// The texts of messages go there. Several addresses of one model share the work.
    #[arg(long, value_name = "URL", conflicts_with_all = ["model", "revision", "batch_tokens", "nli", "hypothesis", "deep"])]
    pub endpoint: Vec<String>,

    /// What the server of --endpoint calls its model, where it has several
    #[arg(long, hide_short_help = true, value_name = "NAME", requires = "endpoint")]
    pub endpoint_model: Option<String>,

    /// The file that holds the key of the server of --endpoint
    #[arg(long, hide_short_help = true, value_name = "FILE", requires = "endpoint", value_hint = ValueHint::FilePath)]
    pub endpoint_key_file: Option<PathBuf>,

    /// Keep scores in FILE for the next run; no text is kept
    ///
    /// They are taken from there when the same text meets the same labels and model again.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub cache: Option<PathBuf>,
}

impl ModelFlags {
    /// The model that the flags describe.
    pub fn spec(&self) -> ModelSpec {
        ModelSpec {
            model: self.source.model.clone(),
            revision: self.source.revision.clone(),
            offline: self.source.offline,
            instruct: self.instruct.clone(),
            shortlist: self.shortlist,
            shortlist_model: self.shortlist_model.clone(),
            dims: self.dims,
            max_tokens: self.max_tokens,
            batch_tokens: self.batch_tokens,
            device: self.device,
            dtype: self.dtype,
            nli: self.nli,
            hypothesis: self.hypothesis.clone(),
            query_prefix: self.query_prefix.clone(),
            label_prompts: self.label_prompts == LabelPromptsFlag::On,
            deep: self.deep,
            endpoint: EndpointFlags {
                urls: self.endpoint.clone(),
                model: self.endpoint_model.clone(),
                key_file: self.endpoint_key_file.clone(),
            },
            cache: self.cache.clone(),
        }
    }
}

/// Whether labels are read in prompts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LabelPromptsFlag {
    /// In each, and the mean is taken
    On,
    /// By themselves
    Off,
}

/// An instruction is one line of the prompt.
fn instruction(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.contains(['\n', '\r']) {
        return Err("not a sentence: an instruction is one line that is not empty".into());
    }
    Ok(text.to_string())
}
