//! Style sheets, reduced to the rules that hide something and to those that show it again
//!
//! Only these change what a reader sees; which of them decides on an element is told as in a browser. A rule that hides
//! is left out where its selector is not of one or two plain parts, and of such a selector that shows only the last
//! part is looked at, because hidden text is lost. The work for a document is bounded: beyond it nothing is hidden.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use super::tokens::{attribute, classes};

/// Style sheets are read up to this many bytes
const MOST_CSS: usize = 512 << 10;

/// Selectors that may be tried on the elements of one document
const MOST_MATCHES: usize = 2_000_000;

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

/// The selector of a rule that hides or shows
#[derive(Debug)]
struct Selector {
    part: Compound,
    /// An element around it
    above: Option<Compound>,
    /// Where the last of the elements ends that match `above`
    until: usize,
    hides: bool,
    weight: Weight,
}

/// What decides between rules that match the same element: `!important`, then the numbers of ids, of classes and of
/// names in the selector, then the place in the style sheets
type Weight = (bool, [usize; 3], usize);

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
        for selector in deciding(&rules) {
            let at = hiding.selectors.len();
            hiding.parts.entry(selector.part.key()).or_default().push(at);
            if let Some(above) = &selector.above {
                hiding.aboves.entry(above.key()).or_default().push(at);
            }
            hiding.selectors.push(selector);
        }
        hiding
    }

    /// True if a start tag is hidden. To be asked of every start tag in order; `at` is its place and `end` that behind
    /// its end tag.
    pub(super) fn hides(&mut self, name: &str, inside: &str, at: usize, end: Option<usize>) -> bool {
        if self.selectors.is_empty() || self.left == 0 {
            return false;
        }
        let classes = classes(inside).collect();
        let id = attribute(inside, "id").unwrap_or("").trim();
        let element = StartTag { name: name.to_ascii_lowercase(), classes, id };
        let mut keys: Vec<String> = element.classes.iter().map(|class| format!(".{class}")).collect();
        keys.extend([format!("#{id}"), element.name.clone(), String::new()]);
        let mut decides: Option<&Selector> = None;
        for &i in keys.iter().filter_map(|key| self.parts.get(key)).flatten() {
            self.left = self.left.saturating_sub(1);
            let selector = &self.selectors[i];
            if decides.is_none_or(|other| other.weight < selector.weight)
                && (selector.above.is_none() || at < selector.until)
                && selector.part.matches(&element)
            {
                decides = Some(selector);
            }
        }
        let hides = decides.is_some_and(|selector| selector.hides) && self.left > 0;
        for &i in keys.iter().filter_map(|key| self.aboves.get(key)).flatten() {
            self.left = self.left.saturating_sub(1);
            let selector = &mut self.selectors[i];
            if selector.above.as_ref().is_some_and(|above| above.matches(&element)) {
                // An element that is never closed is around nothing that is known, and nothing is hidden for it.
                let end = end.unwrap_or(if selector.hides { 0 } else { usize::MAX });
                selector.until = selector.until.max(end);
            }
        }
        hides
    }
}

impl Selector {
    /// The selector of a rule, as far as it is understood; `None` where that would hide too much
    fn of(rule: &StyleRule, place: usize) -> Option<Self> {
        let is_plain = is_plain(&rule.selector);
        if rule.hides && !is_plain || is_momentary(&rule.selector) {
            return None;
        }
        // What stands in brackets is not looked at, and may hold what separates parts.
        let mut depth = 0_usize;
        let outside = rule.selector.chars().filter(|c| match c {
            '[' | '(' => {
                depth += 1;
                depth == 1
            }
            ']' | ')' => {
                depth = depth.saturating_sub(1);
                depth == 0
            }
            _ => depth == 0,
        });
        let selector: String = outside.collect();
        let mut parts = selector.rsplit([' ', '>', '+', '~']);
        let part = Compound::of(parts.next()?.split(['[', ':']).next()?);
        let above = parts.next().filter(|_| is_plain).map(Compound::of);
        // Everything is inside these, whether they are written or not.
        let above = above.filter(|above| !matches!(above.key().as_str(), "" | "body" | "html"));
        let weight = (rule.important, specificity(&selector), place);
        Some(Selector { part, above, until: 0, hides: rule.hides, weight })
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

/// The selectors that decide on what is seen; none where none hides anything
fn deciding(rules: &[StyleRule]) -> Vec<Selector> {
    // From the end: of two rules with one selector the last counts.
    let mut seen = HashSet::new();
    let rules = rules.iter().enumerate().rev();
    let last = rules.filter(|(_, rule)| seen.insert((rule.selector.as_str(), rule.important)));
    let selectors: Vec<Selector> = last.filter_map(|(place, rule)| Selector::of(rule, place)).collect();
    if selectors.iter().any(|selector| selector.hides) { selectors } else { Vec::new() }
}

/// How many ids, how many classes and the like, and how many names of elements a selector has
fn specificity(selector: &str) -> [usize; 3] {
    let ids = selector.matches('#').count();
    let classes = selector.matches(['.', '[', ':']).count();
    let parts = selector.split([' ', '>', '+', '~']);
    [ids, classes, parts.filter(|part| part.starts_with(|c: char| c.is_ascii_alphabetic())).count()]
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

/// True for one or two parts of names, classes and ids that do not match all of a page
fn is_plain(selector: &str) -> bool {
    let plain = selector.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '#' | '-' | '_' | ' ' | '*'));
    let parts = selector.split(' ').count();
    plain
        && (1..=2).contains(&parts)
        && !matches!(selector.rsplit(' ').next().unwrap_or(""), "" | "*" | "body" | "html")
}

/// True for a selector of what a reader does, such as pointing at something, and of what stands beside the text
fn is_momentary(selector: &str) -> bool {
    const STATES: [&str; 8] = ["hover", "focus", "active", "checked", "target", "visited", "before", "after"];
    selector.split(':').skip(1).any(|state| STATES.iter().any(|known| state.starts_with(known)))
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
            let mut hidden: Vec<String> =
                deciding(&rules).iter().filter(|selector| selector.hides).map(|selector| selector.part.key()).collect();
            hidden.sort_unstable();
            assert_eq!(hidden, expected, "{sheet}");
        };
        check("p{color:red}.a, #b { display : NONE !important }", &["#b", ".a"]);
        check("/* c */ .a{display:none} @media x{.b{display:none}} .c{display:none}", &[".a", ".c"]);
        check("@import url(x); .a{visibility:hidden}", &[".a"]);
        check("a b c{display:none} body{display:none} *{display:none} a[b]{display:none} a>b{display:none}", &[]);
        check("{{{{", &[]);
        check(".a{display:none", &[]);
        check(".a{display:none /* } */ } .b{color:red}", &[".a"]);
        check(".a:before{content:\"}{\"} .b{display:none}", &[".b"]);
        check(".a{display:none} .a{display:block}", &[]);
        check(".a{display:block} .a{display:none}", &[".a"]);
        check(".a{display:none} @media print{.a{display:block}} @media (max-width:9px){.b{display:none}}", &[".a"]);
    }

    /// Which start tags are hidden.
    #[track_caller]
    fn check(sheet: &str, html: &str, expected: &str) {
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
    }

    #[test]
    fn the_strongest_rule_decides() {
        check(".a{display:none} .a{display:block}", "<p class=a></p>", "+");
        check(".a{display:none!important} .a{display:block}", "<p class=a></p>", "-");
        check(".a{display:none} .a{display:block!important}", "<p class=a></p>", "+");
        check("p{display:none} p.on{display:block}", "<p></p><p class=on></p>", "-+");
        check("p.on{display:block} p{display:none}", "<p></p><p class=on></p>", "-+");
        check("#b{display:block} .a{display:none}", "<p class=a id=b></p><p class=a></p>", "+-");
        check("p.a{display:none} td .a{display:inline}", "<p class=a></p><td><p class=a></p></td>", "-++");
        check("p.a{display:none} td .a{display:inline}", "<td><p class=a></p>", "++");
        check(".a{display:none} .a[class~=\"on\"]{display:block}", "<p class=a></p>", "+");
        check(".a.b.c{display:none} .a[href=\"x.y.z\"]{display:block}", "<p class='a b c'></p>", "-");
        // Of other selectors that show, the last part counts.
        check(".a{display:none} td>.a[x]{display:block}", "<p class=a></p>", "+");
        check(".a{display:none} .b:hover .a{display:block}", "<p class=a></p>", "-");
        check(".a{display:none} .a:first-child{display:block}", "<p class=a></p>", "+");
        let phone = ".a{display:none} @media screen and (min-width:600px){.a{display:block!important}}";
        check(phone, "<p class=a></p>", "+");
        let phone = ".a{display:none!important} @media only screen and (max-width:480px){.a{display:block!important}}";
        check(phone, "<p class=a></p>", "-");
    }

    #[test]
    fn selectors_match_elements() {
        check(".a{display:none}", "<p class='b a'></p><p class=A></p><p id=a></p>", "-++");
        check("P.a, #c{display:none}", "<p class=a></p><b class=a></b><i id=c></i>", "-+-");
        check(".a.b{display:none}", "<p class='b a'></p><p class=a></p>", "-+");
        check("div .a{display:none}", "<div><p><b class=a></b></p></div><b class=a></b>", "++-+");
        check(".a .a{display:none}", "<div class=a><b class=a></b></div>", "+-");
        check("body .a, * .b{display:none}", "<b class=a></b><b class=b></b>", "--");
    }
}
