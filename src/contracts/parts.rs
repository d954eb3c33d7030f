//! Parts of a clause and how they are cited: `5.3(a)(iv)`, `第七条第二款第（一）项`, `§ 5 Abs. 2`

use std::collections::HashSet;
use std::ops::Range;

use super::contract::{Clause, ClausePart};
use super::lexicon::is_han;
use super::markers::{Closing, Style};
use super::numerals;
use super::outline::Node;
use super::plain::{Plain, trim};

/// How parts of a clause are cited.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    Brackets,
    Chinese,
    German,
}

fn manner(clause: &Clause) -> Manner {
    if clause.number.starts_with('§') {
        Manner::German
    } else if clause.number.contains(is_han) {
        Manner::Chinese
    } else {
        Manner::Brackets
    }
}

/// The numbered parts below an item and those inside its paragraphs.
pub(super) fn read(plain: &Plain, nodes: &[Node], id: usize, clause: &Clause) -> Vec<ClausePart> {
    let mut parts = Vec::new();
    let is_article = nodes.get(id).is_some_and(|node| node.label.ends_with('条') || node.label.contains("条之"));
    if is_article {
        chinese_paragraphs(plain, nodes, id, clause, &mut parts);
    } else {
        items(plain, nodes, id, clause, &clause.number, &mut parts);
    }
    if parts.is_empty() { inline(plain, clause) } else { parts }
}

fn part(citation: String, plain: Range<usize>, body: usize) -> ClausePart {
    ClausePart { citation, start: 0, end: 0, body: body.clamp(plain.start, plain.end), plain }
}

/// Items below an item, as far as they lie in the clause.
fn items(plain: &Plain, nodes: &[Node], id: usize, clause: &Clause, above: &str, parts: &mut Vec<ClausePart>) {
    let Some(node) = nodes.get(id) else { return };
    for &child in node.children.iter().filter(|child| nodes[**child].start < clause.plain.end) {
        let inner = &nodes[child];
        if inner.steps.is_empty() {
            items(plain, nodes, child, clause, above, parts);
            continue;
        }
        let citation = format!("{above}{}", label(inner.style, &inner.label, manner(clause)));
        let range = trim(plain, inner.start..inner.end.min(clause.plain.end));
        parts.push(part(citation.clone(), range, inner.text));
        items(plain, nodes, child, clause, &citation, parts);
    }
}

fn label(style: Style, label: &str, manner: Manner) -> String {
    match (manner, style) {
        (Manner::Chinese, Style::HanParen) => format!("第（{label}）项"),
        (Manner::Chinese, Style::Decimal(1) | Style::ArabicComma | Style::ArabicHalf | Style::Circled) => {
            format!("第{label}目")
        }
        (Manner::Chinese, Style::ArabicParen) => format!("第（{label}）项"),
        (Manner::German, Style::ArabicParen) => format!(" Abs. {label}"),
        (Manner::German, Style::Decimal(1)) => format!(" Nr. {label}"),
        (Manner::German, Style::Letter(Closing::Half | Closing::Paren, _)) => format!(" lit. {label}"),
        _ => format!("({label})"),
    }
}

/// The 款 of a 条 are its unnumbered paragraphs; 项 and 目 lie in them.
fn chinese_paragraphs(plain: &Plain, nodes: &[Node], id: usize, clause: &Clause, parts: &mut Vec<ClausePart>) {
    let inner = nodes.iter().skip(id + 1).take_while(|node| node.start < clause.plain.end);
    let items: HashSet<usize> = inner.map(|node| node.start).collect();
    let mut starts: Vec<usize> =
        paragraphs(plain, clause.body..clause.plain.end).iter().map(|paragraph| paragraph.start).collect();
    starts.retain(|start| !items.contains(start));
    let alone = starts.len() <= 1;
    for (i, start) in starts.iter().enumerate() {
        let end = starts.get(i + 1).copied().unwrap_or(clause.plain.end);
        let above = if alone { clause.number.clone() } else { format!("{}第{}款", clause.number, han(i + 1)) };
        if !alone {
            parts.push(part(above.clone(), trim(plain, *start..end), *start));
        }
        paragraph_items(plain, nodes, id, &above, *start..end, parts);
    }
    if starts.is_empty() {
        paragraph_items(plain, nodes, id, &clause.number, clause.plain.clone(), parts);
    }
}

fn paragraph_items(
    plain: &Plain,
    nodes: &[Node],
    id: usize,
    above: &str,
    range: Range<usize>,
    parts: &mut Vec<ClausePart>,
) {
    let before = parts.len();
    let children = &nodes[id].children;
    let first = children.partition_point(|child| nodes[*child].start < range.start);
    for &child in children[first..].iter().take_while(|child| nodes[**child].start < range.end) {
        let inner = &nodes[child];
        let word = match inner.style {
            Style::HanParen | Style::ArabicParen => format!("第（{}）项", inner.label),
            _ => format!("第{}项", inner.label),
        };
        let citation = format!("{above}{word}");
        let span = trim(plain, inner.start..inner.end.min(range.end));
        parts.push(part(citation.clone(), span, inner.text));
        for &deep in &inner.children {
            let node = &nodes[deep];
            let span = trim(plain, node.start..node.end.min(range.end));
            let citation = format!("{citation}第{}目", node.label);
            parts.push(part(citation, span, node.text));
        }
    }
    if parts.len() == before {
        enumerate(plain, range, above, Manner::Chinese, parts);
    }
}

/// Writes a small number in Chinese numerals.
pub(super) fn han(number: usize) -> String {
    const DIGITS: [&str; 10] = ["", "一", "二", "三", "四", "五", "六", "七", "八", "九"];
    match number {
        0..=9 => DIGITS[number].to_owned(),
        10..=19 => format!("十{}", DIGITS[number - 10]),
        20..=99 => format!("{}十{}", DIGITS[number / 10], DIGITS[number % 10]),
        _ => number.to_string(),
    }
}

/// The parts of a clause whose list runs inside its paragraphs: "(a) …; (b) …".
pub(super) fn inline(plain: &Plain, clause: &Clause) -> Vec<ClausePart> {
    let mut parts = Vec::new();
    enumerate(plain, clause.body..clause.plain.end, &clause.number, manner(clause), &mut parts);
    parts
}

fn enumerate(plain: &Plain, range: Range<usize>, above: &str, manner: Manner, parts: &mut Vec<ClausePart>) {
    let text = plain.get(range.clone());
    let mut found: Vec<(usize, Style, &str)> = Vec::new();
    let mut next: Option<(Style, u32)> = None;
    for (at, _) in text.match_indices('(') {
        let before = text[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() && !is_han(c) || c == ')') {
            continue;
        }
        let inner = &text[at + 1..];
        let Some(close) = inner.bytes().take(16).position(|b| b == b')') else { continue };
        let inner = &inner[..close];
        let mut readings = Vec::new();
        readings.extend(numerals::letter(inner).map(|n| (Style::Letter(Closing::Paren, false), n)));
        readings.extend(numerals::roman(inner).map(|n| (Style::Roman(Closing::Paren, false), n)));
        readings.extend(inner.parse().ok().map(|n| (Style::ArabicParen, n)));
        readings.extend(numerals::chinese(inner).map(|(n, _)| (Style::HanParen, n as u32)));
        let reading = match next {
            Some((style, number)) => readings.iter().find(|r| **r == (style, number)),
            None => readings.iter().find(|(_, number)| *number == 1),
        };
        if let Some(&(style, number)) = reading {
            found.push((at, style, inner));
            next = Some((style, number + 1));
        }
    }
    if found.len() < 2 {
        return;
    }
    for (i, (at, style, name)) in found.iter().enumerate() {
        let end = found.get(i + 1).map_or(range.end, |(end, _, _)| range.start + end);
        let citation = format!("{above}{}", label(*style, name, manner));
        let body = range.start + at + name.len() + "()".len();
        parts.push(part(citation, trim(plain, range.start + at..end), body));
    }
}

/// The paragraphs of a range: lines that a blank line or the end of a sentence divides.
pub(super) fn paragraphs(plain: &Plain, range: Range<usize>) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let from = plain.lines.partition_point(|line| line.end <= range.start);
    for line in plain.lines.get(from..).unwrap_or_default().iter().take_while(|line| line.start < range.end) {
        let (start, end) = (line.start.max(range.start), line.end.min(range.end));
        if plain.get(start..end).trim().is_empty() {
            continue;
        }
        let text = plain.get(start..end);
        let wraps = found.last().is_some_and(|last| {
            let before = plain.get(last.clone());
            let is_long = before.rsplit('\n').next().unwrap_or_default().len() >= 50;
            !line.after_blank && !line.bullet && line.heading == 0 && is_long && goes_on(before, text)
        });
        match found.last_mut().filter(|_| wraps) {
            Some(last) => last.end = end,
            None => found.push(trim(plain, start..end)),
        }
    }
    found
}

/// True if the next line continues the sentence of this one.
fn goes_on(line: &str, next: &str) -> bool {
    let is_closed = line.ends_with(['.', ':', ';', '。', '!', '?', ')', '"']);
    !is_closed || next.starts_with(char::is_lowercase)
}

#[cfg(test)]
mod tests {
    use crate::contracts::Contract;

    fn check(text: &str, expected: &[&str]) {
        let contract = Contract::read(text);
        let found: Vec<&str> = contract.clauses.iter().flat_map(|c| &c.parts).map(|p| p.citation.as_str()).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn citations_of_parts() {
        check(
            "第七条 价款如下。\n第二段。\n（一）甲；\n（二）乙。",
            &["第七条第一款", "第七条第二款", "第七条第二款第（一）项", "第七条第二款第（二）项"],
        );
        check(
            "第七条 下列事项：\n（一）甲：\n1. 子\n2. 丑\n（二）乙。",
            &["第七条第（一）项", "第七条第（一）项第1目", "第七条第（一）项第2目", "第七条第（二）项"],
        );
        check(
            "5.3 End. Either party may:\n(a) stop if\n(i) bad\n(ii) worse\n(b) go",
            &["5.3(a)", "5.3(a)(i)", "5.3(a)(ii)", "5.3(b)"],
        );
        check("5.3 Each party may (a) stop; or (b) go under clause 7(a).", &["5.3(a)", "5.3(b)"]);
        check("§ 5 Kündigung\n(1) Der Vertrag endet.\n(2) Die Frist ist lang.", &["§ 5 Abs. 1", "§ 5 Abs. 2"]);
    }
}
