//! Classifies lines at the end of a message: name, title, contact details or prose

use std::sync::LazyLock;

use regex::Regex;
use unicode_normalization::char::is_combining_mark;

use super::super::pattern;
use super::lexicon::contacts::{ADDRESS_ENDINGS, LABELS, STREET_ENDINGS, STREETS, TITLE_ENDINGS, TITLES};
use super::lexicon::prose::ADDRESSED;
use super::lexicon::{self, lower};
use super::lines::{self, trim, words};
use super::names;
use super::phrases::has_word;

/// The class of a line near the end of a message
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineClass {
    Blank,
    /// A rule or border without letters
    Rule,
    /// A person's name
    Name,
    /// A position, a company or a department
    Title,
    /// A phone number, an address, a link
    Contact,
    /// Short, and none of these
    Short,
    /// A sentence or other text that a person wrote
    Prose,
}

/// A phone number: digits in groups, with a country code, brackets or an extension
static PHONE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(^|[^0-9/.,-])(\+|00)?\(?[0-9]{1,5}\)?[-. /()]*[0-9]{2,5}([-. /()]+[0-9]{2,6})+"));

/// Classifies a line without its context
pub(super) fn kind(line: &str) -> LineClass {
    if lines::is_blank(line) {
        return LineClass::Blank;
    }
    // Quoted lines and numbered references are content.
    if line.len() > 200 || lines::is_quoted(line) || is_reference(line) {
        return LineClass::Prose;
    }
    let text = trim(line).trim_matches(|c: char| {
        matches!(c, '|' | '*' | '#' | '+' | '=' | '_' | '~' | '<' | '>' | ' ' | '\t' | '-' | '•' | '·')
    });
    if !text.chars().any(char::is_alphanumeric) {
        return LineClass::Rule;
    }
    let plain = plain_words(text);
    if is_contact(text, plain) {
        return LineClass::Contact;
    }
    if is_sentence(text, plain) {
        return LineClass::Prose;
    }
    if names::is_name(text) && !is_title(text) {
        return LineClass::Name;
    }
    if is_title(text) && plain <= 2 && words(text) <= 10 {
        return LineClass::Title;
    }
    LineClass::Short
}

/// True for a numbered reference: `[1] https://…`
pub(super) fn is_reference(line: &str) -> bool {
    let number =
        trim(line).strip_prefix(['[', '(']).and_then(|rest| rest.split_once([']', ')'])).map(|(number, _)| number);
    number.is_some_and(|n| (1..=2).contains(&n.len()) && n.bytes().all(|b| b.is_ascii_digit()))
}

/// True for a line with only a link, which may be what the message is about
pub(super) fn is_link(line: &str) -> bool {
    let line = trim(line).trim_matches(['<', '>']);
    words(line) == 1 && (line.starts_with("http") || line.starts_with("www."))
}

fn is_contact(text: &str, plain: usize) -> bool {
    if plain > 3 || text.ends_with(['?', '!']) && plain > 1 {
        return false;
    }
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let lower = lower(text);
    digits >= 7 && !text.contains(':') && PHONE.is_match(text)
        || is_labelled(&lower, digits)
        || text.split_whitespace().any(is_mail_or_web)
        || lower.contains("(at)")
        || lower.contains("[at]")
        || lower.contains(" at ") && lower.contains(" dot ")
        || plain <= 2 && is_address(text, &lower, digits)
}

/// `Phone: 713…`, `E-mail: …`, `+1 713 … (fax)`
fn is_labelled(lower: &str, digits: usize) -> bool {
    let end = lower.find([':', '.', '#', '=', '：', ')', '-', '/']).unwrap_or(0);
    let label = lower[..end].trim_matches(|c: char| !c.is_alphanumeric());
    let figures =
        lower[end..].trim_start_matches(|c: char| !c.is_alphanumeric()).starts_with(|c: char| c.is_ascii_digit());
    let known = lexicon::has(LABELS, label);
    let extension = lower
        .strip_prefix('x')
        .is_some_and(|rest| rest.len() >= 4 && rest.bytes().all(|b| b.is_ascii_digit() || b == b'-' || b == b' '));
    if extension {
        return true;
    }
    let cjk = label.is_empty()
        && digits >= 5
        && LABELS.iter().any(|known| known.starts_with(lines::is_cjk) && lower.starts_with(known));
    let trailing = digits >= 7
        && lower.split(|c: char| !c.is_alphabetic()).filter(|w| w.len() > 2).any(|word| lexicon::has(LABELS, word));
    known
        && (digits >= 3 && figures
            || label.len() > 2 && lower[end..].starts_with([':', '：', '=']) && lower.contains(['@', '.', '/']))
        || cjk
        || trailing
}

fn is_mail_or_web(word: &str) -> bool {
    let word = word.trim_matches(|c: char| !c.is_alphanumeric());
    let at = word.find('@').is_some_and(|at| at > 0 && word[at..].contains('.'));
    let web = word.starts_with("http://")
        || word.starts_with("https://")
        || word.starts_with("www.")
        || word.starts_with("mailto:");
    at || web
}

/// True for a street with a number, or a postal code with a town
fn is_address(text: &str, lower: &str, digits: usize) -> bool {
    if digits == 0 {
        return text.chars().any(lines::is_cjk) && ADDRESS_ENDINGS.iter().any(|end| text.ends_with(end));
    }
    let tokens: Vec<&str> =
        lower.split(|c: char| !(c.is_alphanumeric() || c == '.' || c == '-')).filter(|t| !t.is_empty()).collect();
    let street = tokens.iter().any(|t| {
        lexicon::has(STREETS, t.trim_matches('.'))
            || STREET_ENDINGS.iter().any(|end| t.ends_with(end) && t.len() > end.len())
    });
    let all_digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    let code =
        tokens.iter().position(|t| (4..=10).contains(&t.len()) && all_digits(t) && t.as_bytes()[0].is_ascii_digit());
    let state = code.is_some_and(|i| {
        i > 0
            && tokens[i - 1].len() == 2
            && text
                .split(|c: char| !c.is_alphanumeric())
                .any(|w| w.len() == 2 && w.bytes().all(|b| b.is_ascii_uppercase()))
    });
    let town = code == Some(0)
        && tokens.len() >= 2
        && tokens.len() <= 4
        && text.split_whitespace().nth(1).is_some_and(|w| w.starts_with(char::is_uppercase));
    let house = tokens.len() >= 2
        && (all_digits(tokens[0]) || tokens.last().is_some_and(|t| all_digits(t)) || digits >= 2)
        && street;
    house || state || town || street && tokens.len() <= 6
}

fn is_title(text: &str) -> bool {
    let lower = lower(text);
    let title = |word: &str| {
        lexicon::has(TITLES, word) || word.len() > 8 && TITLE_ENDINGS.iter().any(|end| word.ends_with(end))
    };
    lower.split(|c: char| !(c.is_alphanumeric() || c == '/' || c == '.')).any(|word| title(word.trim_matches('.')))
        || text.chars().any(lines::is_cjk)
            && TITLES.iter().any(|title| title.starts_with(lines::is_cjk) && text.contains(title))
        || !lower.is_ascii() && TITLES.iter().any(|title| title.contains([' ', '"']) && has_word(&lower, &[title]))
}

fn is_sentence(text: &str, plain: usize) -> bool {
    let count = words(text);
    let ends = text.ends_with(['.', '!', '?', ':', ',']);
    count > 12
        || plain >= 6
        || plain >= 3 && ends
        || plain >= 2 && has_word(&lower(text), ADDRESSED)
        || text.ends_with('?') && count > 1
        || text.chars().filter(|&c| lines::is_cjk(c)).count() > 20
        || text.ends_with(['。', '！', '？'])
}

/// The number of words without a capital letter, of which signatures have few
fn plain_words(text: &str) -> usize {
    text.split_whitespace()
        .filter(|word| {
            word.chars().next().is_some_and(|c| c.is_lowercase() || lines::is_caseless(c))
                && !word.contains(['@', '/', ':'])
                && word.chars().all(|c| {
                    c.is_alphabetic() || is_combining_mark(c) || matches!(c, ',' | '.' | '\'' | '’' | '-' | ';')
                })
        })
        .filter(|word| word.chars().count() > 1)
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds() {
        for (line, expected) in [
            ("", LineClass::Blank),
            ("=======", LineClass::Rule),
            ("John Doe", LineClass::Name),
            ("CEO @ Acme !", LineClass::Title),
            ("Senior Developer", LineClass::Title),
            ("+1 (713) 853-5620", LineClass::Contact),
            ("Phone: 713-853-5620", LineClass::Contact),
            ("john@example.com", LineClass::Contact),
            ("https://example.com/me", LineClass::Contact),
            ("1400 Smith Street, EB 3801a", LineClass::Contact),
            ("Houston, TX  77002", LineClass::Contact),
            ("Mobil:   +12 345 6789 012", LineClass::Contact),
            ("Call me at 713-853-5620 when you are back in town", LineClass::Prose),
            ("Where to?", LineClass::Prose),
            ("It works now.", LineClass::Prose),
            ("Amsterdam office", LineClass::Short),
        ] {
            assert_eq!(kind(line), expected, "{line}");
        }
    }
}
