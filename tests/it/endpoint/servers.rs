//! Servers that people run, over the tiny models of `tests/models`: what comes back is what is computed here from the
//! same weights.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::{LABELS, ROWS, records, refused};
use crate::mailsort::{Run, command, mailsort, root, until};
use crate::requirements::lacks;

/// By how much the scores of two implementations may differ, and where one of them quantises activations too.
const TOLERANCE: f64 = 1e-3;
const QUANTISED: f64 = 2e-2;

/// A server of PyPI.
struct Server {
    child: Child,
    url: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Server {
    /// infinity-emb with the model of a folder; `None` where it is not installed.
    fn infinity(model: &Path) -> Option<Self> {
        Self::start(model, |python, port| {
            let mut command = command(python.with_file_name("infinity_emb"));
            command.args(["v2", "--host", "127.0.0.1", "--port", port, "--served-model-name", "tiny"]);
            command.args(["--engine", "torch", "--device", "cpu", "--no-bettertransformer", "--no-compile"]);
            command.args(["--no-model-warmup", "--model-id"]);
            command
        })
    }

    /// llama-cpp-python with an embedding in a GGUF file; `None` where it is not installed.
    fn llama(model: &Path) -> Option<Self> {
        Self::start(model, |python, port| {
            let mut command = command(python);
            command.args(["-m", "llama_cpp.server", "--host", "127.0.0.1", "--port", port]);
            command.args(["--embedding", "true", "--n_ctx", "512", "--model"]);
            command
        })
    }

    /// `program` makes the command of a Python and a port; the path of the model comes last.
    fn start(model: &Path, program: impl Fn(&Path, &str) -> Command) -> Option<Self> {
        let Some(python) = std::env::var_os("MAILSORT_SERVERS") else {
            lacks("servers", "MAILSORT_SERVERS names no Python");
            return None;
        };
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
        let mut command = program(Path::new(&python), &port);
        for (name, value) in [("HF_HUB_OFFLINE", "1"), ("DO_NOT_TRACK", "1"), ("INFINITY_ANONYMOUS_USAGE_STATS", "0")] {
            command.env(name, value);
        }
        // They keep nothing there, and want to be able to.
        let home = tempfile::tempdir().unwrap();
        command.arg(model).env("HOME", home.path()).env("HF_HOME", home.path());
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut started = Self { child, url: format!("http://127.0.0.1:{port}") };
        let address = format!("127.0.0.1:{port}");
        until(
            || {
                let ended = started.child.try_wait().unwrap();
                assert!(ended.is_none(), "the server ends: {ended:?}");
                std::net::TcpStream::connect(&address).is_ok()
            },
            || "the server does not listen".into(),
        );
        Some(started)
    }
}

fn classify(model: &[&str]) -> Run {
    let run = mailsort(["classify", "-", "--input-format", "jsonl", "--quiet", "--raw-scores"]);
    run.args(LABELS).args(model).stdin(ROWS)
}

/// Expects the scores of two runs to be the same.
fn expect_same(here: &[Value], there: &[Value], tolerance: f64) {
    let scores = |record: &Value| -> Vec<(String, f64)> {
        let labels = record["labels"].as_array().unwrap();
        labels.iter().map(|l| (l["label"].as_str().unwrap().into(), l["score"].as_f64().unwrap())).collect()
    };
    assert_eq!((here.len(), there.len()), (2, 2));
    for (here, there) in here.iter().zip(there) {
        for ((name, score), (other, remote)) in scores(here).into_iter().zip(scores(there)) {
            assert!(name == other && (score - remote).abs() < tolerance, "{here} {there}");
        }
    }
}

#[test]
fn infinity_gives_the_vectors_that_are_computed_here() {
    let folder = root().join("tests/models/tiny-bert");
    let Some(server) = Server::infinity(&folder) else { return };
    let here = records(classify(&["--model", folder.to_str().unwrap()]));
    expect_same(&here, &records(classify(&["--endpoint", &server.url])), TOLERANCE);
}

/// A copy of the tiny reranker whose scores are turned over and shifted, so that the pair of the probe is in order.
fn sensible(folder: &Path) {
    let from = root().join("tests/models/tiny-bert-reranker");
    for name in ["config.json", "tokenizer.json", "tokenizer_config.json"] {
        fs::copy(from.join(name), folder.join(name)).unwrap();
    }
    let mut bytes = fs::read(from.join("model.safetensors")).unwrap();
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let tensors: Value = serde_json::from_slice(&bytes[8..8 + header]).unwrap();
    let mut change = |name: &str, new: &dyn Fn(f32) -> f32| {
        assert_eq!(tensors[name]["dtype"], "F32");
        let offset = |at: usize| 8 + header + tensors[name]["data_offsets"][at].as_u64().unwrap() as usize;
        for value in bytes[offset(0)..offset(1)].chunks_exact_mut(4) {
            let before = f32::from_le_bytes([value[0], value[1], value[2], value[3]]);
            value.copy_from_slice(&new(before).to_le_bytes());
        }
    };
    change("classifier.weight", &|value| -value);
    // Between the logits of the good and the bad document.
    change("classifier.bias", &|value| -value - MIDDLE);
    fs::write(folder.join("model.safetensors"), bytes).unwrap();
}

/// The negative mean of the logits that the tiny reranker gives the pair of the probe: of 0.2010 and 0.2259.
const MIDDLE: f32 = 1.305;

#[test]
fn infinity_ranks_as_is_computed_here() {
    let folder = tempfile::tempdir().unwrap();
    sensible(folder.path());
    let Some(server) = Server::infinity(folder.path()) else { return };
    let here = records(classify(&["--model", folder.path().to_str().unwrap()]));
    expect_same(&here, &records(classify(&["--endpoint", &server.url])), TOLERANCE);
}

#[test]
fn infinity_with_a_reranker_that_cannot_rank_is_refused() {
    let Some(server) = Server::infinity(&root().join("tests/models/tiny-bert-reranker")) else { return };
    let (status, said) = refused(classify(&["--endpoint", &server.url]));
    assert!(status == Some(2) && said.contains("the scores of tiny cannot be right"), "{said}");
}

/// The prompt of the model is put there here, as its name says.
#[test]
fn llama_gives_the_vectors_that_are_computed_here() {
    let model = root().join("tests/models/tiny-embedding-q8_0.gguf");
    let Some(server) = Server::llama(&model) else { return };
    let here = records(classify(&["--model", model.to_str().unwrap()]));
    let there = classify(&["--endpoint", &server.url, "--endpoint-model", "qwen3-embedding-tiny"]);
    expect_same(&here, &records(there), QUANTISED);
}
