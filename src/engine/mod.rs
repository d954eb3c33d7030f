//! Text in, vectors or scores of pairs out. Models live here, and the knowledge of how each wants its text.

mod backend;
pub mod card;
pub mod checkpoint;
pub mod device;
pub mod hub;
pub mod kernels;
pub mod label_prompts;
mod memory;
pub mod models;
#[cfg(test)]
mod parity;
mod registry;
pub mod remote;

use std::ops::Range;

use anyhow::Result;
use rayon::prelude::*;

pub use checkpoint::fingerprint;
pub use models::builtin::{BUILTIN, Builtin};
pub use models::deep::{DEEP, Deep};
pub use models::encoder::{Hypothesis, Nli};
pub use registry::{Dtype, LoadOptions, Loaded, Model, Sketch, open};

/// The models that lie in the program.
pub const EMBEDDED: [&str; 2] = [BUILTIN, DEEP];

/// True for the name of a model that lies in the program.
pub fn is_embedded(name: &str) -> bool {
    EMBEDDED.contains(&name)
}

/// A label as a model reads it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LabelText {
    /// The name as words.
    pub name: String,
    /// What mail of this label is like.
    pub description: Option<String>,
}

impl LabelText {
    /// Name and description as one text, as the factors of the built-in models were calibrated with.
    pub fn text(&self) -> String {
        match &self.description {
            Some(description) => format!("{}. {description}", self.name),
            None => self.name.clone(),
        }
    }
}

/// A vector scaled to length 1, if it has one.
pub fn unit(mut vector: Vec<f32>) -> Vec<f32> {
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    vector.iter_mut().for_each(|value| *value /= length.max(1e-12));
    vector
}

/// A text in the tokens of one model, cut to what it may see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenizedText {
    /// What goes into the model, with what its prompt puts around the text. Shape: `[ids]`.
    pub ids: Vec<u32>,
    /// How many of them are the text's.
    pub tokens: usize,
    /// True when the text had more.
    pub truncated: bool,
}

/// A text as a model sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding {
    /// Shape: `[dims]`. Its product with a label's vector is the raw score.
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

    /// Whether the model knows a word of a text.
    fn knows(&self, _text: &str) -> bool {
        true
    }

    /// Whether the model knows a word of a label's name or description.
    fn knows_label(&self, label: &LabelText) -> bool {
        self.knows(&label.name) || label.description.as_deref().is_some_and(|description| self.knows(description))
    }

    /// How many words of a text are worth counting beside a vector of so many tokens.
    fn words(&self, max_tokens: usize) -> usize {
        max_tokens
    }

    /// Length of the vectors.
    fn dims(&self) -> usize;

    /// The numbers of a vector by which passages are found; the others help to sort texts.
    fn for_passages(&self) -> Range<usize> {
        0..self.dims()
    }

    /// False where the model was trained without instructions and reads none.
    fn takes_instruction(&self) -> bool {
        true
    }

    /// Reads an instruction before a text is there.
    ///
    /// # Errors
    /// When the model has no room for it.
    fn check(&self, _instruct: Option<&str>) -> Result<()> {
        Ok(())
    }

    /// The tokens of a text. `instruct` says what the text is asked, for models that take an instruction.
    ///
    /// # Errors
    /// When the tokenizer fails, or as [`Embedder::check`].
    fn tokenize(&self, text: &str, instruct: Option<&str>, max_tokens: usize) -> Result<TokenizedText>;

    /// The tokens of a text that is looked for, as [`Embedder::tokenize`] has those of one that asks.
    ///
    /// # Errors
    /// When the tokenizer fails.
    fn tokenize_passage(&self, text: &str, max_tokens: usize) -> Result<TokenizedText> {
        self.tokenize(text, None, max_tokens)
    }

    /// The tokens of a text by itself, without the instruction or prefix that the model was trained with.
    ///
    /// # Errors
    /// When the tokenizer fails.
    fn tokenize_bare(&self, text: &str, max_tokens: usize) -> Result<TokenizedText> {
        self.tokenize(text, None, max_tokens)
    }

    /// Embeds texts, each by itself: no vector depends on its neighbours. `None` where no token is known.
    ///
    /// # Errors
    /// When the model cannot run, for want of memory.
    fn embed_tokens(&self, texts: &[&TokenizedText]) -> Result<Vec<Option<Embedding>>>;

    /// [`Embedder::tokenize`] and [`Embedder::embed_tokens`] in one.
    ///
    /// # Errors
    /// Those of both.
    fn embed(&self, texts: &[String], instruct: Option<&str>, max_tokens: usize) -> Result<Vec<Option<Embedding>>> {
        let tokenize = |text: &String| self.tokenize(text, instruct, max_tokens);
        let tokenized: Vec<TokenizedText> = texts.par_iter().map(tokenize).collect::<Result<_>>()?;
        self.embed_tokens(&tokenized.iter().collect::<Vec<_>>())
    }

    /// Embeds labels; shape [labels, dims]. `None` for a label of which no word is known.
    ///
    /// # Errors
    /// When the model cannot run, for want of memory.
    fn embed_labels(&self, labels: &[LabelText]) -> Result<Vec<Option<Vec<f32>>>>;

    /// The factor between the products of a text with labels, whose vectors these are, and the logits of a softmax. Of 2
    /// to 40 this one suits the centred cosines of multilingual-e5-small best on the development sets of
    /// `model/make/deep_constants.py`, where the calibration error is 7 %.
    fn temperature(&self, _labels: &[Vec<f32>]) -> f32 {
        20.0
    }
}

/// What messages are judged by: labels, and what the question is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Task {
    /// For models that take an instruction; `None` is the model's own.
    pub instruct: Option<String>,
    /// All labels of the task.
    pub labels: Vec<LabelText>,
}

/// One mail, and those labels of a task that are asked about.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The text of the mail.
    pub text: &'a str,
    /// Indices of the task's labels.
    pub labels: &'a [usize],
}

/// A [`Question`] in the tokens of one model.
#[derive(Clone, Copy, Debug)]
pub struct TokenizedQuestion<'a> {
    /// The mail.
    pub text: &'a TokenizedText,
    /// Indices of the task's labels.
    pub labels: &'a [usize],
}

/// A query, and documents that may answer it.
#[derive(Clone, Copy, Debug)]
pub struct Comparison<'a> {
    /// What makes a document relevant; `None` for [`RETRIEVAL_TASK`].
    pub instruct: Option<&'a str>,
    /// The query.
    pub query: &'a str,
    /// The documents.
    pub documents: &'a [&'a str],
}

/// What Qwen3 rerankers are asked unless told otherwise, by their model card: the instruction for documents that answer a
/// query, as [`Comparison`] has them.
pub const RETRIEVAL_TASK: &str = "Given a web search query, retrieve relevant passages that answer the query";

/// How much of a mail was read with a label.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Tokens of the mail that were read.
    pub tokens: usize,
    /// True when the mail had more.
    pub truncated: bool,
}

/// What a reranker makes of a question: for each of its labels, in their order, what depends on no other label.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judgement {
    /// The logit of each label. The sigmoid of it is the probability that the label fits.
    pub logits: Vec<f32>,
    /// What was read with each label.
    pub seen: Vec<Seen>,
}

impl Judgement {
    /// The most that was read with any of the labels.
    pub fn tokens(&self) -> usize {
        self.seen.iter().map(|seen| seen.tokens).max().unwrap_or(0)
    }

    /// True when with some label the mail was cut.
    pub fn truncated(&self) -> bool {
        self.seen.iter().any(|seen| seen.truncated)
    }
}

/// A model that reads a mail and a label together.
pub trait Reranker: Send + Sync {
    /// The name that goes into every record.
    fn id(&self) -> &str;

    /// How many tokens of a mail the model sees unless told otherwise.
    fn default_max_tokens(&self) -> usize;

    /// As [`Embedder::takes_instruction`].
    fn takes_instruction(&self) -> bool {
        true
    }

    /// True where a label's logit means nothing by itself: its score is its share of a softmax over the set.
    fn shares_over_labels(&self) -> bool {
        false
    }

    /// Reads the labels of a task before a mail is there.
    ///
    /// # Errors
    /// When the model has no room for the instruction or for a label, which the message names.
    fn check(&self, task: &Task) -> Result<()>;

    /// The tokens of a mail, for tasks with this instruction.
    ///
    /// # Errors
    /// When the tokenizer fails, or the model has no room for the instruction.
    fn tokenize(&self, text: &str, instruct: Option<&str>, max_tokens: usize) -> Result<TokenizedText>;

    /// Judges messages, each by itself: no logit depends on its neighbours, nor on which other labels the task has or
    /// are asked about.
    ///
    /// # Errors
    /// As [`Reranker::check`], and when the model cannot run, for want of memory.
    fn judge_tokens(&self, task: &Task, questions: &[TokenizedQuestion]) -> Result<Vec<Judgement>>;

    /// How relevant documents are to queries, each by itself. Query and document are cut at their ends: each has at most
    /// `max_tokens`, and both have room in the model. [`Seen`] counts the tokens of both.
    ///
    /// # Errors
    /// When the model has no room for the instruction, or cannot run.
    fn compare(&self, asked: &[Comparison], max_tokens: usize) -> Result<Vec<Judgement>>;

    /// [`Reranker::tokenize`] and [`Reranker::judge_tokens`] in one.
    ///
    /// # Errors
    /// Those of both.
    fn judge(&self, task: &Task, questions: &[Question], max_tokens: usize) -> Result<Vec<Judgement>> {
        let tokenize = |question: &Question| self.tokenize(question.text, task.instruct.as_deref(), max_tokens);
        let tokenized: Vec<TokenizedText> = questions.par_iter().map(tokenize).collect::<Result<_>>()?;
        let questions = questions.iter().zip(&tokenized);
        let questions: Vec<_> =
            questions.map(|(asked, text)| TokenizedQuestion { text, labels: asked.labels }).collect();
        self.judge_tokens(task, &questions)
    }
}
