//! The lines of a text, and how the steps remove some of them

use std::ops::Range;

/// Longer lines, in bytes, are prose or data. No pattern is tried on them, which bounds the cost of a single line.
pub(super) const LONGEST: usize = 1000;

/// What a step keeps and what it removes
#[derive(Debug)]
pub(super) struct LineCut<'a> {
    pub kept: Vec<&'a str>,
    pub taken: Vec<String>,
}

impl<'a> LineCut<'a> {
    /// Removes nothing
    pub(super) fn nothing(lines: &[&'a str]) -> Self {
        LineCut { kept: lines.to_vec(), taken: Vec::new() }
    }

    /// Removes these ranges of lines, which are sorted and do not overlap
    pub(super) fn ranges(lines: &[&'a str], ranges: &[Range<usize>]) -> Self {
        let mut cut = LineCut { kept: Vec::with_capacity(lines.len()), taken: Vec::new() };
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

    /// Removes everything from this line on
    pub(super) fn from(lines: &[&'a str], start: usize) -> Self {
        LineCut::ranges(lines, std::slice::from_ref(&(start..lines.len())))
    }
}

/// Splits a text into lines, without LF or CRLF
pub(super) fn split(text: &str) -> Vec<&str> {
    text.split('\n').map(|line| line.trim_end_matches('\r')).collect()
}

/// Joins lines, without blank lines at the start and the end
pub(super) fn join(lines: &[&str]) -> String {
    let Some(first) = lines.iter().position(|line| !is_blank(line)) else {
        return String::new();
    };
    let last = last_nonblank(lines).unwrap_or(first);
    lines[first..=last].join("\n")
}

/// True for a line of spaces and of invisible characters, which mail programs put on empty lines
pub(super) fn is_blank(line: &str) -> bool {
    line.chars().all(is_space)
}

fn is_space(c: char) -> bool {
    c.is_whitespace()
        || matches!(c, '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}' | '\u{ad}')
        || is_direction_mark(c)
}

/// True for the invisible marks of text direction, which mail programs put around names and lines in Hebrew and Arabic
pub(super) fn is_direction_mark(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{61c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Removes spaces and invisible characters at both ends
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

/// The rule (`____`, `----`, `====`) directly above a block, or else the start of the block
pub(super) fn rule_above(lines: &[&str], start: usize) -> usize {
    match last_nonblank(&lines[..start]) {
        Some(i) if start - i <= 3 && is_rule(lines[i]) => i,
        _ => start,
    }
}

/// True for three or more characters of a rule and nothing else
pub(super) fn is_rule(line: &str) -> bool {
    let line = trim(line);
    line.len() >= 3 && line.bytes().all(|b| matches!(b, b'_' | b'-' | b'=' | b'*' | b'~' | b'#' | b'+' | b' '))
}

/// True for a line marked with `>` at any depth; `>From ` is mbox quoting
pub(super) fn is_quoted(line: &str) -> bool {
    let line = line.trim_start_matches([' ', '\u{a0}', '\t']);
    line.starts_with('>') && !line.starts_with(">From ")
}

/// True for a `>From ` line inside a quotation, which is part of it
pub(super) fn is_quoted_from(lines: &[&str], at: usize) -> bool {
    let neighbour = |i: Option<usize>| i.and_then(|i| lines.get(i)).is_some_and(|line| is_quoted(line));
    lines[at].starts_with(">From ") && (neighbour(at.checked_sub(1)) || neighbour(at.checked_add(1)))
}

/// Removes one level of `>`
pub(super) fn unquote(line: &str) -> &str {
    match line.trim_start().strip_prefix('>') {
        Some(rest) => rest.strip_prefix(' ').unwrap_or(rest),
        None => line,
    }
}

/// The number of words, separated by white space
pub(super) fn words(line: &str) -> usize {
    line.split_whitespace().count()
}

/// True for Chinese, Japanese and Korean characters
pub(super) fn is_cjk(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}')
}

/// True for a letter of a script without capital letters, such as Hebrew, but not of CJK
pub(super) fn is_caseless(c: char) -> bool {
    c.is_alphabetic() && !c.is_lowercase() && !c.is_uppercase() && !is_cjk(c)
}

/// The runs of lines that are not blank
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

/// The runs of lines for which `is` holds
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
        let cut = LineCut::ranges(&lines, std::slice::from_ref(&(1..2)));
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
