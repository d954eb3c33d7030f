//! Sentence embeddings by an encoder, as sentence-transformers makes them: its hidden states pooled and normalised. The
//! mail is the query, a label the passage.

use anyhow::{Result, ensure};
use rayon::prelude::*;

use super::recipe::{Pooling, Recipe};
use super::tokens::{Input, Tokens, Words};
use super::{Encoder, EncoderShape, check_tokens, sum, words};
use crate::engine::checkpoint::Checkpoint;
use crate::engine::models::tasks::too_long;
use crate::engine::registry::{Loaded, Model};
use crate::engine::{Embedder, Embedding, LabelText};

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
    prompted: usize,
}

impl SentenceEmbedding {
    /// Reads how the folder wants its vectors made. `id` is the name that goes into every record; the e5 family, which
    /// wants `query: ` and `passage: ` before its texts, is known by the word `e5` in it or in the folder's name.
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
        let prompted = tokens.words(&recipe.prompts.asking(None), usize::MAX)?.ids.len();
        Ok(Self { id: id.to_string(), encoder, shape, tokens, recipe, prompted })
    }

    /// As the registry returns it. `numbers` is the class of numbers that the encoder computes with, such as `f32 cpu`.
    pub(crate) fn loaded(self, numbers: &str) -> Loaded {
        let class = format!("{numbers}, {}", self.recipe.words());
        let notes = self.recipe.notes.clone();
        Loaded { model: Model::Embedder(Box::new(self)), class, notes }
    }

    /// Tokens of a prompt, and of a text that fit behind it.
    fn room(&self, prompt: &str) -> Result<(usize, usize)> {
        let own = self.tokens.words(prompt, usize::MAX)?.ids.len();
        let longest = self.shape.max_tokens;
        let room = longest.saturating_sub(self.tokens.around_one() + own);
        ensure!(room > 0, "the instruction alone has {own} tokens; {} reads {longest}", self.id);
        Ok((own, room))
    }

    /// Embeds texts behind a prompt, which is not counted and never cut.
    fn embed_all(&self, prompt: &str, texts: &[String], max_tokens: usize) -> Result<Vec<Option<Embedding>>> {
        let (own, room) = self.room(prompt)?;
        let most = max_tokens.min(room) + own;
        let words = texts.par_iter().map(|text| self.tokens.words(&[prompt, text.trim()].concat(), most));
        let words: Vec<Words> = words.collect::<Result<_>>()?;
        let known = |words: &&Words| !words.ids.iter().skip(own).all(|&id| self.tokens.is_unknown(id));
        let inputs: Vec<Input> = words.iter().filter(known).map(|words| self.tokens.input(&words.ids)).collect();
        let mut vectors = Vec::with_capacity(inputs.len());
        self.encoder.encode(&inputs, &mut |states| vectors.push(self.pool(states)))?;
        let mut vectors = vectors.into_iter();
        let embedding = |words: &Words| {
            let vector = if known(&words) { vectors.next() } else { None };
            let tokens = words.ids.len().saturating_sub(own);
            vector.map(|vector| Embedding { vector, tokens, truncated: words.truncated })
        };
        Ok(words.iter().map(embedding).collect())
    }

    /// [tokens, hidden] -> [hidden], of length 1. NaN stays, and is an error where it is ranked.
    fn pool(&self, states: &[f32]) -> Vec<f32> {
        let hidden = self.shape.hidden_size;
        let mut vector = match self.recipe.pooling {
            Pooling::Cls => states[..hidden].to_vec(),
            // Normalised, the sum is the mean.
            Pooling::Mean => sum(states, hidden),
        };
        let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
        vector.iter_mut().for_each(|value| *value /= length.max(1e-12));
        vector
    }
}

impl Embedder for SentenceEmbedding {
    fn id(&self) -> &str {
        &self.id
    }

    /// What the repository says, less the special tokens and the prompt.
    fn default_max_tokens(&self) -> usize {
        let longest = self.recipe.max_seq_length.unwrap_or(usize::MAX).min(self.encoder.default_max_tokens());
        longest.saturating_sub(self.tokens.around_one() + self.prompted).max(1)
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
    fn embed(&self, texts: &[String], instruct: Option<&str>, max_tokens: usize) -> Result<Vec<Option<Embedding>>> {
        self.embed_all(&self.recipe.prompts.asking(instruct), texts, max_tokens)
    }

    fn embed_labels(&self, labels: &[LabelText]) -> Result<Vec<Option<Vec<f32>>>> {
        let texts: Vec<String> = labels.iter().map(words).collect();
        let embedded = self.embed_all(&self.recipe.prompts.passage, &texts, usize::MAX)?;
        for (label, embedding) in labels.iter().zip(&embedded) {
            let cut = embedding.as_ref().filter(|embedding| embedding.truncated);
            cut.map_or(Ok(()), |cut| Err(too_long(label, cut.tokens, &self.id)))?;
        }
        Ok(embedded.into_iter().map(|embedding| Some(embedding?.vector)).collect())
    }

    fn temperature(&self, _: &[Vec<f32>]) -> f32 {
        self.recipe.temperature
    }
}
