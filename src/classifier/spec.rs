//! What a classifier is made of, as plain data. The command line, a server and a Python binding fill the same structs.

use std::path::PathBuf;

use encoding_rs::Encoding;

use crate::engine::hub::{DownloadProgress, HubOptions};
use crate::engine::{Dtype, Hypothesis, Nli, device::DeviceChoice};
use crate::intake::Reading;
use crate::labels::LabelSet;

/// All that a classifier depends on.
#[derive(Clone, Debug, Default)]
pub struct Spec {
    /// What messages are sorted into.
    pub labels: LabelSource,
    /// The model that scores.
    pub model: ModelSpec,
    /// How documents are read. With a trained classifier the default stands for the way in which its samples were read.
    pub reading: Reading,
    /// How scores become a ranking.
    pub ranking: RankingSpec,
}

impl Spec {
    /// The built-in model, default reading, and these label sets.
    pub fn new(sets: Vec<LabelSet>) -> Self {
        Self { labels: LabelSource::Sets(sets), ..Self::default() }
    }
}

/// Where labels come from.
#[derive(Clone, Debug)]
pub enum LabelSource {
    /// Label sets; each gets its own ranking.
    Sets(Vec<LabelSet>),
    /// Label files, each a set, and labels as `name` or `name: description`, which are a set of their own.
    Files {
        /// The label files.
        files: Vec<PathBuf>,
        /// The labels of the set called `label`.
        inline: Vec<String>,
        /// False where the `examples` of label files do not count.
        examples: bool,
        /// The charset of label files that are not UTF-8; `None` to tell it from their bytes.
        encoding: Option<&'static Encoding>,
    },
    /// The file of a trained classifier, and a label file from which only thresholds and headers are read.
    Trained {
        /// What `mailsort train` has written.
        file: PathBuf,
        /// At most one label file.
        thresholds: Vec<PathBuf>,
        /// The charset of that file, as above.
        encoding: Option<&'static Encoding>,
    },
}

impl Default for LabelSource {
    fn default() -> Self {
        Self::Sets(Vec::new())
    }
}

/// How scores become a ranking.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct RankingSpec {
    /// From which score on a label counts that has no threshold of its own.
    pub threshold: Option<f32>,
    /// How many labels a ranking holds.
    pub top_k: usize,
    /// Rank by cosines or logits instead of probabilities.
    pub raw_scores: bool,
}

impl Default for RankingSpec {
    fn default() -> Self {
        Self { threshold: None, top_k: 3, raw_scores: false }
    }
}

/// Which texts the model `deep` reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeepReads {
    /// Those of which the built-in model is not sure
    #[default]
    Unsure,
    /// All
    All,
}

/// Servers to ask; none where the list is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointFlags {
    /// Their addresses.
    pub urls: Vec<String>,
    /// The name of the model there.
    pub model: Option<String>,
    /// The file of the key.
    pub key_file: Option<PathBuf>,
}

/// Which model scores, and how.
#[derive(Clone, Debug)]
pub struct ModelSpec {
    /// A name of the hub, a folder or a GGUF file; `None` for the built-in model.
    pub model: Option<String>,
    /// The branch, tag or commit of a model of the hub.
    pub revision: Option<String>,
    /// Forbids the network.
    pub offline: bool,
    /// What the model is asked to do; `None` for the instruction of the label set, or the model's own.
    pub instruct: Option<String>,
    /// How many labels a faster model chooses for a reranker; `None` for all.
    pub shortlist: Option<usize>,
    /// The faster model.
    pub shortlist_model: String,
    /// Length of the vectors of an embedding that gives a choice.
    pub dims: Option<usize>,
    /// How many tokens of a text the model sees; `None` for the model's default.
    pub max_tokens: Option<usize>,
    /// How many tokens go through the model in one forward pass.
    pub batch_tokens: Option<usize>,
    /// Where it computes.
    pub device: DeviceChoice,
    /// The number type of weights in products.
    pub dtype: Dtype,
    /// How an NLI model scores labels; `None` for the default.
    pub nli: Option<Nli>,
    /// What an NLI model is asked about each label; `None` for the default.
    pub hypothesis: Option<Hypothesis>,
    /// What stands before texts and labels for an encoder; `None` for what its files or its name say.
    pub query_prefix: Option<String>,
    /// Whether an embedding reads labels in sentences about them.
    pub label_prompts: bool,
    /// Which texts the model `deep` reads.
    pub deep: DeepReads,
    /// Servers whose model takes the place of weights.
    pub endpoint: EndpointFlags,
    /// A file that keeps scores and vectors for the next run.
    pub cache: Option<PathBuf>,
}

impl Default for ModelSpec {
    fn default() -> Self {
        Self {
            model: None,
            revision: None,
            offline: false,
            instruct: None,
            shortlist: None,
            shortlist_model: crate::engine::BUILTIN.into(),
            dims: None,
            max_tokens: None,
            batch_tokens: None,
            device: DeviceChoice::Auto,
            dtype: Dtype::Auto,
            nli: None,
            hypothesis: None,
            query_prefix: None,
            label_prompts: true,
            deep: DeepReads::default(),
            endpoint: EndpointFlags::default(),
            cache: None,
        }
    }
}

impl ModelSpec {
    /// How the model is looked for on the hub.
    pub(super) fn hub_options(&self) -> HubOptions {
        HubOptions { revision: self.revision.clone(), offline: self.offline }
    }
}

/// How much is scored at once, between two looks at whether to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// The most documents.
    pub documents: usize,
    /// The most tokens, as the client counts them. A single document that has more passes alone.
    pub tokens: usize,
}

impl Budget {
    /// For models that need microseconds for a document.
    pub const FAST: Self = Self { documents: 64, tokens: usize::MAX };
    /// For models that need a good part of a second for a document.
    pub const SLOW: Self = Self { documents: 16, tokens: 8 * 1024 };
    /// For a GPU, which idles between two batches: a second or two of the largest models.
    pub const GPU: Self = Self { documents: 48, tokens: 96 * 1024 };

    /// For servers, which get some requests at the same time.
    pub const REMOTE: Self = Self { documents: 64, tokens: 128 * 1024 };

    /// True where a document takes milliseconds or more: only then tokens are counted.
    pub fn is_slow(&self) -> bool {
        self.tokens != usize::MAX
    }
}

/// Hears what a user should know while a classifier is opened.
pub trait Observer: Sync {
    /// Something is odd, and the work goes on.
    fn warn(&self, message: &str);
    /// Something that the user ought to know, such as which device was chosen.
    fn say(&self, message: &str);
}

/// Keeps everything to itself.
pub struct Silent;

impl Observer for Silent {
    fn warn(&self, _: &str) {}

    fn say(&self, _: &str) {}
}

impl DownloadProgress for Silent {
    fn begin(&self, _: &str, _: Option<u64>, _: u64) {}

    fn place(&self, _: u64) {}

    fn end(&self) {}

    fn note(&self, _: &str) {}
}
