//! The weight of each group of features, down to nothing, chosen by cross-validation.

use anyhow::Result;

use super::folds::Dealt;
use super::train::TrainingRun;
use super::{Counts, FeatureGroup, NGrams, TrainingSample};

/// Lengths of the vectors of words and characters beside an embedding of length 1: the first to try, then the others.
///
/// By `model/make/feature_weights.py`: these few find what a grid of sixteen does.
const FIRST: [f32; 2] = [0.7, 1.4];
const OTHERS: [[f32; 2]; 4] = [[1.4, 1.4], [1.4, 0.7], [1.4, 0.0], [0.0, 1.4]];
/// Of words alone, where so many labels are learned that characters would take too long.
const WORDS: [[f32; 2]; 3] = [[1.0, 0.0], [2.0, 0.0], [0.5, 0.0]];
/// Lengths of the vector of subject and sender: the first to try, then the others. On mail of twenty newsgroups 1 to 1.4
/// is best.
const HEADS: f32 = 1.0;
const OTHER_HEADS: [f32; 2] = [2.0, 0.0];
/// Other weights must lower the loss by this fraction, and by so many nats: near zero all are alike.
const WORTHWHILE: f64 = 0.01;
const NOTICED: f64 = 0.001;
/// Without embedding or without n-grams it must be lower by this fraction: few samples are easily mistaken.
const FOR_GOOD: f64 = 0.08;
/// Weights are compared on folds that test at least so many samples, where there are as many.
const TESTED: usize = 100;
/// How many weights are tried at most: those above, n-grams twice as much, and no embedding or no n-grams.
const MOST_TRIED: usize = 1 + OTHERS.len() + OTHER_HEADS.len() + 2;
/// Maximum numbers of weights of a group's n-grams, and of its n-grams.
const MOST_WEIGHTS: usize = 256 * 1024;
const MOST_NGRAMS: usize = 32_768;

/// The length of the vector of each group of features; 0 where it is not used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct GroupWeights {
    pub(super) embedding: f32,
    pub(super) words: f32,
    pub(super) characters: f32,
    pub(super) heads: f32,
}

impl GroupWeights {
    fn with(self, [words, characters]: [f32; 2]) -> Self {
        Self { words, characters, ..self }
    }

    /// That of a group of n-grams.
    pub(super) fn of(&self, group: FeatureGroup) -> f32 {
        match group {
            FeatureGroup::Words => self.words,
            FeatureGroup::Characters => self.characters,
            FeatureGroup::Heads => self.heads,
        }
    }

    /// All n-grams count so many times as much beside the embedding.
    fn times(self, factor: f32) -> Self {
        Self { words: factor * self.words, characters: factor * self.characters, heads: factor * self.heads, ..self }
    }
}

impl TrainingRun<'_> {
    /// Weights that are not chosen.
    pub(super) fn usual_weights(&self) -> GroupWeights {
        let alone = GroupWeights { embedding: 1.0, words: 0.0, characters: 0.0, heads: 0.0 };
        let has_heads = self.samples.iter().any(|sample| !sample.counts.of(FeatureGroup::Heads).is_empty());
        match self.settings.ngrams {
            false => alone,
            true if self.closed_form => alone.with(WORDS[0]),
            true => GroupWeights { heads: if has_heads { HEADS } else { 0.0 }, ..alone.with(FIRST) },
        }
    }

    /// How many classifiers are fitted at most to choose the weights.
    pub(super) fn weight_fits(&self, dealt: &Dealt) -> usize {
        if self.settings.ngrams { MOST_TRIED * dealt.testing(TESTED) } else { 0 }
    }

    /// Chooses the weights: each time those that are best so far are changed in one way.
    pub(super) fn weights(&self, dealt: &Dealt, c: f64) -> Result<GroupWeights> {
        let usual = self.usual_weights();
        if !self.settings.ngrams {
            return Ok(usual);
        }
        let mut folds = dealt.first_parts(dealt.testing(TESTED));
        let mut best = (usual, f64::INFINITY);
        let mut is_better = |by: f64, change: &dyn Fn(GroupWeights) -> GroupWeights| -> Result<bool> {
            let weights = change(best.0);
            let found = self.held(dealt, &mut folds, weights, c)?.loss;
            let is_better = found < best.1 * (1.0 - by) - NOTICED;
            if is_better {
                best = (weights, found);
            }
            Ok(is_better)
        };
        is_better(WORTHWHILE, &|usual| usual)?;
        for &lengths in if self.closed_form { &WORDS[1..] } else { &OTHERS[..] } {
            is_better(WORTHWHILE, &|best| best.with(lengths))?;
        }
        for heads in OTHER_HEADS.into_iter().filter(|_| usual.heads > 0.0) {
            is_better(WORTHWHILE, &|best| GroupWeights { heads, ..best })?;
        }
        if self.closed_form {
            return Ok(best.0);
        }
        if is_better(WORTHWHILE, &|best| best.times(2.0))? {
            is_better(FOR_GOOD, &|best| GroupWeights { embedding: 0.0, ..best })?;
        } else {
            is_better(FOR_GOOD, &|best| best.times(0.0))?;
        }
        Ok(best.0)
    }

    /// The n-grams of each group that is used, with vectors of length 1.
    pub(super) fn ngrams(&self, samples: &[&TrainingSample], weights: &GroupWeights) -> Vec<NGrams> {
        let most = MOST_NGRAMS.min(MOST_WEIGHTS / self.labels);
        let counts: Vec<&Counts> = samples.iter().map(|sample| &sample.counts).collect();
        let used = FeatureGroup::ALL.into_iter().filter(|&group| weights.of(group) > 0.0);
        let learned = used.map(|group| NGrams::learn(group, &counts, most, 1.0));
        learned.filter(|ngrams| !ngrams.is_empty()).collect()
    }
}
