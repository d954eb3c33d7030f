//! Typed differences of two clauses that belong together
//!
//! Values are compared where the words around them put them. What is left over in the same gap is compared next, then
//! what is left over in the whole clause; the rest stands on one side only.

use std::collections::HashMap;
use std::ops::Range;

use serde::Serialize;

use super::contract::Contract;
use super::contract::Reference;
use super::parties::SameParties;
use super::sequence::{self, Sequence};
use super::values::{self, ChangeKind, Fact, Value, ValueVerdict};

/// Longest replacement in which "not" or "shall" is a change of the sentence and not part of another one.
const SHORT_GAP: usize = 6;
/// Content words in a row on one side only from which the clause says something more.
const NEW_STATEMENT: usize = 8;

/// Bytes of a contract and what they show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ValueSpan {
    /// First byte in the text of the contract.
    pub start: usize,
    /// End in the text of the contract.
    pub end: usize,
    /// The words without markup.
    pub text: String,
    /// The smallest part that holds them: `第七条第二款`, `5.3(a)`.
    pub citation: String,
}

/// A typed difference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// What it is about.
    pub kind: ChangeKind,
    /// In the old contract; `None` if only the new one has it.
    pub old: Option<ValueSpan>,
    /// In the new contract; `None` if only the old one has it.
    pub new: Option<ValueSpan>,
    /// How the two compare.
    pub verdict: ValueVerdict,
}

/// A side of a comparison.
#[derive(Clone, Copy)]
pub(super) struct ClauseSide<'a> {
    pub contract: &'a Contract,
    pub sequence: &'a Sequence,
}

/// What the comparison knows of both documents.
pub(super) struct Knowledge<'a> {
    pub parties: &'a SameParties,
    /// Clauses of the new contract for each clause of the old one, and the other way round.
    pub partners: (&'a [Vec<usize>], &'a [Vec<usize>]),
}

/// The differences of two clauses.
#[derive(Debug, Default)]
pub(super) struct Differences {
    pub changes: Vec<Change>,
    /// Words were added or taken away that make another statement.
    pub says_more: bool,
}

/// Compares two sides.
pub(super) fn differences(old: ClauseSide<'_>, new: ClauseSide<'_>, knowledge: &Knowledge<'_>) -> Differences {
    let pairs = sequence::align(old.sequence, new.sequence);
    let mut finder =
        Finder { old, new, knowledge, changes: Vec::new(), left: (Vec::new(), Vec::new()), says_more: false };
    let (mut i, mut j) = (0, 0);
    let end = (old.sequence.items.len(), new.sequence.items.len());
    for &(a, b) in pairs.iter().chain(std::iter::once(&end)) {
        finder.gap(i..a, j..b);
        if (a, b) != end {
            finder.pair(a, b);
        }
        (i, j) = (a + 1, b + 1);
    }
    finder.leftovers();
    finder.faults();
    let changes = swaps(finder.changes);
    Differences { changes, says_more: finder.says_more }
}

/// A value that has no partner yet, and whether it stands in a short gap.
struct LeftOver {
    fact: usize,
    is_short: bool,
    /// The other side has no words in its place.
    is_insertion: bool,
    /// Nothing else differs in its place.
    is_lone: bool,
}

struct Finder<'a> {
    old: ClauseSide<'a>,
    new: ClauseSide<'a>,
    knowledge: &'a Knowledge<'a>,
    changes: Vec<Change>,
    left: (Vec<LeftOver>, Vec<LeftOver>),
    says_more: bool,
}

impl<'a> Finder<'a> {
    fn pair(&mut self, i: usize, j: usize) {
        if let (Some(a), Some(b)) = (self.old.sequence.items[i].fact, self.new.sequence.items[j].fact) {
            self.facts(a, b);
        }
    }

    fn facts(&mut self, a: usize, b: usize) {
        let (first, second) = (&self.old.sequence.facts[a], &self.new.sequence.facts[b]);
        let verdict = self.verdict(a, b);
        let is_spelling = verdict == ValueVerdict::Equal
            && first.value.is_quantity()
            && squeeze(self.old.contract.plain.get(first.span.clone()))
                != squeeze(self.new.contract.plain.get(second.span.clone()));
        if verdict != ValueVerdict::Equal || is_spelling {
            let kind = first.value.kind();
            self.push(kind, Some((a, first.span.clone())), Some((b, second.span.clone())), verdict);
        }
        let bound = |fact: &Fact| fact.bound.as_ref().map(|(bound, _)| *bound);
        if bound(first) != bound(second) {
            let span = |fact: &Fact| fact.bound.as_ref().map(|(_, span)| span.clone());
            let (x, y) = (span(first), span(second));
            self.push(ChangeKind::Comparison, x.map(|s| (a, s)), y.map(|s| (b, s)), ValueVerdict::Different);
        }
    }

    fn verdict(&self, a: usize, b: usize) -> ValueVerdict {
        let (first, second) = (&self.old.sequence.facts[a], &self.new.sequence.facts[b]);
        match (&first.value, &second.value) {
            (Value::Reference(x), Value::Reference(y)) => self.references(a, *x, b, *y),
            (Value::Party(x), Value::Party(y)) if self.knowledge.parties.is_same(x, y) => ValueVerdict::Equal,
            (Value::Party(_), Value::Party(_)) => ValueVerdict::Different,
            (x, y) => values::verdict(x, y),
        }
    }

    /// Citations are equal if they point to clauses that belong together, whatever their numbers.
    fn references(&self, a: usize, x: usize, b: usize, y: usize) -> ValueVerdict {
        let get = |side: ClauseSide<'a>, fact: usize, index: usize| -> Option<&'a Reference> {
            side.contract.clauses.get(*side.sequence.owners.get(fact)?)?.references.get(index)
        };
        let (Some(first), Some(second)) = (get(self.old, a, x), get(self.new, b, y)) else {
            return ValueVerdict::Different;
        };
        let text =
            |side: ClauseSide<'_>, reference: &Reference| squeeze(side.contract.plain.get(reference.plain.clone()));
        let equal = |is_equal: bool| if is_equal { ValueVerdict::Equal } else { ValueVerdict::Different };
        if first.targets.is_empty() && second.targets.is_empty() {
            return equal(text(self.old, first) == text(self.new, second));
        }
        let (forth, back) = self.knowledge.partners;
        let is_same = meets(first, forth, second) && meets(second, back, first);
        equal(is_same && squeeze(&first.part) == squeeze(&second.part))
    }

    /// Values between two places that both sides have in common.
    fn gap(&mut self, a: Range<usize>, b: Range<usize>) {
        let content = |sequence: &Sequence, range: &Range<usize>| {
            let items = &sequence.items[range.clone()];
            let weight = |characters: usize, words: usize| words + characters / 2;
            let count =
                |is_character: bool| items.iter().filter(|i| i.is_content && i.is_character == is_character).count();
            weight(count(true), count(false))
        };
        let (added, removed) = (content(self.new.sequence, &b), content(self.old.sequence, &a));
        self.says_more |= added.abs_diff(removed) >= NEW_STATEMENT;
        let is_short = a.len().max(b.len()) <= SHORT_GAP;
        let is_insertion = a.is_empty() || b.is_empty();
        let is_lone = a.len() + b.len() == 1;
        let facts = |sequence: &Sequence, range: Range<usize>| -> Vec<usize> {
            sequence.items[range].iter().filter_map(|item| item.fact).collect()
        };
        let mut olds = facts(self.old.sequence, a);
        let mut news = facts(self.new.sequence, b);
        for wanted in [ValueVerdict::Equal, ValueVerdict::Different] {
            olds.retain(|a| {
                let fits = |b: &usize| self.class(true, *a) == self.class(false, *b) && self.verdict(*a, *b) <= wanted;
                let Some(at) = news.iter().position(fits) else { return true };
                let b = news.remove(at);
                self.facts(*a, b);
                false
            });
        }
        let left = |fact| LeftOver { fact, is_short, is_insertion, is_lone };
        self.left.0.extend(olds.into_iter().map(left));
        self.left.1.extend(news.into_iter().map(left));
    }

    fn class(&self, is_old: bool, fact: usize) -> (ChangeKind, &'static str) {
        let sequence = if is_old { self.old.sequence } else { self.new.sequence };
        sequence.facts[fact].value.class()
    }

    /// Values that found no partner in their gap.
    fn leftovers(&mut self) {
        let (mut olds, mut news) = std::mem::take(&mut self.left);
        // A sentence that moved inside the clause takes its values along.
        olds.retain(|a| {
            let fits = |b: &LeftOver| {
                self.class(true, a.fact) == self.class(false, b.fact)
                    && self.verdict(a.fact, b.fact) == ValueVerdict::Equal
            };
            let Some(at) = news.iter().position(fits) else { return true };
            let b = news.remove(at);
            self.facts(a.fact, b.fact);
            false
        });
        // The only ones of their class are about the same matter.
        let classes = |left: &[LeftOver], is_old: bool| {
            let mut counts: HashMap<(ChangeKind, &'static str), usize> = HashMap::new();
            for left in left {
                *counts.entry(self.class(is_old, left.fact)).or_default() += 1;
            }
            counts
        };
        let (in_old, in_new) = (classes(&olds, true), classes(&news, false));
        olds.retain(|a| {
            let class = self.class(true, a.fact);
            let is_matter = self.old.sequence.facts[a.fact].value.is_quantity() || class.0 == ChangeKind::Term;
            if !is_matter || in_old.get(&class) != Some(&1) || in_new.get(&class) != Some(&1) {
                return true;
            }
            let Some(at) = news.iter().position(|b| self.class(false, b.fact) == class) else { return true };
            let b = news.remove(at);
            self.facts(a.fact, b.fact);
            false
        });
        for left in olds.iter().filter(|left| stands_alone(self.old.sequence, left)) {
            let fact = &self.old.sequence.facts[left.fact];
            self.push(fact.value.kind(), Some((left.fact, fact.span.clone())), None, ValueVerdict::Different);
        }
        for left in news.iter().filter(|left| stands_alone(self.new.sequence, left)) {
            let fact = &self.new.sequence.facts[left.fact];
            self.push(fact.value.kind(), None, Some((left.fact, fact.span.clone())), ValueVerdict::Different);
        }
    }

    /// Words and figures that disagree within one document.
    fn faults(&mut self) {
        let faults = |sequence: &Sequence| -> Vec<usize> {
            (0..sequence.facts.len()).filter(|fact| sequence.facts[*fact].fault).collect()
        };
        let (olds, news) = (faults(self.old.sequence), faults(self.new.sequence));
        for k in 0..olds.len().max(news.len()) {
            let span = |sequence: &Sequence, list: &[usize]| {
                list.get(k).map(|fact| (*fact, sequence.facts[*fact].span.clone()))
            };
            let (a, b) = (span(self.old.sequence, &olds), span(self.new.sequence, &news));
            let verdict = if a.is_some() && b.is_some() { ValueVerdict::Equal } else { ValueVerdict::Different };
            self.push(ChangeKind::WordsAgainstFigures, a, b, verdict);
        }
    }

    fn push(
        &mut self,
        kind: ChangeKind,
        old: Option<(usize, Range<usize>)>,
        new: Option<(usize, Range<usize>)>,
        verdict: ValueVerdict,
    ) {
        let old = old.map(|(fact, span)| shown(self.old, fact, span));
        let new = new.map(|(fact, span)| shown(self.new, fact, span));
        self.changes.push(Change { kind, old, new, verdict });
    }
}

/// True if each number that is cited has its partner among the clauses of the other citation.
fn meets(cited: &Reference, partners: &[Vec<usize>], other: &Reference) -> bool {
    let mut has_partner = false;
    for (number, targets) in &cited.cited {
        // A number that no clause has must be cited there too. In a range some may be missing.
        if targets.is_empty() {
            if !number.is_empty() && !other.cited.iter().any(|(known, found)| known == number && found.is_empty()) {
                return false;
            }
            continue;
        }
        let known: Vec<&Vec<usize>> =
            targets.iter().filter_map(|t| partners.get(*t)).filter(|p| !p.is_empty()).collect();
        let hits = known.iter().filter(|all| all.iter().any(|partner| other.targets.contains(partner))).count();
        // Of a whole article, one clause may have gone another way.
        if (known.len() - hits) * 4 > hits {
            return false;
        }
        has_partner |= hits > 0;
    }
    has_partner
}

/// True if a value is a change although only one side has it.
fn stands_alone(sequence: &Sequence, left: &LeftOver) -> bool {
    let fact = &sequence.facts[left.fact];
    match fact.value {
        Value::Not | Value::Modality(_) => left.is_short || left.is_insertion,
        Value::Except | Value::Reference(_) => true,
        // "sign, seal" and "sign or seal": a comma may stand for "and" only.
        Value::Or | Value::AndOr => left.is_lone,
        Value::And | Value::Party(_) | Value::Term(..) => false,
        _ => true,
    }
}

/// What differs in the titles of groups before two clauses.
pub(super) fn titles(
    old: ClauseSide<'_>,
    i: usize,
    new: ClauseSide<'_>,
    j: usize,
    knowledge: &Knowledge<'_>,
) -> Vec<Change> {
    let span = |contract: &Contract, clause: usize| {
        let range = contract.title(clause);
        let raw = contract.plain.raw(range.clone());
        let text = contract.plain.get(range).split_whitespace().collect::<Vec<_>>().join(" ");
        let citation = contract.clauses.get(clause).map_or(String::new(), |clause| clause.number.clone());
        (!text.is_empty()).then_some(ValueSpan { start: raw.start, end: raw.end, text, citation })
    };
    let (a, b) = (span(old.contract, i), span(new.contract, j));
    let mut changes = vec![Change { kind: ChangeKind::Title, old: a, new: b, verdict: ValueVerdict::Different }];
    changes.extend(differences(old, new, knowledge).changes);
    changes
}

fn shown(side: ClauseSide<'_>, fact: usize, span: Range<usize>) -> ValueSpan {
    let raw = side.contract.plain.raw(span.clone());
    let clause = side.sequence.owners.get(fact).copied().unwrap_or_default();
    ValueSpan {
        start: raw.start,
        end: raw.end,
        text: side.contract.plain.get(span.clone()).split_whitespace().collect::<Vec<_>>().join(" "),
        citation: side.contract.citation(clause, span.start),
    }
}

/// A spelling without case and blanks.
fn squeeze(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase).collect()
}

/// Two parties that have changed places are one change.
fn swaps(changes: Vec<Change>) -> Vec<Change> {
    let names = |change: &Change| -> Option<(String, String)> {
        let is_party = change.kind == ChangeKind::Party && change.verdict != ValueVerdict::Equal;
        let (old, new) = (change.old.as_ref().filter(|_| is_party)?, change.new.as_ref()?);
        Some((old.text.to_lowercase(), new.text.to_lowercase()))
    };
    let pairs: Vec<(String, String)> = changes.iter().filter_map(names).collect();
    let mut told: Vec<(String, String)> = Vec::new();
    let mut kept: Vec<Change> = Vec::new();
    for mut change in changes {
        if let Some((from, to)) = names(&change)
            && pairs.iter().any(|(a, b)| *a == to && *b == from)
        {
            if told.iter().any(|pair| *pair == (from.clone(), to.clone()) || *pair == (to.clone(), from.clone())) {
                continue;
            }
            change.kind = ChangeKind::RoleSwap;
            told.push((from, to));
        }
        kept.push(change);
    }
    kept
}
