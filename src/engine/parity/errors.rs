//! Half a checkpoint, the wrong one, or one that contradicts itself: each is refused, and told what is wrong.

use std::collections::HashMap;

use candle_core::{Device, Tensor, safetensors};
use tempfile::TempDir;

use super::*;

/// A copy of a tiny model that may be spoilt.
pub(super) fn copied(name: &str) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(folder(name)).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            std::fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    copy
}

/// Changes a text file of a copy.
pub(super) fn edit(copy: &TempDir, file: &str, change: impl Fn(&str) -> String) {
    let path = copy.path().join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(path, change(&text)).unwrap();
}

/// Changes the tensors of a copy.
pub(super) fn edit_weights(copy: &TempDir, change: impl Fn(&mut HashMap<String, Tensor>)) {
    for entry in std::fs::read_dir(copy.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "safetensors") {
            let mut tensors = safetensors::load(&path, &Device::Cpu).unwrap();
            change(&mut tensors);
            safetensors::save(&tensors, &path).unwrap();
        }
    }
}

pub(super) fn drop_weight(copy: &TempDir, name: &str) {
    edit_weights(copy, |tensors| drop(tensors.remove(name)));
}

pub(super) fn scale_weight(copy: &TempDir, name: &str, factor: f64) {
    edit_weights(copy, |tensors| {
        if let Some(tensor) = tensors.get_mut(name) {
            *tensor = (&*tensor * factor).unwrap();
        }
    });
}

/// Why a copy cannot be used.
pub(super) fn refused(copy: &TempDir) -> String {
    let cpu = open_device(DeviceChoice::Cpu).unwrap();
    let error = open("copy", copy.path(), &cpu, options(Dtype::Auto)).err().expect("it was opened");
    format!("{error:#}")
}

fn refuses(copy: &TempDir, part: &str) {
    let error = refused(copy);
    assert!(error.contains(part), "{error:?} does not say {part:?}");
}

#[test]
fn the_copies_themselves_are_used() {
    for name in ["tiny-reranker", "tiny-reranker-untied", "tiny-embedding"] {
        let cpu = open_device(DeviceChoice::Cpu).unwrap();
        assert!(open("copy", copied(name).path(), &cpu, options(Dtype::Auto)).is_ok());
    }
}

#[test]
fn files_that_are_missing() {
    for (file, part) in [
        ("config.json", "a model folder holds config.json"),
        ("tokenizer.json", "tokenizer.json is missing"),
        ("model.safetensors", "holds no model.safetensors"),
    ] {
        let copy = copied("tiny-reranker");
        std::fs::remove_file(copy.path().join(file)).unwrap();
        refuses(&copy, part);
    }
    let copy = copied("tiny-reranker-untied");
    std::fs::remove_file(copy.path().join("model-00002-of-00003.safetensors")).unwrap();
    refuses(&copy, "model-00002-of-00003.safetensors is missing");
}

#[test]
fn weights_that_are_missing_or_left_over_or_of_another_shape() {
    let missing = copied("tiny-reranker");
    drop_weight(&missing, "model.layers.1.self_attn.k_norm.weight");
    refuses(&missing, "model.layers.1.self_attn.k_norm.weight is missing");

    let left_over = copied("tiny-reranker");
    edit_weights(&left_over, |tensors| {
        let spare = tensors["model.norm.weight"].clone();
        tensors.insert("model.layers.7.extra.weight".into(), spare);
    });
    refuses(&left_over, "model.layers.7.extra.weight");

    let shape = copied("tiny-reranker");
    edit_weights(&shape, |tensors| {
        let norm = tensors["model.norm.weight"].narrow(0, 0, 8).unwrap().contiguous().unwrap();
        tensors.insert("model.norm.weight".into(), norm);
    });
    refuses(&shape, "model.norm.weight");

    let integers = copied("tiny-reranker");
    edit_weights(&integers, |tensors| {
        let norm = tensors["model.norm.weight"].to_dtype(candle_core::DType::U8).unwrap();
        tensors.insert("model.norm.weight".into(), norm);
    });
    refuses(&integers, "model.norm.weight is U8");
}

#[test]
fn files_that_are_cut_short() {
    let weights = copied("tiny-reranker");
    let path = weights.path().join("model.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    for length in [0, 5, 100, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(&path, &bytes[..length]).unwrap();
        refuses(&weights, "model.safetensors");
    }
    let whole = std::fs::read(folder("tiny-reranker-q8_0.gguf")).unwrap();
    let copy = tempfile::tempdir().unwrap();
    let path = copy.path().join("cut.gguf");
    for length in [0, 3, 20, 3000, whole.len() / 2, whole.len() - 40] {
        std::fs::write(&path, &whole[..length]).unwrap();
        let cpu = open_device(DeviceChoice::Cpu).unwrap();
        let error = format!("{:#}", open("cut", &path, &cpu, options(Dtype::Auto)).err().unwrap());
        assert!(error.contains("cut.gguf"), "{error}");
    }
}

#[test]
fn configurations_of_something_else() {
    let swaps = [
        ("\"qwen3\"", "\"llama\"", "LlamaForCausalLM"),
        ("\"head_dim\"", "\"head_dimension\"", "`head_dim` is missing"),
        ("\"use_sliding_window\": false", "\"use_sliding_window\": true", "use_sliding_window"),
        ("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3", "model.layers.2"),
        ("\"vocab_size\": 442", "\"vocab_size\": 500", "model.embed_tokens.weight"),
        ("\"num_key_value_heads\": 2", "\"num_key_value_heads\": 3", "cannot share"),
        ("\"hidden_act\": \"silu\"", "\"hidden_act\": \"gelu\"", "gelu"),
    ];
    for (from, to, part) in swaps {
        let copy = copied("tiny-reranker");
        edit(&copy, "config.json", |text| {
            assert!(text.contains(from), "{from}");
            text.replace(from, to)
                .replace("Qwen3ForCausalLM", if to.contains("llama") { "LlamaForCausalLM" } else { "Qwen3ForCausalLM" })
        });
        refuses(&copy, part);
    }
}

#[test]
fn tokenizers_of_something_else() {
    let several = copied("tiny-reranker");
    edit(&several, "tokenizer.json", |text| {
        let mut tokenizer: Value = serde_json::from_str(text).unwrap();
        let merges = tokenizer["model"]["merges"].as_array_mut().unwrap();
        let before = merges.len();
        merges.retain(|merge| {
            merge.as_array().unwrap().iter().map(|part| part.as_str().unwrap()).collect::<String>() != "yes"
        });
        assert!(merges.len() < before);
        tokenizer.to_string()
    });
    refuses(&several, "writes \"yes\" with 2 tokens");

    let embedding = copied("tiny-reranker");
    std::fs::copy(folder("tiny-embedding/tokenizer.json"), embedding.path().join("tokenizer.json")).unwrap();
    refuses(&embedding, "of an embedding, not of a reranker");

    let larger = copied("tiny-reranker");
    edit(&larger, "config.json", |text| text.replace("\"vocab_size\": 442", "\"vocab_size\": 440"));
    refuses(&larger, "they are of different models");
}

#[test]
fn a_gguf_file_without_the_rows_of_yes_and_no() {
    let error = format!("{:#}", model("tiny-reranker-old-q8_0.gguf", options(Dtype::Auto)).err().unwrap());
    assert!(error.contains("cls.output.weight") && error.contains("convert"), "{error}");
}

#[test]
fn a_gpu_that_is_not_there() {
    let error = open_device(DeviceChoice::Cuda(7)).err().unwrap().to_string();
    assert!(error.contains("--device cuda:7"), "{error}");
}
