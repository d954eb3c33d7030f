//! The same numbers on a GPU. These tests are skipped where none opens.

use candle_core::{DType, Device, Tensor};

use super::*;
use crate::engine::backend::candle::{Candle, flash};
use crate::engine::backend::{Backend, Heads, Mask, RotaryEmbedding, Sequences, Tree};
use crate::engine::checkpoint::{Kind, View};
use crate::engine::device::OpenedDevice;
use crate::requirements::lacks;

/// What f32 keeps where sums are added in another order than on the CPU.
const GPU_F32: f32 = 1e-4;
/// Here activations are bf16 as well; transformers in bf16 is off by up to 0.099 from itself in f32.
const GPU_BF16: f32 = 0.15;
/// The same with f16, where it is 0.011.
const GPU_F16: f32 = 0.02;

fn gpu() -> Option<OpenedDevice> {
    match open_device(DeviceChoice::Cuda(0)) {
        Ok(opened) => Some(opened),
        Err(reason) => {
            lacks("gpu", format!("{reason:#}"));
            None
        }
    }
}

fn reranker_on(gpu: &OpenedDevice, name: &str, options: LoadOptions) -> Box<dyn Reranker> {
    match open(name, &folder(name), gpu, options).unwrap().model {
        Model::Reranker(model) => model,
        Model::Embedder(_) => panic!("{name} is an embedding"),
    }
}

#[test]
fn logits_are_those_of_transformers() {
    let Some(gpu) = gpu() else { return };
    let kinds = [
        ("tiny-reranker", Dtype::F32, GPU_F32),
        ("tiny-reranker", Dtype::Bf16, GPU_BF16),
        ("tiny-reranker-untied", Dtype::F32, GPU_F32),
        ("tiny-reranker-untied", Dtype::Auto, GPU_BF16),
        ("tiny-reranker-f16", Dtype::F16, GPU_F16),
        ("tiny-reranker-q8_0.gguf", Dtype::F32, Q8_0),
        ("tiny-reranker-untied-q8_0.gguf", Dtype::F32, Q8_0),
        ("tiny-wide-q4_k_m.gguf", Dtype::F32, Q4_K),
    ];
    for (name, dtype, tolerance) in kinds {
        let (worst, mean) = differences(&*reranker_on(&gpu, name, options(dtype)), name);
        assert!(
            worst <= tolerance && mean <= tolerance / 2.0,
            "{name} as {dtype:?}: off by {worst:e} at most, {mean:e} in the mean"
        );
    }
}

#[test]
fn vectors_are_those_of_sentence_transformers() {
    let Some(gpu) = gpu() else { return };
    for (dtype, tolerance) in [(Dtype::F32, GPU_F32), (Dtype::Bf16, 0.05)] {
        let Model::Embedder(model) =
            open("tiny-embedding", &folder("tiny-embedding"), &gpu, options(dtype)).unwrap().model
        else {
            panic!("a reranker")
        };
        let golden = golden("tiny-embedding");
        for case in cases(&golden).iter().filter(|case| text(case, "kind") == "query") {
            let words = text(case, "text");
            let embedded = model.embed(&[words.to_string()], golden["task"].as_str(), 100_000).unwrap().remove(0);
            for (got, expected) in embedded.unwrap().vector.iter().zip(numbers(&case["vector"])) {
                assert!((got - expected).abs() <= tolerance, "{dtype:?}: {got} for {expected} in {words:?}");
            }
        }
    }
}

/// How far numbers are from others at most and in the mean, as parts of these where they are more than 1.
fn apart(got: &[f32], expected: &[f32]) -> (f32, f32) {
    assert!(!got.is_empty() && got.len() == expected.len());
    let off = got.iter().zip(expected).map(|(got, expected)| (got - expected).abs() / expected.abs().max(1.0));
    let off: Vec<f32> = off.collect();
    assert!(off.iter().all(|off| off.is_finite()));
    (off.iter().copied().fold(0.0, f32::max), off.iter().sum::<f32>() / off.len() as f32)
}

#[test]
fn a_score_hardly_depends_on_its_neighbours() {
    let Some(gpu) = gpu() else { return };
    let labels: Vec<usize> = (0..9).collect();
    let task = Task { instruct: None, labels: labels.iter().map(|at| bare(&"word ".repeat(at * 3 + 1))).collect() };
    let own: Vec<String> = (0..8).map(|at| "please pay the invoice ".repeat(at * 5 % 61 + 1)).collect();
    // f16, since flash-attn takes no f32 and bf16 rounds more than neighbours could do.
    for (dtype, tolerance) in [(Dtype::F32, GPU_F32), (Dtype::F16, GPU_F16), (Dtype::Bf16, GPU_BF16)] {
        let model = reranker_on(&gpu, "tiny-reranker", options(dtype));
        // The logits of the same messages, each behind a neighbour: `words` as often as `times` says.
        let beside = |own: &[String], words: &str, times: usize| -> Vec<f32> {
            let mails: Vec<String> = own.iter().flat_map(|mail| [words.repeat(times), mail.clone()]).collect();
            let questions: Vec<Question> = mails.iter().map(|text| Question { text, labels: &labels }).collect();
            let judged = model.judge(&task, &questions, 100_000).unwrap();
            judged.into_iter().skip(1).step_by(2).flat_map(|judged| judged.logits).collect()
        };
        let alone = |mail: &String| model.judge(&task, &[Question { text: mail, labels: &labels }], 100_000).unwrap();
        let expected: Vec<f32> = own.iter().flat_map(alone).flat_map(|judged| judged.logits).collect();
        for (words, times) in [("the meeting is at noon ", 3), ("the meeting is at noon ", 90), ("!!! 会议 ", 41)] {
            let (worst, mean) = apart(&beside(&own, words, times), &expected);
            assert!(
                worst <= tolerance && mean <= tolerance / 4.0,
                "{dtype:?} beside {words:?}: off by {worst:e} at most, {mean:e} in the mean"
            );
        }
        // Had the messages themselves seen a word of their neighbours, it would show.
        let seen: Vec<String> = own.iter().map(|mail| format!("meeting {mail}")).collect();
        let (worst, mean) = apart(&beside(&seen, "the meeting is at noon ", 3), &expected);
        assert!(
            worst > tolerance && mean > tolerance / 4.0,
            "{dtype:?}: {worst:e} and {mean:e} are too little to show"
        );
    }
}

/// Numbers that bf16 holds, between -1 and 1.
fn numbers_of(rows: usize, width: usize, seed: u32) -> Tensor {
    let mut x = seed;
    let mut next = || {
        x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        half::bf16::from_f32((x >> 8) as f32 / (1 << 23) as f32 - 1.0).to_f32()
    };
    Tensor::from_vec((0..rows * width).map(|_| next()).collect(), (rows, width), &Device::Cpu).unwrap()
}

/// What attention makes of the same numbers on a device.
fn attention(device: &Device, dtype: DType, flash: bool, heads: Heads, trees: &[Tree], positions: &[u32]) -> Vec<f32> {
    let (backend, rope) = (Candle { device: device.clone(), dtype, flash }, RotaryEmbedding::new(1e6, heads.size));
    let sequences = Sequences { trees, mask: Mask::Causal, heads, rope: Some((positions, &rope)) };
    let attention = backend.attention_of(&sequences).unwrap();
    let (weight, shape) = (vec![1.5f32; heads.size], [heads.size]);
    let view = View { name: "norm", kind: Kind::F32, shape: &shape, bytes: bytemuck::cast_slice(&weight) };
    let norm = backend.load_norm(view, None, 1e-6).unwrap();
    let widths = [heads.query, heads.key_value, heads.key_value].map(|heads_of| heads_of * heads.size);
    let part = |at: usize| {
        let part = numbers_of(positions.len(), widths[at], at as u32 + 1).to_device(device).unwrap();
        part.to_dtype(if device.is_cpu() { DType::F32 } else { dtype }).unwrap()
    };
    let qkv = backend.rope([part(0), part(1), part(2)], [&norm, &norm], &attention).unwrap();
    backend.read(&backend.attention(qkv, &attention).unwrap()).unwrap()
}

/// Heads as released models have them, with messages of several hundred tokens: tiny models have smaller ones.
#[test]
fn attention_of_released_shapes() {
    let heads = Heads { query: 16, key_value: 8, size: 128 };
    let mut trees: Vec<Tree> = Vec::new();
    for (prefix, tails) in [(380, vec![30; 12]), (700, vec![21, 33, 1, 700]), (5, vec![]), (0, vec![40, 2])] {
        trees.push(Tree { start: trees.iter().map(Tree::tokens).sum(), prefix, tails });
    }
    let position = |tree: &Tree| {
        let tails = tree.tails.iter().flat_map(|&tail| tree.prefix..tree.prefix + tail).collect::<Vec<_>>();
        (0..tree.prefix).chain(tails).map(|position| position as u32).collect::<Vec<_>>()
    };
    let positions: Vec<u32> = trees.iter().flat_map(position).collect();
    let expected = attention(&Device::Cpu, DType::F32, false, heads, &trees, &positions);
    let compare = |got: Vec<f32>, tolerance: f32, what: &str| {
        let worst = got.iter().zip(&expected).map(|(got, expected)| (got - expected).abs()).fold(0.0, f32::max);
        assert!(worst <= tolerance, "{what}: off by {worst}");
    };
    compare(attention(&Device::Cpu, DType::F32, true, heads, &trees, &positions), 1e-5, "sequences");
    let Some(gpu) = gpu() else { return };
    for (dtype, tolerance) in [(DType::F32, 1e-4), (DType::BF16, 0.05), (DType::F16, 0.01)] {
        compare(attention(&gpu.device, dtype, false, heads, &trees, &positions), tolerance, dtype.as_str());
        if flash::is_built_for(&gpu.device, dtype, heads.size) {
            compare(attention(&gpu.device, dtype, true, heads, &trees, &positions), tolerance, "flash");
        } else if dtype != DType::F32 {
            lacks("flash-attn", "this build is without it");
        }
    }
}
