//! The real all-MiniLM-L6-v2, where there is one, against what sentence-transformers computes. `tests/minilm/make.py` says
//! where its weights come from.

use std::path::Path;

use mailsort::engine::device::{self, DeviceChoice};
use mailsort::engine::{self, Model, Options};
use serde_json::Value;

use crate::mailsort::root;

#[test]
fn vectors_are_those_of_sentence_transformers() {
    let Some(folder) = std::env::var_os("MAILSORT_MINILM") else {
        eprintln!("skipped: MAILSORT_MINILM names no folder with all-MiniLM-L6-v2");
        return;
    };
    let (cpu, options) = (device::open(DeviceChoice::Cpu).unwrap(), Options::default());
    let loaded = engine::open("all-MiniLM-L6-v2", Path::new(&folder), &cpu, options).unwrap();
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
