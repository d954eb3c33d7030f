//! Style sheets, reduced to the rules that hide something
//!
//! Only these change what a reader sees. A rule is left out where its selector is not of one or two plain parts, and
//! where a later rule shows again what it hides, because hidden text is lost. The work for a document is bounded: beyond
//! it nothing is hidden.

use std::borrow::Cow;
use std::collections::HashMap;

use super::tokens::attribute;

/// Style sheets are read up to this many bytes
const MOST_CSS: usize = 512 << 10;

/// Selectors that may be tried on the elements of one document
const MOST_MATCHES: usize = 2_000_000;

/// Classes of one element that are looked at
const MOST_CLASSES: usize = 32;

/// Style sheets in `@media` are read this deep
const MOST_NESTED: usize = 3;

/// The width of a window in pixels: rules for narrower ones show to a phone what others hide
const WINDOW: f64 = 1000.0;

/// What the style sheets of a document hide
pub(super) struct Hiding {
    selectors: Vec<Selector>,
    /// Selectors by what an element has at least that matches their last part, and by the same of the part above
    parts: HashMap<String, Vec<usize>>,
    aboves: HashMap<String, Vec<usize>>,
    /// Matches that may still be tried
    left: usize,
}

/// The selector of a rule that hides
struct Selector {
    part: Compound,
    /// An element around it
    above: Option<Compound>,
    /// Where the last of the elements ends that match `above`
    until: usize,
}

impl Hiding {
    /// What these style sheets hide, which are in the order of the document
    pub(super) fn of<'s>(sheets: impl Iterator<Item = &'s str>) -> Self {
        let mut read = 0;
        let mut rules = Vec::new();
        for sheet in sheets {
            read += sheet.len();
            if read > MOST_CSS {
                break;
            }
            collect(&without_comments(sheet), MOST_NESTED, &mut rules);
        }
        let mut hiding =
            Hiding { selectors: Vec::new(), parts: HashMap::new(), aboves: HashMap::new(), left: MOST_MATCHES };
        for selector in hidden(&rules).iter().filter_map(|text| Selector::of(text)) {
            let at = hiding.selectors.len();
            hiding.parts.entry(selector.part.key()).or_default().push(at);
            if let Some(above) = &selector.above {
                hiding.aboves.entry(above.key()).or_default().push(at);
            }
            hiding.selectors.push(selector);
        }
        hiding
    }

    /// True if a start tag is hidden. To be asked of every start tag in order; `at` is its place and `end` that behind its
    /// end tag.
    pub(super) fn hides(&mut self, name: &str, inside: &str, at: usize, end: Option<usize>) -> bool {
        if self.selectors.is_empty() || self.left == 0 {
            return false;
        }
        let classes = attribute(inside, "class").unwrap_or("").split_ascii_whitespace().take(MOST_CLASSES).collect();
        let id = attribute(inside, "id").unwrap_or("").trim();
        let element = StartTag { name: name.to_ascii_lowercase(), classes, id };
        let mut keys: Vec<String> = element.classes.iter().map(|class| format!(".{class}")).collect();
        keys.extend([format!("#{id}"), element.name.clone(), String::new()]);
        let mut hides = false;
        for &i in keys.iter().filter_map(|key| self.parts.get(key)).flatten() {
            self.left = self.left.saturating_sub(1);
            let selector = &self.selectors[i];
            hides |= (selector.above.is_none() || at < selector.until) && selector.part.matches(&element);
            if hides || self.left == 0 {
                break;
            }
        }
        // An element that is never closed is around nothing that is known.
        let Some(end) = end.filter(|_| !self.aboves.is_empty()) else { return hides };
        for &i in keys.iter().filter_map(|key| self.aboves.get(key)).flatten() {
            self.left = self.left.saturating_sub(1);
            let selector = &mut self.selectors[i];
            if selector.above.as_ref().is_some_and(|above| above.matches(&element)) {
                selector.until = selector.until.max(end);
            }
        }
        hides
    }
}

impl Selector {
    fn of(text: &str) -> Option<Self> {
        let mut parts = text.split_ascii_whitespace().map(Compound::of).rev();
        let (part, above) = (parts.next()?, parts.next());
        // Everything is inside these, whether they are written or not.
        let above = above.filter(|above| !matches!(above.key().as_str(), "" | "body" | "html"));
        Some(Selector { part, above, until: 0 })
    }
}

/// A start tag
struct StartTag<'a> {
    name: String,
    classes: Vec<&'a str>,
    id: &'a str,
}

/// A part of a selector: `td`, `.a`, `p.a`, `#b`
#[derive(Debug, Default)]
struct Compound {
    /// In lower case; empty for any
    name: String,
    classes: Vec<String>,
    id: String,
}

impl Compound {
    fn of(part: &str) -> Self {
        let mut compound = Compound::default();
        let starts = part.match_indices(['.', '#']).map(|(at, _)| at);
        let starts: Vec<usize> = std::iter::once(0).chain(starts).chain([part.len()]).collect();
        for piece in starts.windows(2).map(|ends| &part[ends[0]..ends[1]]) {
            match piece.as_bytes().first() {
                Some(b'.') => compound.classes.push(piece[1..].to_string()),
                Some(b'#') => compound.id = piece[1..].to_string(),
                _ => compound.name.push_str(&piece.trim_matches('*').to_ascii_lowercase()),
            }
        }
        compound
    }

    fn key(&self) -> String {
        match (self.classes.first(), self.id.as_str()) {
            (Some(class), _) => format!(".{class}"),
            (None, "") => self.name.clone(),
            (None, id) => format!("#{id}"),
        }
    }

    fn matches(&self, element: &StartTag<'_>) -> bool {
        (self.name.is_empty() || self.name == element.name)
            && (self.id.is_empty() || self.id == element.id)
            && self.classes.iter().all(|class| element.classes.contains(&class.as_str()))
    }
}

/// A rule with one selector that says whether it is seen
struct StyleRule {
    selector: String,
    hides: bool,
    important: bool,
}

/// The selectors that hide what they match, without those of which a later rule shows some again
fn hidden(rules: &[StyleRule]) -> Vec<&str> {
    // From the end, so that each name is looked up once.
    let mut shown: HashMap<String, bool> = HashMap::new();
    let mut found = Vec::new();
    for rule in rules.iter().rev() {
        let keys = names(rule.selector.rsplit(' ').next().unwrap_or(""));
        if !rule.hides {
            for key in keys {
                *shown.entry(key).or_default() |= rule.important;
            }
        } else if is_simple(&rule.selector)
            && !keys.iter().any(|key| shown.get(key).is_some_and(|important| *important || !rule.important))
        {
            found.push(rule.selector.as_str());
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// The classes and the id of a part, or else the name of its element
fn names(part: &str) -> Vec<String> {
    let compound = Compound::of(part);
    let classes = compound.classes.iter().map(|class| format!(".{class}"));
    let id = Some(format!("#{}", compound.id)).filter(|id| id.len() > 1);
    let mut names: Vec<String> = classes.chain(id).collect();
    if names.is_empty() {
        names.push(compound.name);
    }
    names
}

/// Reads rules that hide or show, also those of `@media` that a window of a desktop matches
fn collect(sheet: &str, nested: usize, rules: &mut Vec<StyleRule>) {
    let mut rest = sheet;
    while let Some((prelude, block, after)) = rule(rest) {
        rest = after;
        if let Some(query) = prelude.strip_prefix("@media") {
            if nested > 0 && fits_window(query) {
                let from = rules.len();
                collect(block, nested - 1, rules);
                // What is hidden there only may be seen elsewhere.
                let shows = rules.split_off(from).into_iter().filter(|rule| !rule.hides);
                rules.extend(shows);
            }
            continue;
        }
        if prelude.starts_with('@') {
            continue;
        }
        if let Some((hides, important)) = visibility(block) {
            rules.extend(prelude.split(',').map(|selector| StyleRule {
                selector: selector.split_ascii_whitespace().collect::<Vec<_>>().join(" "),
                hides,
                important,
            }));
        }
    }
}

/// True for a query that a window of a desktop matches, as far as it is understood
fn fits_window(query: &str) -> bool {
    let query = query.to_ascii_lowercase();
    query.split(',').any(|query| {
        let tight: String = query.chars().filter(|c| !c.is_whitespace()).collect();
        let pixels = |name: &str| {
            let value = tight.split_once(name)?.1;
            let end = value.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(value.len());
            value[..end].parse::<f64>().ok()
        };
        let is_known = ["max-width:", "min-width:"].iter().any(|name| tight.contains(name))
            || matches!(tight.as_str(), "" | "screen" | "all" | "onlyscreen" | "onlyall");
        is_known
            && !tight.starts_with("not")
            && !tight.contains("print")
            && pixels("max-width:").is_none_or(|most| most >= WINDOW)
            && pixels("min-width:").is_none_or(|least| least <= WINDOW)
    })
}

/// The next rule: what stands before its block, the block, and what follows
fn rule(sheet: &str) -> Option<(&str, &str, &str)> {
    let open = sheet.find('{')?;
    let prelude = &sheet[..open];
    // A statement such as `@import …;` may stand before the selector.
    let start = ["-->", "<!--", ";", "}"]
        .iter()
        .filter_map(|end| prelude.rfind(end).map(|at| at + end.len()))
        .max()
        .unwrap_or(0);
    let mut depth = 0usize;
    let mut quote = None;
    for (at, c) in sheet[open..].char_indices() {
        match c {
            // A text ends with its line at the latest.
            '"' | '\'' if quote.is_none() => quote = Some(c),
            _ if quote.is_some_and(|quote| quote == c || c == '\n') => quote = None,
            _ if quote.is_some() => {}
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

/// A sheet without its comments; one that never ends is the rest of it
fn without_comments(sheet: &str) -> Cow<'_, str> {
    if !sheet.contains("/*") {
        return Cow::Borrowed(sheet);
    }
    let mut bare = String::with_capacity(sheet.len());
    let mut rest = sheet;
    while let Some((before, comment)) = rest.split_once("/*") {
        bare.push_str(before);
        bare.push(' ');
        rest = comment.split_once("*/").map_or("", |(_, after)| after);
    }
    bare.push_str(rest);
    Cow::Owned(bare)
}

/// Whether a block hides or shows, and whether it does so with `!important`
fn visibility(block: &str) -> Option<(bool, bool)> {
    let tight: String = block.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_ascii_lowercase()).collect();
    let mut found: Option<(bool, bool)> = None;
    for declaration in tight.split(';') {
        let value = declaration.trim_end_matches("!important");
        let important = value.len() < declaration.len();
        let hides =
            matches!(value, "display:none" | "visibility:hidden" | "max-height:0" | "max-height:0px" | "opacity:0");
        let shows = ["display:", "visibility:", "max-height:", "opacity:"].iter().any(|name| value.starts_with(name));
        // One declaration that hides is enough.
        if hides || shows && found.is_none_or(|(hides, _)| !hides) {
            found = Some((hides, important));
        }
    }
    found
}

fn is_simple(selector: &str) -> bool {
    let plain = selector.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '#' | '-' | '_' | ' ' | '*'));
    let parts = selector.split(' ').count();
    plain
        && (1..=2).contains(&parts)
        && !matches!(selector.rsplit(' ').next().unwrap_or(""), "" | "*" | "body" | "html")
}

#[cfg(test)]
mod tests {
    use super::super::tokens::{Token, tokens};
    use super::*;

    #[test]
    fn only_rules_that_hide_are_kept() {
        let check = |sheet: &str, expected: &[&str]| {
            let mut rules = Vec::new();
            collect(&without_comments(sheet), MOST_NESTED, &mut rules);
            assert_eq!(hidden(&rules), expected, "{sheet}");
        };
        check("p{color:red}.a, #b { display : NONE !important }", &["#b", ".a"]);
        check("/* c */ .a{display:none} @media x{.b{display:none}} .c{display:none}", &[".a", ".c"]);
        check("@import url(x); .a{visibility:hidden}", &[".a"]);
        check("a b c{display:none} body{display:none} *{display:none} a[b]{display:none} a>b{display:none}", &[]);
        check("{{{{", &[]);
        check(".a{display:none", &[]);
        check(".a{display:none /* } */ } .b{color:red}", &[".a"]);
        check(".a:before{content:\"}{\"} .b{display:none}", &[".b"]);
        // What is shown again is not hidden.
        check(".a{display:none} .a{display:block}", &[]);
        check(".a{display:block} .a{display:none}", &[".a"]);
        check("p.a{display:none} td .a{display:inline}", &[]);
        check(".a{display:none!important} .a{display:block}", &[".a"]);
        check(".a{display:none} @media screen and (min-width:600px){.a{display:block!important}}", &[]);
        check(
            ".a{display:none!important} @media only screen and (max-width:480px){.a{display:block!important}}",
            &[".a"],
        );
        check(".a{display:none} @media print{.a{display:block}} @media (max-width:9px){.b{display:none}}", &[".a"]);
    }

    #[test]
    fn selectors_match_elements() {
        let check = |sheet: &str, html: &str, expected: &str| {
            let mut hiding = Hiding::of([sheet].into_iter());
            let mut found = String::new();
            let all: Vec<_> = tokens(html).collect();
            for (at, token) in all.iter().enumerate() {
                if let Token::Open(name, inside) = token {
                    let close = |token: &Token<'_>| matches!(token, Token::Close(close) if close == name);
                    let end = all[at..].iter().position(close).map(|n| at + n + 1);
                    found.push(if hiding.hides(name, inside, at, end) { '-' } else { '+' });
                }
            }
            assert_eq!(found, expected, "{sheet} on {html}");
        };
        check(".a{display:none}", "<p class='b a'></p><p class=A></p><p id=a></p>", "-++");
        check("P.a, #c{display:none}", "<p class=a></p><b class=a></b><i id=c></i>", "-+-");
        check(".a.b{display:none}", "<p class='b a'></p><p class=a></p>", "-+");
        check("div .a{display:none}", "<div><p><b class=a></b></p></div><b class=a></b>", "++-+");
        check(".a .a{display:none}", "<div class=a><b class=a></b></div>", "+-");
        check("body .a, * .b{display:none}", "<b class=a></b><b class=b></b>", "--");
    }
}
