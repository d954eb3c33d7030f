//! The text of a decoded text or page as its reader sees it, before cleaning.

use std::sync::LazyLock;

use regex::bytes::Regex;

use super::clean::{Step, Switches};
use super::{byte_pattern, data, html, lines, one_line, sniff};
use crate::charset::{self, DecodedText, Doubt};
use crate::record::Removed;

/// A text as its reader sees it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Visible {
    /// The text.
    pub text: String,
    /// What was removed so far: quote containers and hidden elements of HTML, data.
    pub removed: Vec<Removed>,
    /// Names of files that were inside the text.
    pub files: Vec<String>,
    /// True if the text had an encrypted block.
    pub encrypted: bool,
    /// True if a part was longer than the limit.
    pub cut: bool,
    /// Why the charset of a part that declares none is in doubt.
    pub doubt: Option<Doubt>,
}

impl Visible {
    /// Appends another part as its own paragraph.
    pub(super) fn push(&mut self, other: Visible) {
        self.removed.extend(other.removed);
        self.files.extend(other.files);
        self.encrypted |= other.encrypted;
        self.cut |= other.cut;
        self.doubt = self.doubt.take().or(other.doubt);
        self.push_text(&other.text);
    }

    /// Appends a paragraph.
    pub(super) fn push_text(&mut self, text: &str) {
        if text.trim().is_empty() {
            return;
        }
        if !self.text.is_empty() {
            self.text.push_str("\n\n");
        }
        self.text.push_str(text);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.trim().is_empty()
    }
}

/// Decodes a page: by a byte order mark, else by a `<meta>` declaration near the start, else as any text.
pub fn decode_html(bytes: &[u8]) -> String {
    charset::decode_declared(declared_by(bytes), bytes)
}

/// The charset that a page declares.
pub(super) fn declared_by(bytes: &[u8]) -> Option<&str> {
    static META: LazyLock<Regex> =
        LazyLock::new(|| byte_pattern(r#"(?i)<meta[^>]{0,200}charset\s*=\s*["']?\s*([a-z0-9_:.-]{2,40})"#));
    let declared = META.captures(&bytes[..bytes.len().min(2048)]).and_then(|found| found.get(1));
    declared
        .and_then(|name| std::str::from_utf8(name.as_bytes()).ok())
        // A declaration that is readable byte by byte is not in UTF-16.
        .filter(|name| !name.to_ascii_lowercase().starts_with("utf-16"))
}

/// Renders the pages of one document, which share a layout budget.
pub(super) struct Rendering<'s> {
    switches: &'s Switches,
    budget: html::LayoutBudget,
}

impl<'s> Rendering<'s> {
    pub(super) fn new(switches: &'s Switches) -> Self {
        Self { switches, budget: html::LayoutBudget::default() }
    }

    /// A page as its reader sees it, or its source if HTML is kept.
    pub(super) fn page(&mut self, source: &str) -> Visible {
        // Decided before anything is cut.
        if !self.switches.html || sniff::is_noise(source) {
            return text(source.to_string());
        }
        let mut rendered = html::to_text_within(source, self.switches.quotes, &mut self.budget);
        let mut visible = without_data(std::mem::take(&mut rendered.text));
        if visible.is_empty() && !rendered.quoted.is_empty() {
            // There was only data beside the quote.
            rendered = html::to_text_within(source, false, &mut self.budget);
            visible = without_data(std::mem::take(&mut rendered.text));
        }
        let quoted = rendered.quoted.into_iter().map(|text| Removed { step: Step::Quotes.name(), text });
        let hidden = rendered.hidden.into_iter().map(|text| Removed { step: html::STEP, text });
        visible.removed.extend(quoted.chain(hidden));
        visible
    }
}

/// A text that declares no charset, without data.
pub(super) fn undeclared(bytes: &[u8]) -> Visible {
    let DecodedText { text: decoded, doubt } = charset::read(None, bytes);
    Visible { doubt, ..text(decoded) }
}

/// A text without data. If bytes are not text at all, everything is removed.
pub(super) fn text(text: String) -> Visible {
    if sniff::is_noise(&text) {
        return Visible { removed: vec![Removed { step: data::STEP, text }], ..Visible::default() };
    }
    // The lines of old Macs, also in mail whose headers end otherwise.
    let text = if lines::end_in_cr(text.as_bytes()) { text.replace('\r', "\n") } else { text };
    without_data(text)
}

fn without_data(text: String) -> Visible {
    let parted = data::part(text);
    let encrypted = parted.blocks.iter().any(|block| block.encrypted);
    let mut visible = Visible { text: parted.text, encrypted, ..Visible::default() };
    for block in parted.blocks {
        visible.files.extend(block.name.map(|name| one_line(&name)).filter(|name| !name.is_empty()));
        visible.removed.push(Removed { step: data::STEP, text: block.text });
    }
    visible
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_what_it_hides_and_quotes() {
        let source = "<div style='display:none'>Preview text</div><p>Yes.</p><div class=gmail_quote>When?</div>";
        let seen = Rendering::new(&Switches::default()).page(source);
        let removed: Vec<_> = seen.removed.iter().map(|cut| (cut.step, cut.text.as_str())).collect();
        assert_eq!((seen.text.trim(), removed), ("Yes.", vec![("quotes", "When?"), ("html", "Preview text")]));
        let kept = Rendering::new(&Switches { html: false, ..Switches::default() }).page(source);
        assert_eq!((kept.text.as_str(), kept.removed.len()), (source, 0));
    }

    #[test]
    fn compressed_bytes_are_no_text() {
        let noise: String = (0..2000u32).map(|at| char::from((at.wrapping_mul(2_654_435_761) >> 24) as u8)).collect();
        assert!(text(noise).is_empty());
        assert!(!text("\u{1b}$B%F%9%H\u{1b}(B ok\r\n\x0cnext page".into()).is_empty());
    }

    #[test]
    fn pages_are_decoded_as_they_declare() {
        let page = "<html><head><meta charset=\"koi8-r\"></head><p>Привет</p>";
        assert_eq!(decode_html(&encoding_rs::KOI8_R.encode(page).0), page);
        let page = "<meta charset=utf-16><p>meeting tomorrow</p>";
        assert_eq!(decode_html(page.as_bytes()), page);
        let wrong = "<meta charset=\"ascii-of-sorts\"><p>grün</p>";
        assert_eq!(decode_html(wrong.as_bytes()), wrong);
    }
}
