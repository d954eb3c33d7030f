//! Which items of the outline are clauses
//!
//! A clause is the deepest numbered item that has a text of its own. Letters and Roman numerals below it are parts. An
//! item whose own text is only a heading is no clause but the title of those in it.

use super::contract::Clause;
use super::definitions;
use super::headings::{is_title, run_in_heading};
use super::lexicon::{Lexicon, is_han};
use super::markers::{Closing, Style};
use super::outline::Node;
use super::parts;
use super::plain::{Plain, trim};

/// Length in bytes from which lettered items right below an article are clauses, not parts.
const LONG_ARTICLE: usize = 2000;

/// The clauses of a document in order.
pub(super) fn read(plain: &Plain, nodes: &[Node], lexicons: &[&'static Lexicon]) -> Vec<Clause> {
    let mut writer = Writer { plain, nodes, lexicons, clauses: Vec::new() };
    let is_numbered = nodes.iter().any(|node| !node.steps.is_empty());
    let root = ClausePlace::default();
    if nodes.len() == 1 {
        writer.paragraphs(0..plain.text.len(), &root);
    } else {
        writer.node(0, &root);
    }
    if !is_numbered && writer.clauses.len() <= 1 && nodes.len() > 1 {
        writer.clauses.clear();
        writer.paragraphs(0..plain.text.len(), &root);
    }
    writer.clauses
}

/// Where an item lies.
#[derive(Debug, Clone, Default)]
struct ClausePlace {
    path: Vec<String>,
    groups: Vec<String>,
    /// Number of the item above, to which a list item adds its own.
    number: String,
    /// Number of the attachment.
    schedule: String,
    parent: Option<usize>,
}

struct Writer<'a> {
    plain: &'a Plain,
    nodes: &'a [Node],
    lexicons: &'a [&'static Lexicon],
    clauses: Vec<Clause>,
}

impl Writer<'_> {
    /// Writes the clauses of an item and of what lies in it.
    fn node(&mut self, id: usize, place: &ClausePlace) {
        let node = &self.nodes[id];
        let number = self.number(id, place);
        let subs = self.sub_clauses(id);
        let (heading, body) = self.heading(id);
        if subs.is_empty() {
            self.unit(id, node.start..node.end, number, heading, body, place);
            return;
        }
        let first = self.nodes[subs[0]].start;
        let mut inner = place.clone();
        let own = self.plain.get(body..first).trim();
        let has_text = own.chars().any(char::is_alphanumeric);
        if has_text || node.style == Style::Root && first > node.start && !heading.is_empty() {
            self.unit(id, node.start..first, number.clone(), heading.clone(), body, place);
            inner.parent = self.clauses.len().checked_sub(1).filter(|_| node.style != Style::Root);
        }
        if node.style != Style::Root {
            let title = match (node.style, heading.is_empty()) {
                (Style::Heading, _) => heading.clone(),
                (_, true) => number.clone(),
                _ => format!("{number} {heading}"),
            };
            inner.path.push(title.trim().to_owned());
            inner.groups.push(number.clone());
            match node.style {
                Style::Schedule => (inner.schedule, inner.number) = (number, String::new()),
                Style::Heading | Style::Chapter(_) => {}
                _ => inner.number = number,
            }
        }
        for sub in subs {
            self.node(sub, &inner);
        }
    }

    /// The items directly in this one that are clauses or hold some.
    fn sub_clauses(&self, id: usize) -> Vec<usize> {
        let node = &self.nodes[id];
        let divides = |child: &usize| self.divides(id, *child);
        let mut subs: Vec<usize> = node.children.iter().copied().filter(divides).collect();
        let definitions = node.children.iter().filter(|child| self.is_definition(**child)).count();
        if subs.is_empty() && definitions >= 2 && definitions * 2 >= node.children.len() {
            subs.clone_from(&node.children);
        }
        // A list of which only some items are clauses would leave the others without a place.
        if let Some(first) = subs.first().and_then(|first| node.children.iter().position(|child| child == first)) {
            subs = node.children[first..].to_vec();
        }
        subs
    }

    fn divides(&self, id: usize, child: usize) -> bool {
        let (node, inner) = (&self.nodes[id], &self.nodes[child]);
        let is_title_only = || {
            let (_, body) = self.heading(id);
            let first = node.children.first().map_or(node.end, |first| self.nodes[*first].start);
            !self.plain.get(body..first).chars().any(char::is_alphanumeric)
        };
        match (node.style, inner.style) {
            (Style::Root | Style::Schedule | Style::Chapter(_) | Style::Heading | Style::Recitals, _) => true,
            (Style::Signatures, _) => matches!(inner.style, Style::Schedule | Style::Named(_)),
            _ if node.heading > 0 && inner.heading > node.heading => true,
            (_, Style::Decimal(depth)) if depth > 1 => true,
            (Style::Named(_), Style::Named(_)) => true,
            (Style::Named(_), Style::Decimal(1)) => !is_statutory(&node.label) && is_title_only(),
            (Style::Decimal(1), Style::Decimal(1)) => inner.indent > node.indent && is_title_only(),
            (Style::Letter(Closing::Dot, true) | Style::Roman(Closing::Dot, true), Style::Decimal(1)) => {
                is_title_only()
            }
            (Style::Letter(Closing::Dot, true), Style::Letter(..)) => false,
            (Style::Han, Style::HanParen | Style::ArabicComma | Style::Decimal(_)) => is_title_only(),
            (Style::Named(_), Style::Letter(..) | Style::Roman(..)) => {
                !is_statutory(&node.label) && node.end - node.start > LONG_ARTICLE && node.children.len() > 1
            }
            _ => false,
        }
    }

    fn is_definition(&self, id: usize) -> bool {
        let node = &self.nodes[id];
        definitions::term(self.plain.get(node.text..node.end), self.lexicons).is_some()
    }

    /// Writes one clause, or several if it is a list of definitions.
    fn unit(
        &mut self,
        id: usize,
        range: std::ops::Range<usize>,
        number: String,
        heading: String,
        body: usize,
        place: &ClausePlace,
    ) {
        let node = &self.nodes[id];
        let number = match node.style {
            Style::Root => "preamble".to_owned(),
            // The title of the document with the names of the parties below it.
            Style::Heading if self.clauses.is_empty() && self.nodes.iter().any(|n| !n.steps.is_empty()) => {
                "preamble".to_owned()
            }
            Style::Heading => heading.clone(),
            _ => number,
        };
        let own = self.plain.get(node.text..range.end);
        let definition = definitions::term(own, self.lexicons);
        let starts =
            if definition.is_some() { Vec::new() } else { definitions::starts(self.plain, &range, self.lexicons) };
        let end = starts.first().map_or(range.end, |(start, _)| *start);
        let mut clause = Clause {
            number: number.clone(),
            definition,
            heading: heading.clone(),
            path: place.path.clone(),
            parent: place.parent,
            plain: trim(self.plain, range.start..end),
            head: if node.style == Style::Heading { node.start } else { node.text.min(end) },
            body: body.min(end),
            groups: place.groups.clone(),
            ..Clause::default()
        };
        clause.parts = parts::read(self.plain, self.nodes, id, &clause);
        if clause.plain.is_empty() {
            return;
        }
        self.clauses.push(clause);
        let parent = self.clauses.len() - 1;
        let mut path = place.path.clone();
        path.push(if heading.is_empty() || heading == number { number } else { format!("{number} {heading}") });
        for (i, (start, term)) in starts.iter().enumerate() {
            let end = starts.get(i + 1).map_or(range.end, |(next, _)| *next);
            let mut clause = Clause {
                number: format!("\"{term}\""),
                definition: Some(term.clone()),
                path: path.clone(),
                parent: Some(parent),
                plain: trim(self.plain, *start..end),
                head: *start,
                body: *start,
                groups: place.groups.clone(),
                ..Clause::default()
            };
            clause.parts = parts::inline(self.plain, &clause);
            self.clauses.push(clause);
        }
    }

    /// Clauses of a text that has no numbers and no headings.
    fn paragraphs(&mut self, range: std::ops::Range<usize>, place: &ClausePlace) {
        for (i, paragraph) in parts::paragraphs(self.plain, range).into_iter().enumerate() {
            let definition = definitions::term(self.plain.get(paragraph.clone()), self.lexicons);
            let mut clause = Clause {
                number: definition
                    .as_ref()
                    .map_or_else(|| format!("paragraph {}", i + 1), |term| format!("\"{term}\"")),
                definition,
                path: place.path.clone(),
                head: paragraph.start,
                body: paragraph.start,
                plain: paragraph,
                ..Clause::default()
            };
            clause.parts = parts::inline(self.plain, &clause);
            self.clauses.push(clause);
        }
    }

    /// The number of an item as it is cited.
    fn number(&self, id: usize, place: &ClausePlace) -> String {
        let node = &self.nodes[id];
        let label = node.label.as_str();
        let above = place.number.as_str();
        let own = match node.style {
            Style::Root => return String::new(),
            Style::Schedule | Style::Chapter(_) | Style::Heading => return label.to_owned(),
            Style::Recitals => return "recitals".to_owned(),
            Style::Signatures => return "signatures".to_owned(),
            _ if self.nodes[node.parent].style == Style::Recitals => return format!("recital {label}"),
            Style::Decimal(depth) if depth > 1 => label.to_owned(),
            Style::Named(_) => label.to_owned(),
            Style::Decimal(_) | Style::ArabicComma if above.is_empty() => label.to_owned(),
            Style::Decimal(_) | Style::ArabicComma if above.ends_with(is_han) => format!("{above}、{label}"),
            Style::Decimal(_) | Style::ArabicComma => format!("{above}.{label}"),
            Style::Han => format!("{label}、"),
            Style::Letter(Closing::Dot, true) | Style::Roman(Closing::Dot, true) if above.is_empty() => {
                label.to_owned()
            }
            Style::HanParen => format!("{above}（{label}）"),
            _ => format!("{above}({label})"),
        };
        let own = own.trim_end_matches('、');
        if place.schedule.is_empty() {
            return own.to_owned();
        }
        if place.schedule.ends_with(is_han) || own.starts_with('第') {
            return format!("{}{own}", place.schedule);
        }
        let word =
            self.lexicons.iter().map(|lexicon| lexicon.paragraph).find(|word| !word.is_empty()).unwrap_or_default();
        if matches!(node.style, Style::Named(_)) || !above.is_empty() {
            format!("{} {}", place.schedule, own.strip_prefix(&format!("{} ", place.schedule)).unwrap_or(own))
        } else {
            format!("{} {word} {own}", place.schedule)
        }
    }

    /// The title of an item, and where the text behind it begins.
    fn heading(&self, id: usize) -> (String, usize) {
        let node = &self.nodes[id];
        if matches!(node.style, Style::Recitals | Style::Signatures | Style::Root) {
            return (String::new(), node.text);
        }
        let Some(line) = self.plain.lines.get(node.line) else { return (String::new(), node.text) };
        if node.style == Style::Heading {
            return (node.label.clone(), line.end.min(node.end));
        }
        let inner = node.children.first().map_or(node.end, |child| self.nodes[*child].start);
        let limit = line.end.min(inner).max(node.text);
        let rest = self.plain.get(node.text..limit).trim_end();
        if rest.is_empty() {
            // The marker stands alone; a short next line is the title.
            let next = self.plain.lines.get(node.line + 1).filter(|next| next.end <= inner.min(node.end));
            let title =
                next.filter(|next| is_title(self.plain.get(next.start..next.end)) && !self.plain.wraps(node.line + 1));
            return title.map_or((String::new(), node.text), |next| {
                (self.plain.get(next.start..next.end).to_owned(), next.end)
            });
        }
        let has_more = self.plain.get(limit..node.end).chars().any(char::is_alphanumeric);
        let wraps = limit == line.end && self.plain.wraps(node.line);
        if node.heading > 0 || has_more && !wraps && is_title(rest) {
            return (rest.trim_end_matches([':', '.']).to_owned(), limit);
        }
        match run_in_heading(rest, has_more) {
            Some((title, length)) => (title.to_owned(), node.text + length),
            None => (String::new(), node.text),
        }
    }
}

/// Statutes and Chinese contracts: lists below the article are its parts.
fn is_statutory(label: &str) -> bool {
    label.starts_with(['第', '§'])
}

#[cfg(test)]
mod tests {
    use crate::contracts::Contract;

    fn check(text: &str, expected: &[(&str, &str)]) {
        let contract = Contract::read(text);
        let found: Vec<_> = contract.clauses.iter().map(|c| (c.number.as_str(), c.heading.as_str())).collect();
        assert_eq!(found, expected, "{text}");
        let mut last = 0;
        for clause in &contract.clauses {
            assert!(clause.start >= last && clause.end >= clause.start && clause.end <= text.len(), "{text}");
            last = clause.start;
        }
    }

    #[test]
    fn english() {
        check("1. Fees. Pay.\n2. Term. One year.", &[("1", "Fees"), ("2", "Term")]);
        check(
            "1. ## Service\n\n  1.1 <span>Use.</span> You may use it.\n\n  1.2 Rest applies.\n",
            &[("1.1", "Use"), ("1.2", "")],
        );
        check(
            "1. <b>A</b>\n    1. One is here.\n        a. part\n    2. Two is here.\n2. B text is here.",
            &[("1.1", ""), ("1.2", ""), ("2", "")],
        );
        check(
            "ARTICLE IV\nTERM\nSection 4.01 Start. It starts.\nSection 4.02 End. It ends.",
            &[("Section 4.01", "Start"), ("Section 4.02", "End")],
        );
        check(
            "## A. One\nShort.\n\n### 1. Sub\nText.\n\n## B. Two\nText.",
            &[("A", "One"), ("A.1", "Sub"), ("B", "Two")],
        );
        check(
            "The Agreement\n\n1. A is b.\n\nIN WITNESS WHEREOF they sign.\n\nSchedule 1\n1. C is d.\n2. E is f.",
            &[
                ("preamble", ""),
                ("1", ""),
                ("signatures", ""),
                ("Schedule 1 paragraph 1", ""),
                ("Schedule 1 paragraph 2", ""),
            ],
        );
        check(
            "RECITALS\nA. Seller sells.\nB. Buyer buys.\n1. Now they agree.",
            &[("recitals", ""), ("recital A", ""), ("recital B", ""), ("1", "")],
        );
        check(
            "1.1 Terms.\n\"B\" means b.\n\"A\" means a.\n1.2 More text.",
            &[("1.1", "Terms"), ("\"B\"", ""), ("\"A\"", ""), ("1.2", "")],
        );
        check("One paragraph.\n\nAnother one.", &[("paragraph 1", ""), ("paragraph 2", "")]);
        check("", &[]);
    }

    #[test]
    fn chinese() {
        check(
            "合同\n第一条 价款\n甲方付款。\n第二条 甲方不得转让。",
            &[("preamble", ""), ("第一条", "价款"), ("第二条", "")],
        );
        check("第一条 依照第二条第一款。\n第二条　甲。\n第二条第一款规定的除外。", &[("第一条", ""), ("第二条", "")]);
        check("一、租金\n1、每月付。\n2、押一付三。\n二、违约。", &[("一、1", ""), ("一、2", ""), ("二", "")]);
        check(
            "第一条 服务\n1.1 甲方提供服务。\n1.2 乙方付费。\n第二条 其他。",
            &[("1.1", ""), ("1.2", ""), ("第二条", "")],
        );
        check(
            "第1条【价款】甲方付款。\n第2条【期限】一年。\n附件一：清单\n第一条 桌子。",
            &[("第1条", "价款"), ("第2条", "期限"), ("附件一第一条", "")],
        );
        check(
            "鉴于甲方有房，\n第一条 出租。\n甲方（盖章）：\n",
            &[("recitals", ""), ("第一条", ""), ("signatures", "")],
        );
    }

    #[test]
    fn german_and_french() {
        check(
            "§ 1 Gegenstand\n(1) Der Verkäufer liefert.\n(2) Der Käufer zahlt.\n§ 2 Preis\nNach § 1 Abs. 2 und der Anlage.",
            &[("§ 1", "Gegenstand"), ("§ 2", "Preis")],
        );
        check(
            "Article 1 - Objet\nLe vendeur vend et la chose est livrée.\nArticle 2 - Prix\nLe prix est de 5 euros.",
            &[("Article 1", "Objet"), ("Article 2", "Prix")],
        );
    }

    #[test]
    fn any_bytes() {
        let long = "(a) 1.1 第一条 \0 ".repeat(5000);
        let deep: String = (0..2000).map(|n| format!("{}1. x\n", " ".repeat(n % 500))).collect();
        for text in [
            "\0",
            "1.",
            "第",
            "第条",
            "(",
            "§",
            "Schedule",
            "\"\" means",
            "1.1.1.1.1.1.1.1",
            "第九千九百九十九条",
            &long,
            &deep,
        ] {
            let contract = Contract::read(text);
            assert!(contract.clauses.iter().all(|c| text.get(c.start..c.end).is_some()));
        }
    }
}
