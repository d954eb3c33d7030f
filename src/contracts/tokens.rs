//! Words, numbers and Chinese characters of a text

use super::lexicon::is_unspaced;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenKind {
    Word,
    /// Digits with separators inside: `1,000.00`.
    Digits,
    /// A character of a script without blanks.
    Character,
    /// Punctuation and signs.
    Mark,
}

/// A token and its bytes in the visible text.
#[derive(Debug, Clone)]
pub(super) struct ContractToken {
    pub kind: TokenKind,
    pub start: usize,
    pub end: usize,
    /// In small letters.
    pub text: String,
}

/// Divides a text that begins at `offset`. Blanks are dropped.
pub(super) fn tokens(text: &str, offset: usize) -> Vec<ContractToken> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        if c.is_whitespace() {
            at += c.len_utf8();
            continue;
        }
        let (kind, len) = measure(&text[at..], c);
        let (start, end) = (offset + at, offset + at + len);
        found.push(ContractToken { kind, start, end, text: text[at..at + len].to_lowercase() });
        at += len;
    }
    found
}

/// Words that French shortens before a vowel.
const ELIDED: [&str; 12] = ["d", "n", "l", "qu", "s", "j", "m", "t", "c", "jusqu", "lorsqu", "puisqu"];

/// True for the `n't` at the end of a word.
fn is_negation(text: &str) -> bool {
    let is_it = text.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("n't"));
    is_it && !text[3..].starts_with(|c: char| c.is_alphanumeric())
}

fn measure(text: &str, first: char) -> (TokenKind, usize) {
    if is_unspaced(first) {
        return (TokenKind::Character, first.len_utf8());
    }
    if first.is_ascii_digit() {
        return (TokenKind::Digits, digits(text));
    }
    if !first.is_alphabetic() {
        return (TokenKind::Mark, first.len_utf8());
    }
    let mut end = 0;
    let mut rest = text.char_indices().peekable();
    while let Some((at, c)) = rest.next() {
        // "d'un" is two words, so that "un" is a number; and "don't" is, so that its negation is seen.
        if c == '\'' && ELIDED.iter().any(|word| text[..at].eq_ignore_ascii_case(word)) && !is_negation(&text[at - 1..])
        {
            return (TokenKind::Word, at + 1);
        }
        if at > 0 && is_negation(&text[at..]) {
            break;
        }
        // The "'s" of a possessive is a word of its own.
        let joins = c == '\''
            && rest.peek().is_some_and(|(_, next)| next.is_alphabetic())
            && !text[at + 1..].starts_with("s ")
            && !text[at + 1..].starts_with("s\n");
        if !(c.is_alphanumeric() && !is_unspaced(c) || joins) {
            break;
        }
        end = at + c.len_utf8();
    }
    (TokenKind::Word, end)
}

/// The length of digits with separators between them.
fn digits(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut end = 0;
    while let Some(b) = bytes.get(end) {
        let is_inner = matches!(b, b'.' | b',' | b'\'') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit);
        if !b.is_ascii_digit() && !is_inner {
            break;
        }
        end += 1;
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_of_scripts() {
        for (text, expected) in [
            ("The Seller's fee, 1,000.50 USD.", "the|seller|'|s|fee|,|1,000.50|usd|."),
            ("支付30日内", "支|付|30|日|内"),
            ("s'engage à", "s'|engage|à"),
            ("d'un an n'est pas l'Acheteur", "d'|un|an|n'|est|pas|l'|acheteur"),
            ("We don't; CAN'T, O'Neil", "we|do|n't|;|ca|n't|,|o'neil"),
            ("n't", "n't"),
            ("60-day term", "60|-|day|term"),
            ("", ""),
        ] {
            let found: Vec<String> = tokens(text, 0).into_iter().map(|t| t.text).collect();
            assert_eq!(found.join("|"), expected);
        }
    }
}
