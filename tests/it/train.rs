//! `mailsort train` and `classify --classifier` through the real program: what is learned, what is refused, and that a
//! file is the same whatever the threads.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::mailsort::{Run, mailsort, root, until_it_computes};

const FILED: &str = "samples/filed.csv";

/// Status, stdout and stderr.
fn said(run: Run) -> (Option<i32>, String, String) {
    let output = run.output();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn train(samples: impl AsRef<Path>, output: &Path) -> Run {
    let [samples, output] = [samples.as_ref(), output].map(|path| path.to_str().unwrap().to_string());
    mailsort(["train".into(), samples, "--output".into(), output])
}

/// Trains, and returns what was printed.
fn trained(run: Run) -> (String, String) {
    let (status, stdout, stderr) = said(run);
    assert_eq!(status, Some(0), "{stderr}");
    (stdout, stderr)
}

fn classify(classifier: &Path) -> Run {
    mailsort(["classify", "-", "--input-format", "jsonl", "--classifier", classifier.to_str().unwrap()])
}

fn texts(texts: &[&str]) -> String {
    texts.iter().map(|text| json!({ "text": text }).to_string() + "\n").collect()
}

fn refused(run: Run, parts: &[&str]) {
    let (status, _, stderr) = said(run);
    assert_eq!(status, Some(2), "{stderr}");
    for part in parts {
        assert!(stderr.contains(part), "{stderr:?} does not say {part:?}");
    }
}

fn rows(path: &Path, rows: &[(&str, Value)]) {
    let line = |(text, label): &(&str, Value)| json!({ "text": text, "label": label });
    fs::write(path, rows.iter().map(|row| line(row).to_string() + "\n").collect::<String>()).unwrap();
}

#[test]
fn what_was_filed_is_learned() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tickets.json");
    let (stdout, _) = trained(train(FILED, &file));
    for part in ["48 samples, 4 labels", "5-fold cross-validation", "accuracy", "macro F1", "ECE", "account access"] {
        assert!(stdout.contains(part), "{stdout}");
    }
    let input = texts(&[
        "You charged my card twice this month",
        "I cannot log in, the password is wrong",
        "Please add a dark mode",
    ]);
    let records = classify(&file).stdin(input).records();
    let labels: Vec<&str> = records.iter().map(|record| record["label"].as_str().unwrap()).collect();
    assert_eq!(labels, ["billing", "account access", "feature request"]);
    for record in &records {
        assert_eq!(record["model"], "builtin+tickets");
        assert_eq!(record["labels"].as_array().unwrap().len(), 3);
    }
    let written: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(written["training"]["samples"], 48);
    assert_eq!(written["labels"][1]["name"], "billing");
    assert!(written["validation"]["accuracy"].as_f64().unwrap() > 0.7, "{}", written["validation"]);
    let text = fs::read_to_string(&file).unwrap();
    assert!(!text.contains("invoice") && !text.contains("Excel"), "the file holds words of the samples");
}

#[test]
fn the_same_samples_give_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let made = |name: &str, arguments: &[&str]| {
        let file = folder.path().join(name);
        trained(train(FILED, &file).args(arguments));
        fs::read(file).unwrap()
    };
    let first = made("a.json", &["--threads", "1"]);
    assert!(first == made("b.json", &["--threads", "3"]), "threads change the file");
    assert!(first == made("c.json", &[]), "another run changes the file");
    assert!(first != made("d.json", &["--seed", "7"]), "the seed changes nothing");
}

#[test]
fn scores_are_shares_logits_and_thresholds() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tickets.json");
    trained(train(FILED, &file));
    let input = || texts(&["The export fails with an error"]);
    let record = &classify(&file).args(["-k", "4"]).stdin(input()).records()[0];
    let total: f64 = record["labels"].as_array().unwrap().iter().map(|label| label["score"].as_f64().unwrap()).sum();
    assert!((total - 1.0).abs() < 2e-3, "{record}");
    let raw = &classify(&file).args(["--raw-scores", "-t", "50"]).stdin(input()).records()[0];
    assert_eq!((&raw["label"], &raw["labels"][0]["label"]), (&Value::Null, &record["labels"][0]["label"]));
    let thresholds = folder.path().join("thresholds.toml");
    fs::write(&thresholds, "[[label]]\nname = \"technical support\"\nthreshold = 1.0\n").unwrap();
    let with = ["--labels", thresholds.to_str().unwrap()];
    assert_eq!(classify(&file).args(with).stdin(input()).records()[0]["label"], Value::Null);
    fs::write(&thresholds, "[[label]]\nname = \"sales\"\nthreshold = 1.0\n").unwrap();
    refused(classify(&file).args(with).stdin(input()), &["no label \"sales\""]);
    fs::write(&thresholds, "[[label]]\nname = \"billing\"\n").unwrap();
    refused(classify(&file).args(with).stdin(input()), &["only thresholds and headers are read"]);
    refused(classify(&file).args(["--label", "x"]).stdin(input()), &["cannot be used with"]);
}

#[test]
fn what_contradicts_the_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tickets.json");
    trained(train(FILED, &file).args(["--keep-quotes", "--max-tokens", "100"]));
    let run = |arguments: &[&str]| classify(&file).args(arguments).stdin(texts(&["pay the bill"]));
    assert_eq!(run(&[]).records().len(), 1);
    assert_eq!(run(&["--keep-quotes", "--max-tokens", "100"]).records().len(), 1);
    refused(run(&["--keep-links"]), &["cleaned in another way", "--keep-quotes"]);
    refused(run(&["--max-tokens", "99"]), &["--max-tokens", "100"]);
    refused(run(&["--dims", "64"]), &["--dims", "--dims has no meaning"]);
    refused(run(&["--instruct", "Sort it"]), &["--instruct"]);
    refused(
        run(&["--model", "tests/models/tiny-embedding"]),
        &["was trained on builtin", "tests/models/tiny-embedding"],
    );
    refused(run(&["--shortlist", "2"]), &["--shortlist"]);
}

#[test]
fn a_damaged_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tickets.json");
    trained(train(FILED, &file).args(["--ngrams", "off"]));
    let whole = fs::read_to_string(&file).unwrap();
    let check = |text: &str, part: &str| {
        fs::write(&file, text).unwrap();
        refused(classify(&file).stdin(texts(&["pay"])), &["tickets.json", part]);
    };
    check(&whole[..whole.len() / 2], "breaks off");
    check(&whole.replace("\"weights\": \"", "\"weights\": \"AAAA"), "damaged");
    check(&whole.replace("\"mailsort_classifier\": 4", "\"mailsort_classifier\": 5"), "number 5");
    check("billing: invoices\n", "no classifier");
    check("", "no classifier");
    refused(classify(Path::new("nowhere.json")).stdin(""), &["nowhere.json", "mailsort train"]);
}

#[test]
fn a_file_of_an_earlier_version_gives_the_scores_that_it_gave() {
    let input = texts(&["please pay invoice 7", "Subject: a meeting at nine"]);
    let records = classify(&root().join("tests/train/earlier.json")).stdin(input).records();
    let scores: Vec<_> = records.iter().map(|record| (record["label"].as_str().unwrap(), &record["score"])).collect();
    assert_eq!(scores, [("bill", &json!(0.9999)), ("meeting", &json!(0.918))]);
}

#[test]
fn who_wrote_is_learned_and_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let (samples, file) = (folder.path().join("mail"), folder.path().join("c.json"));
    let things =
        ["the order", "our prices", "a parcel", "your question", "the list", "a date", "the report", "an offer"];
    let mail = |sender: &str, thing: &str, other: &str| {
        format!("From: Desk <desk@{sender}.example>\nSubject: About {thing}\n\nHere is what you asked about {other}.\n")
    };
    for (label, sender) in [("one", "northwind"), ("two", "contoso")] {
        fs::create_dir_all(samples.join(label)).unwrap();
        for (at, thing) in things.iter().enumerate() {
            for (next, other) in things.iter().enumerate().filter(|(next, _)| (next + at) % 3 == 0) {
                fs::write(samples.join(label).join(format!("{at}-{next}.eml")), mail(sender, thing, other)).unwrap();
            }
        }
    }
    trained(train(&samples, &file));
    assert!(fs::read_to_string(&file).unwrap().contains("\"heads\": {"), "the file does not say that it reads senders");
    for (label, sender) in [("one", "northwind"), ("two", "contoso")] {
        let fresh = folder.path().join("fresh.eml");
        fs::write(&fresh, mail(sender, "the weather", "tomorrow")).unwrap();
        let run = mailsort(["classify", fresh.to_str().unwrap(), "--classifier", file.to_str().unwrap()]);
        let record = &run.records()[0];
        assert_eq!(record["label"], label, "{record}");
    }
}

#[test]
fn odd_samples_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let (samples, file) = (folder.path().join("s.jsonl"), folder.path().join("c.json"));
    rows(
        &samples,
        &[
            ("the first invoice", json!("billing")),
            ("the first invoice", json!("billing")),
            ("an odd mail", json!("billing")),
            ("an odd mail", json!("meeting")),
            ("the monthly bill", json!("billing")),
            ("the meeting on monday", json!("meeting")),
            ("lunch tomorrow", json!("meeting")),
            ("", json!("meeting")),
            ("a single one", json!("other")),
        ],
    );
    let (stdout, stderr) = trained(train(&samples, &file));
    assert!(stdout.contains("5 samples, 3 labels"), "{stdout}");
    assert!(stdout.contains("each sample judged by a classifier of all others"), "{stdout}");
    for part in ["stand there before", "another label", "\"other\" (1)", "says little", "few for 3 labels"] {
        assert!(stderr.contains(part), "{stderr:?} does not say {part:?}");
    }
    rows(&samples, &[("pay", json!("billing")), ("bill", json!("billing"))]);
    refused(train(&samples, &file), &["nothing to tell apart"]);
    rows(&samples, &[("pay now", json!("billing")), ("meet now", json!("meeting"))]);
    let (stdout, stderr) = trained(train(&samples, &file));
    assert!(stdout.contains("too few samples") && stderr.contains("too few samples"), "{stdout}{stderr}");
    assert_eq!(classify(&file).stdin(texts(&["pay now"])).records()[0]["label"], "billing");
}

/// Six samples choose neither C nor temperature, whatever their labels are called.
#[test]
fn codes_for_labels_are_learned_like_words() {
    let folder = tempfile::tempdir().unwrap();
    let (samples, file) = (folder.path().join("s.jsonl"), folder.path().join("c.json"));
    let texts = [
        "The phone is fast and the screen is clear, I am happy with it",
        "The battery was empty after an hour, I do not recommend it",
        "Great pictures, the colours are right",
        "It hangs all the time and the programs crash",
        "It came quickly and was packed well",
        "The service is rude and my problem was never solved",
    ];
    for [good, bad] in [["1", "0"], ["A", "B"], ["Q7", "Q9"]] {
        let labelled: Vec<_> =
            texts.iter().enumerate().map(|(at, text)| (*text, json!(if at % 2 == 0 { good } else { bad }))).collect();
        rows(&samples, &labelled);
        let (stdout, _) = trained(train(&samples, &file));
        assert!(stdout.contains("each sample judged by a classifier of all others"), "{stdout}");
        assert!(stdout.contains("temperature 0.57"), "{stdout}");
        let record = classify(&file).stdin(self::texts(&[texts[0]])).records().remove(0);
        assert!(record["label"] == good && record["score"].as_f64().unwrap() > 0.6, "{record}");
    }
}

#[test]
fn weights_that_would_drown_all_others_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let (samples, file) = (folder.path().join("s.jsonl"), folder.path().join("c.json"));
    let row = |at: usize, weight: &str| {
        let (label, text) = if at.is_multiple_of(2) { ("billing", "the invoice") } else { ("meeting", "the agenda") };
        format!("{{\"text\":\"{text} {at}\",\"label\":\"{label}\",\"weight\":{weight}}}\n")
    };
    let weights = ["1", "1e-45", "3e38", "1", "1e-6", "1e6", "0", "-1", "1", "2"];
    fs::write(&samples, weights.iter().enumerate().map(|(at, weight)| row(at, weight)).collect::<String>()).unwrap();
    let (stdout, stderr) = trained(train(&samples, &file));
    assert!(stdout.contains("6 samples, 2 labels"), "{stdout}{stderr}");
    for part in ["s.jsonl [1]: bad row", "s.jsonl [2]: bad row", "s.jsonl [7]: bad row", "from 0.000001 to 1000000"] {
        assert!(stderr.contains(part), "{stderr:?} does not say {part:?}");
    }
    assert!(stderr.contains("left out: ") && stderr.contains("s.jsonl [6]"), "{stderr}");
}

#[test]
fn what_is_read_is_not_replaced_and_nothing_is_left_half() {
    let folder = tempfile::tempdir().unwrap();
    let samples = folder.path().join("s.csv");
    fs::copy(root().join(FILED), &samples).unwrap();
    refused(train(&samples, &samples), &["is read by this run"]);
    refused(train(&samples, Path::new("-")), &["--output"]);
    refused(train(&samples, &folder.path().join("no/such/folder.json")), &["no/such/folder.json"]);
    refused(
        train(&samples, &folder.path().join("c.json")).args(["--model", "tests/models/tiny-reranker"]),
        &["reranker"],
    );
    refused(train(&samples, &folder.path().join("c.json")).args(["--shortlist", "3"]), &["--shortlist"]);
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["s.csv"]);
}

#[test]
fn a_large_model_teaches_a_small_one() {
    let folder = tempfile::tempdir().unwrap();
    let [taught, file] = ["taught.jsonl", "c.json"].map(|name| folder.path().join(name));
    let labels = ["--label", "invoice: a bill", "--label", "meeting: a date to meet", "--device", "cpu"];
    let teacher =
        mailsort(["classify", "samples/inbox.mbox", "samples/maildir", "samples/files", "samples/chinese.mbox"]);
    let teacher =
        teacher.args(labels).args(["--model", "tests/models/tiny-reranker", "--output", taught.to_str().unwrap()]);
    let (status, _, stderr) = said(teacher);
    assert_eq!(status, Some(0), "{stderr}");
    let said = fs::read_to_string(&taught).unwrap();
    let records: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (stdout, _) = trained(train(&taught, &file));
    assert!(stdout.contains("2 labels"), "{stdout}");
    // The student has learned what the teacher said of each mail, and not only the label that it says most.
    let student =
        mailsort(["classify", "samples/inbox.mbox", "samples/maildir", "samples/files", "samples/chinese.mbox"]);
    let student = student.args(["--classifier", file.to_str().unwrap()]).records();
    for label in ["invoice", "meeting"] {
        let taught: Vec<usize> = (0..records.len()).filter(|&at| records[at]["label"] == label).collect();
        let same = taught.iter().filter(|&&at| student[at]["label"] == label).count();
        assert!(taught.len() > 4 && same * 10 >= taught.len() * 7, "{label}: {same} of {}", taught.len());
    }
    // Doubtful records are left out; both labels have some that are not.
    let score = |record: &Value| record["score"].as_f64().unwrap();
    let surest = |label: &str| records.iter().filter(|one| one["label"] == label).map(score).fold(0.0, f64::max);
    let sure = surest("invoice").min(surest("meeting"));
    let samples = |file: &Path| {
        let file: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        file["training"]["samples"].as_u64().unwrap()
    };
    let all = samples(&file);
    trained(train(&taught, &file).args(["--min-score", &sure.to_string()]));
    let doubtful = records.iter().filter(|record| score(record) < sure).count() as u64;
    assert!(doubtful > 0 && samples(&file) <= all - doubtful.min(all - 2), "{doubtful} of {all}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_stop_is_answered_and_a_second_one_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    let [samples, file] = ["s.jsonl", "c.json"].map(|name| folder.path().join(name));
    // Mails that take long, but few enough to be in one hand.
    let long = "where is my parcel ".repeat(10_000);
    let row = |at: usize| (format!("{at} {long}"), json!(if at.is_multiple_of(2) { "order" } else { "meeting" }));
    let all: Vec<(String, Value)> = (0..40).map(row).collect();
    rows(&samples, &all.iter().map(|(text, label)| (text.as_str(), label.clone())).collect::<Vec<_>>());
    let slow = ["--model", "tests/models/tiny-embedding", "--max-tokens", "20000", "--device", "cpu"];
    let mut child = train(&samples, &file).args(slow).start();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    until_it_computes(&child);
    let pid = child.id().to_string();
    let interrupt = || assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    interrupt();
    let said = lines.next().unwrap().unwrap();
    assert!(said.contains("when the current batch is embedded (16 samples at most); nothing is written"), "{said}");
    assert!(child.try_wait().unwrap().is_none(), "it was too fast to be stopped twice");
    interrupt();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(!file.exists());
}

#[test]
fn any_embedding_can_be_learned_on() {
    let folder = tempfile::tempdir().unwrap();
    let [file, cache] = ["c.json", "vectors.cache"].map(|name| folder.path().join(name));
    let model = ["--model", "tests/models/tiny-embedding", "--dims", "32", "--device", "cpu"];
    let run = || train(FILED, &file).args(model).args(["--cache", cache.to_str().unwrap()]);
    trained(run());
    let first = fs::read(&file).unwrap();
    trained(run());
    assert!(first == fs::read(&file).unwrap(), "the cache changes the file");
    let records = classify(&file).stdin(texts(&["pay the bill"])).records();
    assert!(records[0]["model"].as_str().unwrap().ends_with("+c"), "{}", records[0]["model"]);
    refused(classify(&file).args(["--dims", "48"]).stdin(texts(&["pay"])), &["--dims", "32"]);
    refused(
        classify(&file).args(["--model", "tests/models/tiny-bert"]).stdin(texts(&["pay"])),
        &["--dims", "tiny-bert"],
    );
}

#[test]
fn a_run_that_resumes_knows_its_classifier() {
    let folder = tempfile::tempdir().unwrap();
    let [file, out] = ["c.json", "out.jsonl"].map(|name| folder.path().join(name));
    trained(train(FILED, &file));
    let run = || {
        mailsort([
            "classify",
            "samples/inbox.mbox",
            "--classifier",
            file.to_str().unwrap(),
            "--output",
            out.to_str().unwrap(),
        ])
    };
    assert_eq!(said(run()).0, Some(0));
    let whole = fs::read(&out).unwrap();
    let torn = whole.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(4).unwrap().0 + 1;
    fs::write(&out, &whole[..torn]).unwrap();
    assert_eq!(said(run().args(["--resume"])).0, Some(0));
    assert!(whole == fs::read(&out).unwrap());
    fs::write(&out, &whole[..torn]).unwrap();
    trained(train(FILED, &file).args(["--seed", "3", "--c", "0.5"]));
    refused(run().args(["--resume"]), &["cannot go on"]);
}

#[test]
fn examples_of_a_label_file_make_labels_clearer() {
    let folder = tempfile::tempdir().unwrap();
    let labels = folder.path().join("labels.toml");
    let bare = "[[label]]\nname = \"a\"\ndescription = \"first thing\"\n\n[[label]]\nname = \"b\"\ndescription = \"second thing\"\n";
    let examples = bare.replacen(
        "first thing\"\n",
        "first thing\"\nexamples = [\"the invoice is wrong\", \"pay the bill\", \"our card was charged\"]\n",
        1,
    );
    let score = |text: &str, model: &[&str]| {
        fs::write(&labels, text).unwrap();
        let run = mailsort(["classify", "-", "--labels", labels.to_str().unwrap(), "-k", "2", "--device", "auto"])
            .args(model);
        let output = run.stdin("Please send me the bill, I paid the invoice by card.").output();
        let record: Value = serde_json::from_slice(&output.stdout).unwrap();
        let labels = record["labels"].as_array().unwrap();
        let of_a = labels.iter().find(|label| label["label"] == "a").unwrap()["score"].as_f64().unwrap();
        (of_a, String::from_utf8(output.stderr).unwrap())
    };
    let (with, without) = (score(&examples, &[]).0, score(bare, &[]).0);
    assert!(with > 0.8 && with > without + 0.1, "{with} {without}");
    assert_eq!(score(&examples, &["--examples=off"]).0, without);
    assert_eq!(score(&examples, &["--examples"]).0, with);
    let embedding = ["--model", "tests/models/tiny-embedding"];
    assert_ne!(score(&examples, &embedding).0, score(bare, &embedding).0);
    let reranker = ["--model", "tests/models/tiny-reranker"];
    let (with, said) = score(&examples, &reranker);
    assert!(said.contains("does not read the `examples`"), "{said}");
    assert_eq!(with, score(bare, &reranker).0);
}

#[test]
fn what_was_learned_from_is_no_test() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let row = |text: &str, label: &str| json!({"text": text, "label": label}).to_string() + "\n";
    let bills = ["pay the bill", "the invoice is due", "a refund of the bill"].map(|text| row(text, "billing"));
    let meetings = ["meet on monday", "the meeting is at ten", "a call at noon"].map(|text| row(text, "meeting"));
    fs::write(at("rows.jsonl"), [bills.concat(), meetings.concat()].concat()).unwrap();
    fs::write(at("others.jsonl"), row("pay the bill", "billing") + &row("see you at the meeting", "meeting")).unwrap();
    trained(train(at("rows.jsonl"), &at("c.json")));
    let eval = |samples: &str| {
        let arguments = ["eval", samples, "--classifier", "c.json", "--format", "json"];
        let (status, _, stderr) = said(mailsort(arguments).in_folder(folder.path()));
        assert_eq!(status, Some(0), "{stderr}");
        stderr
    };
    assert!(eval("rows.jsonl").contains("6 of 6 samples were used to train the classifier"));
    assert!(eval("others.jsonl").contains("1 of 2 samples were used to train the classifier"));
}

/// A row may hold thousands of labels, and a set too.
#[test]
fn thousands_of_labels_are_learned_in_seconds() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let many: Vec<String> = (0..20_000).map(|label| format!("label {label}")).collect();
    let row = |text: &str, labels: &[String]| json!({"text": text, "labels": labels}).to_string() + "\n";
    let rows = [row("pay the bill", &many), row("meet on monday", &many[..1]), row("a call at noon", &many[1..2])];
    fs::write(at("row.jsonl"), rows.concat()).unwrap();
    let started = std::time::Instant::now();
    trained(train(at("row.jsonl"), &at("c.json")));
    let words = |label: usize| format!("order {} of the {} department {}", label * 7919 % 9973, label % 83, label % 97);
    let row = |n: usize| json!({"text": format!("{} {}", words(n / 3), ["today", "now", "soon"][n % 3]), "label": format!("l{}", n / 3)});
    fs::write(at("rows.jsonl"), (0..3 * 2000).map(|n| row(n).to_string() + "\n").collect::<String>()).unwrap();
    let (_, stderr) = trained(train(at("rows.jsonl"), &at("c.json")).args(["--progress", "always"]));
    assert!(stderr.contains("2000 labels are learned by a linear discriminant"), "{stderr}");
    eprintln!("{:?}", started.elapsed());
    assert!(started.elapsed().as_secs() < 120, "{:?}", started.elapsed());
}
