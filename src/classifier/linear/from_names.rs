//! Learning from the names of labels and from texts without one: self-training, whose first pseudo-labels are those of
//! zero-shot classification.
//!
//! The names score all texts; with a few labelled samples of every label, what these teach beside the names does. Of
//! the texts of each label the surest share trains a classifier, to whose logits a part of those first ones is added:
//! it contradicts what a wrong guess would teach. That scores all texts again, and a larger share of each label trains
//! the classifier that is kept.
//!
//! Nobody has said which of these samples are right, so no accuracy can be measured here. What can be is whether the
//! texts show what the names say: see [`Harm`].

use std::mem;

use anyhow::{Result, ensure};
use rayon::prelude::*;

use super::design::TrainingSample;
use super::train::{FitProgress, Settings, fit_few, fit_once};
use super::{LinearModel, Link, Prior};

/// The share of the texts of each label that the rounds learn from. These numbers and those below were chosen by
/// `model/make/from_names.py`.
const SHARES: [f64; 2] = [0.3, 0.6];
/// Inverse strength of the penalty.
const C: f64 = 1.0;
/// The part of the first logits that is added to those of the classifier.
const FIRST: f32 = 0.4;
/// The temperature of their sum.
const TEMPERATURE: f32 = 1.1;
/// With fewer texts, or fewer of them a label, too little is seen of what mail is like.
const FEWEST: usize = 100;
const FEWEST_EACH: usize = 5;
/// No development set had a larger share of the texts for one label, or fewer texts that keep the label of the round
/// before, so nobody knows whether anything is gained there.
const MOST: f64 = 0.8;
const SETTLED: f64 = 0.8;
/// From this probability on a text counts as sure.
const SURE: f32 = 0.5;

/// What is learned from names.
#[derive(Clone, Debug)]
pub struct FromNames {
    /// The classifier.
    pub model: LinearModel,
    /// Its C.
    pub c: f64,
    /// Indices of the texts that it was trained on, ascending.
    pub learned: Vec<usize>,
    /// What was found of each label.
    pub labels: Vec<FoundLabel>,
    /// Share of the texts whose label is the first one.
    pub unchanged: f64,
    /// Share of the texts whose label is that of the round before.
    pub settled: f64,
    /// Share of the texts whose label has a probability of at least one half: at first, and by the classifier.
    pub sure: [f64; 2],
    /// Why the names alone may sort better.
    pub doubt: Option<Harm>,
}

/// How many texts were found of a label.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FoundLabel {
    /// Texts that get it at first.
    pub first: usize,
    /// Texts that it was learned from.
    pub learned: usize,
    /// Texts that get it from the classifier.
    pub given: usize,
}

/// A sign that learning does harm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Harm {
    /// There are fewer texts than this.
    FewTexts(usize),
    /// One label, of this number, has nearly all texts.
    OneLabel(usize),
    /// The rounds disagree.
    Unsettled,
}

/// The best label of a text.
#[derive(Clone, Copy)]
struct Guess {
    label: usize,
    probability: f32,
    /// How far the second label is behind.
    margin: f32,
}

/// So many texts without a label it takes to learn from names.
pub fn fewest_texts(labels: usize) -> usize {
    FEWEST.max(FEWEST_EACH * labels)
}

/// Learns from `texts`, which have no labels, and from the labelled samples that there are. `names` says what the names
/// of the labels say. `stop` is told how far a fit is.
///
/// # Errors
/// When there are no texts, a sample has several labels, the numbers overflow, or `stop` returns true.
pub fn learn(
    texts: &[TrainingSample],
    labelled: &[TrainingSample],
    names: &Prior,
    settings: &Settings,
    stop: &(dyn Fn(FitProgress) -> bool + Sync),
) -> Result<FromNames> {
    ensure!(!texts.is_empty(), "no text is left to learn from");
    ensure!(
        settings.link == Link::Softmax,
        "texts without a label are learned from only where a sample has one label, and some have several"
    );
    let (labels, c) = (names.labels(), settings.c.unwrap_or(C));
    let has_sample = |label: usize| labelled.iter().any(|sample| sample.labels.contains(&label));
    let start = if (0..labels).all(has_sample) {
        // Words are left to the rounds, so that the logits can be added.
        fit_few(labelled, labels, &Settings { ngrams: false, ..settings.clone() }, stop)?
    } else {
        // Samples of some labels would teach that the others do not occur.
        names.model()
    };
    let first = guesses(&start, texts);
    let (mut guessed, mut before) = (first.clone(), Vec::new());
    let mut last = None;
    for share in SHARES {
        let chosen = surest(&guessed, labels, share);
        let sample = |&at: &usize| TrainingSample { labels: vec![guessed[at].label], ..texts[at].clone() };
        let samples: Vec<TrainingSample> = chosen.iter().map(sample).chain(labelled.iter().cloned()).collect();
        let mut model = fit_once(&samples, labels, settings, c, stop)?;
        model.temperature = TEMPERATURE;
        add(&mut model, &start);
        before = mem::replace(&mut guessed, guesses(&model, texts));
        last = Some((model, chosen));
    }
    let (model, learned) = last.ok_or_else(|| anyhow::anyhow!("there are no rounds"))?;
    let mut found = vec![FoundLabel::default(); labels];
    first.iter().for_each(|guess| found[guess.label].first += 1);
    learned.iter().for_each(|&at| found[before[at].label].learned += 1);
    guessed.iter().for_each(|guess| found[guess.label].given += 1);
    let settled = agreement(&before, &guessed);
    Ok(FromNames {
        model,
        c,
        learned,
        unchanged: agreement(&first, &guessed),
        settled,
        sure: [&first, &guessed].map(|guesses| share(guesses, |guess| guess.probability >= SURE)),
        doubt: doubt(&found, texts.len(), settled),
        labels: found,
    })
}

/// Adds a part of the logits of `start`, which knows no words, to those of `model`.
fn add(model: &mut LinearModel, start: &LinearModel) {
    let part = FIRST / start.temperature;
    model.weights.iter_mut().zip(&start.weights).for_each(|(weight, first)| *weight += part * first);
    model.intercepts.iter_mut().zip(&start.intercepts).for_each(|(weight, first)| *weight += part * first);
}

/// The sign that learning does harm, if there is one.
fn doubt(found: &[FoundLabel], texts: usize, settled: f64) -> Option<Harm> {
    let fewest = fewest_texts(found.len());
    if texts < fewest {
        return Some(Harm::FewTexts(fewest));
    }
    let swallows = |found: &FoundLabel| found.given as f64 > MOST * texts as f64;
    let one_label = found.iter().position(swallows).map(Harm::OneLabel);
    one_label.or((settled < SETTLED).then_some(Harm::Unsettled))
}

fn guesses(model: &LinearModel, texts: &[TrainingSample]) -> Vec<Guess> {
    let guess = |text: &TrainingSample| {
        let probabilities = model.scores(&text.vector, &text.counts).probabilities;
        let mut best = Guess { label: 0, probability: 0.0, margin: 0.0 };
        let mut second = 0.0f32;
        for (label, &probability) in probabilities.iter().enumerate() {
            if probability > best.probability {
                second = best.probability;
                best = Guess { label, probability, margin: 0.0 };
            } else {
                second = second.max(probability);
            }
        }
        Guess { margin: best.probability - second, ..best }
    };
    texts.par_iter().map(guess).collect()
}

/// This share of the texts of each label, those with the largest margins: their indices, ascending.
fn surest(guesses: &[Guess], labels: usize, share: f64) -> Vec<usize> {
    let mut by_label = vec![Vec::new(); labels];
    guesses.iter().enumerate().for_each(|(at, guess)| by_label[guess.label].push(at));
    let mut chosen = Vec::new();
    for mut found in by_label {
        found.sort_by(|&a, &b| guesses[b].margin.total_cmp(&guesses[a].margin));
        found.truncate((share * found.len() as f64).ceil() as usize);
        chosen.extend(found);
    }
    chosen.sort_unstable();
    chosen
}

/// The share of the texts to which both give the same label.
fn agreement(some: &[Guess], others: &[Guess]) -> f64 {
    let same = some.iter().zip(others).filter(|(one, other)| one.label == other.label);
    same.count() as f64 / some.len().max(1) as f64
}

fn share(guesses: &[Guess], is_meant: impl Fn(&Guess) -> bool) -> f64 {
    guesses.iter().filter(|guess| is_meant(guess)).count() as f64 / guesses.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classifier::linear::{Counts, LabelWeights};

    /// Texts around three corners, which the names of the labels point to roughly; each third is of one label.
    fn texts(count: usize) -> Vec<TrainingSample> {
        let noise = |at: usize| ((at * 7919 + 13) % 101) as f32 / 101.0 - 0.5;
        let text = |at: usize| TrainingSample {
            vector: (0..6).map(|dim| f32::from(u8::from(dim == at % 3)) + noise(at * 6 + dim)).collect(),
            counts: Counts::default(),
            labels: Vec::new(),
            weight: 1.0,
        };
        (0..count).map(text).collect()
    }

    /// Each points to its corner, and half as much to the next.
    fn names(labels: usize) -> Prior {
        let name = |label: usize| {
            let towards = |dim: usize| {
                if dim == label {
                    0.6
                } else if label < 3 && dim == (label + 1) % 3 {
                    0.3
                } else {
                    0.0
                }
            };
            Some((0..6).map(towards).collect())
        };
        Prior::new(&(0..labels).map(name).collect::<Vec<_>>(), 4.0).unwrap()
    }

    fn settings() -> Settings {
        let link = Link::Softmax;
        Settings { link, seed: 1, folds: 5, c: None, ngrams: false, label_weights: LabelWeights::Balanced, prior: None }
    }

    fn right(model: &LinearModel, texts: &[TrainingSample]) -> usize {
        guesses(model, texts).iter().enumerate().filter(|(at, guess)| guess.label == at % 3).count()
    }

    #[test]
    fn texts_correct_what_names_say() {
        let (texts, names) = (texts(300), names(4));
        let made = learn(&texts, &[], &names, &settings(), &|_| false).unwrap();
        let (before, after) = (right(&names.model(), &texts), right(&made.model, &texts));
        assert!(after > before && after > 270, "{before} {after}");
        assert!(made.doubt.is_none() && made.unchanged < 1.0 && made.settled > 0.9, "{made:?}");
        let sum = |which: fn(&FoundLabel) -> usize| made.labels.iter().map(which).sum::<usize>();
        assert_eq!((sum(|found| found.first), sum(|found| found.given)), (300, 300));
        assert_eq!(sum(|found| found.learned), made.learned.len());
        assert!((176..=188).contains(&made.learned.len()));
    }

    #[test]
    fn labelled_samples_count_too() {
        let labelled: Vec<TrainingSample> =
            (0..6).map(|at| TrainingSample { labels: vec![at % 3], ..texts(6)[at].clone() }).collect();
        let (texts, names) = (texts(300), names(3));
        let settings = Settings { prior: Some(names.clone()), ..settings() };
        let alone = learn(&texts, &[], &names, &settings, &|_| false).unwrap();
        let both = learn(&texts, &labelled, &names, &settings, &|_| false).unwrap();
        assert_ne!(alone.model, both.model);
        assert!(right(&both.model, &texts) > 270);
        // Samples of one label do not make it that of all texts.
        let of_one: Vec<TrainingSample> = labelled.iter().filter(|sample| sample.labels == [1]).cloned().collect();
        let one = learn(&texts, &of_one, &names, &settings, &|_| false).unwrap();
        assert!(right(&one.model, &texts) > 270 && one.doubt.is_none());
        let several = Settings { link: Link::Sigmoid, ..settings };
        assert!(learn(&texts, &labelled, &names, &several, &|_| false).is_err());
    }

    #[test]
    fn too_little_is_doubted() {
        let made = |texts: &[TrainingSample]| learn(texts, &[], &names(3), &settings(), &|_| false).unwrap().doubt;
        assert_eq!(made(&texts(FEWEST - 1)), Some(Harm::FewTexts(FEWEST)));
        assert!(matches!(made(&vec![texts(1).remove(0); FEWEST]), Some(Harm::OneLabel(_))));
        assert_eq!(made(&texts(FEWEST)), None);
        let found = vec![FoundLabel { first: 4, learned: 2, given: 4 }; 30];
        assert_eq!(doubt(&found, 120, 0.9), Some(Harm::FewTexts(150)));
        assert_eq!(doubt(&found[..25], 125, 0.7), Some(Harm::Unsettled));
        assert!(learn(&texts(200), &[], &names(3), &settings(), &|_| true).is_err());
    }
}
