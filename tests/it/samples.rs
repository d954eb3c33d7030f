//! `samples/` against `samples/.expected.jsonl`: the clean text of every document, and its label.

use std::collections::BTreeMap;
use std::path::PathBuf;

use mailsort::intake::{self, Options, Reading, Source};
use mailsort::labels::LabelSet;
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

/// What the embedded model gets wrong with the labels that are shipped: a password link that does not arrive, in
/// German. One that comes right is to be struck off.
const MISSES: [(&str, u64); 1] = [("samples/files/tickets.jsonl", 1)];

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

/// `labels/mail.toml` is `labels/mail.txt` with headers, which are never wrong on the samples.
#[test]
fn headers_agree_with_the_labels() {
    let set = |file: &str| LabelSet::read(&root().join(file), None).unwrap();
    let (plain, with_headers) = (set("labels/mail.txt"), set("labels/mail.toml"));
    for label in &plain.labels {
        let twin = with_headers.labels.iter().find(|twin| twin.name == label.name).map(|twin| &twin.description);
        assert_eq!(twin, Some(&label.description), "{}", label.name);
    }
    let records = mailsort(["classify", "--labels", "labels/mail.toml"].iter().chain(&inputs())).records();
    let mut by_header = Vec::new();
    for row in expected().into_iter().filter(|row| row.labels_file == "labels/mail.txt") {
        let record = records.iter().find(|r| r["source"] == *row.source && r["index"] == row.index).unwrap();
        let miss = MISSES.contains(&(row.source.as_str(), row.index));
        assert_eq!(record["label"] != *row.label, miss, "{record}");
        if record["by"] == "header" {
            by_header.push(row.label);
        }
    }
    for label in ["newsletter", "discussion", "delivery failure", "meeting"] {
        assert!(by_header.iter().any(|found| found == label), "no {label} in {by_header:?}");
    }
}

/// Texts in several languages, and what the set of priorities says of them.
#[test]
fn priorities() {
    let check = |text: &str, expected: &str| {
        let folder = tempfile::tempdir().unwrap();
        let row = folder.path().join("row.jsonl");
        std::fs::write(&row, serde_json::json!({ "text": text }).to_string()).unwrap();
        let records = mailsort(["classify", "--labels", "labels/priority.toml"]).args([&row]).records();
        assert_eq!(records[0]["label"], expected, "{text}");
    };
    check("【加急】合同今天必须盖章", "urgent");
    check("生产系统宕机，客户无法下单，请立即处理", "urgent");
    check("Eilt! Der Vertrag muss heute noch unterschrieben werden", "urgent");
    check("Production is down, please call me immediately", "urgent");
    check("请问如何导出会员名单？", "normal");
    check("Können Sie mir bitte sagen, wie ich die Liste exportiere?", "normal");
    check("谢谢，一切正常", "low");
    check("Vielen Dank, alles funktioniert", "low");
}
