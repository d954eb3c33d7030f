//! Qwen3 rerankers: the probability that a label fits a mail, read from how much the model would rather say yes than
//! no.

use anyhow::{Context, Result, bail, ensure};
use rayon::prelude::*;

use super::Qwen3;
use super::batch::Prompt;
use super::config::Qwen3Config;
use super::load::check_vocabulary;
use super::prompt::{self, RERANKER_TASK, RerankerPrompt};
use super::vocabulary::Vocabulary;
use crate::engine::checkpoint::{Checkpoint, Description};
use crate::engine::models::tasks::{Memo, Tasks, too_long};
use crate::engine::{
    Comparison, Judgement, LabelText, RETRIEVAL_TASK, Reranker, Seen, Task, TokenizedQuestion, TokenizedText,
};

/// One part in so many of the context is kept free for a label, whatever labels there are: where a mail is cut must not
/// depend on which others it is asked about.
const LABEL_PART: usize = 4;
/// Cutting may leave a token or two more at the seams than were counted.
const SEAMS: usize = 8;

/// A Qwen3 reranker.
pub(crate) struct Qwen3Reranker {
    id: String,
    prompt: RerankerPrompt,
    model: Box<dyn Qwen3>,
    /// The row of the output head for `yes` less that for `no`. Shape: [hidden].
    head: Vec<f32>,
    batch_tokens: usize,
    tasks: Tasks,
    /// Tokens of the prompt of each instruction, without a text and a label.
    prompts: Memo<String, usize>,
}

impl Qwen3Reranker {
    /// Reads the tokenizer and the head, and lets `load` read the other weights, whose names begin with its argument.
    ///
    /// # Errors
    /// When something is missing, of another shape, or left over; or the device has not enough memory.
    pub(crate) fn new(
        id: &str,
        checkpoint: &Checkpoint,
        load: impl FnOnce(&str) -> Result<Box<dyn Qwen3>>,
        batch_tokens: usize,
    ) -> Result<Self> {
        let prompt = RerankerPrompt::new(Vocabulary::open(checkpoint)?)?;
        let config = Qwen3Config::of(checkpoint)?;
        check_vocabulary(prompt.highest(), &config)?;
        let head = head(checkpoint, &config, &prompt)?;
        let model = load("model.")?;
        checkpoint.weights.finish(|_| false)?;
        Ok(Self {
            id: id.to_string(),
            prompt,
            model,
            head,
            batch_tokens,
            tasks: Tasks::default(),
            prompts: Memo::default(),
        })
    }

    /// Tokens of a mail that fit beside the instruction and the part that is kept for a label.
    fn room(&self, instruct: &str, max_tokens: usize) -> Result<usize> {
        let context = self.model.config().max_position_embeddings;
        let bare = self.prompts.get(instruct, || Ok(self.prompt.prefix(instruct, "", 0)?.ids.len()))?;
        let overhead = bare + context / LABEL_PART + SEAMS;
        ensure!(
            overhead < context,
            "the instruction alone has {bare} tokens; {} reads {context}, of which a quarter is for a label",
            self.id
        );
        Ok(max_tokens.min(context - overhead))
    }

    /// Tokens from a label on.
    fn tail(&self, label: &LabelText) -> Result<Vec<u32>> {
        let tail = self.prompt.tail(&prompt::label(label))?;
        let most = self.model.config().max_position_embeddings / LABEL_PART;
        ensure!(tail.len() <= most, too_long(label, most.saturating_sub(self.prompt.ending()), &self.id));
        Ok(tail)
    }
}

/// The output head for one number. Recent GGUF files hold the rows of `yes` and `no`, some checkpoints one row for
/// their difference, and all others the head of a language model, which may be the embedding.
pub(crate) fn head(checkpoint: &Checkpoint, config: &Qwen3Config, prompt: &RerankerPrompt) -> Result<Vec<f32>> {
    let Qwen3Config { vocab_size, hidden_size, .. } = *config;
    let weights = &checkpoint.weights;
    if weights.has("score.weight") {
        return weights.take("score.weight", &[1, hidden_size])?.values();
    }
    if weights.has("cls.output.weight") {
        let rows = weights.take("cls.output.weight", &[2, hidden_size])?;
        return Ok(difference(&rows.rows(0..1)?, &rows.rows(1..2)?));
    }
    if let Description::Gguf(_) = checkpoint.description {
        bail!(
            "{} has no `cls.output.weight`, the rows of yes and no: it is not a reranker, or was made by an older \
             llama.cpp; convert the model again with a recent convert_hf_to_gguf.py",
            checkpoint.path.display()
        );
    }
    let rows = |name: &str| -> Result<Vec<f32>> {
        let head = weights.take(name, &[vocab_size, hidden_size])?;
        let row = |id: u32| head.rows(id as usize..id as usize + 1);
        Ok(difference(&row(prompt.yes)?, &row(prompt.no)?))
    };
    if !config.tie_word_embeddings {
        return rows("lm_head.weight");
    }
    let tied = rows("model.embed_tokens.weight")?;
    ensure!(
        !weights.has("lm_head.weight") || rows("lm_head.weight")? == tied,
        "config.json says that the output head is the embedding, but lm_head.weight is another"
    );
    Ok(tied)
}

fn difference(yes: &[f32], no: &[f32]) -> Vec<f32> {
    yes.iter().zip(no).map(|(yes, no)| yes - no).collect()
}

impl Reranker for Qwen3Reranker {
    fn id(&self) -> &str {
        &self.id
    }

    fn default_max_tokens(&self) -> usize {
        2048
    }

    fn check(&self, task: &Task) -> Result<()> {
        self.room(task.instruct.as_deref().unwrap_or(RERANKER_TASK), 0)?;
        self.tasks.labels(task, |label| self.tail(label)).map(drop)
    }

    fn tokenize(&self, text: &str, instruct: Option<&str>, max_tokens: usize) -> Result<TokenizedText> {
        let instruct = instruct.unwrap_or(RERANKER_TASK);
        self.prompt.prefix(instruct, text, self.room(instruct, max_tokens)?)
    }

    fn judge_tokens(&self, task: &Task, questions: &[TokenizedQuestion]) -> Result<Vec<Judgement>> {
        let tails = self.tasks.labels(task, |label| self.tail(label))?;
        let read = |question: &TokenizedQuestion| {
            let TokenizedText { ids, tokens, truncated } = question.text;
            let tail = |&label: &usize| tails.get(label).cloned().with_context(|| format!("there is no label {label}"));
            let tails = question.labels.iter().map(tail).collect::<Result<_>>()?;
            let seen = Seen { tokens: *tokens, truncated: *truncated };
            let judgement = Judgement { logits: Vec::new(), seen: vec![seen; question.labels.len()] };
            Ok((Prompt { prefix: ids.clone(), tails }, judgement))
        };
        let read: Vec<(Prompt, Judgement)> = questions.iter().map(read).collect::<Result<_>>()?;
        self.judged(read)
    }

    fn compare(&self, asked: &[Comparison], max_tokens: usize) -> Result<Vec<Judgement>> {
        let most = self.model.config().max_position_embeddings / LABEL_PART;
        let most = max_tokens.min(most.saturating_sub(self.prompt.ending() + SEAMS));
        let read = asked.par_iter().map(|Comparison { instruct, query, documents }| {
            let query = self.tokenize(query, Some(instruct.unwrap_or(RETRIEVAL_TASK)), max_tokens)?;
            let documents = documents.par_iter().map(|document| self.prompt.document(document, most));
            let documents: Vec<TokenizedText> = documents.collect::<Result<_>>()?;
            let seen = documents.iter().map(|document| Seen {
                tokens: query.tokens + document.tokens,
                truncated: query.truncated || document.truncated,
            });
            let judgement = Judgement { logits: Vec::new(), seen: seen.collect() };
            let tails = documents.into_iter().map(|document| document.ids).collect();
            Ok((Prompt { prefix: query.ids, tails }, judgement))
        });
        self.judged(read.collect::<Result<_>>()?)
    }
}

impl Qwen3Reranker {
    /// Fills in the logits of prompts.
    fn judged(&self, read: Vec<(Prompt, Judgement)>) -> Result<Vec<Judgement>> {
        let (prompts, mut judgements): (Vec<Prompt>, Vec<Judgement>) = read.into_iter().unzip();
        // A mail that is asked about no label needs no pass.
        let asked = prompts.into_iter().enumerate().filter(|(_, prompt)| !prompt.tails.is_empty());
        let (asked, prompts): (Vec<usize>, Vec<Prompt>) = asked.unzip();
        self.model.run(&self.id, &prompts, self.batch_tokens, |slots, states| {
            let mut logits = states.iter().map(|state| dot(state, &self.head));
            for slot in slots {
                // The batches of one prompt come in the order of its tails.
                judgements[asked[slot.prompt]].logits.extend(logits.by_ref().take(slot.count));
            }
        })?;
        Ok(judgements)
    }
}

fn dot(state: &[f32], head: &[f32]) -> f32 {
    // Two large sums that nearly cancel: f64 costs nothing here.
    state.iter().zip(head).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>() as f32
}
