//! Limits on the depth and size of the tree.

use html5ever::{LocalName, local_name};

use super::elements::is_void;
use super::tokens::{Element, Token};

/// Maximum depth. Real mail stays under 100.
const DEEPEST: usize = 200;

/// Maximum number of nodes of all trees of a message. A node takes up to ten microseconds, more in tables.
pub(super) const MOST_NODES: usize = 40_000;
const TABLE_NODES: usize = 2;

/// Formatting elements. The HTML standard reopens them in every block in which they are not closed, so that a few bytes
/// become many nodes.
#[rustfmt::skip]
fn is_formatting(name: &LocalName) -> bool {
    matches!(
        *name,
        local_name!("a") | local_name!("b") | local_name!("big") | local_name!("code") | local_name!("em")
            | local_name!("font") | local_name!("i") | local_name!("nobr") | local_name!("s") | local_name!("small")
            | local_name!("strike") | local_name!("strong") | local_name!("tt") | local_name!("u")
    )
}

fn is_cell(name: &LocalName) -> bool {
    matches!(*name, local_name!("td") | local_name!("th"))
}

fn is_row(name: &LocalName) -> bool {
    matches!(*name, local_name!("tr") | local_name!("tbody") | local_name!("thead") | local_name!("tfoot"))
}

fn is_definition(name: &LocalName) -> bool {
    matches!(*name, local_name!("dt") | local_name!("dd"))
}

/// Elements whose end tag may be left out.
fn ends_itself(name: &LocalName) -> bool {
    let item = matches!(*name, local_name!("p") | local_name!("li") | local_name!("option"));
    item || is_cell(name) || is_row(name) || is_definition(name)
}

/// Number of nodes of the tree of these tokens; `None` if it would be too deep or have more than `most`.
pub(super) fn tree_nodes(tokens: &[&Token], most: usize) -> Option<usize> {
    let mut open: Vec<&LocalName> = Vec::new();
    let mut formatting: usize = 0;
    let mut nodes: usize = 0;
    for token in tokens {
        match token {
            Token::Open(Element { name, .. }) if is_void(name) => nodes += 1,
            Token::Open(Element { name, .. }) => {
                end_by(&mut open, name);
                if is_formatting(name) {
                    formatting += 1;
                    nodes += 1;
                } else {
                    let in_table = is_cell(name) || matches!(*name, local_name!("table") | local_name!("tr"));
                    nodes += if in_table { TABLE_NODES } else { 1 } + formatting;
                }
                open.push(name);
            }
            Token::Close(name) => {
                if is_formatting(name) {
                    formatting = formatting.saturating_sub(1);
                }
                // Bounded, so that an end tag without a start tag costs no more than this.
                if let Some(at) = open.iter().rev().take(DEEPEST).position(|known| *known == name) {
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

/// Closes the elements that this start tag ends.
fn end_by(open: &mut Vec<&LocalName>, name: &LocalName) {
    if !ends_itself(name) {
        return;
    }
    while let Some(&top) = open.last() {
        let ends = top == name
            || *top == local_name!("p")
            || (is_cell(name) || is_row(name)) && is_cell(top)
            || is_row(name) && *top == local_name!("tr")
            || is_definition(name) && is_definition(top);
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
        let fits = |html: &str| tree_nodes(&tokens(html).iter().collect::<Vec<_>>(), MOST_NODES).is_some();
        assert!(fits(&"<p>a".repeat(5000)));
        assert!(fits(&"<tr><td>a".repeat(5000)));
        assert!(fits(&"<div>a</div>".repeat(5000)));
        assert!(!fits(&"<div>a".repeat(5000)));
        assert!(!fits(&"<font size=1>".repeat(300)));
        assert!(!fits(&format!("{}{}", "<b>".repeat(150), "<p>a</p>".repeat(5000))));
    }
}
