//! The answer about one message, which `filter` acts on: from a daemon, or from its own model.

use std::sync::Arc;

use anyhow::{Result, anyhow};
use serde::{Deserialize, Serialize};

use crate::classifier::Classifier;
use crate::intake::Raw;
use crate::intake::sniff::SourceFormat;
use crate::record::{Origin, Verdict};

/// What a daemon answers.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Response {
    /// The labels.
    Answer(Answer),
    /// The message cannot be scored, here or anywhere.
    Unscored(String),
    /// The daemon cannot score it now.
    Refused(String),
}

/// The labels of a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Answer {
    pub(super) model: String,
    /// Every label that a message can have.
    pub(super) labels: Vec<String>,
    /// One for each label set.
    #[serde(rename = "found")]
    pub(super) best: Vec<BestLabel>,
}

/// The best label of one label set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct BestLabel {
    pub(super) set: String,
    /// The label and its score.
    pub(super) best: Option<(String, f32)>,
    /// True when the score reaches the threshold.
    pub(super) is_sure: bool,
}

impl BestLabel {
    /// The label, if it is sure.
    pub(super) fn label(&self) -> Option<&String> {
        self.best.as_ref().filter(|_| self.is_sure).map(|(label, _)| label)
    }
}

impl Answer {
    /// The answer for a verdict.
    ///
    /// # Errors
    /// When the message could not be scored.
    pub(super) fn new(classifier: &Classifier, verdict: Verdict) -> Result<Self> {
        let outcome = verdict.outcome.map_err(|reason| anyhow!("{reason}"))?;
        let best = classifier.sets().iter().zip(outcome.rankings).map(|(set, ranking)| BestLabel {
            set: set.name.clone(),
            best: ranking.top.first().map(|(label, score)| (label.to_string(), *score)),
            is_sure: ranking.label.is_some(),
        });
        let labels = classifier.sets().iter().flat_map(|set| &set.labels).map(|label| label.name.to_string()).collect();
        Ok(Self { model: classifier.model().to_string(), labels, best: best.collect() })
    }
}

/// A message of the filter for intake; whatever its bytes look like, it is mail.
pub(super) fn raw(message: Vec<u8>) -> Raw {
    Raw {
        origin: Origin { source: Arc::from("-"), index: 0, offset: 0 },
        format: SourceFormat::Mail,
        bytes: message,
        truncated: false,
    }
}
