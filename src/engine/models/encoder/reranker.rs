//! Cross-encoders with one logit: how well a label fits a mail, read together.

use anyhow::{Context, Result, ensure};
use rayon::prelude::*;

use super::tokens::{Input, Tokens, Words};
use super::{Encoder, EncoderShape, check_tokens, has_classes, words};
use crate::engine::checkpoint::Checkpoint;
use crate::engine::models::tasks::{Tasks, too_long};
use crate::engine::registry::{Loaded, Model};
use crate::engine::{Judgement, LabelText, Question, Reranker, Seen, Task};

/// The logits of the classes of a pair from its last hidden states, shape [tokens, hidden_size].
pub(crate) type Head = Box<dyn Fn(&[f32]) -> Vec<f32> + Send + Sync>;

/// An encoder that reads a mail and a label together: (query, passage) in the words of its makers.
pub(crate) struct CrossEncoder {
    id: String,
    encoder: Box<dyn Encoder>,
    shape: EncoderShape,
    pub(super) tokens: Tokens,
    head: Head,
    tasks: Tasks,
}

impl CrossEncoder {
    /// Checks that the head has one logit, as that of a reranker. To be called before the head is loaded.
    ///
    /// # Errors
    /// When there is no head, or it has more.
    pub(crate) fn check_head(checkpoint: &Checkpoint) -> Result<()> {
        let labels = classes(checkpoint)?;
        ensure!(
            labels == 1,
            "the model tells {labels} classes of its own apart; mailsort takes rerankers, which have one"
        );
        Ok(())
    }

    /// Reads the tokenizer. `head` makes the logit.
    ///
    /// # Errors
    /// When `tokenizer.json` is missing, damaged, or of another model.
    pub(crate) fn new(id: &str, checkpoint: &Checkpoint, encoder: Box<dyn Encoder>, head: Head) -> Result<Self> {
        let tokens = Tokens::open(&checkpoint.path, false)?;
        let shape = encoder.shape();
        check_tokens(&tokens, &shape)?;
        Ok(Self { id: id.to_string(), encoder, shape, tokens, head, tasks: Tasks::default() })
    }

    /// As the registry returns it. `numbers` is the class of numbers that the encoder computes with, such as `f32 cpu`.
    pub(crate) fn loaded(self, numbers: &str) -> Loaded {
        Loaded { model: Model::Reranker(Box::new(self)), class: numbers.into(), notes: Vec::new() }
    }

    /// A mail and a label, and what of the mail there was room for.
    fn pair(&self, mail: &Words, label: &[u32]) -> (Input, Seen) {
        let room = self.shape.max_tokens.saturating_sub(self.tokens.around_two() + label.len());
        let tokens = mail.ids.len().min(room);
        let seen = Seen { tokens, truncated: mail.truncated || tokens < mail.ids.len() };
        (self.tokens.pair(&mail.ids[..tokens], label), seen)
    }

    /// The tokens of a label.
    fn label(&self, label: &LabelText) -> Result<Vec<u32>> {
        let longest = self.shape.max_tokens - self.tokens.around_two() - 1;
        let words = self.tokens.words(&words(label), longest)?;
        ensure!(!words.truncated, too_long(label, longest, &self.id));
        Ok(words.ids)
    }
}

/// How many classes the head tells apart.
pub(crate) fn classes(checkpoint: &Checkpoint) -> Result<u64> {
    let config = checkpoint.config()?;
    ensure!(has_classes(checkpoint)?, "the model has no head that scores pairs; it is an embedding");
    let named = config["id2label"].as_object().map(|names| names.len() as u64);
    // Two where nothing is said, as in transformers.
    Ok(named.or(config["num_labels"].as_u64()).unwrap_or(2))
}

impl Reranker for CrossEncoder {
    fn id(&self) -> &str {
        &self.id
    }

    fn default_max_tokens(&self) -> usize {
        self.shape.max_tokens
    }

    /// These models were trained without one.
    fn takes_instruction(&self) -> bool {
        false
    }

    fn check(&self, task: &Task) -> Result<()> {
        self.tasks.labels(task, |label| self.label(label)).map(drop)
    }

    fn judge(&self, task: &Task, questions: &[Question], max_tokens: usize) -> Result<Vec<Judgement>> {
        let labels = self.tasks.labels(task, |label| self.label(label))?;
        let most = max_tokens.min(self.shape.max_tokens);
        let mails = questions.par_iter().map(|question| self.tokens.words(question.text, most));
        let mails: Vec<Words> = mails.collect::<Result<_>>()?;
        let (mut inputs, mut seen) = (Vec::new(), Vec::new());
        for (question, mail) in questions.iter().zip(&mails) {
            for &label in question.labels {
                let label = labels.get(label).with_context(|| format!("there is no label {label}"))?;
                let (input, own) = self.pair(mail, label);
                inputs.push(input);
                seen.push(own);
            }
        }
        let mut logits = Vec::with_capacity(inputs.len());
        self.encoder.encode(&inputs, &mut |states| logits.push((self.head)(states)[0]))?;
        let mut read = logits.into_iter().zip(seen);
        let judgement = |question: &Question| {
            let (logits, seen) = read.by_ref().take(question.labels.len()).unzip();
            Judgement { logits, seen }
        };
        Ok(questions.iter().map(judgement).collect())
    }
}
