//! The tree of numbered items of a contract
//!
//! A marker is believed only in sequence: it follows the last item of an open list, or it starts a list. Words such as
//! `Article` or `条` are strong evidence, so their numbers may jump; a bare `5.` may not.

use std::collections::HashMap;

use super::contents;
use super::lexicon::Lexicon;
use super::markers::{self, Closing, Marker, NumberStep, Style, word_at};
use super::plain::{Line, Plain};

/// How many candidates ahead the second item of a list is looked for.
const LOOK_AHEAD: usize = 60;
/// Most markers on one line: `5.3 (a) (i)`.
const CHAIN: usize = 4;
/// Most lists inside each other. `(a)` at the start of each line would nest without end.
const MOST_LEVELS: usize = 16;
/// Longest heading, in bytes.
pub(super) const LONGEST_HEADING: usize = 150;

/// An item of the outline, or a heading.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub style: Style,
    pub steps: Vec<NumberStep>,
    pub label: String,
    /// Bytes of the visible text: from the marker, from behind it, to the next item that is no child.
    pub start: usize,
    pub text: usize,
    pub end: usize,
    pub parent: usize,
    pub children: Vec<usize>,
    pub indent: usize,
    /// Level of the Markdown heading, 0 for none.
    pub heading: u8,
    /// Index of its line.
    pub line: usize,
}

/// A list that may go on.
struct OutlineLevel {
    node: usize,
    style: Style,
    steps: Vec<NumberStep>,
    indent: usize,
    heading: u8,
}

/// The tree; node 0 is the document.
pub(super) fn read(plain: &Plain, lexicons: &[&'static Lexicon]) -> Vec<Node> {
    let mut outline = Outline::new(plain, lexicons);
    for index in 0..plain.lines.len() {
        if !outline.skipped[index] {
            outline.line(index);
        }
    }
    outline.close()
}

struct Outline<'a> {
    plain: &'a Plain,
    lexicons: &'a [&'static Lexicon],
    nodes: Vec<Node>,
    levels: Vec<OutlineLevel>,
    /// Candidates at the start of each line.
    candidates: Vec<Vec<Marker>>,
    /// Lines of a table of contents.
    skipped: Vec<bool>,
    /// The last item of each style since the last attachment, also of lists that are closed.
    last: HashMap<Style, Vec<NumberStep>>,
    /// A heading without number under which the items go on.
    heading: Option<usize>,
    /// How many lines come before the first attachment.
    body_lines: usize,
}

impl<'a> Outline<'a> {
    fn new(plain: &'a Plain, lexicons: &'a [&'static Lexicon]) -> Outline<'a> {
        let text = |line: &Line| &plain.text[line.start..line.end];
        let root = Node {
            style: Style::Root,
            steps: Vec::new(),
            label: String::new(),
            start: 0,
            text: 0,
            end: plain.text.len(),
            parent: 0,
            children: Vec::new(),
            indent: 0,
            heading: 0,
            line: 0,
        };
        Outline {
            candidates: plain.lines.iter().map(|line| markers::read(text(line), lexicons)).collect(),
            skipped: Vec::new(),
            plain,
            lexicons,
            nodes: vec![root],
            levels: Vec::new(),
            last: HashMap::new(),
            heading: None,
            body_lines: plain.lines.len(),
        }
        .with_body()
    }

    fn with_body(mut self) -> Self {
        let is_schedule = |found: &Vec<Marker>| found.iter().any(|marker| marker.style == Style::Schedule);
        self.skipped = contents::lines(self.plain, &self.candidates, self.lexicons);
        self.body_lines = self.candidates.iter().position(is_schedule).unwrap_or(self.candidates.len());
        self
    }

    fn text(&self, index: usize) -> &'a str {
        let line = &self.plain.lines[index];
        &self.plain.text[line.start..line.end]
    }

    fn line(&mut self, index: usize) {
        let text = self.text(index);
        if self.special(index, text) {
            return;
        }
        let mut at = 0;
        for round in 0..CHAIN {
            let candidates = if round == 0 {
                let mut candidates = std::mem::take(&mut self.candidates[index]);
                candidates.retain(|marker| !self.is_cited(marker, index));
                candidates
            } else {
                let chained = |m: &Marker| !matches!(m.style, Style::Chapter(_) | Style::Schedule | Style::Named(_));
                markers::read(&text[at..], self.lexicons).into_iter().filter(chained).collect()
            };
            let Some((marker, level)) = self.pick(&candidates, index, round > 0) else { break };
            let start = self.plain.lines[index].start + at;
            at += marker.len;
            self.push(marker.clone(), level, index, start);
        }
        if at == 0 && self.is_heading(index) {
            self.push_heading(index);
        }
    }

    /// Recitals and signatures. A marker in them is believed as everywhere.
    fn special(&mut self, index: usize, text: &str) -> bool {
        let opens = |words: &dyn Fn(&'static Lexicon) -> &'static [&'static str]| {
            self.lexicons.iter().any(|lexicon| words(lexicon).iter().any(|word| word_at(text, word).is_some()))
        };
        let in_body = self.nodes.iter().rev().take(200).any(|n| matches!(n.style, Style::Named(_) | Style::Decimal(_)));
        let current = self.nodes.last().map_or(Style::Root, |node| node.style);
        let style = if opens(&|lexicon| lexicon.signatures) && index * 2 >= self.body_lines {
            Style::Signatures
        } else if !in_body && current != Style::Recitals && opens(&|lexicon| lexicon.recitals) {
            Style::Recitals
        } else {
            return false;
        };
        // "… must be / signed by both parties.": the sentence of the line before goes on.
        if index > 0 && self.plain.wraps(index - 1) {
            return false;
        }
        if current == style {
            return true;
        }
        let keep = self.levels.iter().take_while(|level| level.style == Style::Schedule).count();
        self.levels.truncate(keep);
        self.heading = None;
        let parent = self.levels.last().map_or(0, |level| level.node);
        let line = &self.plain.lines[index];
        let node =
            self.add(Marker { style, steps: Vec::new(), len: 0, label: String::new() }, parent, index, line.start);
        self.levels.push(OutlineLevel { node, style, steps: Vec::new(), indent: line.indent, heading: line.heading });
        true
    }

    /// True for a citation that a line break put at the start of a line: "as set out in / Section 2.2. The".
    fn is_cited(&self, marker: &Marker, index: usize) -> bool {
        let Some(before) = index.checked_sub(1).filter(|_| !self.plain.lines[index].after_blank) else { return false };
        match marker.style {
            Style::Named(_) | Style::Chapter(_) | Style::Schedule | Style::Decimal(_) => {
                let ends = self.text(before).ends_with([',', ')']) && matches!(marker.style, Style::Decimal(_));
                self.plain.wraps(before) && !ends && !self.text(before).ends_with(" and")
            }
            // "under Section 2.1 / (a) and (b)"
            _ => self.plain.wraps(before) && self.text(before).ends_with(|c: char| c.is_ascii_digit()),
        }
    }

    /// The marker to believe and the list that it continues.
    fn pick<'m>(&self, candidates: &'m [Marker], index: usize, chained: bool) -> Option<(&'m Marker, Option<usize>)> {
        let line = &self.plain.lines[index];
        let successor = candidates.iter().find_map(|m| Some((m, Some(self.successor(m, line)?))));
        if let Some((marker, Some(level))) = successor {
            // "1." deeper than the open "1." nests, whatever else it could follow.
            let nested =
                marker.steps.len() == 1 && self.levels[level].indent + 2 <= line.indent && marker.steps[0].number == 1;
            if !nested {
                return successor;
            }
        }
        if let Some(marker) = candidates.iter().find(|m| starts_list(m)) {
            return Some((marker, None));
        }
        if chained {
            return None;
        }
        let jump = candidates.iter().find(|m| self.may_jump(m, index))?;
        let level = self.levels.iter().rposition(|level| level.style == jump.style && level.steps < jump.steps);
        Some((jump, level))
    }

    /// The open list that this marker continues; of several, that with the nearest indentation.
    fn successor(&self, marker: &Marker, line: &Line) -> Option<usize> {
        let fits = |level: &&(usize, &OutlineLevel)| {
            let (_, level) = **level;
            level.style == marker.style
                && (level.heading == 0) == (line.heading == 0)
                && continues(&level.steps, &marker.steps)
        };
        let levels: Vec<_> = self.levels.iter().enumerate().collect();
        levels.iter().rev().filter(fits).min_by_key(|(_, level)| level.indent.abs_diff(line.indent)).map(|(i, _)| *i)
    }

    /// True for a number out of sequence that is still a marker.
    fn may_jump(&self, marker: &Marker, index: usize) -> bool {
        let last = self.last.get(&marker.style);
        match marker.style {
            Style::Named(_) | Style::Chapter(_) | Style::Schedule => true,
            Style::Decimal(depth) if depth > 1 => last.is_none_or(|last| *last < marker.steps),
            Style::Heading | Style::Recitals | Style::Signatures | Style::Root => false,
            _ if last.is_some_and(|last| continues(last, &marker.steps)) => true,
            // An excerpt begins with any number, and a number may be left out: the next one must follow.
            _ => last.is_none_or(|last| *last < marker.steps) && self.is_continued(marker, index),
        }
    }

    fn is_continued(&self, marker: &Marker, index: usize) -> bool {
        let ahead = self.candidates.get(index + 1..).unwrap_or_default();
        let style = marker.style;
        ahead.iter().flatten().filter(|m| m.style == style).take(LOOK_AHEAD).any(|m| continues(&marker.steps, &m.steps))
    }

    fn push(&mut self, marker: Marker, level: Option<usize>, index: usize, start: usize) {
        let line = &self.plain.lines[index];
        let (indent, heading) = (line.indent, line.heading);
        if marker.style == Style::Schedule {
            self.levels.clear();
            self.last.clear();
            self.heading = None;
        }
        // The body of the contract begins with its first article, not with a lettered recital.
        let is_body = matches!(marker.style, Style::Named(_) | Style::Decimal(_) | Style::Han | Style::ArabicComma);
        if is_body && let Some(at) = self.levels.iter().position(|level| level.style == Style::Recitals) {
            self.levels.truncate(at);
        }
        let level = level.filter(|level| *level < self.levels.len());
        let mut parent = None;
        match level {
            Some(level) => {
                parent = self.levels.get(level).and_then(|level| self.nodes.get(level.node)).map(|node| node.parent);
                self.levels.truncate(level);
            }
            None => self.make_room(&marker, indent, heading),
        }
        self.levels.truncate(MOST_LEVELS - 1);
        let top = self.levels.last().map_or(0, |level| level.node);
        // A heading since the last item takes the items that follow, unless they are parts of an open one.
        let mut parent = parent.filter(|_| level.is_some()).unwrap_or(top);
        if let Some(title) = self.heading
            && self.nodes[title].parent == parent
            && rank(marker.style) >= ARTICLE
        {
            parent = title;
        } else if rank(marker.style) < ARTICLE {
            self.heading = None;
        }
        self.last.insert(marker.style, marker.steps.clone());
        let (style, steps) = (marker.style, marker.steps.clone());
        let node = self.add(marker, parent, index, start);
        self.levels.push(OutlineLevel { node, style, steps, indent, heading });
    }

    /// Closes the lists above which a new one stands.
    fn make_room(&mut self, marker: &Marker, indent: usize, heading: u8) {
        let rank = rank(marker.style);
        if let Style::Decimal(depth) = marker.style
            && depth > 1
        {
            let prefix = &marker.steps[..marker.steps.len() - 1];
            let is_parent = |level: &OutlineLevel| level.steps == prefix && !matches!(level.style, Style::Letter(..));
            let holder = self.levels.iter().rposition(is_parent).or_else(|| {
                self.levels.iter().rposition(|level| match level.style {
                    Style::Decimal(other) => other < depth,
                    style => self::rank(style) < rank || style == Style::Han,
                })
            });
            self.levels.truncate(holder.map_or(0, |at| at + 1));
        } else if rank < LIST {
            let is_below = |level: &OutlineLevel| self::rank(level.style) < rank;
            let keep = self.levels.iter().take_while(|level| is_below(level)).count();
            self.levels.truncate(keep);
        } else if heading > 0 {
            let keep = self.levels.iter().take_while(|level| level.heading == 0 || level.heading < heading).count();
            self.levels.truncate(keep);
        } else if let Some(outer) = self.levels.iter().position(|l| l.style == marker.style && l.indent > indent) {
            // A list further left than the open one of its kind does not lie in it.
            self.levels.truncate(outer);
        } else if matches!(marker.style, Style::Decimal(1))
            && self.levels.last().is_some_and(|l| l.style == Style::Signatures)
        {
            self.levels.pop();
        }
    }

    fn add(&mut self, marker: Marker, parent: usize, index: usize, start: usize) -> usize {
        let line = &self.plain.lines[index];
        let id = self.nodes.len();
        self.nodes.push(Node {
            style: marker.style,
            steps: marker.steps,
            label: marker.label,
            start,
            text: (start + marker.len).min(line.end),
            end: self.plain.text.len(),
            parent,
            children: Vec::new(),
            indent: line.indent,
            heading: line.heading,
            line: index,
        });
        if let Some(parent) = self.nodes.get_mut(parent) {
            parent.children.push(id);
        }
        id
    }

    /// A heading without number: marked up, in capitals, or bold.
    fn is_heading(&self, index: usize) -> bool {
        let line = &self.plain.lines[index];
        let text = self.text(index);
        if line.heading > 0 {
            return true;
        }
        // The title of an item whose marker stands alone on the line above.
        let owner = self.nodes.last();
        if owner.is_some_and(|node| node.line + 1 == index && node.text >= self.plain.lines[node.line].end) {
            return false;
        }
        if text.len() > LONGEST_HEADING
            || line.bullet
            || text.ends_with(['.', ';', ',', '。', ':', '!'])
            || text.starts_with('|')
        {
            return false;
        }
        // A paragraph in capitals that was broken to a width is none.
        let next_follows = self.plain.lines.get(index + 1).is_some() && !self.plain.wraps(index);
        let is_capital = text.chars().filter(|c| c.is_alphabetic()).count() >= 4
            && text.chars().any(char::is_uppercase)
            && !text.chars().any(char::is_lowercase);
        next_follows && line.after_blank && (is_capital || line.bold)
    }

    fn push_heading(&mut self, index: usize) {
        let line = &self.plain.lines[index];
        let (start, heading, indent) = (line.start, line.heading, line.indent);
        let parent = if heading > 0 {
            let keep = self
                .levels
                .iter()
                .take_while(|level| {
                    level.heading > 0 && level.heading < heading || rank(level.style) < ARTICLE && level.heading == 0
                })
                .count();
            self.levels.truncate(keep);
            self.levels.last().map_or(0, |level| level.node)
        } else {
            // Numbers may go on below a plain heading, so that the lists stay open; parts of a clause do not.
            let is_part = |level: &OutlineLevel| {
                use Style::*;
                matches!(
                    level.style,
                    ArabicParen
                        | ArabicHalf
                        | HanParen
                        | Circled
                        | Letter(Closing::Paren, _)
                        | Roman(Closing::Paren, _)
                )
            };
            let open = self.levels.iter().position(is_part).unwrap_or(self.levels.len());
            self.levels.truncate(open);
            self.levels.iter().rev().find(|level| rank(level.style) < ARTICLE).map_or(0, |level| level.node)
        };
        let label = self.text(index).to_owned();
        let marker = Marker { style: Style::Heading, steps: Vec::new(), len: label.len(), label };
        let node = self.add(marker, parent, index, start);
        self.heading = Some(node);
        if heading > 0 {
            self.heading = None;
            self.levels.push(OutlineLevel { node, style: Style::Heading, steps: Vec::new(), indent, heading });
        }
    }

    /// Sets the ends: an item ends where the next one begins that is not inside it.
    fn close(mut self) -> Vec<Node> {
        let mut open: Vec<usize> = vec![0];
        for id in 1..self.nodes.len() {
            let (parent, start) = (self.nodes[id].parent, self.nodes[id].start);
            while let Some(&last) = open.last()
                && last != parent
                && last != 0
            {
                self.nodes[last].end = start;
                open.pop();
            }
            open.push(id);
        }
        self.nodes
    }
}

/// True if the last step follows and the others are the same.
fn continues(last: &[NumberStep], next: &[NumberStep]) -> bool {
    match (last.split_last(), next.split_last()) {
        (Some((last, before)), Some((next, path))) => before == path && next.follows(*last),
        _ => false,
    }
}

/// True for the first item of a list.
fn starts_list(marker: &Marker) -> bool {
    let last = marker.steps.last().copied().unwrap_or(NumberStep::new(0));
    last == NumberStep::new(1) || marker.style == Style::Decimal(2) && last == NumberStep::new(0)
}

/// Rank of an article; what stands above only groups clauses.
const ARTICLE: u8 = 20;
/// Rank of the lists.
const LIST: u8 = 40;

/// How high a style stands in a document, 0 the highest.
pub(super) fn rank(style: Style) -> u8 {
    match style {
        Style::Root | Style::Schedule => 0,
        Style::Recitals | Style::Signatures => 10,
        Style::Chapter(word) => 10 + word.min(8),
        Style::Heading => 19,
        Style::Named(0) => ARTICLE,
        Style::Named(_) => 30,
        _ => LIST,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contracts::lexicon::{CHINESE, ENGLISH};

    fn check(text: &str, expected: &str) {
        let plain = Plain::read(text);
        let nodes = read(&plain, &[&ENGLISH, &CHINESE]);
        let mut out = String::new();
        write(&nodes, 0, &mut out);
        assert_eq!(out.trim(), expected, "{text}");
    }

    fn write(nodes: &[Node], id: usize, out: &mut String) {
        if id > 0 {
            out.push_str(if nodes[id].label.is_empty() { "-" } else { &nodes[id].label });
        }
        if !nodes[id].children.is_empty() {
            out.push('{');
            for child in &nodes[id].children {
                write(nodes, *child, out);
                out.push(' ');
            }
            out.push('}');
        }
    }

    #[test]
    fn lists_do_not_nest_without_end() {
        let plain = Plain::read(&"(a) x\n".repeat(20_000));
        let nodes = read(&plain, &[&ENGLISH]);
        let depth = |mut id: usize| {
            let mut depth = 0;
            while id > 0 {
                (id, depth) = (nodes[id].parent, depth + 1);
            }
            depth
        };
        assert_eq!((0..nodes.len()).map(depth).max(), Some(MOST_LEVELS));
    }

    #[test]
    fn sequences_decide() {
        for (text, expected) in [
            ("1. A\n1.1 B\n1.2 C\n2. D", "{1{1.1 1.2 } 2 }"),
            ("(g) x\n(h) y\n(i) z\n(j) w", "{g h i j }"),
            ("(a) x\n(i) y\n(ii) z\n(b) w", "{a{i ii } b }"),
            ("1. A\n    1. B\n    2. C\n2. D", "{1{1 2 } 2 }"),
            ("1. A\nSection 9.1(a) of it\n2. B", "{1 2 }"),
            ("第一条 甲\n（一）乙\n（二）丙\n第二条 丁\n第二条第一款规定", "{第一条{一 二 } 第二条 }"),
            ("第一章 总则\n第一条 a\n第二章 分则\n第二条 b", "{第一章{第一条 } 第二章{第二条 } }"),
            ("5. Fees\n6. Term", "{5 6 }"),
            ("The fee\n5. is due", ""),
            (
                "ARTICLE I\nTERM\nSection 1.01 A\nSection 1.02 B\nARTICLE II\nSection 2.01 C",
                "{ARTICLE I{Section 1.01 Section 1.02 } ARTICLE II{Section 2.01 } }",
            ),
            ("1. A\nSchedule 1\n1. B\n2. C", "{1 Schedule 1{1 2 } }"),
            ("Contents\n1. A\n2. B\n\n1. A\ntext\n2. B", "{1 2 }"),
            ("1. A ...... 3\n2. B ...... 4\n1. A\n2. B", "{1 2 }"),
            ("1. A\n2. See:\n1. x\n2. y\n3. z\n3. B", "{1 2{1 2 3 } 3 }"),
            ("1. A\n2. Changes of this text must be written and\nsigned by both parties.\n3. B\n4. C", "{1 2 3 4 }"),
        ] {
            check(text, expected);
        }
    }
}
