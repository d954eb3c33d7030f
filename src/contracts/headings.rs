//! Titles of clauses: on a line of their own, or at the start of the text

use super::lexicon::is_han;
use super::outline::LONGEST_HEADING;

/// True for a line that reads as a title.
pub(super) fn is_title(line: &str) -> bool {
    let line = line.trim();
    let is_short = line.chars().count() <= if line.starts_with(is_han) { 26 } else { 90 };
    // A colon closes a title of few words; the others introduce a list.
    if let Some(title) = line.strip_suffix(':')
        && (title.split_whitespace().count() > 4 || title.starts_with(is_han) && title.chars().count() > 6)
    {
        return false;
    }
    let ends = line.ends_with(['.', ';', ',', '。', '"', '、']) && !line.to_uppercase().eq(line);
    is_short
        && line.len() <= LONGEST_HEADING
        && !ends
        && !line.contains(['。', ';', ','])
        && !line.contains(". ")
        && (!line.starts_with(char::is_lowercase))
}

/// A title at the start of a text: "Access and Use.  During …", "[价款]甲方…", "价款:甲方…"
///
/// `alone` allows that nothing follows on the line.
pub(super) fn run_in_heading(text: &str, alone: bool) -> Option<(&str, usize)> {
    if let Some(inner) = text.strip_prefix('[') {
        let close = inner.find(']').filter(|at| *at <= 90)?;
        return Some((&inner[..close], close + 2));
    }
    let end = text.find(['.', ':', '。']).filter(|at| (2..=80).contains(at))?;
    let stop = text[end..].chars().next()?;
    let title = &text[..end];
    let rest = &text[end + stop.len_utf8()..];
    if title.starts_with(is_han) {
        let is_short = title.chars().count() <= 12 && stop == ':' && !title.contains([',', '、', ';']);
        return (is_short && !rest.trim().is_empty()).then_some((title, end + 1));
    }
    let is_last = rest.trim().is_empty();
    if stop == '。' || is_last && (!alone || stop == ':') || !is_last && !rest.starts_with(char::is_whitespace) {
        return None;
    }
    // "am 1. Juni": the stop belongs to a number.
    if title.ends_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let words: Vec<&str> = title.split_whitespace().collect();
    let long = |word: &&&str| word.chars().count() > 3;
    let is_capital = |word: &&str| word.starts_with(|c: char| c.is_uppercase() || !c.is_alphabetic());
    let capitals = words.iter().filter(long).filter(|word| is_capital(word)).count();
    let longs = words.iter().filter(long).count();
    let is_heading = words.len() <= 9 && words.first().is_some_and(is_capital) && !title.contains([',', ';', '"']);
    let is_title = capitals * 3 >= longs * 2 && (!is_last || longs > 0 || words.len() <= 2);
    (is_heading && is_title).then_some((title, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles() {
        for (line, expected) in [
            ("Definitions", true),
            ("合同价款", true),
            ("Governing Law:", true),
            ("the seller", false),
            ("The goods are delivered. They are new", false),
            ("甲方应当付款。", false),
            ("Either party may end this at once:", false),
        ] {
            assert_eq!(is_title(line), expected, "{line}");
        }
        for (text, expected) in [
            ("Access and Use.  During the term", Some("Access and Use")),
            ("[价款]甲方付款", Some("价款")),
            ("价款:甲方付款", Some("价款")),
            ("The seller sells goods. They are new", None),
            ("Mietzeit Beginn am 1. Juni", None),
            ("Fees", None),
        ] {
            assert_eq!(run_in_heading(text, false).map(|found| found.0), expected, "{text}");
        }
    }
}
