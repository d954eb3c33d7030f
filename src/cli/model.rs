//! Flags that say which model scores, and how.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::models::ModelSource;
use super::{MOST, at_least_one};
use crate::engine::{Dtype, device::DeviceChoice};

/// The model.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Model")]
pub struct Engine {
    /// Which model.
    #[command(flatten)]
    pub source: ModelSource,

    /// What the model is asked to do, in a sentence, if it takes an instruction; the label set's own unless given
    /// [default: the model's]
    #[arg(long, value_name = "TEXT", value_parser = instruction)]
    pub instruct: Option<String>,

    /// Let a faster model choose N labels for each mail, which are all that a reranker scores
    #[arg(long, value_name = "N", value_parser = at_least_one(MOST), allow_negative_numbers = true)]
    pub shortlist: Option<usize>,

    /// The faster model
    #[arg(long, value_name = "MODEL", default_value = "builtin", requires = "shortlist")]
    pub shortlist_model: String,

    /// How many values the vectors of an embedding have: fewer are faster to compare and a little less exact
    /// [default: all]
    #[arg(long, value_name = "N", value_parser = at_least_one(MOST), allow_negative_numbers = true)]
    pub dims: Option<usize>,

    /// How many tokens of a mail the model sees; the rest is cut off [default: 512 builtin, 2048 Qwen3, else the
    /// model's own]
    #[arg(long, value_name = "N", value_parser = at_least_one(MOST), allow_negative_numbers = true)]
    pub max_tokens: Option<usize>,

    /// How many tokens go through a Qwen3 model together; fewer need less memory [default: 1024, on a GPU 16384]
    #[arg(long, value_name = "N", value_parser = at_least_one(MOST), allow_negative_numbers = true)]
    pub batch_tokens: Option<usize>,

    /// Where to compute: auto, cpu, cuda or cuda:N
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub device: DeviceChoice,

    /// What weights are multiplied as; those of GGUF files stay as they are
    #[arg(long, value_enum, default_value = "auto", value_name = "TYPE")]
    pub dtype: Dtype,

    /// Keep scores in FILE and take them from there when the same mail meets the same labels and model again; no text
    /// is kept
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub cache: Option<PathBuf>,
}

/// An instruction is one line of the prompt.
fn instruction(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.contains(['\n', '\r']) {
        return Err("not a sentence: an instruction is one line that is not empty".into());
    }
    Ok(text.to_string())
}
