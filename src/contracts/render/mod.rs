//! What a comparison looks like: at a prompt, for programs, as a page, and as a document with tracked changes.

mod docx;
mod html;
mod json;
mod library;
mod markdown;
mod text;
mod tracked;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::comparison::{ClausePair, ContractComparison, Relation, compare};
use super::contract::{Clause, Contract};
use super::differences::{Change, ValueSpan};
use super::similarity::ClauseVectors;
use super::values::{ChangeKind, ValueVerdict};

pub use library::{CloseClause, ClosestClauses, ComparedWithLibrary};

/// How a comparison is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ComparisonFormat {
    /// Lines for a terminal.
    Text,
    /// One object.
    Json,
    /// One page without scripts and without anything from elsewhere.
    Html,
    /// For an issue or a wiki.
    Markdown,
    /// A document with tracked changes.
    Docx,
}

/// A side of a comparison as it was given.
#[derive(Clone, Copy, Debug)]
pub struct GivenContract<'a> {
    /// The name of its file.
    pub name: &'a str,
    /// Its clauses.
    pub contract: &'a Contract,
    /// What its file holds besides text, which is not compared.
    pub left_out: &'a [String],
}

/// Two contracts and how they compare.
#[derive(Clone, Debug)]
pub struct ComparedContracts<'a> {
    old: GivenContract<'a>,
    new: GivenContract<'a>,
    comparison: ContractComparison,
    is_template: bool,
    model: &'a str,
}

impl<'a> ComparedContracts<'a> {
    /// Compares two contracts. `vectors` are those of [`compare`], of `model`.
    pub fn new(
        old: GivenContract<'a>,
        new: GivenContract<'a>,
        vectors: Option<ClauseVectors<'_>>,
        model: &'a str,
    ) -> Self {
        Self { old, new, comparison: compare(old.contract, new.contract, vectors), is_template: false, model }
    }

    /// Takes the old one for a template: what the new one lacks or has besides comes first.
    pub fn of_template(self, is_template: bool) -> Self {
        Self { is_template, ..self }
    }

    /// True if the contracts differ in one of the classes; without classes, in anything but numbers of clauses.
    pub fn differs(&self, classes: &[DifferenceClass]) -> bool {
        self.comparison.pairs.iter().any(|pair| is_difference(pair, classes))
    }

    /// Writes it.
    ///
    /// # Errors
    /// When a DOCX cannot be put together.
    pub fn write(&self, format: ComparisonFormat) -> Result<Vec<u8>> {
        Ok(match format {
            ComparisonFormat::Text => text::write(self).into_bytes(),
            ComparisonFormat::Json => json::write(self)?.into_bytes(),
            ComparisonFormat::Html => html::write(self).into_bytes(),
            ComparisonFormat::Markdown => markdown::write(self).into_bytes(),
            ComparisonFormat::Docx => docx::tracked(&tracked::pieces(self))?,
        })
    }

    /// How many clauses have each relation, and are moved besides.
    fn counts(&self) -> Vec<(&'static str, usize)> {
        let pairs = &self.comparison.pairs;
        let of = |relation: Relation| pairs.iter().filter(|pair| pair.relation == relation).count();
        let mut counts: Vec<_> = ALL.iter().map(|relation| (name(*relation), of(*relation))).collect();
        let moved = pairs.iter().filter(|pair| pair.moved && pair.relation != Relation::Moved).count();
        counts.push(("moved besides", moved));
        counts.retain(|(_, count)| *count > 0);
        counts
    }

    /// Typed differences that are not equal, or all.
    fn changes(&self, with_equal: bool) -> impl Iterator<Item = (&ClausePair, &Change)> {
        let pairs = self.comparison.pairs.iter();
        pairs
            .flat_map(|pair| pair.changes.iter().map(move |change| (pair, change)))
            .filter(move |(_, change)| with_equal || change.verdict != ValueVerdict::Equal)
    }

    /// Numbers and headings of the clauses of a pair on one side: `5.1 Fees, 5.2 Taxes`.
    fn title(&self, side: GivenContract<'_>, clauses: &[usize]) -> String {
        let titles: Vec<String> =
            clauses.iter().filter_map(|at| side.contract.clauses.get(*at)).map(Clause::title).collect();
        titles.join(", ")
    }

    fn titles(&self, pair: &ClausePair) -> (String, String) {
        (self.title(self.old, &pair.old), self.title(self.new, &pair.new))
    }

    /// The text of a pair on one side.
    fn texts(&self, side: GivenContract<'_>, clauses: &[usize]) -> String {
        let texts = clauses.iter().filter_map(|at| side.contract.clauses.get(*at));
        let texts: Vec<&str> = texts.filter_map(|clause| side.contract.text.get(clause.start..clause.end)).collect();
        texts.join("\n")
    }

    /// Sentences about what was not compared.
    fn not_compared(&self) -> Vec<String> {
        let of = |side: GivenContract<'_>| {
            let name = side.name.to_string();
            side.left_out.iter().map(move |what| format!("not compared: {what} of {name}")).collect::<Vec<_>>()
        };
        [of(self.old), of(self.new)].concat()
    }
}

const ALL: [Relation; 9] = [
    Relation::Same,
    Relation::Renumbered,
    Relation::Reworded,
    Relation::Changed,
    Relation::Moved,
    Relation::Split,
    Relation::Merged,
    Relation::OnlyOld,
    Relation::OnlyNew,
];

/// The name of a relation in every format.
fn name(relation: Relation) -> &'static str {
    match relation {
        Relation::Same => "same",
        Relation::Renumbered => "renumbered",
        Relation::Reworded => "reworded",
        Relation::Changed => "changed",
        Relation::Moved => "moved",
        Relation::Split => "split",
        Relation::Merged => "merged",
        Relation::OnlyOld => "only-in-old",
        Relation::OnlyNew => "only-in-new",
    }
}

/// The relation of a pair, and whether its place is another: `changed, moved`.
fn named(pair: &ClausePair) -> String {
    let moved = if pair.moved && pair.relation != Relation::Moved { ", moved" } else { "" };
    format!("{}{moved}", name(pair.relation))
}

/// The name of a kind or a verdict, as in JSON.
fn word<T: Serialize>(value: T) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(String::from)).unwrap_or_default()
}

/// What a side of a change shows.
fn shown(span: &Option<ValueSpan>) -> &str {
    span.as_ref().map_or("–", |span| span.text.as_str())
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Where a change stands: in the new contract, else in the old one.
fn place(change: &Change) -> &str {
    change.new.as_ref().or(change.old.as_ref()).map_or("", |span| span.citation.as_str())
}

/// Classes of differences that a run may fail on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DifferenceClass {
    /// Durations, amounts, percentages, dates, numbers and their bounds.
    Numbers,
    /// Duties, permissions, negations, exceptions, and against or.
    Modality,
    /// Parties, and those that have changed places.
    Party,
    /// Near-synonyms, laws, courts and citations.
    Terms,
    /// Clauses that only the old contract has.
    Missing,
    /// Clauses that only the new contract has.
    Extra,
    /// Clauses in another place.
    Moved,
    /// Any other wording.
    Wording,
}

/// As [`ComparedContracts::differs`], for one pair.
fn is_difference(pair: &ClausePair, classes: &[DifferenceClass]) -> bool {
    let is_one = |class: DifferenceClass| classes.is_empty() || classes.contains(&class);
    let of_relation = match pair.relation {
        Relation::Same | Relation::Renumbered | Relation::Moved => false,
        Relation::OnlyOld => is_one(DifferenceClass::Missing),
        Relation::OnlyNew => is_one(DifferenceClass::Extra),
        Relation::Reworded | Relation::Changed | Relation::Split | Relation::Merged => is_one(DifferenceClass::Wording),
    };
    let of_change = |change: &Change| change.verdict != ValueVerdict::Equal && is_one(class(change.kind));
    of_relation || (pair.moved && is_one(DifferenceClass::Moved)) || pair.changes.iter().any(of_change)
}

fn class(kind: ChangeKind) -> DifferenceClass {
    use ChangeKind::*;
    match kind {
        Duration | Percent | Money | Date | Number | Comparison | WordsAgainstFigures => DifferenceClass::Numbers,
        Modality | Negation | Exception | Connective => DifferenceClass::Modality,
        Party | RoleSwap => DifferenceClass::Party,
        Law | Venue | Term | Reference => DifferenceClass::Terms,
        Title => DifferenceClass::Wording,
    }
}
