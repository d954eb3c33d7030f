//! Markers of clauses at the start of a line: `第七条`, `Section 2.03`, `5.3`, `(iv)`, `a.`
//!
//! A marker is only a candidate here. Whether it is believed, and whether `(i)` is a letter or a Roman numeral, is
//! decided by the sequence it stands in: see `outline`.

use super::lexicon::Lexicon;
use super::numerals;

/// Largest number of a clause. It keeps years from being clauses.
const LARGEST: u32 = 999;

/// How a marker is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Style {
    /// A heading over clauses; the rank of its word, 0 the highest.
    Chapter(u8),
    /// A word and a number: Article, Section, 条, §. The position of the word in its lexicon.
    Named(u8),
    /// `1.`, `1.1`, `1.2.3` and the depth.
    Decimal(u8),
    /// `1、`
    ArabicComma,
    /// `(1)`
    ArabicParen,
    /// `1)`
    ArabicHalf,
    /// `一、`
    Han,
    /// `（一）`
    HanParen,
    /// `①`
    Circled,
    /// `(a)`, `a)` or `a.`, and whether it is a capital.
    Letter(Closing, bool),
    /// `(iv)`, `iv)` or `iv.`, and whether it is in capitals.
    Roman(Closing, bool),
    /// An attachment, in which numbers start anew.
    Schedule,
    /// A heading without a number.
    Heading,
    /// Recitals.
    Recitals,
    /// The place for signatures.
    Signatures,
    /// The whole document.
    Root,
}

/// What closes a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Closing {
    Paren,
    Half,
    Dot,
}

/// A number with the letter of an insertion: 312a.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct NumberStep {
    pub number: u32,
    pub suffix: u8,
}

impl NumberStep {
    pub(super) fn new(number: u32) -> NumberStep {
        NumberStep { number, suffix: 0 }
    }

    /// True if this is what comes after `last` in a list.
    pub(super) fn follows(self, last: NumberStep) -> bool {
        if self.suffix == 0 {
            self.number == last.number + 1
        } else {
            self.number == last.number && self.suffix == last.suffix + 1
        }
    }
}

/// A candidate for the start of a clause.
#[derive(Debug, Clone)]
pub(super) struct Marker {
    pub style: Style,
    /// One step, or several for `1.2.3`.
    pub steps: Vec<NumberStep>,
    /// Bytes of the marker with the blanks behind it.
    pub len: usize,
    /// The marker as a lawyer cites it: `第七条`, `Section 2.03`, `5.3`, `a`.
    pub label: String,
}

impl Marker {
    fn single(style: Style, number: u32, len: usize, label: impl Into<String>) -> Marker {
        Marker { style, steps: vec![NumberStep::new(number)], len, label: label.into() }
    }
}

/// All readings of the marker at the start of `text`, the likelier first.
pub(super) fn read(text: &str, lexicons: &[&'static Lexicon]) -> Vec<Marker> {
    let mut found = Vec::new();
    let Some(first) = text.chars().next() else { return found };
    match first {
        '第' => found.extend(chinese_article(text)),
        '(' => parenthesised(text, &mut found),
        '①'..='⑳' => {
            let number = first as u32 - '①' as u32 + 1;
            found.push(Marker::single(Style::Circled, number, first.len_utf8(), number.to_string()));
        }
        '0'..='9' => found.extend(decimal(text)),
        _ => {}
    }
    if first == '§' || first.is_alphabetic() {
        found.extend(lexicons.iter().find_map(|lexicon| schedule(text, lexicon)));
        found.extend(lexicons.iter().find_map(|lexicon| named(text, lexicon)));
        lettered(text, &mut found);
    }
    if let Some((value, length)) = numerals::chinese(text)
        && text[length..].starts_with('、')
        && (1.0..=999.0).contains(&value)
    {
        found.push(Marker::single(Style::Han, value as u32, length + '、'.len_utf8(), &text[..length]));
    }
    for marker in &mut found {
        marker.len += text[marker.len..].len() - text[marker.len..].trim_start().len();
    }
    found
}

/// `第七条`, `第二章`, `第十二条之一`; not `第七条第二款`, which cites.
fn chinese_article(text: &str) -> Option<Marker> {
    const RANKS: [(&str, u8); 4] = [("编", 0), ("部分", 0), ("章", 1), ("节", 2)];
    let body = &text['第'.len_utf8()..];
    let body_start = body.len() - body.trim_start().len();
    let (number, length) = han_or_digits(&body[body_start..])?;
    let after = body[body_start + length..].trim_start();
    let at = text.len() - after.len();
    let (style, unit) = if after.starts_with('条') {
        (Style::Named(0), "条")
    } else {
        let (word, rank) = RANKS.iter().find(|(word, _)| after.starts_with(word))?;
        (Style::Chapter(*rank), *word)
    };
    let mut end = at + unit.len();
    let mut step = NumberStep::new(number);
    if let Some(rest) = text[end..].strip_prefix('之')
        && let Some((suffix, length)) = han_or_digits(rest)
    {
        step.suffix = suffix.min(99) as u8;
        end += '之'.len_utf8() + length;
    }
    let label = text[..end].replace(' ', "");
    let rest = text[end..].trim_start();
    let cites = super::lexicon::CHINESE.citation_tails.iter().any(|tail| rest.starts_with(tail));
    // Behind a blank a title may begin with any word: 第八条 约定解除.
    let has_gap = text[end..].starts_with([' ', '[']);
    if cites && (!has_gap || rest.starts_with('第')) {
        return None;
    }
    let end = end + text[end..].find(|c| !matches!(c, ':' | '、' | '.')).unwrap_or(0);
    Some(Marker { style, steps: vec![step], len: end, label })
}

pub(super) fn han_or_digits(text: &str) -> Option<(u32, usize)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if digits > 0 {
        return text[..digits].parse().ok().filter(|n| *n <= 9999).map(|n| (n, digits));
    }
    numerals::chinese(text).filter(|(value, _)| (1.0..=9999.0).contains(value)).map(|(value, len)| (value as u32, len))
}

/// `(a)`, `(iv)`, `(1)`, `（一）`
fn parenthesised(text: &str, found: &mut Vec<Marker>) {
    let Some(close) = text.bytes().take(40).position(|b| b == b')') else { return };
    let inner = text[1..close].trim();
    let len = close + 1;
    // "(a)(i)" is two markers; "(a)," and "(s)he" are none.
    if text[len..].starts_with(|c: char| matches!(c, ',' | ';' | '.') || c.is_ascii_lowercase() && inner.len() == 1) {
        return;
    }
    if let Ok(number) = inner.parse::<u32>() {
        if number <= LARGEST {
            found.push(Marker::single(Style::ArabicParen, number, len, inner));
        }
    } else if let Some((value, used)) = numerals::chinese(inner) {
        if used == inner.len() && (1.0..=999.0).contains(&value) {
            found.push(Marker::single(Style::HanParen, value as u32, len, inner));
        }
    } else {
        letters(inner, Closing::Paren, len, found);
    }
}

/// `a.`, `A.`, `iv.`, `a)`
fn lettered(text: &str, found: &mut Vec<Marker>) {
    let length = text.bytes().take_while(u8::is_ascii_alphabetic).count();
    if length == 0 || length > 6 {
        return;
    }
    let closing = match text.as_bytes().get(length) {
        Some(b'.') => Closing::Dot,
        Some(b')') => Closing::Half,
        _ => return,
    };
    if text[length + 1..].starts_with(|c: char| !c.is_whitespace()) {
        return;
    }
    letters(&text[..length], closing, length + 1, found);
}

fn letters(text: &str, closing: Closing, len: usize, found: &mut Vec<Marker>) {
    let is_upper = text.bytes().all(|b| b.is_ascii_uppercase());
    if !is_upper && !text.bytes().all(|b| b.is_ascii_lowercase()) {
        return;
    }
    if let Some(number) = numerals::letter(text) {
        found.push(Marker::single(Style::Letter(closing, is_upper), number, len, text));
    }
    if let Some(number) = numerals::roman(text) {
        found.push(Marker::single(Style::Roman(closing, is_upper), number, len, text));
    }
}

/// `1.`, `1.1`, `1.2.3`, `1)`, `1、`
fn decimal(text: &str) -> Option<Marker> {
    let length = text.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
    let body = text[..length].trim_end_matches('.');
    let steps: Option<Vec<NumberStep>> =
        body.split('.').map(|part| part.parse().ok().filter(|n| *n <= LARGEST).map(NumberStep::new)).collect();
    let mut steps = steps.filter(|steps| (1..=6).contains(&steps.len()))?;
    let mut len = body.len();
    // 5a. is a clause put in between.
    let after = text[len..].chars().next();
    if let Some(c) = after.filter(char::is_ascii_lowercase)
        && text[len + 1..].starts_with(['.', ' '])
        && let Some(last) = steps.last_mut()
    {
        last.suffix = c as u8 - b'a' + 1;
        len += 1;
    }
    let label = &text[..len];
    let rest = &text[len..];
    let depth = steps.len() as u8;
    let (style, closing) = match rest.chars().next() {
        Some('、') if depth == 1 => (Style::ArabicComma, '、'.len_utf8()),
        Some(')') if depth == 1 => (Style::ArabicHalf, 1),
        Some('.' | ':' | '、') => (Style::Decimal(depth), rest.chars().next().map_or(0, char::len_utf8)),
        None if depth > 1 => (Style::Decimal(depth), 0),
        Some(c) if depth > 1 && (c.is_whitespace() || super::lexicon::is_han(c) || c == '(') => {
            (Style::Decimal(depth), 0)
        }
        // "1 DEFINITIONS": a bare number before a capitalised heading.
        Some(' ') if rest.trim_start().starts_with(char::is_uppercase) && text.len() < 90 => (Style::Decimal(depth), 0),
        _ => return None,
    };
    let tail = &rest[closing..];
    // 3.5%, 1.5 million and 10.12.2024 go on; a marker is closed.
    if tail.starts_with(|c: char| c.is_ascii_digit() || c == '%') || tail.trim_start().starts_with('%') {
        return None;
    }
    Some(Marker { style, steps, len: len + closing, label: label.to_owned() })
}

/// `Article IV`, `Section 2.03`, `§ 312a`, `Chapter 2`
fn named(text: &str, lexicon: &'static Lexicon) -> Option<Marker> {
    let chapters = lexicon.chapters.iter().enumerate().map(|(i, word)| (*word, Style::Chapter(i as u8)));
    let articles = lexicon.articles.iter().enumerate().map(|(i, word)| (*word, Style::Named(i as u8)));
    let (style, word_len) = articles.chain(chapters).find_map(|(word, style)| Some((style, word_at(text, word)?)))?;
    let rest = text[word_len..].trim_start();
    let number_at = text.len() - rest.len();
    if number_at == word_len && !text.starts_with('§') {
        return None;
    }
    let (steps, number_len) = clause_number(rest, lexicon)?;
    let mut end = number_at + number_len;
    let label = text[..end].to_owned();
    let tail = &text[end..];
    let after = tail.trim_start_matches(['.', ':', '-']).trim_start();
    let word_after = after.split(|c: char| c.is_whitespace() || c == ',').next().unwrap_or_default();
    // § is German wherever it stands.
    let tails = if text.starts_with('§') { super::lexicon::GERMAN.citation_tails } else { lexicon.citation_tails };
    if tail.starts_with(['(', ',', ';', ')']) || tails.contains(&word_after) {
        return None;
    }
    end += tail.len() - tail.trim_start_matches(['.', ':', '-', ' ']).len();
    Some(Marker { style, steps, len: end, label })
}

/// The number of a named clause and its length: digits, decimals, 312a, Roman numerals, words.
fn clause_number(text: &str, lexicon: &Lexicon) -> Option<(Vec<NumberStep>, usize)> {
    let length = text.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
    let body = text[..length].trim_end_matches('.');
    if !body.is_empty() {
        let steps: Option<Vec<NumberStep>> =
            body.split('.').map(|part| part.parse().ok().filter(|n| *n < 100_000).map(NumberStep::new)).collect();
        let mut steps = steps?;
        let mut len = body.len();
        let mut rest = text[len..].chars();
        if let Some(letter) = rest.next().filter(char::is_ascii_alphabetic)
            && !rest.next().is_some_and(char::is_alphanumeric)
            && let Some(last) = steps.last_mut()
        {
            last.suffix = letter.to_ascii_lowercase() as u8 - b'a' + 1;
            len += 1;
        }
        return Some((steps, len));
    }
    let word: String = text.chars().take_while(|c| c.is_alphabetic()).collect();
    if let Some(number) = numerals::roman(&word).filter(|_| word.chars().all(char::is_uppercase)) {
        return Some((vec![NumberStep::new(number)], word.len()));
    }
    let (value, taken) = numerals::words(std::iter::once(word.to_lowercase().as_str()), lexicon)?;
    (taken == 1).then(|| (vec![NumberStep::new(value as u32)], word.len()))
}

/// `Schedule 1`, `EXHIBIT A`, `附件一`: a heading, not a mention.
fn schedule(text: &str, lexicon: &'static Lexicon) -> Option<Marker> {
    let word_len = lexicon.schedules.iter().find_map(|word| word_at(text, word))?;
    if text.len() > 150 || text.ends_with(['.', ';', '。', ';', ',']) {
        return None;
    }
    let rest = text[word_len..].trim_start();
    let at = text.len() - rest.len();
    let (number, len) = if let Some((number, len)) = han_or_digits(rest) {
        (number, len)
    } else {
        let word: String = rest.chars().take_while(char::is_ascii_alphabetic).collect();
        let is_number = word.chars().all(|c| c.is_ascii_uppercase());
        let number = numerals::letter(&word).or_else(|| numerals::roman(&word)).filter(|_| is_number && word.len() < 5);
        match number {
            Some(number) => (number, word.len()),
            // "Schedule" or "附件：" alone on its line.
            None if rest.trim_start_matches([':', '-']).len() < 2 => (1, 0),
            None => return None,
        }
    };
    let tail = &text[at + len..];
    let after = tail.trim_start_matches([':', '.', '-', ' ', '、', '[', '"']);
    let word_after = after.split_whitespace().next().unwrap_or_default();
    let cites = lexicon.citation_tails.contains(&word_after)
        || tail.starts_with([',', '(', '所', '的', '中'])
        || (len > 0 && lexicon.code != "zh" && word_after.starts_with(char::is_lowercase));
    let label = text[..at + len].trim_end().to_owned();
    (!cites).then(|| Marker::single(Style::Schedule, number, text.len() - after.len(), label))
}

/// The length of a word of a lexicon at the start of a text, in any case.
pub(super) fn word_at(text: &str, word: &str) -> Option<usize> {
    let mut ours = text.char_indices();
    for expected in word.chars() {
        let (_, c) = ours.next()?;
        if c != expected && c.to_lowercase().next() != Some(expected) {
            return None;
        }
    }
    let rest = ours.as_str();
    let continues = word.ends_with(|c: char| c.is_alphabetic() && !super::lexicon::is_unspaced(c))
        && rest.starts_with(|c: char| c.is_alphanumeric() && !super::lexicon::is_unspaced(c));
    (!continues).then_some(text.len() - rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contracts::lexicon::{CHINESE, ENGLISH, GERMAN};

    fn check(text: &str, expected: Option<(Style, &str, &str)>) {
        let found = read(text, &[&ENGLISH, &CHINESE, &GERMAN]);
        let first = found.first().map(|m| (m.style, m.label.as_str(), &text[m.len..]));
        assert_eq!(first, expected, "{text}");
    }

    #[test]
    fn markers_of_many_styles() {
        use Style::*;
        for (text, expected) in [
            ("第七条 价款", Some((Named(0), "第七条", "价款"))),
            ("第七条甲方应当", Some((Named(0), "第七条", "甲方应当"))),
            ("第十二条之一 补充", Some((Named(0), "第十二条之一", "补充"))),
            ("第七条第二款规定的", None),
            ("第七条规定的", None),
            ("第二章 总则", Some((Chapter(1), "第二章", "总则"))),
            ("第 7 条 价款", Some((Named(0), "第7条", "价款"))),
            ("一、服务", Some((Han, "一", "服务"))),
            ("(一)主权", Some((HanParen, "一", "主权"))),
            ("1、定义", Some((ArabicComma, "1", "定义"))),
            ("1. Service", Some((Decimal(1), "1", "Service"))),
            ("5.3 Fees", Some((Decimal(2), "5.3", "Fees"))),
            ("1.5% of", None),
            ("2024. Then", None),
            ("1 DEFINITIONS", Some((Decimal(1), "1", "DEFINITIONS"))),
            ("ARTICLE IV. TERM", Some((Named(0), "ARTICLE IV", "TERM"))),
            ("Section 2.03 Notices", Some((Named(1), "Section 2.03", "Notices"))),
            ("Section 9.1(a) shall apply", None),
            ("Section 5 of this Agreement", None),
            ("§ 312a Recht", Some((Named(4), "§ 312a", "Recht"))),
            ("§ 5 Abs. 2", None),
            ("(a) foo", Some((Letter(Closing::Paren, false), "a", "foo"))),
            ("A. Definitions", Some((Letter(Closing::Dot, true), "A", "Definitions"))),
            ("Schedule 1 - Fees", Some((Schedule, "Schedule 1", "Fees"))),
            ("Schedule 1 shall apply", None),
            ("附件一:设备清单", Some((Schedule, "附件一", "设备清单"))),
            ("① 甲", Some((Circled, "1", "甲"))),
            ("The text", None),
            ("", None),
        ] {
            check(text, expected);
        }
    }
}
