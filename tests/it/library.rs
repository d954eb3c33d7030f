//! The library without the command line: the example gives the labels of the program.

use ::mailsort::classifier::{Classifier, Spec};
use ::mailsort::labels::LabelSet;

use crate::mailsort::{mailsort, root};

#[allow(dead_code, reason = "main is for the example alone")]
#[path = "../../examples/classify_mbox.rs"]
mod classify_mbox;

#[test]
fn the_example_gives_the_labels_of_the_program() {
    let (mbox, labels) = (root().join("samples/inbox.mbox"), root().join("labels/mail.txt"));
    let mut out = Vec::new();
    classify_mbox::classify(&mbox, &labels, &mut out).unwrap();
    let records = mailsort(["classify", "samples/inbox.mbox", "--labels", "labels/mail.txt"]).records();
    let expected: String = records
        .iter()
        .map(|record| {
            let of = |name: &str| record[name].as_str().unwrap_or_default().to_string();
            format!("{}\t{}\n", of("label"), of("subject"))
        })
        .collect();
    assert!(expected.lines().count() > 10);
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

#[test]
fn the_example_fits_a_page() {
    let text = std::fs::read_to_string(root().join("examples/classify_mbox.rs")).unwrap();
    assert!(text.lines().count() < 25, "it shows how short a program is");
}

#[test]
fn a_spec_that_makes_no_sense_is_refused() {
    let refused = |sets: Vec<LabelSet>, why: &str| {
        let error = Classifier::open(&Spec::new(sets)).err().map(|error| format!("{error:#}")).unwrap_or_default();
        assert!(error.contains(why), "{why:?} not in {error:?}");
    };
    let set = |labels: &[&str]| LabelSet::named("mail".into(), labels.iter().map(|&label| label.into()));
    refused(vec![], "there is no label set");
    refused(vec![set(&[])], "the label set \"mail\": there is no label in it");
    refused(vec![set(&["a", "b", "a"])], "the label set \"mail\": the label \"a\" is given twice");
    refused(vec![set(&["a", "b\nc"])], "control character");
    let mut odd = set(&["a", "b"]);
    odd.labels[1].threshold = Some(-0.5);
    refused(vec![odd.clone()], "the threshold -0.5 of the label \"b\" in \"mail\" is no probability");
    odd.labels[1].threshold = None;
    odd.threshold = Some(2.0);
    refused(vec![odd], "of the label set \"mail\" is no probability");
}

#[test]
fn thresholds_of_a_label_file_are_checked_by_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let labels = folder.path().join("odd.toml");
    std::fs::write(&labels, "[[label]]\nname = \"a\"\nthreshold = -0.5\n[[label]]\nname = \"b\"\n").unwrap();
    let samples = folder.path().join("samples.jsonl");
    let rows = [("please pay the bill", "a"), ("shall we meet at nine", "b")];
    let rows = rows.map(|(text, label)| format!("{{\"text\": \"{text}\", \"label\": \"{label}\"}}\n"));
    std::fs::write(&samples, rows.concat()).unwrap();
    for command in ["classify", "eval"] {
        let run = mailsort([command, samples.to_str().unwrap(), "--labels", labels.to_str().unwrap()]).output();
        let said = String::from_utf8_lossy(&run.stderr);
        assert_eq!(run.status.code(), Some(2), "{command}: {said}");
        assert!(said.contains("of the label \"a\" in \"odd\" is no probability"), "{command}: {said}");
    }
}
