//! Scores of candidates: BM25 over words and grams, and how it is joined with the cosine.
//!
//! Ranks say nothing about how sure a list is: where no word of a question stands in any passage, the first by keywords is
//! still the first. So the scores are joined, each on a scale that means the same for every query. The keyword score is
//! divided by what a passage with every word of the query once would have; it is near 0 where the words are not found, and
//! the cosines decide. A cosine is counted in standard deviations above the mean of all passages, times the trust in the
//! model: how far it stands out, whatever the range of the model's cosines.

use rayon::prelude::*;

use super::candidates::Terms;
use super::statistics::{KeyMap, Statistics, has_length, key};
use super::texts::UnitText;
use super::tokens::TokenForm;

/// The usual numbers of BM25: how soon repetitions stop to count, and how much long passages are held back.
const K1: f32 = 0.9;
const B: f32 = 0.4;

/// What grams count beside words.
const GRAMS: f32 = 0.3;

/// Standard deviations that are worth as much as all words of a query, for a model with a trust of 1.
const DEVIATIONS: f32 = 6.0;

/// The keyword scores of candidates, in their order: 0 for none of the words, about 1 for all of them. `has_words` tells
/// of a unit that it has a word in another form; grams alone are no word of the query.
pub(super) fn keyword_scores(
    candidates: &[UnitText],
    terms: &Terms,
    statistics: &Statistics,
    has_words: &(dyn Fn(i64) -> bool + Sync),
) -> Vec<f32> {
    let words: KeyMap<usize> = terms.words.iter().enumerate().map(|(at, term)| (term.key, at)).collect();
    let grams: KeyMap<usize> = terms.grams.iter().enumerate().map(|(at, &key)| (key, at)).collect();
    let gram_rarities: Vec<f32> = terms.grams.iter().map(|&key| statistics.rarity(statistics.with_gram(key))).collect();
    let rarities: Vec<f32> = terms.words.iter().map(|term| term.rarity).collect();
    let most: f32 = rarities.iter().sum();
    if most <= 0.0 {
        return vec![0.0; candidates.len()];
    }
    let score = |candidate: &UnitText| {
        let counts = TermCounts::of(candidate, terms, &words, &grams);
        let word_score = bm25(&counts.words, &rarities, counts.length, statistics.mean_words());
        if word_score <= 0.0 && !has_words(candidate.unit) {
            return 0.0;
        }
        let gram_score = bm25(&counts.grams, &gram_rarities, counts.gram_length, statistics.mean_grams());
        (word_score + GRAMS * gram_score) / most
    };
    candidates.par_iter().map(score).collect()
}

fn bm25(counts: &[u32], rarities: &[f32], length: u32, mean: f32) -> f32 {
    let held_back = K1 * (1.0 - B + B * length as f32 / mean);
    let part = |(&count, &rarity): (&u32, &f32)| rarity * count as f32 * (K1 + 1.0) / (count as f32 + held_back);
    counts.iter().zip(rarities).filter(|&(&count, _)| count > 0).map(part).sum()
}

/// How often a passage has each word and gram of the query.
struct TermCounts {
    words: Vec<u32>,
    grams: Vec<u32>,
    length: u32,
    gram_length: u32,
}

impl TermCounts {
    fn of(candidate: &UnitText, terms: &Terms, words: &KeyMap<usize>, grams: &KeyMap<usize>) -> Self {
        let mut counts =
            Self { words: vec![0; terms.words.len()], grams: vec![0; grams.len()], length: 0, gram_length: 0 };
        let count = |list: &mut Vec<u32>, at: Option<&usize>, times: u32| {
            if let Some(count) = at.and_then(|&at| list.get_mut(at)) {
                *count += times;
            }
        };
        candidate.parts().tokens(&mut |token, times| {
            let key = key(token.text);
            if has_length(token.form) {
                counts.length += times;
            }
            match token.form {
                TokenForm::Gram => {
                    counts.gram_length += times;
                    count(&mut counts.grams, grams.get(&key), times);
                    // A single character of the query is found in every pair.
                    let single = words
                        .get(&key)
                        .filter(|&&at| terms.words.get(at).is_some_and(|term| term.form == TokenForm::Single));
                    count(&mut counts.words, single, times);
                }
                TokenForm::Single | TokenForm::Last => {}
                _ => count(&mut counts.words, words.get(&key), times),
            }
        });
        counts
    }
}

/// What a cosine adds to a keyword score.
pub(super) fn cosine_score(cosine: f32, mean: f32, spread: f32, trust: f32) -> f32 {
    if spread > 1e-6 { trust * (cosine - mean) / spread / DEVIATIONS } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::knowledge::statistics::{Counted, Parts};

    #[test]
    fn the_better_passage_has_the_higher_score() {
        for (query, texts) in [
            ("return of goods", ["the return of goods is free", "the goods", "of the sea"]),
            ("违约责任", ["第七条 违约责任", "责任保险", "付款方式"]),
            ("Verteidigung", ["die Verteidigung", "der Verteidiger", "das Spiel"]),
            ("款", ["付款条款", "付款方式", "违约责任"]),
        ] {
            let candidates: Vec<UnitText> = (0..)
                .zip(texts)
                .map(|(unit, text)| UnitText { unit, head: String::new(), text: text.into(), question: 0 })
                .collect();
            let mut statistics = Statistics::default();
            for text in texts {
                statistics.add(&Counted::of(Parts { head: "", text, question: 0 }));
            }
            let mut terms = Terms::of(query);
            terms.words.iter_mut().for_each(|term| term.rarity = 1.0);
            let scores = keyword_scores(&candidates, &terms, &statistics, &|_| true);
            assert!(scores[0] > scores[1] && scores[1] > scores[2] && scores[2] >= 0.0, "{query} {scores:?}");
            // A passage that has grams of a word and no form of it has nothing of the query.
            let exact = keyword_scores(&candidates, &terms, &statistics, &|_| false);
            assert!(exact[0] == scores[0] && (query != "Verteidigung" || exact[1] == 0.0), "{query} {exact:?}");
        }
    }

    #[test]
    fn a_cosine_counts_by_how_far_it_stands_out() {
        assert_eq!(cosine_score(0.9, 0.9, 0.0, 1.0), 0.0);
        assert!(cosine_score(0.5, 0.1, 0.1, 0.2) > cosine_score(0.9, 0.8, 0.1, 0.2));
        assert!(cosine_score(0.0, 0.1, 0.1, 0.2) < 0.0);
    }
}
