//! Hashed unigrams and bigrams of words with tf-idf weights, normalised to a fixed length.
//!
//! Unknown words count for the length, so that new words in a message do not amplify the known ones. On small sets this
//! is worth one to several points of accuracy.
//!
//! Buckets are 32-bit hashes, so a classifier file contains no words of its training data. Words are those of Unicode
//! (UAX #29): a Han character is a word, so bigrams stand for the words of Chinese.

use std::collections::HashMap;

use unicode_normalization::UnicodeNormalization;
use unicode_segmentation::UnicodeSegmentation;

/// Name of the hash and word splitting in a classifier file. Must change with them.
pub const SCHEME: &str = "words-1-2-fnv1a32";

/// Buckets of a text and how often each occurs, ascending.
pub type Counts = Vec<(u32, u32)>;

/// The vocabulary of a classifier: buckets and their inverse document frequencies.
#[derive(Clone, Debug, PartialEq)]
pub struct NGrams {
    /// Ascending.
    pub buckets: Vec<u32>,
    /// Inverse document frequencies, in the order of the buckets.
    pub idf: Vec<f32>,
    /// Inverse document frequency of an unknown bucket.
    pub unknown: f32,
    /// Length of the vector of a text whose words are all known.
    pub scale: f32,
}

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

/// Counts the first `most` words of a text and their bigrams.
pub fn count(text: &str, most: usize) -> Counts {
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
    buckets.sort_unstable();
    buckets.chunk_by(|a, b| a == b).map(|same| (same[0], same.len() as u32)).collect()
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

impl NGrams {
    /// Takes the `most` buckets that occur in most texts. `scale` is the length of vectors; that of an embedding is 1.
    pub fn learn(texts: &[&Counts], most: usize, scale: f32) -> Self {
        let mut documents: HashMap<u32, u32> = HashMap::new();
        texts.iter().flat_map(|text| text.iter()).for_each(|(bucket, _)| *documents.entry(*bucket).or_default() += 1);
        let mut kept: Vec<(u32, u32)> = documents.into_iter().collect();
        kept.sort_unstable_by_key(|&(bucket, count)| (std::cmp::Reverse(count), bucket));
        kept.truncate(most);
        kept.sort_unstable();
        let all = texts.len() as f64;
        let idf = |count: u32| (((1.0 + all) / (1.0 + f64::from(count))).ln() + 1.0) as f32;
        Self {
            idf: kept.iter().map(|&(_, count)| idf(count)).collect(),
            unknown: idf(0),
            buckets: kept.into_iter().map(|(bucket, _)| bucket).collect(),
            scale,
        }
    }

    /// Number of buckets.
    pub fn len(&self) -> usize {
        self.buckets.len()
    }

    /// True without buckets.
    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    /// The vector of a text: indices of known buckets and their values.
    pub fn vector(&self, counts: &Counts) -> Vec<(u32, f32)> {
        let mut square = 0.0;
        let known = |&(bucket, count): &(u32, u32)| {
            let found = self.buckets.binary_search(&bucket).ok();
            let value = (1.0 + (count as f32).ln()) * found.map_or(self.unknown, |at| self.idf[at]);
            square += value * value;
            found.map(|at| (at as u32, value))
        };
        let mut vector: Vec<(u32, f32)> = counts.iter().filter_map(known).collect();
        if square > 0.0 {
            let factor = self.scale / square.sqrt();
            vector.iter_mut().for_each(|(_, value)| *value *= factor);
        }
        vector
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_pairs_are_counted() {
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
    }

    #[test]
    fn vectors_have_one_length_and_rare_words_count_more() {
        let texts = [count("the invoice", 9), count("the meeting", 9), count("the the train", 9)];
        let texts: Vec<&Counts> = texts.iter().collect();
        let grams = NGrams::learn(&texts, 100, 1.5);
        let length = |vector: &[(u32, f32)]| vector.iter().map(|(_, value)| value * value).sum::<f32>().sqrt();
        for text in &texts {
            assert!((length(&grams.vector(text)) - 1.5).abs() < 1e-6);
        }
        assert!(length(&grams.vector(&count("the unheard of invoice", 9))) < 1.0);
        let value = |word: &str| grams.vector(&count(&format!("the {word}"), 9));
        let of = |text: &str| grams.buckets.binary_search(&count(text, 9)[0].0).unwrap() as u32;
        let vector = value("invoice");
        let weight = |word: &str| vector.iter().find(|(at, _)| *at == of(word)).unwrap().1;
        assert!(weight("invoice") > weight("the"));
        assert_eq!(grams.vector(&count("unheard", 9)), []);
        assert_eq!(NGrams::learn(&texts, 1, 1.5).buckets, [count("the", 9)[0].0]);
    }
}
