//! Classifiers whose model is a folder, or that somebody else has written.

use std::fs;
use std::path::Path;

use mailsort::classifier::linear::TrainedClassifier;

use crate::eval::{ended, folder, rows};
use crate::mailsort::{mailsort, root};

/// A folder with samples, a copy of a model, and a classifier that was trained on that.
fn trained() -> tempfile::TempDir {
    let samples: Vec<(String, &str)> = (0..6)
        .flat_map(|n| [(format!("pay the invoice {n}"), "invoice"), (format!("meet at noon {n}"), "meeting")])
        .collect();
    let samples: Vec<(&str, &str)> = samples.iter().map(|(text, label)| (text.as_str(), *label)).collect();
    let folder = folder(&[("s.jsonl", &rows(&samples)), ("in.jsonl", "{\"text\":\"pay the invoice\"}\n")]);
    copy(&root().join("tests/models/tiny-embedding"), &folder.path().join("models/tiny"));
    let train = mailsort(["train", "s.jsonl", "--model", "models/tiny", "--output", "c.json"]).in_folder(folder.path());
    let train = ended(train);
    assert_eq!(train.status, 0, "{}", train.stderr);
    folder
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to.join(entry.file_name())),
            false => drop(fs::copy(entry.path(), to.join(entry.file_name())).unwrap()),
        }
    }
}

#[test]
fn a_local_model_is_looked_for_here_and_beside_the_classifier() {
    let folder = trained();
    let elsewhere = folder.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let classify = |classifier: &str| {
        ended(mailsort(["classify", "../in.jsonl", "--classifier", classifier]).in_folder(&elsewhere))
    };
    let found = classify("../c.json");
    assert!(found.status == 0 && found.stdout.contains("\"invoice\""), "{}", found.stderr);
    fs::copy(folder.path().join("c.json"), elsewhere.join("c.json")).unwrap();
    // `models/tiny` could be a name on the hub too, and must not be looked for there.
    let lost = classify("c.json");
    let parts = ["the classifier c.json", "\"models/tiny\"", "neither here nor beside", "--model"];
    assert!(lost.status == 2 && parts.iter().all(|part| lost.stderr.contains(part)), "{}", lost.stderr);
    let named = mailsort(["classify", "../in.jsonl", "--classifier", "c.json", "--model", "../models/tiny"]);
    let named = ended(named.in_folder(&elsewhere));
    assert_eq!(named.status, 0, "{}", named.stderr);
}

#[test]
fn what_a_classifier_names_is_not_fetched() {
    let folder = trained();
    let path = folder.path().join("c.json");
    let mut foreign = TrainedClassifier::from_json(&fs::read(&path).unwrap()).unwrap();
    let needs = &mut foreign.about.model;
    (needs.name, needs.is_commit, needs.revision) = ("stranger/repository".into(), true, "01234567".repeat(5));
    fs::write(&path, foreign.to_json().unwrap()).unwrap();
    let run = ended(mailsort(["classify", "in.jsonl", "--classifier", "c.json"]).in_folder(folder.path()));
    assert!(run.status == 2 && run.stderr.contains("if you trust it"), "{}", run.stderr);
}
