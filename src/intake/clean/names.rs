//! Tells whether a line looks like a name that someone signs with

use super::lexicon::lower;
use super::lexicon::names::{GIVEN, NOT_NAMES, PARTICLES};
use unicode_normalization::char::is_combining_mark;

use super::lines::{is_cjk, trim};

/// True for one to four capitalised words without digits, or two to five CJK characters
pub(super) fn is_name(line: &str) -> bool {
    let line = bare(line);
    if line.is_empty() || line.len() > 60 || line.ends_with(['?', '!', ':', ';']) {
        return false;
    }
    if line.chars().all(|c| is_cjk(c) || c == ' ' || c == '·') {
        return (2..=5).contains(&line.chars().filter(|&c| is_cjk(c)).count());
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    let Some(first) = words.first() else {
        return false;
    };
    let first = first.trim_matches(|c: char| !c.is_alphanumeric());
    let first = lower(first);
    words.len() <= 5
        && NOT_NAMES.binary_search(&first.as_str()).is_err()
        && words.iter().all(|word| is_name_word(word))
        && {
            let capitals = words.iter().filter(|w| w.chars().any(char::is_uppercase)).count();
            (1..=4).contains(&capitals)
        }
}

/// True for a name that starts with a common given name
pub(super) fn is_known_name(line: &str) -> bool {
    let line = bare(line);
    let first = lower(line.split_whitespace().next().unwrap_or("").trim_matches(|c: char| !c.is_alphanumeric()));
    let short = line.split_whitespace().count() <= 3;
    short && is_name(line) && GIVEN.binary_search(&first.split('-').next().unwrap_or("")).is_ok()
}

/// Removes the marks that people put around their names: `-Bob`, `//Jef`, `~s`, `*Bob*`
pub(super) fn bare(line: &str) -> &str {
    trim(line)
        .trim_start_matches(['-', '–', '—', '~', '/', '*', '_', ' ', '|', '='])
        .trim_end_matches(['*', '_', ',', ' ', '|', '.', '-'])
}

fn is_name_word(word: &str) -> bool {
    let bare = word.trim_matches(|c: char| matches!(c, '.' | ',' | '(' | ')' | '"' | '\'' | '“' | '”' | '*'));
    if PARTICLES.contains(&lower(bare).as_str()) || bare == "&" {
        return true;
    }
    let mut chars = bare.chars();
    chars.next().is_some_and(char::is_uppercase)
        && bare.chars().all(|c| c.is_alphabetic() || is_combining_mark(c) || matches!(c, '.' | '\'' | '’' | '-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[rustfmt::skip]
    fn names() {
        for line in [
            "Bob", "Vince J. Kaminski", "-Abhishek Kona", "//Jef", "O'Brien, Patrick", "张三", "山田 太郎",
            "Łukasz Jan Niemier", "Ludwig van Beethoven",
        ] {
            assert!(is_name(line), "{line}");
        }
        for line in ["", "see you", "Thanks", "Where to?", "Bob went home", "Room 12", "The End", "请查收附件内容谢谢", "-\u{3000}-"] {
            assert!(!is_name(line), "{line}");
        }
        assert!(is_known_name("Vince") && is_known_name("- Kim Ward") && !is_known_name("London"));
    }
}
