//! Forwarded messages: removes the header block and keeps the content, which is what the message is about

use std::ops::Range;
use std::sync::LazyLock;

use super::headers::{self, HeaderBlock};
use super::history;
use super::lexicon::{
    self, lower,
    separators::{BEGIN_FORWARDED, FORWARDED, FORWARDED_BY},
};
use super::lines::{self, is_blank, is_quoted, trim, unquote, words};
use super::phrases::Phrases;

/// Notes such as "FYI". Outlook writes the same header block for replies and forwards; such a note tells that it is a
/// forward.
static COVER_NOTES: LazyLock<Phrases> = LazyLock::new(|| Phrases::new(lexicon::prose::COVER_NOTES.iter().copied()));

/// Lotus Notes puts a name, a date and nearly empty lines between its marker and the header fields
const MOST_LINES_TO_HEADER: usize = 6;

/// The parts of a forward
#[derive(Debug)]
pub(super) struct ForwardParts<'a> {
    /// The sender's text above it
    pub note: Vec<&'a str>,
    /// Marker and header fields
    pub header: String,
    /// The forwarded text, without the `>` marks if it had any
    pub content: Vec<&'a str>,
}

/// Splits a forward into its parts; `None` if the text is not a forward
pub(super) fn split<'a>(lines: &[&'a str]) -> Option<ForwardParts<'a>> {
    let marker = find(lines);
    let header = match marker {
        Some(marker) => header_from(lines, marker),
        None => covered(lines)?,
    };
    let note = lines[..header.start].to_vec();
    let inside = lines::next_nonblank(lines, header.start + 1);
    let quoted = marker.is_some() && (is_quoted(lines[header.start]) || inside.is_some_and(|i| is_quoted(lines[i])));
    if !quoted {
        let content = lines[header.end..].to_vec();
        return Some(ForwardParts { note, header: lines::join(&lines[header]), content });
    }
    let bare: Vec<&str> = lines[header.start..].iter().map(|line| unquote(line)).collect();
    let header = header_from(&bare, 0);
    let content = bare[header.end..].to_vec();
    Some(ForwardParts { note, header: lines::join(&bare[header]), content })
}

/// True if the text is only a note above a forward
pub(super) fn is_cover_note(own: &[&str]) -> bool {
    let own: Vec<&str> = own.iter().map(|line| trim(line)).filter(|line| !line.is_empty()).collect();
    own.len() <= 4
        && own.iter().map(|line| words(line)).sum::<usize>() <= 20
        && own.iter().any(|line| COVER_NOTES.are_in(&lower(line)))
}

/// The line of a forward marker that is not part of quoted history
fn find(lines: &[&str]) -> Option<usize> {
    let marker = lines.iter().position(|line| is_marker(unquote(line)))?;
    // Apple Mail marks what it forwards as quoted, so a quoted marker counts on the first line of a quotation.
    if is_quoted(lines[marker]) && marker > 0 && is_quoted(lines[marker - 1]) && !is_blank(unquote(lines[marker - 1])) {
        return None;
    }
    let history = history::start(&lines[..marker]);
    history.is_none().then_some(marker)
}

/// True for a line after which a forwarded message starts
pub(super) fn is_marker(line: &str) -> bool {
    if let Some(title) = history::titled(line) {
        // Lotus Notes: "Forwarded by Jane Doe/HOU on 01/05/2000 09:00 AM".
        return FORWARDED.contains(&title.as_str()) || FORWARDED_BY.iter().any(|start| title.starts_with(start));
    }
    let line = trim(line).trim_matches(['*', ' ']);
    let plain = line.strip_suffix([':', '：']).filter(|line| line.len() <= 100);
    plain.is_some_and(|line| BEGIN_FORWARDED.contains(&lower(line.trim_end()).as_str()))
}

/// The marker and the header fields below it
fn header_from(lines: &[&str], marker: usize) -> Range<usize> {
    let mut end = marker + 1;
    for i in marker + 1..lines.len().min(marker + 1 + MOST_LINES_TO_HEADER) {
        if let Some(block) = headers::block_at(lines, i).filter(HeaderBlock::is_likely) {
            end = block.lines.end;
            break;
        }
    }
    marker..end
}

/// A header block without a marker belongs to a forward if there is nothing or only a note above it
fn covered(lines: &[&str]) -> Option<Range<usize>> {
    let first = lines::next_nonblank(lines, 0)?;
    let start = (first..lines.len().min(first + 12)).find(|&i| {
        history::is_original_separator(lines[i])
            || headers::role(lines[i]).is_some() && headers::block_at(lines, i).is_some_and(|b| b.is_complete())
    })?;
    let own = &lines[first..start];
    let own: Vec<&str> = own.iter().copied().filter(|line| line.chars().any(char::is_alphanumeric)).collect();
    if !own.is_empty() && !is_cover_note(&own) {
        return None;
    }
    let field = if headers::role(lines[start]).is_some() { start } else { lines::next_nonblank(lines, start + 1)? };
    let end = headers::block_at(lines, field).filter(HeaderBlock::names_sender).map_or(start + 1, |b| b.lines.end);
    // Above marked quotations it belongs to a reply, which `history` handles.
    if lines::next_nonblank(lines, end).is_some_and(|i| is_quoted(lines[i])) {
        return None;
    }
    let rule = lines[first..start].iter().rposition(|line| !is_blank(line)).map(|i| first + i);
    let start = rule.filter(|&i| !lines[i].chars().any(char::is_alphanumeric)).unwrap_or(start);
    Some(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, note: &str, content: &str) {
        let lines = lines::split(text);
        let forward = split(&lines).unwrap();
        assert_eq!(
            (lines::join(&forward.note).as_str(), lines::join(&forward.content).as_str()),
            (note, content),
            "{text}"
        );
    }

    #[test]
    #[rustfmt::skip]
    fn the_header_goes_and_the_content_stays() {
        let fields = "From: Bob <b@example.com>\nDate: Mon, 2 May 2016\nSubject: x\nTo: Ann";
        for marker in [
            "---------- Forwarded message ---------", "-----Weitergeleitete Nachricht-----",
            "---------- 转发的邮件 ---------", "Begin forwarded message:", "-------- Message transféré --------",
        ] {
            check(&format!("Look:\n\n{marker}\n{fields}\n\nThe news."), "Look:", "The news.");
        }
        check("---------------------- Forwarded by Ann/HOU on 01/05/2000 09:00 AM ---------------------------\n\n\nFrom: Bob\nTo: Ann\nSubject: x\n\nThe news.", "", "The news.");
        check("---- 转发的邮件 ----\n| 发件人 | 李四<li@example.com> |\n| 日期 | 2024年06月11日 09:12 |\n| 主题 | x |\n\nThe news.", "", "The news.");
        check("Look:\n\n---- Forwarded Message ----\nFrom\nBob<b@example.com>\nDate\n06/11/2024 09:12\nSubject\nx\nThe news.", "Look:", "The news.");
        check("FYI\n\nFrom: Bob\nSent: Monday\nTo: Ann\nSubject: x\n\nThe news.", "FYI", "The news.");
        check("From: Bob\nSent: Monday\nTo: Ann\nSubject: x\n\nThe news.", "", "The news.");
        check("Look.\n\nBegin forwarded message:\n\n> From: Bob\n> Subject: x\n>\n> The news.", "Look.", "The news.");
    }

    #[test]
    fn answers_are_no_forwards() {
        for text in [
            "Yes, at nine.\n\nFrom: Bob\nSent: Monday\nTo: Ann\nSubject: x\n\nWhen?",
            "Yes.\n\nOn 3 May 2016 10:10, Bob <b@example.com> wrote:\n---------- Forwarded message ---------\nFrom: Bob\n\nThe news.",
            "-----Original Message-----\nFrom: Bob\n\n> When?\n\nAt nine.",
            "The message was forwarded.",
        ] {
            assert!(split(&lines::split(text)).is_none(), "{text}");
        }
    }
}
