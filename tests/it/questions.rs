//! Rows with lists of labels: each label is a question of its own, in `train`, `classify` and `eval`.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::mailsort::{Run, mailsort};

const TOPICS: [&str; 4] =
    ["the invoice is wrong", "our card was charged", "please refund the payment", "the bill of march"];
const OTHER: [&str; 4] =
    ["the meeting on monday", "lunch with the team", "the agenda of the workshop", "see you at the office"];
const URGENT: [&str; 4] = ["urgent, today", "at once, please", "this cannot wait", "we need it within the hour"];
const CALM: [&str; 4] = ["no hurry", "whenever you have time", "some day", "next month is fine"];

/// Status, stdout and stderr.
fn said(run: Run) -> (Option<i32>, String, String) {
    let output = run.output();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// A file of rows, each a text and its labels.
fn file(folder: &Path, name: &str, rows: &[(String, Vec<&str>)]) -> PathBuf {
    let row = |(text, labels): &(String, Vec<&str>)| json!({ "text": text, "labels": labels }).to_string() + "\n";
    let path = folder.join(name);
    fs::write(&path, rows.iter().map(row).collect::<String>()).unwrap();
    path
}

/// Mails about money or a date, half of them urgent.
fn samples() -> Vec<(String, Vec<&'static str>)> {
    let mut all = Vec::new();
    for at in 0..4 {
        for (topic, label) in [(TOPICS[at], "billing"), (OTHER[at], "meeting")] {
            all.push((format!("{topic}; {}", URGENT[at]), vec![label, "urgent"]));
            all.push((format!("{topic}; {}", CALM[at]), vec![label]));
        }
    }
    all
}

/// A classifier of them.
fn trained(folder: &Path, flags: &[&str]) -> (PathBuf, String, String) {
    let (samples, classifier) = (file(folder, "samples.jsonl", &samples()), folder.join("c.json"));
    let run = mailsort(["train", "--output"]).args([&classifier, &samples]).args(flags);
    let (status, stdout, stderr) = said(run);
    assert_eq!(status, Some(0), "{stderr}");
    (classifier, stdout, stderr)
}

/// What is true, and what of it such a classifier can find: of four mails that are urgent two say so.
fn judged() -> Vec<(String, Vec<&'static str>)> {
    let mut rows: Vec<(String, Vec<&str>)> = samples().into_iter().filter(|(_, labels)| labels.len() == 1).collect();
    rows.truncate(4);
    for (pace, at) in [(URGENT[0], 0), (URGENT[2], 1), ("with kind regards", 2), ("as agreed", 3)] {
        rows.push((format!("{}; {pace}", TOPICS[at]), vec!["billing", "urgent"]));
    }
    rows
}

fn eval(classifier: &Path, samples: &Path, flags: &[&str]) -> Run {
    mailsort(["eval", "--classifier"]).args([classifier, samples]).args(flags)
}

fn report(run: Run) -> Value {
    let (status, stdout, stderr) = said(run.args(["--format", "json"]));
    assert!(status.is_some_and(|status| status < 2), "{stderr}");
    serde_json::from_str(&stdout).unwrap()
}

/// The figures of one label.
fn of<'r>(report: &'r Value, label: &str) -> &'r Value {
    report["labels"].as_array().unwrap().iter().find(|one| one["label"] == label).unwrap()
}

#[test]
fn a_mail_may_have_several_labels_or_none() {
    let folder = tempfile::tempdir().unwrap();
    let (classifier, stdout, stderr) = trained(folder.path(), &[]);
    assert!(stderr.contains("question of its own"), "{stderr}");
    assert!(stdout.contains("all labels of a sample right"), "{stdout}");
    let input = json!({ "text": "the invoice is wrong; this cannot wait" }).to_string();
    let run = mailsort(["classify", "-", "--input-format", "jsonl", "-k", "3", "--classifier"]).args([&classifier]);
    let record = &run.stdin(input).records()[0];
    let score = |label: &str| {
        let labels = record["labels"].as_array().unwrap();
        labels.iter().find(|one| one["label"] == label).unwrap()["score"].as_f64().unwrap()
    };
    assert!(score("billing") > 0.5 && score("urgent") > 0.5 && score("meeting") < 0.5, "{record}");
}

#[test]
fn how_labels_are_weighed_changes_what_is_learned() {
    let folder = tempfile::tempdir().unwrap();
    let weights = |how: &str| {
        let (classifier, ..) = trained(folder.path(), &["--label-weights", how]);
        let file: Value = serde_json::from_slice(&fs::read(classifier).unwrap()).unwrap();
        assert_eq!(file["training"]["label_weights"], how);
        file["intercepts"].clone()
    };
    // There are half as many urgent mails as others, and each label counts for a half.
    let mut few = samples();
    few.retain(|(text, labels)| labels.len() == 1 || text.contains(URGENT[0]));
    assert!(few.len() < samples().len());
    assert_eq!(weights("none"), weights("none"));
    file(folder.path(), "few.jsonl", &few);
    let of_few = |how: &str| {
        let classifier = folder.path().join("few.json");
        let run = mailsort(["train", "--label-weights", how, "--output"]);
        assert_eq!(said(run.args([&classifier, &folder.path().join("few.jsonl")])).0, Some(0));
        fs::read_to_string(classifier).unwrap().replace("\"balanced\"", "\"none\"")
    };
    let numbers =
        |text: &str| text.split("\"intercepts\"").nth(1).unwrap().split("\"checksum\"").next().unwrap().to_string();
    assert_ne!(numbers(&of_few("balanced")), numbers(&of_few("none")));
}

#[test]
fn every_label_of_a_sample_is_judged() {
    let folder = tempfile::tempdir().unwrap();
    let (classifier, ..) = trained(folder.path(), &[]);
    let samples = file(folder.path(), "judged.jsonl", &judged());
    let found = report(eval(&classifier, &samples, &["--target-precision", "0.9"]));
    assert_eq!((&found["questions"], &found["samples"]), (&Value::Bool(true), &8.into()));
    // A label that is listed second counts too, found or not.
    let urgent = of(&found, "urgent");
    assert_eq!((&urgent["support"], of(&found, "billing")["support"].as_u64()), (&4.into(), Some(6)));
    assert!(urgent["recall"].as_f64().unwrap() < 1.0, "{urgent}");
    assert!(found["accuracy"].as_f64().unwrap() < 1.0);
    for said in found["predictions"].as_array().unwrap() {
        let given = said["given"].as_array().unwrap();
        assert_eq!(said["predicted"], given.first().cloned().unwrap_or(Value::Null), "{said}");
    }
    let right = |said: &&Value| {
        let sorted = |labels: &Value| {
            let mut labels: Vec<String> =
                labels.as_array().unwrap().iter().map(|label| label.as_str().unwrap().into()).collect();
            labels.sort();
            labels
        };
        sorted(&said["given"]) == sorted(&said["truth"])
    };
    assert_eq!(
        found["predictions"].as_array().unwrap().iter().filter(right).count() as u64,
        found["right"].as_u64().unwrap()
    );
    let bins = found["reliability"].as_array().unwrap();
    assert_eq!(bins.iter().map(|bin| bin["samples"].as_u64().unwrap()).sum::<u64>(), 8 * 3, "every question");
    assert_eq!(found["target"]["thresholds"].as_array().unwrap().len(), 3);
    // Thresholds decide: with the lowest all labels are given, with the highest hardly any.
    let all = report(eval(&classifier, &samples, &["--threshold", "0"]));
    assert_eq!((&of(&all, "urgent")["recall"], &of(&all, "urgent")["predicted"]), (&1.0.into(), &8.into()));
    let none = report(eval(&classifier, &samples, &["--threshold", "1"]));
    assert_eq!(none["answered"].as_u64().unwrap() + none["labels"][2]["predicted"].as_u64().unwrap(), 0, "{none}");
    let own = folder.path().join("own.toml");
    fs::write(&own, "[[label]]\nname = \"urgent\"\nthreshold = 0.0\n").unwrap();
    let own = report(eval(&classifier, &samples, &["--labels", own.to_str().unwrap()]));
    assert_eq!(of(&own, "urgent")["predicted"], 8);
    assert_eq!(of(&own, "meeting"), of(&found, "meeting"));
    let (status, stdout, stderr) = said(eval(&classifier, &samples, &["--min-accuracy", "1", "--min-f1", "urgent=1"]));
    assert_eq!(status, Some(1));
    assert!(stderr.contains("missed: accuracy is") && stderr.contains("missed: F1 of urgent is"), "{stderr}");
    assert!(stdout.contains("a question of its own") && stdout.contains("with all labels and no other"), "{stdout}");
    assert!(!stdout.contains("Most confused") && !stdout.contains("coverage"), "{stdout}");
}

#[test]
fn a_baseline_is_judged_in_the_same_way() {
    let folder = tempfile::tempdir().unwrap();
    let (classifier, ..) = trained(folder.path(), &[]);
    let samples = file(folder.path(), "judged.jsonl", &judged());
    let [before, bold, other] = ["a.json", "b.json", "c.json.report.json"].map(|name| folder.path().join(name));
    let write = |run: Run, path: &Path| {
        let (status, _, stderr) = said(run.args([Path::new("--output"), path]));
        assert!(status.is_some_and(|status| status < 2), "{stderr}");
    };
    write(eval(&classifier, &samples, &[]), &before);
    write(eval(&classifier, &samples, &["--threshold", "0"]), &bold);
    write(mailsort(["eval"]).args([&samples]), &other);
    let against =
        |path: &Path, flags: &[&str]| said(eval(&classifier, &samples, flags).args([Path::new("--baseline"), path]));
    assert_eq!(against(&before, &[]).0, Some(0));
    let (status, _, stderr) = against(&before, &["--threshold", "0"]);
    assert!(status == Some(1) && stderr.contains("accuracy against the baseline is 0.0000"), "{stderr}");
    let (status, _, stderr) = against(&other, &[]);
    assert!(status == Some(2) && stderr.contains("cannot be compared"), "{stderr}");
    let compare = |new: &Path| said(mailsort(["eval", "--compare"]).args([&before, new]));
    let (status, stdout, _) = compare(&bold);
    assert!(status == Some(0) && stdout.contains("billing, meeting, urgent"), "{stdout}");
    assert!(compare(&other).0 == Some(2));
}
