//! Logits and prompts of rerankers.

use super::*;
use crate::engine::backend::cpu::Cpu;
use crate::engine::kernels::products::Packing;
use crate::engine::models::qwen3::batch::{self, Prompt};
use crate::engine::models::qwen3::config::Qwen3Config;
use crate::engine::models::qwen3::{Qwen3, Qwen3Model};
use crate::requirements::lacks;

fn logits_are_those_of_transformers(name: &str, reference: &str, dtype: Dtype, tolerance: f32) {
    let (worst, mean) = differences(&*reranker(name, options(dtype)), reference);
    assert!(worst <= tolerance && mean <= tolerance / 2.0, "off by {worst:e} at most, {mean:e} in the mean");
}

#[test]
fn tied_f32() {
    logits_are_those_of_transformers("tiny-reranker", "tiny-reranker", Dtype::F32, F32);
}

#[test]
fn untied_sharded_bf16_weights_widened() {
    logits_are_those_of_transformers("tiny-reranker-untied", "tiny-reranker-untied", Dtype::F32, F32);
}

#[test]
fn untied_sharded_bf16() {
    logits_are_those_of_transformers("tiny-reranker-untied", "tiny-reranker-untied", Dtype::Bf16, BF16);
}

#[test]
fn f16_weights_widened() {
    logits_are_those_of_transformers("tiny-reranker-f16", "tiny-reranker-f16", Dtype::Auto, F32);
}

#[test]
fn f16_products() {
    logits_are_those_of_transformers("tiny-reranker-f16", "tiny-reranker-f16", Dtype::F16, F16);
}

#[test]
fn gguf_f16() {
    logits_are_those_of_transformers("tiny-reranker-f16.gguf", "tiny-reranker-f16.gguf", Dtype::F32, F32);
}

#[test]
fn gguf_q8_0() {
    logits_are_those_of_transformers("tiny-reranker-q8_0.gguf", "tiny-reranker-q8_0.gguf", Dtype::Auto, Q8_0);
    let untied = "tiny-reranker-untied-q8_0.gguf";
    logits_are_those_of_transformers(untied, untied, Dtype::Auto, Q8_0);
}

#[test]
fn weights_that_are_rounded_to_8_bits() {
    if !Packing::Q8_0.is_available() {
        return lacks("instructions", "this CPU has no AVX512-VNNI");
    }
    // The files of 8 bits were rounded from these.
    for name in ["tiny-reranker", "tiny-reranker-untied"] {
        logits_are_those_of_transformers(name, &format!("{name}-q8_0.gguf"), Dtype::Q8_0, Q8_0);
        let (worst, _) = differences(&*reranker(name, options(Dtype::Q8_0)), name);
        assert!(worst > 100.0 * F32, "{name}: nothing was rounded");
    }
    let cpu = open_device(DeviceChoice::Cpu).unwrap();
    for name in ["tiny-reranker", "tiny-reranker-q8_0.gguf"] {
        let loaded = open(name, &folder(name), &cpu, options(Dtype::Q8_0)).unwrap();
        assert_eq!(loaded.class, "Q8_0 blocks cpu");
    }
    let twice = format!("{:#}", model("tiny-wide-q4_k_m.gguf", options(Dtype::Q8_0)).err().unwrap());
    assert!(twice.contains("--dtype q8_0") && twice.contains("leave the flag out"), "{twice}");
}

#[test]
fn gguf_q4_k_and_q6_k() {
    logits_are_those_of_transformers("tiny-wide-q4_k_m.gguf", "tiny-wide-q4_k_m.gguf", Dtype::Auto, Q4_K);
}

#[test]
fn token_ids_are_those_of_transformers() {
    let golden = golden("tiny-reranker");
    for name in ["tiny-reranker", "tiny-reranker-q8_0.gguf"] {
        let prompt = prompts(name);
        for case in cases(&golden) {
            let mut got = prompt.prefix(text(case, "instruct"), text(case, "query"), 100_000).unwrap().ids;
            got.extend(prompt.tail(text(case, "document")).unwrap());
            let expected = [ids(&golden["prefix_ids"]), ids(&case["body_ids"]), ids(&golden["suffix_ids"])].concat();
            assert_eq!(got, expected, "{name}: {:?}", text(case, "prompt"));
        }
    }
}

/// A trunk and the rows of its head for yes and no.
fn trunk(name: &str) -> (Qwen3Model<Cpu>, [Vec<f32>; 2]) {
    let golden = golden(name);
    let checkpoint = super::checkpoint(name);
    let config = Qwen3Config::of(&checkpoint).unwrap();
    let tied = checkpoint.weights.has("lm_head.weight");
    let head = if tied { "lm_head.weight" } else { "model.embed_tokens.weight" };
    let head = checkpoint.weights.take(head, &[config.vocab_size, config.hidden_size]).unwrap();
    let rows = ["yes_id", "no_id"].map(|id| {
        let id = golden[id].as_u64().unwrap() as usize;
        head.rows(id..id + 1).unwrap()
    });
    let backend = Cpu::new(Dtype::F32);
    (Qwen3Model::load(&checkpoint, "model.", backend).unwrap(), rows)
}

#[test]
fn one_to_four_thousand_tokens() {
    for name in ["tiny-reranker", "tiny-reranker-untied"] {
        let golden = golden(name);
        let (model, rows) = trunk(name);
        let mut lengths = 0;
        for case in golden["synthetic"].as_array().unwrap() {
            let length = case["length"].as_u64().unwrap() as usize;
            let ids = synthetic(length, golden["synthetic_text_tokens"].as_u64().unwrap());
            let batch = &batch::pack(&[Prompt { prefix: ids, tails: Vec::new() }], 1)[0].1;
            let state = &model.forward(batch).unwrap()[0];
            let logits = rows.each_ref().map(|row| row.iter().zip(state).map(|(a, b)| f64::from(a * b)).sum::<f64>());
            let expected = [number(case, "logit_yes"), number(case, "logit_no")];
            let largest = expected[0].abs().max(expected[1].abs()).max(1.0);
            for (got, expected) in logits.iter().zip(expected) {
                let off = (*got as f32 - expected).abs() / largest;
                assert!(off <= F32, "{name}, {length} tokens: {got} for {expected}, off by {off:e}");
            }
            lengths = lengths.max(length);
        }
        assert_eq!(lengths, 4000);
    }
}

#[test]
fn every_layer() {
    for name in ["tiny-reranker", "tiny-reranker-untied"] {
        let golden = golden(name);
        let (model, _) = trunk(name);
        let ids = ids(&golden["hidden_ids"]);
        let batch = &batch::pack(&[Prompt { prefix: ids, tails: Vec::new() }], 1)[0].1;
        let layers = golden["hidden_states"].as_array().unwrap();
        let seen = model.watched(batch).unwrap();
        assert_eq!(seen.len(), layers.len() - 2, "what goes into each layer");
        for (at, (states, expected)) in seen.iter().zip(layers).enumerate() {
            let expected = expected.as_array().unwrap();
            for (state, expected) in states.chunks_exact(states.len() / expected.len()).zip(expected) {
                let expected = numbers(expected);
                let largest = expected.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
                for (got, expected) in state.iter().zip(expected) {
                    assert!((got - expected).abs() <= F32 * largest, "{name}, layer {at}: {got} for {expected}");
                }
            }
        }
    }
}
