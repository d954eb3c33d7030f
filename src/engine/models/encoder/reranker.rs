//! Cross-encoders: how well a label fits a mail, read together. Rerankers have one logit for it, NLI models several.

use anyhow::{Context, Result, ensure};

use super::head::Head;
use super::nli::{self, ClassReading};
use super::tokens::{Input, Tokens};
use super::{Encoder, EncoderShape, check_tokens, has_classes};
use crate::engine::checkpoint::Checkpoint;
use crate::engine::models::tasks::{Tasks, too_long};
use crate::engine::registry::{LoadOptions, Loaded, Model, Request};
use crate::engine::{Comparison, Judgement, LabelText, Reranker, Seen, Task, TokenizedQuestion, TokenizedText};

/// An encoder that reads a mail and a label together: (query, passage) in the words of its makers.
pub(crate) struct CrossEncoder {
    id: String,
    encoder: Box<dyn Encoder>,
    shape: EncoderShape,
    pub(super) tokens: Tokens,
    head: Head,
    reading: ClassReading,
    tasks: Tasks,
}

impl CrossEncoder {
    /// Reads what the classes of the head mean.
    ///
    /// # Errors
    /// When it is neither a reranker's nor that of an NLI model, or `tokenizer.json` is missing, damaged, or of another
    /// model.
    pub(crate) fn new(
        checkpoint: &Checkpoint,
        request: Request,
        encoder: Box<dyn Encoder>,
        head: Head,
    ) -> Result<Self> {
        let reading = ClassReading::of(checkpoint.config()?, request.options)?;
        let tokens = Tokens::open(&checkpoint.path, false)?;
        let shape = encoder.shape();
        check_tokens(&tokens, &shape)?;
        Ok(Self { id: request.id.to_string(), encoder, shape, tokens, head, reading, tasks: Tasks::default() })
    }

    /// As the registry returns it. `numbers` is the class of numbers that the encoder computes with, such as `f32 cpu`.
    pub(crate) fn loaded(self, numbers: &str) -> Loaded {
        let class = format!("{numbers}{}", self.reading.class());
        Loaded { model: Model::Reranker(Box::new(self)), class, notes: Vec::new() }
    }

    /// A mail and a label, and what of the mail there was room for.
    fn pair(&self, mail: &TokenizedText, label: &[u32]) -> (Input, Seen) {
        let room = self.shape.max_tokens.saturating_sub(self.tokens.around_two() + label.len());
        let tokens = mail.ids.len().min(room);
        let seen = Seen { tokens, truncated: mail.truncated || tokens < mail.ids.len() };
        (self.tokens.pair(&mail.ids[..tokens], label), seen)
    }

    /// The tokens of a label.
    fn label(&self, label: &LabelText) -> Result<Vec<u32>> {
        let longest = self.shape.max_tokens - self.tokens.around_two() - 1;
        let words = self.tokens.words(&self.reading.words(label), longest)?;
        ensure!(!words.truncated, too_long(label, longest, &self.id));
        Ok(words.ids)
    }
}

/// How many classes the head tells apart, after checking that they are those of a reranker or an NLI model.
pub(crate) fn classes(checkpoint: &Checkpoint) -> Result<usize> {
    ensure!(has_classes(checkpoint)?, "the model has no head that scores pairs; it is an embedding");
    let config = checkpoint.config()?;
    ClassReading::of(config, &LoadOptions::default())?;
    Ok(nli::classes(config)?.len())
}

impl Reranker for CrossEncoder {
    fn id(&self) -> &str {
        &self.id
    }

    fn default_max_tokens(&self) -> usize {
        self.encoder.default_max_tokens()
    }

    fn shares_over_labels(&self) -> bool {
        self.reading.is_shared()
    }

    /// These models were trained without one.
    fn takes_instruction(&self) -> bool {
        false
    }

    fn check(&self, task: &Task) -> Result<()> {
        self.tasks.labels(task, |label| self.label(label)).map(drop)
    }

    fn tokenize(&self, text: &str, _: Option<&str>, max_tokens: usize) -> Result<TokenizedText> {
        self.tokens.words(text, max_tokens.min(self.shape.max_tokens))
    }

    fn judge_tokens(&self, task: &Task, questions: &[TokenizedQuestion]) -> Result<Vec<Judgement>> {
        let labels = self.tasks.labels(task, |label| self.label(label))?;
        let (mut inputs, mut seen) = (Vec::new(), Vec::new());
        for question in questions {
            for &label in question.labels {
                let label = labels.get(label).with_context(|| format!("there is no label {label}"))?;
                let (input, own) = self.pair(question.text, label);
                inputs.push(input);
                seen.push(own);
            }
        }
        let lengths = questions.iter().map(|question| question.labels.len());
        self.judged(&self.reading, &inputs, seen, lengths)
    }

    /// As the libraries for these models do it, the longer of the two is cut first.
    fn compare(&self, asked: &[Comparison], max_tokens: usize) -> Result<Vec<Judgement>> {
        // The softmax over labels means nothing for documents.
        let reading = self.reading.by_itself();
        let room = self.shape.max_tokens.saturating_sub(self.tokens.around_two());
        let most = max_tokens.min(room);
        let (mut inputs, mut seen) = (Vec::new(), Vec::new());
        for Comparison { query, documents, .. } in asked {
            let query = self.tokens.words(query, most)?;
            for document in documents.iter() {
                let label = LabelText { name: document.to_string(), description: None };
                let document = self.tokens.words(&reading.words(&label), most)?;
                let (first, second) = longest_first(query.ids.len(), document.ids.len(), room);
                let is_cut = first < query.ids.len() || second < document.ids.len();
                let truncated = query.truncated || document.truncated || is_cut;
                inputs.push(self.tokens.pair(&query.ids[..first], &document.ids[..second]));
                seen.push(Seen { tokens: first + second, truncated });
            }
        }
        self.judged(&reading, &inputs, seen, asked.iter().map(|asked| asked.documents.len()))
    }
}

impl CrossEncoder {
    /// The logits of pairs, of which each judgement has as many as `lengths` say.
    fn judged(
        &self,
        reading: &ClassReading,
        inputs: &[Input],
        seen: Vec<Seen>,
        lengths: impl Iterator<Item = usize>,
    ) -> Result<Vec<Judgement>> {
        let mut logits = Vec::with_capacity(inputs.len());
        let logit = |states: &[f32]| Ok(reading.logit(&(self.head)(states)?));
        self.encoder.encode(inputs, &mut |states| logits.push(logit(states)))?;
        let logits: Vec<f32> = logits.into_iter().collect::<Result<_>>()?;
        let mut read = logits.into_iter().zip(seen);
        let judgement = |length| {
            let (logits, seen) = read.by_ref().take(length).unzip();
            Judgement { logits, seen }
        };
        Ok(lengths.map(judgement).collect())
    }
}

/// How many tokens are left of two texts that have room for so many together.
fn longest_first(first: usize, second: usize, room: usize) -> (usize, usize) {
    if first + second <= room {
        return (first, second);
    }
    let half = room / 2;
    if first <= half {
        (first, room - first)
    } else if second <= room - half {
        (room - second, second)
    } else {
        (half, room - half)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longer_text_is_cut_first() {
        let check = |first, second, room, expected| assert_eq!(longest_first(first, second, room), expected);
        check(3, 4, 10, (3, 4));
        check(3, 40, 10, (3, 7));
        check(40, 3, 10, (7, 3));
        check(40, 40, 11, (5, 6));
        check(0, 40, 10, (0, 10));
        check(6, 6, 11, (5, 6));
    }
}
