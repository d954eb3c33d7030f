//! Scores by a trained classifier.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, ensure};
use rayon::prelude::*;

use super::{Embeddings, PreparedText, Scored};
use crate::classifier::linear::{Counts, FeatureGroup, TrainedClassifier};
use crate::engine::{Embedding, TokenizedText};

/// A trained classifier and the embedder of its input.
pub(in crate::classifier) struct LearnedScorer {
    embeddings: Arc<Embeddings>,
    classifier: Arc<TrainedClassifier>,
}

impl LearnedScorer {
    /// `path` is the file of the classifier.
    ///
    /// # Errors
    /// When the vectors of the model have another length.
    pub(in crate::classifier) fn new(
        embeddings: Arc<Embeddings>,
        classifier: Arc<TrainedClassifier>,
        path: &Path,
    ) -> Result<Self> {
        let (model, dims) = (embeddings.engine.id(), embeddings.engine.dims());
        let needed = classifier.about.model.dims;
        ensure!(
            dims == needed,
            "the classifier {} was trained on vectors of {needed} values, and {model} gives {dims}",
            path.display()
        );
        Ok(Self { embeddings, classifier })
    }

    fn instruct(&self) -> Option<&str> {
        self.classifier.about.model.instruct.as_deref()
    }

    /// See [`super::Scorer::tokenize`].
    pub(super) fn tokenize(&self, text: &str) -> Option<TokenizedText> {
        self.embeddings.ahead(text, self.instruct())
    }

    /// Scores texts. `None` for one of which the model knows no word.
    ///
    /// # Errors
    /// When the model cannot run.
    pub(super) fn score(&self, texts: &[PreparedText]) -> Result<Vec<Option<Scored>>> {
        let embedded = self.embeddings.embed(texts, 0, self.instruct())?;
        let model = &self.classifier.model;
        let scored = |(embedding, text): (Option<Embedding>, &PreparedText)| {
            let Embedding { vector, tokens, truncated } = embedding?;
            let reads = |group: FeatureGroup| model.ngrams.iter().any(|ngrams| ngrams.group == group);
            let counts = Counts::new(&text.text, text.heads, self.embeddings.words(), reads);
            Some(Scored { sets: vec![model.scores(&vector, &counts)], by: Vec::new(), tokens, truncated })
        };
        Ok(embedded.into_par_iter().zip(texts).map(scored).collect())
    }

    /// Embeds the words of a label as if they were a text, past the cache.
    ///
    /// # Errors
    /// When the model cannot run.
    pub(super) fn probe(&self) -> Result<()> {
        let label: Vec<String> = self.classifier.names().take(1).map(|name| name.to_string()).collect();
        self.embeddings.probe(&label, self.instruct())
    }

    pub(super) fn max_tokens(&self) -> usize {
        self.embeddings.max_tokens
    }

    /// What went wrong with the cache, once.
    pub(super) fn trouble(&self) -> Option<String> {
        self.embeddings.trouble()
    }
}
