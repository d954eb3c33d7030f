//! What a clause fixes: terms, rates, amounts, dates, duties, parties
//!
//! The words come from the lexicon, and each finding has a normal form, so that `5 %`, `five percent` and `百分之五` are
//! one value. A finding also stands for its words when clauses are matched: a changed number never makes two clauses
//! less similar.

mod amounts;
mod dates;
mod phrases;
mod reader;
mod verdicts;

use std::ops::Range;

use serde::Serialize;

use super::lexicon::{Bound, Modality, TermUnit, Weight};

pub(super) use reader::{Context, Reading, read};
pub use verdicts::ValueVerdict;
pub(super) use verdicts::{same_number, verdict};

/// What kind of value or word a change is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// A term, or a rhythm such as "per month".
    Duration,
    /// A percentage or another ratio.
    Percent,
    /// An amount of money.
    Money,
    /// A date.
    Date,
    /// Another number, with its unit of measure.
    Number,
    /// "more than" against "at least".
    Comparison,
    /// Duty, permission, prohibition.
    Modality,
    /// "not" on one side only.
    Negation,
    /// "unless" on one side only.
    Exception,
    /// Another party.
    Party,
    /// Two parties have changed places.
    RoleSwap,
    /// "and" against "or".
    Connective,
    /// A law, or the law that governs.
    Law,
    /// A court or a place of arbitration.
    Venue,
    /// A near-synonym that means something else in law.
    Term,
    /// A citation of another clause.
    Reference,
    /// The number in words and the number in figures disagree within one document.
    WordsAgainstFigures,
    /// The title of a group of clauses.
    Title,
}

/// A value in its normal form.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Duration(f64, TermUnit),
    Per(TermUnit),
    Percent(f64),
    Money(f64, Option<&'static str>),
    Date(Date),
    Number(f64, Option<&'static str>),
    /// A number that is a name, such as a telephone number.
    Code(String),
    Modality(Modality),
    Not,
    Except,
    And,
    Or,
    AndOr,
    Party(String),
    Term(&'static str, &'static str, Weight),
    Law(String),
    Venue(String),
    /// Index of the citation in its clause.
    Reference(usize),
}

/// A date; what is not said is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Date {
    pub year: u16,
    pub month: u8,
    pub day: u8,
    /// Day and month could be the other way round.
    pub ambiguous: bool,
}

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Fact {
    pub value: Value,
    /// Tokens that it takes.
    pub tokens: Range<usize>,
    /// Bytes of the visible text.
    pub span: Range<usize>,
    /// "more than", and its bytes.
    pub bound: Option<(Bound, Range<usize>)>,
    /// The number in words and the number in figures disagree.
    pub fault: bool,
}

impl Value {
    /// The kind of a change of this value.
    pub(super) fn kind(&self) -> ChangeKind {
        match self {
            Value::Duration(..) | Value::Per(_) => ChangeKind::Duration,
            Value::Percent(_) => ChangeKind::Percent,
            Value::Money(..) => ChangeKind::Money,
            Value::Date(_) => ChangeKind::Date,
            Value::Number(..) | Value::Code(_) => ChangeKind::Number,
            Value::Modality(_) => ChangeKind::Modality,
            Value::Not => ChangeKind::Negation,
            Value::Except => ChangeKind::Exception,
            Value::And | Value::Or | Value::AndOr => ChangeKind::Connective,
            Value::Party(_) => ChangeKind::Party,
            Value::Term(..) => ChangeKind::Term,
            Value::Law(_) => ChangeKind::Law,
            Value::Venue(_) => ChangeKind::Venue,
            Value::Reference(_) => ChangeKind::Reference,
        }
    }

    /// What must agree for two values to be in the same place of a sentence.
    pub(super) fn class(&self) -> (ChangeKind, &'static str) {
        match self {
            Value::Term(group, _, _) => (ChangeKind::Term, group),
            Value::Per(_) => (ChangeKind::Duration, "per"),
            other => (other.kind(), ""),
        }
    }

    /// True for what a clause fixes, in contrast to the words around it.
    pub(super) fn is_quantity(&self) -> bool {
        matches!(
            self,
            Value::Duration(..)
                | Value::Per(_)
                | Value::Percent(_)
                | Value::Money(..)
                | Value::Date(_)
                | Value::Number(..)
                | Value::Code(_)
                | Value::Law(_)
                | Value::Venue(_)
        )
    }
}
