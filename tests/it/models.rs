//! Every kind of model through the real program: the tiny checkpoints of `tests/models/`, whose scores mean nothing but
//! must be the same wherever and however they are made.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::mailsort::{Run, mailsort, root};

const INBOX: &str = "samples/inbox.mbox";

fn model(name: &str) -> String {
    format!("tests/models/{name}")
}

/// `mailsort classify samples/inbox.mbox --labels labels/mail.txt --model tests/models/NAME`.
fn classify(name: &str) -> Run {
    mailsort(["classify", INBOX, "--labels", "labels/mail.txt", "--device", "cpu", "--model", &model(name)])
}

/// Status, stdout and stderr.
fn said(run: Run) -> (Option<i32>, String, String) {
    let output = run.output();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn succeeds(run: Run) -> String {
    let (status, stdout, stderr) = said(run);
    assert_eq!(status, Some(0), "{stderr}");
    stdout
}

fn records(run: Run) -> Vec<Value> {
    let output = succeeds(run);
    output.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn refused(run: Run, parts: &[&str]) {
    let (status, stdout, stderr) = said(run);
    assert_eq!((status, stdout.as_str()), (Some(2), ""), "{stderr}");
    for part in parts {
        assert!(stderr.contains(part), "{stderr:?} does not say {part:?}");
    }
}

/// A copy of a model that may be spoilt.
fn copied(name: &str) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(root().join(model(name))).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    copy
}

/// Makes the first number of a weight of f32 something else.
fn spoil(copy: &Path, weight: &str, number: f32) {
    let path = copy.join("model.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let start = 8 + length + header[weight]["data_offsets"][0].as_u64().unwrap() as usize;
    bytes[start..start + 4].copy_from_slice(&number.to_le_bytes());
    fs::write(path, bytes).unwrap();
}

#[test]
fn every_kind_of_model_sorts_the_samples() {
    let kinds = [
        ("tiny-reranker", false),
        ("tiny-reranker-untied", false),
        ("tiny-reranker-f16", false),
        ("tiny-embedding", true),
        ("tiny-reranker-f16.gguf", false),
        ("tiny-reranker-q8_0.gguf", false),
        ("tiny-wide-q4_k_m.gguf", false),
        ("tiny-embedding-q8_0.gguf", true),
        ("tiny-bert", true),
        ("tiny-xlmr", true),
        ("tiny-bert-reranker", false),
        ("tiny-xlmr-reranker", false),
    ];
    for (name, shares) in kinds {
        let records = records(classify(name).args(["-k", "100"]));
        assert_eq!(records.len(), 14, "{name}");
        for record in &records {
            assert_eq!(record["model"], model(name), "{name}");
            assert!(record["tokens"].as_u64().unwrap() > 0 && record["error"].is_null(), "{name}: {record}");
            let scores = record["labels"].as_array().unwrap().iter().map(|label| label["score"].as_f64().unwrap());
            let scores: Vec<f64> = scores.collect();
            assert!(scores.iter().all(|score| (0.0..=1.0).contains(score)), "{name}");
            assert!(scores.is_sorted_by(|a, b| a >= b), "{name}");
            let sum: f64 = scores.iter().sum();
            assert_eq!((sum - 1.0).abs() < 0.01, shares, "{name}: {sum}");
        }
    }
}

#[test]
fn neither_threads_nor_batches_change_a_line() {
    for name in ["tiny-reranker", "tiny-reranker-q8_0.gguf", "tiny-wide-q4_k_m.gguf", "tiny-embedding", "tiny-xlmr"] {
        let expected = succeeds(classify(name));
        for flags in [["--threads", "1"], ["--threads", "3"], ["--batch-tokens", "1"], ["--batch-tokens", "700"]] {
            assert_eq!(succeeds(classify(name).args(flags)), expected, "{name} with {flags:?}");
        }
    }
}

#[test]
fn a_shortlist_leaves_the_labels_that_the_faster_model_likes_best() {
    let first = records(mailsort(["classify", INBOX, "--labels", "labels/mail.txt", "-k", "3"]));
    let whole = records(classify("tiny-reranker").args(["-k", "100"]));
    let short = records(classify("tiny-reranker").args(["--shortlist", "3", "-k", "100"]));
    let names = |record: &Value| -> Vec<String> {
        let labels = record["labels"].as_array().unwrap().iter();
        labels.map(|label| label["label"].as_str().unwrap().to_string()).collect()
    };
    for ((first, whole), short) in first.iter().zip(&whole).zip(&short) {
        let (mut liked, mut left) = (names(first), names(short));
        liked.sort();
        left.sort();
        assert_eq!(left, liked);
        for label in short["labels"].as_array().unwrap() {
            assert!(whole["labels"].as_array().unwrap().contains(label), "{label} has the score of the whole run");
        }
    }
    let other = classify("tiny-reranker").args(["--shortlist", "2", "--shortlist-model", &model("tiny-embedding")]);
    assert!(records(other).iter().all(|record| record["labels"].as_array().unwrap().len() == 2));
}

#[test]
fn a_cache_gives_the_same_bytes_and_grows_no_more() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["tiny-reranker", "tiny-embedding", "tiny-bert"] {
        let cache = folder.path().join(format!("{name}.cache")).to_string_lossy().into_owned();
        let stats = || succeeds(mailsort(["cache", "stats", &cache, "--format", "json"]));
        let counts = |stats: &str| {
            let stats: Value = serde_json::from_str(stats).unwrap();
            (stats["scores"].as_u64().unwrap(), stats["vectors"].as_u64().unwrap())
        };
        let plain = succeeds(classify(name));
        assert_eq!(succeeds(classify(name).args(["--cache", &cache])), plain, "{name}, first");
        let after_first = counts(&stats());
        assert!(after_first.0 + after_first.1 >= 14, "{after_first:?}");
        assert_eq!(succeeds(classify(name).args(["--cache", &cache])), plain, "{name}, again");
        assert_eq!(counts(&stats()), after_first, "{name}: nothing was scored again");
        let other = succeeds(classify(name).args(["--cache", &cache, "--max-tokens", "40"]));
        assert_ne!(other, plain, "{name}: a shorter mail is another");
        let bytes = fs::read(&cache).unwrap();
        for word in ["Rechnung", "security alert", "invoice"] {
            assert!(!bytes.windows(word.len()).any(|window| window == word.as_bytes()), "{word} is in the cache");
        }
    }
}

#[test]
fn a_cache_that_knows_some_labels_changes_no_line() {
    // Beside the long label there is less room for the mail than beside the short one.
    let folder = tempfile::tempdir().unwrap();
    let mail = folder.path().join("long.txt");
    fs::write(&mail, "The invoice is due on Friday. ".repeat(60)).unwrap();
    let labels = ["meeting", "invoice: a bill to pay by friday for the things that were shipped last week"];
    let known = |number: usize| folder.path().join(format!("{number}.cache")).to_string_lossy().into_owned();
    for name in ["tiny-bert-reranker", "tiny-reranker"] {
        let run = |labels: &[&str]| {
            let run = mailsort(["classify", "--device", "cpu", "--model", &model(name), mail.to_str().unwrap()]);
            labels.iter().fold(run, |run, label| run.args(["--label", label]))
        };
        for (number, order) in [labels, [labels[1], labels[0]]].iter().enumerate() {
            let plain = succeeds(run(order));
            for first in order {
                let cache = known(number) + name + &first[..3];
                succeeds(run(&[first]).args(["--cache", &cache]));
                assert_eq!(succeeds(run(order).args(["--cache", &cache])), plain, "{name} after {first}");
            }
        }
    }
}

#[test]
fn a_cache_is_believed() {
    // Scores of other weights under the same name would be a lie, so a changed file is another model.
    let (copy, folder) = (copied("tiny-reranker"), tempfile::tempdir().unwrap());
    let cache = folder.path().join("scores").to_string_lossy().into_owned();
    let run = || {
        let model = copy.path().to_string_lossy().into_owned();
        succeeds(mailsort(["classify", INBOX, "-l", "labels/mail.txt", "--model", &model, "--cache", &cache]))
    };
    let before = run();
    spoil(copy.path(), "model.norm.weight", 40.0);
    assert_ne!(run(), before);
}

#[test]
fn an_instruction_is_read() {
    for name in ["tiny-reranker", "tiny-embedding"] {
        let plain = succeeds(classify(name));
        let told = succeeds(classify(name).args(["--instruct", "Tell whether the mail is urgent"]));
        assert_ne!(plain, told, "{name}");
        let folder = tempfile::tempdir().unwrap();
        let labels = folder.path().join("mail.toml");
        let words = fs::read_to_string(root().join("labels/mail.txt")).unwrap();
        let mut toml = String::from("instruct = \"Tell whether the mail is urgent\"\n");
        for line in words.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
            let (label, description) = line.split_once(':').unwrap();
            toml.push_str(&format!("[[label]]\nname = {:?}\ndescription = {:?}\n", label.trim(), description.trim()));
        }
        fs::write(&labels, toml).unwrap();
        let set = ["classify", INBOX, "-l", labels.to_str().unwrap(), "--device", "cpu", "--model", &model(name)];
        assert_eq!(succeeds(mailsort(set)), told, "{name}: as the label set says");
        let over = succeeds(mailsort(set).args(["--instruct", "Another"]));
        assert_ne!(over, told, "{name}: the flag wins");
    }
}

#[test]
fn long_mails_are_cut_and_said_to_be() {
    // Fewer would be words that the small vocabulary of the encoder does not know.
    for (name, most) in [("tiny-reranker", 5), ("tiny-embedding", 5), ("tiny-bert", 40)] {
        for record in records(classify(name).args(["--max-tokens", &most.to_string()])) {
            assert_eq!(record["truncated"], true);
            assert!((1..=most).contains(&record["tokens"].as_u64().unwrap()), "{record}");
        }
    }
}

#[test]
fn raw_scores_of_a_reranker_are_logits() {
    let probabilities = records(classify("tiny-reranker").args(["-k", "1"]));
    let logits = records(classify("tiny-reranker").args(["-k", "1", "--raw-scores", "--threshold", "-300"]));
    for (share, logit) in probabilities.iter().zip(&logits) {
        let sigmoid = 1.0 / (1.0 + (-logit["score"].as_f64().unwrap()).exp());
        assert!((sigmoid - share["score"].as_f64().unwrap()).abs() < 2e-4, "{logit}");
    }
}

#[test]
fn a_score_that_is_no_number_is_an_error_of_its_mail() {
    let copy = copied("tiny-reranker");
    spoil(copy.path(), "model.norm.weight", f32::NAN);
    let path = copy.path().to_str().unwrap();
    let run = mailsort(["classify", INBOX, "-l", "labels/mail.txt", "--model", path]);
    let (status, stdout, stderr) = said(run);
    assert_eq!(status, Some(1), "{stderr}");
    assert_eq!(stdout.lines().count(), 14);
    for line in stdout.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        assert_eq!((&record["label"], &record["error"]), (&Value::Null, &"score is not a number".into()), "{line}");
    }
}

#[test]
fn a_stopped_run_goes_on_with_a_model() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.jsonl");
    let out = path.to_str().unwrap();
    let whole = succeeds(classify("tiny-reranker"));
    let half: usize = whole.split_inclusive('\n').take(5).map(str::len).sum();
    fs::write(&path, &whole[..half + 20]).unwrap();
    succeeds(classify("tiny-reranker").args(["--output", out, "--resume"]));
    assert_eq!(fs::read_to_string(&path).unwrap(), whole);
    fs::write(&path, &whole[..half]).unwrap();
    refused(classify("tiny-embedding").args(["--output", out, "--resume"]), &["would now come out in another way"]);
}

#[test]
fn bad_input_is_told_what_is_wrong() {
    let labels = ["classify", INBOX, "-l", "labels/mail.txt", "--offline", "--model"];
    refused(mailsort(labels).args(["qwen4-reranker"]), &["qwen3-reranker-0.6b"]);
    refused(mailsort(labels).args(["owner/name"]), &["owner/name", "offline"]);
    refused(mailsort(labels).args(["samples"]), &["config.json"]);
    refused(mailsort(labels).args([INBOX]), &["GGUF"]);
    refused(classify("tiny-embedding").args(["--dims", "5"]), &["--dims 5", "32 to 64"]);
    refused(classify("tiny-reranker").args(["--dims", "32"]), &["--dims"]);
    refused(classify("tiny-embedding").args(["--shortlist", "2"]), &["--shortlist"]);
    let pairs = ["--shortlist", "2", "--shortlist-model", &model("tiny-bert-reranker")];
    refused(classify("tiny-reranker").args(pairs), &["--shortlist-model", "is a reranker"]);
    refused(mailsort(labels).args([&model("tiny-reranker"), "--device", "cuda:9"]), &["--device cuda:9"]);
    refused(mailsort(labels).args([&model("tiny-reranker"), "--device", "gpu"]), &["auto, cpu, cuda"]);
    let empty = mailsort(labels).args([model("tiny-reranker").as_str(), "--instruct", " "]);
    refused(empty, &["--instruct"]);
    let cache = ["--cache", "Cargo.toml", "--output", "Cargo.toml"];
    refused(classify("tiny-reranker").args(cache), &["Cargo.toml", "is read by this run"]);
    for flags in [["--dims", "64"], ["--dtype", "f32"], ["--device", "cuda:0"], ["--batch-tokens", "64"]] {
        let builtin = mailsort(["classify", INBOX, "-l", "labels/mail.txt"]).args(flags);
        refused(builtin, &[flags[0], "has no meaning for the built-in model"]);
    }
    refused(mailsort(labels).args([&model("tiny-reranker"), "--threshold", "1.5"]), &["--threshold 1.5"]);
    refused(mailsort(labels).args([&model("tiny-reranker-old-q8_0.gguf")]), &["cls.output.weight"]);
    let half = copied("tiny-reranker");
    fs::write(half.path().join("model.safetensors"), b"half").unwrap();
    refused(mailsort(labels).args([half.path()]), &["model.safetensors", "download it again"]);
    let folder = tempfile::tempdir().unwrap();
    let note: PathBuf = folder.path().join("note");
    fs::write(&note, "no database").unwrap();
    refused(classify("tiny-reranker").args(["--cache", note.to_str().unwrap()]), &["note", "no cache"]);
}

#[test]
fn auto_says_what_it_chose() {
    let run = mailsort(["classify", INBOX, "-l", "labels/mail.txt", "--model", &model("tiny-reranker")]);
    let (_, _, stderr) = said(run);
    assert!(stderr.contains("--device auto: computing on "), "{stderr}");
}
