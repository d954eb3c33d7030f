//! How much of the speed of its products a whole model keeps, and what sharing the mail among its labels gains.
//!
//! `cargo bench --bench trunk -- MODEL[:DTYPE] ...`, of rerankers such as benches/make_checkpoint.py writes; `--layers
//! 4` there is enough. Each line is one model: a pass and the bare products of such a pass, with the same numbers of
//! rows, take turns, and what is printed are medians and their ratio, so that a busy minute hits both.

#![allow(clippy::print_stdout, clippy::expect_used, reason = "it talks to its user, who built it")]

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;
use mailsort::engine::device::{self, DeviceChoice};
use mailsort::engine::kernels::products::{Builder, Packed, Packing, WeightRows};
use mailsort::engine::models::qwen3::prompt::{PREFIX, RERANKER_TASK, SUFFIX};
use mailsort::engine::{self, Dtype, LabelText, LoadOptions, Model, Question, Reranker, Task};
use tokenizers::Tokenizer;

const LABELS: usize = 12;
const MAIL_TOKENS: usize = 300;
const LABEL_TOKENS: usize = 16;
const TURNS: usize = 9;
const WORDS: &str = "please send the invoice of our last order before the office in Geneva moves on Friday because nobody will be \
                     there to sign for it and the customer has asked twice when the rest will be shipped";

fn main() -> Result<()> {
    let models: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    if models.is_empty() {
        println!("name a model, as benches/trunk.rs says");
    }
    models.iter().try_for_each(|model| one(model).with_context(|| model.clone()))
}

/// A mail and its labels, and how many tokens they are.
struct Input {
    mail: String,
    task: Task,
    prefix: usize,
    tails: usize,
}

impl Input {
    fn new(tokenizer: &Tokenizer) -> Result<Self> {
        let count = |text: &str| -> Result<usize> {
            Ok(tokenizer.encode(text, false).map_err(anyhow::Error::from_boxed)?.len())
        };
        let words = |tokens: usize, skip: usize| -> Result<String> {
            let mut text = String::new();
            for word in WORDS.split(' ').cycle().skip(skip) {
                if count(&text)? >= tokens {
                    break;
                }
                text = format!("{text} {word}");
            }
            Ok(text.trim().into())
        };
        let mail = words(MAIL_TOKENS, 0)?;
        let label = |at| -> Result<LabelText> {
            Ok(LabelText { name: format!("label {at}"), description: Some(words(LABEL_TOKENS, 3 * at)?) })
        };
        let labels: Vec<LabelText> = (0..LABELS).map(label).collect::<Result<_>>()?;
        let body = format!("<Instruct>: {RERANKER_TASK}\n<Query>: {mail}\n<Document>:");
        let prefix = count(PREFIX)? + count(&body)?;
        let tail = |label: &LabelText| -> Result<usize> {
            let text = format!(" {}: {}", label.name, label.description.as_deref().unwrap_or_default());
            Ok(count(&text)? + count(SUFFIX)?)
        };
        let tails = labels.iter().map(tail).sum::<Result<usize>>()?;
        Ok(Self { mail, task: Task { instruct: None, labels }, prefix, tails })
    }

    /// Tokens that go through the model when the labels share the mail, and when they do not.
    fn tokens(&self) -> (usize, usize) {
        (self.prefix + self.tails, LABELS * self.prefix + self.tails)
    }
}

fn one(given: &str) -> Result<()> {
    let (path, dtype) = given.split_once(':').unwrap_or((given, "auto"));
    let dtype = Dtype::from_str(dtype, true).map_err(anyhow::Error::msg)?;
    let path = Path::new(path);
    // A GGUF file stands beside the folder that it was made with.
    let folder = if path.is_dir() { path.to_path_buf() } else { folder_of(path)? };
    let tokenizer = Tokenizer::from_file(folder.join("tokenizer.json")).map_err(anyhow::Error::from_boxed)?;
    let config: serde_json::Value = serde_json::from_slice(&std::fs::read(folder.join("config.json"))?)?;
    let input = Input::new(&tokenizer)?;
    let options = LoadOptions { dtype, ..LoadOptions::default() };
    let loaded = engine::open("bench", path, &device::open(DeviceChoice::Cpu)?, options)?;
    let Model::Reranker(model) = loaded.model else { bail!("not a reranker") };
    let products = Products::new(&config, kind(&loaded.class, &config))?;
    let (shared, apart) = input.tokens();
    let mut times: [Vec<f64>; 3] = Default::default();
    for _ in 0..=TURNS {
        times[0].push(judge(&*model, &input, true)?);
        times[1].push(products.pass(shared, LABELS));
        times[2].push(judge(&*model, &input, false)?);
    }
    // The first turn warms up.
    let [pass, bare, alone] = times.map(|mut times| median(times.split_off(1)));
    let work = products.work(shared, LABELS);
    println!(
        "{given}: {} as {:?} on {} threads: {:.0} tokens/s, products alone {:.0} Gop/s, the pass {:.0} Gop/s: share {:.2}",
        loaded.class,
        products.kind,
        rayon::current_num_threads(),
        shared as f64 / pass,
        work / bare,
        work / pass,
        bare / pass,
    );
    let bound = apart as f64 / shared as f64;
    println!(
        "  labels that share the mail: {:.2} times as fast, of {bound:.2} by tokens: {:.2}",
        alone / pass,
        alone / pass / bound
    );
    Ok(())
}

/// `FOLDER.gguf` and `FOLDER-q4_k_m.gguf` belong to `FOLDER`.
fn folder_of(file: &Path) -> Result<std::path::PathBuf> {
    let stem = file.with_extension("");
    let name = stem.to_string_lossy().replace("-q4_k_m", "");
    ensure!(Path::new(&name).is_dir(), "no folder {name} beside the file");
    Ok(name.into())
}

/// How a model of this class is multiplied. K-quants by kernels that are not ours: f32 is what they are compared with.
fn kind(class: &str, config: &serde_json::Value) -> Packing {
    let narrow = config["torch_dtype"] == "bfloat16" || config["dtype"] == "bfloat16";
    match class {
        _ if class.starts_with("bf16") => Packing::Bf16,
        _ if class.contains("blocks") => Packing::Q8_0,
        "f32 cpu" if narrow && Packing::Mixed.is_available() => Packing::Mixed,
        _ => Packing::F32,
    }
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Seconds to judge the mail by all labels, which share it or do not.
fn judge(model: &dyn Reranker, input: &Input, shared: bool) -> Result<f64> {
    let all: Vec<usize> = (0..LABELS).collect();
    let text = input.mail.as_str();
    let each: Vec<Question> = match shared {
        true => vec![Question { text, labels: &all }],
        false => all.chunks(1).map(|labels| Question { text, labels }).collect(),
    };
    let start = Instant::now();
    let judged = model.judge(&input.task, &each, 4096)?;
    let took = start.elapsed().as_secs_f64();
    ensure!(judged.iter().map(|judgement| judgement.logits.len()).sum::<usize>() == LABELS, "not all were judged");
    Ok(took)
}

/// The weights of a model with nothing between them.
struct Products {
    kind: Packing,
    /// q, k and v; o; gate and up; down: of every layer.
    layers: Vec<[Packed; 4]>,
}

impl Products {
    fn new(config: &serde_json::Value, kind: Packing) -> Result<Self> {
        let size = |name: &str| config[name].as_u64().map(|size| size as usize).with_context(|| format!("no {name}"));
        let (hidden, head) = (size("hidden_size")?, size("head_dim")?);
        let (queries, keys) = (size("num_attention_heads")? * head, size("num_key_value_heads")? * head);
        let wide = size("intermediate_size")?;
        let shapes = [(hidden, queries + 2 * keys), (queries, hidden), (hidden, 2 * wide), (wide, hidden)];
        let weight = |(inputs, outputs): (usize, usize)| {
            let values: Vec<f32> = (0..inputs * outputs).map(|at| ((at * 7919) % 20011) as f32 / 1e6 - 0.01).collect();
            let mut builder = Builder::new(kind, outputs, inputs);
            builder.push(WeightRows::F32(&values));
            builder.finish()
        };
        let layers = (0..size("num_hidden_layers")?).map(|_| shapes.map(weight)).collect();
        Ok(Self { kind, layers })
    }

    /// Each weight with its rows: of the last layer, only the outputs are computed behind the attention.
    fn rows(&self, tokens: usize, outputs: usize) -> Vec<(&Packed, usize)> {
        let mut rows: Vec<_> = self.layers.iter().flatten().map(|weight| (weight, tokens)).collect();
        rows.iter_mut().rev().take(3).for_each(|(_, rows)| *rows = outputs);
        rows
    }

    /// Seconds of all products of a pass.
    fn pass(&self, tokens: usize, outputs: usize) -> f64 {
        let longest = self.layers[0].iter().map(|weight| weight.inputs().max(weight.outputs())).max().unwrap_or(0);
        let input: Vec<f32> = (0..tokens * longest).map(|at| ((at * 31) % 2003) as f32 / 1000.0 - 1.0).collect();
        let mut output = vec![0.0; tokens * longest];
        let start = Instant::now();
        for (weight, rows) in self.rows(tokens, outputs) {
            weight.product(&input[..rows * weight.inputs()], &mut output[..rows * weight.outputs()]);
            black_box(&mut output);
        }
        start.elapsed().as_secs_f64()
    }

    /// Multiplications and additions of a pass, in 10⁹.
    fn work(&self, tokens: usize, outputs: usize) -> f64 {
        self.rows(tokens, outputs)
            .into_iter()
            .map(|(weight, rows)| 2e-9 * (rows * weight.inputs() * weight.outputs()) as f64)
            .sum()
    }
}
