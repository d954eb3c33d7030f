//! A comparison for programs: one object.

use anyhow::Result;
use serde::Serialize;

use super::{ComparedContracts, GivenContract, place};
use crate::contracts::comparison::{ClausePair, Relation};
use crate::contracts::contract::{Clause, Contract};
use crate::contracts::differences::{Change, ValueSpan};
use crate::contracts::redline::{PieceKind, redline};
use crate::contracts::values::{ChangeKind, ValueVerdict};

#[derive(Serialize)]
struct ComparisonReport<'c> {
    old: SideReport<'c>,
    new: SideReport<'c>,
    template: bool,
    model: &'c str,
    counts: serde_json::Map<String, serde_json::Value>,
    pairs: Vec<PairReport<'c>>,
}

#[derive(Serialize)]
struct SideReport<'c> {
    source: &'c str,
    language: &'c str,
    clauses: usize,
    left_out: &'c [String],
    /// What the offsets of all spans are bytes of.
    text: &'c str,
}

/// A pair; `a` is the old contract and `b` the new one.
#[derive(Serialize)]
struct PairReport<'c> {
    relation: Relation,
    moved: bool,
    renumbered: bool,
    confidence: f32,
    a: Vec<ClauseReport<'c>>,
    b: Vec<ClauseReport<'c>>,
    /// Numbers of other clauses of the new contract that may be meant.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    perhaps: Vec<&'c str>,
    changes: Vec<ChangeReport<'c>>,
    /// The pieces of both texts, where there are two and they differ.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    redline: Vec<PieceReport>,
}

/// A piece of a redline. Those that are the same or deleted are the old text, those that are the same or inserted the new.
#[derive(Serialize)]
struct PieceReport {
    kind: PieceKind,
    text: String,
}

#[derive(Serialize)]
pub(super) struct ClauseReport<'c> {
    number: &'c str,
    heading: &'c str,
    path: &'c [String],
    start: usize,
    end: usize,
    text: &'c str,
}

#[derive(Serialize)]
pub(super) struct ChangeReport<'c> {
    kind: ChangeKind,
    /// Where it stands, as a lawyer cites it.
    place: &'c str,
    a: Option<&'c ValueSpan>,
    b: Option<&'c ValueSpan>,
    verdict: ValueVerdict,
}

pub(super) fn write(compared: &ComparedContracts<'_>) -> Result<String> {
    let &ComparedContracts { old, new, ref comparison, is_template, model } = compared;
    let report = ComparisonReport {
        old: side(old),
        new: side(new),
        template: is_template,
        model,
        counts: compared.counts().into_iter().map(|(name, count)| (name.to_string(), count.into())).collect(),
        pairs: comparison.pairs.iter().map(|pair| shown(compared, pair)).collect(),
    };
    Ok(serde_json::to_string(&report)? + "\n")
}

fn side(GivenContract { name, contract, left_out }: GivenContract<'_>) -> SideReport<'_> {
    SideReport {
        source: name,
        language: contract.language,
        clauses: contract.clauses.len(),
        left_out,
        text: &contract.text,
    }
}

fn shown<'c>(compared: &ComparedContracts<'c>, pair: &'c ClausePair) -> PairReport<'c> {
    let &ComparedContracts { old, new, .. } = compared;
    let number = |at: &usize| new.contract.clauses.get(*at).map(|clause| clause.number.as_str());
    PairReport {
        relation: pair.relation,
        moved: pair.moved,
        renumbered: pair.renumbered,
        confidence: (pair.confidence * 1e4).round() / 1e4,
        a: clauses(old, &pair.old),
        b: clauses(new, &pair.new),
        perhaps: pair.perhaps.iter().filter_map(number).collect(),
        changes: pair.changes.iter().map(change).collect(),
        redline: pieces(compared, pair),
    }
}

fn pieces(compared: &ComparedContracts<'_>, pair: &ClausePair) -> Vec<PieceReport> {
    let (old, new) = (compared.texts(compared.old, &pair.old), compared.texts(compared.new, &pair.new));
    if old.is_empty() || new.is_empty() || old == new {
        return Vec::new();
    }
    let pieces = redline(&old, &new).into_iter();
    let shown = |kind, text: Option<&str>| PieceReport { kind, text: text.unwrap_or_default().to_string() };
    let piece = pieces.map(|piece| match piece.kind {
        PieceKind::Inserted => shown(piece.kind, new.get(piece.new)),
        PieceKind::Same | PieceKind::Deleted => shown(piece.kind, old.get(piece.old)),
    });
    piece.collect()
}

fn clauses<'c>(side: GivenContract<'c>, indices: &[usize]) -> Vec<ClauseReport<'c>> {
    let clauses = indices.iter().filter_map(|at| side.contract.clauses.get(*at));
    clauses.map(|found| clause(side.contract, found)).collect()
}

/// A clause of a contract.
pub(super) fn clause<'c>(contract: &'c Contract, clause: &'c Clause) -> ClauseReport<'c> {
    ClauseReport {
        number: &clause.number,
        heading: &clause.heading,
        path: &clause.path,
        start: clause.start,
        end: clause.end,
        text: contract.text.get(clause.start..clause.end).unwrap_or_default(),
    }
}

/// A typed difference.
pub(super) fn change(change: &Change) -> ChangeReport<'_> {
    ChangeReport {
        kind: change.kind,
        place: place(change),
        a: change.old.as_ref(),
        b: change.new.as_ref(),
        verdict: change.verdict,
    }
}
