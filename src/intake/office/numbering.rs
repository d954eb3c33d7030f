//! The numbers of list items and headings (ECMA-376 part 1, 17.9), which a DOCX computes and does not write.

use std::collections::HashMap;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::xml::{is_on, local, name, value};

/// Levels of a list.
const LEVELS: usize = 9;
/// How many styles may be based on one another.
const MOST_BASES: usize = 32;

/// A list and a level of it, as a paragraph or a style names them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ListPlace {
    pub(super) list: Option<String>,
    pub(super) level: Option<usize>,
}

/// One level of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ListLevel {
    start: u32,
    format: String,
    /// `%1.%2`, where `%1` is the number of the first level.
    text: String,
    /// All numbers of the text are decimal.
    is_legal: bool,
    /// The number of levels after whose items it starts again; `None` for all above it.
    restart: Option<usize>,
    /// The style whose paragraphs are items.
    style: Option<String>,
}

impl Default for ListLevel {
    fn default() -> Self {
        Self { start: 1, format: "decimal".into(), text: String::new(), is_legal: false, restart: None, style: None }
    }
}

/// The levels of a list, by number.
type Levels = HashMap<usize, ListLevel>;

/// A list of the document: an abstract one with levels of its own.
#[derive(Clone, Debug, Default)]
struct List {
    of: String,
    levels: Levels,
    starts: HashMap<usize, u32>,
}

/// A style of paragraphs.
#[derive(Clone, Debug, Default)]
struct Style {
    base: Option<String>,
    place: ListPlace,
}

/// The numbering of a document, and how far it has come.
#[derive(Debug, Default)]
pub(super) struct Numbering {
    abstracts: HashMap<String, Levels>,
    /// Abstract lists that are another by its style, and the lists of such styles.
    links: HashMap<String, String>,
    linked: HashMap<String, String>,
    lists: HashMap<String, List>,
    styles: HashMap<String, Style>,
    /// By abstract list.
    counts: HashMap<String, [Option<u32>; LEVELS]>,
    /// Lists whose own start was used.
    started: HashMap<(String, usize), ()>,
}

/// Where the reader is in `numbering.xml`.
#[derive(Default)]
struct NumberingPlace {
    of_abstract: Option<String>,
    of_list: Option<String>,
    level: Option<(usize, ListLevel)>,
    /// The level whose start a list overrides.
    overridden: Option<usize>,
}

impl Numbering {
    /// Reads `numbering.xml` and `styles.xml`, as far as they can be read.
    pub(super) fn read(numbering: &str, styles: &str) -> Self {
        let mut read = Self::default();
        let mut place = NumberingPlace::default();
        each(numbering, |event| match event {
            Event::Start(element) => read.open(&mut place, element),
            Event::Empty(element) => {
                read.open(&mut place, element);
                read.close(&mut place, local(element));
            }
            Event::End(element) => read.close(&mut place, name(element.as_ref())),
            _ => {}
        });
        read.read_styles(styles);
        read
    }

    fn open(&mut self, place: &mut NumberingPlace, element: &BytesStart<'_>) {
        let text = || value(element, "val");
        let number = || text().and_then(|text| text.trim().parse::<u32>().ok());
        match (local(element), &mut place.level) {
            ("abstractNum", _) => place.of_abstract = value(element, "abstractNumId"),
            ("num", _) => place.of_list = value(element, "numId"),
            ("abstractNumId", _) => {
                if let (Some(list), Some(of)) = (&place.of_list, text()) {
                    self.lists.entry(list.clone()).or_default().of = of;
                }
            }
            ("numStyleLink", _) => {
                if let (Some(of), Some(style)) = (&place.of_abstract, text()) {
                    self.links.insert(of.clone(), style);
                }
            }
            ("styleLink", _) => {
                if let (Some(of), Some(style)) = (&place.of_abstract, text()) {
                    self.linked.insert(style, of.clone());
                }
            }
            ("lvlOverride", _) => place.overridden = level_of(element),
            ("startOverride", _) => {
                if let (Some(list), Some(at), Some(start)) = (&place.of_list, place.overridden, number()) {
                    self.lists.entry(list.clone()).or_default().starts.insert(at, start);
                }
            }
            ("lvl", level) => *level = level_of(element).map(|at| (at, ListLevel::default())),
            (name, Some((_, level))) => match name {
                "start" => level.start = number().unwrap_or(1),
                "numFmt" => level.format = text().unwrap_or_default(),
                "lvlText" => level.text = text().unwrap_or_default(),
                "isLgl" => level.is_legal = is_on(element),
                "lvlRestart" => level.restart = number().map(|number| number as usize),
                "pStyle" => level.style = text(),
                _ => {}
            },
            _ => {}
        }
    }

    fn close(&mut self, place: &mut NumberingPlace, name: &str) {
        match name {
            "lvl" => {
                let Some((at, level)) = place.level.take() else { return };
                if let Some(list) = &place.of_list {
                    self.lists.entry(list.clone()).or_default().levels.insert(at, level);
                } else if let Some(of) = &place.of_abstract {
                    self.abstracts.entry(of.clone()).or_default().insert(at, level);
                }
            }
            "lvlOverride" => place.overridden = None,
            "abstractNum" => place.of_abstract = None,
            "num" => place.of_list = None,
            _ => {}
        }
    }

    fn read_styles(&mut self, xml: &str) {
        let mut open: Option<(String, Style)> = None;
        let styles = &mut self.styles;
        each(xml, |event| match event {
            Event::Start(element) | Event::Empty(element) => match (local(element), &mut open) {
                ("style", open) => *open = value(element, "styleId").map(|id| (id, Style::default())),
                ("basedOn", Some((_, style))) => style.base = value(element, "val"),
                ("numId", Some((_, style))) => style.place.list = value(element, "val"),
                ("ilvl", Some((_, style))) => style.place.level = level(value(element, "val")),
                _ => {}
            },
            Event::End(element) if name(element.as_ref()) == "style" => {
                styles.extend(open.take());
            }
            _ => {}
        });
    }

    /// The next number of a paragraph, such as `3.1` or `第三条`. `Some("-")` for a bullet, `None` where there is none.
    pub(super) fn next(&mut self, own: &ListPlace, style: Option<&str>) -> Option<String> {
        let (list, at) = self.place(own, style)?;
        let list = self.lists.get(&list).cloned().map(|found| (list, found));
        // A list that is not described has items all the same.
        let Some((id, list)) = list else { return Some("-".into()) };
        let of = self.described(&list.of);
        let levels = self.abstracts.get(&of).cloned().unwrap_or_default();
        let level = |at: usize| list.levels.get(&at).or_else(|| levels.get(&at)).cloned().unwrap_or_default();
        let own = level(at);
        let counts = self.counts.entry(of).or_default();
        let overridden = list.starts.get(&at).filter(|_| self.started.insert((id, at), ()).is_none());
        let next = match (overridden, counts[at]) {
            (Some(start), _) => *start,
            (None, Some(count)) => count.saturating_add(1),
            (None, None) => list.starts.get(&at).copied().unwrap_or(own.start),
        };
        counts[at] = Some(next);
        for (deeper, count) in counts.iter_mut().enumerate().skip(at + 1) {
            // With `lvlRestart` 0 it goes on for ever.
            if level(deeper).restart.is_none_or(|after| after > at) {
                *count = None;
            }
        }
        if own.format == "bullet" {
            return Some("-".into());
        }
        let number = |at: usize| counts[at].unwrap_or_else(|| level(at).start);
        let format = |at: usize| if own.is_legal { "decimal".to_string() } else { level(at).format };
        let text = filled(&own.text, |at| written(number(at), &format(at)));
        (!text.trim().is_empty()).then(|| text.trim().to_string())
    }

    /// The list of a paragraph and its level there: its own, or those of its style.
    fn place(&self, own: &ListPlace, style: Option<&str>) -> Option<(String, usize)> {
        let mut found = own.clone();
        let mut next = style.map(String::from);
        for _ in 0..MOST_BASES {
            let Some((id, style)) = next.as_ref().and_then(|id| self.styles.get_key_value(id)) else { break };
            if found.list.is_none() && style.place.list.is_some() {
                found.list.clone_from(&style.place.list);
                found.level =
                    found.level.or(style.place.level).or_else(|| self.level_of_style(found.list.as_ref()?, id));
            }
            next.clone_from(&style.base);
        }
        let list = found.list.filter(|list| list != "0")?;
        Some((list, found.level.unwrap_or(0)))
    }

    /// The level that names a style as its own.
    fn level_of_style(&self, list: &str, style: &str) -> Option<usize> {
        let levels = self.abstracts.get(&self.described(&self.lists.get(list)?.of))?;
        levels.iter().find(|(_, level)| level.style.as_deref() == Some(style)).map(|(at, _)| *at)
    }

    /// The abstract list that has the levels: another, where it is linked to a style.
    fn described(&self, of: &str) -> String {
        let other = self.links.get(of).and_then(|style| self.linked.get(style));
        other.map_or_else(|| of.to_string(), String::clone)
    }
}

/// Calls `see` for each event up to the end, or a damaged place.
fn each(xml: &str, mut see: impl FnMut(&Event<'_>)) {
    let mut reader = Reader::from_str(xml);
    reader.config_mut().check_end_names = false;
    reader.config_mut().allow_unmatched_ends = true;
    loop {
        match reader.read_event() {
            Ok(Event::Eof) | Err(_) => return,
            Ok(event) => see(&event),
        }
    }
}

fn level_of(element: &BytesStart<'_>) -> Option<usize> {
    level(value(element, "ilvl"))
}

pub(super) fn level(text: Option<String>) -> Option<usize> {
    text?.trim().parse().ok().filter(|level| *level < LEVELS)
}

/// The text of a level with its numbers.
fn filled(text: &str, number: impl Fn(usize) -> String) -> String {
    let mut filled = String::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match (letter, letters.peek().and_then(|digit| digit.to_digit(10))) {
            ('%', Some(digit @ 1..=9)) => {
                letters.next();
                filled.push_str(&number(digit as usize - 1));
            }
            _ => filled.push(letter),
        }
    }
    filled
}

/// A number in a format of 17.18.59; in digits for formats that are not known.
fn written(number: u32, format: &str) -> String {
    match format {
        "none" => String::new(),
        "decimalZero" => format!("{number:02}"),
        "lowerLetter" => letters(number, b'a'),
        "upperLetter" => letters(number, b'A'),
        "lowerRoman" => roman(number).to_lowercase(),
        "upperRoman" => roman(number),
        "chineseCounting"
        | "chineseCountingThousand"
        | "taiwaneseCounting"
        | "taiwaneseCountingThousand"
        | "japaneseCounting"
        | "ideographDigital" => {
            han(number, &["", "一", "二", "三", "四", "五", "六", "七", "八", "九"], ["十", "百", "千"])
        }
        "chineseLegalSimplified" => {
            han(number, &["", "壹", "贰", "叁", "肆", "伍", "陆", "柒", "捌", "玖"], ["拾", "佰", "仟"])
        }
        "ideographLegalTraditional" | "japaneseLegal" => {
            han(number, &["", "壹", "貳", "參", "肆", "伍", "陸", "柒", "捌", "玖"], ["拾", "佰", "仟"])
        }
        "decimalFullWidth" | "decimalFullWidth2" => {
            number.to_string().chars().filter_map(|digit| char::from_u32(u32::from(digit) + 0xfee0)).collect()
        }
        "decimalEnclosedCircle" | "decimalEnclosedCircleChinese" if (1..=20).contains(&number) => {
            char::from_u32(0x245f + number).map(String::from).unwrap_or_default()
        }
        _ => number.to_string(),
    }
}

/// `a` to `z`, then `aa`, `bb`.
fn letters(number: u32, first: u8) -> String {
    let Some(zero_based) = number.checked_sub(1) else { return String::new() };
    let letter = char::from(first + (zero_based % 26) as u8);
    std::iter::repeat_n(letter, (zero_based / 26 + 1).min(30) as usize).collect()
}

fn roman(number: u32) -> String {
    const VALUES: [(u32, &str); 13] = [
        (1000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    if number >= 4000 {
        return number.to_string();
    }
    let mut left = number;
    let mut roman = String::new();
    for (value, letters) in VALUES {
        while left >= value {
            roman.push_str(letters);
            left -= value;
        }
    }
    roman
}

/// A number below ten thousand in Chinese numerals: 十二, 一百零五.
fn han(number: u32, digits: &[&str; 10], units: [&str; 3]) -> String {
    if number == 0 || number > 9999 {
        return number.to_string();
    }
    let mut text = String::new();
    let mut gap = false;
    for place in (0..4usize).rev() {
        let digit = (number / 10u32.pow(place as u32) % 10) as usize;
        if digit == 0 {
            gap = !text.is_empty();
            continue;
        }
        if std::mem::take(&mut gap) {
            text.push('零');
        }
        // Ten to nineteen have no one before the ten.
        if !(place == 1 && digit == 1 && number < 20) {
            text.push_str(digits[digit]);
        }
        if place > 0 {
            text.push_str(units[place - 1]);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(at: usize, format: &str, text: &str, more: &str) -> String {
        format!(
            "<w:lvl w:ilvl=\"{at}\"><w:start w:val=\"1\"/><w:numFmt w:val=\"{format}\"/><w:lvlText w:val=\"{text}\"/>{more}</w:lvl>"
        )
    }

    fn numbering(levels: &[String], lists: &str) -> String {
        format!(
            "<w:numbering><w:abstractNum w:abstractNumId=\"7\">{}</w:abstractNum>{lists}</w:numbering>",
            levels.concat()
        )
    }

    fn list(id: &str, more: &str) -> String {
        format!("<w:num w:numId=\"{id}\"><w:abstractNumId w:val=\"7\"/>{more}</w:num>")
    }

    fn numbers(numbering: &mut Numbering, items: &[(&str, usize)]) -> Vec<String> {
        let place = |(list, level): &(&str, usize)| ListPlace { list: Some(list.to_string()), level: Some(*level) };
        items.iter().map(|item| numbering.next(&place(item), None).unwrap_or_default()).collect()
    }

    #[test]
    fn levels_count_and_start_again() {
        let levels =
            [level(0, "decimal", "%1.", ""), level(1, "decimal", "%1.%2", ""), level(2, "lowerLetter", "(%3)", "")];
        let xml = numbering(&levels, &list("1", ""));
        let items = [("1", 0), ("1", 1), ("1", 1), ("1", 2), ("1", 2), ("1", 0), ("1", 1), ("1", 2)];
        let found = numbers(&mut Numbering::read(&xml, ""), &items);
        assert_eq!(found, ["1.", "1.1", "1.2", "(a)", "(b)", "2.", "2.1", "(a)"]);
        // A level whose parent has no item yet.
        assert_eq!(numbers(&mut Numbering::read(&xml, ""), &[("1", 1)]), ["1.1"]);
    }

    #[test]
    fn a_list_may_start_elsewhere_and_share_its_count() {
        let levels = [level(0, "chineseCountingThousand", "第%1条", ""), level(1, "decimal", "%1.%2", "<w:isLgl/>")];
        let own = "<w:lvlOverride w:ilvl=\"0\"><w:startOverride w:val=\"12\"/></w:lvlOverride>";
        let xml = numbering(&levels, &(list("1", "") + &list("2", "") + &list("3", own)));
        let items = [("1", 0), ("2", 0), ("2", 1), ("3", 0), ("3", 0)];
        let found = numbers(&mut Numbering::read(&xml, ""), &items);
        assert_eq!(found, ["第一条", "第二条", "2.1", "第十二条", "第十三条"]);
    }

    #[test]
    fn styles_have_lists() {
        let levels = [
            level(0, "upperRoman", "ARTICLE %1", ""),
            level(1, "decimal", "%1.%2", "<w:isLgl/><w:pStyle w:val=\"H2\"/>"),
        ];
        let xml = numbering(&levels, &list("4", ""));
        let styles = "<w:styles><w:style w:styleId=\"H1\"><w:pPr><w:numPr><w:numId w:val=\"4\"/></w:numPr></w:pPr></w:style>\
                      <w:style w:styleId=\"H2\"><w:basedOn w:val=\"H1\"/><w:pPr><w:numPr><w:numId w:val=\"4\"/></w:numPr></w:pPr></w:style>\
                      <w:style w:styleId=\"Sub\"><w:basedOn w:val=\"H2\"/></w:style>\
                      <w:style w:styleId=\"Loop\"><w:basedOn w:val=\"Loop\"/></w:style></w:styles>";
        let mut read = Numbering::read(&xml, styles);
        let mut next = |style: &str| read.next(&ListPlace::default(), Some(style));
        let found = ["H1", "H2", "Sub", "H1", "Loop", "None"].map(|style| next(style).unwrap_or_default());
        assert_eq!(found, ["ARTICLE I", "1.1", "1.2", "ARTICLE II", "", ""]);
        let off = ListPlace { list: Some("0".into()), level: None };
        assert_eq!(read.next(&off, Some("H1")), None);
    }

    #[test]
    fn formats() {
        let check =
            |number: u32, format: &str, expected: &str| assert_eq!(written(number, format), expected, "{format}");
        check(3, "decimal", "3");
        check(3, "decimalZero", "03");
        check(28, "lowerLetter", "bb");
        check(1994, "upperRoman", "MCMXCIV");
        check(10, "chineseCounting", "十");
        check(21, "chineseCounting", "二十一");
        check(105, "chineseCountingThousand", "一百零五");
        check(1010, "chineseCountingThousand", "一千零一十");
        check(12, "chineseLegalSimplified", "拾贰");
        check(12, "decimalFullWidth", "１２");
        check(12, "decimalEnclosedCircle", "⑫");
        check(7, "unheardOf", "7");
        check(0, "lowerLetter", "");
        check(u32::MAX, "upperRoman", "4294967295");
    }

    #[test]
    fn bullets_and_lists_that_are_not_described() {
        let xml = numbering(&[level(0, "bullet", "•", "")], &list("1", ""));
        assert_eq!(numbers(&mut Numbering::read(&xml, ""), &[("1", 0), ("9", 0)]), ["-", "-"]);
        assert_eq!(numbers(&mut Numbering::read("<<<", ">"), &[("1", 0)]), ["-"]);
    }
}
