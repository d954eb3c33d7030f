//! A PDF to text, in this process.

use std::collections::{BTreeSet, HashMap};
use std::ops::ControlFlow;

use unpdf::{Error, FieldValue, FormField, PageStreamOptions, ParseEvent, PdfParser};

use super::{MAX_TEXT, Text};
use crate::intake::sniff;

/// Only this many pages are read: a hundred times what a model sees by default.
const MAX_PAGES: u32 = 100;

/// The text of a PDF, page by page, and the contents of its form fields. The error is for the user.
///
/// Hostile bytes can make this panic, overflow the stack, or take any amount of time and memory.
pub(super) fn extract(bytes: &[u8]) -> Result<Text, String> {
    // Offsets in a PDF count from its first bytes, whatever precedes them.
    let parser =
        PdfParser::from_bytes(&bytes[sniff::find_pdf(bytes).unwrap_or(0)..]).map_err(|error| reason(&error))?;
    // Pages are not read in parallel, because other documents use the other cores.
    let options = PageStreamOptions { parallel: false, emit_progress_every: u32::MAX, ..PageStreamOptions::default() };
    let mut text = Text::default();
    let mut form = String::new();
    let mut read = Pages::default();
    let (mut pages, mut failed) = (0, None);
    let mut all = 0;
    let streamed = parser.for_each_page(options, |event| {
        match event {
            ParseEvent::DocumentStart { metadata, form_fields, page_count, .. } => {
                all = page_count;
                text.title = metadata.title;
                form = filled_in(&form_fields);
            }
            ParseEvent::PageParsed(page) => {
                pages += 1;
                read.push(&page.plain_text());
            }
            ParseEvent::PageFailed { error, .. } => {
                pages += 1;
                failed.get_or_insert_with(|| reason(&error));
            }
            ParseEvent::Progress { .. } | ParseEvent::DocumentEnd { .. } => return ControlFlow::Continue(()),
        }
        text.truncated |= read.is_full || (pages == MAX_PAGES && all > MAX_PAGES);
        if text.truncated { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    if let Err(error) = streamed {
        failed.get_or_insert_with(|| reason(&error));
    }
    read.push(&form);
    text.truncated |= read.is_full;
    text.body = read.joined();
    match failed {
        Some(reason) if text.body.is_empty() => Err(reason),
        // The readable part of a damaged document is better than nothing.
        _ => Ok(text),
    }
}

/// The pages so far.
#[derive(Default)]
struct Pages {
    texts: Vec<String>,
    length: usize,
    /// True if a page did not fit any more.
    is_full: bool,
}

/// Lines at the top or bottom of a page that may be a running head or foot.
const MARGIN: usize = 3;
/// So many pages must have such a line.
const FEWEST: usize = 3;

impl Pages {
    /// Adds a page, as far as there is room.
    fn push(&mut self, page: &str) {
        let mut page = tidy(page);
        if page.is_empty() || self.is_full {
            return;
        }
        let room = MAX_TEXT.saturating_sub(self.length);
        self.is_full = page.len() > room;
        page.truncate(page.floor_char_boundary(room));
        self.length += page.len() + 2;
        self.texts.push(page);
    }

    /// The text of all pages, without lines that stand at the same end of most pages: titles and page numbers.
    fn joined(&self) -> String {
        let mut counts: HashMap<String, usize> = HashMap::new();
        for page in &self.texts {
            let lines: BTreeSet<String> = margin(page).map(|(_, line)| masked(line)).collect();
            lines.into_iter().for_each(|line| *counts.entry(line).or_default() += 1);
        }
        let most = FEWEST.max(self.texts.len() / 2 + 1);
        let is_running = |line: &str| counts.get(&masked(line)).is_some_and(|count| *count >= most);
        let pages = self.texts.iter().map(|page| {
            let mut running: BTreeSet<usize> =
                margin(page).filter(|(_, line)| is_running(line)).map(|(at, _)| at).collect();
            // A page that has nothing else has a text that is repeated.
            if page.lines().enumerate().all(|(at, line)| line.trim().is_empty() || running.contains(&at)) {
                running.clear();
            }
            let kept = page.lines().enumerate().filter(|(at, _)| !running.contains(at)).map(|(_, line)| line);
            kept.collect::<Vec<_>>().join("\n").trim().to_string()
        });
        pages.filter(|page| !page.is_empty()).collect::<Vec<_>>().join("\n\n")
    }
}

/// The first and the last lines of a page that are not blank, with their places.
fn margin(page: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines: Vec<(usize, &str)> = page.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).collect();
    let end = lines.len().saturating_sub(MARGIN).max(MARGIN);
    lines.into_iter().enumerate().filter(move |(at, _)| *at < MARGIN || *at >= end).map(|(_, line)| line)
}

/// A line with one sign for all numbers: `Page 3 of 12` is the same on every page.
fn masked(line: &str) -> String {
    let mut masked = String::new();
    for letter in line.trim().chars() {
        if !letter.is_ascii_digit() {
            masked.push(letter);
        } else if !masked.ends_with('#') {
            masked.push('#');
        }
    }
    masked
}

/// The values of form fields; their names are for programs.
fn filled_in(fields: &[FormField]) -> String {
    let mut text = String::new();
    for field in fields {
        match &field.value {
            Some(FieldValue::Text(value) | FieldValue::Choice(value)) => text.extend([value, "\n"]),
            Some(FieldValue::Choices(values)) => text.extend([&values.join(", "), "\n"]),
            Some(FieldValue::Boolean(_)) | None => {}
        }
        if text.len() > MAX_TEXT {
            break;
        }
    }
    text
}

/// Normalises the words: without ligatures, soft hyphens, hyphens at line ends and private-use characters, separated
/// by single blanks.
fn tidy(page: &str) -> String {
    let mut out = String::with_capacity(page.len());
    let mut rest = page.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\u{ad}' => {}
            '\u{2010}' if out.ends_with(char::is_lowercase) && is_broken_word(rest.clone()) => {
                while rest.next_if(|c| c.is_whitespace()).is_some() {}
            }
            '\n' => out.push('\n'),
            '\u{e000}'..='\u{f8ff}' | '\u{fffd}' | ' ' | '\u{a0}' => blank(&mut out),
            '\t' => out.push('\t'),
            _ if c.is_control() => {}
            _ => match ligature(c) {
                Some(letters) => out.push_str(letters),
                None => out.push(c),
            },
        }
    }
    out.trim().to_string()
}

fn blank(out: &mut String) {
    if !out.ends_with([' ', '\n', '\t']) {
        out.push(' ');
    }
}

/// True for white space and a small letter after a hyphen, where a line or column ended inside a word, unless the
/// hyphen stands for a shared ending ("Vor- und Nachteil").
fn is_broken_word(after: impl Iterator<Item = char>) -> bool {
    let after: String = after.take(8).collect();
    let next = after.trim_start();
    let shares = ["und ", "oder ", "bis ", "and ", "or ", "to "].iter().any(|word| next.starts_with(word));
    next.len() < after.len() && next.starts_with(char::is_lowercase) && !shares
}

fn ligature(c: char) -> Option<&'static str> {
    Some(match c {
        '\u{fb00}' => "ff",
        '\u{fb01}' => "fi",
        '\u{fb02}' => "fl",
        '\u{fb03}' => "ffi",
        '\u{fb04}' => "ffl",
        '\u{fb05}' | '\u{fb06}' => "st",
        _ => return None,
    })
}

/// The error message for the user.
fn reason(error: &Error) -> String {
    match error {
        Error::Encrypted | Error::InvalidPassword => "the PDF is encrypted".into(),
        Error::UnknownFormat => "the file is no PDF".into(),
        _ => "the PDF is damaged".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_made_whole() {
        assert_eq!(tidy("e\u{fb03}cient  Son\u{2010} nenhang\u{ad}"), "efficient Sonnenhang");
        assert_eq!(
            tidy("Nord\u{2010} Süd, Vor\u{2010} und Nachteil wo\u{2010}\n\nmit"),
            "Nord\u{2010} Süd, Vor\u{2010} und Nachteil womit"
        );
        assert_eq!(tidy(" \u{f0b7} item\u{0}\n\u{fffd}x\ta "), "item\nx\ta");
    }

    #[test]
    fn what_is_no_pdf_says_so() {
        assert!(extract(b"").is_err());
        assert_eq!(extract(b"%PDF-1.7\n%%EOF").unwrap_err(), "the PDF is damaged");
    }

    #[test]
    fn a_long_text_is_cut() {
        let mut pages = Pages::default();
        pages.push(&"é".repeat(MAX_TEXT));
        assert!(pages.is_full);
        pages.push("more");
        assert_eq!(pages.joined().len(), MAX_TEXT);
    }

    #[test]
    fn running_heads_and_page_numbers_are_no_text() {
        let mut pages = Pages::default();
        for (page, text) in ["1. Fees are due.", "2. Support is free.", "3. The end.\n3"].iter().enumerate() {
            pages.push(&format!("Service Agreement\n\n{text}\n\nPage {} of 3", page + 1));
        }
        assert_eq!(pages.joined(), "1. Fees are due.\n\n2. Support is free.\n\n3. The end.\n3");
        let mut pages = Pages::default();
        ["Letter\na", "Letter\nb"].iter().for_each(|page| pages.push(page));
        assert_eq!(pages.joined(), "Letter\na\n\nLetter\nb");
    }
}
