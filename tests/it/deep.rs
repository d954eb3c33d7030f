//! `--model deep` through the real program: who decides, what is refused, and that `train` and `eval` know it; and the
//! label prompts and prefixes of other embeddings.

use std::path::Path;

use serde_json::{Value, json};

use crate::mailsort::{Run, mailsort};

const INBOX: [&str; 4] = ["classify", "samples/inbox.mbox", "--labels", "labels/mail.txt"];
const TINY: &str = "tests/models/tiny-bert";

fn refused(run: Run, parts: &[&str]) {
    let output = run.output();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    parts.iter().for_each(|part| assert!(stderr.contains(part), "{stderr:?} does not say {part:?}"));
}

fn by(records: &[Value]) -> Vec<&str> {
    records.iter().map(|record| record["by"].as_str().unwrap()).collect()
}

#[test]
fn the_built_in_model_decides_where_it_is_sure() {
    let builtin = mailsort(INBOX).records();
    let deep = mailsort(INBOX).args(["--model", "deep"]).records();
    assert_eq!(builtin.len(), deep.len());
    let text = std::fs::read_to_string("labels/mail.txt").unwrap();
    let labels = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).count();
    for (builtin, deep) in builtin.iter().zip(&deep) {
        let is_sure = builtin["score"].as_f64().unwrap() >= 0.6 + 0.4 / labels as f64;
        assert_eq!(deep["by"], if is_sure { "builtin" } else { "deep" }, "{builtin}");
        if is_sure {
            assert_eq!(builtin["labels"], deep["labels"]);
        }
    }
    assert!(by(&deep).contains(&"deep") && by(&deep).contains(&"builtin"));
    let all = mailsort(INBOX).args(["--model", "deep", "--deep", "all", "--threads", "1"]).records();
    assert!(by(&all).iter().all(|by| *by == "deep"));
    // What both have read is the same, whoever was asked first.
    for (some, all) in deep.iter().zip(&all).filter(|(some, _)| some["by"] == "deep") {
        assert_eq!(some["labels"], all["labels"]);
    }
}

#[test]
fn each_set_has_a_decider_of_its_own() {
    let text = "Please find attached our invoice 4711, payable within 30 days.";
    let sets = ["--labels", "labels/mail.txt", "--labels", "labels/tickets.toml"];
    let records = mailsort(["classify", "-", "--model", "deep"]).args(sets).stdin(text).records();
    let sets = records[0]["sets"].as_object().unwrap();
    assert!(sets.len() == 2 && sets.values().all(|set| set["by"].is_string()), "{records:?}");
}

#[test]
fn what_has_no_meaning_is_refused() {
    let deep = |flags: &[&str]| mailsort(INBOX).args(["--model", "deep"]).args(flags);
    refused(deep(&["--raw-scores"]), &["--raw-scores", "--deep all"]);
    refused(deep(&["--dims", "64"]), &["--dims", "deep"]);
    refused(deep(&["--query-prefix", "x"]), &["--query-prefix", "deep"]);
    refused(deep(&["--dtype", "f32"]), &["--dtype", "deep"]);
    refused(deep(&["--shortlist", "3"]), &["--shortlist", "rerankers"]);
    refused(mailsort(INBOX).args(["--deep", "all"]), &["--deep all", "--model deep"]);
    refused(mailsort(["models", "pull", "deep"]), &["deep is inside mailsort"]);
    assert_eq!(deep(&["--raw-scores", "--deep", "all"]).records().len(), 14);
}

#[test]
fn a_record_tells_how_much_the_transformer_has_read() {
    let long = "We ordered two chairs and a table last week. ".repeat(40);
    let run = |flags: &[&str]| {
        let run = mailsort(["classify", "-", "--label", "order", "--label", "meeting", "--model", "deep"]);
        let record = run.args(["--deep", "all"]).args(flags).stdin(long.clone()).records().remove(0);
        (record["tokens"].as_u64().unwrap(), record["truncated"] == json!(true))
    };
    assert_eq!([run(&[]), run(&["--max-tokens", "40"])], [(96, true), (40, true)]);
    let (tokens, truncated) = run(&["--max-tokens", "500"]);
    assert!((400..500).contains(&tokens) && !truncated, "{tokens}");
}

#[test]
fn a_label_is_read_with_its_description() {
    let run =
        |model, label| mailsort(["classify", "-", "--model", model, "--label", "b", "--label", label]).stdin("bill");
    refused(run("builtin", "საქართველო"), &["no word of the label", "--model deep, which reads a hundred languages"]);
    for (model, label) in [("deep", "საქართველო"), ("builtin", "საქართველო: a land in the Caucasus")]
    {
        assert_eq!(run(model, label).records()[0]["labels"].as_array().unwrap().len(), 2);
    }
    // It tells no numbers apart.
    let numbers = ["classify", "-", "--label", "1", "--label", "2"];
    refused(mailsort(numbers).stdin("bill"), &["\"1\" and \"2\"", "are the same to the model builtin", "description"]);
}

#[test]
fn it_is_learned_from_and_judged() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tickets.json");
    let path = file.to_str().unwrap();
    let train = mailsort(["train", "samples/filed.csv", "--model", "deep", "--output", path]);
    let output = train.output();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let written: Value = serde_json::from_str(&std::fs::read_to_string(Path::new(path)).unwrap()).unwrap();
    assert_eq!(written["model"]["id"], "deep");
    let classify = || mailsort(["classify", "-", "--classifier", path]).stdin("My card was charged twice");
    let records = classify().records();
    assert_eq!((&records[0]["label"], &records[0]["model"]), (&json!("billing"), &json!("deep+tickets")));
    refused(classify().args(["--model", "builtin"]), &["trained on deep", "leave out --model"]);
    let eval = mailsort(["eval", "samples/filed.csv", "--model", "deep", "--format", "json"]).output();
    let report: Value = serde_json::from_slice(&eval.stdout).unwrap();
    assert_eq!(report["model"], "deep");
    assert!(report["accuracy"].as_f64().unwrap() > 0.4, "{report}");
}

#[test]
fn other_embeddings_read_labels_in_prompts_behind_prefixes() {
    let scored = |flags: &[&str]| {
        let run = mailsort(["classify", "-", "--label", "invoice", "--label", "meeting", "--model", TINY]);
        run.args(flags).args(["--raw-scores"]).stdin("pay the invoice").records()[0]["labels"].clone()
    };
    let all = [scored(&[]), scored(&["--label-prompts", "off"]), scored(&["--query-prefix", "query: "])];
    assert!(all[0] != all[1] && all[0] != all[2] && all[1] != all[2], "{all:?}");
    // A text has the same score among others, in whatever order.
    let many = ["das Treffen am Montag", "pay the invoice", "发票", "pay the invoice"];
    let rows: String = many.iter().map(|text| json!({ "text": text }).to_string() + "\n").collect();
    let run = mailsort(["classify", "-", "--input-format", "jsonl", "--label", "invoice", "--label", "meeting"]);
    let records = run.args(["--model", TINY, "--raw-scores"]).stdin(rows).records();
    assert_eq!((&records[1]["labels"], &records[3]["labels"]), (&all[0], &all[0]));
    let reranker = mailsort(["classify", "-", "--label", "a", "--model", "tests/models/tiny-bert-reranker"]);
    refused(reranker.args(["--query-prefix", "x"]).stdin("text"), &["--query-prefix", "e5"]);
}
