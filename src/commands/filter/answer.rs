//! What a mail is, by the labels and the model of the flags or by a daemon that has its own.

use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use serde::{Deserialize, Serialize};

use crate::classifier::{Classifier, Selection, Silent};
use crate::cli::{Filter, OrElse};
use crate::commands::daemon::{self, Reply};
use crate::intake::Raw;
use crate::intake::sniff::Format;
use crate::record::{Origin, Verdict};

/// What was found out of a mail.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::commands) struct Answer {
    pub(in crate::commands) model: String,
    /// All that a mail could have.
    pub(in crate::commands) labels: Vec<String>,
    /// One for each label set.
    pub(in crate::commands) found: Vec<Found>,
}

/// The best label of one set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::commands) struct Found {
    pub(in crate::commands) set: String,
    pub(in crate::commands) best: Option<(String, f32)>,
    /// True when its score reaches the threshold.
    pub(in crate::commands) is_sure: bool,
}

impl Found {
    /// The label, if it is sure.
    pub(in crate::commands) fn label(&self) -> Option<&String> {
        self.best.as_ref().filter(|_| self.is_sure).map(|(label, _)| label)
    }
}

impl Answer {
    /// What a classifier says of a mail.
    ///
    /// # Errors
    /// When the mail got no verdict.
    pub(in crate::commands) fn new(classifier: &Classifier, verdict: Verdict) -> Result<Self> {
        let outcome = verdict.outcome.map_err(|reason| anyhow!("{reason}"))?;
        let found = classifier.sets().iter().zip(outcome.rankings).map(|(set, ranking)| Found {
            set: set.name.clone(),
            best: ranking.top.first().map(|(label, score)| (label.to_string(), *score)),
            is_sure: ranking.label.is_some(),
        });
        let labels = classifier.sets().iter().flat_map(|set| &set.labels).map(|label| label.name.to_string()).collect();
        Ok(Self { model: classifier.model().to_string(), labels, found: found.collect() })
    }
}

/// A mail as a filter gets it, whatever its bytes look like.
pub(in crate::commands) fn raw(mail: Vec<u8>) -> Raw {
    Raw {
        origin: Origin { source: Arc::from("-"), index: 0, offset: 0 },
        format: Format::Mail,
        bytes: mail,
        truncated: false,
    }
}

/// Scores a mail.
///
/// # Errors
/// When labels, model or daemon cannot be used, or the mail holds nothing to score.
pub(super) fn answer(arguments: &Filter, mail: Vec<u8>) -> Result<Answer> {
    let Filter { labels, model, cleaning, passing } = arguments;
    if let Some(socket) = &passing.socket {
        let is_last = passing.or_else == OrElse::Fail;
        // Half of the time is left for ourselves.
        let patience = if is_last { passing.timeout } else { passing.timeout / 2 };
        match daemon::ask(socket, &mail, patience) {
            Ok(Reply::Answer(answer)) => return Ok(answer),
            Ok(Reply::Unscored(why)) => bail!("{why}"),
            Ok(Reply::Refused(why)) if is_last => bail!("{why}"),
            Err(error) if is_last => return Err(error),
            Ok(Reply::Refused(_)) | Err(_) => {}
        }
    }
    // One mail is not worth starting threads for.
    let selection = Selection::read(&labels.best_label_spec(model, cleaning))?;
    selection.check_probabilities()?;
    let classifier = Classifier::load(&selection, &selection.plan(&Silent, &Silent)?, false, &Silent)?;
    let read = classifier.read(Ok(raw(mail)));
    let verdict = classifier.verdicts(vec![read])?.pop().context("there is no verdict")?;
    Answer::new(&classifier, verdict)
}
