//! What a server has: the kind of its model, the shape of its requests, and whether its scores can be right.

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::{Value, json};

use super::client::{self, Client, Refusal};
use super::reranker::{body, templated};
use super::{Found, RemoteKind, Shape};

/// A query with a document that answers it and one that does not, of the card of Qwen3-Reranker.
const QUERY: &str = "What is the capital of China?";
const GOOD: &str = "The capital of China is Beijing.";
const BAD: &str =
    "Gravity is a force that attracts two bodies towards each other. It gives weight to physical objects.";
/// Texts of one request where the server does not say: what TEI takes at least.
const MOST_TEXTS: usize = 32;
/// By how much a difference must be larger to count.
const CLEARLY: f32 = 0.1;
/// Shorter vectors are those of a reranker that answers all the same.
const FEWEST_DIMS: usize = 8;

/// Asks all servers. Those that answer must have the same model; the others are left out as long as they do not.
///
/// # Errors
/// When none answers, or they differ.
pub(super) fn probe(client: &Client, named: Option<&str>) -> Result<Found> {
    let mut asked = (0..client.count()).map(|at| probe_one(client, at, named));
    let mut found = asked.next().context("--endpoint names no server")?;
    for (at, other) in asked.enumerate() {
        match (&found, other) {
            (Ok(first), Ok(other)) => ensure!(
                other == *first,
                "the servers of --endpoint differ: one has {}, number {} has {} or is asked in another way; name servers of \
                 one model",
                first.model,
                at + 2,
                other.model
            ),
            (Err(_), Ok(other)) => found = Ok(other),
            (_, Err(_)) => {}
        }
    }
    found
}

fn probe_one(client: &Client, at: usize, named: Option<&str>) -> Result<Found> {
    let info = answered(client.ask(at, "/info", None))?;
    let models = match answered(client.ask(at, "/v1/models", None))? {
        None => answered(client.ask(at, "/models", None))?,
        listed => listed,
    };
    let model = model(info.as_ref(), models.as_ref(), named)?;
    let number = |value: &Value| value.as_u64().map(|number| number as usize).filter(|number| *number > 0);
    let most_tokens = info.as_ref().and_then(|info| number(&info["max_input_length"]));
    let most_tokens = most_tokens.or_else(|| {
        let listed = models.as_ref()?["data"].as_array()?;
        let own = listed.iter().find(|own| own["id"] == model.as_str()).or(listed.first())?;
        number(&own["max_model_len"])
    });
    let most_texts = info.as_ref().and_then(|info| number(&info["max_client_batch_size"])).unwrap_or(MOST_TEXTS);
    let kind = match embeds(client, at, &model)? {
        Ok(embeds) => embeds,
        Err(no_vectors) => RemoteKind::Reranks(reranks(client, at, &model, &no_vectors)?),
    };
    Ok(Found { model, most_tokens, most_texts: most_texts.min(256), kind })
}

/// What a server answers, if it has such a route.
///
/// # Errors
/// When it cannot be reached or the key is wrong.
fn answered(answer: Result<Value, Refusal>) -> Result<Option<Value>> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(Refusal::Status(status @ (401 | 403), said)) => {
            bail!("--endpoint: the server answers with {status}: {said}; --endpoint-key-file names the file of its key")
        }
        Err(Refusal::Status(503, said)) => bail!("--endpoint: the server is not ready: {said}"),
        Err(Refusal::Status(..)) => Ok(None),
        // A page or an empty body is no answer of ours.
        Err(Refusal::Unread(_)) => Ok(None),
        Err(Refusal::Unreachable(error)) => Err(error.context("--endpoint: the server does not answer")),
    }
}

/// The name of the model.
fn model(info: Option<&Value>, models: Option<&Value>, named: Option<&str>) -> Result<String> {
    let listed = models.and_then(|models| models["data"].as_array());
    let ids: Vec<&str> = listed.into_iter().flatten().filter_map(|model| model["id"].as_str()).collect();
    if let Some(named) = named {
        ensure!(
            ids.is_empty() || ids.contains(&named) || ids.len() == 1,
            "--endpoint-model {named}: the server has {}",
            ids.join(", ")
        );
        return Ok(named.to_string());
    }
    if let Some(id) = info.and_then(|info| info["model_id"].as_str()) {
        return Ok(id.to_string());
    }
    match ids[..] {
        [id] => Ok(id.to_string()),
        [] => bail!("the server does not name its model; say with --endpoint-model what it is called"),
        _ => bail!("the server has several models: {}; name one with --endpoint-model", ids.join(", ")),
    }
}

/// How it is asked for vectors, or why it gives none.
fn embeds(client: &Client, at: usize, model: &str) -> Result<Result<RemoteKind, String>> {
    let asked = json!({"model": model, "input": [GOOD], "encoding_format": "float"});
    let mut said = Vec::new();
    // Infinity has the second, and others the first.
    for path in ["/v1/embeddings", "/embeddings"] {
        let why = match client.ask(at, path, Some(&asked)) {
            Ok(answer) => match client::vectors(&answer, 1) {
                Ok(vectors) if vectors[0].len() >= FEWEST_DIMS => {
                    return Ok(Ok(RemoteKind::Embeds { path, dims: vectors[0].len() }));
                }
                Ok(_) => "its vectors are those of a reranker".into(),
                Err(error) => format!("{error:#}"),
            },
            Err(Refusal::Status(404, said)) if said.contains(model) => {
                bail!("--endpoint-model {model}: the server answers with 404: {said}")
            }
            Err(Refusal::Status(status, said)) => format!("{status}: {said}"),
            Err(Refusal::Unreachable(error) | Refusal::Unread(error)) => {
                return Err(error.context("--endpoint: the server does not answer"));
            }
        };
        said.push(format!("{path}: {why}"));
    }
    Ok(Err(said.join("; ")))
}

/// How its reranker is asked. `no_vectors` says why it is no embedding.
fn reranks(client: &Client, at: usize, model: &str, no_vectors: &str) -> Result<Shape> {
    let mut said = Vec::new();
    for path in ["/rerank", "/v1/rerank"] {
        for is_tei in [false, true] {
            let shape = Shape { path, is_tei, templated: false, logits: false };
            match ranked(client, at, model, &shape) {
                Ok(raw) => return form(client, at, model, shape, raw),
                Err(refusal) => said.push(format!("{path}: {refusal:#}")),
            }
        }
    }
    Err(anyhow!("{no_vectors}; {}", said.join("; "))).context(
        "--endpoint: the server gives neither vectors nor ranks; vLLM serves a reranker with --runner pooling, llama.cpp with \
         --reranking, and Ollama has embeddings only",
    )
}

/// Scores of the good and the bad document.
fn ranked(client: &Client, at: usize, model: &str, shape: &Shape) -> Result<(f32, f32)> {
    let (query, documents) = templated(shape.templated, None, QUERY, &[GOOD, BAD]);
    let answer = client.ask(at, shape.path, Some(&body(model, shape, None, &query, &documents)));
    let answer = answer.map_err(|refusal| refusal.error("the server does not rank"))?;
    let scores = client::scores(&answer, 2)?;
    Ok((scores[0], scores[1]))
}

/// Whether texts are sent as they are or with the prompt of Qwen3 around them: whichever scores the good document over
/// the bad one, and on the right sides of the middle.
fn form(client: &Client, at: usize, model: &str, raw: Shape, (good, bad): (f32, f32)) -> Result<Shape> {
    let is_right = |(good, bad): (f32, f32)| {
        let logits = [good, bad].iter().any(|score| !(0.0..=1.0).contains(score));
        let middle = if logits { 0.0 } else { 0.5 };
        (good > middle && bad < middle).then_some(logits)
    };
    let with_prompt = Shape { templated: true, ..raw.clone() };
    let prompted = ranked(client, at, model, &with_prompt).ok();
    let spread = |(good, bad): (f32, f32)| good - bad;
    match (is_right((good, bad)), prompted.and_then(|scores| is_right(scores).map(|logits| (logits, scores)))) {
        // A prompt around the prompt of the server makes the difference smaller, or leaves it as it is.
        (Some(logits), Some((_, scores))) if spread(scores) <= spread((good, bad)) + CLEARLY => {
            Ok(Shape { logits, ..raw })
        }
        (_, Some((logits, _))) => Ok(Shape { logits, ..with_prompt }),
        (Some(logits), None) => Ok(Shape { logits, ..raw }),
        (None, None) => bail!(
            "--endpoint: the scores of {model} cannot be right: a document that answers a question has {good:.4} and one that \
             does not {bad:.4}, and {} with the prompt of Qwen3 around them. vLLM needs --chat-template \
             examples/pooling/score/template/qwen3_reranker.jinja, and for the original weights --hf_overrides \
             '{{\"architectures\":[\"Qwen3ForSequenceClassification\"],\"classifier_from_token\":[\"no\",\"yes\"],\
             \"is_original_qwen3_reranker\":true}}'; SGLang needs --chat-template examples/chat_template/qwen3_reranker.jinja \
             --disable-radix-cache and no --is-embedding; llama.cpp needs --reranking and a GGUF file of a recent \
             convert_hf_to_gguf.py",
            prompted.map_or("none".to_string(), |(good, bad)| format!("{good:.4} and {bad:.4}"))
        ),
    }
}
