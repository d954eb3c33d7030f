//! The published numbers of the released models. Skips, saying so, unless `MAILSORT_REAL_MODELS` names a folder that holds
//! `Qwen3-Embedding-0.6B`, `Qwen3-Reranker-0.6B` and, where they are, the larger ones.

use std::path::PathBuf;

use mailsort::engine::device::{DeviceChoice, open as open_device};
use mailsort::engine::{Dtype, Embedder, LabelText, Model, Options, Question, Task, open};

const QUERIES: [&str; 2] = ["What is the capital of China?", "Explain gravity"];
const DOCUMENTS: [&str; 2] = [
    "The capital of China is Beijing.",
    "Gravity is a force that attracts two bodies towards each other. It gives weight to physical objects and is \
     responsible for the movement of planets around the sun.",
];
const RETRIEVAL: &str = "Given a web search query, retrieve relevant passages that answer the query";

/// The folder of a released model, if it is there.
fn released(name: &str) -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("MAILSORT_REAL_MODELS") else {
        eprintln!("skipped: MAILSORT_REAL_MODELS names no folder of released models");
        return None;
    };
    let path = PathBuf::from(folder).join(name);
    if !path.exists() {
        eprintln!("skipped: {} is not there", path.display());
        return None;
    }
    Some(path)
}

fn model(path: &std::path::Path) -> Model {
    let device = open_device(DeviceChoice::Auto).unwrap();
    let options = Options { dtype: Dtype::F32, ..Options::default() };
    open("released", path, &device, options).unwrap().model
}

fn bare(text: &str) -> LabelText {
    LabelText { name: text.into(), description: None }
}

fn cosines(model: &dyn Embedder) -> [[f32; 2]; 2] {
    let queries = model.embed(&QUERIES.map(String::from), Some(RETRIEVAL), 8192).unwrap();
    let documents = model.embed_labels(&DOCUMENTS.map(bare)).unwrap();
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum();
    [0, 1].map(|query| {
        [0, 1].map(|document| dot(&queries[query].as_ref().unwrap().vector, documents[document].as_ref().unwrap()))
    })
}

#[test]
fn embeddings() {
    // The first from the model card of the 0.6B, the others as third parties report them; bf16 among those.
    let published = [
        ("Qwen3-Embedding-0.6B", [[0.76456, 0.14143], [0.13550, 0.59995]], 2e-3),
        ("Qwen3-Embedding-4B", [[0.7534, 0.1147], [0.0320, 0.6258]], 5e-3),
        ("Qwen3-Embedding-8B", [[0.74930, 0.07506], [0.08796, 0.63184]], 5e-3),
    ];
    for (name, expected, tolerance) in published {
        let Some(path) = released(name) else { continue };
        let Model::Embedder(model) = model(&path) else { panic!("{name} is no embedding") };
        let got = cosines(&*model);
        for (got, expected) in got.iter().flatten().zip(expected.iter().flatten()) {
            assert!((got - expected).abs() <= tolerance, "{name}: {got} for {expected}");
        }
    }
}

#[test]
fn rerankers() {
    let published = [
        ("Qwen3-Reranker-0.6B", [7.625, -11.375]),
        ("Qwen3-Reranker-4B", [6.4375, -14.375]),
        ("Qwen3-Reranker-8B", [5.0625, -14.25]),
    ];
    for (name, expected) in published {
        let Some(path) = released(name) else { continue };
        let Model::Reranker(model) = model(&path) else { panic!("{name} is no reranker") };
        let task = Task { instruct: Some(RETRIEVAL.into()), labels: DOCUMENTS.map(bare).to_vec() };
        let question = Question { text: QUERIES[0], labels: &[0, 1] };
        let logits = model.judge(&task, &[question], 8192).unwrap().remove(0).logits;
        for (got, expected) in logits.iter().zip(expected) {
            let share = |logit: f32| 1.0 / (1.0 + (-logit).exp());
            assert!((share(*got) - share(expected)).abs() <= 1e-3, "{name}: {got} for {expected}");
            assert!((got - expected).abs() <= 1.0, "{name}: {got} for {expected}");
        }
    }
}
