//! Models from a hub: a small one on loopback, asked by the real program with a cache of its own.

mod attacks;
mod described;
mod faults;
mod server;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use server::{COMMIT, Hub, Manners, git, sha256};
use tempfile::TempDir;

use crate::mailsort::{Run, mailsort, root};

const NAME: &str = "owner/tiny";

/// Weights enough to be interrupted: 300 kB that do not repeat.
fn weights(seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 56) as u8
    };
    (0..300_000).map(|_| next()).collect()
}

const CONFIG: &[u8] = br#"{"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3"}"#;

/// A hub with one model, and a place for a cache.
struct Place {
    hub: Hub,
    home: TempDir,
}

impl Place {
    fn new(files: &[(&str, &[u8])], manners: Manners) -> Self {
        Self { hub: Hub::new(NAME, files, manners), home: tempfile::tempdir().unwrap() }
    }

    /// A whole model, beside files that are of no use here.
    fn with_a_model(manners: Manners) -> Self {
        let files = [
            ("config.json", CONFIG),
            ("tokenizer.json", b"{}"),
            ("tokenizer_config.json", b"{\"a\": 1}"),
            ("model.safetensors", &weights(1)),
            ("pytorch_model.bin", b"pickle"),
            ("modeling.py", b"import os"),
            ("README.md", b"# tiny"),
        ];
        Self::new(&files, manners)
    }

    /// The program in this place, with arguments split at blanks.
    fn run(&self, arguments: &str) -> Run {
        let run = mailsort(arguments.split(' ')).in_folder(self.home.path());
        let none = ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"];
        let run = none.into_iter().chain(["HF_HUB_OFFLINE"]).fold(run, |run, name| run.env(name, ""));
        run.env("HF_HOME", &self.home.path().join("hf").to_string_lossy())
            .env("HF_ENDPOINT", &self.hub.address)
            .env("NO_PROXY", "127.0.0.1,localhost")
            .env("HF_HUB_DOWNLOAD_TIMEOUT", "20")
    }

    fn repository(&self) -> PathBuf {
        self.home.path().join("hf/hub/models--owner--tiny")
    }

    fn snapshot(&self) -> PathBuf {
        self.repository().join("snapshots").join(COMMIT)
    }

    fn part(&self) -> PathBuf {
        self.repository().join("blobs").join(sha256(&weights(1))).with_extension("part")
    }

    /// Fails unless the model is there, as the hub has it, and nothing half of it.
    fn is_whole(&self) {
        assert!(fs::read(self.snapshot().join("model.safetensors")).unwrap() == weights(1));
        assert_eq!(fs::read(self.snapshot().join("config.json")).unwrap(), CONFIG);
        assert_eq!(fs::read_to_string(self.repository().join("refs/main")).unwrap(), COMMIT);
        assert!(!self.part().exists());
    }
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Runs it, which must succeed; what it says.
fn good(run: Run) -> String {
    let output = run.output();
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    assert!(output.status.success(), "{said}");
    said
}

/// Runs it, which must fail as a run that could not begin, in one sentence and without a word on stdout.
fn bad(run: Run, expected: &[&str]) -> String {
    let output = run.output();
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert_eq!(stdout(&output), "");
    let end = said.lines().last().unwrap().to_string();
    for part in expected {
        assert!(end.contains(part), "{part:?} is not said: {said}");
    }
    assert!(!said.contains("panicked"), "{said}");
    said
}

#[test]
fn a_model_comes_once() {
    let place = Place::with_a_model(Manners::default());
    let output = place.run("models pull owner/tiny").output();
    assert_eq!(stdout(&output).trim_end(), place.snapshot().to_string_lossy());
    place.is_whole();
    let asked = place.hub.asked();
    assert!(
        !asked.iter().any(|line| line.contains(".bin") || line.contains(".py") || line.contains("README")),
        "{asked:?}"
    );
    // The layout is that of the hub's own programs.
    assert!(place.repository().join("blobs").join(git(CONFIG)).is_file());
    let link = fs::read_link(place.snapshot().join("model.safetensors")).unwrap();
    assert_eq!(link, Path::new("../../blobs").join(sha256(&weights(1))));
    // The branch may have moved, so it is asked for; no file comes again.
    good(place.run("models pull owner/tiny"));
    assert_eq!(place.hub.asked(), ["GET /api/models/owner/tiny/revision/main"]);
    // A commit cannot move.
    good(place.run(&format!("models pull owner/tiny --revision {COMMIT}")));
    assert_eq!(stdout(&place.run("models path owner/tiny").output()).trim_end(), place.snapshot().to_string_lossy());
    assert!(place.hub.asked().is_empty());
}

#[test]
fn revisions_may_hold_slashes() {
    let place = Place::with_a_model(Manners::default());
    good(place.run("models pull owner/tiny --revision refs/pr/1 -q"));
    assert_eq!(fs::read_to_string(place.repository().join("refs/refs/pr/1")).unwrap(), COMMIT);
    good(place.run("models path owner/tiny --revision refs/pr/1"));
    bad(place.run("models path owner/tiny"), &["not in the cache", "models pull owner/tiny"]);
}

#[test]
fn quiet_says_nothing_and_a_pipe_gets_lines() {
    let place = Place::with_a_model(Manners::default());
    assert_eq!(good(place.run("models pull owner/tiny --quiet")), "");
    let place = Place::with_a_model(Manners::default());
    let said = good(place.run("models pull owner/tiny"));
    assert!(said.contains("mailsort: getting model.safetensors, 300.00 kB\n"), "{said}");
    assert!(said.contains("mailsort: got model.safetensors, 300.00 kB ("), "{said}");
    assert!(!said.contains(['\r', '\u{1b}']), "{said:?}");
}

#[test]
fn a_model_in_shards() {
    let index =
        br#"{"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors", "c": "model-1.safetensors"}}"#;
    let (one, two) = (weights(1), weights(2));
    let files = [
        ("config.json", CONFIG),
        ("tokenizer.json", b"{}"),
        ("model.safetensors.index.json", index),
        ("model-1.safetensors", &one),
        ("model-2.safetensors", &two),
    ];
    let place = Place::new(&files, Manners::default());
    good(place.run("models pull owner/tiny"));
    assert!(fs::read(place.snapshot().join("model-2.safetensors")).unwrap() == two);
    // Half of it is not a model.
    fs::remove_file(place.snapshot().join("model-2.safetensors")).unwrap();
    bad(place.run("models path owner/tiny"), &["model-2.safetensors is missing"]);
    good(place.run("models pull owner/tiny"));
    assert!(fs::read(place.snapshot().join("model-2.safetensors")).unwrap() == two);
}

#[test]
fn an_encoder_comes_with_its_pooling() {
    let files: [(&str, &[u8]); 5] = [
        ("config.json", br#"{"model_type": "bert"}"#),
        ("tokenizer.json", b"{}"),
        ("modules.json", b"[]"),
        ("1_Pooling/config.json", b"{}"),
        ("model.safetensors", &weights(1)),
    ];
    let place = Place::new(&files, Manners::default());
    good(place.run("models pull owner/tiny"));
    assert_eq!(fs::read(place.snapshot().join("1_Pooling/config.json")).unwrap(), b"{}");
    assert!(place.repository().join(".no_exist").join(COMMIT).join("sentence_bert_config.json").exists());
}

#[test]
fn a_cached_encoder_needs_no_network() {
    // This one takes the first hidden state, so that the mean is another vector.
    let names = ["config.json", "tokenizer.json", "model.safetensors", "modules.json", "1_Pooling/config.json"];
    let bytes = names.map(|name| fs::read(root().join("tests/models/tiny-xlmr").join(name)).unwrap());
    let files: Vec<(&str, &[u8])> = names.into_iter().zip(bytes.iter().map(Vec::as_slice)).collect();
    let place = Place::new(&files, Manners::default());
    let cache = place.home.path().join("vectors.cache");
    let run = || {
        let run = place.run("classify - --label invoice --label meeting --device cpu --model owner/tiny --cache");
        run.args([&cache]).stdin("Please pay the invoice by Friday")
    };
    let first = run().output();
    assert!(first.status.success(), "{}", String::from_utf8_lossy(&first.stderr));
    place.hub.asked();
    assert_eq!(stdout(&run().output()), stdout(&first));
    assert_eq!(place.hub.asked(), [""; 0], "nobody is asked");
    // As a program leaves it that makes no vectors: no list of modules, and no note that there is none.
    let forget = || {
        fs::remove_file(place.snapshot().join("modules.json")).unwrap();
        fs::remove_dir_all(place.snapshot().join("1_Pooling")).unwrap();
        fs::remove_dir_all(place.repository().join(".no_exist")).unwrap();
    };
    forget();
    let bare = run().env("HF_HUB_OFFLINE", "1").output();
    let said = String::from_utf8(bare.stderr.clone()).unwrap();
    let expected = "owner/tiny: it does not say how its vectors are pooled, so their mean is taken; `mailsort models \
                    pull owner/tiny` gets the file that says it, if there is one";
    assert!(bare.status.success() && said.contains(expected) && said.lines().count() == 1, "{said}");
    assert_ne!(stdout(&bare), stdout(&first), "the cache keeps the two apart");
    assert_eq!(place.hub.asked(), [""; 0], "nobody is asked");
    // The pooling is a part of the model, so a run that may ask gets it, and nothing else that is here.
    assert_eq!(stdout(&run().output()), stdout(&first));
    let asked = place.hub.asked();
    assert!(asked.iter().any(|line| line.contains("modules.json")), "{asked:?}");
    assert!(!asked.iter().any(|line| line.contains("model.safetensors")), "{asked:?}");
    assert_eq!(stdout(&run().output()), stdout(&first));
    assert_eq!(place.hub.asked(), [""; 0], "nobody is asked again");
    forget();
    bad(run().env("HF_ENDPOINT", "http://127.0.0.1:9"), &["no modules.json of it", "--offline takes their mean"]);
    good(place.run(&format!("models pull owner/tiny --revision {COMMIT}")));
    assert_eq!(stdout(&run().output()), stdout(&first));
    // A pooling that the list of modules names is a file like others, without which the model is not here.
    fs::remove_file(place.snapshot().join("1_Pooling/config.json")).unwrap();
    bad(place.run("models path owner/tiny"), &["1_Pooling/config.json is missing"]);
    assert_eq!(stdout(&run().output()), stdout(&first));
}

#[test]
fn an_encoder_without_a_pooling_is_asked_for_once() {
    let names = ["config.json", "tokenizer.json", "model.safetensors"];
    let bytes = names.map(|name| fs::read(root().join("tests/models/tiny-bert").join(name)).unwrap());
    let files: Vec<(&str, &[u8])> = names.into_iter().zip(bytes.iter().map(Vec::as_slice)).collect();
    let place = Place::new(&files, Manners::default());
    let run = || {
        let run = place.run("classify - --label invoice --label meeting --device cpu --model owner/tiny");
        good(run.stdin("Please pay the invoice by Friday"))
    };
    run();
    fs::remove_dir_all(place.repository().join(".no_exist")).unwrap();
    place.hub.asked();
    run();
    assert!(!place.hub.asked().is_empty());
    assert!(place.repository().join(".no_exist").join(COMMIT).join("modules.json").exists());
    // That the hub has none is known now, so nothing could be pulled.
    assert!(!run().contains("models pull"));
    assert_eq!(place.hub.asked(), [""; 0]);
}

#[test]
fn gguf_files_are_chosen_by_name() {
    let (one, two) = (weights(1), weights(2));
    let files: [(&str, &[u8]); 3] = [("a.gguf", &one), ("deep/b c.gguf", &two), ("README.md", b"")];
    let place = Place::new(&files, Manners::default());
    bad(place.run("models pull owner/tiny"), &["several models", "a.gguf, deep/b c.gguf"]);
    let named = |verb: &str| {
        let mut run = place.run("models");
        run = run.args([verb, "owner/tiny/deep/b c.gguf"]);
        run
    };
    let path = place.snapshot().join("deep/b c.gguf");
    assert_eq!(stdout(&named("pull").output()).trim_end(), path.to_string_lossy());
    assert!(fs::read(&path).unwrap() == two);
    assert!(fs::read_link(&path).unwrap().starts_with("../../../blobs"));
    good(named("path"));
    // Which of its files the repository means is for the hub to say, whatever is in the cache.
    bad(place.run("models path owner/tiny"), &["deep/b c.gguf", "owner/tiny/FILE.gguf"]);
    bad(place.run("models pull owner/tiny/c.gguf"), &["no file c.gguf", "a.gguf"]);
}

#[test]
fn nothing_is_asked_offline() {
    let place = Place::with_a_model(Manners::default());
    let offline = || place.run("models pull owner/tiny").env("HF_HUB_OFFLINE", "1");
    bad(offline(), &["owner/tiny is not in the cache", "HF_HUB_OFFLINE"]);
    assert!(place.hub.asked().is_empty());
    good(place.run("models pull owner/tiny"));
    place.hub.asked();
    good(offline());
    fs::remove_file(place.snapshot().join("tokenizer.json")).unwrap();
    bad(offline(), &["tokenizer.json is missing"]);
    assert!(place.hub.asked().is_empty());
}

#[test]
fn the_cache_is_where_the_environment_says() {
    let place = Place::with_a_model(Manners::default());
    let elsewhere = place.home.path().join("elsewhere");
    let set = |run: Run| run.env("HF_HUB_CACHE", &elsewhere.to_string_lossy());
    good(set(place.run("models pull owner/tiny")));
    assert!(elsewhere.join("models--owner--tiny/snapshots").join(COMMIT).join("config.json").exists());
    good(set(place.run("models path owner/tiny")));
    bad(place.run("models path owner/tiny"), &["not in the cache"]);
    let list = stdout(&set(place.run("models list")).output());
    assert!(list.contains("owner/tiny  300 kB  0123456789ab\n"), "{list}");
}

#[test]
fn names_that_mean_nothing() {
    let place = Place::with_a_model(Manners::default());
    let run = |name: &str| place.run(&format!("models pull {name}"));
    bad(run("qwen3-reranker-9b"), &["qwen3-reranker-0.6b", "qwen3-embedding-8b", "OWNER/NAME", "folder", ".gguf"]);
    bad(run("no/such/folder"), &["no such file or folder"]);
    bad(run("builtin"), &["inside mailsort"]);
    bad(run("owner/tiny --revision ../../x"), &["--revision"]);
    // Checked before the first is got.
    bad(run("owner/tiny x"), &["\"x\" is no model"]);
    fs::create_dir_all(place.home.path().join("owner/tiny")).unwrap();
    bad(run("owner/tiny"), &["on this machine already"]);
    fs::write(place.home.path().join("model.bin"), b"").unwrap();
    bad(run("model.bin"), &["only GGUF"]);
    assert!(place.hub.asked().is_empty());
    assert_eq!(stdout(&place.run("models path owner/tiny").output()), "owner/tiny\n", "what is here wins");
}

#[test]
fn a_run_gets_its_model_and_then_needs_no_network() {
    let names = ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"];
    let folder = root().join("tests/models/tiny-reranker");
    let bytes = names.map(|name| fs::read(folder.join(name)).unwrap());
    let files: Vec<(&str, &[u8])> = names.into_iter().zip(bytes.iter().map(Vec::as_slice)).collect();
    let place = Place::new(&files, Manners::default());
    let run = |model: &str| {
        let run = place.run("classify - --label a --label b --model").args([model]);
        run.stdin("Where is my parcel?")
    };
    bad(run("owner/tiny").args(["--offline"]), &["owner/tiny is not in the cache", "--offline"]);
    assert!(place.hub.asked().is_empty());
    let first = run("owner/tiny").output();
    assert!(first.status.success(), "{}", String::from_utf8_lossy(&first.stderr));
    assert!(stdout(&first).contains("\"model\":\"owner/tiny\""), "{}", stdout(&first));
    let fetched = |line: &String| line.starts_with("GET /store/");
    assert_eq!(place.hub.asked().iter().filter(|line| fetched(line)).count(), 1);
    for again in [run("owner/tiny"), run("owner/tiny").args(["--offline"])] {
        assert_eq!(stdout(&again.output()), stdout(&first));
    }
    assert!(place.hub.asked().is_empty());
}
