//! Every kind of model through the real program: the tiny checkpoints of `tests/models/`, whose scores mean nothing but
//! must be the same wherever and however they are made.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::mailsort::{Run, command, mailsort, root};

pub const INBOX: &str = "samples/inbox.mbox";

pub fn model(name: &str) -> String {
    format!("tests/models/{name}")
}

/// `mailsort classify samples/inbox.mbox --labels tests/models/mail.txt --model tests/models/NAME`.
pub fn classify(name: &str) -> Run {
    mailsort(["classify", INBOX, "--labels", "tests/models/mail.txt", "--device", "cpu", "--model", &model(name)])
}

/// Status, stdout and stderr.
pub fn said(run: Run) -> (Option<i32>, String, String) {
    let output = run.output();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

pub fn succeeds(run: Run) -> String {
    let (status, stdout, stderr) = said(run);
    assert_eq!(status, Some(0), "{stderr}");
    stdout
}

pub fn records(run: Run) -> Vec<Value> {
    let output = succeeds(run);
    output.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

pub fn refused(run: Run, parts: &[&str]) {
    let (status, stdout, stderr) = said(run);
    assert_eq!((status, stdout.as_str()), (Some(2), ""), "{stderr}");
    for part in parts {
        assert!(stderr.contains(part), "{stderr:?} does not say {part:?}");
    }
}

/// A copy of a model that may be spoilt.
pub fn copied(name: &str) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    copy_all(&root().join(model(name)), copy.path());
    copy
}

/// Copies a folder with all that is in it.
fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_all(&path, &target);
        } else {
            fs::copy(&path, target).unwrap();
        }
    }
}

/// Makes the first number of a weight of f32 something else.
pub fn spoil(copy: &Path, weight: &str, number: f32) {
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
        let batches = [["--batch-tokens", "1"], ["--batch-tokens", "700"]];
        let batches = if name == "tiny-xlmr" { &[][..] } else { &batches };
        for flags in [["--threads", "1"], ["--threads", "3"]].iter().chain(batches) {
            assert_eq!(succeeds(classify(name).args(flags)), expected, "{name} with {flags:?}");
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn no_thread_is_started_but_those_that_were_asked_for() {
    use std::io::{BufRead, BufReader, Write};
    use std::process::Stdio;
    let entry = "From a Sat Jan  3 01:05:34 1996\nSubject: hello there\n\nwe meet on friday\n\n";
    for name in ["tiny-bert", "tiny-reranker", "tiny-embedding"] {
        let mut child = command(env!("CARGO_BIN_EXE_mailsort"))
            .args([
                "classify",
                "-",
                "-l",
                "tests/models/mail.txt",
                "--device",
                "cpu",
                "--threads",
                "1",
                "--model",
                &model(name),
            ])
            // The pool of the process, which is made when somebody works outside of that of the run.
            .env("RAYON_NUM_THREADS", "50")
            .current_dir(root())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(entry.repeat(2).as_bytes()).unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(!lines.next().unwrap().unwrap().contains("\"error\""));
        let threads = fs::read_dir(format!("/proc/{}/task", child.id())).unwrap().count();
        drop(stdin);
        assert!(child.wait().unwrap().success() && threads < 50, "{name}: {threads} threads");
    }
}

#[test]
fn an_instruction_that_no_model_reads_is_said_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    // By its name it is known to take one.
    let e5 = folder.path().join("tiny-e5-instruct");
    copy_all(&root().join(model("tiny-xlmr")), &e5);
    for (name, reads) in [(&model("tiny-bert"), false), (&model("tiny-bert-reranker"), false), (&shown(&e5), true)] {
        let cache = shown(&folder.path().join("a.cache"));
        let run = |instruct: &str| {
            let run =
                mailsort(["classify", INBOX, "--labels", "tests/models/mail.txt", "--model", name, "--cache", &cache]);
            let (status, stdout, stderr) = said(run.args(["--instruct", instruct]));
            assert_eq!((status, stderr.contains("--instruct changes nothing")), (Some(0), !reads), "{name}: {stderr}");
            stdout
        };
        let one = run("Sort this");
        let count = "SELECT (SELECT count(*) FROM scores) + (SELECT count(*) FROM vectors)";
        let entries =
            || rusqlite::Connection::open(&cache).unwrap().query_row(count, [], |row| row.get::<_, i64>(0)).unwrap();
        let before = entries();
        assert_eq!(run("Find what this is about") == one, !reads, "{name}");
        assert_eq!(entries() == before, !reads, "{name}: nothing is kept twice");
        fs::remove_file(&cache).unwrap();
    }
}

fn shown(path: &Path) -> String {
    path.to_str().unwrap().to_string()
}

#[test]
fn a_shortlist_leaves_the_labels_that_the_faster_model_likes_best() {
    let first = records(mailsort(["classify", INBOX, "--labels", "tests/models/mail.txt", "-k", "3"]));
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
fn a_folder_that_was_moved_is_the_same_model() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("a.cache").to_string_lossy().into_owned();
    let counts = || {
        let stats = succeeds(mailsort(["cache", "stats", &cache, "--format", "json"]));
        let stats: Value = serde_json::from_str(&stats).unwrap();
        (stats["scores"].clone(), stats["vectors"].clone(), stats["models"].as_array().unwrap().len())
    };
    let run = |path: &str| {
        let run = mailsort(["classify", INBOX, "-l", "tests/models/mail.txt", "--device", "cpu", "--cache", &cache]);
        succeeds(run.args(["--model", path])).replace(&*serde_json::to_string(path).unwrap(), "MODEL")
    };
    let first = run(&model("tiny-reranker"));
    let (scores, vectors, models) = counts();
    assert_eq!((scores.as_u64().unwrap() % 14, &vectors, models), (0, &Value::from(0), 1));
    let moved = copied("tiny-reranker");
    for path in [root().join(model("tiny-reranker")), moved.path().to_path_buf()] {
        assert_eq!(run(path.to_str().unwrap()), first);
        assert_eq!(counts(), (scores.clone(), vectors.clone(), 1), "nothing was scored again");
    }
    // By the name of its folder this one would be asked in another way.
    let e5 = folder.path().join("e5");
    run(&model("tiny-bert"));
    let (_, before, _) = counts();
    copy_all(&root().join(model("tiny-bert")), &e5);
    run(e5.to_str().unwrap());
    assert_eq!(counts().1.as_u64().unwrap(), 2 * before.as_u64().unwrap());
}

#[test]
fn a_cache_is_believed() {
    // Scores of other weights under the same name would be a lie, so a changed file is another model.
    let (copy, folder) = (copied("tiny-reranker"), tempfile::tempdir().unwrap());
    let cache = folder.path().join("scores").to_string_lossy().into_owned();
    let run = || {
        let model = copy.path().to_string_lossy().into_owned();
        succeeds(mailsort(["classify", INBOX, "-l", "tests/models/mail.txt", "--model", &model, "--cache", &cache]))
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
        let words = fs::read_to_string(root().join("tests/models/mail.txt")).unwrap();
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
fn auto_says_what_it_chose() {
    let run = |name: &str| said(mailsort(["classify", INBOX, "-l", "tests/models/mail.txt", "--model", name])).2;
    let stderr = run(&model("tiny-reranker"));
    assert!(stderr.contains("--device auto: computing on "), "{stderr}");
    // What runs on the processor anyway has nothing to do with a GPU, and what does not run with neither.
    assert!(run(&model("tiny-bert")).contains("--device auto: computing on cpu\n"));
    let empty = tempfile::tempdir().unwrap();
    let stderr = run(empty.path().to_str().unwrap());
    assert!(stderr.contains("config.json") && !stderr.contains("--device"), "{stderr}");
}

#[test]
fn the_embedded_model_is_described_too() {
    let text = succeeds(mailsort(["models", "show", "builtin"]));
    for line in
        ["model         builtin", "dims          320", "context       512", "memory        22 MB as int8 on a CPU"]
    {
        assert!(text.lines().any(|found| found == line), "{line} is not in {text}");
    }
    let card: Value = serde_json::from_str(&succeeds(mailsort(["models", "show", "builtin", "-f", "json"]))).unwrap();
    assert_eq!((&card["kind"], &card["dims"], &card["id"]), (&"embedding".into(), &320.into(), &"builtin".into()));
    assert!(card["parameters"].as_u64().unwrap() > 18_000_000 && card["path"].as_str().unwrap().contains("mailsort"));
    let path = succeeds(mailsort(["models", "path", "builtin"]));
    assert_eq!(fs::canonicalize(path.trim_end()).unwrap(), fs::canonicalize(env!("CARGO_BIN_EXE_mailsort")).unwrap());
    refused(mailsort(["models", "path", "builtin", "--revision", "main"]), &["no revisions", "--revision"]);
}
