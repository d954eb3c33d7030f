//! `mailsort train` without labels: names and unlabelled mail teach a classifier, and what they cannot teach is refused.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::mailsort::{Run, mailsort};

const LABELS: &str = "invoice: a bill to pay\nmeeting: a date to meet\ntravel: flights and hotels\n";

/// Texts of three labels, as many of each.
fn texts() -> Vec<(&'static str, String)> {
    let topics: [(&str, [&str; 5]); 3] = [
        (
            "invoice",
            [
                "The invoice for",
                "Please pay the bill of",
                "The amount due for",
                "Your receipt of",
                "We charged you for",
            ],
        ),
        (
            "meeting",
            [
                "The meeting about",
                "Let us meet to discuss",
                "The agenda of",
                "Can we talk on Monday about",
                "The call about",
            ],
        ),
        (
            "travel",
            [
                "Your flight for",
                "The hotel is booked for",
                "The train tickets for",
                "Your itinerary of",
                "The airport transfer for",
            ],
        ),
    ];
    let things = [
        "March",
        "the project",
        "the new office",
        "our customers",
        "the second quarter",
        "the workshop",
        "Berlin",
        "Anna",
    ];
    let endings = ["Kind regards", "Thank you very much", "See the attachment"];
    let mut texts = Vec::new();
    for (label, beginnings) in topics {
        for beginning in beginnings {
            for thing in things {
                let ending = endings[texts.len() % endings.len()];
                texts.push((label, format!("{beginning} {thing}. {ending}.")));
            }
        }
    }
    texts
}

fn mbox(texts: &[(&str, String)]) -> String {
    let mail = |(at, (_, text)): (usize, &(&str, String))| {
        format!(
            "From a@example.org Mon Jun 10 06:12:03 2024\nFrom: a@example.org\nMessage-ID: <{at}@example.org>\n\n{text}\n\n"
        )
    };
    texts.iter().enumerate().map(mail).collect()
}

struct Place {
    folder: tempfile::TempDir,
    labels: PathBuf,
    output: PathBuf,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [labels, output] = ["labels.txt", "learned.json"].map(|name| folder.path().join(name));
        fs::write(&labels, LABELS).unwrap();
        Self { folder, labels, output }
    }

    fn put(&self, name: &str, content: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    fn train(&self, input: &Path) -> Run {
        let paths = [input, &self.labels, &self.output].map(|path| path.to_str().unwrap().to_string());
        let [input, labels, output] = paths;
        mailsort(["train".into(), input, "--labels".into(), labels, "--output".into(), output])
    }

    /// What is printed, and the file.
    fn learned(&self, run: Run) -> (String, String, Value) {
        let (status, stdout, stderr) = said(run);
        assert_eq!(status, Some(0), "{stderr}");
        (stdout, stderr, serde_json::from_slice(&fs::read(&self.output).unwrap()).unwrap())
    }

    fn refused(&self, run: Run, parts: &[&str]) {
        let (status, _, stderr) = said(run);
        assert_eq!(status, Some(2), "{stderr}");
        parts.iter().for_each(|part| assert!(stderr.contains(part), "{stderr:?} does not say {part:?}"));
        assert!(!self.output.exists());
    }
}

fn said(run: Run) -> (Option<i32>, String, String) {
    let output = run.output();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn names_and_unlabelled_mail_teach_a_classifier() {
    let place = Place::new();
    let (stdout, _, file) = place.learned(place.train(&place.put("archive.mbox", &mbox(&texts()))));
    for part in ["120 texts without a label, 3 labels", "agreement", "coverage", "by name", "learned from", "invoice"] {
        assert!(stdout.contains(part), "{stdout}");
    }
    assert!(!stdout.contains("accuracy"), "{stdout}");
    let from_names = &file["training"]["from_names"];
    assert_eq!(from_names["texts"], 120);
    assert!(from_names["learned"].as_u64().unwrap() >= 72, "{from_names}");
    assert_eq!(file["training"]["samples"], from_names["learned"]);
    assert_eq!(file["validation"], Value::Null);
    let rows: String = texts().iter().map(|(_, text)| json!({ "text": text }).to_string() + "\n").collect();
    let classifier = ["classify", "-", "--input-format", "jsonl", "--classifier", place.output.to_str().unwrap()];
    let records = mailsort(classifier).stdin(rows).records();
    let right = records.iter().zip(texts()).filter(|(record, (label, _))| record["label"] == *label).count();
    assert!(right > 108, "{right} of 120");
    assert_eq!(records[0]["model"], "builtin+learned");
}

#[test]
fn whatever_classify_reads_teaches_and_the_same_texts_give_the_same_bytes() {
    let place = Place::new();
    let texts = texts();
    let tables = [
        place.put("t.csv", &format!("text\n{}", texts.iter().map(|(_, text)| format!("{text}\n")).collect::<String>())),
        place.put(
            "t.jsonl",
            &texts.iter().map(|(_, text)| json!({ "text": text }).to_string() + "\n").collect::<String>(),
        ),
    ];
    let mut bytes = Vec::new();
    for table in &tables {
        place.learned(place.train(table));
        bytes.push(fs::read(&place.output).unwrap());
    }
    place.learned(place.train(&tables[0]).args(["--threads", "1"]));
    bytes.push(fs::read(&place.output).unwrap());
    assert!(bytes[0] == bytes[1] && bytes[0] == bytes[2], "the kind of table or the threads change the file");
    for (at, (label, text)) in texts.iter().enumerate() {
        place.put(&format!("mail/{label}/{at}.eml"), &format!("From: a@example.org\n\n{text}\n"));
        place.put(&format!("maildir/cur/{at}.a:2,"), &format!("From: a@example.org\n\n{text}\n"));
    }
    place.put("maildir/new/.keep", "");
    place.put("mail/empty.eml", "");
    let folder = |name: &str| place.folder.path().join(name);
    let (stdout, ..) = place.learned(place.train(&folder("maildir")));
    assert!(stdout.contains("120 texts without a label"), "{stdout}");
    // Without the flag, folders are labels.
    let (stdout, ..) = place.learned(place.train(&folder("mail")));
    assert!(stdout.contains("cross-validation"), "{stdout}");
    let (stdout, ..) = place.learned(place.train(&folder("mail")).args(["--from-names"]));
    assert!(stdout.contains("120 texts without a label"), "{stdout}");
    let mail = mbox(&texts);
    let input = place.train(Path::new("-")).stdin(mail);
    let (stdout, ..) = place.learned(input);
    assert!(stdout.contains("120 texts without a label"), "{stdout}");
}

#[test]
fn labels_are_not_passed_over() {
    let place = Place::new();
    let row = |(label, text): &(&str, String)| json!({"text": text, "label": label}).to_string() + "\n";
    let labelled = place.put("s.jsonl", &texts().iter().map(row).collect::<String>());
    place.refused(place.train(&labelled).args(["--from-names"]), &["--from-names", "s.jsonl [0]", "\"invoice\""]);
    let both = ["--from-names", "--exclude", "Trash"];
    place.refused(place.train(&labelled).args(both), &["cannot be used with"]);
    place.refused(
        mailsort(["train", labelled.to_str().unwrap(), "--from-names", "--output", place.output.to_str().unwrap()]),
        &["--labels"],
    );
    for (at, (_, text)) in texts().iter().enumerate() {
        place.put(&format!("mail/{}/{at}.eml", 2020 + at % 2), &format!("From: a@example.org\n\n{text}\n"));
    }
    place.refused(place.train(&place.folder.path().join("mail")), &["\"2020\"", "--from-names"]);
}

#[test]
fn a_field_of_labels_that_is_named_must_be_there() {
    let place = Place::new();
    let rows = |row: &dyn Fn(&(&str, String)) -> String| texts().iter().map(row).collect::<String>();
    let json = |(label, text): &(&str, String)| json!({"text": text, "topic": label}).to_string() + "\n";
    let csv = |(label, text): &(&str, String)| format!("{text},{label}\n");
    let table = format!("text,topic\n{}", rows(&csv));
    let inputs = [place.put("s.jsonl", &rows(&json)), place.put("s.csv", &table), place.put("s.txt", &table)];
    for input in &inputs {
        place.refused(place.train(input).args(["--label-field", "topik"]), &["topik", "--label-field"]);
        // Without labels on purpose.
        let (stdout, ..) = place.learned(place.train(input).args(["--from-names", "--label-field", "none"]));
        assert!(stdout.contains("120 texts without a label"), "{stdout}");
        let (stdout, ..) = place.learned(place.train(input).args(["--label-field", "topic"]));
        assert!(stdout.contains("120 samples, 3 labels"), "{stdout}");
        fs::remove_file(&place.output).unwrap();
    }
}

#[test]
fn a_few_labelled_rows_count_beside_the_others() {
    let place = Place::new();
    let row = |(at, (label, text)): (usize, &(&str, String))| {
        let label = if at % 20 == 0 { json!(label) } else { Value::Null };
        json!({"text": text, "label": label}).to_string() + "\n"
    };
    let mixed = place.put("s.jsonl", &texts().iter().enumerate().map(row).collect::<String>());
    let (stdout, _, file) = place.learned(place.train(&mixed));
    assert!(stdout.contains("114 texts without a label and 6 labelled samples, 3 labels"), "{stdout}");
    assert_eq!(file["training"]["from_names"]["labelled"], 6);
    // Another label than the names say.
    let odd = |(at, (label, text)): (usize, &(&str, String))| {
        let label = if at % 40 < 3 { json!(label.replace("travel", "trips")) } else { Value::Null };
        json!({"text": text, "label": label}).to_string() + "\n"
    };
    let (stdout, stderr, _) =
        place.learned(place.train(&place.put("o.jsonl", &texts().iter().enumerate().map(odd).collect::<String>())));
    assert!(stdout.contains("111 texts without a label and 9 labelled samples, 4 labels"), "{stdout}");
    assert!(stderr.contains("lacks the labels [\"trips\"]"), "{stderr}");
    let many = |(at, (label, text)): (usize, &(&str, String))| {
        let label = if at % 2 == 0 { json!(label) } else { Value::Null };
        json!({"text": text, "label": label}).to_string() + "\n"
    };
    let many = place.put("m.jsonl", &texts().iter().enumerate().map(many).collect::<String>());
    let (stdout, stderr, _) = place.learned(place.train(&many));
    assert!(stdout.contains("60 samples, 3 labels") && stdout.contains("cross-validation"), "{stdout}");
    assert!(stderr.contains("60 texts without a label left out"), "{stderr}");
}

/// A few rows of some labels do not teach that the others do not occur.
#[test]
fn labels_without_a_labelled_row_stay() {
    let place = Place::new();
    let rows = |name: &str, is_labelled: &dyn Fn(usize, &str) -> bool| {
        let row = |(at, (label, text)): (usize, &(&str, String))| {
            let label = if is_labelled(at, label) { json!(label) } else { Value::Null };
            json!({"text": text, "label": label}).to_string() + "\n"
        };
        place.put(name, &texts().iter().enumerate().map(row).collect::<String>())
    };
    let right = |file: &Path| {
        place.learned(place.train(file));
        let mails: String = texts().iter().map(|(_, text)| json!({ "text": text }).to_string() + "\n").collect();
        let run =
            mailsort(["classify", "-", "--input-format", "jsonl", "--classifier", place.output.to_str().unwrap()]);
        let records = run.stdin(mails).records();
        records.iter().zip(texts()).filter(|(record, (label, _))| record["label"] == *label).count()
    };
    let alone = right(&rows("none.jsonl", &|_, _| false));
    let one = right(&rows("one.jsonl", &|at, _| at == 3));
    let some = right(&rows("some.jsonl", &|at, label| at % 5 == 0 && label != "meeting"));
    assert!(alone > 100 && one + 3 > alone && some + 3 > alone, "{alone} {one} {some}");
    // In another case they would be other labels.
    let other: String = fs::read_to_string(rows("case.jsonl", &|at, _| at % 4 == 0)).unwrap();
    fs::remove_file(&place.output).unwrap();
    let other = place.put("case.jsonl", &other.replace("\"meeting\"", "\"Meeting\""));
    place.refused(place.train(&other), &["\"Meeting\"", "\"meeting\" of the label file", "case only"]);
}

#[test]
fn the_label_file_is_never_written_over() {
    let place = Place::new();
    let all = place.put("all.mbox", &mbox(&texts()));
    let output = place.labels.to_str().unwrap().to_string();
    let paths = [all.to_str().unwrap().to_string(), "--labels".into(), output.clone(), "--output".into(), output];
    let (status, _, stderr) = said(mailsort(["train".to_string()].into_iter().chain(paths)));
    assert_eq!(status, Some(2), "{stderr}");
    assert_eq!(fs::read_to_string(&place.labels).unwrap(), LABELS);
}

#[cfg(unix)]
#[test]
fn a_pipe_is_read_once_from_its_beginning() {
    let place = Place::new();
    let pipe = place.folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let writing = std::thread::spawn({
        let (pipe, mail) = (pipe.clone(), mbox(&texts()));
        move || fs::write(pipe, mail)
    });
    let (stdout, ..) = place.learned(place.train(&pipe));
    writing.join().unwrap().unwrap();
    assert!(stdout.contains("120 texts without a label"), "{stdout}");
}

#[test]
fn folders_whose_labels_are_others_are_refused_beside_unlabelled_mail() {
    let place = Place::new();
    let all = place.put("all.mbox", &mbox(&texts()));
    for (at, folder) in ["2023", "2024"].into_iter().enumerate() {
        place.put(&format!("mail/{folder}/{at}.eml"), &format!("Subject: something\n\nSome text of {folder}.\n"));
    }
    let mail = place.folder.path().join("mail");
    place.refused(place.train(&all).args([mail]), &["\"2023\"", "none of which is in the label file"]);
}

#[test]
fn what_cannot_be_learned_is_said() {
    let place = Place::new();
    let few = place.put("few.mbox", &mbox(&texts()[..20]));
    place.refused(
        place.train(&few),
        &["20 texts without a label are too few", "nothing is written", "classify --labels"],
    );
    fs::write(&place.labels, "invoice: a bill to pay\n").unwrap();
    let all = place.put("all.mbox", &mbox(&texts()));
    place.refused(place.train(&all), &["one label"]);
    fs::write(&place.labels, format!("{LABELS}qwrtzp\n")).unwrap();
    let (status, stdout, stderr) = said(place.train(&all));
    // The built-in model has pieces for any letters, and so a vector.
    assert_eq!(status, Some(0), "{stderr}");
    assert!(stdout.contains("qwrtzp"), "{stdout}");
    fs::write(&place.labels, format!("{LABELS}astronomy: telescopes and black holes\n")).unwrap();
    let (stdout, ..) = place.learned(place.train(&all));
    assert!(stdout.contains("120 texts without a label, 4 labels") && stdout.contains("astronomy"), "{stdout}");
    fs::write(&place.labels, format!("{LABELS}сельское хозяйство: урожай пшеницы и удобрения\n")).unwrap();
    let (_, stderr, _) = place.learned(place.train(&all));
    assert!(
        stderr.contains("no text is nearest to [\"сельское хозяйство\"], so nothing was learned of that"),
        "{stderr}"
    );
}

#[test]
fn any_embedding_learns_from_names() {
    let place = Place::new();
    let all = place.put("all.mbox", &mbox(&texts()));
    let model = ["--model", "tests/models/tiny-embedding", "--device", "cpu"];
    let (status, stdout, stderr) = said(place.train(&all).args(model));
    // Its weights are random.
    assert!(status == Some(0) || stderr.contains("nothing is written"), "{stdout}{stderr}");
}
