//! Training on samples whose answer is known.

use super::super::{Counts, FeatureGroup};
use super::*;
use crate::record::HeadLines;

/// Samples around corners of a cube; every seventh is of the next label.
fn samples(count: usize, labels: usize) -> Vec<TrainingSample> {
    let noise = |at: usize| ((at * 7919 + 13) % 101) as f32 / 101.0 - 0.5;
    let sample = |at: usize| {
        let label = at % labels;
        let vector =
            (0..8).map(|dim| f32::from(u8::from(dim == label)) + 0.8 * noise(at * 8 + dim)).collect::<Vec<_>>();
        let label = if at % 7 == 6 { (label + 1) % labels } else { label };
        TrainingSample { vector, counts: Counts::default(), labels: vec![label], weight: 1.0 }
    };
    (0..count).map(sample).collect()
}

fn settings(link: Link) -> Settings {
    Settings { link, seed: 1, folds: 5, c: None, ngrams: false, label_weights: LabelWeights::Balanced, prior: None }
}

#[test]
fn every_fold_has_its_share_of_every_label() {
    let samples = samples(100, 4);
    let dealt = |seed: u64| Dealt::new(&samples, 4, 5, seed, Link::Softmax, false).part;
    let (dealt, other) = (dealt(3), dealt(4));
    for fold in 0..5 {
        for label in 0..4 {
            let count = (0..100).filter(|&at| dealt[at] == fold && samples[at].labels == [label]).count();
            let all = samples.iter().filter(|sample| sample.labels == [label]).count();
            assert!((all / 5..=all / 5 + 1).contains(&count), "{fold} {label}: {count} of {all}");
        }
    }
    assert_ne!(other, dealt);
}

#[test]
fn learns_and_is_as_sure_as_it_is_right() {
    let samples = samples(400, 4);
    let trained = train(&samples, 4, settings(Link::Softmax), &|_| false).unwrap();
    let held_out = trained.held_out.unwrap();
    let best = |scores: &[f32]| (0..4).max_by(|&a, &b| scores[a].total_cmp(&scores[b])).unwrap();
    let right = held_out.probabilities.iter().zip(&samples).filter(|(made, one)| [best(made)] == one.labels[..]);
    let accuracy = right.count() as f32 / 400.0;
    let sure = held_out.probabilities.iter().map(|made| made[best(made)]).sum::<f32>() / 400.0;
    assert!(accuracy > 0.75, "{accuracy}");
    assert!((sure - accuracy).abs() < 0.05, "{sure} {accuracy}");
}

/// Vectors that say nothing, and names that are nearly right.
fn named(each: usize) -> (Vec<TrainingSample>, Prior) {
    let labels: Vec<Option<Vec<f32>>> =
        (0..4).map(|label| Some((0..8).map(|dim| f32::from(u8::from(dim == label))).collect())).collect();
    (samples(4 * each, 4), Prior::new(&labels, 6.0).unwrap())
}

#[test]
fn names_count_where_samples_are_few() {
    let right = |model: &LinearModel| {
        let fresh = &samples(400, 4)[100..];
        let best = |scores: &[f32]| (0..4).max_by(|&a, &b| scores[a].total_cmp(&scores[b])).unwrap();
        fresh.iter().filter(|one| best(&model.scores(&one.vector, &Counts::default()).raw) == one.labels[0]).count()
    };
    let (few, prior) = named(1);
    let with = Settings { prior: Some(prior.clone()), ..settings(Link::Softmax) };
    let trained = train(&few, 4, with.clone(), &|_| false).unwrap();
    let held_out = trained.held_out.unwrap();
    assert!(held_out.is_fixed && held_out.folds == 4 && held_out.probabilities.iter().all(|made| made.len() == 4));
    let without = train(&few, 4, settings(Link::Softmax), &|_| false).unwrap();
    assert!(without.held_out.is_none());
    assert!(right(&trained.model) > right(&without.model) + 10, "{} {}", right(&trained.model), right(&without.model));
    // With many samples the names hardly matter, and C is chosen.
    let (many, _) = named(200);
    let trained = train(&many, 4, with.clone(), &|_| false).unwrap();
    assert!(!trained.held_out.unwrap().is_fixed);
    // Labels that are questions of their own have no prior.
    let several = Settings { link: Link::Sigmoid, ..with };
    let alone = Settings { prior: None, ..several.clone() };
    assert_eq!(train(&few, 4, several, &|_| false).unwrap().model, train(&few, 4, alone, &|_| false).unwrap().model);
}

#[test]
fn threads_change_no_bit() {
    let samples = samples(700, 5);
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| train(&samples, 5, settings(Link::Softmax), &|_| false)).unwrap().model
    };
    assert_eq!(with(1), with(3));
}

#[test]
fn two_samples_are_learned_without_holding_out() {
    let two = &samples(2, 2);
    let trained = train(two, 2, settings(Link::Softmax), &|_| false).unwrap();
    assert!(trained.held_out.is_none());
    let scores = trained.model.scores(&two[1].vector, &Counts::default());
    assert!(scores.probabilities[1] > 0.5);
}

#[test]
fn labels_that_are_questions_of_their_own_do_not_share() {
    let mut samples = samples(200, 3);
    // Every sample around the first corner has the last label too.
    samples.iter_mut().filter(|one| one.labels == [0]).for_each(|one| one.labels.push(2));
    let trained = train(&samples, 3, settings(Link::Sigmoid), &|_| false).unwrap();
    let scores = trained.model.scores(&[1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], &Counts::default());
    assert!(scores.probabilities[0] > 0.6 && scores.probabilities[2] > 0.6, "{scores:?}");
    assert!(scores.probabilities[1] < 0.4, "{scores:?}");
}

#[test]
fn a_stop_ends_it() {
    assert!(train(&samples(50, 2), 2, settings(Link::Softmax), &|_| true).is_err());
}

#[test]
fn labels_with_one_sample_do_not_spoil_the_others() {
    let many = samples(200, 4);
    let before = train(&many, 4, settings(Link::Softmax), &|_| false).unwrap();
    let mut odd = many.clone();
    // Each in a place of its own, away from the others.
    let place = |label: usize| (0..8).map(|dim| if dim < 4 { 0.0 } else { (label * dim % 5) as f32 - 2.0 }).collect();
    let single = |label: usize| TrainingSample { vector: place(label), labels: vec![label], ..many[0].clone() };
    odd.extend((4..24).map(single));
    let with = train(&odd, 24, settings(Link::Softmax), &|_| false).unwrap();
    assert!(with.c <= 30.0 && with.model.temperature < 2.0, "{} {}", with.c, with.model.temperature);
    let held_out = with.held_out.unwrap();
    let tested: Vec<bool> = held_out.probabilities.iter().map(|made| !made.is_empty()).collect();
    assert!(tested[..200].iter().all(|&is| is) && !tested[200..].contains(&true), "{tested:?}");
    assert!(held_out.loss < 2.0 * before.held_out.unwrap().loss, "{}", held_out.loss);
}

#[test]
fn a_question_with_one_answer_is_not_tested() {
    let mut samples = samples(40, 2);
    // All but one have the third label, and only one has the fourth.
    samples.iter_mut().skip(1).for_each(|one| one.labels.push(2));
    samples[5].labels.push(3);
    let trained = train(&samples, 4, settings(Link::Sigmoid), &|_| false).unwrap();
    let probabilities = trained.held_out.unwrap().probabilities;
    let left: Vec<usize> = (0..40).filter(|&at| probabilities[at].is_empty()).collect();
    assert_eq!(left, [0, 5]);
    // Nothing can be tested where every label has one sample.
    let single: Vec<TrainingSample> =
        (0..4).map(|label| TrainingSample { labels: vec![label], ..samples[label].clone() }).collect();
    assert!(train(&single, 4, settings(Link::Sigmoid), &|_| false).unwrap().held_out.is_none());
}

#[test]
fn folds_that_are_compared_hold_enough_samples() {
    let compared =
        |count: usize, folds: usize| Dealt::new(&samples(count, 4), 4, folds, 0, Link::Softmax, false).compared();
    assert_eq!([compared(400, 100), compared(2500, 9)], [100, 9]);
    assert_eq!([compared(3000, 2), compared(3000, 5), compared(3000, 20), compared(3000, 100)], [2, 2, 8, 40]);
}

#[test]
fn many_folds_are_not_in_memory_together_and_say_the_same() {
    let samples = samples(120, 3);
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let trained =
            pool.install(|| train(&samples, 3, Settings { folds: 30, ..settings(Link::Softmax) }, &|_| false));
        let trained = trained.unwrap();
        (trained.model, trained.held_out.unwrap().probabilities)
    };
    let (model, probabilities) = run(1);
    assert_eq!(run(7), (model, probabilities.clone()));
    assert!(probabilities.iter().all(|made| made.len() == 3));
}

#[test]
fn weights_far_apart_are_no_endless_search() {
    for (many, few) in [(1.0, 1e-45), (3e38, 1e-38)] {
        let mut samples = samples(20, 2);
        samples.iter_mut().for_each(|one| one.weight = if one.labels == [0] { many } else { few });
        let scores = train(&samples, 2, settings(Link::Softmax), &|_| false).unwrap().model;
        assert!(scores.scores(&samples[1].vector, &Counts::default()).probabilities[1] > 0.5);
    }
    let mut samples = samples(20, 2);
    samples[3].vector[0] = f32::MAX;
    samples[4].vector[0] = f32::INFINITY;
    let error = train(&samples, 2, settings(Link::Softmax), &|_| false).unwrap_err();
    assert!(format!("{error:#}").contains("overflow"), "{error:#}");
}

#[test]
fn a_rare_label_counts_as_much_as_its_absence() {
    let mut samples = samples(200, 2);
    // The third label is that of every tenth sample, and nothing in the vectors tells it.
    samples.iter_mut().step_by(10).for_each(|one| one.labels.push(2));
    let probability = |label_weights: LabelWeights| {
        let settings = Settings { label_weights, c: Some(1e-6), ..settings(Link::Sigmoid) };
        let model = train(&samples, 3, settings, &|_| false).unwrap().model;
        let logit = model.logits(&samples[1].vector, &Counts::default())[2];
        1.0 / (1.0 + (-logit).exp())
    };
    let (balanced, none) = (probability(LabelWeights::Balanced), probability(LabelWeights::None));
    assert!((balanced - 0.5).abs() < 0.02 && (none - 0.1).abs() < 0.02, "{balanced} {none}");
}

#[test]
fn few_labelled_samples_are_few() {
    let check = |counts: &[usize], expected: bool| assert_eq!(are_few(counts.to_vec()), expected, "{counts:?}");
    check(&[], true);
    check(&[0, 1, 9], true);
    check(&[0, 8, 9], false);
    check(&[7, 7, 7, 90], true);
}

/// Samples of two labels: what is meant stands in the vector, in the text or in neither.
fn told(count: usize, vector: bool, text: impl Fn(usize, usize) -> String) -> Vec<TrainingSample> {
    let noise = |at: usize| ((at * 7919 + 13) % 101) as f32 / 101.0 - 0.5;
    let sample = |at: usize| {
        let label = at / 3 % 2;
        let said = if vector { label as f32 - 0.5 + 1.2 * noise(at * 3) } else { noise(at * 3) };
        let text = text(at, label);
        let counts = Counts::new(&text, HeadLines { subject: 0, sender: text.find('\n').unwrap_or(0) }, 99, |_| true);
        TrainingSample { vector: vec![said, noise(at * 5), noise(at * 11)], counts, labels: vec![label], weight: 1.0 }
    };
    (0..count).map(sample).collect()
}

#[test]
fn what_tells_nothing_has_no_weight() {
    let word = |at: usize| format!("w{}", char::from_u32(0x4e00 + (at * 7919 % 9973) as u32).unwrap());
    let check = |samples: &[TrainingSample], expected: &dyn Fn(&LinearModel, f32) -> bool| {
        let with = Settings { ngrams: true, ..settings(Link::Softmax) };
        let trained = train(&samples[..200], 2, with, &|_| false).unwrap();
        let right = |one: &&TrainingSample| {
            let scores = trained.model.scores(&one.vector, &one.counts).raw;
            usize::from(scores[1] > scores[0]) == one.labels[0]
        };
        let right = samples[200..].iter().filter(right).count() as f32 / (samples.len() - 200) as f32;
        let groups: Vec<FeatureGroup> = trained.model.ngrams.iter().map(|ngrams| ngrams.group).collect();
        assert!(expected(&trained.model, right), "{groups:?} {right}");
    };
    // Nothing but the vector: the words are those of any sample.
    let chance = |at: usize, _| {
        let mixed = |by: usize| ((at as u64 + 1) * by as u64).wrapping_mul(6_364_136_223_846_793_005) >> 40;
        let any = |by: usize| char::from_u32(0x4e00 + (mixed(by) % 23) as u32).unwrap();
        (0..40).map(|place| any(7919 + 1018 * place)).collect()
    };
    check(&told(300, true, chance), &|model, right| model.ngrams.is_empty() && right > 0.85);
    // Parts of words that are all different.
    let part = |at: usize, label: usize| format!("{}{}{}", word(at), ["ver", "ung"][label], word(3 * at));
    check(&told(300, false, part), &|model, right| {
        right > 0.9 && model.ngrams.iter().any(|ngrams| ngrams.group == FeatureGroup::Characters)
    });
    // The sender.
    let sender =
        |at: usize, label: usize| format!("{}@{}.example\n{}", word(at), ["shop", "bank"][label], word(5 * at));
    check(&told(300, false, sender), &|model, right| {
        right > 0.9 && model.ngrams.iter().any(|ngrams| ngrams.group == FeatureGroup::Heads)
    });
}
