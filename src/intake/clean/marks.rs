//! Quote marks other than `>`, and lines that start with `>` but are not quoted

use std::ops::Range;

use super::attribution::Attribution;
use super::lines::{self, is_blank, is_quoted, words};

/// A quote mark other than `>`: `|` and `:` of old news readers, or the initials of the quoted person
pub(super) enum Mark {
    /// This character
    Char(char),
    /// These letters before a `>`
    Initials(String),
}

impl Mark {
    /// True if the line has the mark
    pub(super) fn is_on(&self, line: &str) -> bool {
        let line = line.trim_start();
        match self {
            Mark::Char(c) => line.starts_with(*c),
            Mark::Initials(initials) => line.strip_prefix(initials.as_str()).is_some_and(|rest| rest.starts_with('>')),
        }
    }
}

/// Finds such a mark. It counts only directly below an attribution, and initials only if they match the name in it,
/// because `mysql>` and `C>` are prompts.
pub(super) fn other_mark(lines: &[&str], marks: &[Attribution]) -> Option<Mark> {
    marks.iter().find_map(|mark| {
        let below = lines::next_nonblank(lines, mark.lines.end).filter(|&i| i <= mark.lines.end + 2)?;
        let first = lines[below].trim_start();
        let again = lines[below + 1..].iter().take(8).filter(|line| !is_blank(line));
        if let Some(c) = first.chars().next().filter(|c| matches!(c, '|' | ':' | '}' | '#' | '%')) {
            let mark = Mark::Char(c);
            let all = again.take(if matches!(c, '|' | ':') { 1 } else { 2 }).all(|line| mark.is_on(line));
            return all.then_some(mark);
        }
        let (initials, _) = first.split_once('>')?;
        let plain = (1..=15).contains(&initials.len()) && initials.chars().all(char::is_alphabetic);
        let name = lines[mark.lines.clone()].join(" ").to_lowercase();
        (plain && (name.contains(&initials.to_lowercase()) || initials.chars().all(char::is_uppercase)))
            .then(|| Mark::Initials(initials.to_string()))
    })
}

/// Finds the blocks of lines that start with `>` and are prompts, such as `>>> print(x)` or `> x <- 1` in R. They have
/// no attribution above and look like code.
pub(super) fn prompts(lines: &[&str], marks: &[Attribution]) -> Vec<Range<usize>> {
    let blocks = lines::runs(0..lines.len(), |i| is_quoted(lines[i]));
    let attributed = |block: &Range<usize>| {
        let above = lines[..block.start].iter().rposition(|line| !is_blank(line));
        above.is_some_and(|i| marks.binary_search_by_key(&(i + 1), |m| m.lines.end).is_ok())
    };
    blocks.into_iter().filter(|block| !attributed(block) && is_session(&lines[block.clone()])).collect()
}

fn is_session(block: &[&str]) -> bool {
    let bare = |line: &&str| line.trim_start_matches([' ', '>']).to_string();
    let text: Vec<String> = block.iter().map(bare).filter(|line| !line.is_empty()).collect();
    let code = text.iter().filter(|line| is_code(line)).count();
    // Single words count as code only next to code.
    let single =
        text.iter().filter(|line| words(line) == 1 && line.len() < 24 && !line.ends_with([',', '.', '!'])).count();
    let nested =
        block.iter().any(|line| line.starts_with("> >") || (line.starts_with(">>") && !line.starts_with(">>>")));
    !nested && code > 0 && 2 * (code + single) > text.len()
}

fn is_code(line: &str) -> bool {
    let calls = line
        .find('(')
        .is_some_and(|at| at > 0 && line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '.'));
    let plain_words = line.split(' ').filter(|w| w.len() > 1 && w.chars().all(char::is_lowercase)).count();
    line.contains("<-")
        || line.contains(" = ") && plain_words <= 3
        || line.contains("==")
        || line.ends_with([';', '{', '}'])
        || line.starts_with(['#', '$', '+'])
        || calls && (line.ends_with([')', ',', '(']) || plain_words <= 2)
}
