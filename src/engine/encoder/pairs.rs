//! Classifiers of pairs with one logit: how well a label fits a mail, read together.

use anyhow::{Context, Result, ensure};
use rayon::prelude::*;

use super::layers::Dense;
use super::shape::{self, Shape};
use super::tokens::{Input, Tokens, Words};
use super::trunk::{self, Trunk};
use super::{fits, words};
use crate::engine::checkpoint::{Checkpoint, Family};
use crate::engine::tasks::{Tasks, too_long};
use crate::engine::{Judgement, LabelText, Question, Reranker, Seen, Task};

/// An encoder that reads a mail and a label together: (query, passage) in the words of its makers.
pub struct PairEncoder {
    id: String,
    shape: Shape,
    pub(super) tokens: Tokens,
    trunk: Trunk,
    /// From the first hidden state, [hidden] -> [hidden] and a hyperbolic tangent.
    dense: Dense,
    /// [hidden] -> [1].
    classifier: Dense,
    tasks: Tasks,
}

impl PairEncoder {
    /// Opens a folder; `id` is the name that goes into every record.
    ///
    /// # Errors
    /// When a file is missing or damaged, a weight is missing, left over or of another shape, or the head has more than
    /// one logit.
    pub fn open(checkpoint: &Checkpoint, id: &str) -> Result<Self> {
        let config = shape::config(checkpoint)?;
        ensure!(checkpoint.family()?.1, "the model has no head that scores pairs; it is an embedding");
        let named = config["id2label"].as_object().map(|names| names.len() as u64);
        // Two where nothing is said, as `transformers` has it.
        let labels = named.or(config["num_labels"].as_u64()).unwrap_or(2);
        ensure!(
            labels == 1,
            "the model tells {labels} classes of its own apart; mailsort takes rerankers, which have one"
        );
        let shape = Shape::of(checkpoint)?;
        let tokens = Tokens::open(&checkpoint.path, false)?;
        fits(&tokens, &shape)?;
        let weights = &checkpoint.weights;
        let trunk = Trunk::load(weights, &shape)?;
        let prefix = trunk::prefix(weights);
        let (dense, out) = match shape.family {
            Family::XlmRoberta => ("classifier.dense".to_string(), "classifier.out_proj"),
            _ => (format!("{prefix}pooler.dense"), "classifier"),
        };
        let dense = Dense::load(weights, &[dense], shape.hidden_size, shape.hidden_size)?;
        let classifier = Dense::load(weights, &[out.to_string()], 1, shape.hidden_size)?;
        // XLM-RoBERTa saved with a pooler has no use for it.
        weights.finish(|name| {
            let name = name.strip_prefix(prefix).unwrap_or(name);
            name == "embeddings.position_ids" || name.starts_with("pooler.dense.")
        })?;
        Ok(Self { id: id.to_string(), shape, tokens, trunk, dense, classifier, tasks: Tasks::default() })
    }

    /// The logit of the states of one pair, shape [tokens, hidden].
    fn logit(&self, states: &[f32]) -> f32 {
        let mut dense = self.dense.forward(&states[..self.shape.hidden_size]);
        dense.iter_mut().for_each(|value| *value = value.tanh());
        self.classifier.forward(&dense)[0]
    }

    /// A mail and a label, and what of the mail there was room for.
    fn pair(&self, mail: &Words, label: &[u32]) -> (Input, Seen) {
        let room = self.shape.longest().saturating_sub(self.tokens.around_two() + label.len());
        let tokens = mail.ids.len().min(room);
        let seen = Seen { tokens, truncated: mail.truncated || tokens < mail.ids.len() };
        (self.tokens.pair(&mail.ids[..tokens], label), seen)
    }

    /// The tokens of a label.
    fn label(&self, label: &LabelText) -> Result<Vec<u32>> {
        let longest = self.shape.longest() - self.tokens.around_two() - 1;
        let words = self.tokens.words(&words(label), longest)?;
        ensure!(!words.truncated, too_long(label, longest, &self.id));
        Ok(words.ids)
    }
}

impl Reranker for PairEncoder {
    fn id(&self) -> &str {
        &self.id
    }

    fn default_max_tokens(&self) -> usize {
        self.shape.longest()
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
        let most = max_tokens.min(self.shape.longest());
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
        let mut read = self.trunk.each(&inputs, |states| self.logit(states)).into_iter().zip(seen);
        let judgement = |question: &Question| {
            let (logits, seen) = read.by_ref().take(question.labels.len()).unzip();
            Judgement { logits, seen }
        };
        Ok(questions.iter().map(judgement).collect())
    }
}
