//! Scores of an embedder: the vector of the message with that of each label.

use std::cmp::Ordering;
use std::sync::Arc;

use anyhow::{Context, Result, bail};

use super::{Embeddings, PreparedText, Scored, unknown_label};
use crate::classifier::zero_shot::ZeroShot;
use crate::engine::{Embedding, TokenizedText};
use crate::labels::{Label, LabelSet};
use crate::record::{Decider, Scores};

/// An embedder and the vectors of all labels.
pub(in crate::classifier) struct Vectors {
    embeddings: Arc<Embeddings>,
    sets: Vec<EmbeddedSet>,
    /// The distinct instructions, as sets may share one.
    instructs: Vec<Option<String>>,
    /// The words of a label, which any working model can embed.
    probe: Vec<String>,
    /// What records call it, where they say more than the name of the model.
    decider: Option<Decider>,
}

struct EmbeddedSet {
    sorter: ZeroShot,
    /// Index into `instructs`.
    instruct: usize,
}

impl Vectors {
    /// Embeds the labels. `instructs` has the instruction of each set, `None` for the model's own.
    ///
    /// # Errors
    /// When the model knows no word of a label, has no room for an instruction, or cannot run.
    pub(in crate::classifier) fn new(
        embeddings: Arc<Embeddings>,
        sets: &[LabelSet],
        instructs: &[Option<String>],
    ) -> Result<Self> {
        let read = |instruct: &Option<String>| instruct.clone().filter(|_| embeddings.engine.takes_instruction());
        let instructs: Vec<Option<String>> = instructs.iter().map(read).collect();
        let mut distinct: Vec<Option<String>> = Vec::new();
        let mut made = Vec::new();
        for (set, instruct) in sets.iter().zip(&instructs) {
            let known = distinct.iter().position(|known| known == instruct).unwrap_or(distinct.len());
            if known == distinct.len() {
                embeddings.engine.check(instruct.as_deref())?;
                distinct.push(instruct.clone());
            }
            made.push(EmbeddedSet { sorter: sorter(&embeddings, set, instruct.as_deref())?, instruct: known });
        }
        let probe = sets.iter().flat_map(|set| set.labels.first()).map(|label| label.words()).take(1).collect();
        Ok(Self { embeddings, sets: made, instructs: distinct, probe, decider: None })
    }

    /// Says in records that it has decided.
    pub(in crate::classifier) fn named(self, decider: Decider) -> Self {
        Self { decider: Some(decider), ..self }
    }

    /// See [`super::Scorer::tokenize`].
    pub(super) fn tokenize(&self, text: &str) -> Vec<Option<TokenizedText>> {
        self.instructs.iter().map(|instruct| self.embeddings.ahead(text, instruct.as_deref())).collect()
    }

    /// See [`Embeddings::knows`].
    pub(super) fn knows(&self, text: &str) -> bool {
        self.embeddings.knows(text)
    }

    /// The number of its tasks.
    pub(super) fn tasks(&self) -> usize {
        self.instructs.len()
    }

    /// Scores texts. `None` for one of which the model knows no word.
    ///
    /// # Errors
    /// When the model cannot run.
    pub(super) fn score(&self, texts: &[PreparedText]) -> Result<Vec<Option<Scored>>> {
        let tasks = self.instructs.iter().enumerate();
        let by_instruct = tasks.map(|(task, instruct)| self.embeddings.embed(texts, task, instruct.as_deref()));
        let by_instruct: Vec<Vec<Option<Embedding>>> = by_instruct.collect::<Result<_>>()?;
        let scored = |at: usize| {
            let embeddings: Vec<&Embedding> =
                by_instruct.iter().map(|made| made[at].as_ref()).collect::<Option<_>>()?;
            let sets = self.sets.iter().map(|set| set.sorter.scores(&embeddings[set.instruct].vector));
            Some(Scored {
                sets: sets.collect(),
                by: self.decider.map_or(Vec::new(), |decider| vec![decider; self.sets.len()]),
                tokens: embeddings.iter().map(|made| made.tokens).max().unwrap_or(0),
                truncated: embeddings.iter().any(|made| made.truncated),
            })
        };
        Ok((0..texts.len()).map(scored).collect())
    }

    /// Embeds the words of a label as if they were a text, past the cache.
    ///
    /// # Errors
    /// When the model cannot run.
    pub(super) fn probe(&self) -> Result<()> {
        let instruct = self.instructs.first().and_then(Option::as_deref);
        self.embeddings.probe(&self.probe, instruct)
    }

    /// The `most` likeliest labels of each set for each text, best first; all of them for a text without a known word.
    /// Shape: [texts][sets].
    ///
    /// # Errors
    /// When the model cannot run.
    pub(super) fn shortlist(&self, texts: &[PreparedText], most: usize) -> Result<Vec<Vec<Vec<usize>>>> {
        let scored = self.score(texts)?;
        let every = |set: &EmbeddedSet| (0..set.sorter.labels()).collect();
        let best = |scores: &Scores| {
            // Without a label the document gets an error.
            if scores.raw.iter().any(|score| score.is_nan()) {
                return Vec::new();
            }
            let mut order = scores.labels.clone();
            order.sort_by(|&a, &b| scores.raw[b].total_cmp(&scores.raw[a]));
            order.truncate(most);
            order
        };
        let lists = |scored: Option<Scored>| match scored {
            Some(scored) => scored.sets.iter().map(best).collect(),
            None => self.sets.iter().map(every).collect(),
        };
        Ok(scored.into_iter().map(lists).collect())
    }

    pub(super) fn max_tokens(&self) -> usize {
        self.embeddings.max_tokens
    }

    /// What went wrong with the cache, once.
    pub(super) fn trouble(&self) -> Option<String> {
        self.embeddings.trouble()
    }
}

/// # Errors
/// When two labels are the same to the model, such as numbers: the later could never be the best.
fn check_distinct(vectors: &[Vec<f32>], set: &LabelSet, model: &str) -> Result<()> {
    let compare = |&one: &usize, &other: &usize| {
        let pairs = vectors[one].iter().zip(&vectors[other]);
        pairs.map(|(one, other)| one.total_cmp(other)).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    };
    // There may be very many labels, so the vectors stay where they are.
    let mut order: Vec<usize> = (0..vectors.len()).collect();
    order.sort_by(compare);
    let same = order.windows(2).filter(|pair| compare(&pair[0], &pair[1]).is_eq()).min_by_key(|pair| pair[1]);
    if let Some(&[one, other]) = same {
        bail!(
            "the labels {:?} and {:?} in {:?} are the same to the model {model}; say what tells them apart in a \
             description, `name: description`",
            set.labels[one].name,
            set.labels[other].name,
            set.name
        );
    }
    Ok(())
}

/// Embeds the labels of a set.
fn sorter(embeddings: &Embeddings, set: &LabelSet, instruct: Option<&str>) -> Result<ZeroShot> {
    let known = |(label, vector): (&Label, Option<Vec<f32>>)| {
        vector.with_context(|| unknown_label(embeddings.engine.id(), &label.name, &set.name))
    };
    let vectors = set.labels.iter().zip(embeddings.of_set(set, instruct)?).map(known).collect::<Result<Vec<_>>>()?;
    check_distinct(&vectors, set, embeddings.engine.id())?;
    let temperature = embeddings.engine.temperature(&vectors);
    Ok(ZeroShot::new(vectors, temperature))
}
