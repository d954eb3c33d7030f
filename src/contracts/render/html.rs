//! A comparison as one page: what changed, a map of moves, and the clauses side by side. No script, and nothing from
//! elsewhere.

use std::fmt::Write;

use super::{ComparedContracts, named, place, shown, word};
use crate::contracts::comparison::{ClausePair, Relation};
use crate::contracts::redline::{PieceKind, RedlinePiece, redline};

const STYLE: &str = include_str!("page.css");
/// Height of a clause in the map.
const ROW: usize = 18;

pub(super) fn write(compared: &ComparedContracts<'_>) -> String {
    let (old, new) = (escaped(compared.old.name), escaped(compared.new.name));
    let language = compared.new.contract.language;
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"{language}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{old} → {new}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{old} → {new}</h1>\n"
    );
    let counts: Vec<String> = compared.counts().iter().map(|(name, count)| format!("{count} {name}")).collect();
    let _ = writeln!(out, "<p>{}</p>", counts.join(", "));
    for sentence in compared.not_compared() {
        let _ = writeln!(out, "<p class=\"note\">{}</p>", escaped(&sentence));
    }
    values(compared, &mut out);
    map(compared, &mut out);
    clauses(compared, &mut out);
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

/// The table of typed differences; each leads to its clause.
fn values(compared: &ComparedContracts<'_>, out: &mut String) {
    let mut rows = String::new();
    for (at, pair) in compared.comparison.pairs.iter().enumerate() {
        for change in &pair.changes {
            let verdict = word(change.verdict);
            let cells = [&word(change.kind), shown(&change.old), shown(&change.new), &verdict].map(escaped);
            let _ = writeln!(
                rows,
                "<tr class=\"{verdict}\"><td><a href=\"#c{at}\">{}</a></td><td>{}</td></tr>",
                escaped(place(change)),
                cells.join("</td><td>")
            );
        }
    }
    if !rows.is_empty() {
        let titles = "<tr><th>clause</th><th>kind</th><th>old</th><th>new</th><th>verdict</th></tr>";
        let _ =
            writeln!(out, "<h2>What changed</h2>\n<table>\n<thead>{titles}</thead>\n<tbody>\n{rows}</tbody>\n</table>");
    }
}

/// Lines from old places to new ones, of clauses that do not stand where they stood.
fn map(compared: &ComparedContracts<'_>, out: &mut String) {
    let moved: Vec<&ClausePair> = compared.comparison.pairs.iter().filter(|pair| pair.moved).collect();
    if moved.is_empty() {
        return;
    }
    let mut olds: Vec<usize> = moved.iter().flat_map(|pair| pair.old.clone()).collect();
    let mut news: Vec<usize> = moved.iter().flat_map(|pair| pair.new.clone()).collect();
    olds.sort_unstable();
    news.sort_unstable();
    let height = ROW * (olds.len().max(news.len()) + 1);
    let _ = writeln!(
        out,
        "<h2>What moved</h2>\n<svg viewBox=\"0 0 800 {height}\" role=\"img\" aria-label=\"clauses that moved\">"
    );
    let row = |all: &[usize], clause: usize| ROW * (all.iter().position(|other| *other == clause).unwrap_or(0) + 1);
    for clause in &olds {
        let title = escaped(&compared.title(compared.old, &[*clause]));
        let _ = writeln!(out, "<text x=\"300\" y=\"{}\" text-anchor=\"end\">{title}</text>", row(&olds, *clause));
    }
    for clause in &news {
        let title = escaped(&compared.title(compared.new, &[*clause]));
        let _ = writeln!(out, "<text x=\"500\" y=\"{}\">{title}</text>", row(&news, *clause));
    }
    for pair in moved {
        for (from, to) in pair.old.iter().flat_map(|from| pair.new.iter().map(move |to| (*from, *to))) {
            let (from, to) = (row(&olds, from) - 4, row(&news, to) - 4);
            let _ = writeln!(out, "<path d=\"M308 {from} C400 {from} 400 {to} 492 {to}\"/>");
        }
    }
    out.push_str("</svg>\n");
}

/// The clauses side by side, in the order of the new contract.
fn clauses(compared: &ComparedContracts<'_>, out: &mut String) {
    out.push_str("<h2>Clauses</h2>\n");
    for (at, pair) in compared.comparison.pairs.iter().enumerate() {
        let (old, new) = compared.titles(pair);
        let (first, second) = (compared.texts(compared.old, &pair.old), compared.texts(compared.new, &pair.new));
        let pieces = redline(&first, &second);
        let perhaps = match pair.perhaps.is_empty() {
            true => String::new(),
            false => format!(", perhaps {}", escaped(&compared.title(compared.new, &pair.perhaps))),
        };
        let is_plain = matches!(pair.relation, Relation::Same | Relation::Renumbered | Relation::Moved);
        let _ = writeln!(
            out,
            "<details id=\"c{at}\" class=\"{}\"{}>\n<summary><b>{}</b> <span>{}</span> <small>{}{perhaps}</small></summary>\n\
             <div class=\"pair\">\n<div>{}</div>\n<div>{}</div>\n</div>\n</details>",
            super::name(pair.relation),
            if is_plain { "" } else { " open" },
            escaped(if new.is_empty() { &old } else { &new }),
            named(pair),
            confidence(pair),
            side(&old, &first, &pieces, PieceKind::Deleted),
            side(&new, &second, &pieces, PieceKind::Inserted),
        );
    }
}

fn confidence(pair: &ClausePair) -> String {
    match pair.old.is_empty() || pair.new.is_empty() {
        true => String::new(),
        false => format!("{:.2}", pair.confidence),
    }
}

/// One side: its own pieces, with those that the other side has not marked.
fn side(title: &str, text: &str, pieces: &[RedlinePiece], own: PieceKind) -> String {
    let mut out = format!("<h3>{}</h3><p>", escaped(title));
    let tag = if own == PieceKind::Deleted { "del" } else { "ins" };
    for piece in pieces {
        let range = if own == PieceKind::Deleted { piece.old.clone() } else { piece.new.clone() };
        let words = escaped(text.get(range).unwrap_or_default());
        match piece.kind {
            PieceKind::Same => out.push_str(&words),
            kind if kind == own => _ = write!(out, "<{tag}>{words}</{tag}>"),
            _ => {}
        }
    }
    out + "</p>"
}

/// Foreign text as text. Control characters, and overrides that could turn a line around, become U+FFFD.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(letter),
            letter if letter.is_control() || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') => {
                out.push('\u{fffd}')
            }
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_is_text() {
        assert_eq!(
            escaped("<b>\"&\u{202e}\u{1b}[31m\u{2067}\0\n"),
            "&lt;b&gt;&quot;&amp;\u{fffd}\u{fffd}[31m\u{fffd}\u{fffd}\n"
        );
    }
}
