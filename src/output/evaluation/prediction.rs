//! The prediction for one sample.

use serde::{Deserialize, Serialize};

/// The prediction for one sample.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// File or mailbox of the document.
    pub source: String,
    /// Its index there.
    pub index: u64,
    /// Its id, if it has one.
    pub id: Option<String>,
    /// Hash of the text that the model saw; `null` without a text.
    pub text: Option<String>,
    /// The true labels.
    pub truth: Vec<String>,
    /// The predicted label; in multi-label evaluation the one with the highest score.
    pub predicted: Option<String>,
    /// In multi-label evaluation: all predicted labels, highest score first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given: Option<Vec<String>>,
    /// The best label, before any threshold.
    pub best: Option<String>,
    /// Its score.
    pub score: Option<f64>,
    /// Why there is no verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Prediction {
    /// True when the predicted label is a true label, or in multi-label evaluation the predicted labels are the true
    /// labels.
    pub fn is_right(&self) -> bool {
        self.is_right_by(&self.truth)
    }

    /// As [`Prediction::is_right`], for other true labels.
    pub fn is_right_by(&self, truth: &[String]) -> bool {
        match &self.given {
            Some(given) => given.len() == truth.len() && given.iter().all(|label| truth.contains(label)),
            None => self.predicted.as_ref().is_some_and(|label| truth.contains(label)),
        }
    }

    /// True when there is a predicted label, or multi-label evaluation has a verdict.
    pub fn is_answered(&self) -> bool {
        self.given.is_some() || self.predicted.is_some()
    }

    /// The predicted label or labels, for people.
    pub fn said(&self) -> Option<String> {
        match &self.given {
            Some(given) if given.len() > 1 => {
                let mut given = given.clone();
                given.sort();
                Some(given.join(", "))
            }
            _ => self.predicted.clone(),
        }
    }

    /// Source and index, for people.
    pub fn place(&self) -> String {
        format!("{} [{}]", self.source, self.index)
    }
}

/// A mistake to show on the HTML page.
#[derive(Clone, Debug, PartialEq)]
pub struct Mistake {
    /// Index of the prediction.
    pub at: usize,
    /// Beginning of the message, if it may be shown.
    pub text: Option<String>,
}
