//! Texts for servers, whose tokenizers are not here: their characters stand for tokens, and their number is guessed.

use super::client::Refusal;
use crate::engine::TokenizedText;

/// Characters of ASCII that are taken for one token. Of other scripts one character is.
const LETTERS: usize = 4;
/// How often a text that is too long for the server is halved.
const HALVES: usize = 6;

/// The characters of a text that are taken for at most so many tokens, behind a prompt.
pub(super) fn tokens(prompt: &str, text: &str, most: usize) -> TokenizedText {
    let text = text.trim();
    let (mut quarters, mut end) = (0, text.len());
    for (at, character) in text.char_indices() {
        let weight = if character.is_ascii() { 1 } else { LETTERS };
        if quarters + weight > most.saturating_mul(LETTERS) {
            end = at;
            break;
        }
        quarters += weight;
    }
    let ids = prompt.chars().chain(text[..end].chars()).map(u32::from).collect();
    TokenizedText { ids, tokens: quarters.div_ceil(LETTERS), truncated: end < text.len() }
}

/// The text of characters.
pub(super) fn text(ids: &[u32]) -> String {
    ids.iter().filter_map(|&id| char::from_u32(id)).collect()
}

/// Asks with the longest of the texts halved until the server takes them. True where one was cut.
///
/// # Errors
/// As `ask`; the last refusal where they are too long however short they are cut.
pub(super) fn shortened<const N: usize, T>(
    mut texts: [&str; N],
    ask: impl Fn([&str; N]) -> Result<T, Refusal>,
) -> Result<(T, bool), Refusal> {
    for halved in 0..HALVES {
        match ask(texts) {
            Err(refusal) if refusal.is_too_long() => {
                let longest = texts.iter_mut().max_by_key(|text| text.len());
                longest.into_iter().for_each(|text| *text = &text[..text.floor_char_boundary(text.len() / 2)]);
            }
            answer => return Ok((answer?, halved > 0)),
        }
    }
    Ok((ask(texts)?, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_by_a_guess() {
        let check = |text_: &str, most, expected: (&str, usize, bool)| {
            let made = tokens("p: ", text_, most);
            assert_eq!((text(&made.ids).as_str(), made.tokens, made.truncated), expected);
        };
        check(" eight ch ", 2, ("p: eight ch", 2, false));
        check("nine chars", 2, ("p: nine cha", 2, true));
        check("会议通知", 3, ("p: 会议通", 3, true));
        check("", 3, ("p: ", 0, false));
    }
}
