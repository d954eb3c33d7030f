//! Prints the zero-shot accuracy of the embedded model by bare label name, beside its teacher's.
//!
//! `cargo run --release --example zero_shot -- ../shared/data/labelled [--model FOLDER] [--rows N]`
//!
//! With `--model`, of the encoder in that folder instead, and which factor before the softmax would suit it best. With
//! `--rows`, of about so many rows of each set, from all over it.
//!
//! The folder holds JSON Lines files with `text`, `label` and, where there are splits, `split` and `lang`. The
//! teacher's column is `model/minilm.json`, which `model/make/minilm.py` wrote from the same rows.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it talks to its user")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use mailsort::classifier::{ZeroShot, ranking::softmax};
use mailsort::engine::device::{self, DeviceChoice};
use mailsort::engine::{self, Builtin, Embedder, LabelText, LoadOptions, Model};
use serde::Deserialize;

/// A set to measure: its key, its file, and which rows of it.
struct Task {
    key: String,
    file: &'static str,
    split: Option<&'static str>,
    lang: Option<&'static str>,
}

#[derive(Deserialize)]
struct Row {
    text: String,
    label: String,
    split: Option<String>,
    lang: Option<String>,
}

/// Languages of SIB-200 that the data holds.
const LANGUAGES: [&str; 11] = ["en", "de", "fr", "es", "pt", "it", "nl", "ru", "zh", "ja", "ar"];

fn tasks() -> Vec<Task> {
    let task = |key: &str, file, split| Task { key: key.to_string(), file, split, lang: None };
    let mut tasks = vec![
        task("banking77", "banking77.jsonl", Some("test")),
        task("clinc150", "clinc150.jsonl", Some("test")),
        task("ag_news", "ag_news.jsonl", None),
        task("newsgroups20", "newsgroups20.jsonl", None),
        task("trec", "trec.jsonl", Some("test")),
        task("bitext", "bitext_customer_service.jsonl", Some("test")),
        task("sms_spam", "sms_spam.jsonl", None),
        task("thucnews_titles", "thucnews_titles_dev.jsonl", None),
        task("tnews", "tnews_train_dev.jsonl", Some("dev")),
    ];
    tasks.extend(LANGUAGES.map(|lang| Task {
        key: format!("sib200-{lang}"),
        file: "sib200_train_dev.jsonl",
        split: Some("dev"),
        lang: Some(lang),
    }));
    tasks
}

fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let folder = PathBuf::from(arguments.next().context("usage: zero_shot FOLDER [--model FOLDER] [--rows N]")?);
    let (mut model, mut most): (Box<dyn Embedder>, usize) = (Box::new(Builtin::new()?), usize::MAX);
    while let Some(flag) = arguments.next() {
        let value = arguments.next().context("a flag needs a value")?;
        match flag.to_str() {
            Some("--model") => {
                let options = LoadOptions::default();
                let cpu = device::open(DeviceChoice::Cpu)?;
                let loaded = engine::open(&value.to_string_lossy(), Path::new(&value), &cpu, options)?;
                model = match loaded.model {
                    Model::Embedder(embedder) => embedder,
                    Model::Reranker(_) => bail!("{} is a reranker", value.display()),
                };
            }
            Some("--rows") => most = value.to_string_lossy().parse().context("--rows")?,
            _ => bail!("there are only --model and --rows"),
        }
    }
    let teacher = teacher()?;
    println!("| set | rows | labels | mailsort | MiniLM | ECE |\n|---|---|---|---|---|---|");
    let mut all = Vec::new();
    for task in tasks() {
        let rows = thinned(rows(&folder, &task)?, most);
        let (labels, temperature, scored) = scored(&*model, &rows)?;
        let Quality { accuracy, ece, .. } = measure(&scored, temperature);
        let beside = teacher.get(&task.key).map_or("–".to_string(), |score| format!("{score:.1}"));
        println!(
            "| {} | {} | {labels} | {:.1} | {beside} | {:.1} |",
            task.key,
            rows.len(),
            100.0 * accuracy,
            100.0 * ece
        );
        all.push(scored);
    }
    println!("\n| factor | ECE | log loss |\n|---|---|---|");
    for factor in [5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 40.0, 60.0, 100.0] {
        let quality: Vec<Quality> = all.iter().map(|scored| measure(scored, factor)).collect();
        let mean = |of: fn(&Quality) -> f64| quality.iter().map(of).sum::<f64>() / quality.len() as f64;
        println!("| {factor} | {:.1} | {:.3} |", 100.0 * mean(|one| one.ece), mean(|one| one.loss));
    }
    Ok(())
}

fn teacher() -> Result<BTreeMap<String, f64>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/model/minilm.json");
    Ok(serde_json::from_str(&std::fs::read_to_string(path).context(path)?)?)
}

fn rows(folder: &Path, task: &Task) -> Result<Vec<Row>> {
    let path = folder.join(task.file);
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let mut rows = Vec::new();
    for line in text.lines() {
        let row: Row = serde_json::from_str(line)?;
        // `oos` is no label but the absence of one.
        let wanted = task.split.is_none_or(|split| row.split.as_deref() == Some(split))
            && task.lang.is_none_or(|lang| row.lang.as_deref() == Some(lang))
            && row.label != "oos";
        if wanted {
            rows.push(row);
        }
    }
    ensure!(!rows.is_empty(), "{}: no row of {}", path.display(), task.key);
    Ok(rows)
}

/// Every n-th row, and the first of each label, so that none is missing.
fn thinned(rows: Vec<Row>, most: usize) -> Vec<Row> {
    let step = rows.len().div_ceil(most).max(1);
    let mut seen = BTreeSet::new();
    let kept =
        rows.into_iter().enumerate().filter(|(at, row)| seen.insert(row.label.clone()) || at.is_multiple_of(step));
    kept.map(|(_, row)| row).collect()
}

/// The raw scores of a row, and which label is right. No scores where the model knows no word of the text.
type Scored = (Option<Vec<f32>>, usize);

/// The number of labels, the factor that suits them, and each row scored against all of them.
fn scored(model: &dyn Embedder, rows: &[Row]) -> Result<(usize, f32, Vec<Scored>)> {
    let mut names: Vec<&str> = rows.iter().map(|row| row.label.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let texts: Vec<LabelText> =
        names.iter().map(|name| LabelText { name: name.to_string(), description: None }).collect();
    // A label of which no word is known is as far from every text as from any other.
    let unknown = || vec![0.0; model.dims()];
    let vectors: Vec<Vec<f32>> =
        model.embed_labels(&texts)?.into_iter().map(|vector| vector.unwrap_or_else(unknown)).collect();
    let temperature = model.temperature(&vectors);
    let sorter = ZeroShot::new(vectors, temperature);
    let texts: Vec<String> = rows.iter().map(|row| row.text.clone()).collect();
    let start = Instant::now();
    let embeddings = model.embed(&texts, None, model.default_max_tokens())?;
    eprintln!("{:.1} texts a second", texts.len() as f64 / start.elapsed().as_secs_f64());
    let scored = rows.iter().zip(embeddings).map(|(row, embedding)| {
        let raw = embedding.map(|embedding| sorter.scores(&embedding.vector).raw);
        Ok((raw, names.binary_search(&row.label.as_str()).ok().context("a label of its own")?))
    });
    Ok((names.len(), temperature, scored.collect::<Result<_>>()?))
}

/// Shares of 1, and the log loss in nats.
struct Quality {
    accuracy: f64,
    /// Expected calibration error over ten bins of confidence.
    ece: f64,
    loss: f64,
}

fn measure(scored: &[Scored], factor: f32) -> Quality {
    let mut right = 0u32;
    let mut loss = 0.0;
    let mut bins = [(0.0f64, 0.0f64); 10];
    for (raw, label) in scored {
        let Some(raw) = raw else {
            continue;
        };
        let scores = softmax(&raw.iter().map(|score| factor * score).collect::<Vec<_>>());
        let best = (0..scores.len()).max_by(|&a, &b| scores[a].total_cmp(&scores[b])).unwrap_or(0);
        let hit = best == *label;
        right += u32::from(hit);
        loss -= f64::from(scores[*label].max(f32::MIN_POSITIVE)).ln();
        let confidence = f64::from(scores[best]);
        let bin = &mut bins[((confidence * 10.0) as usize).min(9)];
        *bin = (bin.0 + confidence, bin.1 + f64::from(u8::from(hit)));
    }
    let total = scored.len() as f64;
    let ece = bins.iter().map(|(confidence, hits)| (confidence - hits).abs()).sum::<f64>() / total;
    Quality { accuracy: f64::from(right) / total, ece, loss: loss / total }
}
