//! NLI models and other encoders through the real program. Their scores are those of `transformers`, which `golden/`
//! keeps.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::mailsort::{Run, mailsort, root};
use crate::models::{copied, model, records, refused, said};

const MODELS: [&str; 7] = [
    "tiny-bert-nli",
    "tiny-xlmr-nli",
    "tiny-roberta-nli",
    "tiny-distilbert-nli",
    "tiny-deberta-nli",
    "tiny-deberta-v2-nli",
    "tiny-modernbert-nli",
];
const EMBEDDINGS: [&str; 5] = ["tiny-distilbert", "tiny-roberta", "tiny-deberta-v3", "tiny-modernbert", "tiny-nomic"];

/// The labels and mails of a golden, as arguments and as JSON Lines in a folder.
struct Golden {
    labels: Vec<String>,
    cases: Vec<Value>,
    folder: TempDir,
}

impl Golden {
    fn read(name: &str) -> Self {
        let text = fs::read_to_string(root().join(model(&format!("golden/{name}.json")))).unwrap();
        let golden: Value = serde_json::from_str(&text).unwrap();
        let words = |value: &Value| value.as_str().unwrap().to_string();
        // The last one has characters that the words of a label do not keep.
        let labels = golden["labels"].as_array().unwrap()[..4].iter().map(words).collect();
        // Long texts and odd ones are for tests of the engine: cleaning changes them.
        let cases = golden["cases"].as_array().unwrap()[..10].to_vec();
        let folder = tempfile::tempdir().unwrap();
        let lines = cases.iter().map(|case| json!({"text": case["text"]}).to_string() + "\n");
        fs::write(folder.path().join("mails.jsonl"), lines.collect::<String>()).unwrap();
        Self { labels, cases, folder }
    }

    fn classify(&self, name: &str, flags: &[&str]) -> Run {
        let mails = self.folder.path().join("mails.jsonl");
        let labels = self.labels.iter().flat_map(|label| ["--label".to_string(), label.clone()]);
        let fixed = ["--no-clean".into(), "--top-k".into(), "9".into(), "--model".into(), model(name)];
        let flags = flags.iter().map(|flag| flag.to_string());
        mailsort(
            ["classify".into(), mails.to_string_lossy().into_owned()]
                .into_iter()
                .chain(labels)
                .chain(fixed)
                .chain(flags),
        )
    }

    /// The scores of a record, in the order of the labels.
    fn scores(&self, record: &Value) -> Vec<f64> {
        let score = |name: &String| {
            let labels = record["labels"].as_array().unwrap();
            labels.iter().find(|label| label["label"] == json!(name)).unwrap()["score"].as_f64().unwrap()
        };
        self.labels.iter().map(score).collect()
    }

    fn check(&self, name: &str, flags: &[&str], field: &str) {
        let records = records(self.classify(name, flags));
        assert_eq!(records.len(), self.cases.len());
        for (record, case) in records.iter().zip(&self.cases) {
            let theirs = case[field].as_array().unwrap()[..4].iter().map(|score| score.as_f64().unwrap());
            let theirs: Vec<f64> = theirs.collect();
            // A softmax over fewer labels is that over all, scaled.
            let whole = if field == "single" { theirs.iter().sum() } else { 1.0 };
            for (ours, theirs) in self.scores(record).into_iter().zip(theirs) {
                let theirs = theirs / whole;
                assert!((ours - theirs).abs() < 6e-5, "{name}, {field}: {ours} for {theirs} in {record}");
            }
        }
    }
}

#[test]
fn scores_are_those_of_the_zero_shot_pipeline() {
    for name in MODELS {
        let golden = Golden::read(name);
        golden.check(name, &[], "single");
        golden.check(name, &["--nli", "multi"], "multi");
    }
}

#[test]
fn a_cache_knows_the_hypothesis_and_the_way() {
    let name = "tiny-bert-nli";
    let golden = Golden::read(name);
    let cache = golden.folder.path().join("cache");
    let cache = cache.to_str().unwrap();
    let said = |flags: &[&str]| {
        let run = |more: &[&str]| records(golden.classify(name, &[flags, more].concat()));
        let (fresh, first, second) = (run(&[]), run(&["--cache", cache]), run(&["--cache", cache]));
        assert!(fresh == first && first == second, "{flags:?}");
        golden.scores(&fresh[0])
    };
    let all = [said(&[]), said(&["--nli", "multi"]), said(&["--hypothesis", "{}"])];
    assert!(all[0] != all[1] && all[1] != all[2] && all[0] != all[2], "{all:?}");
    assert!((all[2].iter().sum::<f64>() - 1.0).abs() < 1e-3, "{all:?}");
}

#[test]
fn a_hypothesis_has_one_place_for_a_label() {
    let golden = Golden::read("tiny-bert-nli");
    refused(golden.classify("tiny-bert-nli", &["--hypothesis", "This is spam."]), &["--hypothesis", "0 places", "{}"]);
    refused(golden.classify("tiny-bert-nli", &["--hypothesis", "{} or {}"]), &["--hypothesis", "2 places"]);
    for other in ["tiny-bert-reranker", "tiny-bert"] {
        refused(golden.classify(other, &["--hypothesis", "{}"]), &["--hypothesis is for NLI models", other]);
    }
    refused(golden.classify("tiny-bert", &["--nli", "multi"]), &["--nli is for NLI models"]);
    refused(
        mailsort(["classify", "--label", "a", "--nli", "multi", "samples/inbox.mbox"]),
        &["--nli", "built-in model"],
    );
}

#[test]
fn one_label_alone_needs_a_contradiction() {
    let classify = |flags: &[&str]| {
        let fixed = ["classify", "samples/inbox.mbox", "--label", "invoice", "--model", "tests/models/tiny-bert-nli"];
        said(mailsort(fixed.into_iter().chain(flags.iter().copied())))
    };
    let (status, _, stderr) = classify(&[]);
    assert!(status == Some(0) && stderr.contains("always 1") && stderr.contains("--nli multi"), "{stderr}");
    let (status, stdout, stderr) = classify(&["--nli", "multi"]);
    assert!(status == Some(0) && !stderr.contains("always 1"), "{stderr}");
    let records = stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    assert!(records.into_iter().all(|record| record["score"].as_f64().unwrap() < 0.9999), "{stdout}");
}

#[test]
fn labels_are_never_cut() {
    let label = "meeting ".repeat(200);
    let run = mailsort([
        "classify",
        "samples/inbox.mbox",
        "--label",
        &label,
        "--label",
        "b",
        "--model",
        "tests/models/tiny-bert-nli",
    ]);
    refused(run, &["the label \"meeting meeting", "tokens"]);
}

#[test]
fn other_models_are_refused_by_name() {
    let classify = |name: &str, changes: &[(&str, &str)]| {
        let copy = copied(name);
        let path = copy.path().join("config.json");
        let mut text = fs::read_to_string(&path).unwrap();
        for (from, to) in changes {
            assert!(text.contains(from), "{name} has no {from}");
            text = text.replace(from, to);
        }
        fs::write(path, text).unwrap();
        let path = copy.path().to_str().unwrap().to_string();
        (copy, mailsort(["classify", "samples/inbox.mbox", "--labels", "tests/models/mail.txt", "--model", &path]))
    };
    let (_copy, run) = classify("tiny-bert-nli", &[("BertFor", "BartFor"), (r#""bert""#, r#""bart""#)]);
    let known =
        ["Qwen3", "BERT", "XLM-RoBERTa", "RoBERTa", "CamemBERT", "DistilBERT", "DeBERTa", "ModernBERT", "NomicBERT"];
    refused(run, &[&["BartForSequenceClassification", "not one that mailsort runs"], &known[..]].concat());
    let (_copy, run) = classify("tiny-distilbert-nli", &[("entailment", "anger")]);
    refused(run, &["3 classes of its own", "anger, neutral, contradiction", "entailment"]);
    let (_copy, run) = classify("tiny-roberta-nli", &[("CONTRADICTION", "OTHER")]);
    refused(run, &["3 classes of its own", "OTHER, NEUTRAL, ENTAILMENT"]);
}

#[test]
fn embeddings_of_other_architectures() {
    for name in EMBEDDINGS {
        let records = records(crate::models::classify(name));
        assert!(records.iter().all(|record| record["model"] == json!(model(name))), "{name}");
        assert!(records.iter().filter(|record| record["label"].is_string()).count() > 5, "{name}");
    }
}
