//! Qwen3 embeddings: the hidden state of the last token, normalised. The mail asks, labels are what is looked for.

use anyhow::{Result, ensure};
use rayon::prelude::*;

use super::Qwen3;
use super::batch::Prompt;
use super::config::Qwen3Config;
use super::load::check_vocabulary;
use super::prompt::{self, EMBEDDING_TASK, EmbeddingPrompt};
use super::vocabulary::Vocabulary;
use crate::engine::checkpoint::Checkpoint;
use crate::engine::models::tasks::{Memo, too_long};
use crate::engine::{Embedder, Embedding, LabelText, TokenizedText};

/// A Qwen3 embedding.
pub(super) struct Qwen3Embedding {
    id: String,
    prompt: EmbeddingPrompt,
    model: Box<dyn Qwen3>,
    dims: usize,
    batch_tokens: usize,
    /// Tokens of the prompt of each instruction, without a text.
    prompts: Memo<String, usize>,
}

impl Qwen3Embedding {
    /// Reads the tokenizer, and lets `load` read the weights, whose names begin with its argument. `dims` cuts vectors
    /// before they are normalised.
    ///
    /// # Errors
    /// When something is missing, of another shape, or left over; or the device has not enough memory.
    pub(super) fn new(
        id: &str,
        checkpoint: &Checkpoint,
        load: impl FnOnce(&str) -> Result<Box<dyn Qwen3>>,
        dims: Option<usize>,
        batch_tokens: usize,
    ) -> Result<Self> {
        let prompt = EmbeddingPrompt::new(Vocabulary::open(checkpoint)?)?;
        let config = Qwen3Config::of(checkpoint)?;
        check_vocabulary(prompt.highest(), &config)?;
        let dims = dims.unwrap_or(config.hidden_size).min(config.hidden_size);
        let model = load(if checkpoint.weights.has("embed_tokens.weight") { "" } else { "model." })?;
        checkpoint.weights.finish(|_| false)?;
        Ok(Self { id: id.to_string(), prompt, model, dims, batch_tokens, prompts: Memo::default() })
    }

    fn vectors(&self, texts: &[&TokenizedText]) -> Result<Vec<Embedding>> {
        let empty =
            |text: &&TokenizedText| Embedding { vector: Vec::new(), tokens: text.tokens, truncated: text.truncated };
        let mut embeddings: Vec<Embedding> = texts.iter().map(empty).collect();
        let prompt = |text: &&TokenizedText| Prompt { prefix: text.ids.clone(), tails: Vec::new() };
        let prompts: Vec<Prompt> = texts.iter().map(prompt).collect();
        self.model.run(&self.id, &prompts, self.batch_tokens, |slots, states| {
            for (slot, state) in slots.iter().zip(states) {
                embeddings[slot.prompt].vector = normalised(&state[..self.dims]);
            }
        })?;
        Ok(embeddings)
    }

    /// Tokens of a text that fit beside an instruction.
    fn asking(&self, instruct: &str, max_tokens: usize) -> Result<usize> {
        let bare = self.prompts.get(instruct, || Ok(self.prompt.query(instruct, "", 0)?.ids.len()))?;
        self.room(bare + 4, max_tokens)
    }

    /// Tokens of a text that fit beside the instruction and the end.
    fn room(&self, overhead: usize, max_tokens: usize) -> Result<usize> {
        let context = self.model.config().max_position_embeddings;
        ensure!(overhead < context, "the instruction alone has {overhead} tokens; {} reads {context}", self.id);
        Ok(max_tokens.min(context - overhead))
    }
}

/// The vector with length 1.
fn normalised(values: &[f32]) -> Vec<f32> {
    let square: f64 = values.iter().map(|&value| f64::from(value) * f64::from(value)).sum();
    let length = square.sqrt().max(1e-12);
    values.iter().map(|&value| (f64::from(value) / length) as f32).collect()
}

impl Embedder for Qwen3Embedding {
    fn id(&self) -> &str {
        &self.id
    }

    fn default_max_tokens(&self) -> usize {
        2048
    }

    fn dims(&self) -> usize {
        self.dims
    }

    fn check(&self, instruct: Option<&str>) -> Result<()> {
        self.asking(instruct.unwrap_or(EMBEDDING_TASK), 0).map(drop)
    }

    fn tokenize(&self, text: &str, instruct: Option<&str>, max_tokens: usize) -> Result<TokenizedText> {
        let instruct = instruct.unwrap_or(EMBEDDING_TASK);
        self.prompt.query(instruct, text, self.asking(instruct, max_tokens)?)
    }

    fn tokenize_passage(&self, text: &str, max_tokens: usize) -> Result<TokenizedText> {
        self.prompt.document(text, self.room(4, max_tokens)?)
    }

    /// A passage has no instruction.
    fn tokenize_bare(&self, text: &str, max_tokens: usize) -> Result<TokenizedText> {
        self.tokenize_passage(text, max_tokens)
    }

    fn embed_tokens(&self, texts: &[&TokenizedText]) -> Result<Vec<Option<Embedding>>> {
        Ok(self.vectors(texts)?.into_iter().map(Some).collect())
    }

    fn embed_labels(&self, labels: &[LabelText]) -> Result<Vec<Option<Vec<f32>>>> {
        let room = self.room(4, usize::MAX)?;
        let read = labels.par_iter().map(|label| {
            let read = self.prompt.document(&prompt::label(label), room)?;
            ensure!(!read.truncated, too_long(label, room, &self.id));
            Ok(read)
        });
        let read: Vec<TokenizedText> = read.collect::<Result<_>>()?;
        let vectors = self.vectors(&read.iter().collect::<Vec<_>>())?;
        Ok(vectors.into_iter().map(|embedding| Some(embedding.vector)).collect())
    }
}
