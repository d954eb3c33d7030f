//! Label files, good and bad.

use super::*;

fn text(input: &str) -> Result<LabelSet> {
    LabelSet::from_text("t".into(), input)
}

fn fails(result: Result<LabelSet>, needle: &str) {
    let message = format!("{:#}", result.unwrap_err());
    assert!(message.contains(needle), "{message:?} lacks {needle:?}");
}

#[test]
fn text_form() {
    let set = text("# inbox\n\ninvoice: a bill, to pay\n会议通知：会议邀请\n  plain  \nurl: see http://x\n").unwrap();
    let names: Vec<_> = set.labels.iter().map(|l| (&*l.name, l.description.as_deref())).collect();
    let expected = [
        ("invoice", Some("a bill, to pay")),
        ("会议通知", Some("会议邀请")),
        ("plain", None),
        ("url", Some("see http://x")),
    ];
    assert_eq!(names, expected);
}

#[test]
fn bad_text_names_the_line() {
    fails(text("a\n: no name\n"), "line 2: the label has no name");
    fails(text("a: x\n\nb\na: y\n"), "line 4: the label \"a\" stands on line 1");
    fails(text("# only a comment\n"), "no label");
    fails(text("tab\there: x"), "control character");
    fails(text("[[label]]\nname = \"a\"\n"), "line 1: this looks like TOML");
}

#[test]
fn toml_form() {
    let input = "instruct = \"Route it\"\nthreshold = 0.4\n[[label]]\nname = \"billing\"\ndescription = \"money\"\n\
                 threshold = 0.7\nexamples = [\"refund\"]\n[[label]]\nname = \"other\"\n";
    let set = LabelSet::from_toml("t".into(), input).unwrap();
    assert_eq!(set.instruct.as_deref(), Some("Route it"));
    assert_eq!(set.labels[0].examples, ["refund"]);
    assert_eq!(set.threshold(0, Some(0.5)), Some(0.7));
    assert_eq!(set.threshold(1, Some(0.5)), Some(0.5));
    assert_eq!(set.threshold(1, None), Some(0.4));
}

#[test]
fn bad_toml_names_the_line() {
    let toml = |input: &str| LabelSet::from_toml("t".into(), input);
    fails(toml("[[label]]\nname = \"a\"\n[[label]]\nname = \"a\"\n"), "line 3");
    fails(toml("[[label]]\nname = \"a\"\n[[label]]\nname = \" a\"\n"), "line 3");
    fails(toml("[[label]]\nnmae = \"a\"\n"), "nmae");
    fails(toml("threshold = 7.0\n[[label]]\nname = \"a\"\n"), "not a score");
    fails(toml("instruct = \"x\"\n"), "no label");
}

#[test]
fn arguments() {
    let set = LabelSet::from_arguments(&["a: b".into(), "c".into()]).unwrap();
    assert_eq!(set.labels.len(), 2);
    fails(LabelSet::from_arguments(&["a".into(), "a".into()]), "given twice");
    fails(LabelSet::from_text("x".into(), "caf\u{e9}\ncafe\u{301}\n"), "stands on line 1 already");
}

#[test]
fn other_files_are_named() {
    let named = |text: &str| no_labels(text).unwrap_or("labels");
    let mail = "Return-Path: <a@b>\nReceived: from x\nSubject: Hello\n\nText: here\n";
    assert_eq!(named(mail), "is a mail");
    assert_eq!(named(&format!("From a@b Mon Jan  1 10:07:00 2024\n{mail}")), "is a mailbox");
    assert_eq!(named("{\"text\":\"a\"}\n{\"text\":\"b\"}\n"), "is JSON");
    assert_eq!(named("[\n1\n]"), "is JSON");
    assert_eq!(named("\n<!DOCTYPE html>\n<html>"), "is markup");
    let labels =
        ["From my boss\nreceived: goods that came\n", "\"urgent\"\n", "{internal}: ours\n", "# x\nmessage-id: y\n"];
    for text in labels.into_iter().chain(["[[label]]\nname = \"a\"", "[urgent]: x\n", "1\n2\n"]) {
        assert_eq!(named(text), "labels", "{text}");
    }
}

#[test]
fn written_sets_are_read_again() {
    let input = "instruct = \"Route it\"\nthreshold = 0.4\n[[label]]\nname = \"a \\\"b\\\"\"\ndescription = \"two\\nlines\"\n\
                 threshold = 0.7\nexamples = [\"refund\"]\n[[label]]\nname = \"other\"\n";
    let set = LabelSet::from_toml("t".into(), input).unwrap();
    let written = set.to_toml(&HashMap::from([("other", 0.8123)])).unwrap();
    assert!(written.contains("threshold = 0.4\n") && written.contains("threshold = 0.8123\n"), "{written}");
    let mut expected = set;
    expected.labels[0].threshold = None;
    expected.labels[1].threshold = Some(0.8123);
    assert_eq!(LabelSet::from_toml("t".into(), &written).unwrap(), expected);
}
