//! Counts the n-grams of a text.
//!
//! Words are those of Unicode (UAX #29): a Han character is a word, so bigrams stand for the words of Chinese.
//! Characters find inflected and compound words of any language again, parts of numbers and of names of products.

use unicode_normalization::UnicodeNormalization;
use unicode_segmentation::UnicodeSegmentation;

use crate::record::HeadLines;

/// Characters that are counted for each word that is: longer texts are told by their words.
const CHARACTERS: usize = 4;
/// The longest run of characters that is a feature.
const LONGEST: usize = 3;

/// A group of features beside the embedding, with a weight of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeatureGroup {
    /// Words and pairs of words.
    Words,
    /// Runs of one to three characters between blanks.
    Characters,
    /// Words of the subject, and words, address and domain of the sender, each for itself.
    Heads,
}

impl FeatureGroup {
    /// All groups, in the order of a classifier's features.
    pub const ALL: [Self; 3] = [Self::Words, Self::Characters, Self::Heads];

    /// Name of the hash and splitting in a classifier file. Must change with them.
    pub fn scheme(self) -> &'static str {
        match self {
            Self::Words => "words-1-2-fnv1a32",
            Self::Characters => "characters-1-3-fnv1a32",
            Self::Heads => "subject-sender-1-fnv1a32",
        }
    }
}

/// How often each bucket of each group occurs in a text, ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts([Vec<(u32, u32)>; FeatureGroup::ALL.len()]);

/// FNV-1a of 64 bits.
#[derive(Clone, Copy)]
struct Hash(u64);

impl Hash {
    const START: Self = Self(0xcbf2_9ce4_8422_2325);

    fn with(self, text: &str) -> Self {
        Self(text.bytes().fold(self.0, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)))
    }

    /// Multiplies, because the low bits of FNV are weak.
    fn bucket(self) -> u32 {
        (self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32
    }
}

impl Counts {
    /// Counts what `is_used` asks for in the first `most` words of a text.
    pub fn new(text: &str, heads: HeadLines, most: usize, is_used: impl Fn(FeatureGroup) -> bool) -> Self {
        Self(FeatureGroup::ALL.map(|group| match group {
            _ if !is_used(group) => Vec::new(),
            FeatureGroup::Words => counted(words(text, most)),
            FeatureGroup::Characters => counted(characters(text, most.saturating_mul(CHARACTERS))),
            FeatureGroup::Heads => counted(heads_of(heads.subject(text), heads.sender(text), most)),
        }))
    }

    /// The buckets of a group.
    pub fn of(&self, group: FeatureGroup) -> &[(u32, u32)] {
        &self.0[group as usize]
    }
}

fn counted(mut buckets: Vec<u32>) -> Vec<(u32, u32)> {
    buckets.sort_unstable();
    buckets.chunk_by(|a, b| a == b).map(|same| (same[0], same.len() as u32)).collect()
}

fn words(text: &str, most: usize) -> Vec<u32> {
    let mut buckets = Vec::new();
    let mut word = String::new();
    let mut before: Option<Hash> = None;
    for found in text.unicode_words().take(most) {
        word.clear();
        normalise(found, &mut word);
        let hash = Hash::START.with(&word);
        buckets.push(hash.bucket());
        buckets.extend(before.map(|before| before.with(" ").with(&word).bucket()));
        before = Some(hash);
    }
    buckets
}

/// Runs of the first `most` characters, with a blank before and after what blanks divide.
fn characters(text: &str, most: usize) -> Vec<u32> {
    let (mut buckets, mut run, mut room) = (Vec::new(), String::new(), most);
    for found in text.split_whitespace() {
        run.clear();
        run.push(' ');
        normalise(found, &mut run);
        if let Some((end, _)) = run.char_indices().nth(room + 1) {
            run.truncate(end);
        }
        run.push(' ');
        for (start, _) in run.char_indices() {
            let mut hash = Hash::START;
            for (length, (at, character)) in run[start..].char_indices().take(LONGEST).enumerate() {
                hash = hash.with(&run[start + at..][..character.len_utf8()]);
                // A blank alone says nothing.
                if length > 0 || character != ' ' {
                    buckets.push(hash.bucket());
                }
            }
        }
        room = room.saturating_sub(run.chars().count() - 2);
        if room == 0 {
            break;
        }
    }
    buckets
}

/// Words of the subject, and of the sender its words, its address and its domain.
fn heads_of(subject: &str, sender: &str, most: usize) -> Vec<u32> {
    let mut buckets = Vec::new();
    let mut add = |field: &str, text: &str| {
        let mut word = String::new();
        normalise(text, &mut word);
        buckets.push(Hash::START.with(field).with(&word).bucket());
    };
    subject.unicode_words().take(most).for_each(|word| add("subject ", word));
    let is_around = |c: char| "<>()[]\",;".contains(c);
    for part in sender.split_whitespace().map(|part| part.trim_matches(is_around)).take(most) {
        match part.rsplit_once('@') {
            Some((_, domain)) => {
                add("address ", part);
                add("domain ", domain);
            }
            None => part.unicode_words().for_each(|word| add("sender ", word)),
        }
    }
    buckets
}

/// NFKC and lower case. Every digit becomes `0`, because numbers differ from message to message.
fn normalise(word: &str, out: &mut String) {
    let digits = |c: char| if c.is_ascii_digit() { '0' } else { c };
    if word.is_ascii() {
        out.extend(word.chars().map(|c| digits(c.to_ascii_lowercase())));
    } else {
        out.extend(word.nfkc().flat_map(char::to_lowercase).map(digits));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(group: FeatureGroup, text: &str, most: usize) -> Vec<(u32, u32)> {
        Counts::new(text, HeadLines::default(), most, |other| other == group).of(group).to_vec()
    }

    #[test]
    fn words_and_pairs_are_counted() {
        let count = |text: &str, most: usize| count(FeatureGroup::Words, text, most);
        assert_eq!(count("", 9), []);
        let once = count("Pay the bill", 9);
        assert_eq!(once.len(), 5);
        assert_eq!(count("pay THE bill!", 9), once);
        assert_eq!(count("pay the bill now", 3), once);
        assert_eq!(count("order 4711", 9), count("Order 0815", 9));
        let twice = count("pay pay", 9);
        assert_eq!(twice.iter().map(|(_, count)| count).sum::<u32>(), 3);
        // Four characters and three pairs.
        assert_eq!(count("会议邀请", 9).len(), 7);
        assert_eq!(count("ﬁne", 9), count("FINE", 9));
        // A bucket in a file of an earlier version means the same word.
        assert_eq!(count("invoice", 9), [(3_313_912_485, 1)]);
    }

    #[test]
    fn characters_are_counted_between_blanks() {
        let count = |text: &str, most: usize| count(FeatureGroup::Characters, text, most);
        assert_eq!(count(" \n", 9), []);
        // a, b; " a", ab, "b "; " ab", "ab ".
        assert_eq!(count("ab", 9).len(), 7);
        assert_eq!(count("AB\n", 9), count("ab", 9));
        assert_eq!(count("ab ab", 9).iter().map(|(_, count)| count).sum::<u32>(), 14);
        assert_eq!(count("ab c", 9).len(), 11);
        assert_eq!(count("发票", 9).len(), 7);
        // The first characters of each word, and no more than so many words.
        assert_eq!(count(&"abcde ".repeat(90), 1), count("abcd", 1));
        assert_eq!(count(&"ab cd ef gh ".repeat(90), 1), count("ab cd", 9));
    }

    #[test]
    fn subject_and_sender_are_counted_for_themselves() {
        let text = "Invoice 12\nThe Billing <noreply@Shop.example>\nWe bill you.";
        let heads = HeadLines { subject: 11, sender: text.find("We").unwrap() };
        let of = |text: &str, heads: HeadLines| Counts::new(text, heads, 9, |_| true).of(FeatureGroup::Heads).to_vec();
        // invoice, 00; the, billing, noreply@shop.example, shop.example
        assert_eq!(of(text, heads).len(), 6);
        assert_eq!(of(&text.replace("We bill", "They sell"), heads), of(text, heads));
        assert_ne!(of(&text.replace("Shop", "Bank"), heads), of(text, heads));
        assert_eq!(of("the billing", HeadLines::default()), []);
        let words = |heads: HeadLines| Counts::new(text, heads, 9, |_| true).of(FeatureGroup::Words).to_vec();
        assert_eq!(words(heads), words(HeadLines::default()));
    }
}
