//! Training on samples whose answer is known.

use super::*;

/// Samples around corners of a cube; every seventh is of the next label.
fn samples(count: usize, labels: usize) -> Vec<Sample> {
    let noise = |at: usize| ((at * 7919 + 13) % 101) as f32 / 101.0 - 0.5;
    let sample = |at: usize| {
        let label = at % labels;
        let vector =
            (0..8).map(|dim| f32::from(u8::from(dim == label)) + 0.8 * noise(at * 8 + dim)).collect::<Vec<_>>();
        let label = if at % 7 == 6 { (label + 1) % labels } else { label };
        Sample { vector, counts: Vec::new(), labels: vec![label], weight: 1.0 }
    };
    (0..count).map(sample).collect()
}

fn settings(link: Link) -> Settings {
    Settings { link, seed: 1, folds: 5, c: None, ngrams: false, label_weights: LabelWeights::Balanced }
}

#[test]
fn every_fold_has_its_share_of_every_label() {
    let samples = samples(100, 4);
    let dealt = deal(&samples, 4, 5, 3);
    for fold in 0..5 {
        for label in 0..4 {
            let count = (0..100).filter(|&at| dealt[at] == fold && samples[at].labels == [label]).count();
            let all = samples.iter().filter(|sample| sample.labels == [label]).count();
            assert!((all / 5..=all / 5 + 1).contains(&count), "{fold} {label}: {count} of {all}");
        }
    }
    assert_ne!(deal(&samples, 4, 5, 4), dealt);
}

#[test]
fn learns_and_is_as_sure_as_it_is_right() {
    let samples = samples(400, 4);
    let trained = train(&samples, 4, settings(Link::Softmax), &|| false).unwrap();
    let held_out = trained.held_out.unwrap();
    let best = |scores: &[f32]| (0..4).max_by(|&a, &b| scores[a].total_cmp(&scores[b])).unwrap();
    let right = held_out.probabilities.iter().zip(&samples).filter(|(made, one)| [best(made)] == one.labels[..]);
    let accuracy = right.count() as f32 / 400.0;
    let sure = held_out.probabilities.iter().map(|made| made[best(made)]).sum::<f32>() / 400.0;
    assert!(accuracy > 0.75, "{accuracy}");
    assert!((sure - accuracy).abs() < 0.05, "{sure} {accuracy}");
}

#[test]
fn threads_change_no_bit() {
    let samples = samples(700, 5);
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| train(&samples, 5, settings(Link::Softmax), &|| false)).unwrap().model
    };
    assert_eq!(with(1), with(3));
}

#[test]
fn two_samples_are_learned_without_holding_out() {
    let two = &samples(2, 2);
    let trained = train(two, 2, settings(Link::Softmax), &|| false).unwrap();
    assert!(trained.held_out.is_none());
    let scores = trained.model.scores(&two[1].vector, &Vec::new());
    assert!(scores.probabilities[1] > 0.5);
}

#[test]
fn labels_that_are_questions_of_their_own_do_not_share() {
    let mut samples = samples(200, 3);
    // Every sample around the first corner has the last label too.
    samples.iter_mut().filter(|one| one.labels == [0]).for_each(|one| one.labels.push(2));
    let trained = train(&samples, 3, settings(Link::Sigmoid), &|| false).unwrap();
    let scores = trained.model.scores(&[1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], &Vec::new());
    assert!(scores.probabilities[0] > 0.6 && scores.probabilities[2] > 0.6, "{scores:?}");
    assert!(scores.probabilities[1] < 0.4, "{scores:?}");
}

#[test]
fn a_stop_ends_it() {
    assert!(train(&samples(50, 2), 2, settings(Link::Softmax), &|| true).is_err());
}
