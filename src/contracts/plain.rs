//! The visible text of a contract, with a way back to the bytes of the input
//!
//! Everything that matches text (markers, citations, values) reads the visible text: markup is gone, quotes, dashes
//! and full-width characters are folded to one form. Each stretch of it remembers where it came from, so every result
//! can be reported as bytes of the text that the caller gave.

use std::ops::Range;

use super::lexicon::is_unspaced;
use super::markup;

/// Columns from which a line without a full stop is taken to go on.
const LONG_LINE: usize = 56;
/// The same, if the next line begins with a small letter.
const SHORT_LINE: usize = 30;

/// A stretch of visible text and its origin.
#[derive(Debug, Clone)]
struct TextRun {
    plain: usize,
    raw: usize,
    plain_len: usize,
    raw_len: usize,
    /// The bytes are copied one to one. Otherwise the run cannot be divided.
    copied: bool,
}

/// A line of visible text. Blank lines are not kept.
#[derive(Debug, Clone)]
pub(super) struct Line {
    /// Bytes of the visible text, without the blanks at both ends.
    pub start: usize,
    pub end: usize,
    /// Columns before the first character; a tab counts four.
    pub indent: usize,
    /// Level of a Markdown heading, 0 for none.
    pub heading: u8,
    /// The line begins an item of a bulleted list.
    pub bullet: bool,
    /// A blank line, or the start of the text, precedes.
    pub after_blank: bool,
    /// The line stood in bold type from end to end.
    pub bold: bool,
}

/// The visible text of a document.
#[derive(Debug, Clone, Default)]
pub(super) struct Plain {
    pub text: String,
    pub lines: Vec<Line>,
    runs: Vec<TextRun>,
}

impl Plain {
    /// Reads plain text or Markdown.
    pub(super) fn read(raw: &str) -> Plain {
        let mut plain = Plain { text: String::with_capacity(raw.len()), ..Plain::default() };
        let mut after_blank = true;
        for line in markup::lines(raw) {
            let start = plain.text.len();
            let style = markup::write_visible(&line, &mut |text, from| plain.push(text, from));
            let visible = &plain.text[start..];
            let trimmed = visible.trim();
            if trimmed.is_empty() || markup::is_rule(trimmed) {
                plain.text.truncate(start);
                while plain.runs.pop_if(|run| run.plain >= start).is_some() {}
                after_blank = true;
                continue;
            }
            let lead = visible.len() - visible.trim_start().len();
            let end = start + lead + trimmed.len();
            plain.lines.push(Line {
                start: start + lead,
                end,
                indent: style.indent,
                heading: style.heading,
                bullet: style.bullet,
                after_blank,
                bold: style.bold,
            });
            plain.push("\n", line.end..line.end);
            after_blank = false;
        }
        plain
    }

    /// Appends visible text that stands for these bytes of the input.
    fn push(&mut self, text: &str, raw: Range<usize>) {
        let copied = text.len() == raw.len();
        if let Some(last) = self.runs.last_mut()
            && copied
            && last.copied
            && last.raw + last.raw_len == raw.start
        {
            last.plain_len += text.len();
            last.raw_len += raw.len();
        } else {
            let run =
                TextRun { plain: self.text.len(), raw: raw.start, plain_len: text.len(), raw_len: raw.len(), copied };
            self.runs.push(run);
        }
        self.text.push_str(text);
    }

    /// The bytes of the input behind these bytes of the visible text.
    pub(super) fn raw(&self, range: Range<usize>) -> Range<usize> {
        let start = self.raw_at(range.start, false);
        if range.end <= range.start {
            return start..start;
        }
        start..self.raw_at(range.end, true).max(start)
    }

    fn raw_at(&self, at: usize, is_end: bool) -> usize {
        let before = self.runs.partition_point(|run| if is_end { run.plain < at } else { run.plain <= at });
        let Some(run) = before.checked_sub(1).and_then(|i| self.runs.get(i)) else {
            return self.runs.first().map_or(0, |run| run.raw);
        };
        if run.copied {
            run.raw + (at - run.plain).min(run.raw_len)
        } else if is_end {
            run.raw + run.raw_len
        } else {
            run.raw
        }
    }

    /// True if the sentence of a line goes on in the next one: text that was broken to a width.
    pub(super) fn wraps(&self, line: usize) -> bool {
        let (Some(this), Some(next)) = (self.lines.get(line), self.lines.get(line + 1)) else { return false };
        if next.after_blank || next.bullet || next.heading > 0 || this.heading > 0 {
            return false;
        }
        let (text, after) = (self.get(this.start..this.end), self.get(next.start..next.end));
        let width: usize = text.chars().map(|c| if is_unspaced(c) { 2 } else { 1 }).sum();
        if text.ends_with(['.', ';', ':', '。', '!', '?']) {
            return false;
        }
        let is_lower = after.starts_with(char::is_lowercase);
        width + this.indent >= if is_lower { SHORT_LINE } else { LONG_LINE }
    }

    /// A part of the visible text; empty if the range is none of it.
    pub(super) fn get(&self, range: Range<usize>) -> &str {
        self.text.get(range).unwrap_or_default()
    }
}

/// The range without blanks at its ends.
pub(super) fn trim(plain: &Plain, range: Range<usize>) -> Range<usize> {
    let text = plain.get(range.clone());
    let start = range.start + (text.len() - text.trim_start().len());
    start..start + text.trim().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_goes_and_offsets_stay() {
        let raw = "## 第七条　<span class=\"x\">Fees</span> are **５％** of “net”";
        let plain = Plain::read(raw);
        assert_eq!(plain.text, "第七条 Fees are 5% of \"net\"\n");
        for (needle, source) in [("Fees", "Fees"), ("5%", "５％"), ("\"net\"", "“net”"), ("第七条", "第七条")]
        {
            let at = plain.text.find(needle).unwrap_or_default();
            assert_eq!(&raw[plain.raw(at..at + needle.len())], source);
        }
        assert_eq!(plain.lines[0].heading, 2);
    }

    #[test]
    fn any_input_is_read() {
        for raw in ["", "\0", "\n\n", "<", "<!--", "---\n", "[](", "\\", "e\u{301}\u{301}", "&", "**", "<a", "\u{301}"]
        {
            let plain = Plain::read(raw);
            let all = plain.raw(0..plain.text.len());
            assert!(all.end <= raw.len(), "{raw:?}");
        }
    }
}
