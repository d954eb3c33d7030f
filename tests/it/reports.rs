//! What `mailsort eval` writes for other runs: baselines, and label files with thresholds.

use std::fs;

use crate::eval::{LABELS, ended, eval, folder, json, report, rows, samples};
use crate::mailsort::mailsort;

#[test]
fn samples_given_twice_are_compared_once() {
    let folder = folder(&[("s.jsonl", &(samples() + &rows(&[("", "meeting")])))]);
    report(folder.path(), "once.json", &[&["s.jsonl"][..], &LABELS[..]].concat());
    report(folder.path(), "twice.json", &[&["s.jsonl", "s.jsonl"][..], &LABELS[..]].concat());
    let run = ended(eval(folder.path(), &["s.jsonl", "s.jsonl", "--baseline", "once.json"]));
    assert!(run.stderr.contains("5 are in both and compared, 0 only in the baseline, 5 only here"), "{}", run.stderr);
    let compared = json(mailsort(["eval", "--compare", "once.json", "twice.json"]).in_folder(folder.path()));
    assert_eq!((&compared["matched"], &compared["new"]["alone"]), (&5.into(), &5.into()));
}

#[test]
fn a_foreign_baseline_is_refused_before_the_work() {
    let folder = folder(&[("s.jsonl", &samples()), ("t.jsonl", &rows(&[("x y z", "meeting"), ("z", "invoice")]))]);
    report(folder.path(), "t.json", &[&["t.jsonl"][..], &LABELS[..]].concat());
    // The model is not there: whoever looks for it first has read the baseline too late.
    let run = ended(eval(folder.path(), &["s.jsonl", "--baseline", "t.json", "--model", "./gone"]));
    assert!(run.status == 2 && run.stderr.contains("the baseline is about other samples"), "{}", run.stderr);
}

#[test]
fn tuned_labels_are_a_label_file() {
    let folder = folder(&[("s.jsonl", &samples()), ("in.jsonl", "{\"text\":\"pay the invoice\"}\n")]);
    let tune = |flags: &[&str]| ended(eval(folder.path(), &[&["s.jsonl", "--tuned-labels", "t.toml"], flags].concat()));
    assert_eq!(tune(&[]).status, 2);
    let run = tune(&["--target-precision", "0.6"]);
    assert_eq!(run.status, 0, "{}", run.stderr);
    let tuned = fs::read_to_string(folder.path().join("t.toml")).unwrap();
    assert!(tuned.contains("description = \"a bill to pay\"\nthreshold = 0."), "{tuned}");
    let run = ended(mailsort(["classify", "in.jsonl", "--labels", "t.toml"]).in_folder(folder.path()));
    assert!(run.status == 0 && run.stdout.contains("\"label\":\"invoice\""), "{}{}", run.stdout, run.stderr);
    let run = tune(&["--target-precision", "1", "--label", "never: quantum chromodynamics"]);
    assert!(run.stderr.contains("at no threshold and get 1") && run.status == 0, "{}", run.stderr);
    let twice = tune(&["--target-precision", "1", "--output", "t.toml"]);
    assert!(twice.status == 2 && twice.stderr.contains("are the same file"), "{}", twice.stderr);
    let over = ended(eval(folder.path(), &["s.jsonl", "--target-precision", "1", "--tuned-labels", "s.jsonl"]));
    assert!(over.status == 2 && over.stderr.contains("is read by this run"), "{}", over.stderr);
}

#[test]
fn a_comparison_takes_no_flag_that_it_would_not_heed() {
    let folder = folder(&[("s.jsonl", &samples())]);
    report(folder.path(), "a.json", &[&["s.jsonl"][..], &LABELS[..]].concat());
    let flags = [["--classifier", "a.json"], ["--model", "x"], ["--min-text", "3"], ["--threads", "2"]];
    for flag in flags.iter().map(|flag| &flag[..]).chain([&["--skip-unknown"][..], &["--no-texts"], &["--keep-links"]])
    {
        let run = mailsort(["eval", "--compare", "a.json", "a.json"]).args(flag);
        let run = ended(run.in_folder(folder.path()));
        assert!(run.status == 2 && run.stderr.contains("cannot be used with"), "{flag:?} {}", run.stderr);
    }
}
