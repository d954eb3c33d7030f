//! The comparison of two contracts

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Serialize;

use super::alignment::{self, Match};
use super::contract::Contract;
use super::differences::{self, Change, ClauseSide, Differences, Knowledge};
use super::parties::{Parties, SameParties};
use super::sequence::{self, Interner, Sequence};
use super::similarity::{ClauseVectors, Similarity, THRESHOLD};
use super::values::{ChangeKind, Value, ValueVerdict};

/// What became of a clause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Relation {
    /// Same text, same number.
    Same,
    /// Same text, another number.
    Renumbered,
    /// Other words, the same values.
    Reworded,
    /// A value, a duty or a statement differs.
    Changed,
    /// Same text in another place.
    Moved,
    /// One clause became several.
    Split,
    /// Several clauses became one.
    Merged,
    /// Taken out.
    #[serde(rename = "only-in-old")]
    OnlyOld,
    /// Put in.
    #[serde(rename = "only-in-new")]
    OnlyNew,
}

/// Clauses that belong together, or one without a partner.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClausePair {
    /// What became of the clause.
    pub relation: Relation,
    /// It stands in another place among its neighbours, whatever else changed.
    pub moved: bool,
    /// Its number differs.
    pub renumbered: bool,
    /// Indices of clauses of the old contract.
    pub old: Vec<usize>,
    /// Indices of clauses of the new contract.
    pub new: Vec<usize>,
    /// How certain the pairing is, in [0, 1].
    pub confidence: f32,
    /// Other clauses of the new contract that resemble the old one about as much.
    pub perhaps: Vec<usize>,
    /// Typed differences.
    pub changes: Vec<Change>,
}

/// All clauses of two contracts, in the order of the new one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ContractComparison {
    /// Clauses that only the old contract has stand where they stood.
    pub pairs: Vec<ClausePair>,
}

/// Compares two contracts. `vectors` are unit vectors of [`Contract::matching_text`] of each clause; the comparison
/// works without them.
pub fn compare(old: &Contract, new: &Contract, vectors: Option<ClauseVectors<'_>>) -> ContractComparison {
    let (old_parties, new_parties) = (Parties::read(old), Parties::read(new));
    let (olds, news) = sequences((old, &old_parties), (new, &new_parties));
    let anchors = alignment::anchors(&olds, &news);
    let similarity = Similarity::new((old, new), (&olds, &news), vectors, &anchors);
    let found = alignment::matches(&olds, &news, &anchors, &similarity);
    let parties = SameParties::new(old_parties, new_parties, [&mentions(&olds), &mentions(&news)]);
    let (forth, back) = partners(&found, (olds.len(), news.len()));
    let knowledge = Knowledge { parties: &parties, partners: (&forth, &back) };
    let moved = moved(old, &olds, &found);
    let titles = Titles::read(old, new);
    let judge = Judge { old, new, olds: &olds, news: &news, knowledge: &knowledge, titles: Some(&titles) };
    let pairs = found.iter().zip(moved).map(|(m, moved)| judge.pair(m, moved)).collect();
    ContractComparison { pairs: in_order(pairs, olds.len(), news.len()) }
}

/// The clauses of two contracts as words and values that can be compared.
fn sequences(old: (&Contract, &Parties), new: (&Contract, &Parties)) -> (Vec<Sequence>, Vec<Sequence>) {
    let mut interner = Interner::default();
    let olds = all(old.0, old.1, &mut interner);
    (olds, all(new.0, new.1, &mut interner))
}

fn all(contract: &Contract, parties: &Parties, interner: &mut Interner) -> Vec<Sequence> {
    (0..contract.clauses.len()).map(|clause| sequence::read(contract, clause, parties, interner)).collect()
}

/// Clauses of two contracts that may be alike.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AskedPair {
    /// Index of a clause of the old contract.
    pub old: usize,
    /// Index of a clause of the new contract.
    pub new: usize,
    /// The cosine of their vectors, if there are any.
    pub cosine: Option<f32>,
}

/// A contract whose clauses are compared with those of many others.
pub struct ClauseComparer<'a> {
    new: &'a Contract,
    parties: Parties,
    news: Vec<Sequence>,
    interner: Interner,
}

impl<'a> ClauseComparer<'a> {
    /// Reads the contract once.
    pub fn new(new: &'a Contract) -> Self {
        let (parties, mut interner) = (Parties::read(new), Interner::default());
        let news = all(new, &parties, &mut interner);
        Self { new, parties, news, interner }
    }

    /// Compares pairs of its clauses and those of `old` one by one. `None` where the two are not alike.
    pub fn compare(&self, old: &Contract, pairs: &[AskedPair]) -> Vec<Option<ClausePair>> {
        let (new, news) = (self.new, &self.news);
        let old_parties = Parties::read(old);
        // A copy, because the numbers of words must not depend on the contracts before.
        let olds = all(old, &old_parties, &mut self.interner.clone());
        let anchors = alignment::anchors(&olds, news);
        let similarity = Similarity::new((old, new), (&olds, news), None, &anchors);
        let parties = SameParties::new(old_parties, self.parties.clone(), [&mentions(&olds), &mentions(news)]);
        // Citations are held against the partners in the whole contracts.
        let cites = |contract: &Contract, clause: usize| {
            contract.clauses.get(clause).is_some_and(|clause| clause.references.iter().any(|r| !r.targets.is_empty()))
        };
        let found = match pairs.iter().any(|pair| cites(old, pair.old) || cites(new, pair.new)) {
            true => alignment::matches(&olds, news, &anchors, &similarity),
            false => Vec::new(),
        };
        let (forth, back) = partners(&found, (olds.len(), news.len()));
        let is_there = |pair: &&AskedPair| pair.old < olds.len() && pair.new < news.len();
        let knowledge = Knowledge { parties: &parties, partners: (&forth, &back) };
        let judge = Judge { old, new, olds: &olds, news, knowledge: &knowledge, titles: None };
        let compared = |pair: &AskedPair| {
            let &AskedPair { old: i, new: j, cosine } = Some(pair).filter(is_there)?;
            let confidence = similarity.score_with(i, j, cosine);
            let pair = Match { old: vec![i], new: vec![j], confidence, perhaps: Vec::new() };
            (confidence >= THRESHOLD).then(|| judge.pair(&pair, false))
        };
        pairs.iter().map(compared).collect()
    }
}

/// The titles of groups before each clause. They lie in no clause.
struct Titles {
    old: Vec<Vec<String>>,
    new: Vec<Vec<String>>,
    /// How often each line stands in the old contract more than in the new one.
    surplus: HashMap<String, i32>,
}

impl Titles {
    fn read(old: &Contract, new: &Contract) -> Titles {
        let lines = |contract: &Contract| -> Vec<Vec<String>> {
            let text = |line| contract.plain.get(line).split_whitespace().collect();
            let lines = |clause| contract.title_lines(clause).into_iter().map(text).collect();
            (0..contract.clauses.len()).map(lines).collect()
        };
        let (old, new) = (lines(old), lines(new));
        let mut surplus: HashMap<String, i32> = HashMap::new();
        for (side, count) in [(&old, 1), (&new, -1)] {
            side.iter().flatten().for_each(|line| *surplus.entry(line.clone()).or_default() += count);
        }
        Titles { old, new, surplus }
    }

    /// True if other titles stand before a pair that has not moved. A clause that was put before the first one of a group
    /// takes its title, which is no change.
    fn differ(&self, i: usize, j: usize) -> bool {
        let (Some(a), Some(b)) = (self.old.get(i), self.new.get(j)) else { return false };
        let is_new = |line: &String| self.surplus.get(line).is_some_and(|surplus| *surplus != 0);
        let is_other = !a.is_empty() && !b.is_empty() && !a.iter().any(|line| b.contains(line));
        a != b && (is_other || a.iter().chain(b).any(is_new))
    }
}

/// Clauses of the new contract for each of the old one, and the other way round.
fn partners(found: &[Match], (olds, news): (usize, usize)) -> (Vec<Vec<usize>>, Vec<Vec<usize>>) {
    let (mut forth, mut back) = (vec![Vec::new(); olds], vec![Vec::new(); news]);
    for m in found {
        m.old.iter().for_each(|i| forth[*i].extend(&m.new));
        m.new.iter().for_each(|j| back[*j].extend(&m.old));
    }
    (forth, back)
}

/// How often each party is named.
fn mentions(sequences: &[Sequence]) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    for fact in sequences.iter().flat_map(|sequence| &sequence.facts) {
        if let Value::Party(name) = &fact.value {
            *counts.entry(name.clone()).or_default() += 1;
        }
    }
    counts
}

/// The matches that are out of order. Definitions are kept by the alphabet and never move.
fn moved(old: &Contract, olds: &[Sequence], found: &[Match]) -> Vec<bool> {
    let is_definition = |m: &Match| m.old.iter().any(|i| old.clauses[*i].definition.is_some());
    let placed: Vec<Match> = found.iter().filter(|m| !is_definition(m)).cloned().collect();
    // Each clause counts, and a longer one a little more.
    let weights: Vec<f32> = placed
        .iter()
        .map(|m| m.old.iter().map(|i| 1.0 + (olds[*i].items.len() as f32).min(1000.0) / 1000.0).sum())
        .collect();
    let mut moved = alignment::moved(&placed, &weights).into_iter();
    found.iter().map(|m| !is_definition(m) && moved.next().unwrap_or(false)).collect()
}

struct Judge<'a> {
    old: &'a Contract,
    new: &'a Contract,
    olds: &'a [Sequence],
    news: &'a [Sequence],
    knowledge: &'a Knowledge<'a>,
    titles: Option<&'a Titles>,
}

impl Judge<'_> {
    fn pair(&self, m: &Match, moved: bool) -> ClausePair {
        let (first, second) = (joined(self.olds, &m.old), joined(self.news, &m.new));
        let Differences { mut changes, says_more } = differences::differences(
            ClauseSide { contract: self.old, sequence: &first },
            ClauseSide { contract: self.new, sequence: &second },
            self.knowledge,
        );
        changes.extend(self.title_changes(m, moved));
        let number = |contract: &Contract, indices: &[usize]| -> Vec<String> {
            indices.iter().map(|i| contract.clauses[*i].number.clone()).collect()
        };
        let renumbered = number(self.old, &m.old) != number(self.new, &m.new);
        let differs = |change: &Change| change.verdict != ValueVerdict::Equal;
        let is_changed = changes.iter().any(differs);
        let relation = if m.new.len() > 1 {
            Relation::Split
        } else if m.old.len() > 1 {
            Relation::Merged
        } else if is_changed || says_more {
            Relation::Changed
        } else if first.strict != second.strict || has_new_spelling(&changes) || self.is_written_anew(m) {
            Relation::Reworded
        } else if moved {
            Relation::Moved
        } else if renumbered {
            Relation::Renumbered
        } else {
            Relation::Same
        };
        ClausePair {
            relation,
            moved,
            renumbered,
            old: m.old.clone(),
            new: m.new.clone(),
            confidence: m.confidence,
            perhaps: m.perhaps.clone(),
            changes,
        }
    }

    /// True if the letters of a pair differ in something that no token has, such as case or the address of a link.
    fn is_written_anew(&self, m: &Match) -> bool {
        match (&m.old[..], &m.new[..]) {
            (&[i], &[j]) => self.old.written(i) != self.new.written(j),
            _ => true,
        }
    }

    fn title_changes(&self, m: &Match, moved: bool) -> Vec<Change> {
        let (Some(&i), Some(&j)) = (m.old.first(), m.new.first()) else { return Vec::new() };
        if moved || !self.titles.is_some_and(|titles| titles.differ(i, j)) {
            return Vec::new();
        }
        let (old, new) = self.knowledge.parties.both();
        let mut interner = Interner::default();
        let first = sequence::read_title(self.old, i, old, &mut interner);
        let second = sequence::read_title(self.new, j, new, &mut interner);
        let (old, new) =
            (ClauseSide { contract: self.old, sequence: &first }, ClauseSide { contract: self.new, sequence: &second });
        differences::titles(old, i, new, j, self.knowledge)
    }
}

/// Several clauses as one.
fn joined<'a>(all: &'a [Sequence], indices: &[usize]) -> Cow<'a, Sequence> {
    match indices {
        [one] => Cow::Borrowed(&all[*one]),
        many => Cow::Owned(Sequence::join(&many.iter().map(|i| &all[*i]).collect::<Vec<_>>())),
    }
}

/// A fault that both documents share is no new spelling.
fn has_new_spelling(changes: &[Change]) -> bool {
    changes.iter().any(|change| change.kind != ChangeKind::WordsAgainstFigures)
}

/// Orders the pairs by the new contract and puts in the clauses that stand alone.
fn in_order(mut pairs: Vec<ClausePair>, old: usize, new: usize) -> Vec<ClausePair> {
    let alone = |relation: Relation, old: Vec<usize>, new: Vec<usize>| ClausePair {
        relation,
        moved: false,
        renumbered: false,
        old,
        new,
        confidence: 1.0,
        perhaps: Vec::new(),
        changes: Vec::new(),
    };
    let mut has_old = vec![false; old];
    let mut has_new = vec![false; new];
    for pair in &pairs {
        pair.old.iter().for_each(|i| has_old[*i] = true);
        pair.new.iter().for_each(|j| has_new[*j] = true);
    }
    pairs.extend((0..new).filter(|j| !has_new[*j]).map(|j| alone(Relation::OnlyNew, Vec::new(), vec![j])));
    pairs.sort_by_key(|pair| pair.new.first().copied());
    // A clause that was taken out follows the clause that it followed in the old contract.
    let mut place: HashMap<usize, usize> = HashMap::new();
    for (at, pair) in pairs.iter().enumerate() {
        pair.old.iter().filter(|_| !pair.moved).for_each(|i| {
            place.insert(*i, at + 1);
        });
    }
    let mut after = 0;
    let mut inserts: Vec<(usize, ClausePair)> = Vec::new();
    for (i, has_pair) in has_old.into_iter().enumerate() {
        if has_pair {
            after = place.get(&i).copied().unwrap_or(after);
        } else {
            inserts.push((after, alone(Relation::OnlyOld, vec![i], Vec::new())));
        }
    }
    inserts.sort_by_key(|(at, _)| *at);
    let mut ordered = Vec::with_capacity(pairs.len() + inserts.len());
    let mut inserts = inserts.into_iter().peekable();
    for (at, pair) in pairs.into_iter().enumerate() {
        while let Some((_, pair)) = inserts.next_if(|(place, _)| *place <= at) {
            ordered.push(pair);
        }
        ordered.push(pair);
    }
    ordered.extend(inserts.map(|(_, pair)| pair));
    ordered
}
