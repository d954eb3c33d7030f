//! Citations of other clauses: `Sections 3, 4 and 5`, `第三条至第五条`, `§ 5 Abs. 2`
//!
//! A citation is resolved to the clauses it points to, so that renumbering alone is no change. Citations of another
//! law are found as well and point nowhere.

use std::collections::HashMap;
use std::ops::Range;

use super::contract::{Clause, Reference};
use super::lexicon::Lexicon;
use super::markers::{han_or_digits, word_at};
use super::numerals;
use super::plain::Plain;

/// Most clauses of one range such as "Sections 3 to 40".
const LONGEST_RANGE: u32 = 200;

/// A citation before it is resolved.
struct FoundReference {
    range: Range<usize>,
    /// The key of each cited number. What lies between the ends of a range is one entry.
    keys: Vec<Vec<String>>,
    part: String,
    external: bool,
}

/// Finds and resolves the citations of all clauses.
pub(super) fn resolve(plain: &Plain, clauses: &mut [Clause], lexicons: &[&'static Lexicon]) {
    let index = Index::new(clauses);
    for clause in clauses {
        let body = clause.body..clause.plain.end;
        let schedule = schedule_key(clause);
        let found = scan(plain.get(body.clone()), lexicons);
        clause.references = found
            .into_iter()
            .map(|found| {
                let number = |keys: &[String]| if let [key] = keys { key.clone() } else { String::new() };
                let inside = found.keys.iter().filter(|_| !found.external);
                let cited: Vec<(String, Vec<usize>)> =
                    inside.map(|keys| (number(keys), index.targets(keys, &schedule))).collect();
                let mut targets: Vec<usize> = cited.iter().flat_map(|(_, targets)| targets).copied().collect();
                targets.sort_unstable();
                targets.dedup();
                Reference {
                    start: 0,
                    end: 0,
                    targets,
                    part: found.part,
                    external: found.external,
                    cited,
                    plain: body.start + found.range.start..body.start + found.range.end,
                }
            })
            .collect();
    }
}

/// Clauses by the key of their number.
struct Index(HashMap<String, Vec<usize>>);

impl Index {
    fn new(clauses: &[Clause]) -> Index {
        let mut map: HashMap<String, Vec<usize>> = HashMap::new();
        for (i, clause) in clauses.iter().enumerate() {
            let schedule = schedule_key(clause);
            for number in clause.groups.iter().chain(std::iter::once(&clause.number)) {
                let key = key(number.strip_prefix(&schedule).unwrap_or(number));
                let entry = map.entry(format!("{}|{key}", self::key(&schedule))).or_default();
                if entry.last() != Some(&i) {
                    entry.push(i);
                }
            }
        }
        Index(map)
    }

    fn targets(&self, keys: &[String], schedule: &str) -> Vec<usize> {
        let mut targets = Vec::new();
        for key in keys {
            let home = format!("{}|{key}", self::key(schedule));
            let found = self.0.get(&home).or_else(|| self.0.get(&format!("|{key}"))).into_iter().flatten();
            targets.extend(found.copied());
        }
        targets.sort_unstable();
        targets.dedup();
        targets
    }
}

/// The attachment that a clause lies in.
fn schedule_key(clause: &Clause) -> String {
    clause.groups.first().filter(|group| clause.number.starts_with(group.as_str())).cloned().unwrap_or_default()
}

/// Words for what holds articles and counts apart from them.
const CHAPTERS: [&str; 9] = ["chapter", "part", "title", "kapitel", "teil", "chapitre", "titre", "capítulo", "título"];

/// A number without the word before it: `Section 2.03` and `2.03`, `Article IV` and `4`, `第七条` and `7`; but with that of a
/// chapter.
fn key(number: &str) -> String {
    let number = number.trim();
    if let Some(rest) = number.strip_prefix('第') {
        let (value, length) = han_or_digits(rest).unwrap_or_default();
        // 第二章 is another thing than 第二条, and holds it.
        if let Some(unit) = rest[length..].chars().next().filter(|unit| "章编节篇".contains(*unit)) {
            return format!("{unit}{value}");
        }
        let suffix =
            rest[length..].strip_prefix("条之").and_then(han_or_digits).map_or(String::new(), |(n, _)| format!("-{n}"));
        return format!("{value}{suffix}");
    }
    // Items of a Chinese contract without articles: 二、1 is cited as 第二条第1款.
    if let Some((value, length)) = numerals::chinese(number) {
        return format!("{value}{}", number[length..].replace('、', "."));
    }
    let word = number.split(' ').next().unwrap_or_default().to_lowercase();
    if let Some(rest) = number.get(word.len()..).filter(|_| CHAPTERS.contains(&word.as_str())) {
        return format!("{word} {}", key(rest));
    }
    let last = number.rsplit([' ', '§']).find(|word| !word.is_empty()).unwrap_or_default();
    let last = last.trim_end_matches('.');
    if let Some(value) = numerals::roman(last).filter(|_| number.contains(' ')) {
        return value.to_string();
    }
    last.to_lowercase()
}

/// Finds the citations in a text.
fn scan(text: &str, lexicons: &[&'static Lexicon]) -> Vec<FoundReference> {
    let words: Vec<&str> = lexicons.iter().flat_map(|l| l.articles.iter().chain(l.citations).copied()).collect();
    let mut found: Vec<FoundReference> = Vec::new();
    let mut previous = ' ';
    let mut until = 0;
    for (at, c) in text.char_indices() {
        let is_start = !previous.is_alphanumeric() || c == '第' || c == '§';
        previous = c;
        if at < until || !is_start {
            continue;
        }
        let citation = if c == '第' {
            chinese(&text[at..])
        } else if c.is_alphabetic() || c == '§' {
            latin(&text[at..], &words, lexicons)
        } else {
            None
        };
        if let Some(mut citation) = citation {
            until = at + citation.range.end;
            citation.external = is_external(&text[..at], &text[until..], c == '第');
            citation.range = at..until;
            found.push(citation);
        }
    }
    found
}

/// `第七条第二款第（一）项`, `第三条至第五条`, `第三、四条`
fn chinese(text: &str) -> Option<FoundReference> {
    let mut keys: Vec<Vec<String>> = Vec::new();
    let mut part = String::new();
    let (mut at, mut open) = (0, None);
    loop {
        let rest = &text[at..];
        let body = rest.strip_prefix('第').or((!keys.is_empty()).then_some(rest))?;
        let Some((number, length)) = han_or_digits(body) else { break };
        let after = &body[length..];
        let Some(tail) = after.strip_prefix('条') else {
            // "第三、四条": numbers before the word.
            let is_list = keys.is_empty() && after.starts_with('、') && after.chars().take(8).any(|c| c == '条');
            if is_list {
                keys.push(vec![number.to_string()]);
                at = text.len() - after.len() + '、'.len_utf8();
                continue;
            }
            break;
        };
        if let Some(first) = open.take() {
            keys.push((first + 1..number).take(LONGEST_RANGE as usize).map(|n: u32| n.to_string()).collect());
        }
        keys.push(vec![number.to_string()]);
        let (inner, length) = chinese_part(tail);
        part.push_str(inner);
        at = text.len() - tail.len() + length;
        let rest = &text[at..];
        if let Some(next) = ["至第", "到第"].iter().find_map(|joint| rest.strip_prefix(joint)) {
            open = Some(number);
            at = text.len() - next.len() - '第'.len_utf8();
        } else if let Some(next) =
            ["、第", "和第", "及第", "或第", "或者第", "与第", "以及第"].iter().find_map(|j| rest.strip_prefix(j))
        {
            let is_article = han_or_digits(next).is_some_and(|(_, length)| next[length..].starts_with('条'));
            if !is_article {
                break;
            }
            at = text.len() - next.len() - '第'.len_utf8();
        } else {
            break;
        }
    }
    (!keys.is_empty()).then_some(FoundReference { range: 0..at, keys, part, external: false })
}

/// `第二款第（一）项`
fn chinese_part(text: &str) -> (&str, usize) {
    let mut at = 0;
    while let Some(rest) = text[at..].strip_prefix('第') {
        let inner = rest.trim_start_matches('(');
        let Some((_, length)) = han_or_digits(inner) else { break };
        let after = inner[length..].trim_start_matches(')');
        let Some(word) = after.chars().next().filter(|c| matches!(c, '款' | '项' | '目')) else { break };
        at = text.len() - after.len() + word.len_utf8();
    }
    (&text[..at], at)
}

/// `Section 9.1(a)`, `Sections 8.1 (Liability Caps) and 8.2`, `§§ 3 bis 5`
fn latin(text: &str, words: &[&str], lexicons: &[&'static Lexicon]) -> Option<FoundReference> {
    let word_len = words.iter().filter_map(|word| word_at(text, word)).max()?;
    let mut at = word_len;
    let mut keys: Vec<Vec<String>> = Vec::new();
    let mut part = String::new();
    let (mut end, mut is_range) = (0, false);
    loop {
        let rest = &text[at..];
        let blank = rest.len() - rest.trim_start().len();
        let Some((key, length)) = latin_number(&rest[blank..]) else { break };
        if !keys.is_empty() && counts(&rest[blank + length..], lexicons) {
            break;
        }
        if is_range && let Some(last) = keys.last().and_then(|last| last.first()) {
            let between = range_between(last, &key);
            keys.push(between);
        }
        keys.push(vec![key]);
        at += blank + length;
        let inner = bracketed(&text[at..]);
        part.push_str(&text[at..at + inner]);
        at += inner;
        end = at;
        at += title_length(&text[at..]);
        let rest = &text[at..];
        let next = rest.trim_start();
        let joint = [
            ",", "and", "or", "&", "to", "through", "-", "und", "bis", "oder", "et", "ou", "à", "y", "o", "a", "and/or",
        ];
        let Some(joint) = joint.iter().filter_map(|joint| Some((*joint, word_at(next, joint)?))).max_by_key(|j| j.1)
        else {
            break;
        };
        is_range = matches!(joint.0, "to" | "through" | "-" | "bis" | "à" | "a");
        at += rest.len() - next.len() + joint.1;
        // ", and 5"
        let rest = text[at..].trim_start();
        if joint.0 == ","
            && let Some(length) = ["and", "or", "und", "et", "y"].iter().find_map(|joint| word_at(rest, joint))
        {
            at = text.len() - rest.len() + length;
        }
    }
    (end > 0).then_some(FoundReference { range: 0..end, keys, part, external: false })
}

/// True if a number counts what follows: "Section 1 and 30 days after", "clause 2, 5 (five) business days".
fn counts(behind: &str, lexicons: &[&'static Lexicon]) -> bool {
    let behind = behind.trim_start_matches([' ', '\n', '-', '\'']);
    let behind = match behind.strip_prefix('(').and_then(|inner| inner.get(..40).unwrap_or(inner).split_once(')')) {
        Some((words, _)) => behind[words.len() + "()".len()..].trim_start(),
        None => behind,
    };
    let is_unit = |text: &str| {
        lexicons.iter().any(|lexicon| {
            let units = lexicon.units.iter().map(|(name, ..)| *name);
            let shares = lexicon.percent.iter().map(|(name, _)| *name);
            let money = lexicon.currencies.iter().map(|(name, _)| *name);
            units.chain(shares).chain(money).any(|name| word_at(text, name).is_some())
        })
    };
    // "30 full days": a word between.
    let word = behind.split_whitespace().next().unwrap_or_default();
    let is_adjective = word.len() > 3 && word.chars().all(char::is_alphabetic);
    behind.starts_with('%') || is_unit(behind) || is_adjective && is_unit(behind[word.len()..].trim_start())
}

/// A number of a clause: 8.1, 312a, D.4, IV.
fn latin_number(text: &str) -> Option<(String, usize)> {
    let length = text.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'.').count();
    let word = text[..length].trim_end_matches('.');
    let is_open = text[word.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '%' || c == '\'');
    if word.is_empty() || is_open || word.len() > 12 {
        return None;
    }
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    if digits > 0 {
        let letters = word.len() - digits - word.matches('.').count();
        return (letters <= 1).then(|| (word.to_lowercase(), word.len()));
    }
    if !word.bytes().all(|b| b.is_ascii_uppercase()) {
        return None;
    }
    // "I" and "A" are words as well; a longer numeral is not.
    if let Some(value) = numerals::roman(word).filter(|_| word.len() > 1 || matches!(word, "V" | "X" | "I")) {
        return Some((value.to_string(), word.len()));
    }
    (word.len() == 1 && word != "A").then(|| (word.to_lowercase(), 1))
}

/// The length of `(a)(iv)` and of ` Abs. 2 Satz 1` behind a number.
fn bracketed(text: &str) -> usize {
    let mut at = 0;
    while let Some(inner) = text[at..].strip_prefix('(')
        && let Some(close) = inner.bytes().take(6).position(|b| b == b')')
        && inner[..close].bytes().all(|b| b.is_ascii_alphanumeric())
        && close > 0
    {
        at += close + 2;
    }
    loop {
        let rest = text[at..].trim_start();
        let word = ["Abs.", "Absatz", "Satz", "S.", "Nr.", "lit.", "al.", "alinéa", "Buchst."]
            .iter()
            .find(|w| rest.starts_with(**w));
        let Some(word) = word else { return at };
        let after = rest[word.len()..].trim_start();
        let length = after.bytes().take_while(u8::is_ascii_alphanumeric).count();
        if length == 0 || length > 3 {
            return at;
        }
        at = text.len() - after.len() + length;
    }
}

/// The length of the title that some contracts repeat in brackets behind a number.
fn title_length(text: &str) -> usize {
    let rest = text.trim_start();
    match rest.strip_prefix('(') {
        Some(inner) if inner.starts_with(char::is_uppercase) => {
            inner.find(')').filter(|at| *at <= 90).map_or(0, |at| text.len() - inner.len() + at + 1)
        }
        _ => 0,
    }
}

/// The numbers between the ends of a range.
fn range_between(first: &str, last: &str) -> Vec<String> {
    let split = |key: &str| {
        let (path, step) = key.rsplit_once('.').unwrap_or(("", key));
        step.parse::<u32>().ok().map(|step| (path.to_owned(), step))
    };
    let (Some((path, from)), Some((other, to))) = (split(first), split(last)) else { return Vec::new() };
    if path != other || to <= from || to - from > LONGEST_RANGE {
        return Vec::new();
    }
    (from + 1..to).map(|step| if path.is_empty() { step.to_string() } else { format!("{path}.{step}") }).collect()
}

/// True for a citation of a law: `《民法典》第五条`, `Section 5 of the Securities Act`, `§ 5 BGB`.
fn is_external(before: &str, after: &str, is_chinese: bool) -> bool {
    let before = before.trim_end();
    if is_chinese {
        return before.ends_with('》')
            || before.ends_with("法") && !before.ends_with("办法") && !before.ends_with("本法");
    }
    let after = after.trim_start();
    let word = after.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    if word.len() >= 2
        && word.len() <= 6
        && word.chars().filter(|c| c.is_uppercase()).count() >= 2
        && !after.starts_with('(')
    {
        return true;
    }
    let of = ["of the ", "of ", "des ", "der ", "du ", "de la ", "de "].iter().find_map(|of| after.strip_prefix(of));
    let head: String = of.unwrap_or_default().chars().take(90).collect();
    let head = head.split([',', ';', '.']).next().unwrap_or_default();
    let laws =
        ["Act", "Code", "Law", "Regulation", "Directive", "Statute", "GDPR", "U.S.C", "gesetz", "Code civil", "Ley"];
    head.starts_with(char::is_uppercase) && laws.iter().any(|law| head.contains(law))
        || head.to_lowercase().starts_with("united kingdom")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contracts::lexicon::{CHINESE, ENGLISH, GERMAN};

    fn check(text: &str, expected: &[(&str, &[&str], &str, bool)]) {
        let found = scan(text, &[&ENGLISH, &CHINESE, &GERMAN]);
        let found: Vec<_> = found
            .iter()
            .map(|f| {
                (
                    &text[f.range.clone()],
                    f.keys.iter().flatten().map(String::as_str).collect::<Vec<_>>(),
                    f.part.as_str(),
                    f.external,
                )
            })
            .collect();
        let expected: Vec<_> = expected.iter().map(|(t, k, p, e)| (*t, k.to_vec(), *p, *e)).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn citations() {
        check("see Section 9.1(a) and more", &[("Section 9.1(a)", &["9.1"], "(a)", false)]);
        check("Sections 3, 4 and 5 apply", &[("Sections 3, 4 and 5", &["3", "4", "5"], "", false)]);
        check(
            "Sections 8.1 (Caps) and 8.2 (Waiver) do",
            &[("Sections 8.1 (Caps) and 8.2", &["8.1", "8.2"], "", false)],
        );
        check("Sections 3 through 5", &[("Sections 3 through 5", &["3", "4", "5"], "", false)]);
        check("under Article IV,", &[("Article IV", &["4"], "", false)]);
        check("依照第七条第二款第(一)项处理", &[("第七条第二款第(一)项", &["7"], "第二款第(一)项", false)]);
        check("第三条至第五条", &[("第三条至第五条", &["3", "4", "5"], "", false)]);
        check("《民法典》第五百条规定", &[("第五百条", &["500"], "", true)]);
        check("nach § 5 Abs. 2 gilt", &[("§ 5 Abs. 2", &["5"], " Abs. 2", false)]);
        check("§ 312a BGB", &[("§ 312a", &["312a"], "", true)]);
        check("Section 5 of the Securities Act", &[("Section 5", &["5"], "", true)]);
        for text in [
            "Section 1, 30 days' notice",
            "Section 1 and 30 days",
            "Section 1, 5 (five) business days",
            "Section 1, 30 full days",
            "Section 1 and 5 percent",
            "Section 1 and 5 %",
            "Section 1, 500 euros",
            "Section 1 - 24 hours",
        ] {
            check(text, &[("Section 1", &["1"], "", false)]);
        }
        check("§ 2 und 14 Tage", &[("§ 2", &["2"], "", false)]);
        check("this section is about sections", &[]);
        check("第二款规定", &[]);
    }

    #[test]
    fn keys_of_numbers() {
        for (number, expected) in [
            ("Section 2.03", "2.03"),
            ("Article IV", "4"),
            ("第七条", "7"),
            ("5.3", "5.3"),
            ("§ 312a", "312a"),
            ("C", "c"),
            ("", ""),
        ] {
            assert_eq!(key(number), expected, "{number}");
        }
    }
}
