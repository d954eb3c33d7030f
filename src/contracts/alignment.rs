//! Which clauses of two contracts belong together
//!
//! Clauses of the same text are anchors. The others are assigned all at once, so that no clause takes a partner that
//! another needs more, and none is forced on a partner that it does not resemble. Then splits and merges are looked
//! for among those left alone.

use std::collections::{HashMap, HashSet};

use super::assignment;
use super::sequence::Sequence;
use super::similarity::{Similarity, THRESHOLD};

/// Largest side of the table of the assignment. Beyond it, the best pairs are taken one after another.
const LARGEST_SIDE: usize = 1500;
/// Most clauses of one side that are scored against each other.
const LARGEST_BLOCK: usize = 3000;
/// Other candidates within this distance of the score make a pair ambiguous.
const AMBIGUOUS: f32 = 0.1;
/// Share of a clause that must be found in the clause it was split from or merged into.
const CONTAINED: f32 = 0.6;
/// Share of a piece that the partner of the whole clause does not hold as well.
const NEWLY_EXPLAINED: f32 = 0.3;
/// Most clauses of one split or merge.
const MOST_PIECES: usize = 6;
/// Least number of word groups of a clause that can be recognised as a piece.
const SMALLEST_PIECE: usize = 3;

/// Clauses that belong together.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Match {
    pub old: Vec<usize>,
    pub new: Vec<usize>,
    pub confidence: f32,
    /// Other clauses of the new contract that resemble the old one about as much.
    pub perhaps: Vec<usize>,
}

/// Anchors: clauses whose text is the same and stands once on each side, and those beside them.
pub(super) fn anchors(old: &[Sequence], new: &[Sequence]) -> Vec<(usize, usize)> {
    let places = |sequences: &[Sequence]| {
        let mut places: HashMap<String, Vec<usize>> = HashMap::new();
        for (i, sequence) in sequences.iter().enumerate().filter(|(_, s)| !s.key.is_empty()) {
            places.entry(sequence.key.clone()).or_default().push(i);
        }
        places
    };
    let (first, second) = (places(old), places(new));
    let mut found: Vec<(usize, usize)> = Vec::new();
    for (key, here) in &first {
        if let (&[i], Some(&[j])) = (here.as_slice(), second.get(key).map(Vec::as_slice)) {
            found.push((i, j));
        }
    }
    found.sort_unstable();
    // Clauses of the same text are told apart by their neighbours.
    let mut taken: HashSet<usize> = found.iter().map(|(_, j)| *j).collect();
    let mut partner: HashMap<usize, usize> = found.iter().copied().collect();
    for (i, sequence) in old.iter().enumerate() {
        if partner.contains_key(&i) || sequence.key.is_empty() {
            continue;
        }
        let Some(candidates) = second.get(&sequence.key) else { continue };
        let after = i.checked_sub(1).and_then(|before| partner.get(&before)).map(|j| j + 1);
        let before = partner.get(&(i + 1)).and_then(|j| j.checked_sub(1));
        let beside =
            candidates.iter().copied().find(|j| !taken.contains(j) && (Some(*j) == after || Some(*j) == before));
        // As many on both sides: in order.
        let in_order = first.get(&sequence.key).filter(|here| here.len() == candidates.len());
        let in_order =
            in_order.and_then(|here| here.iter().position(|k| *k == i)).and_then(|k| candidates.get(k)).copied();
        if let Some(j) = beside.or(in_order).filter(|j| !taken.contains(j)) {
            taken.insert(j);
            partner.insert(i, j);
        }
    }
    let mut all: Vec<(usize, usize)> = partner.into_iter().collect();
    all.sort_unstable();
    all
}

/// Pairs the clauses that are no anchors, then finds splits and merges.
pub(super) fn matches(
    old: &[Sequence],
    new: &[Sequence],
    anchors: &[(usize, usize)],
    similarity: &Similarity<'_>,
) -> Vec<Match> {
    let taken_old: HashSet<usize> = anchors.iter().map(|(i, _)| *i).collect();
    let taken_new: HashSet<usize> = anchors.iter().map(|(_, j)| *j).collect();
    let rows: Vec<usize> = (0..old.len()).filter(|i| !taken_old.contains(i)).collect();
    let columns: Vec<usize> = (0..new.len()).filter(|j| !taken_new.contains(j)).collect();
    let mut found: Vec<Match> = anchors
        .iter()
        .map(|&(i, j)| Match { old: vec![i], new: vec![j], confidence: 1.0, perhaps: Vec::new() })
        .collect();
    // Documents of many thousand clauses are divided into blocks of about the same place.
    let blocks = rows.len().max(columns.len()).div_ceil(LARGEST_BLOCK).max(1);
    let share = |all: &[usize], k: usize| all.len() * k / blocks..all.len() * (k + 1) / blocks;
    for k in 0..blocks {
        found.extend(pair_up(&rows[share(&rows, k)], &columns[share(&columns, k)], similarity));
    }
    if old.len() == 1 && new.len() == 1 && found.is_empty() && similarity.is_related(0, 0) {
        let confidence = similarity.score(0, 0).max(0.1);
        found.push(Match { old: vec![0], new: vec![0], confidence, perhaps: Vec::new() });
    }
    group(old, new, &mut found);
    found
}

/// Assigns clauses that are no anchors.
fn pair_up(rows: &[usize], columns: &[usize], similarity: &Similarity<'_>) -> Vec<Match> {
    let mut found = Vec::new();
    let scores: Vec<f32> = rows.iter().flat_map(|i| columns.iter().map(|j| similarity.score(*i, *j))).collect();
    for (row, column) in assign(&scores, rows.len(), columns.len()) {
        let (i, j) = (rows[row], columns[column]);
        let score = scores[row * columns.len() + column];
        let others = |k: usize| scores[row * columns.len() + k];
        let close = |k: &usize| *k != column && others(*k) > THRESHOLD && others(*k) > score - AMBIGUOUS;
        let perhaps: Vec<usize> = (0..columns.len()).filter(close).map(|k| columns[k]).collect();
        let best = (0..columns.len()).filter(|k| *k != column).map(others).fold(0.0_f32, f32::max);
        let gap = ((score - best) / 0.3).clamp(0.0, 1.0);
        let confidence = (score * 0.6 + 0.4 * gap).clamp(0.0, 0.99);
        found.push(Match { old: vec![i], new: vec![j], confidence, perhaps });
    }
    found
}

/// The assignment of the greatest total score above the threshold.
fn assign(scores: &[f32], rows: usize, columns: usize) -> Vec<(usize, usize)> {
    if rows.max(columns) <= LARGEST_SIDE {
        let costs: Vec<f32> = scores.iter().map(|score| THRESHOLD - score).collect();
        let assigned = assignment::assign(&costs, rows, columns);
        return assigned
            .into_iter()
            .enumerate()
            .filter_map(|(row, column)| column.map(|column| (row, column)))
            .collect();
    }
    let mut order: Vec<usize> = (0..scores.len()).filter(|k| scores[*k] > THRESHOLD).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    let (mut row_taken, mut column_taken) = (vec![false; rows], vec![false; columns]);
    let mut pairs = Vec::new();
    for k in order {
        let (row, column) = (k / columns, k % columns);
        if !row_taken[row] && !column_taken[column] {
            (row_taken[row], column_taken[column]) = (true, true);
            pairs.push((row, column));
        }
    }
    pairs
}

/// Word groups of a clause.
fn shingles(sequence: &Sequence) -> HashSet<u64> {
    let window = |items: &[super::sequence::Item]| {
        let width = if items.first().is_some_and(|item| item.is_character) { 3 } else { 2 };
        items
            .get(..width)
            .map(|items| items.iter().fold(7_u64, |hash, item| hash.wrapping_mul(1_000_003) ^ u64::from(item.id)))
    };
    (0..sequence.items.len()).filter_map(|i| window(&sequence.items[i..])).collect()
}

/// Turns pairs into splits and merges where clauses without a partner are pieces of another.
fn group(old: &[Sequence], new: &[Sequence], found: &mut Vec<Match>) {
    let old_sets: Vec<HashSet<u64>> = old.iter().map(shingles).collect();
    let new_sets: Vec<HashSet<u64>> = new.iter().map(shingles).collect();
    let splits = pieces(&old_sets, &new_sets, &pairs(found, false));
    apply(splits, found, false);
    let merges = pieces(&new_sets, &old_sets, &pairs(found, true));
    apply(merges, found, true);
}

/// One-to-one pairs by the side that holds the whole clause; pairs that are grouped already have no partner to give.
fn pairs(found: &[Match], is_merge: bool) -> (HashMap<usize, usize>, HashSet<usize>) {
    let sides = |m: &Match| if is_merge { (m.new.clone(), m.old.clone()) } else { (m.old.clone(), m.new.clone()) };
    let mut partner = HashMap::new();
    let mut taken = HashSet::new();
    for (whole, part) in found.iter().map(sides) {
        if let ([whole], [part]) = (whole.as_slice(), part.as_slice()) {
            partner.insert(*whole, *part);
        } else {
            // A grouped clause is not divided again.
            partner.extend(whole.iter().map(|whole| (*whole, usize::MAX)));
        }
        taken.extend(part);
    }
    (partner, taken)
}

/// For each whole clause, the run of pieces that it was divided into.
fn pieces(
    wholes: &[HashSet<u64>],
    parts: &[HashSet<u64>],
    (partner, taken): &(HashMap<usize, usize>, HashSet<usize>),
) -> Vec<(usize, Vec<usize>)> {
    let mut holders: HashMap<u64, Vec<usize>> = HashMap::new();
    for (i, set) in wholes.iter().enumerate() {
        for shingle in set {
            holders.entry(*shingle).or_default().push(i);
        }
    }
    let mut free: HashMap<usize, Vec<usize>> = HashMap::new();
    for j in (0..parts.len()).filter(|j| !taken.contains(j) && parts[*j].len() >= SMALLEST_PIECE) {
        let mut counts: HashMap<usize, usize> = HashMap::new();
        for i in parts[j].iter().filter_map(|shingle| holders.get(shingle)).flatten() {
            *counts.entry(*i).or_default() += 1;
        }
        // What the partner of the whole explains already was not split off.
        let extra = |i: usize| {
            let known = partner.get(&i).and_then(|other| parts.get(*other));
            parts[j].iter().filter(|s| wholes[i].contains(s) && !known.is_some_and(|known| known.contains(s))).count()
        };
        let enough = |count: usize| count as f32 >= CONTAINED * parts[j].len() as f32;
        let best = counts
            .iter()
            .filter(|(i, count)| {
                enough(**count)
                    && extra(**i) as f32 >= NEWLY_EXPLAINED * parts[j].len() as f32
                    && partner.get(i) != Some(&usize::MAX)
            })
            .max_by_key(|(i, count)| (**count, std::cmp::Reverse(**i)));
        if let Some((i, _)) = best {
            free.entry(*i).or_default().push(j);
        }
    }
    let mut groups: Vec<(usize, Vec<usize>)> = free
        .into_iter()
        .filter_map(|(i, mut run)| {
            run.extend(partner.get(&i));
            run.sort_unstable();
            let is_run = run.windows(2).all(|pair| pair[1] - pair[0] == 1);
            (is_run && run.len() >= 2 && run.len() <= MOST_PIECES).then_some((i, run))
        })
        .collect();
    groups.sort_unstable();
    groups
}

fn apply(groups: Vec<(usize, Vec<usize>)>, found: &mut Vec<Match>, is_merge: bool) {
    for (whole, run) in groups {
        found.retain(|m| if is_merge { m.new != [whole] } else { m.old != [whole] });
        let (old, new) = if is_merge { (run, vec![whole]) } else { (vec![whole], run) };
        found.push(Match { old, new, confidence: 0.9, perhaps: Vec::new() });
    }
}

/// The matches that are out of order: all but the heaviest chain in which both sides rise.
pub(super) fn moved(found: &[Match], weights: &[f32]) -> Vec<bool> {
    let mut order: Vec<usize> = (0..found.len()).collect();
    order.sort_by_key(|k| found[*k].new.first().copied());
    let largest = found.iter().filter_map(|m| m.old.first()).max().map_or(0, |i| i + 1);
    // Heaviest chain that ends at or before a clause of the old contract: a Fenwick tree of maxima.
    let mut tree: Vec<(f32, Option<usize>)> = vec![(0.0, None); largest + 1];
    let mut before: Vec<Option<usize>> = vec![None; found.len()];
    for &k in &order {
        let Some(&place) = found[k].old.first() else { continue };
        let (mut at, mut best) = (place, (0.0, None));
        while at > 0 {
            if tree[at].0 > best.0 {
                best = tree[at];
            }
            at &= at - 1;
        }
        before[k] = best.1;
        let chain = (best.0 + weights[k], Some(k));
        let mut at = place + 1;
        while at <= largest {
            if chain.0 > tree[at].0 {
                tree[at] = chain;
            }
            at += at & at.wrapping_neg();
        }
    }
    let mut best = (0.0, None);
    let mut at = largest;
    while at > 0 {
        if tree[at].0 > best.0 {
            best = tree[at];
        }
        at &= at - 1;
    }
    let mut is_moved = vec![true; found.len()];
    let mut next = best.1;
    while let Some(k) = next {
        is_moved[k] = false;
        next = before[k];
    }
    is_moved
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smaller_block_moves() {
        let pair = |i: usize, j: usize| Match { old: vec![i], new: vec![j], confidence: 1.0, perhaps: Vec::new() };
        let check = |pairs: &[(usize, usize)], expected: &[bool]| {
            let found: Vec<Match> = pairs.iter().map(|(i, j)| pair(*i, *j)).collect();
            assert_eq!(moved(&found, &vec![1.0; found.len()]), expected, "{pairs:?}");
        };
        check(&[(0, 2), (1, 0), (2, 1)], &[true, false, false]);
        check(&[(0, 0), (1, 1)], &[false, false]);
        check(&[(0, 3), (1, 4), (2, 0), (3, 1), (4, 2)], &[true, true, false, false, false]);
        check(&[], &[]);
    }
}
