//! Style sheets, reduced to the rules that hide something
//!
//! Only these change what a reader sees. The rest costs time, and a matcher that tries every ancestor for every part
//! of a selector can be kept busy for ever by a few bytes; what is left here is short and simple.

/// Parts of a selector beyond which a rule is left out
const MOST_PARTS: usize = 2;

/// Elements, times selectors, that a matcher may have to try in one document
pub(super) const MOST_MATCHES: usize = 5_000_000;

/// What a selector of two parts costs, which is tried on every ancestor
const ANCESTORS: usize = 100;

/// The selectors of rules that hide what they match, outside `@media`, for a document of this many elements. What they
/// cost is taken off `matches`; a sheet that costs more than is left is not used.
pub(super) fn hiding<'s>(sheet: &'s str, elements: usize, matches: &mut usize) -> Vec<&'s str> {
    let mut found = Vec::new();
    let mut rest = sheet;
    while let Some((prelude, block, after)) = rule(rest) {
        if !prelude.contains('@') && hides(block) {
            found.extend(prelude.split(',').map(str::trim).filter(|selector| is_simple(selector)));
        }
        rest = after;
    }
    let cost: usize = found.iter().map(|selector| if parts(selector) > 1 { ANCESTORS } else { 1 }).sum();
    match matches.checked_sub(cost.saturating_mul(elements)) {
        Some(left) => *matches = left,
        None => found.clear(),
    }
    found
}

/// The next rule: what stands before its block, the block, and what follows
fn rule(sheet: &str) -> Option<(&str, &str, &str)> {
    let open = sheet.find('{')?;
    let prelude = &sheet[..open];
    // A comment or a statement such as `@import …;` may stand before the selector.
    let start = ["*/", "-->", "<!--", ";"]
        .iter()
        .filter_map(|end| prelude.rfind(end).map(|at| at + end.len()))
        .max()
        .unwrap_or(0);
    let mut depth = 0usize;
    for (at, c) in sheet[open..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => continue,
        }
        if depth == 0 {
            return Some((prelude[start..].trim(), &sheet[open + 1..open + at], &sheet[open + at + 1..]));
        }
    }
    None
}

fn hides(block: &str) -> bool {
    let tight: String = block.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_ascii_lowercase()).collect();
    tight.split(';').any(|declaration| {
        let declaration = declaration.trim_end_matches("!important");
        matches!(declaration, "display:none" | "visibility:hidden" | "max-height:0" | "max-height:0px" | "opacity:0")
    })
}

fn is_simple(selector: &str) -> bool {
    let plain =
        selector.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '#' | '-' | '_' | ' ' | '>' | '*'));
    plain && !matches!(selector, "" | "*" | "body" | "html") && parts(selector) <= MOST_PARTS
}

fn parts(selector: &str) -> usize {
    selector.split([' ', '>']).filter(|part| !part.is_empty()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rules_that_hide_are_kept() {
        for (sheet, expected) in [
            ("p{color:red}.a, #b { display : NONE !important }", vec![".a", "#b"]),
            ("/* c */ .a{display:none} @media x{.b{display:none}} .c{display:none}", vec![".a", ".c"]),
            ("@import url(x); .a{visibility:hidden}", vec![".a"]),
            ("a b c d{display:none} body{display:none} *{display:none} a[b]{display:none}", vec![]),
            ("{{{{", vec![]),
            (".a{display:none", vec![]),
        ] {
            assert_eq!(hiding(sheet, 10, &mut MOST_MATCHES.clone()), expected, "{sheet}");
        }
        assert!(hiding(".a{display:none}", 10_000_000, &mut MOST_MATCHES.clone()).is_empty());
    }
}
