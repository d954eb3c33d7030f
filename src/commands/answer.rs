//! The answer about one message, which `filter` acts on: from a server, or from its own model.

use std::sync::Arc;

use anyhow::{Result, anyhow, bail};
use serde::Deserialize;

use crate::classifier::Classifier;
use crate::intake::Raw;
use crate::intake::sniff::SourceFormat;
use crate::record::{InOrder, Origin, Verdict};

/// What a server answers.
#[derive(Debug, PartialEq)]
pub(super) enum Reply {
    /// The labels.
    Answer(Answer),
    /// The message cannot be scored, here or anywhere.
    Unscored(String),
    /// The server cannot score it now.
    Refused(String),
    /// The server can score no message.
    SetUp(String),
}

/// The labels of a message.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Answer {
    pub(super) model: String,
    /// Every label that a message can have, if they were asked for.
    pub(super) labels: Vec<String>,
    /// One for each label set.
    pub(super) best: Vec<BestLabel>,
}

/// The best label of one label set.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct BestLabel {
    pub(super) set: String,
    /// The label and its score.
    pub(super) best: Option<(String, f32)>,
    /// True when the score reaches the threshold.
    pub(super) is_sure: bool,
}

/// A record of `classify`, as far as it is needed.
#[derive(Deserialize)]
struct Record {
    model: String,
    error: Option<String>,
    /// Of the only label set.
    label: Option<String>,
    labels: Option<Vec<LabelRecord>>,
    sets: Option<InOrder<SetRecord>>,
}

#[derive(Deserialize)]
struct SetRecord {
    label: Option<String>,
    labels: Vec<LabelRecord>,
}

#[derive(Deserialize)]
struct LabelRecord {
    label: String,
    score: f32,
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

    /// The answer in a record of `classify`.
    ///
    /// # Errors
    /// When it is no such record.
    pub(super) fn of_record(record: &[u8]) -> Result<Reply> {
        let Record { model, error, label, labels, sets } = serde_json::from_slice(record)?;
        if let Some(error) = error {
            return Ok(Reply::Unscored(error));
        }
        let sets = match (labels, sets) {
            (Some(labels), None) => vec![(String::new(), SetRecord { label, labels })],
            (None, Some(InOrder(sets))) => sets,
            _ => bail!("it is no record of a document"),
        };
        let labels = sets.iter().flat_map(|(_, set)| &set.labels).map(|scored| scored.label.clone()).collect();
        let best = sets.into_iter().map(|(set, SetRecord { label, labels })| BestLabel {
            set,
            best: labels.into_iter().next().map(|LabelRecord { label, score }| (label, score)),
            is_sure: label.is_some(),
        });
        Ok(Reply::Answer(Self { model, labels, best: best.collect() }))
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
