//! The numbers of Python's transformers and sentence-transformers, as `tests/models/` keeps them, against ours; and
//! that they do not depend on neighbours.

use std::path::{Path, PathBuf};

use candle_core::{DType, Device};
use serde_json::Value;

use super::*;
use crate::engine::backend::candle::Candle;
use crate::engine::backend::cpu::Cpu;
use crate::engine::kernels::products::Packing;
use crate::engine::models::bert;
use crate::engine::registry::{Dtype, LoadOptions, Request};
use crate::engine::{Embedder, Judgement, LabelText, Question, Reranker, Task};
use crate::requirements::lacks;

/// Largest difference to transformers where both compute in f32.
const F32: f32 = 1e-5;
/// The same with f16 products: 11 bits.
const F16: f32 = 5e-3;
/// The same with bf16 products: 8 bits.
const BF16: f32 = 4e-2;
/// The same with weights and rows rounded to 8 bits by blocks of 32.
const Q8_0: f32 = 4e-2;

fn checkpoint(folder: &Path) -> Result<Checkpoint> {
    Checkpoint::open(folder, |_| Ok(()))
}

pub(super) fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models").join(name)
}

fn golden(name: &str) -> Value {
    let path = folder("golden").join(format!("{name}.json"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

pub(super) fn encoder(folder: &Path) -> Result<SentenceEmbedding> {
    bert::embedding(&checkpoint(folder)?, "tiny", Cpu::new(Dtype::F32))
}

pub(super) fn pairs(folder: &Path) -> Result<CrossEncoder> {
    let (device, options) = (&Device::Cpu, &LoadOptions::default());
    let request = Request { id: "tiny", device, options };
    bert::cross_encoder(&checkpoint(folder)?, request, Cpu::new(Dtype::F32))
}

pub(super) fn bare(name: &str) -> LabelText {
    LabelText { name: name.into(), description: None }
}

pub(super) fn numbers(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap() as f32).collect()
}

fn ids(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
}

/// The largest difference, as a share of the largest value.
pub(super) fn difference(ours: &[f32], theirs: &[f32]) -> f32 {
    assert_eq!(ours.len(), theirs.len());
    let largest = theirs.iter().fold(0.0f32, |most, value| most.max(value.abs()));
    ours.iter().zip(theirs).fold(0.0f32, |most, (a, b)| most.max((a - b).abs())) / largest
}

fn texts(golden: &Value) -> Vec<String> {
    golden["cases"].as_array().unwrap().iter().map(|case| case["text"].as_str().unwrap().to_string()).collect()
}

/// `tolerance` is a share of the largest value.
fn vectors_are_those_of_transformers(name: &str, model: &SentenceEmbedding, tolerance: f32) {
    let golden = golden(name);
    assert!(model.recipe.notes.is_empty());
    let most = model.default_max_tokens();
    let embedded = model.embed(&texts(&golden), None, most).unwrap();
    let mut compared = 0;
    for (case, ours) in golden["cases"].as_array().unwrap().iter().zip(embedded) {
        let text = case["text"].as_str().unwrap();
        let words = model.tokens.words(text, most).unwrap();
        let theirs = ids(&case["ids"]);
        assert_eq!(model.tokens.input(&words.ids).ids, theirs, "{text:?}");
        let Some(ours) = ours else {
            let known = theirs[1..theirs.len() - 1].iter().any(|&id| !model.tokens.is_unknown(id));
            assert!(!known, "{text:?} has known tokens");
            continue;
        };
        assert_eq!(ours.tokens, theirs.len() - 2);
        let off = difference(&ours.vector, &numbers(&case["vector"]));
        assert!(off < tolerance, "{text:?}: {off}");
        compared += 1;
    }
    assert!(compared > 20);
}

#[test]
fn bert_with_mean_pooling() {
    vectors_are_those_of_transformers("tiny-bert", &encoder(&folder("tiny-bert")).unwrap(), F32);
}

#[test]
fn xlm_roberta_with_cls_pooling() {
    vectors_are_those_of_transformers("tiny-xlmr", &encoder(&folder("tiny-xlmr")).unwrap(), F32);
}

#[test]
fn products_of_other_types() {
    for name in ["tiny-bert", "tiny-xlmr"] {
        let checkpoint = checkpoint(&folder(name)).unwrap();
        for (dtype, tolerance) in [(Dtype::F16, F16), (Dtype::Bf16, BF16)] {
            let model = bert::embedding(&checkpoint, "tiny", Cpu::new(dtype)).unwrap();
            vectors_are_those_of_transformers(name, &model, tolerance);
        }
    }
}

#[test]
fn products_of_weights_that_are_rounded_to_8_bits() {
    if !Packing::Q8_0.is_available() {
        return lacks("instructions", "this CPU has no AVX512-VNNI");
    }
    for name in ["tiny-bert", "tiny-xlmr"] {
        let checkpoint = checkpoint(&folder(name)).unwrap();
        let model = |dtype| bert::embedding(&checkpoint, "tiny", Cpu::new(dtype)).unwrap();
        let rounded = model(Dtype::Q8_0);
        vectors_are_those_of_transformers(name, &rounded, Q8_0);
        let vector =
            |model: &SentenceEmbedding| model.embed(&["some text".into()], None, 64).unwrap().remove(0).unwrap();
        assert_ne!(vector(&rounded).vector, vector(&model(Dtype::F32)).vector, "{name}: nothing was rounded");
    }
}

#[test]
fn what_other_devices_compute_is_what_transformers_does() {
    for name in ["tiny-bert", "tiny-xlmr"] {
        let backend = Candle { device: Device::Cpu, dtype: DType::F32, flash: false };
        let model = bert::embedding(&checkpoint(&folder(name)).unwrap(), "tiny", backend).unwrap();
        vectors_are_those_of_transformers(name, &model, F32);
    }
}

fn logits_are_those_of_transformers(name: &str) {
    let (model, golden) = (pairs(&folder(name)).unwrap(), golden(name));
    let cases = golden["cases"].as_array().unwrap();
    assert!(cases.len() > 20);
    for case in cases {
        let (mail, label) = (case["query"].as_str().unwrap(), case["document"].as_str().unwrap());
        let task = Task { instruct: None, labels: vec![bare(label)] };
        let question = Question { text: mail, labels: &[0] };
        let judged = model.judge(&task, &[question], model.default_max_tokens()).unwrap().remove(0);
        let theirs = case["logit"].as_f64().unwrap() as f32;
        let off = (judged.logits[0] - theirs).abs() / theirs.abs().max(1.0);
        assert!(off < 1e-5, "{mail:?}, {label:?}: {} for {theirs}", judged.logits[0]);
    }
}

#[test]
fn bert_that_scores_pairs() {
    logits_are_those_of_transformers("tiny-bert-reranker");
}

#[test]
fn xlm_roberta_that_scores_pairs() {
    logits_are_those_of_transformers("tiny-xlmr-reranker");
}

fn in_a_pool<T: Send>(threads: usize, run: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(run)
}

#[test]
fn a_vector_does_not_depend_on_its_neighbours() {
    for name in ["tiny-bert", "tiny-xlmr"] {
        let model = encoder(&folder(name)).unwrap();
        let texts = texts(&golden(name));
        let together = in_a_pool(3, || model.embed(&texts, None, 96).unwrap());
        let alone = |text: &String| model.embed(std::slice::from_ref(text), None, 96).unwrap().remove(0);
        let one_by_one: Vec<_> = in_a_pool(1, || texts.iter().map(alone).collect());
        // Bit by bit.
        assert_eq!(together, one_by_one);
        let backwards: Vec<String> = texts.iter().rev().cloned().collect();
        let mut backwards = in_a_pool(2, || model.embed(&backwards, None, 96).unwrap());
        backwards.reverse();
        assert_eq!(together, backwards);
    }
}

#[test]
fn a_logit_does_not_depend_on_its_neighbours() {
    for name in ["tiny-bert-reranker", "tiny-xlmr-reranker"] {
        let model = pairs(&folder(name)).unwrap();
        let labels = ["invoice", "meeting: when and where", "личное", "🎉"].map(bare).to_vec();
        let task = Task { instruct: None, labels };
        let long = "The invoice is due on Friday. ".repeat(40);
        let mails = ["Please pay", &long, "", "Wann treffen wir uns?"];
        let questions = mails.map(|text| Question { text, labels: &[0, 1, 2, 3] });
        let together = in_a_pool(3, || model.judge(&task, &questions, 512).unwrap());
        assert_eq!(together.iter().map(Judgement::truncated).collect::<Vec<_>>(), [false, true, false, false]);
        for (mail, judged) in mails.iter().zip(&together) {
            for (label, logit) in judged.logits.iter().enumerate() {
                let question = Question { text: mail, labels: &[label] };
                let alone = in_a_pool(1, || model.judge(&task, &[question], 512).unwrap());
                assert_eq!(alone[0].logits, [*logit], "{mail:?}, {label}");
            }
        }
    }
}
