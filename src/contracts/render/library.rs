//! A contract beside a library: for each clause the closest ones, and how they differ from it.

use std::fmt::Write;

use anyhow::Result;
use serde::Serialize;

use super::json::{self, ChangeReport, ClauseReport};
use super::{DifferenceClass, GivenContract, is_difference, one_line, place, shown, word};
use crate::contracts::comparison::{ClausePair, Relation};
use crate::contracts::contract::Clause;
use crate::contracts::differences::Change;
use crate::contracts::values::ValueVerdict;
use crate::terminal;

/// A clause of a library.
#[derive(Debug, Clone, PartialEq)]
pub struct CloseClause {
    /// The file.
    pub source: String,
    /// 0-based position of the document in it.
    pub index: u64,
    /// The clause, as a lawyer cites it, with its heading.
    pub title: String,
    /// Its text.
    pub text: String,
    /// How near the vector of its passage is to that of the clause of the contract, where the passage has no other clause.
    pub cosine: Option<f32>,
    /// How the two compare, this one as the old one.
    pub pair: ClausePair,
}

/// A clause of a contract, and the clauses of the library that are like it.
#[derive(Debug, Clone, PartialEq)]
pub struct ClosestClauses {
    /// Index of the clause.
    pub clause: usize,
    /// The closest first; none where the library has nothing like it.
    pub found: Vec<CloseClause>,
}

/// A contract beside a library of clauses.
#[derive(Clone, Copy, Debug)]
pub struct ComparedWithLibrary<'a> {
    /// The contract.
    pub new: GivenContract<'a>,
    /// The folder or the index.
    pub library: &'a str,
    /// The clauses of the contract, in order.
    pub clauses: &'a [ClosestClauses],
    /// The model of the cosines.
    pub model: &'a str,
}

impl ComparedWithLibrary<'_> {
    /// True if a clause is not in the library, or differs from the closest one in one of the classes.
    pub fn differs(&self, classes: &[DifferenceClass]) -> bool {
        let is_one = |class: DifferenceClass| classes.is_empty() || classes.contains(&class);
        self.clauses.iter().any(|closest| match closest.found.first() {
            Some(found) => is_difference(&found.pair, classes),
            None => is_one(DifferenceClass::Extra),
        })
    }

    fn clause(&self, closest: &ClosestClauses) -> Option<&Clause> {
        self.new.contract.clauses.get(closest.clause)
    }

    fn title(&self, closest: &ClosestClauses) -> String {
        self.clause(closest).map(Clause::title).unwrap_or_default()
    }

    /// For a terminal.
    pub fn text(&self) -> String {
        let without = self.clauses.iter().filter(|closest| closest.found.is_empty()).count();
        let mut out = format!(
            "new      {}  {} clauses\nlibrary  {}\n\n",
            self.new.name,
            self.new.contract.clauses.len(),
            self.library
        );
        let _ = match without {
            0 => writeln!(out, "each clause has one like it in the library"),
            1 => writeln!(out, "1 clause has none like it in the library"),
            _ => writeln!(out, "{without} clauses have none like them in the library"),
        };
        for what in self.new.left_out {
            let _ = writeln!(out, "not compared: {what} of {}", self.new.name);
        }
        for closest in self.clauses {
            let _ = writeln!(out, "\n{}", self.title(closest));
            if closest.found.is_empty() {
                out.push_str("  none like it\n");
            }
            for found in &closest.found {
                let _ = writeln!(out, "  {}", found.line());
                for change in found.changes() {
                    let _ = writeln!(
                        out,
                        "    {}  {}: {} → {}  {}",
                        place(change),
                        word(change.kind),
                        one_line(shown(&change.old)),
                        one_line(shown(&change.new)),
                        word(change.verdict)
                    );
                }
            }
        }
        terminal::escape_lines(&out)
    }

    /// One object for programs.
    ///
    /// # Errors
    /// Never in practice: when it cannot be written as JSON.
    pub fn json(&self) -> Result<String> {
        let clauses = self.clauses.iter().filter_map(|closest| {
            let clause = self.clause(closest)?;
            let closest = closest.found.iter().map(CloseClause::report).collect();
            Some(LibraryClauseReport { clause: json::clause(self.new.contract, clause), closest })
        });
        let report = LibraryReport {
            new: self.new.name,
            library: self.library,
            model: self.model,
            left_out: self.new.left_out,
            clauses: clauses.collect(),
        };
        Ok(serde_json::to_string(&report)? + "\n")
    }
}

impl CloseClause {
    /// How far the clause of the contract differs: in words at all, and in how many values.
    pub fn distance(&self) -> (bool, usize) {
        (is_difference(&self.pair, &[]), self.changes().count())
    }

    fn line(&self) -> String {
        let cosine = self.cosine.map(|cosine| format!("  cosine {cosine:.2}")).unwrap_or_default();
        format!("{}  {}[{}]  {}{cosine}", word(self.pair.relation), self.source, self.index, self.title)
    }

    fn changes(&self) -> impl Iterator<Item = &Change> {
        self.pair.changes.iter().filter(|change| change.verdict != ValueVerdict::Equal)
    }

    fn report(&self) -> CloseClauseReport<'_> {
        CloseClauseReport {
            source: &self.source,
            index: self.index,
            title: &self.title,
            text: &self.text,
            relation: self.pair.relation,
            confidence: self.pair.confidence,
            cosine: self.cosine,
            changes: self.pair.changes.iter().map(json::change).collect(),
        }
    }
}

#[derive(Serialize)]
struct LibraryReport<'c> {
    new: &'c str,
    library: &'c str,
    model: &'c str,
    left_out: &'c [String],
    clauses: Vec<LibraryClauseReport<'c>>,
}

#[derive(Serialize)]
struct LibraryClauseReport<'c> {
    #[serde(flatten)]
    clause: ClauseReport<'c>,
    closest: Vec<CloseClauseReport<'c>>,
}

/// A clause of the library; in its changes `a` is the library.
#[derive(Serialize)]
struct CloseClauseReport<'c> {
    source: &'c str,
    index: u64,
    title: &'c str,
    text: &'c str,
    relation: Relation,
    confidence: f32,
    cosine: Option<f32>,
    changes: Vec<ChangeReport<'c>>,
}
