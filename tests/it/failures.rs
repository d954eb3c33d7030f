//! Models that are half, wrong, damaged or not fit for what is asked of them, and mails on which they fail.

use std::fs;
use std::path::Path;

use mailsort::engine::kernels::products::Packing;
use serde_json::Value;

use crate::mailsort::{mailsort, root};
use crate::models::{INBOX, classify, copied, model, records, refused, said, spoil, succeeds};

/// Changes a text file of a copy.
fn edit(copy: &Path, file: &str, from: &str, to: &str) {
    let text = fs::read_to_string(copy.join(file)).unwrap();
    assert!(text.contains(from), "{file} has no {from}");
    fs::write(copy.join(file), text.replacen(from, to, 1)).unwrap();
}

/// Why a model at a path cannot be used.
fn is_refused(path: &Path, parts: &[&str]) {
    let run = mailsort(["classify", INBOX, "-l", "labels/mail.txt", "--offline", "--model"]);
    refused(run.args([path]), parts);
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
    // What encoders have not, unless a model beside them has it.
    let flags = ["--batch-tokens", "64"];
    refused(classify("tiny-bert-reranker").args(flags), &[flags[0], "has no meaning for", "leave out"]);
    let shortlist = ["--shortlist", "2", "--shortlist-model", &model("tiny-bert")];
    succeeds(classify("tiny-reranker").args(flags).args(shortlist));
    for dtype in ["f32", "bf16", "f16"] {
        succeeds(classify("tiny-bert").args(["--dtype", dtype]));
    }
    let rounded = classify("tiny-bert").args(["--dtype", "q8_0"]);
    if Packing::Q8_0.is_available() {
        succeeds(rounded);
    } else {
        refused(rounded, &["--dtype q8_0", "AVX512-VNNI"]);
    }
    refused(mailsort(labels).args([&model("tiny-reranker"), "--threshold", "1.5"]), &["--threshold 1.5"]);
    refused(mailsort(labels).args([&model("tiny-reranker-old-q8_0.gguf")]), &["cls.output.weight"]);
}

#[test]
fn half_a_checkpoint() {
    let half = copied("tiny-reranker");
    let weights = half.path().join("model.safetensors");
    let bytes = fs::read(&weights).unwrap();
    for length in [4, bytes.len() / 2, bytes.len() - 1] {
        fs::write(&weights, &bytes[..length]).unwrap();
        is_refused(half.path(), &["model.safetensors", "download it again"]);
    }
    let shards = copied("tiny-reranker-untied");
    fs::remove_file(shards.path().join("model-00002-of-00003.safetensors")).unwrap();
    is_refused(shards.path(), &["model-00002-of-00003.safetensors is missing", "index.json names"]);
    fs::write(shards.path().join("model.safetensors.index.json"), r#"{"weight_map": {}}"#).unwrap();
    is_refused(shards.path(), &["model.safetensors.index.json names no file"]);
    let gguf = fs::read(root().join(model("tiny-reranker-q8_0.gguf"))).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let cut = folder.path().join("cut.gguf");
    for length in [4, 100, gguf.len() / 2, gguf.len() - 64] {
        fs::write(&cut, &gguf[..length]).unwrap();
        is_refused(&cut, &["cut.gguf", "download it again"]);
    }
    fs::write(&cut, b"").unwrap();
    is_refused(&cut, &["cut.gguf"]);
    is_refused(tempfile::tempdir().unwrap().path(), &["config.json"]);
}

#[test]
fn another_model_than_it_says() {
    let architecture = copied("tiny-reranker");
    edit(architecture.path(), "config.json", "Qwen3ForCausalLM", "GPT2LMHeadModel");
    edit(architecture.path(), "config.json", "\"qwen3\"", "\"gpt2\"");
    is_refused(architecture.path(), &["GPT2LMHeadModel", "Qwen3", "BERT"]);
    let layers = copied("tiny-reranker");
    edit(layers.path(), "config.json", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3");
    is_refused(layers.path(), &["model.layers.2", "missing"]);
    // The tokenizer of a reranker beside the weights of an embedding, and one with more tokens than there are rows.
    let mixed = copied("tiny-embedding");
    fs::copy(root().join(model("tiny-reranker")).join("tokenizer.json"), mixed.path().join("tokenizer.json")).unwrap();
    is_refused(mixed.path(), &["not the tokenizer of a Qwen3 embedding"]);
    let fewer = copied("tiny-bert");
    edit(fewer.path(), "tokenizer.json", "\"id\": 4", "\"id\": 505");
    is_refused(fewer.path(), &["tokenizer.json", "505"]);
    let broken = copied("tiny-bert");
    fs::write(broken.path().join("tokenizer.json"), "{").unwrap();
    is_refused(broken.path(), &["tokenizer.json", "not JSON"]);
    let run = mailsort(["classify", INBOX, "-l", "labels/mail.txt", "--revision", "main", "--model"]);
    refused(run.args([model("tiny-bert")]), &["on this machine", "leave out --revision"]);
}

#[test]
fn what_flags_say_is_checked_before_weights_are_loaded() {
    // Loading it would fail, so whoever complains of something else has not tried.
    let copy = copied("tiny-reranker");
    edit(copy.path(), "config.json", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 99");
    let broken = copy.path().to_str().unwrap();
    let run = || mailsort(["classify", INBOX, "-l", "labels/mail.txt", "--offline", "--model", broken]);
    refused(run(), &["model.layers.2", "missing"]);
    let faster = model("tiny-bert-reranker");
    refused(run().args(["--shortlist", "2", "--shortlist-model", &faster]), &["--shortlist-model", "is a reranker"]);
    refused(run().args(["--shortlist", "2", "--shortlist-model", "no-such"]), &["no-such"]);
    refused(run().args(["--shortlist", "2", "--dims", "64"]), &["--dims", "built-in model"]);
    let embedding = model("tiny-embedding");
    let short = ["--shortlist", "2", "--shortlist-model", &embedding, "--dims", "65"];
    refused(run().args(short), &["--dims 65", "32 to 64"]);
    refused(run().args(["--dims", "64"]), &["--dims is for embeddings"]);
    refused(run().args(["--threshold", "7"]), &["--threshold 7"]);
    refused(run().args(["--format", "notmuch", "--label=-x"]), &["\"-x\""]);
    // These would have to be fetched first.
    let named = |name: &str| mailsort(["classify", INBOX, "-l", "labels/mail.txt", "--offline", "--model", name]);
    refused(named("qwen3-embedding-8b").args(["--shortlist", "5"]), &["--shortlist is for rerankers"]);
    refused(named("qwen3-embedding-8b").args(["--dims", "5000"]), &["--dims 5000", "32 to 4096"]);
    refused(named("Qwen/Qwen3-Reranker-8B").args(["--dims", "64"]), &["--dims is for embeddings"]);
    let other = ["--shortlist", "5", "--shortlist-model", "qwen3-reranker-0.6b"];
    refused(named("qwen3-reranker-8b").args(other), &["--shortlist-model", "is a reranker"]);
    let builtin = mailsort(["classify", INBOX, "-l", "labels/mail.txt", "--shortlist", "2"]);
    refused(builtin, &["--shortlist is for rerankers"]);
    // Of two names neither is looked for before both can be.
    refused(named("no-such").args(["--shortlist", "2", "--shortlist-model", "a//b"]), &["no-such"]);
    refused(named("owner/name").args(["--shortlist", "2", "--shortlist-model", "a//b"]), &["a//b"]);
    // A cache is made when everything else is found to be fit.
    let cache = copy.path().join("a.cache");
    refused(
        run()
            .args(["--threshold", "0.5", "--shortlist", "2", "--shortlist-model", &faster])
            .args([Path::new("--cache"), &cache]),
        &["is a reranker"],
    );
    assert!(!cache.exists());
    // What is known of the output.
    refused(run().args(["--resume", "--format", "table", "--output", "x"]), &["--resume can go on after"]);
    refused(run().args(["--resume", "--output", "-"]), &["--resume needs an --output file"]);
    refused(run().args(["--output", "no/such/folder/x"]), &["cannot write the output no/such/folder/x"]);
    refused(run().args(["--output", "samples"]), &["it is a folder"]);
}

#[test]
fn an_instruction_that_is_too_long_shows_before_the_first_mail() {
    // Bytes of which each is a token.
    let long = "\u{1F9FF}".repeat(30_000);
    for name in ["tiny-embedding", "tiny-reranker"] {
        let run =
            mailsort(["classify", "-", "--label", "a", "--label", "b", "--device", "cpu", "--model", &model(name)]);
        refused(run.args(["--instruct", &long]), &["the instruction alone has"]);
    }
}

#[test]
fn a_gpu_that_no_model_can_use() {
    // Without CUDA it is that which is missing.
    let run =
        mailsort(["classify", INBOX, "-l", "labels/mail.txt", "--device", "cuda", "--model", &model("tiny-bert")]);
    let (status, _, stderr) = said(run);
    assert!(status == Some(2) && stderr.contains("--device cuda:0: "), "{stderr}");
}

#[test]
fn labels_that_no_model_can_read() {
    let long = format!("meeting: {}", "when and where ".repeat(100));
    for name in ["tiny-bert", "tiny-xlmr", "tiny-bert-reranker", "tiny-xlmr-reranker"] {
        let run = mailsort(["classify", INBOX, "--device", "cpu", "--model", &model(name)]);
        refused(run.args(["--label", "invoice", "--label", &long]), &["the label \"meeting\"", "shorten"]);
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
fn one_mail_on_which_a_model_fails() {
    let folder = tempfile::tempdir().unwrap();
    let mails = folder.path().join("mails.jsonl");
    let row = |text: &str| format!("{}\n", serde_json::json!({ "text": text }));
    // A tokenizer without a token for what it cannot write fails on such a word, as on the sign in the second mail.
    let strange = "please pay \u{1F9FF} the invoice";
    fs::write(&mails, ["please pay the invoice", strange, "pay by meeting"].map(row).concat()).unwrap();
    for name in ["tiny-bert", "tiny-bert-reranker"] {
        let copy = copied(name);
        edit(copy.path(), "tokenizer.json", r#""unk_token": "[UNK]""#, r#""unk_token": "[NONE]""#);
        let run = |path: &Path| {
            let run = mailsort(["classify", "--label", "invoice", "--label", "meeting", "--device", "cpu"]);
            run.args([Path::new("--model"), path, &mails])
        };
        let (status, stdout, stderr) = said(run(copy.path()));
        assert_eq!(status, Some(1), "{stderr}");
        assert!(stderr.contains("1 of 3 documents got no verdict (1 model failed)"), "{stderr}");
        let found: Vec<Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let whole = records(run(&root().join(model(name))));
        assert_eq!(found.len(), 3);
        for at in [0, 2] {
            assert_eq!(found[at]["labels"].as_array().unwrap().len(), 2, "{name}");
            // An embedding that cannot read some texts of a language takes the mean of the others.
            let is_same = found[at]["labels"] == whole[at]["labels"];
            assert!(is_same || name == "tiny-bert", "{name}: neighbours lose nothing");
        }
        let error = found[1]["error"].as_str().unwrap();
        assert!(error.starts_with("model failed: the tokenizer failed"), "{error}");
        assert_eq!(found[1]["label"], Value::Null);
        // All of them, and the run still comes to its end.
        fs::write(folder.path().join("all.jsonl"), row(strange).repeat(3)).unwrap();
        let all = mailsort(["classify", "--label", "invoice", "--label", "meeting", "--device", "cpu"]);
        let all = all.args([Path::new("--model"), copy.path(), &folder.path().join("all.jsonl")]);
        let (status, stdout, _) = said(all);
        assert_eq!((status, stdout.matches("\"error\":\"model failed: the tokenizer failed").count()), (Some(1), 3));
    }
}

#[test]
fn a_word_whose_weights_are_no_numbers() {
    let copy = copied("tiny-reranker");
    // The first row of the table is the exclamation mark.
    spoil(copy.path(), "model.embed_tokens.weight", f32::NAN);
    let folder = tempfile::tempdir().unwrap();
    let mails = folder.path().join("mails.jsonl");
    fs::write(&mails, "{\"text\": \"please pay\"}\n{\"text\": \"please pay! now\"}\n{\"text\": \"meeting\"}\n")
        .unwrap();
    let run = mailsort(["classify", "--label", "invoice", "--label", "meeting", "--device", "cpu", "--model"]);
    let (status, stdout, stderr) = said(run.args([copy.path(), &mails]));
    assert_eq!(status, Some(1), "{stderr}");
    let errors: Vec<bool> = stdout.lines().map(|line| line.contains("\"error\":\"score is not a number\"")).collect();
    assert_eq!(errors, [false, true, false]);
}

#[test]
fn samples_on_which_a_model_fails_teach_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let [samples, file] = ["s.jsonl", "c.json"].map(|name| folder.path().join(name));
    let row = |text: &str, label: &str| format!("{}\n", serde_json::json!({ "text": text, "label": label }));
    let few = |odd: &str| {
        let rows = ["please pay", "pay the invoice", "please pay the bill", odd].map(|text| row(text, "invoice"));
        let others = ["a meeting", "we meet at ten", "meet the team"].map(|text| row(text, "meeting"));
        fs::write(&samples, rows.concat() + &others.concat()).unwrap();
    };
    let run = |path: &Path| {
        let run = mailsort(["train", "--device", "cpu", "--model"]);
        said(run.args([path, Path::new("--output"), &file, &samples]))
    };
    let broken = copied("tiny-bert");
    edit(broken.path(), "tokenizer.json", r#""unk_token": "[UNK]""#, r#""unk_token": "[NONE]""#);
    few("please pay \u{1F9FF} the invoice");
    let (status, stdout, stderr) = run(broken.path());
    assert_eq!(status, Some(0), "{stderr}");
    assert!(
        stderr.contains("on which the model failed, and left out: ") && stderr.contains("s.jsonl [3]: "),
        "{stderr}"
    );
    assert!(stderr.contains("one by one") && stdout.contains("6 samples, 2 labels"), "{stderr}{stdout}");
    let spoiled = copied("tiny-embedding");
    // The first row of the table is the exclamation mark.
    spoil(spoiled.path(), "embed_tokens.weight", f32::NAN);
    few("please pay! now");
    let (status, stdout, stderr) = run(spoiled.path());
    assert_eq!(status, Some(0), "{stderr}");
    assert!(stderr.contains("whose vectors are not numbers, and left out: "), "{stderr}");
    assert!(stdout.contains("6 samples, 2 labels"), "{stdout}");
}

#[cfg(unix)]
#[test]
fn caches_that_cannot_be_used() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    mode(folder.path(), 0o755);
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let with = |name: &str| classify("tiny-reranker").args(["--cache", &path(name)]).unprivileged();
    fs::write(path("note.txt"), "no database").unwrap();
    refused(with("note.txt"), &["note.txt", "no cache"]);
    fs::create_dir(path("sub")).unwrap();
    refused(with("sub"), &["sub is a folder", "name a file in it"]);
    refused(with("no/such/a.cache"), &["cannot make the cache", "no/such/a.cache"]);
    let plain = succeeds(classify("tiny-reranker").args(["--cache", &path("a.cache")]));
    mode(&folder.path().join("a.cache"), 0o000);
    refused(with("a.cache"), &["cannot open the cache", "a.cache", "ermission denied"]);
    // One that may only be read is read.
    mode(&folder.path().join("a.cache"), 0o444);
    assert_eq!(succeeds(with("a.cache")), plain);
    let other = with("a.cache").args(["--max-tokens", "30"]);
    let (status, _, stderr) = said(other);
    assert!(status == Some(0) && stderr.contains("read-only; nothing more is kept in the cache"), "{stderr}");
}

#[cfg(unix)]
#[test]
fn a_cache_that_cannot_be_written_is_read_to_the_end() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let row = |text: &str| format!("{}\n", serde_json::json!({ "text": text }));
    // More than are scored together, and a new one among the first.
    let old = row("please pay the invoice").repeat(40);
    fs::write(path("old.jsonl"), &old).unwrap();
    fs::write(path("all.jsonl"), row("where is my parcel") + &old).unwrap();
    for (model, table) in [("tiny-reranker", "scores"), ("tiny-bert", "vectors")] {
        let cache = path(table);
        let run = |mails: &str| {
            let run = mailsort(["classify", "--label", "invoice", "--label", "meeting", "--device", "cpu"]);
            run.args(["--model", &self::model(model), "--cache", &cache, &path(mails)])
        };
        succeeds(run("old.jsonl"));
        // Numbers that the model would never give show what was taken from the cache.
        let database = rusqlite::Connection::open(&cache).unwrap();
        database.execute(&format!("UPDATE {table} SET value = zeroblob(length(value))"), []).unwrap();
        drop(database);
        let known = records(run("old.jsonl"))[0]["labels"].clone();
        fs::set_permissions(&cache, fs::Permissions::from_mode(0o444)).unwrap();
        let (status, stdout, stderr) = said(run("all.jsonl").unprivileged());
        assert_eq!(status, Some(0), "{stderr}");
        assert_eq!(stderr.matches("nothing more is kept in the cache, and what it holds is still used").count(), 1);
        let found: Vec<Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_ne!(found[0]["labels"], known, "{model}: the new one");
        let taken = found[1..].iter().filter(|record| record["labels"] == known).count();
        assert_eq!(taken, 40, "{model}");
    }
}
