//! A clause as a sequence of words and masked values, and what two sequences have in common

use std::collections::HashMap;
use std::ops::Range;

use super::contract::Contract;
use super::lexicon::{self, Lexicon, is_han};
use super::parties::Parties;
use super::tokens::{ContractToken, TokenKind};
use super::values::{self, Context, Fact, Reading, Value, ValueVerdict};

/// Largest table of an alignment, in cells. Longer texts are compared without weights.
const LARGEST_TABLE: usize = 4_000_000;

/// Gives each word and each class of values a number.
#[derive(Clone, Default)]
pub(super) struct Interner {
    ids: HashMap<String, u32>,
}

impl Interner {
    pub(super) fn id(&mut self, word: &str) -> u32 {
        if let Some(id) = self.ids.get(word) {
            return *id;
        }
        let id = self.ids.len() as u32;
        self.ids.insert(word.to_owned(), id);
        id
    }
}

/// A word or a value.
#[derive(Debug, Clone)]
pub(super) struct Item {
    /// Equal for equal words, and for values of one class.
    pub id: u32,
    /// Index of the value.
    pub fact: Option<usize>,
    /// A word that carries meaning, in contrast to "the" and "of".
    pub is_content: bool,
    pub is_character: bool,
}

/// A clause, or several of them, ready to be compared.
#[derive(Debug, Clone, Default)]
pub(super) struct Sequence {
    pub items: Vec<Item>,
    pub facts: Vec<Fact>,
    /// The clause of each fact.
    pub owners: Vec<usize>,
    /// Normal text without punctuation, citations left open: equal texts are the same clause.
    pub key: String,
    /// The same with punctuation.
    pub strict: String,
}

/// Reads a clause. Of its heading only the values are items: the words of headings are compared as a whole.
pub(super) fn read(contract: &Contract, clause: usize, parties: &Parties, interner: &mut Interner) -> Sequence {
    let body = contract.body(clause);
    let references = contract.clauses[clause].references.iter().map(|reference| reference.plain.clone()).collect();
    let lexicons = lexicon::of_clause(contract.plain.get(body.clone()), &contract.lexicons);
    let context = Context { lexicons: &lexicons, references, parties: &parties.names };
    let head = contract.clauses[clause].head.min(body.start);
    let reading = values::read(contract.plain.get(head..body.end), head, &context);
    let markers: Vec<Range<usize>> = contract.clauses[clause]
        .parts
        .iter()
        .map(|part| part.plain.start..part.body)
        .filter(|r| !r.is_empty())
        .collect();
    let mut sequence = Sequence { owners: vec![clause; reading.facts.len()], ..Sequence::default() };
    let heading = contract.clauses[clause].heading.to_lowercase();
    sequence.key.extend(heading.chars().filter(|c| c.is_alphanumeric()));
    sequence.strict.push_str(&heading);
    write_items(&lexicons, &reading, (body.start, &markers), interner, &mut sequence);
    sequence.facts = reading.facts;
    sequence
}

/// Reads the titles of groups before a clause.
pub(super) fn read_title(contract: &Contract, clause: usize, parties: &Parties, interner: &mut Interner) -> Sequence {
    let range = contract.title(clause);
    let context = Context { lexicons: &contract.lexicons, references: Vec::new(), parties: &parties.names };
    let mut reading = values::read(contract.plain.get(range.clone()), range.start, &context);
    // The number of a group is no value.
    let lines = contract.title_lines(clause);
    reading.facts.retain(|fact| lines.iter().any(|line| line.contains(&fact.span.start)));
    let mut sequence = Sequence { owners: vec![clause; reading.facts.len()], ..Sequence::default() };
    write_items(&contract.lexicons, &reading, (range.start, &[]), interner, &mut sequence);
    sequence.facts = reading.facts;
    sequence
}

fn write_items(
    lexicons: &[&'static Lexicon],
    reading: &Reading,
    (body, markers): (usize, &[Range<usize>]),
    interner: &mut Interner,
    out: &mut Sequence,
) {
    let mut facts = reading.facts.iter().enumerate().peekable();
    let mut at = 0;
    while let Some(token) = reading.tokens.get(at) {
        if let Some((index, fact)) = facts.next_if(|(_, fact)| fact.tokens.start == at) {
            let (kind, group) = fact.value.class();
            let id = interner.id(&format!("\u{1}{kind:?} {group}"));
            let is_content = fact.value.is_quantity() || matches!(fact.value, Value::Term(..) | Value::Party(_));
            out.items.push(Item { id, fact: Some(index), is_content, is_character: false });
            let end = fact.tokens.end.max(at + 1);
            if token.start < body {
                // The heading is in the key already.
            } else if matches!(fact.value, Value::Reference(_)) {
                push_key(out, "§", true);
            } else {
                for token in &reading.tokens[at..end] {
                    push_key(out, &token.text, token.kind != TokenKind::Mark);
                }
            }
            at = end;
            continue;
        }
        at += 1;
        if token.start < body {
            continue;
        }
        let before = markers.partition_point(|marker| marker.start <= token.start);
        if before > 0 && markers[before - 1].contains(&token.start) {
            continue;
        }
        push_key(out, &token.text, token.kind != TokenKind::Mark);
        if token.kind != TokenKind::Mark {
            out.items.push(item(lexicons, token, interner));
        }
    }
}

fn push_key(out: &mut Sequence, text: &str, is_word: bool) {
    if is_word {
        out.key.push(' ');
        out.key.push_str(text);
    }
    out.strict.push(' ');
    out.strict.push_str(text);
}

fn item(lexicons: &[&'static Lexicon], token: &ContractToken, interner: &mut Interner) -> Item {
    let lexicon = lexicons.first();
    let month = lexicon.and_then(|l| l.months.iter().find(|(name, _)| *name == token.text));
    // "may" and "march" are words as well, and have no short form that needs them.
    let id = match month.filter(|(name, _)| !matches!(*name, "may" | "march" | "mar")) {
        Some((_, number)) => interner.id(&format!("\u{1}month {number}")),
        None => interner.id(&token.text),
    };
    let is_frequent = lexicons.iter().any(|lexicon| lexicon.frequent.contains(&token.text.as_str()));
    let is_particle = token.text.starts_with(|c: char| "的之其该本此所于对为在由向将把被了着及而则即".contains(c));
    let is_character = token.text.chars().next().is_some_and(is_han);
    Item { id, fact: None, is_content: !is_frequent && !is_particle, is_character }
}

impl Sequence {
    /// Several clauses as one.
    pub(super) fn join(parts: &[&Sequence]) -> Sequence {
        let mut joined = Sequence::default();
        for part in parts {
            let offset = joined.facts.len();
            joined.items.extend(part.items.iter().cloned().map(|mut item| {
                item.fact = item.fact.map(|fact| fact + offset);
                item
            }));
            joined.facts.extend(part.facts.iter().cloned());
            joined.owners.extend(&part.owners);
            joined.key.push_str(&part.key);
            joined.strict.push_str(&part.strict);
        }
        joined
    }

    fn fact(&self, item: usize) -> Option<&Fact> {
        self.items.get(item).and_then(|item| item.fact).and_then(|fact| self.facts.get(fact))
    }
}

/// The pairs of items that stand in the same place of both sequences, in order.
pub(super) fn align(old: &Sequence, new: &Sequence) -> Vec<(usize, usize)> {
    let same = |i: usize, j: usize| {
        old.items[i].id == new.items[j].id && old.fact(i).map(|fact| &fact.value) == new.fact(j).map(|fact| &fact.value)
    };
    let shorter = old.items.len().min(new.items.len());
    let head = (0..shorter).take_while(|i| same(*i, *i)).count();
    let tail = (1..=shorter - head).take_while(|i| same(old.items.len() - i, new.items.len() - i)).count();
    let (n, m) = (old.items.len() - head - tail, new.items.len() - head - tail);
    let mut pairs: Vec<(usize, usize)> = (0..head).map(|i| (i, i)).collect();
    if n.saturating_mul(m) <= LARGEST_TABLE {
        pairs.extend(weighted(old, new, head, n, m));
    } else {
        pairs.extend(unweighted(old, new, head, n, m));
    }
    pairs.extend((0..tail).map(|i| (head + n + i, head + m + i)));
    pairs
}

/// The alignment of the greatest weight, by dynamic programming.
fn weighted(old: &Sequence, new: &Sequence, head: usize, n: usize, m: usize) -> Vec<(usize, usize)> {
    let width = m + 1;
    let mut best = vec![0_i32; width];
    let mut before = vec![0_i32; width];
    // 0: neither, 1: up, 2: left, 3: pair.
    let mut steps = vec![0_u8; (n + 1) * width];
    for i in 1..=n {
        std::mem::swap(&mut best, &mut before);
        best[0] = 0;
        for j in 1..=m {
            let (mut score, mut step) = if before[j] >= best[j - 1] { (before[j], 1) } else { (best[j - 1], 2) };
            let weight = weight(old, new, head + i - 1, head + j - 1);
            if weight > 0 && before[j - 1] + weight >= score {
                (score, step) = (before[j - 1] + weight, 3);
            }
            best[j] = score;
            steps[i * width + j] = step;
        }
    }
    let (mut i, mut j) = (n, m);
    let mut pairs = Vec::new();
    while i > 0 && j > 0 {
        match steps[i * width + j] {
            3 => {
                (i, j) = (i - 1, j - 1);
                pairs.push((head + i, head + j));
            }
            1 => i -= 1,
            _ => j -= 1,
        }
    }
    pairs.reverse();
    pairs
}

/// How much it counts that these items stand in the same place; 0 if they cannot.
fn weight(old: &Sequence, new: &Sequence, i: usize, j: usize) -> i32 {
    let (a, b) = (&old.items[i], &new.items[j]);
    if a.id != b.id {
        return 0;
    }
    let own = match (old.fact(i), new.fact(j)) {
        (Some(first), Some(second)) => match values::verdict(&first.value, &second.value) {
            ValueVerdict::Equal => 16,
            ValueVerdict::Similar => 12,
            ValueVerdict::Different if first.value.is_quantity() => 8,
            ValueVerdict::Different => 5,
        },
        _ if a.is_character => 4,
        _ if a.is_content => 10,
        _ => 5,
    };
    // A word counts more beside another that is common.
    let follows = i > 0 && j > 0 && old.items[i - 1].id == new.items[j - 1].id;
    own + if follows { 3 } else { 0 }
}

fn unweighted(old: &Sequence, new: &Sequence, head: usize, n: usize, m: usize) -> Vec<(usize, usize)> {
    let ids = |sequence: &Sequence, length: usize| -> Vec<u32> {
        sequence.items[head..head + length].iter().map(|item| item.id).collect()
    };
    let (a, b) = (ids(old, n), ids(new, m));
    let mut pairs = Vec::new();
    for op in similar::capture_diff_slices(similar::Algorithm::Myers, &a, &b) {
        if let similar::DiffOp::Equal { old_index, new_index, len } = op {
            pairs.extend((0..len).map(|k| (head + old_index + k, head + new_index + k)));
        }
    }
    pairs
}
