//! A comparison at a prompt: what changed first, then the clauses with their redlines. Deleted words stand in `[-…-]`,
//! inserted ones in `{+…+}`, as in `git diff --word-diff`.

use std::fmt::Write;

use unicode_width::UnicodeWidthStr;

use super::{ComparedContracts, named, one_line, place, shown, word};
use crate::contracts::comparison::{ClausePair, Relation};
use crate::contracts::redline::{PieceKind, redline};
use crate::terminal;

/// Letters of equal text that are shown before and after a change.
const CONTEXT: usize = 40;

pub(super) fn write(compared: &ComparedContracts<'_>) -> String {
    let mut out = String::new();
    head(compared, &mut out);
    values(compared, &mut out);
    let pairs = &compared.comparison.pairs;
    if compared.is_template {
        list(compared, "Missing from the new one", Relation::OnlyOld, &mut out);
        list(compared, "Not in the template", Relation::OnlyNew, &mut out);
    }
    let shown = |pair: &&ClausePair| !matches!(pair.relation, Relation::Same | Relation::Renumbered);
    for pair in pairs.iter().filter(shown) {
        clause(compared, pair, &mut out);
    }
    terminal::escape_lines(&out)
}

fn head(compared: &ComparedContracts<'_>, out: &mut String) {
    for (side, given) in [("old", compared.old), ("new", compared.new)] {
        let count = given.contract.clauses.len();
        let _ = writeln!(out, "{side}  {}  {count} {}", given.name, if count == 1 { "clause" } else { "clauses" });
    }
    let counts: Vec<String> = compared.counts().iter().map(|(name, count)| format!("{count} {name}")).collect();
    let _ = writeln!(out, "\n{}", counts.join(", "));
    for sentence in compared.not_compared() {
        let _ = writeln!(out, "{sentence}");
    }
}

/// The table of typed differences.
fn values(compared: &ComparedContracts<'_>, out: &mut String) {
    let rows: Vec<[String; 5]> = compared
        .changes(true)
        .map(|(_, change)| {
            let cell = |text: &str| one_line(text);
            [
                cell(place(change)),
                word(change.kind),
                cell(shown(&change.old)),
                cell(shown(&change.new)),
                word(change.verdict),
            ]
        })
        .collect();
    if rows.is_empty() {
        return;
    }
    out.push('\n');
    let titles = ["clause", "kind", "old", "new", "verdict"].map(String::from);
    let widths: Vec<usize> =
        (0..4).map(|at| rows.iter().chain([&titles]).map(|row| row[at].width()).max().unwrap_or(0).min(44)).collect();
    for row in [&titles].into_iter().chain(&rows) {
        let mut line = String::new();
        for (cell, wide) in row.iter().zip(&widths) {
            let _ = write!(line, "{cell}{}  ", " ".repeat(wide.saturating_sub(cell.width())));
        }
        let _ = writeln!(out, "{line}{}", row[4]);
    }
}

fn list(compared: &ComparedContracts<'_>, title: &str, relation: Relation, out: &mut String) {
    let of = compared.comparison.pairs.iter().filter(|pair| pair.relation == relation);
    let titles: Vec<String> = of.map(|pair| compared.titles(pair)).map(|(old, new)| format!("  {old}{new}")).collect();
    if !titles.is_empty() {
        let _ = writeln!(out, "\n{title}:\n{}", titles.join("\n"));
    }
}

fn clause(compared: &ComparedContracts<'_>, pair: &ClausePair, out: &mut String) {
    let (old, new) = compared.titles(pair);
    let titles = match (old.is_empty(), new.is_empty()) {
        (true, _) => new,
        (_, true) => old,
        _ if old == new => old,
        _ => format!("{old} → {new}"),
    };
    let _ = write!(out, "\n{}: {titles}", named(pair));
    if !pair.old.is_empty() && !pair.new.is_empty() {
        let _ = write!(out, "  ({:.2})", pair.confidence);
    }
    out.push('\n');
    if !pair.perhaps.is_empty() {
        let _ = writeln!(out, "  perhaps {}", compared.title(compared.new, &pair.perhaps));
    }
    if pair.relation == Relation::Moved {
        return;
    }
    let redlined = redlined(&compared.texts(compared.old, &pair.old), &compared.texts(compared.new, &pair.new));
    for line in redlined.lines().filter(|line| !line.trim().is_empty()) {
        let _ = writeln!(out, "  {}", line.trim_end());
    }
}

/// A redline; what is the same far from a change is left out.
fn redlined(old: &str, new: &str) -> String {
    let pieces = redline(old, new);
    let last = pieces.len().saturating_sub(1);
    let mut out = String::new();
    for (at, piece) in pieces.into_iter().enumerate() {
        match piece.kind {
            PieceKind::Same => out.push_str(&shortened(&old[piece.old], at > 0, at < last)),
            PieceKind::Deleted => _ = write!(out, "[-{}-]", old[piece.old].trim_end_matches('\n')),
            PieceKind::Inserted => _ = write!(out, "{{+{}+}}", new[piece.new].trim_end_matches('\n')),
        }
    }
    out
}

/// The beginning of an equal piece if a change is before it, and its end if one comes after it.
fn shortened(text: &str, is_after: bool, is_before: bool) -> String {
    let letters: Vec<char> = text.chars().collect();
    let (first, last) = (if is_after { CONTEXT } else { 0 }, if is_before { CONTEXT } else { 0 });
    if letters.len() <= first + last + 3 {
        return text.to_string();
    }
    let (start, end): (String, String) =
        (letters[..first].iter().collect(), letters[letters.len() - last..].iter().collect());
    format!("{start} … {end}")
}
