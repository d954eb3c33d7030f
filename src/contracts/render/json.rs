//! A comparison for programs: one object.

use anyhow::Result;
use serde::Serialize;

use super::{ComparedContracts, GivenContract, place};
use crate::contracts::comparison::{ClausePair, Relation};
use crate::contracts::differences::{Change, ValueSpan};
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
}

#[derive(Serialize)]
struct ClauseReport<'c> {
    number: &'c str,
    heading: &'c str,
    path: &'c [String],
    start: usize,
    end: usize,
    text: &'c str,
}

#[derive(Serialize)]
struct ChangeReport<'c> {
    kind: ChangeKind,
    /// Where it stands, as a lawyer cites it.
    place: &'c str,
    a: Option<&'c ValueSpan>,
    b: Option<&'c ValueSpan>,
    verdict: ValueVerdict,
}

pub(super) fn write(compared: &ComparedContracts<'_>) -> Result<String> {
    let ComparedContracts { old, new, comparison, is_template, model, .. } = *compared;
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
    let ComparedContracts { old, new, .. } = *compared;
    let change = |change: &'c Change| ChangeReport {
        kind: change.kind,
        place: place(change),
        a: change.old.as_ref(),
        b: change.new.as_ref(),
        verdict: change.verdict,
    };
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
    }
}

fn clauses<'c>(side: GivenContract<'c>, indices: &[usize]) -> Vec<ClauseReport<'c>> {
    let clauses = indices.iter().filter_map(|at| side.contract.clauses.get(*at));
    let shown = |clause: &'c crate::contracts::Clause| ClauseReport {
        number: &clause.number,
        heading: &clause.heading,
        path: &clause.path,
        start: clause.start,
        end: clause.end,
        text: side.contract.text.get(clause.start..clause.end).unwrap_or_default(),
    };
    clauses.map(shown).collect()
}
