//! `--endpoint`: models on the servers of others, in all the forms that they answer in.

pub(crate) mod fakes;
mod servers;

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::mailsort::{Run, mailsort};
use fakes::{Asked, Fake, Reply, bare, failure, not_found, ok, pair, relevance, sorted, vector};

const ROWS: &str = "{\"text\":\"Please pay the invoice by Friday\"}\n{\"text\":\"Our meeting is on Monday\"}\n";
const LABELS: [&str; 4] = ["--label", "invoice", "--label", "meeting"];

/// Names of servers, and how each tells its model, takes a request and writes scores.
const SHAPES: [&str; 6] = ["vllm", "tei", "sglang", "llama.cpp", "infinity", "cohere"];

/// A reranker in one of the shapes, of which `score` says what a pair has.
fn reranker(shape: &'static str, score: impl Fn(&str, &str) -> f64 + Send + Sync + 'static) -> Fake {
    Fake::start(move |asked, _| reranked(shape, asked, &score))
}

fn reranked(shape: &str, asked: &Asked, score: &dyn Fn(&str, &str) -> f64) -> Reply {
    let route = match shape {
        "sglang" | "cohere" => "/v1/rerank",
        _ => "/rerank",
    };
    match (asked.method.as_str(), asked.path.as_str()) {
        ("GET", "/info") if shape == "tei" => ok(
            json!({"model_id": "bge", "model_type": {"reranker": {}}, "max_input_length": 512, "max_client_batch_size": 32}),
        ),
        ("GET", "/v1/models") if shape != "tei" && shape != "infinity" => {
            ok(json!({"object": "list", "data": [{"id": "qwen3-reranker", "object": "model", "max_model_len": 4096}]}))
        }
        ("GET", "/models") if shape == "infinity" => ok(json!({"data": [{"id": "qwen3-reranker"}]})),
        ("POST", path) if path == route => {
            let (query, texts) = pair(&asked.body);
            if shape == "tei" && asked.body["texts"].is_null() {
                return (422, Vec::new(), json!({"error": "missing field `texts`", "error_type": "Validation"}));
            }
            let scores: Vec<f64> = texts.iter().map(|text| score(&query, text)).collect();
            let logit = |p: f64| (p / (1.0 - p)).ln();
            let results = sorted(&scores).into_iter().map(|(index, score)| match shape {
                "tei" => json!({"index": index, "score": score}),
                "sglang" => json!({"index": index, "score": score, "document": texts[index]}),
                "llama.cpp" => json!({"index": index, "relevance_score": logit(score)}),
                "vllm" => json!({"index": index, "relevance_score": score, "document": {"text": texts[index]}}),
                _ => json!({"index": index, "relevance_score": score}),
            });
            let results: Vec<Value> = results.collect();
            ok(if ["tei", "sglang"].contains(&shape) { json!(results) } else { json!({"id": "x", "results": results}) })
        }
        ("POST", "/v1/embeddings") => failure(400, "The model does not support Embeddings API"),
        _ => not_found(),
    }
}

/// A reranker for other verbs.
#[cfg(unix)]
pub(crate) fn any_reranker() -> Fake {
    reranker("vllm", plain)
}

/// A reranker that refuses to score from some time on.
pub(crate) fn mortal_reranker(is_dead: Arc<AtomicBool>) -> Fake {
    Fake::start(move |asked, _| {
        if is_dead.load(Ordering::Acquire) { failure(503, "it is gone") } else { reranked("vllm", asked, &plain) }
    })
}

/// Scores of a server that adds the prompt, or needs none.
fn plain(query: &str, document: &str) -> f64 {
    let (query, document, is_prompted) = bare(query, document);
    let score = relevance(query, document);
    // A prompt around a prompt.
    if is_prompted { 0.5 + (score - 0.5) / 3.0 } else { score }
}

fn classify(fake: &Fake, flags: &[&str]) -> Run {
    let run = mailsort(["classify", "-", "--input-format", "jsonl", "--quiet", "--endpoint", &fake.url()]);
    run.args(LABELS).args(flags).stdin(ROWS)
}

fn records(run: Run) -> Vec<Value> {
    let output = run.output();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{stderr}");
    output.stdout.split(|&b| b == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
}

/// Status and stderr of a run that fails.
fn refused(run: Run) -> (Option<i32>, String) {
    let output = run.output();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn labels(records: &[Value]) -> Vec<&str> {
    records.iter().map(|record| record["label"].as_str().unwrap_or("none")).collect()
}

#[test]
fn rerankers_of_every_shape_are_asked() {
    for shape in SHAPES {
        let fake = reranker(shape, plain);
        let records = records(classify(&fake, &[]));
        assert_eq!(labels(&records), ["invoice", "meeting"], "{shape}");
        let score = records[0]["score"].as_f64().unwrap();
        assert!((score - relevance("invoice", "invoice")).abs() < 1e-3, "{shape} {score}");
        assert_eq!(records[0]["model"], if shape == "tei" { "bge" } else { "qwen3-reranker" }, "{shape}");
        let asked = fake.asked();
        let ranks: Vec<_> =
            asked.iter().filter(|asked| asked.body["query"].as_str().is_some_and(|q| q.contains("Friday"))).collect();
        assert_eq!(ranks.len(), 1, "{shape}");
        // The instruction of the local reranker goes along, as a field and not in the text.
        assert!(ranks[0].body["instruction"].as_str().unwrap().starts_with("Given an email"), "{shape}");
        assert_eq!(ranks[0].body["query"], "Please pay the invoice by Friday");
    }
}

#[test]
fn a_server_without_the_prompt_gets_it_once() {
    let wants = |query: &str, document: &str| match bare(query, document) {
        (query, document, true) => relevance(query, document),
        // Almost as random, as vLLM without its template.
        _ => 0.9 - relevance(query, document) / 2.0,
    };
    let fake = reranker("vllm", wants);
    assert_eq!(labels(&records(classify(&fake, &[]))), ["invoice", "meeting"]);
    let asked = fake.asked();
    let mail =
        asked.iter().find(|asked| asked.body["query"].as_str().is_some_and(|query| query.contains("Friday"))).unwrap();
    let query = mail.body["query"].as_str().unwrap();
    assert!(
        query.matches("<Instruct>: Given an email").count() == 1 && query.starts_with("<|im_start|>system\n"),
        "{query}"
    );
    assert!(mail.body["documents"][0].as_str().unwrap().ends_with("<think>\n\n</think>\n\n"));
    assert!(mail.body["instruction"].is_null(), "the instruction is in the text already");
}

#[test]
fn scores_that_cannot_be_right_are_refused() {
    for wrong in
        [|_: &str, _: &str| 0.5, |query: &str, document: &str| 1.0 - plain(query, document), |_: &str, _: &str| 1e-20]
    {
        let fake = reranker("vllm", wrong);
        let (status, said) = refused(classify(&fake, &[]));
        assert!(status == Some(2) && said.contains("cannot be right") && said.contains("--chat-template"), "{said}");
    }
}

/// An embedding of this name.
fn embedding(model: &'static str, path: &'static str) -> Fake {
    Fake::start(move |asked, _| embedded(model, path, asked))
}

fn embedded(model: &str, path: &str, asked: &Asked) -> Reply {
    match (asked.method.as_str(), asked.path.as_str()) {
        ("GET", "/v1/models") => ok(json!({"data": [{"id": model}]})),
        ("POST", own) if own == path => {
            let texts = asked.body["input"].as_array().unwrap();
            let item = |(at, text): (usize, &Value)| json!({"object": "embedding", "index": at, "embedding": vector(text.as_str().unwrap())});
            let mut data: Vec<Value> = texts.iter().enumerate().map(item).collect();
            // Nobody promises an order.
            data.reverse();
            ok(json!({"object": "list", "data": data, "model": model, "usage": {"total_tokens": 1}}))
        }
        _ => not_found(),
    }
}

#[test]
fn embeddings_are_asked_with_the_instruction_of_the_model_once() {
    let fake = embedding("Qwen/Qwen3-Embedding-0.6B", "/v1/embeddings");
    let records = records(classify(&fake, &["--label-prompts", "off"]));
    assert_eq!(labels(&records), ["invoice", "meeting"]);
    let texts: Vec<String> = fake
        .asked()
        .iter()
        .flat_map(|asked| {
            asked.body["input"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|text| text.as_str().unwrap().to_string())
                .collect::<Vec<_>>()
        })
        .collect();
    let mail = texts.iter().find(|text| text.contains("Friday")).unwrap();
    assert_eq!(
        mail,
        "Instruct: Given an email, retrieve the category that describes it\nQuery:Please pay the invoice by Friday"
    );
    assert!(texts.iter().any(|text| text == "invoice"), "labels are bare");
    let instructed = classify(&fake, &["--instruct", "Sort it"]);
    assert!(instructed.output().status.success());
    assert!(fake.asked().iter().any(|asked| {
        asked.body["input"][0].as_str().is_some_and(|text| text.starts_with("Instruct: Sort it\nQuery:"))
    }));
}

#[test]
fn dimensions_are_cut_here() {
    let fake = embedding("nomic", "/embeddings");
    assert_eq!(labels(&records(classify(&fake, &["--dims", "64"]))), ["invoice", "meeting"]);
    let (status, said) = refused(classify(&fake, &["--dims", "65"]));
    assert!(status == Some(2) && said.contains("gives 64 dims"), "{said}");
    assert!(fake.asked().iter().all(|asked| asked.body["dimensions"].is_null()));
}

#[test]
fn answers_that_lose_a_document_are_errors() {
    let broken = |name: &'static str| {
        Fake::start(move |asked, _| {
            let (status, headers, body) = reranked("vllm", asked, &plain);
            let is_mail = asked.body["query"].as_str().is_some_and(|query| !query.contains("capital"));
            let mut body = body;
            if is_mail && let Some(results) = body["results"].as_array_mut() {
                match name {
                    "missing" => drop(results.pop()),
                    "double" => results[1] = results[0].clone(),
                    "foreign" => results[0]["index"] = json!(7),
                    _ => results[0]["relevance_score"] = Value::Null,
                }
            }
            (status, headers, body)
        })
    };
    for (name, why) in [
        ("missing", "has no score"),
        ("double", "two scores"),
        ("foreign", "no document 7"),
        ("null", "no score that is a number"),
    ] {
        let (status, said) = refused(classify(&broken(name), &[]));
        assert!(status == Some(2) && said.contains(why), "{name}: {said}");
    }
}

#[test]
fn a_busy_server_is_waited_for_and_a_dead_one_left_out() {
    let busy = Fake::start(|asked, count| {
        if asked.body["query"].as_str().is_some_and(|query| query.contains("Friday")) && count < 9 {
            return (429, vec![("Retry-After", "0".into())], json!({"error": {"message": "busy"}}));
        }
        reranked("vllm", asked, &plain)
    });
    assert_eq!(labels(&records(classify(&busy, &[]))), ["invoice", "meeting"]);
    // One of two goes away after it was asked what it has.
    let failing = Fake::start(|asked, count| match count {
        0..=5 => reranked("vllm", asked, &plain),
        _ => failure(503, "going down"),
    });
    let healthy = reranker("vllm", plain);
    let rows: String = (0..40).map(|at| format!("{{\"text\":\"invoice number {at} is due\"}}\n")).collect();
    let run = classify(&failing, &["--endpoint", &healthy.url()]).stdin(rows);
    let begun = Instant::now();
    let records = records(run);
    assert_eq!(records.len(), 40);
    assert!(labels(&records).iter().all(|label| *label == "invoice"));
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    assert!(healthy.most() <= 16, "{}", healthy.most());
}

#[test]
fn a_text_that_is_too_long_for_the_server_is_cut() {
    let fake = Fake::start(|asked, _| {
        if asked.body["query"].as_str().is_some_and(|query| query.len() > 1000) {
            return failure(
                400,
                "This model's maximum context length is 512 tokens. However, you requested 900 tokens",
            );
        }
        reranked("vllm", asked, &plain)
    });
    let long = format!("{{\"text\":\"Please pay the invoice. {}\"}}\n", "More words. ".repeat(300));
    let records = records(classify(&fake, &[]).stdin(long));
    assert_eq!((labels(&records), &records[0]["truncated"]), (vec!["invoice"], &json!(true)));
}

#[test]
fn a_document_that_is_too_long_changes_no_score_of_the_others() {
    let fake = Fake::start(|asked, _| {
        let is_long = |text: &Value| text.as_str().is_some_and(|text| text.len() > 1000);
        if asked.body["documents"].as_array().is_some_and(|texts| texts.iter().any(is_long)) {
            return failure(400, "This model's maximum context length is 512 tokens");
        }
        reranked("vllm", asked, &plain)
    });
    let server = crate::serve::Server::start(&["--endpoint", &fake.url()]);
    // The word that counts stands at the end of what fits.
    let documents = ["notes".into(), format!("{}the invoice", "words ".repeat(150)), "invoice ".repeat(400)];
    let scores = |documents: &[String]| -> Vec<(f64, bool)> {
        let answer = server.post("/rerank", json!({"query": "the invoice", "documents": documents})).json();
        let mut results = answer["results"].as_array().unwrap().clone();
        results.sort_by_key(|result| result["index"].as_u64());
        results
            .iter()
            .map(|result| (result["relevance_score"].as_f64().unwrap(), result["truncated"] == true))
            .collect()
    };
    let together = scores(&documents);
    let alone: Vec<_> = documents.iter().flat_map(|document| scores(std::slice::from_ref(document))).collect();
    assert_eq!(together, alone);
    assert_eq!(together.iter().map(|(_, cut)| *cut).collect::<Vec<_>>(), [false, false, true]);
    assert!(together[1].0 > together[0].0, "{together:?}");
}

#[test]
fn results_are_cached_under_the_name_of_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache").to_str().unwrap().to_string();
    let fake = reranker("vllm", plain);
    let first = records(classify(&fake, &["--cache", &cache]));
    let before = fake
        .asked()
        .iter()
        .filter(|asked| asked.body["query"].as_str().is_some_and(|q| !q.contains("capital")))
        .count();
    assert_eq!(records(classify(&fake, &["--cache", &cache])), first);
    let after = fake
        .asked()
        .iter()
        .filter(|asked| asked.body["query"].as_str().is_some_and(|q| !q.contains("capital")))
        .count();
    assert_eq!((before, after), (2, 2));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let fake = reranker("vllm", plain);
    let ollama = Fake::start(|asked, _| match asked.path.as_str() {
        "/v1/models" => ok(json!({"data": [{"id": "llama3"}]})),
        _ => (404, Vec::new(), json!("404 page not found")),
    });
    let several = Fake::start(|asked, _| match asked.path.as_str() {
        "/v1/models" => ok(json!({"data": [{"id": "one"}, {"id": "two"}]})),
        _ => not_found(),
    });
    let closed = Fake::start(|_, _| failure(401, "no key"));
    for (fake, flags, why) in [
        (&fake, &["--offline"][..], "--offline forbids the network"),
        (&fake, &["--model", "deep"], "cannot be used with"),
        (&fake, &["--dtype", "bf16"], "--dtype has no meaning"),
        (&fake, &["--dims", "8"], "is a reranker"),
        (&ollama, &[], "neither vectors nor ranks"),
        (&several, &[], "several models: one, two"),
        (&several, &["--endpoint-model", "three"], "the server has one, two"),
        (&closed, &[], "--endpoint-key-file"),
        (&fake, &["--endpoint-key-file", "no/such"], "cannot read no/such"),
    ] {
        let (status, said) = refused(classify(fake, flags));
        assert!(status == Some(2) && said.contains(why), "{flags:?} {why}: {said}");
    }
    let gone = mailsort(["classify", "-", "--endpoint", "http://127.0.0.1:9"]).args(LABELS).stdin("x");
    let (status, said) = refused(gone);
    assert!(status == Some(2) && said.contains("the server does not answer"), "{said}");
    let (_, said) = refused(mailsort(["classify", "-", "--endpoint", "localhost:9"]).args(LABELS).stdin("x"));
    assert!(said.contains("begins with http://"), "{said}");
}

#[test]
fn a_key_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    fs::write(&file, "# of the cluster\ns3cret\n").unwrap();
    let fake = Fake::start(|asked, _| match asked.key.as_deref() {
        Some("s3cret") => reranked("vllm", asked, &plain),
        _ => failure(401, "no key"),
    });
    assert_eq!(
        labels(&records(classify(&fake, &["--endpoint-key-file", file.to_str().unwrap()]))),
        ["invoice", "meeting"]
    );
}

#[test]
fn a_gateway_outlives_its_server() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    let is_down = Arc::new(AtomicBool::new(false));
    let down = is_down.clone();
    let fake = Fake::start(move |asked, _| match down.load(Ordering::Relaxed) {
        true => failure(500, "CUDA error"),
        false => reranked("vllm", asked, &plain),
    });
    let server = crate::serve::Server::start(&["--endpoint", &fake.url()]);
    let ask = || server.post("/v1/classify", json!({"text": "the invoice", "labels": ["invoice", "meeting"]}));
    assert_eq!(ask().json()["label"], "invoice");
    is_down.store(true, Ordering::Relaxed);
    let answer = server.post("/v1/classify", json!({"text": "another invoice", "labels": ["invoice", "meeting"]}));
    assert!(answer.status == 503 && answer.header("retry-after").is_some(), "{answer:?}");
    is_down.store(false, Ordering::Relaxed);
    assert_eq!(ask().json()["label"], "invoice");
}

#[test]
fn a_server_that_is_down_at_the_start_is_left_out() {
    let fake = reranker("vllm", plain);
    let run = mailsort(["classify", "-", "--input-format", "jsonl", "--quiet", "--endpoint", "http://127.0.0.1:9"]);
    let run = run.args(["--endpoint", &fake.url()]).args(LABELS).stdin(ROWS);
    assert_eq!(labels(&records(run)), ["invoice", "meeting"]);
}

#[test]
fn every_verb_takes_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
    let reranker = reranker("vllm", plain);
    let (filtered, mail) =
        (mailsort(["filter", "--endpoint", &reranker.url()]).args(LABELS), "Subject: The invoice\n\nPlease pay\n");
    assert!(String::from_utf8_lossy(&filtered.stdin(mail).output().stdout).contains("X-Mailsort: invoice"));
    let samples = path("samples.jsonl");
    let row = |text: &str, label: &str| json!({"text": text, "label": label}).to_string() + "\n";
    let rows: String = (0..12)
        .flat_map(|at| {
            [row(&format!("invoice {at} to pay"), "invoice"), row(&format!("meeting {at} on Monday"), "meeting")]
        })
        .collect();
    fs::write(&samples, rows).unwrap();
    let judged = mailsort(["eval", &samples, "--endpoint", &reranker.url()]).args(LABELS).output();
    assert!(String::from_utf8_lossy(&judged.stdout).contains("24 of 24 right"), "{judged:?}");
    let embedding = embedding("nomic", "/v1/embeddings");
    let learned = path("learned.json");
    let trained = mailsort(["train", &samples, "--endpoint", &embedding.url(), "--output", &learned]).output();
    assert!(trained.status.success(), "{}", String::from_utf8_lossy(&trained.stderr));
    let with = |flags: &[&str]| {
        mailsort(["classify", "-", "--input-format", "jsonl", "--classifier", &learned]).args(flags).stdin(ROWS)
    };
    let records = records(with(&["--endpoint", &embedding.url()]));
    assert_eq!(labels(&records), ["invoice", "meeting"]);
    let (status, said) = refused(with(&[]));
    assert!(status == Some(2) && said.contains("name the server with --endpoint"), "{said}");
    // A gateway: the API of this program over the model of another.
    let server = crate::serve::Server::start(&["--endpoint", &reranker.url()]);
    let record = server.post("/v1/classify", json!({"text": "the invoice", "labels": ["invoice", "meeting"]})).json();
    assert_eq!(record["label"], "invoice", "{record}");
    let answer = server.post("/rerank", json!({"query": "invoice", "texts": ["meeting notes", "the invoice"]})).json();
    assert_eq!(answer[0]["index"], 1);
    let through =
        mailsort(["classify", "-", "--input-format", "jsonl", "--endpoint", &format!("http://{}", server.address)]);
    assert_eq!(labels(&self::records(through.args(LABELS).stdin(ROWS))), ["invoice", "meeting"]);
    let embeds = crate::serve::Server::bare(&[]);
    let through =
        mailsort(["classify", "-", "--input-format", "jsonl", "--endpoint", &format!("http://{}/v1", embeds.address)]);
    assert_eq!(labels(&self::records(through.args(LABELS).stdin(ROWS))), ["invoice", "meeting"]);
}
