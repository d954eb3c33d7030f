//! The published numbers of released models, and the real all-MiniLM-L6-v2 against what sentence-transformers computes.
//!
//! `MAILSORT_REAL_MODELS` names the folder that holds
//! `Qwen3-Embedding-0.6B`, `Qwen3-Reranker-0.6B` and the larger ones.

use std::path::PathBuf;

use mailsort::engine::device::{DeviceChoice, open as open_device};
use mailsort::engine::{Dtype, Embedder, LabelText, LoadOptions, Model, Question, Task, open};
use serde_json::Value;

use crate::mailsort::root;
use crate::requirements::lacks;

const QUERIES: [&str; 2] = ["What is the capital of China?", "Explain gravity"];
const DOCUMENTS: [&str; 2] = [
    "The capital of China is Beijing.",
    "Gravity is a force that attracts two bodies towards each other. It gives weight to physical objects and is \
     responsible for the movement of planets around the sun.",
];
const RETRIEVAL: &str = "Given a web search query, retrieve relevant passages that answer the query";

/// The folder of a released model; `None` if the test lacks it.
fn released(name: &str) -> Option<PathBuf> {
    let requirement = if name.ends_with("0.6B") { "real-models" } else { "large-models" };
    let Some(folder) = std::env::var_os("MAILSORT_REAL_MODELS") else {
        lacks(requirement, "MAILSORT_REAL_MODELS names no folder");
        return None;
    };
    let path = PathBuf::from(folder).join(name);
    if !path.exists() {
        lacks(requirement, format!("{} is not there", path.display()));
        return None;
    }
    Some(path)
}

fn model(path: &std::path::Path) -> Model {
    let device = open_device(DeviceChoice::Auto).unwrap();
    let options = LoadOptions { dtype: Dtype::F32, ..LoadOptions::default() };
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

/// `tests/minilm/make.py` says where the weights come from.
#[test]
fn minilm_gives_the_vectors_of_sentence_transformers() {
    let Some(folder) = std::env::var_os("MAILSORT_MINILM") else {
        return lacks("minilm", "MAILSORT_MINILM names no folder");
    };
    let (cpu, options) = (open_device(DeviceChoice::Cpu).unwrap(), LoadOptions::default());
    let loaded = open("all-MiniLM-L6-v2", std::path::Path::new(&folder), &cpu, options).unwrap();
    let Model::Embedder(model) = loaded.model else { panic!("a reranker") };
    assert_eq!(model.default_max_tokens(), 254);
    let golden = std::fs::read_to_string(root().join("tests/minilm/golden.json")).unwrap();
    let golden: Vec<Value> = serde_json::from_str(&golden).unwrap();
    let texts: Vec<String> = golden.iter().map(|case| case["text"].as_str().unwrap().to_string()).collect();
    let embedded = model.embed(&texts, None, model.default_max_tokens()).unwrap();
    for (case, ours) in golden.iter().zip(&embedded) {
        let ours = ours.as_ref().unwrap();
        let theirs = case["vector"].as_array().unwrap().iter().map(|value| value.as_f64().unwrap() as f32);
        assert_eq!(theirs.len(), ours.vector.len());
        let off = ours.vector.iter().zip(theirs).fold(0.0f32, |most, (ours, theirs)| most.max((ours - theirs).abs()));
        eprintln!("{off:.1e} {:.60}", case["text"].as_str().unwrap());
        assert!(off < 1e-4, "{} is off by {off}", case["text"]);
    }
    assert!(embedded.last().unwrap().as_ref().unwrap().truncated);
}
