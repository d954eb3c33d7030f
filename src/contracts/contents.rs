//! Tables of contents, whose lines must not become clauses a second time

use super::lexicon::Lexicon;
use super::markers::{Marker, word_at};
use super::plain::Plain;

/// Longest table of contents, in lines.
const LONGEST: usize = 400;

/// Marks the lines of a table of contents: those with a page number behind leaders, and those between the word
/// "Contents" and the place where the first entry comes again.
pub(super) fn lines(plain: &Plain, candidates: &[Vec<Marker>], lexicons: &[&'static Lexicon]) -> Vec<bool> {
    let mut skipped = vec![false; plain.lines.len()];
    let mut index = 0;
    while let Some(line) = plain.lines.get(index) {
        let text = plain.get(line.start..line.end);
        skipped[index] = has_leaders(text);
        let is_title = lexicons.iter().any(|lexicon| {
            lexicon.contents.iter().any(|word| word_at(text, word).is_some_and(|len| text.len() - len <= 1))
        });
        if is_title && let Some(end) = end(candidates, index) {
            skipped[index..end].fill(true);
            index = end;
            continue;
        }
        index += 1;
    }
    skipped
}

/// Where the first entry behind a title comes again.
fn end(candidates: &[Vec<Marker>], title: usize) -> Option<usize> {
    let first = candidates.get(title + 1)?.first()?;
    (title + 2..candidates.len().min(title + LONGEST))
        .find(|index| candidates[*index].first().is_some_and(|m| m.style == first.style && m.steps == first.steps))
}

/// True for a line of contents: "Definitions ........ 3".
fn has_leaders(text: &str) -> bool {
    let without_page = text.trim_end_matches(|c: char| c.is_ascii_digit());
    without_page.len() < text.len() && without_page.trim_end().ends_with("....")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contracts::lexicon::{CHINESE, ENGLISH};
    use crate::contracts::markers;

    fn check(text: &str, expected: &[bool]) {
        let plain = Plain::read(text);
        let lexicons = [&ENGLISH, &CHINESE];
        let read = |line: &crate::contracts::plain::Line| markers::read(plain.get(line.start..line.end), &lexicons);
        let candidates: Vec<Vec<Marker>> = plain.lines.iter().map(read).collect();
        assert_eq!(lines(&plain, &candidates, &lexicons), expected, "{text}");
    }

    #[test]
    fn entries_are_skipped() {
        check("Contents\n1. A\n2. B\n1. A\nText", &[true, true, true, false, false]);
        check("1. A .... 3\n1. A", &[true, false]);
        check("目录\n第一条 甲\n第一条 甲", &[true, true, false]);
        check("Contents of the box\n1. A\n1. B", &[false, false, false]);
    }
}
