//! The redline of two texts: what was deleted and inserted, by words and by Chinese characters

use std::collections::HashMap;
use std::ops::Range;

use serde::Serialize;
use similar::{Algorithm, DiffOp};
use unicode_segmentation::UnicodeSegmentation;

use super::lexicon::is_unspaced;

/// Most tokens of both sides that are compared token by token. Longer texts are compared line by line first.
const MOST_TOKENS: usize = 20_000;

/// What a piece of a redline is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PieceKind {
    /// In both texts.
    Same,
    /// In the old text only.
    Deleted,
    /// In the new text only.
    Inserted,
}

/// A piece of a redline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RedlinePiece {
    /// What it is.
    pub kind: PieceKind,
    /// Bytes of the old text; empty for an insertion.
    pub old: Range<usize>,
    /// Bytes of the new text; empty for a deletion.
    pub new: Range<usize>,
}

/// Compares two texts. The pieces that are the same or deleted are the old text, those that are the same or inserted
/// the new one, byte for byte.
pub fn redline(old: &str, new: &str) -> Vec<RedlinePiece> {
    let (first, second) = (tokens(old), tokens(new));
    let (a, b) = numbered(old, &first, new, &second);
    let mut steps = diff(&a, &b, old, new, &first, &second);
    merge_islands(&mut steps, old, &first);
    pieces(&steps, &first, &second, old.len(), new.len())
}

/// A stretch of tokens: equal on both sides, or replaced.
#[derive(Debug, Clone)]
struct RedlineStep {
    is_same: bool,
    old: Range<usize>,
    new: Range<usize>,
}

/// Words, numbers, single Chinese characters, marks and runs of blanks: together they are the whole text.
fn tokens(text: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for (at, word) in text.split_word_bound_indices() {
        if word.chars().any(is_unspaced) {
            found.extend(word.char_indices().map(|(i, c)| at + i..at + i + c.len_utf8()));
        } else {
            found.push(at..at + word.len());
        }
    }
    found
}

/// Equal numbers for equal tokens.
fn numbered(old: &str, first: &[Range<usize>], new: &str, second: &[Range<usize>]) -> (Vec<u32>, Vec<u32>) {
    let mut ids: HashMap<&str, u32> = HashMap::new();
    let mut id = |token| {
        let next = ids.len() as u32;
        *ids.entry(token).or_insert(next)
    };
    let a = first.iter().map(|range| id(&old[range.clone()])).collect();
    let b = second.iter().map(|range| id(&new[range.clone()])).collect();
    (a, b)
}

fn diff(
    a: &[u32],
    b: &[u32],
    old: &str,
    new: &str,
    first: &[Range<usize>],
    second: &[Range<usize>],
) -> Vec<RedlineStep> {
    if a.len() + b.len() <= MOST_TOKENS {
        return steps(a, b, 0, 0);
    }
    // Lines first: what is between two common lines is short again.
    let (lines, others) = (line_starts(old, first), line_starts(new, second));
    let mut ids: HashMap<&[u32], u32> = HashMap::new();
    let mut id = |line| {
        let next = ids.len() as u32;
        *ids.entry(line).or_insert(next)
    };
    let x: Vec<u32> = lines.windows(2).map(|w| id(&a[w[0]..w[1]])).collect();
    let y: Vec<u32> = others.windows(2).map(|w| id(&b[w[0]..w[1]])).collect();
    let mut all = Vec::new();
    for step in steps(&x, &y, 0, 0) {
        let old = lines[step.old.start]..lines[step.old.end];
        let new = others[step.new.start]..others[step.new.end];
        if step.is_same || old.len() + new.len() > MOST_TOKENS {
            all.push(RedlineStep { is_same: step.is_same, old, new });
        } else {
            all.extend(steps(&a[old.clone()], &b[new.clone()], old.start, new.start));
        }
    }
    all
}

/// Indices of the tokens that begin a line, and the end.
fn line_starts(text: &str, tokens: &[Range<usize>]) -> Vec<usize> {
    let mut starts = vec![0];
    starts.extend((1..tokens.len()).filter(|i| text[tokens[i - 1].clone()].contains('\n')));
    starts.push(tokens.len());
    starts.dedup();
    if starts.len() == 1 {
        starts.push(tokens.len());
    }
    starts
}

fn steps(a: &[u32], b: &[u32], old: usize, new: usize) -> Vec<RedlineStep> {
    let mut all: Vec<RedlineStep> = Vec::new();
    for op in similar::capture_diff_slices(Algorithm::Myers, a, b) {
        let is_same = matches!(op, DiffOp::Equal { .. });
        let (x, y) = (op.old_range(), op.new_range());
        let step = RedlineStep { is_same, old: x.start + old..x.end + old, new: y.start + new..y.end + new };
        match all.last_mut().filter(|last| last.is_same == is_same) {
            Some(last) => (last.old.end, last.new.end) = (step.old.end, step.new.end),
            None => all.push(step),
        }
    }
    all
}

/// Takes what is the same between two changes into the change if a reader would not see it as a stop: blanks and
/// brackets, or a word alone between long changes. "thirty (30)" to "sixty (60)" is one change.
fn merge_islands(steps: &mut Vec<RedlineStep>, old: &str, first: &[Range<usize>]) {
    let mut merged: Vec<RedlineStep> = Vec::with_capacity(steps.len());
    let mut rest = std::mem::take(steps).into_iter().peekable();
    while let Some(step) = rest.next() {
        let before = merged.last().map_or(0, |last| if last.is_same { 0 } else { last.old.len().max(last.new.len()) });
        let after = rest.peek().map_or(0, |next| if next.is_same { 0 } else { next.old.len().max(next.new.len()) });
        let words =
            first[step.old.clone()].iter().filter(|t| old[(*t).clone()].contains(char::is_alphanumeric)).count();
        let has_stop = first[step.old.clone()].iter().any(|t| old[t.clone()].contains(['.', ';', '。', '；', '\n']));
        let is_island = step.is_same
            && before > 0
            && after > 0
            && !has_stop
            && (words == 0 || words == 1 && before >= 5 && after >= 5);
        let joins = !step.is_same && merged.last().is_some_and(|last| !last.is_same);
        match merged.last_mut().filter(|_| is_island || joins) {
            Some(last) => (last.old.end, last.new.end) = (step.old.end, step.new.end),
            None => merged.push(step),
        }
    }
    *steps = merged;
}

fn pieces(
    steps: &[RedlineStep],
    first: &[Range<usize>],
    second: &[Range<usize>],
    old: usize,
    new: usize,
) -> Vec<RedlinePiece> {
    let at = |tokens: &[Range<usize>], index: usize, end: usize| tokens.get(index).map_or(end, |token| token.start);
    let mut pieces = Vec::new();
    for step in steps {
        let a = at(first, step.old.start, old)..at(first, step.old.end, old);
        let b = at(second, step.new.start, new)..at(second, step.new.end, new);
        if step.is_same {
            pieces.push(RedlinePiece { kind: PieceKind::Same, old: a, new: b });
            continue;
        }
        if !a.is_empty() {
            pieces.push(RedlinePiece { kind: PieceKind::Deleted, old: a.clone(), new: b.start..b.start });
        }
        if !b.is_empty() {
            pieces.push(RedlinePiece { kind: PieceKind::Inserted, old: a.end..a.end, new: b });
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(old: &str, new: &str) -> String {
        let mut out = String::new();
        for piece in redline(old, new) {
            match piece.kind {
                PieceKind::Same => out.push_str(&old[piece.old]),
                PieceKind::Deleted => out.push_str(&format!("[-{}-]", &old[piece.old])),
                PieceKind::Inserted => out.push_str(&format!("{{+{}+}}", &new[piece.new])),
            }
        }
        out
    }

    #[test]
    fn one_change_is_one_piece() {
        for (old, new, expected) in [
            ("in thirty (30) days", "in sixty (60) days", "in [-thirty (30-]{+sixty (60+}) days"),
            ("甲方应在30日内付款", "甲方应在60日内付款", "甲方应在[-30-]{+60+}日内付款"),
            ("a b", "a b", "a b"),
            ("", "x", "{+x+}"),
            ("x", "", "[-x-]"),
        ] {
            assert_eq!(show(old, new), expected);
        }
    }

    #[test]
    fn both_texts_come_back() {
        let long = "line one of many\n".repeat(4000);
        let other = format!("{}changed\n{}", &long[..17 * 100], &long[17 * 90..]);
        for (old, new) in [
            ("", ""),
            ("a\0b", "a\0c"),
            ("第七条 甲方", "第八条　乙方"),
            ("e\u{301} x", "é x"),
            ("The Seller shall. No", "The Buyer may! Yes, no"),
            (long.as_str(), other.as_str()),
            (long.as_str(), "x"),
        ] {
            let (mut a, mut b) = (String::new(), String::new());
            for piece in redline(old, new) {
                if piece.kind != PieceKind::Inserted {
                    a.push_str(&old[piece.old.clone()]);
                }
                if piece.kind != PieceKind::Deleted {
                    b.push_str(&new[piece.new.clone()]);
                }
                if piece.kind == PieceKind::Same {
                    assert_eq!(&old[piece.old], &new[piece.new]);
                }
            }
            assert!(a == old && b == new);
        }
    }
}
