//! A contract divided into clauses

use std::ops::Range;

use serde::Serialize;

use super::lexicon::{Lexicon, is_han};
use super::plain::{Line, Plain, trim};
use super::{markers, markup, numerals};

/// A contract: its text and its clauses in order.
#[derive(Debug, Clone, Serialize)]
pub struct Contract {
    /// The text as it was given. All offsets are bytes of it.
    #[serde(skip)]
    pub text: String,
    /// ISO 639-1 code of the language whose words are looked for.
    pub language: &'static str,
    /// The clauses, in the order of the text, without overlap.
    pub clauses: Vec<Clause>,
    #[serde(skip)]
    pub(super) plain: Plain,
    #[serde(skip)]
    pub(super) lexicons: Vec<&'static Lexicon>,
}

/// The unit of comparison: the smallest numbered clause that has a text of its own.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Clause {
    /// The number as a lawyer cites it: `第七条`, `5.3`, `Section 2.03`, `Schedule 1 paragraph 2`. Text without a
    /// number is called `preamble`, `recital A`, `signatures`, by its heading, or `paragraph 3`.
    pub number: String,
    /// The term, if the clause defines one. Definitions have no order.
    pub definition: Option<String>,
    /// Its title; empty if there is none.
    pub heading: String,
    /// Titles of the items and headings over it, the outermost first.
    pub path: Vec<String>,
    /// First byte of the clause, its number included.
    pub start: usize,
    /// End of the clause, its sub-items included.
    pub end: usize,
    /// The nearest clause above that holds the introduction to this one.
    pub parent: Option<usize>,
    /// Numbered parts, and the paragraphs of a Chinese article.
    pub parts: Vec<ClausePart>,
    /// What the clause cites.
    pub references: Vec<Reference>,
    /// The same range in the visible text; in it, the heading begins at `head` and the words behind it at `body`.
    #[serde(skip)]
    pub(super) plain: Range<usize>,
    #[serde(skip)]
    pub(super) head: usize,
    #[serde(skip)]
    pub(super) body: usize,
    /// Numbers of the groups that the clause lies in, for citations of a whole article.
    #[serde(skip)]
    pub(super) groups: Vec<String>,
}

/// A part of a clause that can be cited.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct ClausePart {
    /// `第七条第二款第（一）项`, `5.3(a)(iv)`, `§ 5 Abs. 2`.
    pub citation: String,
    /// First byte of the part.
    pub start: usize,
    /// End of the part, its own parts included.
    pub end: usize,
    #[serde(skip)]
    pub(super) plain: Range<usize>,
    /// Where the text behind the marker begins.
    #[serde(skip)]
    pub(super) body: usize,
}

/// A citation in the text of a clause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reference {
    /// First byte of the citation.
    pub start: usize,
    /// End of the citation.
    pub end: usize,
    /// Indices of the cited clauses; all of them if a group of clauses is cited. Empty if none has this number.
    pub targets: Vec<usize>,
    /// What is cited inside the clause: `(a)`, `第二款`.
    pub part: String,
    /// The citation is of another document, such as a law.
    pub external: bool,
    /// The targets of each number that is cited. What lies between the ends of a range is one entry without a number.
    #[serde(skip)]
    pub(super) cited: Vec<(String, Vec<usize>)>,
    #[serde(skip)]
    pub(super) plain: Range<usize>,
}

impl Clause {
    /// True if its number is written in the text, and not the place or the heading of a clause without one.
    pub fn is_numbered(&self) -> bool {
        let is_place =
            ["paragraph", "preamble", "recital", "signatures"].iter().any(|word| self.number.starts_with(word));
        !is_place && self.definition.is_none() && self.number != self.heading
    }

    /// Number and heading: `5.1 Fees`.
    pub fn title(&self) -> String {
        match self.heading.is_empty() || self.heading == self.number {
            true => self.number.clone(),
            false => format!("{} {}", self.number, self.heading),
        }
    }
}

impl Contract {
    /// The text of a clause for an embedding: heading and body without number and markup.
    pub fn matching_text(&self, clause: usize) -> String {
        let Some(clause) = self.clauses.get(clause) else { return String::new() };
        let body = self.plain.get(clause.body..clause.plain.end);
        let mut text = clause.heading.clone();
        for word in body.split_whitespace() {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(word);
        }
        text
    }

    /// The words behind the number and the heading.
    pub(super) fn body(&self, clause: usize) -> Range<usize> {
        self.clauses.get(clause).map_or(0..0, |clause| clause.body..clause.plain.end)
    }

    /// All that is written in a clause behind its number, with the case, signs and addresses of links that its tokens do
    /// not have. Blanks, marks of emphasis and tags are left out, and the numbers of citations: what they point to is
    /// compared elsewhere.
    pub(super) fn written(&self, clause: usize) -> String {
        let Some(read) = self.clauses.get(clause) else { return String::new() };
        let start = self.plain.raw(read.head..read.plain.end).start;
        // The address of a link at the end stands behind the last visible word.
        let line =
            self.text.get(read.end..).and_then(|rest| rest.find('\n')).map_or(self.text.len(), |at| read.end + at);
        let next = self.clauses.get(clause + 1).map_or(self.text.len(), |next| next.start);
        let text = self.text.get(..line.min(next).max(read.end)).unwrap_or_default();
        let mut references = read.references.iter().peekable();
        let (mut out, mut at) = (String::new(), start);
        while let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) {
            if let Some(cited) = references.next_if(|reference| reference.start <= at) {
                let words = text.get(at..cited.end).unwrap_or_default().split(|c: char| !c.is_alphabetic());
                let is_word =
                    |word: &&str| word.len() > 2 && !word.starts_with(is_han) && numerals::roman(word).is_none();
                out.extend(words.filter(is_word));
                out.push('§');
                at = at.max(cited.end);
                continue;
            }
            let tag = if c == '<' && !text[at..].starts_with("<!--") { markup::tag(&text[at..]) } else { 0 };
            if tag == 0 && !c.is_whitespace() && !matches!(c, '*' | '_' | '`' | '#' | '\\') {
                markup::fold_cluster(None, c, c.encode_utf8(&mut [0; 4]), &mut out);
            }
            at += tag.max(c.len_utf8());
        }
        out
    }

    /// The visible text between the clause before this one and this one: titles of groups of clauses.
    pub(super) fn title(&self, clause: usize) -> Range<usize> {
        let start =
            clause.checked_sub(1).and_then(|before| self.clauses.get(before)).map_or(0, |before| before.plain.end);
        let end = self.clauses.get(clause).map_or(start, |clause| clause.plain.start.max(start));
        trim(&self.plain, start..end)
    }

    /// The lines of [`Self::title`] behind their numbers.
    pub(super) fn title_lines(&self, clause: usize) -> Vec<Range<usize>> {
        let title = self.title(clause);
        let from = self.plain.lines.partition_point(|line| line.start < title.start);
        let lines = self.plain.lines.iter().skip(from).take_while(|line| line.end <= title.end);
        let without_number = |line: &Line| {
            let text = self.plain.get(line.start..line.end);
            let marker = markers::read(text, &self.lexicons).first().map_or(0, |marker| marker.len);
            line.start + marker..line.end
        };
        lines.map(without_number).filter(|range| !range.is_empty()).collect()
    }

    /// The citation of the smallest part that holds this byte of the visible text.
    pub(super) fn citation(&self, clause: usize, at: usize) -> String {
        let Some(clause) = self.clauses.get(clause) else { return String::new() };
        // The parts stand in the order of the text, each before its own parts.
        let before = clause.parts.partition_point(|part| part.plain.start <= at);
        let holder = clause.parts[..before].iter().rev().find(|part| part.plain.contains(&at));
        holder.map_or_else(|| clause.number.clone(), |part| part.citation.clone())
    }
}
