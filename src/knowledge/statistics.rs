//! What is known of all passages together: how many there are, how long they are, and how many have a gram.
//!
//! Grams are counted by hash in a table of fixed size. Two grams that share a place look more common than they are,
//! which only weakens them.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

use anyhow::{Result, ensure};

use super::tokens::{SearchToken, TokenForm, tokenize};

/// Places in the table of grams.
const PLACES: usize = 1 << 16;

/// Bytes of a stored place: its number and its count.
const STORED: usize = 6;

/// A number for a token. It need not withstand an attack: tokens with the same number would only be taken for each other.
pub(super) fn key(token: &str) -> u64 {
    let step = |hash: u64, word: u64| (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    let (words, rest) = token.as_bytes().as_chunks::<8>();
    let mut hash = words.iter().fold(token.len() as u64, |hash, word| step(hash, u64::from_le_bytes(*word)));
    let mut last = [0; 8];
    last.iter_mut().zip(rest).for_each(|(to, &from)| *to = from);
    hash = step(hash, u64::from_le_bytes(last));
    hash ^ (hash >> 31)
}

/// A hasher for maps by [`key`], which is a hash already.
#[derive(Default)]
pub(super) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.0 = self.0.rotate_left(8) ^ u64::from(byte));
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

/// A map from [`key`]s.
pub(super) type KeyMap<T> = HashMap<u64, T, BuildHasherDefault<KeyHasher>>;

/// A set of [`key`]s.
pub(super) type KeySet = HashSet<u64, BuildHasherDefault<KeyHasher>>;

/// The parts of a passage that are searched: what stands above it, and its text, in which a question may come first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts<'a> {
    pub(super) head: &'a str,
    pub(super) text: &'a str,
    /// Bytes of the question, whose words count twice.
    pub(super) question: usize,
}

impl Parts<'_> {
    /// Calls `each` for all tokens, with the number of times that each counts.
    pub(super) fn tokens(self, each: &mut dyn FnMut(SearchToken<'_>, u32)) {
        tokenize(self.head, &mut |token| each(token, 1));
        tokenize(self.text, &mut |token| {
            let times = if token.range.end <= self.question { 2 } else { 1 };
            each(token, times);
        });
    }
}

/// True for the tokens that the length of a passage is counted in.
pub(super) fn has_length(form: TokenForm) -> bool {
    matches!(form, TokenForm::Word | TokenForm::Pair | TokenForm::Single)
}

/// One passage, as far as it is counted.
#[derive(Debug, Default)]
pub(super) struct Counted {
    words: u64,
    grams: u64,
    /// The places of its grams, each once.
    places: Vec<u16>,
    /// Its indexed tokens, each once, separated by blanks.
    pub(super) line: String,
    /// How many those are.
    pub(super) tokens: usize,
}

impl Counted {
    pub(super) fn of(parts: Parts<'_>) -> Self {
        let (mut counted, mut seen) = (Self::default(), KeySet::default());
        parts.tokens(&mut |token, times| {
            let key = key(token.text);
            if token.form == TokenForm::Gram {
                counted.grams += u64::from(times);
                counted.places.push(place(key));
                return;
            }
            counted.words += u64::from(times) * u64::from(has_length(token.form));
            if seen.insert(key) {
                counted.line.push_str(token.text);
                counted.line.push(' ');
            }
        });
        counted.tokens = seen.len();
        counted.places.sort_unstable();
        counted.places.dedup();
        counted
    }
}

fn place(key: u64) -> u16 {
    (key >> 40) as u16
}

/// Counts over all passages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Statistics {
    pub(super) units: u64,
    words: u64,
    grams: u64,
    counts: Vec<u32>,
}

impl Default for Statistics {
    fn default() -> Self {
        Self { units: 0, words: 0, grams: 0, counts: vec![0; PLACES] }
    }
}

impl Statistics {
    pub(super) fn add(&mut self, counted: &Counted) {
        self.units += 1;
        self.words += counted.words;
        self.grams += counted.grams;
        self.change(counted, |count| count.saturating_add(1));
    }

    pub(super) fn remove(&mut self, counted: &Counted) {
        self.units = self.units.saturating_sub(1);
        self.words = self.words.saturating_sub(counted.words);
        self.grams = self.grams.saturating_sub(counted.grams);
        self.change(counted, |count| count.saturating_sub(1));
    }

    fn change(&mut self, counted: &Counted, change: impl Fn(u32) -> u32) {
        for &place in &counted.places {
            if let Some(count) = self.counts.get_mut(usize::from(place)) {
                *count = change(*count);
            }
        }
    }

    /// Mean number of words of a passage, at least 1.
    pub(super) fn mean_words(&self) -> f32 {
        (self.words as f32 / self.units.max(1) as f32).max(1.0)
    }

    /// Mean number of grams of a passage, at least 1.
    pub(super) fn mean_grams(&self) -> f32 {
        (self.grams as f32 / self.units.max(1) as f32).max(1.0)
    }

    /// In how many passages a gram stands, or a few more.
    pub(super) fn with_gram(&self, key: u64) -> u64 {
        self.counts.get(usize::from(place(key))).copied().unwrap_or(0).into()
    }

    /// What one more word in a query is worth if it stands in `found` passages: its inverse document frequency.
    pub(super) fn rarity(&self, found: u64) -> f32 {
        let (all, found) = (self.units.max(found) as f32, found as f32);
        ((all - found + 0.5) / (found + 0.5)).ln_1p()
    }

    /// As it is stored: three numbers, then the places that are in use.
    pub(super) fn pack(&self) -> Vec<u8> {
        let numbers = [self.units, self.words, self.grams];
        let mut packed: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        for (place, count) in self.counts.iter().enumerate().filter(|&(_, &count)| count > 0) {
            packed.extend((place as u16).to_le_bytes());
            packed.extend(count.to_le_bytes());
        }
        packed
    }

    pub(super) fn unpack(packed: &[u8]) -> Result<Self> {
        let damaged = "the counts of the index are damaged; make it anew";
        let (numbers, places) = packed.split_at_checked(24).ok_or_else(|| anyhow::anyhow!(damaged))?;
        let (numbers, _) = numbers.as_chunks::<8>();
        let mut numbers = numbers.iter().map(|number| u64::from_le_bytes(*number));
        let (places, rest) = places.as_chunks::<STORED>();
        ensure!(rest.is_empty(), damaged);
        let mut next = || numbers.next().unwrap_or(0);
        let mut statistics = Self { units: next(), words: next(), grams: next(), ..Self::default() };
        for &[low, high, count @ ..] in places {
            if let Some(place) = statistics.counts.get_mut(usize::from(u16::from_le_bytes([low, high]))) {
                *place = u32::from_le_bytes(count);
            }
        }
        Ok(statistics)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_can_be_removed() {
        let parts = |text| Parts { head: "", text, question: 0 };
        let one = Counted::of(parts("违约责任 of the supplier"));
        let other = Counted::of(parts("another supplier"));
        let mut statistics = Statistics::default();
        statistics.add(&one);
        let before = statistics.clone();
        statistics.add(&other);
        assert_eq!((statistics.units, statistics.with_gram(key("supp")), statistics.with_gram(key("约"))), (2, 2, 1));
        assert_eq!(Statistics::unpack(&statistics.pack()).unwrap(), statistics);
        statistics.remove(&other);
        assert_eq!(statistics, before);
        assert!(Statistics::unpack(b"x").is_err() && Statistics::unpack(&[0; 25]).is_err());
        assert!(statistics.rarity(0) > statistics.rarity(1) && statistics.rarity(5) > 0.0);
    }

    #[test]
    fn a_question_counts_twice() {
        let text = "may I return it?\nyes you may";
        assert_eq!(Counted::of(Parts { head: "faq", text, question: 16 }).words, 1 + 8 + 3);
    }
}
