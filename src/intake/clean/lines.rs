//! Lines: how the steps see a text and how they take pieces out of it

use std::ops::Range;

/// Longer lines are prose or data, never a header, an attribution or a signature, and no pattern is
/// tried on them; this also bounds what a single line can cost
pub(super) const LONGEST: usize = 1000;

/// What a step keeps and what it takes out
#[derive(Debug)]
pub(super) struct Cut<'a> {
    pub kept: Vec<&'a str>,
    pub taken: Vec<String>,
}

impl<'a> Cut<'a> {
    /// Take nothing
    pub(super) fn nothing(lines: &[&'a str]) -> Self {
        Cut { kept: lines.to_vec(), taken: Vec::new() }
    }

    /// Take out these ranges of lines, which are sorted and do not overlap
    pub(super) fn ranges(lines: &[&'a str], ranges: &[Range<usize>]) -> Self {
        let mut cut = Cut { kept: Vec::with_capacity(lines.len()), taken: Vec::new() };
        let mut from = 0;
        for range in ranges {
            cut.kept.extend_from_slice(&lines[from..range.start]);
            let taken = &lines[range.clone()];
            if !taken.iter().all(|line| is_blank(line)) {
                cut.taken.push(join(taken));
            }
            from = range.end;
        }
        cut.kept.extend_from_slice(&lines[from..]);
        cut
    }

    /// Take out everything from this line on
    pub(super) fn from(lines: &[&'a str], start: usize) -> Self {
        Cut::ranges(lines, std::slice::from_ref(&(start..lines.len())))
    }
}

/// The lines of a text without their line endings, LF or CRLF
pub(super) fn split(text: &str) -> Vec<&str> {
    text.split('\n').map(|line| line.trim_end_matches('\r')).collect()
}

/// One text again, without blank lines at either end
pub(super) fn join(lines: &[&str]) -> String {
    let Some(first) = lines.iter().position(|line| !is_blank(line)) else {
        return String::new();
    };
    let last = last_nonblank(lines).unwrap_or(first);
    lines[first..=last].join("\n")
}

/// Nothing to see on this line: spaces, or characters that clients leave to mark empty lines
pub(super) fn is_blank(line: &str) -> bool {
    line.chars().all(is_space)
}

fn is_space(c: char) -> bool {
    c.is_whitespace()
        || matches!(c, '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}' | '\u{ad}')
        || is_direction_mark(c)
}

/// Marks the direction of text: mail programs put them around names, addresses and lines in Hebrew and Arabic
pub(super) fn is_direction_mark(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{61c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Without spaces, no-break and zero-width ones included, at either end
pub(super) fn trim(line: &str) -> &str {
    line.trim_matches(is_space)
}

/// The first line at or after `from` that is not blank
pub(super) fn next_nonblank(lines: &[&str], from: usize) -> Option<usize> {
    (from..lines.len()).find(|&i| !is_blank(lines[i]))
}

/// The last line that is not blank
pub(super) fn last_nonblank(lines: &[&str]) -> Option<usize> {
    lines.iter().rposition(|line| !is_blank(line))
}

/// The start of a block, or the rule (`____`, `----`, `====`) right above it
pub(super) fn rule_above(lines: &[&str], start: usize) -> usize {
    match last_nonblank(&lines[..start]) {
        Some(i) if start - i <= 3 && is_rule(lines[i]) => i,
        _ => start,
    }
}

/// Three or more of the characters that rules are drawn with, and nothing else
pub(super) fn is_rule(line: &str) -> bool {
    let line = trim(line);
    line.len() >= 3 && line.bytes().all(|b| matches!(b, b'_' | b'-' | b'=' | b'*' | b'~' | b'#' | b'+' | b' '))
}

/// Marked as quoted with `>`, whatever the depth; a lone `>From ` is mbox quoting, not a quotation
pub(super) fn is_quoted(line: &str) -> bool {
    let line = line.trim_start_matches([' ', '\u{a0}', '\t']);
    line.starts_with('>') && !line.starts_with(">From ")
}

/// `>From ` inside a quotation is part of it after all
pub(super) fn is_quoted_from(lines: &[&str], at: usize) -> bool {
    let neighbour = |i: Option<usize>| i.and_then(|i| lines.get(i)).is_some_and(|line| is_quoted(line));
    lines[at].starts_with(">From ") && (neighbour(at.checked_sub(1)) || neighbour(at.checked_add(1)))
}

/// One level of `>` taken off
pub(super) fn unquote(line: &str) -> &str {
    match line.trim_start().strip_prefix('>') {
        Some(rest) => rest.strip_prefix(' ').unwrap_or(rest),
        None => line,
    }
}

/// The number of words, where a word is anything between spaces
pub(super) fn words(line: &str) -> usize {
    line.split_whitespace().count()
}

/// Does the character belong to a script written without spaces?
pub(super) fn is_cjk(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}')
}

/// A letter of a script that has spaces but no capitals, such as Hebrew
pub(super) fn is_caseless(c: char) -> bool {
    c.is_alphabetic() && !c.is_lowercase() && !c.is_uppercase() && !is_cjk(c)
}

/// A run of lines without a blank one among them
pub(super) fn paragraphs(lines: &[&str]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start = None;
    for (i, line) in lines.iter().enumerate() {
        match (is_blank(line), start) {
            (true, Some(from)) => {
                found.push(from..i);
                start = None;
            }
            (false, None) => start = Some(i),
            _ => {}
        }
    }
    if let Some(from) = start {
        found.push(from..lines.len());
    }
    found
}

/// The runs of lines for which this holds
pub(super) fn runs(range: Range<usize>, is: impl Fn(usize) -> bool) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for i in range.filter(|&i| is(i)) {
        match found.last_mut() {
            Some(last) if last.end == i => last.end = i + 1,
            _ => found.push(i..i + 1),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_taken_out_and_reported() {
        let lines = split("a\r\nb\nc\n");
        let cut = Cut::ranges(&lines, std::slice::from_ref(&(1..2)));
        assert_eq!(cut.kept, ["a", "c", ""]);
        assert_eq!(cut.taken, ["b"]);
    }

    #[test]
    fn paragraphs_are_runs_between_blank_lines() {
        assert_eq!(paragraphs(&split("a\nb\n \n\nc")), [0..2, 4..5]);
        assert!(paragraphs(&[]).is_empty());
    }

    #[test]
    fn mbox_quoting_is_no_quotation() {
        assert!(is_quoted("  > yes"));
        assert!(!is_quoted(">From here on"));
        assert!(is_quoted_from(&["> a", ">From here on"], 1));
        assert!(!is_quoted_from(&["a", ">From here on", "b"], 1));
        assert_eq!(unquote("> > a"), "> a");
    }
}
