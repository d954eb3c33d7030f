//! Scores of a reranker, which reads the message with each label, or with those of a shortlist.

use std::borrow::Cow;
use std::sync::Arc;

use anyhow::{Context, Result};
use rayon::prelude::*;

use super::embeddings::Embeddings;
use super::memory::{KeyParts, Memory};
use super::vectors::Vectors;
use super::{Made, PreparedText, Scored, TextPair, label_texts, retry};
use crate::classifier::cache::{Key, Score, TextHash};
use crate::classifier::ranking::{sigmoid, softmax};
use crate::engine::{
    Comparison, Judgement, LabelText, Question, RETRIEVAL_TASK, Reranker, Seen, Task, TokenizedQuestion, TokenizedText,
};
use crate::labels::LabelSet;
use crate::record::{Reason, Scores};

/// A reranker, for any labels.
#[derive(Clone)]
pub(in crate::classifier) struct PairModel {
    engine: Arc<dyn Reranker>,
    /// How many tokens of a text the model sees.
    pub(in crate::classifier) max_tokens: usize,
    /// The model that chooses labels, and how many.
    shortlist: Option<(Arc<Embeddings>, usize)>,
    memory: Option<Arc<Memory>>,
}

impl PairModel {
    /// `max_tokens` is `None` for the model's own bound.
    pub(in crate::classifier) fn new(
        engine: Box<dyn Reranker>,
        max_tokens: Option<usize>,
        shortlist: Option<(Arc<Embeddings>, usize)>,
        memory: Option<Memory>,
    ) -> Self {
        let max_tokens = max_tokens.unwrap_or(engine.default_max_tokens());
        Self { engine: engine.into(), max_tokens, shortlist, memory: memory.map(Arc::new) }
    }

    /// How relevant each document is to its query: the probability, or an error of its own.
    ///
    /// # Errors
    /// When the model cannot run.
    pub(in crate::classifier) fn compare(&self, pairs: &[TextPair]) -> Result<Vec<Result<Made<f32>, Reason>>> {
        let probe = TextPair { instruct: None, query: "a question", document: "an answer" };
        let run = |pairs: &[TextPair]| Ok(self.judged(pairs)?.into_iter().map(Some).collect());
        let tried = retry::each(pairs, run, || self.engine.compare(&[probe.alone(&[probe.document])], 8).map(drop))?;
        let value = |score: Score| match sigmoid(score.logit) {
            value if value.is_finite() => Ok(Made { value, tokens: score.tokens as usize, truncated: score.truncated }),
            _ => Err(Reason::NotANumber),
        };
        Ok(tried.outcomes.into_iter().map(|made| made.and_then(value)).collect())
    }

    /// The scores of pairs, from the cache where possible.
    fn judged(&self, pairs: &[TextPair]) -> Result<Vec<Score>> {
        let keys: Vec<Key> = match &self.memory {
            Some(memory) => pairs.iter().map(|pair| self.key(memory, pair)).collect(),
            None => Vec::new(),
        };
        let mut known = match &self.memory {
            Some(memory) => memory.scores(&keys),
            None => vec![None; pairs.len()],
        };
        let open: Vec<usize> = (0..pairs.len()).filter(|&at| known[at].is_none()).collect();
        // Documents of one query are read behind one prefix.
        let groups: Vec<&[usize]> = open.chunk_by(|&a, &b| pairs[a].asks_as(&pairs[b])).collect();
        let texts: Vec<Vec<&str>> =
            groups.iter().map(|group| group.iter().map(|&at| pairs[at].document).collect()).collect();
        let asked: Vec<Comparison> =
            groups.iter().zip(&texts).map(|(group, documents)| pairs[group[0]].alone(documents)).collect();
        let mut fresh = Vec::new();
        for (group, judgement) in groups.iter().zip(self.engine.compare(&asked, self.max_tokens)?) {
            for (&at, (&logit, seen)) in group.iter().zip(judgement.logits.iter().zip(&judgement.seen)) {
                let score = Score { logit, tokens: seen.tokens as u32, truncated: seen.truncated };
                fresh.extend(keys.get(at).map(|key| (key.clone(), score)));
                known[at] = Some(score);
            }
        }
        if let Some(memory) = &self.memory {
            memory.keep_scores(&fresh);
        }
        known.into_iter().map(|score| score.context("the model gave no score for a document")).collect()
    }

    /// See [`Memory::uses`].
    pub(in crate::classifier) fn cache_uses(&self) -> (u64, u64) {
        self.memory.as_ref().map_or((0, 0), |memory| memory.uses())
    }

    /// What went wrong with the cache, once.
    pub(in crate::classifier) fn trouble(&self) -> Option<String> {
        self.memory.as_ref().and_then(|memory| memory.trouble())
    }

    fn key(&self, memory: &Memory, pair: &TextPair) -> Key {
        // The engine's own instruction for documents is another than that for labels, so it stands in the key.
        let instruct = Some(pair.instruct.unwrap_or(RETRIEVAL_TASK)).filter(|_| self.engine.takes_instruction());
        let parts = KeyParts { instruct, max_tokens: self.max_tokens };
        let document = LabelText { name: pair.document.to_string(), description: Some(DOCUMENT.into()) };
        memory.score_key(&parts, &document, TextHash::of(pair.query))
    }
}

/// Keeps the cache entries of documents, which may be cut, apart from those of labels, which are not.
const DOCUMENT: &str = "\u{0}document";

/// A reranker and its tasks.
pub(in crate::classifier) struct Pairs {
    model: PairModel,
    tasks: Vec<Asking>,
    sets: usize,
    shortlist: Option<(Vectors, usize)>,
}

/// A task, and its label sets: sets with the same instruction are scored in one pass.
struct Asking {
    task: Task,
    /// Index of the set, and of its first label in the task.
    sets: Vec<(usize, usize)>,
}

/// The labels of one task that are scored for one text, and the scores that the cache has.
struct Sheet {
    labels: Vec<usize>,
    known: Vec<Option<Score>>,
    keys: Vec<Key>,
}

impl Pairs {
    /// Groups the sets into tasks. `instructs` has the instruction of each set, `None` for the model's own.
    ///
    /// # Errors
    /// When the model has no room for an instruction or a label, or the model of the shortlist cannot read one.
    pub(in crate::classifier) fn new(
        model: PairModel,
        sets: &[LabelSet],
        instructs: &[Option<String>],
    ) -> Result<Self> {
        let engine = &model.engine;
        // An instruction that the model ignores makes no other task, nor another cache key.
        let read = |instruct: &Option<String>| instruct.clone().filter(|_| engine.takes_instruction());
        let own: Vec<Option<String>> = instructs.iter().map(read).collect();
        let mut tasks: Vec<Asking> = Vec::new();
        for (at, (set, instruct)) in sets.iter().zip(&own).enumerate() {
            let known = tasks.iter().position(|known| known.task.instruct == *instruct);
            let known = known.unwrap_or_else(|| {
                let task = Task { instruct: instruct.clone(), labels: Vec::new() };
                tasks.push(Asking { task, sets: Vec::new() });
                tasks.len() - 1
            });
            let Asking { task, sets } = &mut tasks[known];
            sets.push((at, task.labels.len()));
            task.labels.extend(label_texts(&set.labels));
        }
        tasks.iter().try_for_each(|asking| engine.check(&asking.task))?;
        let shortlist = match &model.shortlist {
            Some((embeddings, most)) => Some((Vectors::new(embeddings.clone(), sets, instructs)?, *most)),
            None => None,
        };
        Ok(Self { model, tasks, sets: sets.len(), shortlist })
    }

    pub(super) fn max_tokens(&self) -> usize {
        self.model.max_tokens
    }

    /// See [`super::Scorer::tokenize`].
    pub(super) fn tokenize(&self, text: &str) -> Vec<Option<TokenizedText>> {
        let mut tokens = self.shortlist.as_ref().map_or(Vec::new(), |(vectors, _)| vectors.tokenize(text));
        let ahead = |asking: &Asking| match self.model.memory {
            Some(_) => None,
            None => self.tokens(&asking.task, text).ok(),
        };
        tokens.extend(self.tasks.iter().map(ahead));
        tokens
    }

    fn tokens(&self, task: &Task, text: &str) -> Result<TokenizedText> {
        self.model.engine.tokenize(text, task.instruct.as_deref(), self.model.max_tokens)
    }

    /// Scores texts.
    ///
    /// # Errors
    /// When a model cannot run.
    pub(super) fn score(&self, texts: &[PreparedText]) -> Result<Vec<Scored>> {
        let chosen = match &self.shortlist {
            Some((vectors, most)) => Some(vectors.shortlist(texts, *most)?),
            None => None,
        };
        let empty = || Scores { labels: Vec::new(), probabilities: Vec::new(), raw: Vec::new() };
        let new =
            || Scored { sets: (0..self.sets).map(|_| empty()).collect(), by: Vec::new(), tokens: 0, truncated: false };
        let mut scored: Vec<Scored> = texts.iter().map(|_| new()).collect();
        for (at, asking) in self.tasks.iter().enumerate() {
            let wanted = |at: usize| asking.wanted(chosen.as_ref().map(|chosen| &chosen[at][..]));
            let wanted: Vec<Vec<usize>> = (0..texts.len()).map(wanted).collect();
            let judged = self.judge(at, texts, &wanted)?;
            for ((scored, labels), judgement) in scored.iter_mut().zip(wanted).zip(judged) {
                scored.tokens = scored.tokens.max(judgement.tokens());
                scored.truncated |= judgement.truncated();
                asking.hand_out(&labels, &judgement.logits, &mut scored.sets);
            }
        }
        if self.model.engine.shares_over_labels() {
            let sets = scored.iter_mut().flat_map(|scored| &mut scored.sets);
            sets.for_each(|set| set.probabilities = softmax(&set.raw));
        }
        Ok(scored)
    }

    /// Scores the words of the first label against itself, past the cache.
    ///
    /// # Errors
    /// When a model cannot run.
    pub(super) fn probe(&self) -> Result<()> {
        if let Some((vectors, _)) = &self.shortlist {
            vectors.probe()?;
        }
        for Asking { task, .. } in self.tasks.iter().take(1) {
            let Some(label) = task.labels.first() else { continue };
            self.model.engine.judge(task, &[Question { text: &label.name, labels: &[0] }], self.model.max_tokens)?;
        }
        Ok(())
    }

    /// Logits of the wanted labels of each text, from the cache where possible. `at` is the number of the task.
    fn judge(&self, at: usize, texts: &[PreparedText], wanted: &[Vec<usize>]) -> Result<Vec<Judgement>> {
        let task = &self.tasks[at].task;
        let mut sheets: Vec<Sheet> =
            texts.iter().zip(wanted).map(|(text, labels)| self.sheet(task, &text.text, labels)).collect();
        let missing: Vec<Vec<usize>> = sheets.iter().map(Sheet::missing).collect();
        let asked = |at: &usize| !missing[*at].is_empty();
        let open: Vec<usize> = (0..texts.len()).filter(asked).collect();
        let first = self.shortlist.as_ref().map_or(0, |(vectors, _)| vectors.tasks());
        let tokens = open.par_iter().map(|&open| texts[open].tokens_for(first + at, |text| self.tokens(task, text)));
        let tokens: Vec<Cow<TokenizedText>> = tokens.collect::<Result<_>>()?;
        let asked = tokens.iter().zip(&open);
        let questions: Vec<TokenizedQuestion> =
            asked.map(|(text, &at)| TokenizedQuestion { text, labels: &missing[at] }).collect();
        let judged = self.model.engine.judge_tokens(task, &questions)?;
        let mut fresh = Vec::new();
        for (at, judgement) in open.into_iter().zip(judged) {
            fresh.extend(sheets[at].fill(&judgement));
        }
        if let Some(memory) = &self.model.memory {
            memory.keep_scores(&fresh);
        }
        Ok(sheets.into_iter().map(Sheet::judgement).collect())
    }

    fn sheet(&self, task: &Task, text: &str, labels: &[usize]) -> Sheet {
        let (mut keys, mut known) = (Vec::new(), vec![None; labels.len()]);
        if let Some(memory) = &self.model.memory {
            let parts = KeyParts { instruct: task.instruct.as_deref(), max_tokens: self.model.max_tokens };
            let text = TextHash::of(text);
            keys = labels.iter().map(|&label| memory.score_key(&parts, &task.labels[label], text)).collect();
            known = memory.scores(&keys);
        }
        Sheet { labels: labels.to_vec(), known, keys }
    }

    /// What went wrong with the cache, once.
    pub(super) fn trouble(&self) -> Option<String> {
        let own = self.model.trouble();
        own.or_else(|| self.shortlist.as_ref()?.0.trouble())
    }
}

impl Asking {
    /// Indices of the task's labels to score; `chosen` has the shortlist of each set.
    fn wanted(&self, chosen: Option<&[Vec<usize>]>) -> Vec<usize> {
        match chosen {
            None => (0..self.task.labels.len()).collect(),
            Some(chosen) => {
                let of_set = |&(set, first): &(usize, usize)| chosen[set].iter().map(move |label| first + label);
                self.sets.iter().flat_map(of_set).collect()
            }
        }
    }

    /// Appends the logits to the scores of their sets.
    fn hand_out(&self, labels: &[usize], logits: &[f32], scores: &mut [Scores]) {
        for (&label, &logit) in labels.iter().zip(logits) {
            let owner = self.sets.iter().rev().find(|(_, first)| *first <= label);
            if let Some(&(set, first)) = owner {
                scores[set].labels.push(label - first);
                scores[set].probabilities.push(sigmoid(logit));
                scores[set].raw.push(logit);
            }
        }
    }
}

impl Sheet {
    /// Labels without a known score.
    fn missing(&self) -> Vec<usize> {
        self.labels.iter().zip(&self.known).filter(|(_, known)| known.is_none()).map(|(label, _)| *label).collect()
    }

    /// Fills in the new scores, and returns them with their cache keys, if there is a cache.
    fn fill(&mut self, judgement: &Judgement) -> Vec<(Key, Score)> {
        let mut judged = judgement.logits.iter().zip(&judgement.seen);
        let mut fresh = Vec::new();
        for (at, gap) in self.known.iter_mut().enumerate().filter(|(_, known)| known.is_none()) {
            let Some((&logit, seen)) = judged.next() else { break };
            let score = Score { logit, tokens: seen.tokens as u32, truncated: seen.truncated };
            fresh.extend(self.keys.get(at).map(|key| (key.clone(), score)));
            *gap = Some(score);
        }
        fresh
    }

    fn judgement(self) -> Judgement {
        // A score that is still missing is NaN, which becomes an error of the document.
        let read = |known: Option<Score>| match known {
            Some(Score { logit, tokens, truncated }) => (logit, Seen { tokens: tokens as usize, truncated }),
            None => (f32::NAN, Seen::default()),
        };
        let (logits, seen) = self.known.into_iter().map(read).unzip();
        Judgement { logits, seen }
    }
}
