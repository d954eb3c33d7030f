//! What was said of one sample, and whether it is right.

use serde::{Deserialize, Serialize};

/// What was said of one sample.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// Where the document stands.
    pub source: String,
    /// Its position there.
    pub index: u64,
    /// Its id, if it has one.
    pub id: Option<String>,
    /// A hash of what the model saw; `null` where there was nothing to see.
    pub text: Option<String>,
    /// The true labels.
    pub truth: Vec<String>,
    /// The label that was given; of several the likeliest.
    pub predicted: Option<String>,
    /// All labels that were given, the likeliest first, where each is a question of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given: Option<Vec<String>>,
    /// The best label, whether its score reaches a threshold or not.
    pub best: Option<String>,
    /// Its score.
    pub score: Option<f64>,
    /// Why there is no verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Prediction {
    /// True when the label that was given is one of the true ones, or all labels are given that are true and no other.
    pub fn is_right(&self) -> bool {
        self.is_right_by(&self.truth)
    }

    /// The same by another truth.
    pub fn is_right_by(&self, truth: &[String]) -> bool {
        match &self.given {
            Some(given) => given.len() == truth.len() && given.iter().all(|label| truth.contains(label)),
            None => self.predicted.as_ref().is_some_and(|label| truth.contains(label)),
        }
    }

    /// True when no threshold has held a label back, or none was needed.
    pub fn is_answered(&self) -> bool {
        self.given.is_some() || self.predicted.is_some()
    }

    /// The label that was given, or all of them.
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

    /// Where it stands, for people.
    pub fn place(&self) -> String {
        format!("{} [{}]", self.source, self.index)
    }
}

/// A mistake as a page shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Mistake {
    /// Which of the predictions.
    pub at: usize,
    /// How the mail begins, if it may be shown.
    pub text: Option<String>,
}
