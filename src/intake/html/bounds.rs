//! What html2text can be given: how deep the tree would be, and how large

use super::tokens::{Token, VOID, is_any};

/// Elements inside each other; real mail stays under 100
const DEEPEST: usize = 200;

/// Nodes of the trees of one mail, a bound on time and memory: each costs up to ten microseconds, and more in tables
pub(super) const MOST_NODES: usize = 40_000;
const TABLE_NODES: usize = 2;

/// Formatting elements, which the HTML standard reopens in every block they are not closed in, so that a
/// few bytes become many nodes
const FORMATTING: &[&str] =
    &["a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u"];

/// Elements that end where the next of their kind begins
const SELF_ENDING: &[&str] = &["p", "li", "td", "th", "tr", "option", "dt", "dd", "tbody", "thead", "tfoot"];

/// The nodes of the tree of these tokens, unless it would be too deep or have more than `most`
pub(super) fn tree_nodes(tokens: &[Token<'_>], most: usize) -> Option<usize> {
    let mut open: Vec<&str> = Vec::new();
    let mut formatting: usize = 0;
    let mut nodes: usize = 0;
    for token in tokens {
        match *token {
            Token::Open(name, _) if is_any(name, VOID) => nodes += 1,
            Token::Open(name, _) => {
                end_by(&mut open, name);
                if is_any(name, FORMATTING) {
                    formatting += 1;
                    nodes += 1;
                } else {
                    let weight = if is_any(name, &["table", "tr", "td", "th"]) { TABLE_NODES } else { 1 };
                    nodes += weight + formatting;
                }
                open.push(name);
            }
            Token::Close(name) => {
                if is_any(name, FORMATTING) {
                    formatting = formatting.saturating_sub(1);
                }
                // Only so far up: an end tag without a start must not cost the whole depth.
                if let Some(at) = open.iter().rev().take(DEEPEST).position(|known| known.eq_ignore_ascii_case(name)) {
                    open.truncate(open.len() - 1 - at);
                }
            }
            Token::Text(_) => nodes += 1,
            Token::Style(_) => {}
        }
        if open.len() > DEEPEST || formatting > DEEPEST || nodes > most {
            return None;
        }
    }
    Some(nodes)
}

/// End tags may be left out: close what this start tag ends
fn end_by(open: &mut Vec<&str>, name: &str) {
    if !is_any(name, SELF_ENDING) {
        return;
    }
    let cell = is_any(name, &["td", "th"]);
    let row = is_any(name, &["tr", "tbody", "thead", "tfoot"]);
    while let Some(top) = open.last() {
        let ends = top.eq_ignore_ascii_case(name)
            || top.eq_ignore_ascii_case("p")
            || (cell || row) && is_any(top, &["td", "th"])
            || row && top.eq_ignore_ascii_case("tr")
            || is_any(name, &["dt", "dd"]) && is_any(top, &["dt", "dd"]);
        if !ends {
            break;
        }
        open.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::super::tokens::tokens;
    use super::*;

    #[test]
    fn deep_and_reopening_html_does_not_fit() {
        let fits = |html: &str| tree_nodes(&tokens(html).collect::<Vec<_>>(), MOST_NODES).is_some();
        assert!(fits(&"<p>a".repeat(5000)));
        assert!(fits(&"<tr><td>a".repeat(5000)));
        assert!(fits(&"<div>a</div>".repeat(5000)));
        assert!(!fits(&"<div>a".repeat(5000)));
        assert!(!fits(&"<font size=1>".repeat(300)));
        assert!(!fits(&format!("{}{}", "<b>".repeat(150), "<p>a</p>".repeat(5000))));
    }
}
