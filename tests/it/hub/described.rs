//! What is said of models: each by itself, and the list of them.

use std::fs;

use serde_json::Value;

use super::server::Manners;
use super::{Place, bad, good, stdout};
use crate::mailsort::mailsort;

#[test]
fn a_model_is_described_without_loading_it() {
    let shown = |model: &str| {
        let output = mailsort(["models", "show", model, "--format", "json"]).output();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let card = shown("tests/models/tiny-reranker-untied");
    assert_eq!(card["kind"], "reranker");
    assert_eq!(card["dtype"], "bf16");
    assert_eq!(card["problem"], Value::Null);
    assert_eq!(card["files"].as_array().unwrap().len(), 7);
    // Of the untied head and the table of tokens rows are read where they lie; a number in f32 has four bytes.
    let numbers = card["memory"]["f32"].as_u64().unwrap() / 4;
    assert!(numbers > 0 && numbers < card["parameters"].as_u64().unwrap());
    assert!(card["template"].as_str().unwrap().ends_with("<think>\n\n</think>\n\n"));
    assert!(card["yes"].is_u64() && card["no"].is_u64() && card["yes"] != card["no"]);
    let card = shown("tests/models/tiny-embedding");
    assert_eq!((&card["kind"], &card["dims"], &card["hidden"]), (&"embedding".into(), &64.into(), &64.into()));
    let card = shown("tests/models/tiny-reranker-q8_0.gguf");
    assert_eq!((&card["architecture"], &card["dtype"]), (&"qwen3".into(), &"Q8_0".into()));
    assert_eq!(card["context"], 40960);
    let problem = shown("tests/models/tiny-reranker-old-q8_0.gguf")["problem"].clone();
    assert!(problem.as_str().unwrap().contains("cls.output.weight"), "{problem}");
    let text = stdout(&mailsort(["models", "show", "tests/models/tiny-reranker"]).output());
    assert!(text.contains("\nanswers       yes = 272, no = 266\n"), "{text}");
}

#[test]
fn what_cannot_be_described_is_an_error() {
    let place = Place::with_a_model(Manners::default());
    bad(place.run("models show owner/tiny"), &["not in the cache", "models pull owner/tiny"]);
    good(place.run("models pull owner/tiny"));
    bad(place.run("models show owner/tiny"), &["model.safetensors", "not a whole safetensors file"]);
    fs::write(place.home.path().join("x.gguf"), b"GGUF\x03\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff").unwrap();
    bad(place.run("models show x.gguf"), &["x.gguf", "not a whole GGUF file"]);
}

#[test]
fn the_list_says_what_is_cached() {
    let place = Place::with_a_model(Manners::default());
    good(place.run("models pull owner/tiny"));
    let output = place.run("models list --format json").output();
    let list: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let names: Vec<&str> = list.iter().filter_map(|model| model["name"].as_str()).collect();
    assert_eq!(names.len(), 6);
    assert_eq!(list[6]["id"], "owner/tiny");
    assert_eq!(list[6]["cached"][0]["path"], place.snapshot().to_string_lossy().as_ref());
    assert!(list[..6].iter().all(|model| model["cached"] == Value::Array(vec![])));
}
