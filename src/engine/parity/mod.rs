//! The numbers of Python's transformers and of the gguf package, as `tests/models/` keeps them, against ours.

mod candle;
mod embeddings;
mod encoders;
mod errors;
mod files;
mod gpu;
mod neighbours;
mod rerankers;
mod traps;

use std::path::PathBuf;

use serde_json::Value;

use super::checkpoint::Checkpoint;
use super::device::{DeviceChoice, open as open_device};
use super::models::qwen3::prompt::RerankerPrompt;
use super::models::qwen3::vocabulary::Vocabulary;
use super::registry::{Dtype, LoadOptions, Model, open};
use super::{Embedder, Judgement, LabelText, Question, Reranker, Task};

/// Largest difference to transformers where both compute in f32, as a share of the larger logit.
const F32: f32 = 1e-5;
/// The same where products take numbers rounded to bf16. Random models amplify what is rounded: each layer adds as much
/// as there is already. In the mean over all cases it must be half of this, as with the following.
const BF16: f32 = 0.08;
/// The same with f16 products: 11 bits.
const F16: f32 = 0.01;
/// The same with Q8_0 weights and activations rounded to 8 bits by blocks of 32.
const Q8_0: f32 = 0.16;
/// The same with weights of 4 to 6 bits and activations rounded to 8 bits by blocks of 256.
const Q4_K: f32 = 0.16;

fn folder(name: &str) -> PathBuf {
    // Where tests run on another machine than they were built on, the variable says where the repository is.
    let root = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    PathBuf::from(root).join("tests/models").join(name)
}

/// A checkpoint, of whatever architecture.
fn checkpoint(name: &str) -> Checkpoint {
    Checkpoint::open(&folder(name), |_| Ok(())).unwrap()
}

fn golden(name: &str) -> Value {
    let path = folder("golden").join(format!("{name}.json"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn options(dtype: Dtype) -> LoadOptions {
    LoadOptions { dtype, ..LoadOptions::default() }
}

fn model(name: &str, options: LoadOptions) -> anyhow::Result<Model> {
    let cpu = open_device(DeviceChoice::Cpu)?;
    Ok(open(name, &folder(name), &cpu, options)?.model)
}

/// Largest and mean difference to the logits of transformers.
fn differences(model: &dyn Reranker, reference: &str) -> (f32, f32) {
    let golden = golden(reference);
    let off = |case: &Value| {
        let (task, mail) = asked(case);
        off(judge(model, &task, mail).logits[0], case)
    };
    let off: Vec<f32> = cases(&golden).iter().map(off).collect();
    let squares: f32 = off.iter().map(|off| off * off).sum();
    (off.iter().copied().fold(0.0, f32::max), (squares / off.len() as f32).sqrt())
}

fn reranker(name: &str, options: LoadOptions) -> Box<dyn Reranker> {
    match model(name, options).unwrap() {
        Model::Reranker(model) => model,
        Model::Embedder(_) => panic!("{name} is an embedding"),
    }
}

fn embedder(name: &str, options: LoadOptions) -> Box<dyn Embedder> {
    match model(name, options).unwrap() {
        Model::Embedder(model) => model,
        Model::Reranker(_) => panic!("{name} is a reranker"),
    }
}

fn prompts(name: &str) -> RerankerPrompt {
    RerankerPrompt::new(Vocabulary::open(&checkpoint(name)).unwrap()).unwrap()
}

fn cases(golden: &Value) -> &[Value] {
    let cases = golden["cases"].as_array().unwrap();
    assert!(!cases.is_empty());
    cases
}

fn text<'a>(case: &'a Value, field: &str) -> &'a str {
    case[field].as_str().unwrap()
}

fn number(case: &Value, field: &str) -> f32 {
    case[field].as_f64().unwrap() as f32
}

fn numbers(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap() as f32).collect()
}

fn ids(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
}

/// A label whose text is exactly this.
fn bare(document: &str) -> LabelText {
    LabelText { name: document.into(), description: None }
}

/// The task and the text of a case.
fn asked(case: &Value) -> (Task, &str) {
    let labels = vec![bare(text(case, "document"))];
    (Task { instruct: Some(text(case, "instruct").into()), labels }, text(case, "query"))
}

fn judge(model: &dyn Reranker, task: &Task, text: &str) -> Judgement {
    let labels: Vec<usize> = (0..task.labels.len()).collect();
    model.judge(task, &[Question { text, labels: &labels }], 100_000).unwrap().remove(0)
}

/// How far a logit is from that of transformers, as a share of the larger of its two logits.
fn off(logit: f32, case: &Value) -> f32 {
    let (yes, no) = (number(case, "logit_yes"), number(case, "logit_no"));
    (logit - (yes - no)).abs() / yes.abs().max(no.abs()).max(1.0)
}

/// Token numbers by the formula of `tests/models/README.md`, begun with `length`.
fn synthetic(length: usize, text_tokens: u64) -> Vec<u32> {
    let mut x = length as u64;
    let mut next = || {
        x = (x * 1_103_515_245 + 12_345) % (1 << 31);
        ((x / 65_536) % text_tokens) as u32
    };
    (0..length).map(|_| next()).collect()
}
