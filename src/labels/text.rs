//! The text format: one label a line. Lists from documents and wikis are read as the labels that they show.

use std::collections::HashSet;

use anyhow::{Context, Result, bail, ensure};

use super::{Label, LabelSet, visible};
use crate::record::label_key;

/// What stands around a name in quotes.
const QUOTES: [(char, char); 10] = [
    ('"', '"'),
    ('\'', '\''),
    ('`', '`'),
    ('“', '”'),
    ('„', '“'),
    ('„', '”'),
    ('‘', '’'),
    ('«', '»'),
    ('「', '」'),
    ('『', '』'),
];

/// What closes the bracket around a number.
const CLOSING: [char; 5] = [')', '）', ']', '］', '】'];

/// What separates several labels on one line.
const SEPARATORS: [char; 8] = [',', '，', '、', ';', '；', '|', '/', '\t'];

/// Digits of a number before an item of a list.
const MOST_DIGITS: usize = 3;

/// A line with a label.
pub(super) struct Line<'a> {
    /// What stands before a colon or a tab, without quotes.
    name: &'a str,
    description: Option<&'a str>,
    is_quoted: bool,
    /// True where a tab stands between them, as between the cells of a table.
    is_row: bool,
}

impl<'a> Line<'a> {
    pub(super) fn new(line: &'a str) -> Self {
        let line = visible(line);
        // Bold type of Markdown, with or without the colon: `**invoice:** amount due`.
        if let Some((name, behind)) = line.strip_prefix("**").and_then(|rest| rest.split_once("**")) {
            let is_over = name.ends_with([':', '：']);
            let name = visible(name.trim_end_matches([':', '：']));
            let behind = visible(behind);
            let description = if is_over { Some(behind) } else { behind.strip_prefix([':', '：']) };
            if !name.is_empty() && (description.is_some() || behind.is_empty()) {
                return Self { name, description, is_quoted: true, is_row: false };
            }
        }
        if let Some((name, behind)) = quoted(line) {
            let behind = behind.trim_start_matches(' ');
            let description = behind.strip_prefix([':', '：', '\t']);
            if description.is_some() || visible(behind).is_empty() || matches!(behind, "," | ";" | "，" | "；") {
                return Self { name: visible(name), description, is_quoted: true, is_row: false };
            }
        }
        // The fullwidth colon is what a Chinese keyboard types.
        if let Some((name, behind)) = line.find([':', '：', '\t']).map(|at| line.split_at(at)) {
            let is_row = behind.starts_with('\t');
            let description = visible(behind.strip_prefix([':', '：']).unwrap_or(behind));
            return Self { name: visible(name), description: Some(description), is_quoted: false, is_row };
        }
        // The end of an item of an enumeration is none of its name.
        let name = visible(line.trim_end_matches([',', ';', '，', '；', '、']));
        Self { name: if name.is_empty() { line } else { name }, description: None, is_quoted: false, is_row: false }
    }

    /// # Errors
    /// When the name is empty or holds a control character, a comment stands behind it, or quotes stand around name and
    /// description.
    pub(super) fn label(&self) -> Result<Label> {
        let description = self.description.map(visible).filter(|text| !text.is_empty()).map(String::from);
        let comment = self.name.split_once(" # ").filter(|_| !self.is_quoted && self.description.is_none());
        if let Some((name, comment)) = comment {
            bail!(
                "a comment stands on a line of its own; write `{}: {}`, or put the name in quotes",
                visible(name),
                visible(comment)
            );
        }
        let holds_both =
            self.is_quoted && self.description.is_none() && [": ", "："].iter().any(|colon| self.name.contains(colon));
        ensure!(
            !holds_both,
            "the quotes stand around {:?}, which reads like name and description; put them around the name alone, or \
             write a colon and a description behind them",
            self.name
        );
        let label = Label { description, ..Label::named(self.name.into()) };
        label.check()?;
        Ok(label)
    }

    /// Refuses the only line of a file, or the only argument, if it holds several labels.
    ///
    /// # Errors
    /// When it does.
    pub(super) fn check_alone(&self) -> Result<()> {
        if self.is_quoted {
            return Ok(());
        }
        let whole = match self.description {
            None => self.name.to_string(),
            Some(description) => format!("{}: {description}", self.name),
        };
        let separates = |separator: &char| {
            let parts: Vec<&str> = whole.split(*separator).map(visible).filter(|part| !part.is_empty()).collect();
            // With a description several labels show by as many colons.
            let is_label = |part: &&str| {
                let mut colons = part.match_indices([':', '：']);
                colons.any(|(at, colon)| colon == "：" || part[at + 1..].starts_with(' '))
            };
            let is_whole = self.description.is_none() || (self.is_row && *separator == '\t');
            parts.len() > 1 && (is_whole || parts.iter().all(is_label))
        };
        match SEPARATORS.iter().find(|separator| separates(separator)) {
            Some(separator) => bail!(
                "it is one label, {whole:?}, and reads like several, separated by {separator:?}; give each a line of its own \
                 in a label file or a --label of its own, or put a single name in quotes, as in \"a, b\""
            ),
            None => Ok(()),
        }
    }
}

/// A name in quotes at the beginning of a line, and what follows.
fn quoted(line: &str) -> Option<(&str, &str)> {
    let first = line.chars().next()?;
    let inside = &line[first.len_utf8()..];
    let ends = QUOTES.iter().filter(|(open, _)| *open == first);
    ends.filter_map(|(_, close)| inside.split_once(*close)).min_by_key(|(name, _)| name.len())
}

/// What marks a line as an item of a list.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Marker {
    Bullet,
    Number(u32),
}

/// A line of the file that is neither empty nor a comment.
struct Item<'a> {
    /// Its number.
    at: usize,
    line: &'a str,
    /// The mark of a list, and what follows it.
    marked: Option<(Marker, &'a str)>,
}

impl<'a> Item<'a> {
    fn new(at: usize, line: &'a str) -> Self {
        let marked = bullet(line).map(|rest| (Marker::Bullet, rest));
        Self { at, line, marked: marked.or_else(|| number(line).map(|(number, rest)| (Marker::Number(number), rest))) }
    }

    fn is(&self, wanted: fn(Marker) -> bool) -> bool {
        self.marked.is_some_and(|(marker, _)| wanted(marker))
    }
}

/// True for what word processors and wikis put before an item: dashes, dots, shapes, arrows, check marks, and
/// characters of Word's symbol fonts. Emoji are parts of names.
fn is_bullet(c: char) -> bool {
    matches!(c,
        '-' | '*' | '+' | '>' | '·' | '»' | '›' | '§' | '※' | '・' | '－' | '＊' | '＋' | '•' | '‣' | '⁃' | '∙' | '–' | '—' | '―'
        | '\u{2190}'..='\u{21ff}' | '\u{25a0}'..='\u{25ff}' | '\u{2605}' | '\u{2606}' | '\u{2610}'..='\u{2612}'
        | '\u{2713}'..='\u{2718}' | '\u{2794}'..='\u{27be}' | '\u{f000}'..='\u{f0ff}')
}

/// What follows the bullet of a line, and the box of a task.
fn bullet(line: &str) -> Option<&str> {
    let rest = line.strip_prefix(is_bullet)?;
    let rest = rest.strip_prefix([' ', '\t', '\u{a0}', '\u{3000}'])?.trim_start();
    let boxes = ["[ ]", "[x]", "[X]", "☐", "☑", "☒"];
    Some(boxes.iter().find_map(|mark| rest.strip_prefix(mark)).map_or(rest, str::trim_start))
}

/// The number of a line, as in `1. x`, `2) x`, `(3) x`, `[4] x`, `５、x`, `⑥ x`, `七、x` or `h) x`, and what follows.
fn number(line: &str) -> Option<(u32, &str)> {
    let first = line.chars().next()?;
    for ring in ['①', '⑴', '❶'] {
        let number = (first as u32).wrapping_sub(ring as u32) + 1;
        if (1..=if ring == '❶' { 10 } else { 20 }).contains(&number) {
            return Some((number, visible(&line[first.len_utf8()..])));
        }
    }
    let inside = line.strip_prefix(['(', '（', '[', '［', '【']);
    if let Some(found) = numeral(inside.unwrap_or(line), inside.is_some()) {
        return Some(found);
    }
    let mut rest = inside.unwrap_or(line);
    let mut number = 0;
    for digits in 0.. {
        let first = rest.chars().next()?;
        let digit = first.to_digit(10).or_else(|| ('０'..='９').contains(&first).then(|| first as u32 - '０' as u32));
        let Some(digit) = digit else {
            let ends: &[char] = if inside.is_some() { &CLOSING } else { &['.', ')', '、', '．', '）'] };
            rest = rest.strip_prefix(ends)?;
            rest = rest.strip_prefix(')').unwrap_or(rest);
            // `1.5 GB` is no item.
            let is_apart = rest.chars().next().is_some_and(|next| !next.is_numeric());
            return (digits > 0 && is_apart).then(|| (number, visible(rest)));
        };
        if digits == MOST_DIGITS {
            return None;
        }
        number = number * 10 + digit;
        rest = &rest[first.len_utf8()..];
    }
    None
}

/// A Chinese number up to 99, or a letter, with what ends it.
fn numeral(text: &str, is_inside: bool) -> Option<(u32, &str)> {
    const DIGITS: &str = "一二三四五六七八九";
    let ends: &[char] = if is_inside { &CLOSING } else { &['、', '.', '．', ')', '）'] };
    let digit = |c: char| DIGITS.chars().position(|known| known == c).map(|at| at as u32 + 1);
    let (written, rest) = text.split_at(text.find(ends)?);
    let rest = &rest[rest.chars().next()?.len_utf8()..];
    let written: Vec<char> = written.chars().take(4).collect();
    let number = match written[..] {
        ['十'] => 10,
        [one] if digit(one).is_some() => digit(one)?,
        ['十', ones] => 10 + digit(ones)?,
        [tens, '十'] => 10 * digit(tens)?,
        [tens, '十', ones] => 10 * digit(tens)? + digit(ones)?,
        [letter] if letter.is_ascii_alphabetic() && (is_inside || rest.starts_with([' ', '\t'])) => {
            letter.to_ascii_lowercase() as u32 - 'a' as u32 + 1
        }
        _ => return None,
    };
    Some((number, visible(rest)))
}

/// True for a line that separates parts of a text, such as `---`.
fn is_rule(line: &str) -> bool {
    line.len() > 2 && ["-", "=", "*", "_", "~"].iter().any(|mark| line.replace(mark, "").trim().is_empty())
}

/// Takes the marks of a list from its items.
///
/// # Errors
/// When only some lines are items.
fn unmarked<'a>(items: &[Item<'a>]) -> Result<Vec<(usize, &'a str)>> {
    let bulleted = items.iter().filter(|item| item.is(|marker| marker == Marker::Bullet)).count();
    let numbered = items.iter().filter(|item| item.is(|marker| matches!(marker, Marker::Number(_)))).count();
    let heading = items.iter().find(|item| item.marked.is_none() && item.line.ends_with([':', '：']));
    if let Some(heading) = heading.filter(|_| bulleted + numbered > 0) {
        bail!("line {}: {:?} reads like the heading of a list; put a # before it", heading.at, heading.line);
    }
    if bulleted > 0 {
        let other = items.iter().find(|item| !item.is(|marker| marker == Marker::Bullet));
        if let Some(other) = other {
            bail!(
                "line {}: {:?} is no item of a list, and other lines are; let all lines be items, or none",
                other.at,
                other.line
            );
        }
    }
    let is_list = bulleted > 0 || (numbered == items.len() && counts(items));
    let mut names = HashSet::new();
    let is_told_apart =
        items.iter().filter_map(|item| item.marked).all(|(_, text)| names.insert(label_key(Line::new(text).name)));
    if !is_list && numbered > 1 && is_told_apart {
        let other = items.iter().find(|item| item.marked.is_none()).unwrap_or(&items[0]);
        bail!(
            "line {}: the numbers before the labels do not count the lines; take them away, or put the names in quotes",
            other.at
        );
    }
    let text = |item: &Item<'a>| (item.at, item.marked.filter(|_| is_list).map_or(item.line, |(_, text)| text));
    Ok(items.iter().map(text).collect())
}

/// True where numbers count the lines. Otherwise they are part of names, as in a first and a second reminder.
fn counts(items: &[Item<'_>]) -> bool {
    let mut names = HashSet::new();
    for (expected, item) in items.iter().enumerate() {
        let Some((Marker::Number(number), text)) = item.marked else { return false };
        // Some programs write 1 before each item, and count when they show it.
        let counts = number == 1 || number as usize == expected + 1 || number as usize == expected;
        if !counts || !names.insert(label_key(Line::new(text).name)) {
            return false;
        }
    }
    items.len() > 1
}

/// Refuses YAML whose keys would be taken for labels.
///
/// # Errors
/// When this is it.
fn check_yaml(items: &[Item<'_>]) -> Result<()> {
    let text = |item: &Item<'_>| item.marked.map_or(item.line, |(_, text)| text).to_ascii_lowercase();
    let is_key = |line: &str| line.starts_with("name:") || line.starts_with("label:");
    let is_detail = |line: &str| ["description:", "threshold:", "examples:"].iter().any(|key| line.starts_with(key));
    for (at, item) in items.iter().enumerate() {
        let (line, next) = (text(item), items.get(at + 1).map(text));
        let is_record = is_key(&line) && next.is_some_and(|next| is_key(&next) || is_detail(&next));
        let is_only_item = is_key(&line) && item.is(|marker| marker == Marker::Bullet);
        if is_record || is_only_item || line.ends_with(": |") || line.ends_with(": >") {
            bail!(
                "line {}: this looks like YAML; write one label a line, `name: description`, or [[label]] tables in a file \
                 whose name ends in .toml",
                item.at
            );
        }
    }
    Ok(())
}

/// Refuses what other programs write, as it would be taken for names.
///
/// # Errors
/// When a line is HTML, the head of a section or a comment.
fn check_foreign(lines: &[(usize, &str)]) -> Result<()> {
    for (at, line) in lines {
        let looks_like = if line.starts_with('<') && line.contains('>') {
            "HTML"
        } else if line.starts_with('[') && line.ends_with(']') {
            "the head of a section"
        } else if line.starts_with("//") || line.starts_with(';') {
            "a comment, which begins with # here"
        } else {
            continue;
        };
        bail!("line {at}: {line:?} looks like {looks_like}; leave it out, or put a name like it in quotes");
    }
    Ok(())
}

/// The place of a label that holds what stands between a name and its description elsewhere, and what is wrong with it.
/// One name may have it by chance, and several may have commas.
pub(super) fn divided(lines: &[(usize, &str)]) -> Option<(usize, String)> {
    const DIVIDERS: [&[&str]; 6] =
        [&[" => ", " -> "], &[" = ", "="], &["|"], &[";", "；"], &[" - ", " – ", " — ", "——"], &[",", "，", "、"]];
    let divider_of = |line: &str, dividers: &'static [&'static str]| {
        let label = Line::new(line);
        let inner = label.name.trim_matches(['|', ';', '；', ' ']);
        let is_plain = !label.is_quoted && label.description.is_none();
        dividers.iter().find(|divider| is_plain && inner.contains(**divider))
    };
    for dividers in DIVIDERS {
        let mut found = lines.iter().filter_map(|(at, line)| Some((*at, line, divider_of(line, dividers)?)));
        let (first, second) = (found.next(), found.next());
        let is_comma = dividers.contains(&",");
        if let (Some((at, line, divider)), Some(_)) = (first, second)
            && (!is_comma || 2 + found.count() == lines.len())
        {
            let why = format!(
                "{line:?} and others hold {divider:?}, which ends no name: write `name: description`, or put the names in \
                 quotes"
            );
            return Some((at, why));
        }
    }
    None
}

/// Refuses lines that continue the one above, as in other programs.
///
/// # Errors
/// When there is one.
fn check_continued(text: &str) -> Result<()> {
    let is_indented = |line: &str| line.starts_with([' ', '\t', '\u{3000}']);
    let mut is_first_indented = None;
    for (at, line) in text.lines().enumerate() {
        let written = visible(line);
        if written.is_empty() || written.starts_with(['#', '＃']) {
            continue;
        }
        let is_behind = !*is_first_indented.get_or_insert(is_indented(line));
        let continues = is_behind && is_indented(line);
        ensure!(
            !continues,
            "line {}: {written:?} is indented, as if it belonged to the line above; write a label and its description on one \
             line, and all labels at the same place",
            at + 1
        );
    }
    Ok(())
}

impl LabelSet {
    /// Parses the text format.
    ///
    /// # Errors
    /// When a line is invalid or holds several labels, a name occurs twice (the message names the lines), or there is
    /// no label.
    pub fn from_text(name: String, text: &str) -> Result<Self> {
        ensure!(!text.starts_with("{\\rtf"), "this is RTF; save it as plain text, one label a line");
        let mut items = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let line = visible(line);
            if line.is_empty() || line.starts_with(['#', '＃']) || is_rule(line) {
                continue;
            }
            ensure!(!line.starts_with("[["), "line {}: this looks like TOML; let the file's name end in .toml", at + 1);
            items.push(Item::new(at + 1, line));
        }
        check_yaml(&items)?;
        check_continued(text)?;
        let lines = unmarked(&items)?;
        check_foreign(&lines)?;
        if let Some((at, why)) = divided(&lines) {
            bail!("line {at}: {why}");
        }
        if let [(at, only)] = &lines[..] {
            Line::new(only).check_alone().with_context(|| format!("line {at}"))?;
        }
        let labels = lines.iter().map(|(at, line)| Line::new(line).label().with_context(|| format!("line {at}")));
        let labels = labels.collect::<Result<_>>()?;
        let numbers: Vec<usize> = lines.iter().map(|(at, _)| *at).collect();
        Self { name, instruct: None, threshold: None, labels }.checked(&numbers)
    }
}
