//! A PDF to text, in this process.

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
                push(&mut text, &page.plain_text());
            }
            ParseEvent::PageFailed { error, .. } => {
                pages += 1;
                failed.get_or_insert_with(|| reason(&error));
            }
            ParseEvent::Progress { .. } | ParseEvent::DocumentEnd { .. } => return ControlFlow::Continue(()),
        }
        text.truncated |= pages == MAX_PAGES && all > MAX_PAGES;
        if text.truncated { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    if let Err(error) = streamed {
        failed.get_or_insert_with(|| reason(&error));
    }
    push(&mut text, &form);
    match failed {
        Some(reason) if text.body.is_empty() => Err(reason),
        // The readable part of a damaged document is better than nothing.
        _ => Ok(text),
    }
}

/// Adds a page, as far as there is room.
fn push(text: &mut Text, page: &str) {
    let page = tidy(page);
    if page.is_empty() || text.truncated {
        return;
    }
    if !text.body.is_empty() {
        text.body.push_str("\n\n");
    }
    let room = MAX_TEXT.saturating_sub(text.body.len());
    text.truncated = page.len() > room;
    text.body.push_str(&page[..page.floor_char_boundary(room)]);
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
        let mut text = Text::default();
        push(&mut text, &"é".repeat(MAX_TEXT));
        assert!(text.truncated);
        assert_eq!(text.body.len(), MAX_TEXT);
        push(&mut text, "more");
        assert_eq!(text.body.len(), MAX_TEXT);
    }
}
