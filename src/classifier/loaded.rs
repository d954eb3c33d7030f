//! A model that is ready, for any labels: what a server shares between requests that bring labels of their own.

use std::ops::Range;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use super::scoring::{
    Cascade, Embeddings, Made, PairModel, Pairs, PreparedText, Scorer, TextPair, TextRole, Vectors, label_texts,
};
use super::spec::Budget;
use crate::engine::{Embedding, unit};
use crate::labels::LabelSet;
use crate::record::{Decider, Reason};

/// A model that is ready, for any labels.
pub struct LoadedModel {
    parts: Parts,
    about: ModelFacts,
    pub(super) identity: Vec<String>,
    /// The model and its weights, by which its vectors are known, where it was loaded for that.
    weights: Option<String>,
}

/// What is known of a model without its weights.
pub(super) struct ModelFacts {
    pub(super) id: String,
    /// The instruction that wins over that of a label set.
    pub(super) instruct: Option<String>,
    pub(super) budget: Budget,
    /// True where each label of a set has a probability of its own.
    pub(super) is_independent: bool,
    /// True for a model of a server, which may come back when it is gone.
    pub(super) is_remote: bool,
    /// The longest vectors of an embedding that gives a choice of lengths.
    pub(super) most_dims: Option<usize>,
}

/// The best of the models, which answers what is asked without labels.
enum Best<'a> {
    Embeddings(&'a Embeddings),
    Pairs(&'a PairModel),
}

/// The models of a [`LoadedModel`].
pub(super) enum Parts {
    /// An embedding.
    Vectors {
        embeddings: Arc<Embeddings>,
        /// What records call it, where they say more than the name of the model.
        decider: Option<Decider>,
    },
    /// The built-in model, and `deep` where it is not sure.
    Deep { builtin: Arc<Embeddings>, deep: Arc<Embeddings> },
    /// A reranker.
    Pairs(PairModel),
}

impl LoadedModel {
    pub(super) fn new(about: ModelFacts, parts: Parts, identity: Vec<String>, weights: Option<String>) -> Self {
        Self { parts, about, identity, weights }
    }

    /// The name of the model.
    pub fn id(&self) -> &str {
        &self.about.id
    }

    /// A hash of all that its vectors depend on besides their length, where it was loaded for that. An instruction is none
    /// of it: only questions and labels have one.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        for part in [self.weights.as_deref().unwrap_or_default(), &self.max_tokens().to_string()] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        hash.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// How much of its work is done at once.
    pub fn budget(&self) -> Budget {
        self.about.budget
    }

    /// True where each label of a set has a probability of its own.
    pub(super) fn is_independent(&self) -> bool {
        self.about.is_independent
    }

    /// True for a model of a server, which may come back when it is gone.
    pub fn is_remote(&self) -> bool {
        self.about.is_remote
    }

    /// True for a reranker, which gives no vectors.
    pub fn is_of_pairs(&self) -> bool {
        matches!(self.parts, Parts::Pairs(_))
    }

    /// Length of its vectors; `None` for a reranker.
    pub fn dims(&self) -> Option<usize> {
        self.embeddings().map(|embeddings| embeddings.engine.dims())
    }

    /// The longest vectors that it can be asked for, where it was trained for a choice of lengths.
    pub fn most_dims(&self) -> Option<usize> {
        self.about.most_dims
    }

    /// How many tokens of a text it reads.
    pub fn max_tokens(&self) -> usize {
        match self.best() {
            Best::Pairs(model) => model.max_tokens,
            Best::Embeddings(embeddings) => embeddings.max_tokens,
        }
    }

    fn embeddings(&self) -> Option<&Embeddings> {
        match self.best() {
            Best::Embeddings(embeddings) => Some(embeddings),
            Best::Pairs(_) => None,
        }
    }

    fn best(&self) -> Best<'_> {
        match &self.parts {
            Parts::Vectors { embeddings, .. } | Parts::Deep { deep: embeddings, .. } => Best::Embeddings(embeddings),
            Parts::Pairs(model) => Best::Pairs(model),
        }
    }

    /// What scores texts by the labels of these sets.
    ///
    /// # Errors
    /// When the model cannot read a label, or has no room for an instruction.
    pub(super) fn scorer(&self, sets: &[LabelSet]) -> Result<Scorer> {
        let instructs: Vec<_> = sets.iter().map(|set| self.about.instruct.clone().or(set.instruct.clone())).collect();
        Ok(match &self.parts {
            Parts::Deep { builtin, deep } => {
                let better = Vectors::new(deep.clone(), sets, &instructs)?.named(Decider::Deep);
                let mut labels = sets.iter().flat_map(|set| label_texts(&set.labels));
                if labels.all(|label| builtin.engine.knows_label(&label)) {
                    let fast = Vectors::new(builtin.clone(), sets, &instructs)?;
                    Scorer::Cascade(Box::new(Cascade::new(fast.named(Decider::Builtin), better)))
                } else {
                    Scorer::Vectors(better)
                }
            }
            Parts::Vectors { embeddings, decider } => {
                let vectors = Vectors::new(embeddings.clone(), sets, &instructs)?;
                Scorer::Vectors(match decider {
                    Some(decider) => vectors.named(*decider),
                    None => vectors,
                })
            }
            Parts::Pairs(model) => Scorer::Pairs(Pairs::new(model.clone(), sets, &instructs)?),
        })
    }

    /// The vector of each text by itself, of length 1; shape `[dims]`. A text of which the model knows no word has an
    /// error.
    ///
    /// # Errors
    /// When it is a reranker, or cannot run.
    pub fn embed(&self, texts: Vec<String>, role: TextRole<'_>) -> Result<Vec<Result<Made<Vec<f32>>, Reason>>> {
        let embeddings =
            self.embeddings().with_context(|| format!("{} is a reranker and gives no vectors", self.about.id))?;
        let texts: Vec<PreparedText> = texts.into_iter().map(PreparedText::from).collect();
        let made = embeddings.by_role(&texts, role)?;
        let finished = |made: Result<Embedding, Reason>| {
            let Embedding { vector, tokens, truncated } = made?;
            let value = unit(vector);
            if value.iter().any(|value| !value.is_finite()) {
                return Err(Reason::NotANumber);
            }
            Ok(Made { value, tokens, truncated })
        };
        Ok(made.into_iter().map(finished).collect())
    }

    /// How relevant each document is to its query, from 0 to 1, by itself: a reranker's probability, of an embedding
    /// half of 1 and the cosine. One that the model fails on has an error.
    ///
    /// # Errors
    /// When the model cannot run.
    pub fn compare(&self, pairs: &[TextPair]) -> Result<Vec<Result<Made<f32>, Reason>>> {
        let pairs: Vec<TextPair> = match &self.about.instruct {
            Some(own) => pairs.iter().map(|pair| TextPair { instruct: pair.instruct.or(Some(own)), ..*pair }).collect(),
            None => pairs.to_vec(),
        };
        match self.best() {
            Best::Pairs(model) => model.compare(&pairs),
            Best::Embeddings(embeddings) => embeddings.compare(&pairs),
        }
    }

    /// The numbers of its vectors by which passages are found.
    fn for_passages(&self) -> Range<usize> {
        self.embeddings().map_or(0..0, |embeddings| embeddings.engine.for_passages())
    }

    /// Length of the vectors of [`LoadedModel::vectors`].
    pub fn passage_dims(&self) -> usize {
        self.for_passages().len()
    }

    /// The part of a vector of [`LoadedModel::embed`] by which passages are found, of length 1.
    pub fn passage_vector(&self, vector: &[f32]) -> Vec<f32> {
        unit(vector.get(self.for_passages()).map(<[f32]>::to_vec).unwrap_or_default())
    }

    /// The vectors of many texts by which passages are found, a batch at a time; `None` for a text of which the model knows no word.
    ///
    /// # Errors
    /// When it is a reranker, cannot run, or fails on a text.
    pub fn vectors(&self, texts: Vec<String>, role: TextRole<'_>) -> Result<Vec<Option<Vec<f32>>>> {
        let Budget { documents, tokens } = self.budget();
        let most = self.max_tokens();
        // About four letters are a token.
        let length = |text: &String| (text.len() / 4).min(most);
        let mut vectors = Vec::with_capacity(texts.len());
        let mut texts = texts.into_iter().peekable();
        while let Some(first) = texts.next() {
            let mut held = length(&first);
            let mut batch = vec![first];
            while let Some(text) =
                texts.next_if(|text| batch.len() < documents && length(text) <= tokens - held.min(tokens))
            {
                held += length(&text);
                batch.push(text);
            }
            for made in self.embed(batch, role)? {
                vectors.push(match made {
                    Ok(made) => Some(self.passage_vector(&made.value)),
                    Err(Reason::NoKnownWords | Reason::NoText) => None,
                    Err(reason) => bail!("{} fails on a text: {reason}", self.about.id),
                });
            }
        }
        Ok(vectors)
    }

    /// How many results were in the cache, and how many were not.
    pub fn cache_uses(&self) -> (u64, u64) {
        match self.best() {
            Best::Pairs(model) => model.cache_uses(),
            Best::Embeddings(embeddings) => embeddings.cache_uses(),
        }
    }

    /// What went wrong with the cache, once.
    pub fn trouble(&self) -> Option<String> {
        match self.best() {
            Best::Pairs(model) => model.trouble(),
            Best::Embeddings(embeddings) => embeddings.trouble(),
        }
    }
}
