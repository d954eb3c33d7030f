//! The fit against scikit-learn's, and its slopes against differences.

use serde_json::Value;

use super::design::Design;
use super::objective::Objective;
use super::*;
use crate::record::HeadLines;

fn list(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap() as f32).collect()
}

#[test]
fn logits_are_those_of_scikit_learn() {
    let reference: Value = serde_json::from_str(include_str!("../../../tests/train/reference.json")).unwrap();
    let cases = reference["cases"].as_array().unwrap();
    assert!(cases.len() >= 6);
    for case in cases {
        let rows = case["vectors"].as_array().unwrap().iter().zip(case["truth"].as_array().unwrap());
        let sample = |((vector, truth), weight): ((&Value, &Value), f32)| TrainingSample {
            vector: list(vector),
            counts: Counts::default(),
            labels: truth.as_array().unwrap().iter().map(|label| label.as_u64().unwrap() as usize).collect(),
            weight,
        };
        let samples: Vec<TrainingSample> = rows.zip(list(&case["weights"])).map(sample).collect();
        let balanced = case["balanced"].as_bool().unwrap();
        let several = case["several"].as_bool().unwrap();
        let settings = Settings {
            link: if several { Link::Sigmoid } else { Link::Softmax },
            seed: 0,
            folds: 3,
            c: case["c"].as_f64(),
            ngrams: false,
            label_weights: if balanced { LabelWeights::Balanced } else { LabelWeights::None },
            prior: None,
        };
        let labels = case["labels"].as_u64().unwrap() as usize;
        let model = train(&samples, labels, settings, &|_| false).unwrap().model;
        for (vector, expected) in case["unseen"].as_array().unwrap().iter().zip(case["logits"].as_array().unwrap()) {
            let mut found = model.logits(&list(vector), &Counts::default());
            if !several {
                // Only differences of logits say anything.
                let mean = found.iter().sum::<f32>() / found.len() as f32;
                found.iter_mut().for_each(|logit| *logit -= mean);
            }
            for (found, expected) in found.iter().zip(list(expected)) {
                assert!((found - expected).abs() < 0.02, "{}: {found} is not {expected}", case["name"]);
            }
        }
    }
}

#[test]
fn slopes_are_those_of_differences() {
    let texts = ["pay the bill", "the meeting on monday", "pay on monday", "a bill"];
    let sample = |(at, text): (usize, &&str)| TrainingSample {
        vector: vec![at as f32 * 0.3 - 0.4, 0.2, -0.1 * at as f32],
        counts: Counts::new(text, HeadLines::default(), 9, |_| true),
        labels: vec![at % 3],
        weight: 1.0,
    };
    let samples: Vec<TrainingSample> = texts.iter().enumerate().map(sample).collect();
    let samples: Vec<&TrainingSample> = samples.iter().collect();
    let counts: Vec<&Counts> = samples.iter().map(|sample| &sample.counts).collect();
    let grams = NGrams::learn(FeatureGroup::Words, &counts, 8, 1.0);
    let design = Design::new(&samples, &[grams]);
    let targets: Vec<&[usize]> = samples.iter().map(|sample| &sample.labels[..]).collect();
    let of_names: Vec<f32> = (0..samples.len() * 3).map(|at| (at * 5 % 7) as f32 / 3.0 - 1.0).collect();
    let cases = [Link::Softmax, Link::Sigmoid].map(|link| [(link, None), (link, Some(&of_names[..]))]);
    for (link, prior) in cases.concat() {
        let weights = [0.1, 0.2, 0.3, 0.4];
        let balance = [[0.5, 2.0], [1.5, 0.7], [1.0, 1.0]];
        let (design, targets, penalty) = (&design, &targets, 0.1);
        let objective = Objective {
            design,
            targets,
            weights: &weights,
            balance: &balance,
            labels: 3,
            link,
            penalty,
            prior,
            penalty_of_intercepts: if prior.is_some() { 0.3 } else { 0.0 },
        };
        let size = (design.features() + 1) * 3;
        let point: Vec<f64> = (0..size).map(|at| ((at * 37 % 19) as f64 - 9.0) / 10.0).collect();
        let slope = objective.evaluate(&point).1;
        let value = |point: &[f64]| objective.evaluate(point).0;
        for at in 0..size {
            let (mut above, mut below) = (point.clone(), point.clone());
            above[at] += 0.01;
            below[at] -= 0.01;
            let expected = (value(&above) - value(&below)) / 0.02;
            assert!((slope[at] - expected).abs() < 1e-4, "{link:?} {at}: {} is not {expected}", slope[at]);
        }
    }
}
