//! Flags that name a model, and the `models` verbs.

use clap::{Args, Subcommand, ValueEnum};

use crate::engine::hub::HubOptions;
use crate::report::{Level, Progress};

pub(super) const HELP: &str = "\
Examples:
  mailsort models list
  mailsort models pull qwen3-reranker-0.6b
  mailsort models show qwen3-reranker-0.6b --format json | jq .parameters
  mailsort models pull intfloat/multilingual-e5-small --revision main

Environment:
  HF_HOME, HF_HUB_CACHE  where models are kept [default: ~/.cache/huggingface, its folder hub]
  HF_ENDPOINT            the hub [default: https://huggingface.co]
  HF_TOKEN               a token, for models that are private or whose terms must be accepted
  HF_HUB_OFFLINE         1 forbids all network
  HTTPS_PROXY, NO_PROXY  a proxy on the way";

/// Which model.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Model")]
pub struct ModelSource {
    /// The model: a name of `mailsort models list`, OWNER/NAME, a folder or .gguf file [default: builtin]
    ///
    /// OWNER/NAME and OWNER/NAME/FILE.gguf are models of the hub. They are downloaded once.
    #[arg(short, long, value_name = "MODEL")]
    pub model: Option<String>,

    /// The branch, tag or commit of a model of the hub [default: main]
    #[arg(long, value_name = "REVISION", requires = "model", hide_short_help = true)]
    pub revision: Option<String>,

    /// Do not use the network: use a model that is on this machine, or fail
    #[arg(long, hide_short_help = true)]
    pub offline: bool,
}

impl ModelSource {
    /// How the hub is used.
    pub fn options(&self) -> HubOptions {
        HubOptions { revision: self.revision.clone(), offline: self.offline }
    }
}

/// `mailsort models`.
#[derive(Debug, Args)]
pub struct Models {
    /// What to do with models.
    #[command(subcommand)]
    pub verb: ModelsVerb,
}

/// The verbs about models.
#[derive(Debug, Subcommand)]
pub enum ModelsVerb {
    /// List the models that have a short name, and those that are in the cache
    List(ListModels),

    /// Download models from the hub, and print where they are; interrupted downloads are resumed
    Pull(PullModels),

    /// Describe a model on this machine: architecture, parameters, files, template, memory
    Show(ShowModel),

    /// Print where a model is
    Path(PathModel),
}

/// Output formats of descriptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ListForm {
    /// For people
    Text,
    /// One JSON value
    Json,
}

/// `mailsort models list`.
#[derive(Debug, Args)]
pub struct ListModels {
    /// The output format
    #[arg(short, long, value_enum, default_value = "text")]
    pub format: ListForm,
}

/// `mailsort models pull`.
#[derive(Debug, Args)]
pub struct PullModels {
    /// Models of the list, OWNER/NAME on the hub, or OWNER/NAME/FILE.gguf
    #[arg(value_name = "MODEL", required = true)]
    pub models: Vec<String>,

    /// The branch, tag or commit [default: main]
    #[arg(long, value_name = "REVISION")]
    pub revision: Option<String>,

    /// Print nothing but the error that ends the run
    #[arg(short, long)]
    pub quiet: bool,

    /// Show progress on stderr: a bar for each file on a terminal, plain lines elsewhere
    #[arg(long, value_enum, default_value = "auto", value_name = "WHEN")]
    pub progress: Progress,
}

impl PullModels {
    /// How much is printed.
    pub fn level(&self) -> Level {
        if self.quiet { Level::Quiet } else { Level::Normal }
    }
}

/// `mailsort models show`.
#[derive(Debug, Args)]
pub struct ShowModel {
    /// A model on this machine: a name as for `pull`, a folder, a .gguf file, or builtin
    #[arg(value_name = "MODEL")]
    pub model: String,

    /// The branch, tag or commit [default: main]
    #[arg(long, value_name = "REVISION")]
    pub revision: Option<String>,

    /// The output format
    #[arg(short, long, value_enum, default_value = "text")]
    pub format: ListForm,
}

/// `mailsort models path`.
#[derive(Debug, Args)]
pub struct PathModel {
    /// A model on this machine: a name as for `pull`, a folder, a .gguf file, or builtin
    #[arg(value_name = "MODEL")]
    pub model: String,

    /// The branch, tag or commit [default: main]
    #[arg(long, value_name = "REVISION")]
    pub revision: Option<String>,
}
