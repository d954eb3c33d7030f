//! Models of strangers, and the other files that flags name: tokenizers that grow, numbers beyond the weights, pipes
//! and devices in place of files. Each is refused by name, at once, with little memory.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::{A_MAIL, HEAD, Outcome, run};
use crate::mailsort::{command, mailsort};
use crate::models::{copied, refused};

/// Changes the tokenizer of a copy.
fn edit(copy: &Path, change: impl FnOnce(&mut Value)) {
    let path = copy.join("tokenizer.json");
    let mut json: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut json);
    fs::write(path, json.to_string()).unwrap();
}

/// Classifies a mail with the model, within the limits of time and memory.
fn classify(model: &Path) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.eml"), format!("{HEAD}\n{}\n", "a word ".repeat(100_000))).unwrap();
    let model = model.to_str().unwrap();
    run(&["a.eml", "--label", "a", "--label", "b", "--offline", "--model", model], folder.path(), A_MAIL, |_| Ok(()))
}

fn is_refused(case: &str, outcome: &Outcome, parts: &[&str]) {
    assert_eq!(outcome.code, Some(2), "{case}: {:.500}", outcome.stderr);
    for part in parts {
        assert!(outcome.stderr.contains(part), "{case}: {:.500} lacks {part}", outcome.stderr);
    }
}

fn sequence(step: Value, times: usize) -> Value {
    json!({"type": "Sequence", "normalizers": vec![step; times]})
}

#[test]
fn a_tokenizer_cannot_make_a_text_grow_without_bound() {
    let double = || json!({"type": "Replace", "pattern": {"String": "a"}, "content": "aa"});
    let nested = |inner: Value| json!({"type": "Sequence", "normalizers": [inner, double()]});
    for name in ["tiny-bert", "tiny-xlmr", "tiny-reranker", "tiny-embedding"] {
        let copy = copied(name);
        edit(copy.path(), |json| json["normalizer"] = sequence(double(), 40));
        is_refused(name, &classify(copy.path()), &["tokenizer.json", "bytes of one"]);
        edit(copy.path(), |json| json["normalizer"] = (0..10).fold(double(), |inner, _| nested(inner)));
        is_refused(name, &classify(copy.path()), &["tokenizer.json"]);
        edit(copy.path(), |json| json["normalizer"] = (0..60).fold(double(), |inner, _| sequence(inner, 1)));
        is_refused(name, &classify(copy.path()), &["tokenizer.json", "deep"]);
        edit(copy.path(), |json| {
            json["normalizer"] = Value::Null;
            json["pre_tokenizer"] = json!({"type": "Sequence", "pretokenizers": vec![json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false}); 40]});
        });
        is_refused(name, &classify(copy.path()), &["tokenizer.json", "pre-tokenizer"]);
    }
    // What it may grow is bounded by cutting the text.
    let copy = copied("tiny-bert");
    let long = json!({"type": "Replace", "pattern": {"String": "w"}, "content": "w".repeat(1000)});
    edit(copy.path(), |json| json["normalizer"] = long);
    let outcome = classify(copy.path());
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    // `filter` lets the message through.
    edit(copy.path(), |json| json["normalizer"] = sequence(double(), 40));
    let model = copy.path().to_str().unwrap();
    let filter =
        mailsort(["filter", "--label", "a", "--label", "b", "--model", model]).stdin("Subject: x\n\na\n").output();
    assert_eq!((filter.status.code(), filter.stdout), (Some(0), b"Subject: x\n\na\n".to_vec()));
}

#[test]
fn numbers_of_tokens_are_rows_of_the_weights() {
    let far = 4_000_000_000u64;
    let renumber = |json: &mut Value, word: &str| json["model"]["vocab"][word] = far.into();
    for (name, word) in [("tiny-reranker", "yes"), ("tiny-embedding", "yes"), ("tiny-bert", "the")] {
        let copy = copied(name);
        let mut renumbered = false;
        edit(copy.path(), |json| {
            renumbered = json["model"]["vocab"].get(word).is_some();
            renumber(json, word);
        });
        assert!(renumbered || name != "tiny-reranker", "{name} has no token {word}");
        is_refused(name, &classify(copy.path()), &[copy.path().to_str().unwrap()]);
        let shown = mailsort(["models", "show", copy.path().to_str().unwrap()]).output();
        let said = String::from_utf8([shown.stdout, shown.stderr].concat()).unwrap();
        assert!(shown.status.code().is_some_and(|code| code <= 2) && !said.contains("bug"), "{name}: {said}");
    }
    // A template has numbers of its own.
    let copy = copied("tiny-bert");
    edit(copy.path(), |json| {
        let specials = json["post_processor"]["special_tokens"].as_object_mut();
        specials.unwrap().values_mut().for_each(|special| special["ids"] = json!([far]));
    });
    is_refused("a template", &classify(copy.path()), &["tokenizer.json has a token of number 4000000000"]);
}

#[cfg(unix)]
#[test]
fn pipes_and_devices_are_no_files() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
    fs::write(at("a.eml"), format!("{HEAD}\nhello\n")).unwrap();
    fs::write(at("rows.csv"), "text,label\npay the bill,invoice\nmeet me,meeting\n").unwrap();
    fs::create_dir_all(folder.path().join("m/cur")).unwrap();
    fs::create_dir_all(folder.path().join("m/new")).unwrap();
    assert!(command("mkfifo").arg(at("pipe")).status().unwrap().success());
    let (rows, mail, maildir) = (at("rows.csv"), at("a.eml"), at("m"));
    for (file, said) in [(at("pipe"), "no program writes to this pipe"), ("/dev/zero".into(), "but a device")] {
        for arguments in [
            &["classify", &mail, "--labels"][..],
            &["classify", &mail, "--classifier"],
            &["eval", &rows, "--classifier"],
            &["eval", &rows, "--baseline"],
            &["route", &maildir, "--label", "a", "--label", "b", "--rules"],
        ] {
            refused(mailsort(arguments).args([&file]), &[&file, said]);
        }
    }
    for name in ["config.json", "tokenizer.json", "model.safetensors", "modules.json"] {
        for link in [at("pipe"), "/dev/zero".into()] {
            let copy = copied("tiny-bert");
            let path = copy.path().join(name);
            drop(fs::remove_file(&path));
            std::os::unix::fs::symlink(link, &path).unwrap();
            is_refused(name, &classify(copy.path()), &[name, "no file but a pipe, a socket or a device"]);
        }
    }
}

/// What bash makes of `<(command)` is a pipe that is meant.
#[cfg(target_os = "linux")]
#[test]
fn what_a_shell_makes_of_a_command_is_read() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.eml"), format!("{HEAD}\nhello\n")).unwrap();
    let script = "\"$1\" classify a.eml --labels <(sleep 0.2; echo invoice; sleep 0.2; echo meeting)";
    let program = env!("CARGO_BIN_EXE_mailsort");
    let output = command("bash").args(["-c", script, "bash", program]).current_dir(folder.path()).output();
    let Some(output) = crate::mailsort::started("bash", output) else {
        return;
    };
    let stderr = String::from_utf8_lossy(&output.stderr);
    let record: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{stderr}"));
    assert_eq!(record["label"], "invoice");
    let endless = script.replace("sleep 0.2; echo meeting", "exec yes x");
    let output = command("bash").args(["-c", &endless, "bash", program]).current_dir(folder.path()).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && stderr.contains("longer than 64 MiB"), "{stderr}");
}
