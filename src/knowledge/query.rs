//! What is asked, and what is known of each passage that may answer.

use serde::Deserialize;

use super::passages::PassageKind;
use super::texts::UnitText;

/// What is searched by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// By keywords and vectors together; by keywords where there are no vectors.
    #[default]
    Hybrid,
    /// By keywords only.
    Keyword,
    /// By vectors only.
    Semantic,
}

/// Which documents are searched. An empty filter lets all pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters {
    /// A part of the sender, in any case.
    pub from: Option<String>,
    /// Seconds since 1970: not before.
    pub since: Option<i64>,
    /// Seconds since 1970: before.
    pub until: Option<i64>,
    /// The beginning of the path.
    pub path: Option<String>,
    /// The label.
    pub label: Option<String>,
    /// The kind of document.
    pub kind: Option<PassageKind>,
}

/// A question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Its text.
    pub text: String,
    /// What is searched by.
    pub mode: Mode,
    /// Hits, at most.
    pub top: usize,
    /// Which documents are searched.
    pub filters: Filters,
    /// Show every passage rather than the best of each conversation.
    pub every_passage: bool,
}

/// Where the score of a hit comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Explanation {
    /// The keyword score: the share of the query's words that the passage has, the rare ones counting more.
    pub keywords: f32,
    /// Standard deviations of its cosine above the mean.
    pub deviations: Option<f32>,
    /// What those add.
    pub meaning: f32,
}

/// A candidate with its scores.
pub(super) struct Scored {
    pub(super) candidate: UnitText,
    pub(super) cosine: Option<f32>,
    pub(super) keyword_rank: Option<usize>,
    pub(super) semantic_rank: Option<usize>,
    pub(super) explanation: Explanation,
    pub(super) score: f32,
}
