//! Hashed n-grams with tf-idf weights, normalised to a fixed length in each group: words and their pairs, characters,
//! and words of the subject and the sender.
//!
//! Unknown n-grams count for the length, so that new words in a message do not amplify the known ones. On small sets
//! this is worth one to several points of accuracy.
//!
//! Buckets are 32-bit hashes, so a classifier file contains no words of its training data.

mod count;

use std::collections::HashMap;

pub use count::{Counts, FeatureGroup};

/// The vocabulary of a group: buckets and their inverse document frequencies.
#[derive(Clone, Debug, PartialEq)]
pub struct NGrams {
    /// What was hashed.
    pub group: FeatureGroup,
    /// Ascending.
    pub buckets: Vec<u32>,
    /// Inverse document frequencies, in the order of the buckets.
    pub idf: Vec<f32>,
    /// Inverse document frequency of an unknown bucket.
    pub unknown: f32,
    /// Length of the vector of a text whose n-grams are all known.
    pub scale: f32,
}

impl NGrams {
    /// Takes the `most` buckets that occur in most texts. `scale` is the length of vectors; that of an embedding is 1.
    pub fn learn(group: FeatureGroup, texts: &[&Counts], most: usize, scale: f32) -> Self {
        let mut documents: HashMap<u32, u32> = HashMap::new();
        let buckets = texts.iter().flat_map(|text| text.of(group));
        buckets.for_each(|(bucket, _)| *documents.entry(*bucket).or_default() += 1);
        let mut kept: Vec<(u32, u32)> = documents.into_iter().collect();
        kept.sort_unstable_by_key(|&(bucket, count)| (std::cmp::Reverse(count), bucket));
        kept.truncate(most);
        kept.sort_unstable();
        let all = texts.len() as f64;
        let idf = |count: u32| (((1.0 + all) / (1.0 + f64::from(count))).ln() + 1.0) as f32;
        Self {
            group,
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
        let mut vector: Vec<(u32, f32)> = counts.of(self.group).iter().filter_map(known).collect();
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
    use crate::record::HeadLines;

    fn words(text: &str) -> Counts {
        Counts::new(text, HeadLines::default(), 9, |group| group == FeatureGroup::Words)
    }

    #[test]
    fn vectors_have_one_length_and_rare_words_count_more() {
        let texts = [words("the invoice"), words("the meeting"), words("the the train")];
        let texts: Vec<&Counts> = texts.iter().collect();
        let grams = NGrams::learn(FeatureGroup::Words, &texts, 100, 1.5);
        let length = |vector: &[(u32, f32)]| vector.iter().map(|(_, value)| value * value).sum::<f32>().sqrt();
        for text in &texts {
            assert!((length(&grams.vector(text)) - 1.5).abs() < 1e-6);
        }
        assert!(length(&grams.vector(&words("the unheard of invoice"))) < 1.0);
        let bucket = |text: &str| words(text).of(FeatureGroup::Words)[0].0;
        let vector = grams.vector(&words("the invoice"));
        let weight = |word: &str| {
            let at = grams.buckets.binary_search(&bucket(word)).unwrap() as u32;
            vector.iter().find(|(other, _)| *other == at).unwrap().1
        };
        assert!(weight("invoice") > weight("the"));
        assert_eq!(grams.vector(&words("unheard")), []);
        assert_eq!(NGrams::learn(FeatureGroup::Words, &texts, 1, 1.5).buckets, [bucket("the")]);
        assert!(NGrams::learn(FeatureGroup::Characters, &texts, 1, 1.5).is_empty());
    }
}
