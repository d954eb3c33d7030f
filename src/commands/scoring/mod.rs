//! From documents to verdicts: whichever model scores, behind whichever shortlist and cache.

mod embeddings;
mod learned;
mod memory;
mod pairs;
mod retry;
mod vectors;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;

use crate::engine::LabelText;
use crate::labels::LabelSet;
use crate::record::{Document, Intake, Outcome, Reason, Scores, Verdict};
use crate::sorting::Rules;

pub(super) use embeddings::Embeddings;
pub(super) use learned::Learned;
pub(super) use memory::Memory;
pub(super) use pairs::Pairs;
pub(super) use vectors::Vectors;

/// Everything that scoring needs.
pub(super) struct Scoring {
    scorer: Scorer,
    rules: Vec<Rules>,
    /// What a user should know of a batch that had to be taken apart; said once.
    taken_apart: OnceLock<String>,
    said: AtomicBool,
}

/// What scores a text.
pub(super) enum Scorer {
    /// Vectors of texts and labels.
    Vectors(Vectors),
    /// Pairs of text and label.
    Pairs(Pairs),
    /// A classifier on vectors of texts.
    Learned(Box<Learned>),
}

/// What a scorer makes of one text.
pub(super) struct Scored {
    /// One for each label set.
    sets: Vec<Scores>,
    tokens: usize,
    truncated: bool,
}

impl Scorer {
    fn score(&self, texts: &[String]) -> Result<Vec<Option<Scored>>> {
        match self {
            Self::Vectors(vectors) => vectors.score(texts),
            Self::Pairs(pairs) => Ok(pairs.score(texts)?.into_iter().map(Some).collect()),
            Self::Learned(learned) => learned.score(texts),
        }
    }

    /// Scores the words of a label, whatever a cache knows of them.
    fn probe(&self) -> Result<()> {
        match self {
            Self::Vectors(vectors) => vectors.probe(),
            Self::Pairs(pairs) => pairs.probe(),
            Self::Learned(learned) => learned.probe(),
        }
    }

    fn trouble(&self) -> Option<String> {
        match self {
            Self::Vectors(vectors) => vectors.trouble(),
            Self::Pairs(pairs) => pairs.trouble(),
            Self::Learned(learned) => learned.trouble(),
        }
    }
}

impl Scoring {
    /// Takes one set of rules for each label set.
    pub(super) fn new(scorer: Scorer, rules: Vec<Rules>) -> Self {
        Self { scorer, rules, taken_apart: OnceLock::new(), said: AtomicBool::new(false) }
    }

    /// What a user should know since this was last asked, though the run goes on.
    pub(super) fn troubles(&self) -> Vec<String> {
        let cache = self.scorer.trouble();
        let batch = self.taken_apart.get().filter(|_| !self.said.swap(true, Ordering::Relaxed));
        cache.into_iter().chain(batch.cloned()).collect()
    }

    /// One verdict for each document, in order.
    ///
    /// # Errors
    /// When the model cannot run.
    pub(super) fn verdicts(&self, piece: Vec<Intake>) -> Result<Vec<Verdict>> {
        let texts: Vec<String> = piece.iter().flatten().map(Document::text).collect();
        let mut scored = self.scored(&texts)?.into_iter();
        let verdict = |read: Intake| match read {
            Err(skip) => Verdict { origin: skip.origin, envelope: skip.envelope, outcome: Err(skip.reason) },
            Ok(document) => {
                let scored = scored.next().unwrap_or(Err(Reason::NoKnownWords));
                let outcome = scored.and_then(|scored| self.outcome(&scored, document.truncated));
                Verdict { origin: document.origin, envelope: document.envelope, outcome }
            }
        };
        Ok(piece.into_iter().map(verdict).collect())
    }

    fn outcome(&self, scored: &Scored, cut: bool) -> Result<Outcome, Reason> {
        let rank = |(rules, scores): (&Rules, &Scores)| rules.rank(scores).ok_or(Reason::NotANumber);
        let rankings = self.rules.iter().zip(&scored.sets).map(rank).collect::<Result<_, _>>()?;
        Ok(Outcome { rankings, tokens: scored.tokens, truncated: scored.truncated || cut })
    }
}

/// How a set is ranked, labels without a threshold of their own counting from `threshold` on.
pub(super) fn rules(set: &LabelSet, threshold: Option<f32>, top_k: usize, raw: bool) -> Rules {
    Rules {
        names: set.labels.iter().map(|label| label.name.clone()).collect(),
        thresholds: (0..set.labels.len()).map(|at| set.threshold(at, threshold)).collect(),
        top_k,
        raw,
    }
}

/// The labels of a set as a model reads them.
pub(super) fn label_texts(set: &LabelSet) -> Vec<LabelText> {
    let text = |label: &crate::labels::Label| LabelText { name: label.words(), description: label.description.clone() };
    set.labels.iter().map(text).collect()
}
