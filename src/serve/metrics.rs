//! What `/metrics` tells Prometheus. No text of a message is in it; labels are those of the server's own sets.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::record::{Outcome, Reason, Verdict};

/// Upper edges of times in seconds. Half a second is what people who wait are promised.
const SECONDS: [f64; 14] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Upper edges of the sizes of batches.
const SIZES: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 48.0, 64.0, 128.0];

/// A request that was answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    endpoint: String,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndpointName {
    endpoint: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ErrorKind {
    kind: &'static str,
}

/// A label of one of the server's sets.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LabelOfSet {
    set: Arc<str>,
    label: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SetName {
    set: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Judged {
    set: Arc<str>,
    right: Truth,
}

/// Whether a person agrees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Truth(bool);

impl prometheus_client::encoding::EncodeLabelValue for Truth {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> Result<(), std::fmt::Error> {
        if self.0 { "true" } else { "false" }.encode(encoder)
    }
}

/// All metrics of a server.
pub(super) struct Metrics {
    registry: Mutex<Registry>,
    requests: Family<Answered, Counter>,
    durations: Family<EndpointName, Histogram, fn() -> Histogram>,
    waiting: Gauge,
    waits: Histogram,
    batches: Histogram,
    tokens: Counter,
    documents: Counter,
    truncated: Counter,
    errors: Family<ErrorKind, Counter>,
    verdicts: Family<LabelOfSet, Counter>,
    unsure: Family<SetName, Counter>,
    feedback: Family<Judged, Counter>,
    cache_hits: Gauge<u64, AtomicU64>,
    cache_misses: Gauge<u64, AtomicU64>,
}

fn seconds() -> Histogram {
    Histogram::new(SECONDS)
}

impl Metrics {
    pub(super) fn new() -> Self {
        let metrics = Self {
            registry: Mutex::new(Registry::with_prefix("mailsort")),
            requests: Family::default(),
            durations: Family::new_with_constructor(seconds),
            waiting: Gauge::default(),
            waits: seconds(),
            batches: Histogram::new(SIZES),
            tokens: Counter::default(),
            documents: Counter::default(),
            truncated: Counter::default(),
            errors: Family::default(),
            verdicts: Family::default(),
            unsure: Family::default(),
            feedback: Family::default(),
            cache_hits: Gauge::default(),
            cache_misses: Gauge::default(),
        };
        metrics.registered()
    }

    fn registered(self) -> Self {
        let mut all = self.registry();
        all.register("http_requests", "Requests that were answered", self.requests.clone());
        all.register(
            "http_request_duration_seconds",
            "Time from a request's head to its answer",
            self.durations.clone(),
        );
        all.register("queue_pairs", "Pairs that wait or are being scored", self.waiting.clone());
        all.register("queue_wait_seconds", "Time that work waits until it is scored", self.waits.clone());
        all.register("batch_size", "Pieces of work that are scored together", self.batches.clone());
        all.register("tokens", "Tokens that models have read", self.tokens.clone());
        all.register(
            "documents",
            "Documents that were classified, also those without a verdict",
            self.documents.clone(),
        );
        all.register("truncated", "Texts that were longer than what a model reads", self.truncated.clone());
        all.register("errors", "Requests and documents that failed", self.errors.clone());
        all.register(
            "verdicts",
            "Documents by their label; the label is empty where none is sure",
            self.verdicts.clone(),
        );
        all.register("unsure", "Documents whose best score is below the threshold", self.unsure.clone());
        all.register("feedback", "Verdicts that a person has judged", self.feedback.clone());
        all.register("cache_hits", "Results that were in the cache", self.cache_hits.clone());
        all.register("cache_misses", "Results that were not in the cache", self.cache_misses.clone());
        drop(all);
        self
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells what is served.
    pub(super) fn serves(&self, model: &str) {
        let about = [("version", env!("CARGO_PKG_VERSION").to_string()), ("model", model.to_string())];
        self.registry().register("build", "Version and model", Info::new(about.to_vec()));
    }

    /// Counts an answer.
    pub(super) fn answered(&self, endpoint: &str, status: u16, after: Duration) {
        let endpoint = endpoint.to_string();
        self.durations.get_or_create(&EndpointName { endpoint: endpoint.clone() }).observe(after.as_secs_f64());
        self.requests.get_or_create(&Answered { endpoint, status }).inc();
    }

    /// Counts a request that failed.
    pub(super) fn failed(&self, kind: &'static str) {
        self.errors.get_or_create(&ErrorKind { kind }).inc();
    }

    /// Observes the size of a batch.
    pub(super) fn batch(&self, size: usize) {
        self.batches.observe(size as f64);
    }

    /// Observes how long work has waited.
    pub(super) fn waited(&self, wait: Duration) {
        self.waits.observe(wait.as_secs_f64());
    }

    /// Counts what a model has read.
    pub(super) fn read(&self, tokens: usize, truncated: bool) {
        self.tokens.inc_by(tokens as u64);
        self.truncated.inc_by(u64::from(truncated));
    }

    /// Counts the verdict of a document. `sets` are the names of the server's label sets, none where a client has
    /// brought its own, whose names have no bound.
    pub(super) fn verdict(&self, verdict: &Verdict, sets: &[Arc<str>]) {
        self.documents.inc();
        let Outcome { rankings, tokens, truncated } = match &verdict.outcome {
            Ok(outcome) => outcome,
            Err(reason) => return self.failed(Reason::kind(reason)),
        };
        self.read(*tokens, *truncated);
        for (set, ranking) in sets.iter().zip(rankings) {
            let label = ranking.label.clone().unwrap_or_default();
            self.verdicts.get_or_create(&LabelOfSet { set: set.clone(), label }).inc();
            if ranking.label.is_none() {
                self.unsure.get_or_create(&SetName { set: set.clone() }).inc();
            }
        }
    }

    /// Counts what a person says of a verdict.
    pub(super) fn judged(&self, set: &Arc<str>, right: bool) {
        self.feedback.get_or_create(&Judged { set: set.clone(), right: Truth(right) }).inc();
    }

    /// All metrics in the text format that every scraper reads. `waiting` is the number of pairs in the queue, `cache`
    /// hits and misses.
    ///
    /// # Errors
    /// Never in practice; the library writes to a string.
    pub(super) fn text(&self, waiting: usize, (hits, misses): (u64, u64)) -> Result<String, std::fmt::Error> {
        self.waiting.set(waiting as i64);
        self.cache_hits.set(hits);
        self.cache_misses.set(misses);
        let mut text = String::new();
        encode(&mut text, &self.registry())?;
        Ok(classic(&text))
    }
}

/// OpenMetrics as the text format of Prometheus: there a family of counters has the name of its samples.
fn classic(text: &str) -> String {
    let mut counters: Vec<&str> = Vec::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        counters.extend(line.strip_suffix(" counter"));
    }
    let renamed = |line: &str, kind: &str| {
        let (name, rest) = line.strip_prefix(kind)?.split_once(' ')?;
        match rest {
            "info" => Some(format!("{kind}{name}_info gauge\n")),
            _ if counters.contains(&name) => Some(format!("{kind}{name}_total {rest}\n")),
            // That of an info, whose type follows.
            _ if text.contains(&format!("# TYPE {name} info\n")) => Some(format!("{kind}{name}_info {rest}\n")),
            _ => None,
        }
    };
    let line = |line: &str| match line {
        "# EOF" => String::new(),
        line => renamed(line, "# HELP ").or_else(|| renamed(line, "# TYPE ")).unwrap_or_else(|| format!("{line}\n")),
    };
    text.lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Document, Ranking};

    #[test]
    fn names_of_labels_cannot_forge_lines() {
        let metrics = Metrics::new();
        let ranking =
            |label: Option<&str>| Ranking { label: label.map(Arc::from), score: 0.5, by: None, top: Vec::new() };
        let Document { origin, envelope, .. } = Document::from("x");
        for label in [Some("a\"b\\c\nd"), None] {
            let outcome = Outcome { rankings: vec![ranking(label)], tokens: 7, truncated: false };
            let verdict = Verdict { origin: origin.clone(), envelope: envelope.clone(), outcome: Ok(outcome) };
            metrics.verdict(&verdict, &["mail".into()]);
        }
        metrics.serves("builtin");
        metrics.judged(&"mail".into(), false);
        metrics.answered("/rerank", 200, Duration::from_millis(3));
        let text = metrics.text(4, (5, 6)).unwrap();
        for line in [
            r#"mailsort_verdicts_total{set="mail",label="a\"b\\c\nd"} 1"#,
            r#"mailsort_verdicts_total{set="mail",label=""} 1"#,
            r#"mailsort_unsure_total{set="mail"} 1"#,
            r#"mailsort_feedback_total{set="mail",right="false"} 1"#,
            r#"mailsort_http_requests_total{endpoint="/rerank",status="200"} 1"#,
            r#"mailsort_http_request_duration_seconds_bucket{le="0.5",endpoint="/rerank"} 1"#,
            "mailsort_tokens_total 14",
            "mailsort_queue_pairs 4",
            "mailsort_cache_hits 5",
            "# TYPE mailsort_tokens_total counter",
            "# HELP mailsort_tokens_total Tokens that models have read.",
            "# TYPE mailsort_build_info gauge",
            "# TYPE mailsort_queue_wait_seconds histogram",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
    }
}
