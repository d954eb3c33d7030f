//! The whole of both texts as one sequence of pieces, in the order of either: for tracked changes.

use std::collections::HashMap;
use std::ops::Range;

use super::ComparedContracts;
use super::docx::{Fate, TrackedPiece};
use crate::contracts::comparison::ClausePair;
use crate::contracts::redline::{PieceKind, redline};

/// Clauses that stand at the same place in both texts, as ranges of their bytes.
type Anchor = (Range<usize>, Range<usize>);

/// All pieces. Those that are not inserted or moved here are the old text, byte for byte, and those that are not deleted
/// or moved away the new one.
pub(super) fn pieces<'t>(compared: &ComparedContracts<'t>) -> Vec<TrackedPiece<'t>> {
    let (old, new) = (compared.old.contract, compared.new.contract);
    let whole = Whole { old: &old.text, new: &new.text, moves: moves(compared) };
    let mut pieces = Vec::new();
    let (mut at, mut to) = (0, 0);
    for (first, second) in anchors(compared) {
        whole.stretch(at..first.start, to..second.start, &mut pieces);
        whole.words(first.clone(), second.clone(), &mut pieces);
        (at, to) = (first.end, second.end);
    }
    whole.stretch(at..old.text.len(), to..new.text.len(), &mut pieces);
    pieces.retain(|piece| !piece.text.is_empty());
    pieces
}

/// Pairs in the order of both texts, without those that would cross one before.
fn anchors(compared: &ComparedContracts<'_>) -> Vec<Anchor> {
    let mut anchors: Vec<Anchor> =
        compared.comparison.pairs.iter().filter(|pair| !pair.moved).filter_map(|pair| range(compared, pair)).collect();
    anchors.sort_by_key(|(first, _)| first.start);
    let (mut at, mut to) = (0, 0);
    anchors.retain(|(first, second)| {
        let fits = first.start >= at && second.start >= to;
        if fits {
            (at, to) = (first.end, second.end);
        }
        fits
    });
    anchors
}

/// The bytes of a pair on both sides; `None` where one side has none.
fn range(compared: &ComparedContracts<'_>, pair: &ClausePair) -> Option<Anchor> {
    let of = |clauses: &[usize], contract: &crate::contracts::Contract| {
        let all = || clauses.iter().filter_map(|at| contract.clauses.get(*at));
        Some(all().map(|clause| clause.start).min()?..all().map(|clause| clause.end).max()?)
    };
    Some((of(&pair.old, compared.old.contract)?, of(&pair.new, compared.new.contract)?))
}

/// Clauses that were moved word for word: their old start, and their number; the same for the new start.
#[derive(Default)]
struct Moves {
    from: HashMap<usize, (usize, usize)>,
    to: HashMap<usize, (usize, usize)>,
}

fn moves(compared: &ComparedContracts<'_>) -> Moves {
    let mut moves = Moves::default();
    let moved = compared.comparison.pairs.iter().filter(|pair| pair.moved).filter_map(|pair| range(compared, pair));
    for (number, (first, second)) in moved.enumerate() {
        let texts = (compared.old.contract.text.get(first.clone()), compared.new.contract.text.get(second.clone()));
        // With another number the words differ, and the clause is taken out and put in.
        if texts.0.map(str::trim) == texts.1.map(str::trim) {
            moves.from.insert(first.start, (first.end, number + 1));
            moves.to.insert(second.start, (second.end, number + 1));
        }
    }
    moves
}

struct Whole<'t> {
    old: &'t str,
    new: &'t str,
    moves: Moves,
}

impl<'t> Whole<'t> {
    /// A pair: by words.
    fn words(&self, old: Range<usize>, new: Range<usize>, pieces: &mut Vec<TrackedPiece<'t>>) {
        let (Some(first), Some(second)) = (self.old.get(old), self.new.get(new)) else { return };
        for piece in redline(first, second) {
            pieces.push(match piece.kind {
                PieceKind::Same => TrackedPiece { fate: Fate::Kept, text: &first[piece.old] },
                PieceKind::Deleted => TrackedPiece { fate: Fate::Deleted, text: &first[piece.old] },
                PieceKind::Inserted => TrackedPiece { fate: Fate::Inserted, text: &second[piece.new] },
            });
        }
    }

    /// What stands between pairs: whole lines that are the same at both ends are kept, the rest is taken out and put in.
    fn stretch(&self, old: Range<usize>, new: Range<usize>, pieces: &mut Vec<TrackedPiece<'t>>) {
        let (Some(first), Some(second)) = (self.old.get(old.clone()), self.new.get(new.clone())) else { return };
        let is_moved = |at: usize, line: &str, moves: &HashMap<usize, (usize, usize)>| {
            moves.keys().any(|start| (at..at + line.len()).contains(start))
        };
        let mut before = 0;
        for (line, other) in first.split_inclusive('\n').zip(second.split_inclusive('\n')) {
            let touches = is_moved(old.start + before, line, &self.moves.from)
                || is_moved(new.start + before, other, &self.moves.to);
            if line != other || touches {
                break;
            }
            before += line.len();
        }
        let (first, second) = (&first[before..], &second[before..]);
        let mut after = 0;
        for (line, other) in first.split_inclusive('\n').rev().zip(second.split_inclusive('\n').rev()) {
            let (at, to) = (old.end - after - line.len(), new.end.saturating_sub(after + other.len()));
            let touches = self.moves.from.iter().any(|(start, (end, _))| *start < at + line.len() && *end > at)
                || self.moves.to.iter().any(|(start, (end, _))| *start < to + other.len() && *end > to);
            if line != other || touches {
                break;
            }
            after += line.len();
        }
        let keep = |range: Range<usize>| TrackedPiece { fate: Fate::Kept, text: &self.old[range] };
        pieces.push(keep(old.start..old.start + before));
        let gone = old.start + before..old.end - after;
        parts(self.old, gone, &self.moves.from, Fate::Deleted, Fate::MovedFrom, pieces);
        let come = new.start + before..new.end - after;
        parts(self.new, come, &self.moves.to, Fate::Inserted, Fate::MovedTo, pieces);
        pieces.push(keep(old.end - after..old.end));
    }
}

/// A range of a text: moved clauses by themselves, and what stands between them.
fn parts<'t>(
    text: &'t str,
    range: Range<usize>,
    moves: &HashMap<usize, (usize, usize)>,
    fate: Fate,
    moved: fn(usize) -> Fate,
    pieces: &mut Vec<TrackedPiece<'t>>,
) {
    let mut inside: Vec<(usize, usize, usize)> = moves
        .iter()
        .map(|(start, (end, number))| (*start, *end, *number))
        .filter(|(start, end, _)| *start >= range.start && *end <= range.end)
        .collect();
    inside.sort_unstable();
    let mut at = range.start;
    let mut push = |fate: Fate, range: Range<usize>| {
        pieces.extend(text.get(range).map(|text| TrackedPiece { fate, text }));
    };
    for (start, end, number) in inside {
        push(fate, at..start);
        push(moved(number), start..end);
        at = end;
    }
    push(fate, at..range.end);
}
