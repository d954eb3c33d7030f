//! `samples/` against `samples/.expected.jsonl`: the clean text of every document, and its label.

use std::collections::BTreeMap;
use std::path::PathBuf;

use mailsort::intake::{self, Options, Reading, Source};
use serde::Deserialize;

use crate::mailsort::{mailsort, root};

#[derive(Deserialize)]
struct Expected {
    source: String,
    index: u64,
    id: Option<String>,
    subject: Option<String>,
    label: String,
    labels_file: String,
    body: String,
}

fn expected() -> Vec<Expected> {
    let text = std::fs::read_to_string(root().join("samples/.expected.jsonl")).unwrap();
    let rows: Vec<Expected> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(rows.len() >= 25, "the samples were not found");
    rows
}

/// What the embedded model gets wrong with the labels that are shipped, both in German: a failed backup that says
/// "Status: Fehler", and a password link that does not arrive. One that comes right is to be struck off.
const MISSES: [(&str, u64); 2] = [("samples/files/backup.eml", 0), ("samples/files/tickets.jsonl", 1)];

/// The inputs in the order of `.expected.jsonl`.
fn inputs() -> [&'static str; 4] {
    ["samples/inbox.mbox", "samples/maildir", "samples/files", "samples/chinese.mbox"]
}

fn folded(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn clean_texts() {
    let source = Source::new(inputs().map(|input| root().join(input)).into_iter(), Options::default());
    let documents: Vec<_> = source.map(|raw| intake::read(raw.unwrap(), &Reading::default()).unwrap()).collect();
    let expected = expected();
    assert_eq!(documents.len(), expected.len());
    let mut wrong = Vec::new();
    for (document, expected) in documents.iter().zip(&expected) {
        let place = format!("{} [{}]", expected.source, expected.index);
        assert_eq!(PathBuf::from(&*document.origin.source), root().join(&expected.source), "{place}");
        assert_eq!(document.origin.index, expected.index, "{place}");
        assert_eq!(document.envelope.id, expected.id, "{place}");
        assert_eq!(document.envelope.subject, expected.subject, "{place}");
        if folded(&document.body) != folded(&expected.body) {
            wrong.push(format!("{place}\n  got  {:?}\n  want {:?}", folded(&document.body), folded(&expected.body)));
        }
    }
    assert!(wrong.is_empty(), "{} texts differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn labels() {
    let mut by_set: BTreeMap<String, Vec<Expected>> = BTreeMap::new();
    for row in expected() {
        by_set.entry(row.labels_file.clone()).or_default().push(row);
    }
    let mut wrong = Vec::new();
    let mut count = 0;
    for (set, rows) in &by_set {
        let records = mailsort(["classify", "--labels", set].iter().chain(&inputs())).records();
        for row in rows {
            let record =
                records.iter().find(|r| r["source"] == *row.source && r["index"] == row.index).unwrap_or_else(|| {
                    panic!("no record of {} [{}]", row.source, row.index);
                });
            count += 1;
            let miss = MISSES.contains(&(row.source.as_str(), row.index));
            if (record["label"] != *row.label) != miss {
                wrong.push(format!("{} [{}]: {}, expected {}", row.source, row.index, record["labels"], row.label));
            }
        }
    }
    assert!(count >= 25);
    assert!(wrong.is_empty(), "{} of {count} labels are not as they were:\n{}", wrong.len(), wrong.join("\n"));
}
