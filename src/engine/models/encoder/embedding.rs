//! Sentence embeddings by an encoder, as sentence-transformers makes them: its hidden states pooled and normalised. The
//! mail is the query, a label the passage where the repository tells them apart.

use anyhow::{Result, ensure};
use rayon::prelude::*;

use super::recipe::{Pooling, Prompts, Recipe};
use super::tokens::{Input, Tokens};
use super::{Encoder, EncoderShape, check_tokens, sum};
use crate::engine::checkpoint::Checkpoint;
use crate::engine::models::tasks::{Memo, too_long};
use crate::engine::registry::{Loaded, Model};
use crate::engine::{Embedder, Embedding, LabelText, TokenizedText, unit};

/// Ends of class names in config.json that embeddings have: no head, or one that guesses words and is not read.
const BARE: [&str; 3] = ["Model", "ForMaskedLM", "ForPreTraining"];

/// An encoder that places texts and labels in one space.
pub(crate) struct SentenceEmbedding {
    id: String,
    encoder: Box<dyn Encoder>,
    shape: EncoderShape,
    pub(super) tokens: Tokens,
    pub(super) recipe: Recipe,
    /// Tokens of the query's prompt, with the instruction that it has unless told otherwise.
    prompt_tokens: usize,
    /// Tokens of each prompt that was used.
    prompts: Memo<String, usize>,
}

impl SentenceEmbedding {
    /// Reads how the folder wants its vectors made. `id` is the name that goes into every record; the e5 family, which
    /// wants `query: ` before its texts, is known by the word `e5` in it, in the folder's name or in config.json.
    ///
    /// # Errors
    /// When a file is missing or damaged, or asks for a step that mailsort does not have.
    pub(crate) fn new(id: &str, checkpoint: &Checkpoint, encoder: Box<dyn Encoder>) -> Result<Self> {
        let name = checkpoint.config()?["architectures"][0].as_str().unwrap_or("Model");
        ensure!(
            BARE.iter().any(|end| name.ends_with(end)),
            "{name} is no embedding model; mailsort takes those whose names end in Model or ForMaskedLM"
        );
        let recipe = Recipe::of(&checkpoint.path, id)?;
        let tokens = Tokens::open(&checkpoint.path, recipe.lower_case)?;
        let shape = encoder.shape();
        check_tokens(&tokens, &shape)?;
        let prompt_tokens = tokens.words(&recipe.prompts.asking(None), usize::MAX)?.tokens;
        Ok(Self { id: id.to_string(), encoder, shape, tokens, recipe, prompt_tokens, prompts: Memo::default() })
    }

    /// With what the user says stands before texts and labels, if anything.
    ///
    /// # Errors
    /// When the tokenizer fails.
    pub(crate) fn prefixed(mut self, prefix: Option<&str>) -> Result<Self> {
        if let Some(prefix) = prefix {
            self.recipe.prompts = Prompts { query: prefix.into(), passage: prefix.into(), has_task: false };
            self.prompt_tokens = self.tokens.words(prefix, usize::MAX)?.tokens;
        }
        Ok(self)
    }

    /// As the registry returns it. `numbers` is the class of numbers that the encoder computes with, such as `f32 cpu`.
    pub(crate) fn loaded(self, numbers: &str) -> Loaded {
        let class = format!("{numbers}, {}", self.recipe.words());
        let notes = self.recipe.notes.clone();
        Loaded { model: Model::Embedder(Box::new(self)), class, notes }
    }

    /// Tokens of a prompt, and of a text that fit behind it.
    fn room(&self, prompt: &str) -> Result<(usize, usize)> {
        let own = self.prompts.get(prompt, || Ok(self.tokens.words(prompt, usize::MAX)?.tokens))?;
        let longest = self.shape.max_tokens;
        let room = longest.saturating_sub(self.tokens.around_one() + own);
        ensure!(room > 0, "the instruction alone has {own} tokens; {} reads {longest}", self.id);
        Ok((own, room))
    }

    /// The tokens of a text behind a prompt, which is not counted and never cut.
    fn prompted(&self, prompt: &str, text: &str, max_tokens: usize) -> Result<TokenizedText> {
        let (own, room) = self.room(prompt)?;
        let words = self.tokens.words(&[prompt, text.trim()].concat(), max_tokens.min(room) + own)?;
        Ok(TokenizedText { tokens: words.tokens.saturating_sub(own), ..words })
    }

    /// [tokens, hidden] -> [hidden], of length 1. NaN stays, and is an error where it is ranked.
    fn pool(&self, states: &[f32]) -> Vec<f32> {
        let hidden = self.shape.hidden_size;
        unit(match self.recipe.pooling {
            Pooling::Cls => states[..hidden].to_vec(),
            // Normalised, the sum is the mean.
            Pooling::Mean => sum(states, hidden),
        })
    }
}

impl Embedder for SentenceEmbedding {
    fn id(&self) -> &str {
        &self.id
    }

    /// What the repository says, less the special tokens and the prompt.
    fn default_max_tokens(&self) -> usize {
        let longest = self.recipe.max_seq_length.unwrap_or(usize::MAX).min(self.encoder.default_max_tokens());
        longest.saturating_sub(self.tokens.around_one() + self.prompt_tokens).max(1)
    }

    fn knows(&self, text: &str) -> bool {
        let words = self.tokens.words(text, usize::MAX);
        words.is_ok_and(|words| !words.ids.iter().all(|&id| self.tokens.is_unknown(id)))
    }

    fn dims(&self) -> usize {
        self.shape.hidden_size
    }

    fn takes_instruction(&self) -> bool {
        self.recipe.prompts.has_task
    }

    fn check(&self, instruct: Option<&str>) -> Result<()> {
        self.room(&self.recipe.prompts.asking(instruct)).map(drop)
    }

    /// `instruct` is read by models that were trained with one, such as multilingual-e5-large-instruct, and by no
    /// other.
    fn tokenize(&self, text: &str, instruct: Option<&str>, max_tokens: usize) -> Result<TokenizedText> {
        self.prompted(&self.recipe.prompts.asking(instruct), text, max_tokens)
    }

    fn tokenize_passage(&self, text: &str, max_tokens: usize) -> Result<TokenizedText> {
        self.prompted(&self.recipe.prompts.passage, text, max_tokens)
    }

    fn tokenize_bare(&self, text: &str, max_tokens: usize) -> Result<TokenizedText> {
        self.prompted("", text, max_tokens)
    }

    fn embed_tokens(&self, texts: &[&TokenizedText]) -> Result<Vec<Option<Embedding>>> {
        let known = |text: &&&TokenizedText| {
            let prompt = text.ids.len().saturating_sub(text.tokens);
            !text.ids.iter().skip(prompt).all(|&id| self.tokens.is_unknown(id))
        };
        let inputs: Vec<Input> = texts.iter().filter(known).map(|text| self.tokens.input(&text.ids)).collect();
        let mut vectors = Vec::with_capacity(inputs.len());
        self.encoder.encode(&inputs, &mut |states| vectors.push(self.pool(states)))?;
        let mut vectors = vectors.into_iter();
        let embedding = |text: &&TokenizedText| {
            let vector = if known(&text) { vectors.next() } else { None };
            vector.map(|vector| Embedding { vector, tokens: text.tokens, truncated: text.truncated })
        };
        Ok(texts.iter().map(embedding).collect())
    }

    fn embed_labels(&self, labels: &[LabelText]) -> Result<Vec<Option<Vec<f32>>>> {
        let passage = &self.recipe.prompts.passage;
        let texts = labels.par_iter().map(|label| self.prompted(passage, &label.text(), usize::MAX));
        let texts: Vec<TokenizedText> = texts.collect::<Result<_>>()?;
        let embedded = self.embed_tokens(&texts.iter().collect::<Vec<_>>())?;
        for (label, embedding) in labels.iter().zip(&embedded) {
            let cut = embedding.as_ref().filter(|embedding| embedding.truncated);
            cut.map_or(Ok(()), |cut| Err(too_long(label, cut.tokens, &self.id)))?;
        }
        Ok(embedded.into_iter().map(|embedding| Some(embedding?.vector)).collect())
    }
}
