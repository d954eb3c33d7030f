//! Prints the zero-shot accuracy of the embedded model by bare label name, beside its teacher's.
//!
//! `cargo run --release --example zero_shot -- ../shared/data/labelled`
//!
//! The folder holds JSON Lines files with `text`, `label` and, where there are splits, `split` and `lang`. The
//! teacher's column is `model/minilm.json`, which `model/make/minilm.py` wrote from the same rows.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it talks to its user")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use mailsort::engine::{Builtin, Embedder, LabelText};
use mailsort::sorting::ZeroShot;
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
    let folder = PathBuf::from(std::env::args_os().nth(1).context("usage: zero_shot FOLDER")?);
    let model = Builtin::new()?;
    let teacher = teacher()?;
    println!("| set | rows | labels | mailsort | MiniLM | ECE |\n|---|---|---|---|---|---|");
    for task in tasks() {
        let rows = rows(&folder, &task)?;
        let (labels, accuracy, ece) = measure(&model, &rows)?;
        let beside = teacher.get(&task.key).map_or("–".to_string(), |score| format!("{score:.1}"));
        println!(
            "| {} | {} | {labels} | {:.1} | {beside} | {:.1} |",
            task.key,
            rows.len(),
            100.0 * accuracy,
            100.0 * ece
        );
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

/// Number of labels, accuracy, and expected calibration error over ten bins of confidence.
fn measure(model: &Builtin, rows: &[Row]) -> Result<(usize, f64, f64)> {
    let mut names: Vec<&str> = rows.iter().map(|row| row.label.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let texts: Vec<LabelText> =
        names.iter().map(|name| LabelText { name: name.to_string(), description: None }).collect();
    let vectors: Option<Vec<_>> = model.embed_labels(&texts).into_iter().collect();
    let sorter = ZeroShot::new(vectors.context("a label without a known word")?, model.temperature());
    let texts: Vec<String> = rows.iter().map(|row| row.text.clone()).collect();
    let mut right = 0;
    let mut bins = [(0.0f64, 0.0f64, 0.0f64); 10];
    for (row, embedding) in rows.iter().zip(model.embed(&texts, model.default_max_tokens())) {
        let Some(embedding) = embedding else {
            continue;
        };
        let scores = sorter.scores(&embedding.vector).probabilities;
        let best = (0..scores.len()).max_by(|&a, &b| scores[a].total_cmp(&scores[b])).unwrap_or(0);
        let hit = names[best] == row.label;
        right += usize::from(hit);
        let confidence = f64::from(scores[best]);
        let bin = &mut bins[((confidence * 10.0) as usize).min(9)];
        *bin = (bin.0 + 1.0, bin.1 + confidence, bin.2 + f64::from(u8::from(hit)));
    }
    let total = rows.len() as f64;
    let ece = bins.iter().map(|(_, confidence, hits)| (confidence - hits).abs()).sum::<f64>() / total;
    Ok((names.len(), right as f64 / total, ece))
}
