//! Sign-offs such as "Best regards"

use super::lexicon::lower;
use super::lexicon::signoffs::{FILLERS, NOT_FIRST, PHRASES, WORDS};
use super::lines::{is_caseless, is_cjk, trim};
use super::names;

/// No phrase of the lexicon is longer, in bytes
pub(super) const LONGEST_PHRASE: usize = 48;

/// A sign-off line
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SignOff {
    /// Only the closing words
    Alone,
    /// With the name on the same line: "Thanks, Bob"
    Named,
}

/// Recognises a line that has a sign-off and nothing else but a name
pub(super) fn sign_off(line: &str) -> Option<SignOff> {
    let line = trim(line).trim_start_matches(['-', '*', '_', '~', ' ', '–', '—']);
    if line.is_empty() || line.len() > 120 {
        return None;
    }
    if line.chars().any(is_cjk) {
        let tight: String = line.chars().filter(|c| is_cjk(*c) || *c == '、').collect();
        return PHRASES.contains(&tight.trim_matches('、')).then_some(SignOff::Alone);
    }
    if let Some(found) = whole_phrase(line) {
        return Some(found);
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    let mut core = false;
    let mut taken = 0;
    for word in &words {
        let bare = bare_word(word);
        let is_core = WORDS.binary_search(&bare.as_str()).is_ok();
        if !is_core && !bare.is_empty() && FILLERS.binary_search(&bare.as_str()).is_err() {
            break;
        }
        core |= is_core;
        taken += 1;
        // "Thanks, Bob": a name follows the comma, even if it is also a filler.
        if core && word.ends_with([',', '!', '.', ';']) {
            break;
        }
    }
    // "The best" and "For love" are no sign-offs.
    if !core || taken > 7 || NOT_FIRST.contains(&bare_word(words[0]).as_str()) {
        return None;
    }
    let rest = words[taken..].join(" ");
    if rest.is_empty() || !rest.chars().any(char::is_alphanumeric) {
        return Some(SignOff::Alone);
    }
    if let Some(SignOff::Alone) = sign_off(&rest).filter(|_| taken < words.len()) {
        return Some(SignOff::Alone);
    }
    let named = names::is_name(&rest) && rest.split_whitespace().count() <= 4;
    let separated = words[taken - 1].ends_with([',', '!', '.', '-']) || names::is_known_name(&rest) || taken >= 2;
    (named && separated).then_some(SignOff::Named)
}

/// Recognises a sign-off that the lexicon lists as a whole, with or without a name after a comma
fn whole_phrase(line: &str) -> Option<SignOff> {
    let (closing, rest) = line.split_at(line.find([',', '.', '!']).unwrap_or(line.len()));
    if closing.len() > LONGEST_PHRASE {
        return None;
    }
    let closing = lower(closing);
    PHRASES.binary_search(&closing.trim_matches(|c: char| !c.is_alphanumeric() && c != '"')).ok()?;
    let name = rest.trim_matches(|c: char| !c.is_alphanumeric());
    let named = names::is_name(name) || name.chars().any(is_caseless) && name.split_whitespace().count() <= 3;
    if name.is_empty() { Some(SignOff::Alone) } else { named.then_some(SignOff::Named) }
}

fn bare_word(word: &str) -> String {
    lower(word).trim_matches(|c: char| !(c.is_alphanumeric() || matches!(c, '&' | '/' | '+'))).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[rustfmt::skip]
    fn closings_in_many_languages() {
        for line in [
            "Best regards,", "Kind Regards", "Thanks!", "Thanks & Regards,", "Many thanks and best wishes",
            "Cheers", "Mit freundlichen Grüßen",
            "Viele Grüße / Best regards", "Cordialement,", "Bien à vous", "Un saludo,", "Atenciosamente,",
            "Cordiali saluti", "Met vriendelijke groet,",
            "С уважением,", "Med vänliga hälsningar", "Pozdrawiam", "此致", "敬礼!", "よろしくお願いいたします。",
            "Yours sincerely,", "--Thanks",
        ] {
            assert_eq!(sign_off(line), Some(SignOff::Alone), "{line}");
        }
        for line in ["Thanks, Bob", "Cheers Mike", "Best, Anna Smith", "Gruß Hans", "Thanks again, Bob"] {
            assert_eq!(sign_off(line), Some(SignOff::Named), "{line}");
        }
        for line in [
            "Thanks for your help with the printer", "With regards to the payment", "Best practices",
            "The best", "谢谢你的帮助", "", "Love is all you need",
        ] {
            assert_eq!(sign_off(line), None, "{line}");
        }
    }
}
