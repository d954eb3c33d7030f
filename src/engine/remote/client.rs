//! Asks servers over HTTP: several addresses of one model, the least busy first, with patience for those that are busy
//! or down.

use std::collections::HashMap;
use std::io::Read;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Error, Result, anyhow, bail, ensure};
use serde_json::Value;
use ureq::Agent;
use ureq::http::{Response, StatusCode};

/// Routes that an address may end with, as other clients are given it in full.
const ROUTES: [&str; 6] = ["/v1/rerank", "/v2/rerank", "/rerank", "/v1/embeddings", "/embeddings", "/v1"];
/// Longest answer: the vectors of a batch.
const LONGEST_ANSWER: u64 = 256 << 20;
/// How long a connection may take, and an answer.
const CONNECT: Duration = Duration::from_secs(10);
const ANSWER: Duration = Duration::from_secs(300);
/// How often a request is sent until it is given up.
const TRIES: usize = 6;
/// The wait after the first failure, which doubles.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Requests that one server gets at the same time.
pub(super) const AT_ONCE: usize = 8;

/// The servers of one model.
pub(super) struct Client {
    servers: Vec<Server>,
    key: Option<String>,
    agent: Agent,
}

/// One address.
struct Server {
    base: String,
    busy: AtomicUsize,
    /// When it may be asked again, and how long it was left out.
    left_out: Mutex<Option<(Instant, Duration)>>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The server does not take the request: the status, and what it says.
    Status(u16, String),
    /// No server answers.
    Unreachable(Error),
    /// The answer is none that can be read.
    Unread(Error),
}

impl Refusal {
    /// True where a text is longer than the server takes.
    pub(super) fn is_too_long(&self) -> bool {
        let Self::Status(status, said) = self else { return false };
        let said = said.to_lowercase();
        let words = [
            "too long",
            "too large",
            "maximum context",
            "max_model_len",
            "maximum input",
            "must have less than",
            "exceed",
            "input tokens",
        ];
        matches!(status, 400 | 413 | 422 | 500) && words.iter().any(|word| said.contains(word))
    }

    /// As an error of the run.
    pub(super) fn error(self, about: &str) -> Error {
        match self {
            Self::Status(status, said) => anyhow!("{about}: the server answers with {status}: {said}"),
            Self::Unreachable(error) | Self::Unread(error) => error.context(about.to_string()),
        }
    }
}

impl Client {
    /// For these addresses; `key` is sent as bearer.
    ///
    /// # Errors
    /// When one is no address of HTTP.
    pub(super) fn new(urls: &[String], key: Option<String>) -> Result<Self> {
        let servers = urls.iter().map(|url| {
            let mut base = url.trim().trim_end_matches('/');
            ensure!(
                base.starts_with("http://") || base.starts_with("https://"),
                "--endpoint {url}: an address begins with http:// or https://"
            );
            if let Some(route) = ROUTES.iter().find(|route| base.ends_with(*route)) {
                base = base[..base.len() - route.len()].trim_end_matches('/');
            }
            Ok(Server { base: base.into(), busy: AtomicUsize::new(0), left_out: Mutex::new(None) })
        });
        let servers: Vec<Server> = servers.collect::<Result<_>>()?;
        ensure!(!servers.is_empty(), "--endpoint names no server");
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(concat!("mailsort/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(CONNECT))
            .timeout_global(Some(ANSWER));
        Ok(Self { servers, key, agent: config.build().into() })
    }

    /// How many requests are worth sending at the same time.
    pub(super) fn at_once(&self) -> usize {
        AT_ONCE * self.servers.len()
    }

    /// The addresses, for messages.
    pub(super) fn shown(&self) -> String {
        self.servers.iter().map(|server| server.base.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// How many servers there are.
    pub(super) fn count(&self) -> usize {
        self.servers.len()
    }

    /// Asks the server of that number, once.
    ///
    /// # Errors
    /// When it does not answer with JSON.
    pub(super) fn ask(&self, at: usize, path: &str, body: Option<&Value>) -> Result<Value, Refusal> {
        self.once(&self.servers[at], path, body).map_err(|(refusal, _)| refusal)
    }

    /// Asks whichever server is least busy, and again where that may help.
    ///
    /// # Errors
    /// When no server answers, or one refuses the request itself.
    pub(super) fn post(&self, path: &str, body: &Value) -> Result<Value, Refusal> {
        let mut wait = FIRST_WAIT;
        let mut last = Refusal::Unreachable(anyhow!("no server was asked"));
        let tries = TRIES + self.servers.len() - 1;
        for attempt in 0..tries {
            let server = self.choose();
            server.busy.fetch_add(1, Ordering::AcqRel);
            let answer = self.once(server, path, Some(body));
            server.busy.fetch_sub(1, Ordering::AcqRel);
            let (refusal, asked) = match answer {
                Ok(value) => {
                    *server.left_out.lock().unwrap_or_else(PoisonError::into_inner) = None;
                    return Ok(value);
                }
                Err(failed) => failed,
            };
            let passes = match &refusal {
                // A proxy may answer with a page while its server starts.
                Refusal::Unreachable(_) | Refusal::Unread(_) => true,
                Refusal::Status(status, _) => matches!(status, 429 | 502 | 503 | 504),
            };
            if !passes || refusal.is_too_long() {
                return Err(refusal);
            }
            let pause = asked.unwrap_or(wait).max(wait).min(LONGEST_WAIT);
            server.leave_out(pause);
            last = refusal;
            // Another server may take it at once; when each has been tried, it is waited.
            if attempt + 1 < self.servers.len() && self.servers.iter().any(Server::is_in) {
                continue;
            }
            if attempt + 1 < tries {
                thread::sleep(pause);
            }
            wait = (2 * wait).min(LONGEST_WAIT);
        }
        Err(last)
    }

    /// The least busy of those that are not left out; of others the one that may be asked first.
    fn choose(&self) -> &Server {
        let now = Instant::now();
        let rank = |server: &&Server| {
            let until = server.left_out.lock().unwrap_or_else(PoisonError::into_inner).map_or(now, |(until, _)| until);
            (until.max(now), server.busy.load(Ordering::Acquire))
        };
        self.servers.iter().min_by_key(rank).unwrap_or(&self.servers[0])
    }

    /// One request. The second value of a refusal is how long the server asks to wait.
    fn once(&self, server: &Server, path: &str, body: Option<&Value>) -> Result<Value, (Refusal, Option<Duration>)> {
        let url = format!("{}{path}", server.base);
        let bearer = self.key.as_ref().map(|key| format!("Bearer {key}"));
        let sent = match body {
            Some(body) => {
                let mut request = self.agent.post(&url).header("content-type", "application/json");
                if let Some(bearer) = &bearer {
                    request = request.header("authorization", bearer);
                }
                request.send(body.to_string())
            }
            None => {
                let mut request = self.agent.get(&url);
                if let Some(bearer) = &bearer {
                    request = request.header("authorization", bearer);
                }
                request.call()
            }
        };
        let unreachable = |error: Error| (Refusal::Unreachable(error), None);
        let mut response = sent.map_err(|error| unreachable(anyhow!("{url}: {error}")))?;
        let status = response.status();
        let asked = retry_after(&response);
        let mut bytes = Vec::new();
        let read = response.body_mut().with_config().limit(LONGEST_ANSWER).reader().read_to_end(&mut bytes);
        read.map_err(|error| unreachable(anyhow!("{url}: the answer breaks off: {error}")))?;
        let value: Option<Value> = serde_json::from_slice(&bytes).ok();
        if status != StatusCode::OK {
            return Err((Refusal::Status(status.as_u16(), message(value.as_ref(), &bytes)), asked));
        }
        value.ok_or_else(|| (Refusal::Unread(anyhow!("{url} answers with something that is not JSON")), None))
    }
}

impl Server {
    fn is_in(&self) -> bool {
        self.left_out.lock().unwrap_or_else(PoisonError::into_inner).is_none_or(|(until, _)| until <= Instant::now())
    }

    /// Leaves it out for a while, longer each time.
    fn leave_out(&self, least: Duration) {
        let mut left_out = self.left_out.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        // Requests that were under way fail with it, and count once.
        if left_out.is_some_and(|(until, _)| until > now) {
            return;
        }
        let pause = left_out.map_or(least, |(_, before)| (2 * before).clamp(least, LONGEST_WAIT));
        *left_out = Some((now + pause, pause));
    }
}

/// How long a server asks to wait, where it says seconds.
fn retry_after<B>(response: &Response<B>) -> Option<Duration> {
    let seconds = response.headers().get("retry-after")?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// What a server says of a failure, in whichever shape.
fn message(value: Option<&Value>, bytes: &[u8]) -> String {
    let said = value.and_then(|value| {
        let places = [&value["error"]["message"], &value["error"], &value["message"], &value["detail"]];
        places.into_iter().find_map(|place| place.as_str().map(String::from))
    });
    let text = said.unwrap_or_else(|| String::from_utf8_lossy(&bytes[..bytes.len().min(300)]).into_owned());
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The scores of a rerank answer, put back by their indices: a list, or `results`. Shape: [count].
///
/// # Errors
/// When one is missing, double or no number.
pub(super) fn scores(answer: &Value, count: usize) -> Result<Vec<f32>> {
    let results = answer.as_array().or_else(|| answer["results"].as_array());
    let results = results.context("the answer has no list of results")?;
    let mut scores: Vec<Option<f32>> = vec![None; count];
    for result in results {
        let index = result["index"].as_u64().context("a result has no index")? as usize;
        let score = result["relevance_score"].as_f64().or_else(|| result["score"].as_f64());
        let score = score.context("a result has no score that is a number")? as f32;
        ensure!(score.is_finite(), "the score of document {index} is no number");
        let place = scores.get_mut(index).with_context(|| format!("there is no document {index}"))?;
        ensure!(place.replace(score).is_none(), "document {index} has two scores");
    }
    let missing = scores.iter().position(Option::is_none);
    scores.into_iter().collect::<Option<_>>().with_context(|| format!("document {missing:?} has no score"))
}

/// The vectors of an embeddings answer, put back by their indices. Shape: [count, dims].
///
/// # Errors
/// When one is missing, double, of another length or not of numbers.
pub(super) fn vectors(answer: &Value, count: usize) -> Result<Vec<Vec<f32>>> {
    let data = answer["data"].as_array().context("the answer has no list `data`")?;
    let mut found: HashMap<usize, Vec<f32>> = HashMap::new();
    for item in data {
        let index = item["index"].as_u64().context("a vector has no index")? as usize;
        let values = item["embedding"].as_array().context("a vector is no list of numbers")?;
        let vector: Vec<f32> = values.iter().filter_map(Value::as_f64).map(|value| value as f32).collect();
        ensure!(
            !vector.is_empty() && vector.len() == values.len() && vector.iter().all(|value| value.is_finite()),
            "the vector of text {index} holds something that is no number"
        );
        ensure!(index < count, "there is no text {index}");
        ensure!(found.insert(index, vector).is_none(), "text {index} has two vectors");
    }
    let vector = |at: usize| found.remove(&at).with_context(|| format!("text {at} has no vector"));
    let vectors: Vec<Vec<f32>> = (0..count).map(vector).collect::<Result<_>>()?;
    if let Some(odd) = vectors.iter().position(|vector| vector.len() != vectors[0].len()) {
        bail!("the vector of text {odd} has another length than the first");
    }
    Ok(vectors)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn scores_are_put_back_by_index() {
        let check = |answer: Value, expected: Result<Vec<f32>, &str>| {
            let found = scores(&answer, 2).map_err(|error| format!("{error:#}"));
            match (found, expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{answer}"),
                (Err(found), Err(why)) => assert!(found.contains(why), "{answer}: {found}"),
                (found, expected) => panic!("{answer}: {found:?} rather than {expected:?}"),
            }
        };
        let result = |index: usize, score: f64| json!({"index": index, "relevance_score": score});
        check(json!({"results": [result(1, 0.9), result(0, 0.25)]}), Ok(vec![0.25, 0.9]));
        check(json!([{"index": 1, "score": 0.5}, {"index": 0, "score": 0.75}]), Ok(vec![0.75, 0.5]));
        check(json!({"results": [result(1, 0.9)]}), Err("has no score"));
        check(json!({"results": [result(1, 0.9), result(1, 0.9)]}), Err("two scores"));
        check(json!({"results": [result(1, 0.9), result(2, 0.9)]}), Err("no document 2"));
        check(json!([{"index": 0, "score": null}, {"index": 1, "score": 0.5}]), Err("no score that is a number"));
        check(json!({"data": []}), Err("no list of results"));
    }

    #[test]
    fn vectors_are_put_back_by_index() {
        let item = |index: usize, vector: Value| json!({"index": index, "embedding": vector});
        let both = json!({"data": [item(1, json!([0.0, 1.0])), item(0, json!([1.0, 0.0]))]});
        assert_eq!(vectors(&both, 2).unwrap(), [[1.0, 0.0], [0.0, 1.0]]);
        for (data, why) in [
            (json!([]), "text 0 has no vector"),
            (json!([item(0, json!([1.0])), item(1, json!([1.0, 2.0]))]), "another length"),
            (json!([item(0, json!([1.0])), item(0, json!([1.0]))]), "two vectors"),
            (json!([item(0, json!([1.0])), item(1, json!(["x"]))]), "no number"),
            (json!([item(0, json!([])), item(1, json!([1.0]))]), "no number"),
        ] {
            let error = vectors(&json!({ "data": data }), 2).unwrap_err();
            assert!(format!("{error:#}").contains(why), "{error:#}");
        }
    }

    #[test]
    fn an_address_may_be_that_of_a_route() {
        for url in ["http://a:1", "http://a:1/", "http://a:1/v1", "http://a:1/v1/rerank", "http://a:1/rerank/"] {
            assert_eq!(Client::new(&[url.into()], None).unwrap().shown(), "http://a:1", "{url}");
        }
        assert_eq!(Client::new(&["https://a/gpu/v1/embeddings".into()], None).unwrap().shown(), "https://a/gpu");
        assert!(Client::new(&["a:1".into()], None).is_err());
    }

    #[test]
    fn what_servers_say_of_a_failure_is_found() {
        for (body, expected) in [
            (json!({"error": {"message": "a  b"}}), "a b"),
            (json!({"error": "busy", "error_type": "Overloaded"}), "busy"),
            (json!({"object": "error", "message": "old"}), "old"),
            (json!({"detail": "not found"}), "not found"),
        ] {
            assert_eq!(message(Some(&body), b""), expected);
        }
        assert_eq!(message(None, b"<html>\n502"), "<html> 502");
        let refusal = Refusal::Status(400, "This model's maximum context length is 512 tokens".into());
        assert!(refusal.is_too_long() && !Refusal::Status(400, "no such field".into()).is_too_long());
    }
}
