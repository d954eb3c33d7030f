//! Lists of definitions: `"Term" means …`, `“术语”是指…`

use std::ops::Range;

use super::lexicon::Lexicon;
use super::markers::word_at;
use super::plain::Plain;

/// Longest term, in bytes.
const LONGEST_TERM: usize = 90;

/// The term that a text defines in its first words.
pub(super) fn term(text: &str, lexicons: &[&'static Lexicon]) -> Option<String> {
    let text = text.trim_start();
    let (name, rest) = match text.strip_prefix('"') {
        Some(inner) => {
            let close = inner.find('"').filter(|at| (1..=LONGEST_TERM).contains(at))?;
            (&inner[..close], &inner[close + 1..])
        }
        None => {
            // "The Customer means well" is a sentence.
            let first = text.split_whitespace().next().unwrap_or_default().to_lowercase();
            if lexicons.iter().any(|lexicon| lexicon.frequent.contains(&first.as_str())) {
                return None;
            }
            capitalised(text)?
        }
    };
    let rest = also(rest);
    let defines = lexicons.iter().any(|lexicon| lexicon.means.iter().any(|word| word_at(rest, word).is_some()));
    defines.then(|| name.trim().to_owned())
}

/// A term in capitals without quotes: `Affiliate means`.
fn capitalised(text: &str) -> Option<(&str, &str)> {
    let mut end = 0;
    for word in text.split_inclusive(' ').take(6) {
        let bare = word.trim();
        let joins = end > 0 && matches!(bare, "of" | "and" | "or" | "&" | "de" | "der" | "du");
        if !joins && !bare.starts_with(char::is_uppercase) {
            break;
        }
        end += word.len();
    }
    let (name, rest) = text.split_at(end);
    if name.contains(['\n', '"', '.', ':']) {
        return None;
    }
    // Only the plain verb: "Customer will mean" and "Section includes" are sentences.
    let verb = ["means ", "bedeutet ", "bezeichnet ", "désigne ", "signifie ", "significa "];
    (end > 0 && verb.iter().any(|verb| rest.starts_with(verb))).then_some((name, rest))
}

/// What follows further names of the same term: `"A" or "B" means`, `"A" (or "B") means`, `"A" (甲) means`.
fn also(rest: &str) -> &str {
    let mut rest = rest.trim_start_matches([' ', '\n', ':', ',']);
    if rest.starts_with('(')
        && let Some(close) = rest.find(')').filter(|at| *at <= LONGEST_TERM)
    {
        rest = rest[close + 1..].trim_start();
    }
    for joint in ["or ", "and ", "oder ", "或"] {
        if let Some(other) = rest.strip_prefix(joint)
            && let Some(inner) = other.trim_start().strip_prefix('"')
            && let Some(close) = inner.find('"').filter(|at| *at <= LONGEST_TERM)
        {
            return inner[close + 1..].trim_start();
        }
    }
    rest
}

/// The starts of the definitions in a range of lines, if it is a list of them.
pub(super) fn starts(plain: &Plain, range: &Range<usize>, lexicons: &[&'static Lexicon]) -> Vec<(usize, String)> {
    let from = plain.lines.partition_point(|line| line.start <= range.start);
    let lines = plain.lines.get(from..).unwrap_or_default();
    let mut found = Vec::new();
    for line in lines.iter().take_while(|line| line.start < range.end) {
        if let Some(term) = term(plain.get(line.start..line.end), lexicons) {
            found.push((line.start, term));
        }
    }
    if found.len() < 2 {
        found.clear();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contracts::lexicon::{CHINESE, ENGLISH};

    #[test]
    fn defined_terms() {
        for (text, expected) in [
            ("\"Affiliate\" means an entity", Some("Affiliate")),
            ("\"Fees\" (or \"Charges\") shall mean the amounts", Some("Fees")),
            ("Business Day means a day", Some("Business Day")),
            ("\"工作日\"是指法定工作日", Some("工作日")),
            ("\"Customer\" will pay", None),
            ("The Customer means well", None),
            ("This means war", None),
            ("", None),
        ] {
            assert_eq!(term(text, &[&ENGLISH, &CHINESE]).as_deref(), expected, "{text}");
        }
    }
}
