//! Decides whether a message without text in its body, such as a picture, can be classified by its subject and
//! sender.

use std::sync::LazyLock;

use regex::Regex;

use super::clean::lexicon::{self, subjects};
use super::pattern;
use crate::record::Envelope;

/// The default number of letters and digits that suffice: one telling word.
pub const MIN_TEXT: usize = 8;

/// True if the subject, without prefixes such as `Re:`, and the sender's name have at least `min` letters and digits
/// together. Without a subject nothing suffices.
pub(super) fn suffices(envelope: &Envelope, min: usize) -> bool {
    let subject = letters(without_prefixes(&lexicon::lower(envelope.subject.as_deref().unwrap_or_default())));
    let sender = envelope.from.as_deref().and_then(|from| from.split_once('<')).map_or(0, |(name, _)| letters(name));
    subject > 0 && subject + sender >= min
}

/// The number of letters and digits; characters of scripts that write a syllable or word per character count twice.
fn letters(text: &str) -> usize {
    text.chars().filter(|c| c.is_alphanumeric()).map(|c| if c >= '\u{2e80}' { 2 } else { 1 }).sum()
}

fn without_prefixes(subject: &str) -> &str {
    static PREFIXES: LazyLock<Regex> = LazyLock::new(|| {
        let words = [subjects::REPLIES, subjects::FORWARDS].concat().join("|");
        pattern(&format!(r"(?i)^(\s*({words})(\[\d+\]|\(\d+\))?\s*[:：])+"))
    });
    PREFIXES.find(subject).map_or(subject, |found| &subject[found.end()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_that_say_something() {
        let check = |subject: &str, from: &str, min: usize| {
            let some = |text: &str| (!text.is_empty()).then(|| text.to_string());
            suffices(&Envelope { subject: some(subject), from: some(from), ..Envelope::default() }, min)
        };
        assert!(check("Rechnung", "", 8));
        assert!(check("会议通知", "a@b", 8));
        assert!(check("Photos", "Ann <a@b>", 8));
        assert!(check("x", "", 0));
        assert!(!check("", "Annual General Meeting <a@b>", 0), "no subject");
        assert!(!check("Re: Fwd: RE[2]: hi", "", 8));
        assert!(!check("转发：hi", "someone@example.org", 8), "an address is no name");
        assert!(!check("🎉🎉🎉", "Ann Miller <a@b>", 1));
    }
}
