//! Text in, vectors out. Models live here, and the knowledge of how each wants its text.

pub mod builtin;
// Public for `benches/products.rs`.
#[doc(hidden)]
pub mod kernels;
pub mod hub;

pub use builtin::Builtin;

/// A label as a model reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelText {
    /// The name as words.
    pub name: String,
    /// What mail of this label is like.
    pub description: Option<String>,
}

/// A text as a model sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding {
    /// Shape: [dims]. Its product with a label's vector is the raw score.
    pub vector: Vec<f32>,
    /// Tokens that went into it.
    pub tokens: usize,
    /// True when the text had more tokens than the model was allowed to see.
    pub truncated: bool,
}

/// A model that places texts and labels in one space.
pub trait Embedder: Send + Sync {
    /// The name that goes into every record.
    fn id(&self) -> &str;

    /// How many tokens of a text the model sees unless told otherwise.
    fn default_max_tokens(&self) -> usize;

    /// Embeds texts, each by itself: no vector depends on its neighbours. `None` where no token is known.
    fn embed(&self, texts: &[String], max_tokens: usize) -> Vec<Option<Embedding>>;

    /// Embeds labels; shape [labels, dims]. `None` for a label of which no word is known.
    fn embed_labels(&self, labels: &[LabelText]) -> Vec<Option<Vec<f32>>>;

    /// The calibrated factor between a raw score and the logit of a softmax over the labels.
    fn temperature(&self) -> f32;
}
