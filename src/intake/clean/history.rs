//! Where quoted history without `>` starts: at separators such as "Original Message" and at header blocks

use std::ops::Range;

use super::attribution::{self, Strength};
use super::headers::{self, HeaderBlock};
use super::lexicon::{
    lower,
    separators::{ORIGINAL, REPLY_ABOVE},
};
use super::lines::{self, is_quoted, trim};

/// Lines tried as the start of a header block, which bounds the cost of a text that consists of such lines
const MOST_HEADERS: usize = 1_000;

/// Outlook's rule above a header has 32 underscores
const OUTLOOK_RULE: usize = 30;

/// The first line outside of marked quotations with an attribution, a separator or a header block. Forward markers
/// below it belong to the history.
pub(super) fn start(lines: &[&str]) -> Option<usize> {
    let marks = attribution::all(lines);
    let marked = marks.iter().find(|m| m.strength == Strength::Strong || attribution::is_marked(lines, m));
    let header = first_header(lines, 0).map(|h| h.start);
    marked.map(|m| m.lines.start).into_iter().chain(header).min()
}

/// True for a separator between a reply and the history below
pub(super) fn is_original_separator(line: &str) -> bool {
    titled(line).is_some_and(|title| ORIGINAL.contains(&title.as_str()))
}

/// True for the line above which a ticket system wants the reply: `##- Please type your reply above this line -##`,
/// whose rules are the same in every language, and others by their words
pub(super) fn is_reply_marker(line: &str) -> bool {
    /// Longer lines are prose that speaks of one
    const MOST_WORDS: usize = 14;
    let line = trim(line);
    // Words are looked for only where they may be: this is asked of every line.
    let may_be = is_ruled(line)
        || line.starts_with("##")
        || ["bove this line", "BOVE THIS LINE"].iter().any(|words| line.contains(words));
    if !may_be || line.len() > lines::LONGEST || lines::words(line) > MOST_WORDS {
        return false;
    }
    let line = line.trim_matches(['*', '_', ' ']);
    line.starts_with("##-") && line.ends_with("-##") || {
        let line = lower(line);
        REPLY_ABOVE.iter().any(|words| line.contains(words))
    }
}

/// The title between two rules (`----- Original Message -----`) or after one, in lower case
pub(super) fn titled(line: &str) -> Option<String> {
    let is_edge = |c: char| matches!(c, '-' | '_' | '=' | '*' | '|' | '>' | '<' | ':' | '.' | '#') || c.is_whitespace();
    if line.len() > 300 {
        return None;
    }
    let line = line.trim_matches(lines::is_direction_mark);
    let title = line.trim_matches(is_edge);
    (is_ruled(line) && !title.is_empty()).then(|| lower(title))
}

/// True for a line that starts with a rule
fn is_ruled(line: &str) -> bool {
    let start = line.trim_start_matches(['*', ' ', '|', '\u{a0}', '<']);
    ["--", "__", "=="].iter().any(|rule| start.starts_with(rule))
}

/// The first separator or certain header block at or after `from`, with the rule or the title between rules above it
pub(super) fn first_header(lines: &[&str], from: usize) -> Option<Range<usize>> {
    let may_begin = |&i: &usize| {
        let line = lines[i];
        line.len() <= lines::LONGEST
            && !is_quoted(line)
            && (is_original_separator(line)
                || headers::role(line).is_some()
                || headers::may_be_sender(line)
                || headers::is_cell(line)
                || is_reply_marker(line)
                || headers::columns_at(lines, i).is_some()
                || i > from && is_titled_rule(lines[i - 1]))
    };
    (from..lines.len()).filter(may_begin).take(MOST_HEADERS).find_map(|i| {
        if is_original_separator(lines[i]) {
            return Some(i..header_below(lines, i).map_or(i + 1, |b| b.lines.end));
        }
        if is_reply_marker(lines[i]) {
            return Some(i..i + 1);
        }
        if let Some(columns) = headers::columns_at(lines, i) {
            return Some(columns.start.max(from)..columns.end);
        }
        header_at(lines, i)
    })
}

/// True for header lines without a separator, a title or a rule above them, as people also write them in forms
pub(super) fn is_bare(lines: &[&str], header: &Range<usize>) -> bool {
    let first = lines[header.start];
    !is_original_separator(first)
        && (headers::role(first).is_some() || headers::may_be_sender(first) || headers::is_cell(first))
}

/// The header block that starts on this line, with what stands above it
fn header_at(lines: &[&str], at: usize) -> Option<Range<usize>> {
    let title = lines::last_nonblank(&lines[..at]).filter(|&i| at - i <= 2 && is_titled_rule(lines[i]));
    let start = title.unwrap_or_else(|| lines::rule_above(lines, at));
    let titled = title.is_some();
    // With a rule of underscores or a title one field may be missing, with Outlook's own two.
    let underscores = trim(lines[start]).bytes().take_while(|&b| b == b'_').count();
    let ruled = |block: &HeaderBlock| {
        (titled || underscores >= 3) && block.is_complete() || underscores >= OUTLOOK_RULE && block.is_dated()
    };
    let block = headers::block_at(lines, at);
    let is_certain = |block: &HeaderBlock| block.is_certain() && headers::is_evident(&lines[block.lines.clone()]);
    if let Some(block) = block.as_ref().filter(|block| is_certain(block) || ruled(block)) {
        return Some(start..block.lines.end);
    }
    // Lotus Notes writes sender and date without names, each on a line above the recipient.
    let unnamed = || {
        let block = block.filter(HeaderBlock::is_addressed)?;
        let date = lines::last_nonblank(&lines[..at]).filter(|&i| at - i <= 2 && headers::is_date(lines[i]))?;
        let sender =
            date.checked_sub(1).filter(|&i| !is_quoted(lines[i]) && (1..=6).contains(&lines::words(lines[i])))?;
        Some(lines::rule_above(lines, sender)..block.lines.end)
    };
    unnamed().or_else(|| headers::shaped_at(lines, at, titled).map(|block| start..block.lines.end))
}

/// True for a few words between two rules: `---- Replied Message ----`
fn is_titled_rule(line: &str) -> bool {
    const MOST_WORDS: usize = 6;
    let ends = |line: &str| ["--", "__", "=="].iter().any(|rule| line.ends_with(rule));
    is_ruled(line)
        && ends(line.trim_end_matches(['*', ' ', '|', '\u{a0}', '>', '\r']))
        && titled(line).is_some_and(|title| lines::words(&title) <= MOST_WORDS)
}

fn header_below(lines: &[&str], separator: usize) -> Option<HeaderBlock> {
    let start = lines::next_nonblank(lines, separator + 1)?;
    headers::block_at(lines, start).filter(HeaderBlock::names_sender)
}
