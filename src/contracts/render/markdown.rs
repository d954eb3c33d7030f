//! A comparison in Markdown, for an issue or a wiki: two tables and the redlines.

use std::fmt::Write;

use super::{ComparedContracts, named, place, shown, word};
use crate::contracts::comparison::Relation;
use crate::contracts::redline::{PieceKind, redline};

pub(super) fn write(compared: &ComparedContracts<'_>) -> String {
    let mut out = format!("# {} → {}\n\n", escaped(compared.old.name), escaped(compared.new.name));
    let counts: Vec<String> = compared.counts().iter().map(|(name, count)| format!("{count} {name}")).collect();
    let _ = writeln!(out, "{}\n", counts.join(", "));
    for sentence in compared.not_compared() {
        let _ = writeln!(out, "{}\n", escaped(&sentence));
    }
    let mut changes = compared.changes(true).peekable();
    if changes.peek().is_some() {
        out.push_str("| clause | kind | old | new | verdict |\n|---|---|---|---|---|\n");
    }
    for (_, change) in changes {
        let cells = [place(change), &word(change.kind), shown(&change.old), shown(&change.new), &word(change.verdict)];
        let _ = writeln!(out, "| {} |", cells.map(escaped).join(" | "));
    }
    out.push_str("\n| old | new | relation | confidence |\n|---|---|---|---|\n");
    for pair in &compared.comparison.pairs {
        let (old, new) = compared.titles(pair);
        let _ = writeln!(out, "| {} | {} | {} | {:.2} |", escaped(&old), escaped(&new), named(pair), pair.confidence);
    }
    let is_shown = |relation| !matches!(relation, Relation::Same | Relation::Renumbered | Relation::Moved);
    for pair in compared.comparison.pairs.iter().filter(|pair| is_shown(pair.relation)) {
        let (old, new) = compared.titles(pair);
        let title = if new.is_empty() { &old } else { &new };
        let (first, second) = (compared.texts(compared.old, &pair.old), compared.texts(compared.new, &pair.new));
        let _ = writeln!(out, "\n## {}: {}\n\n{}", named(pair), escaped(title), redlined(&first, &second));
    }
    out
}

/// A redline in tags that Markdown passes on.
fn redlined(old: &str, new: &str) -> String {
    let mut out = String::new();
    for piece in redline(old, new) {
        match piece.kind {
            PieceKind::Same => out.push_str(&piece_of(&old[piece.old])),
            PieceKind::Deleted => _ = write!(out, "<del>{}</del>", piece_of(&old[piece.old])),
            PieceKind::Inserted => _ = write!(out, "<ins>{}</ins>", piece_of(&new[piece.new])),
        }
    }
    out
}

/// A piece of a text, with the blanks at its ends: a change may stand right behind them.
fn piece_of(text: &str) -> String {
    text.split('\n').map(marked).collect::<Vec<_>>().join(" ")
}

/// Foreign text as text: no markup of it counts, and no line ends a row.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut words = text.split('\n').map(str::trim_end);
    out.extend(words.next().map(marked));
    for line in words {
        out.push(' ');
        out.push_str(&marked(line));
    }
    out
}

fn marked(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    for letter in line.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' | '!' => out.extend(['\\', letter]),
            letter if letter.is_control() => out.push(' '),
            letter => out.push(letter),
        }
    }
    out
}
