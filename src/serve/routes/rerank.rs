//! `POST /rerank`, `/v1/rerank` and `/v2/rerank`: how relevant documents are to a query, in the two shapes that clients
//! know. `documents` is that of Jina, Cohere and vLLM, `texts` that of text-embeddings-inference (TEI).

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State as Shared};
use axum::http::header::HeaderName;
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::response::{IntoResponse, Response};
use axum::routing::on;
use serde::{Deserialize, Serialize};

use super::HttpRoute;
use crate::classifier::Made;
use crate::record::Reason;
use crate::serve::documents::check_count;
use crate::serve::failure::Failure;
use crate::serve::feedback::request_id;
use crate::serve::state::State;
use crate::serve::work::{Job, Pair};

pub(super) static ROUTE: HttpRoute = HttpRoute {
    method: Method::POST,
    paths: &["/rerank", "/v1/rerank", "/v2/rerank"],
    handler: |filter| on(filter, rerank),
};

/// How many texts were cut.
pub(super) const TRUNCATED: HeaderName = HeaderName::from_static("x-truncated");

/// A request in either shape. Clients send more than this; what does not change a score is ignored.
#[derive(Deserialize)]
struct Asked {
    model: Option<String>,
    query: String,
    documents: Option<Documents>,
    texts: Option<Vec<String>>,
    top_n: Option<i64>,
    return_documents: Option<bool>,
    return_text: Option<bool>,
    raw_scores: Option<bool>,
    /// False where a text that is too long is an error.
    truncate: Option<bool>,
    #[serde(flatten)]
    truncation: Truncation,
    instruction: Option<String>,
    instruct: Option<String>,
}

/// One document or several.
#[derive(Deserialize)]
#[serde(untagged, expecting = "documents are texts, or objects with `text`")]
enum Documents {
    One(String),
    Many(Vec<GivenDocument>),
}

/// A document: its text, or an object that holds it.
#[derive(Deserialize)]
#[serde(untagged)]
enum GivenDocument {
    Text(String),
    Object { text: String },
}

impl GivenDocument {
    fn text(self) -> String {
        match self {
            Self::Text(text) | Self::Object { text } => text,
        }
    }
}

/// A scored document, in the shape of Jina, Cohere and vLLM.
#[derive(Serialize)]
struct Ranked<'a> {
    index: usize,
    relevance_score: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<DocumentText<'a>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
}

#[derive(Serialize)]
struct DocumentText<'a> {
    text: &'a str,
}

/// The same in that of TEI.
#[derive(Serialize)]
struct RankedText<'a> {
    index: usize,
    score: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
}

#[derive(Serialize)]
struct Answer<'a> {
    id: String,
    model: &'a str,
    results: Vec<Ranked<'a>>,
    usage: Usage,
    meta: Meta,
}

/// Tokens of a request.
#[derive(Clone, Copy, Serialize)]
pub(super) struct Usage {
    pub(super) prompt_tokens: usize,
    pub(super) total_tokens: usize,
}

/// What Cohere's clients read.
#[derive(Serialize)]
struct Meta {
    api_version: Version,
    billed_units: Units,
}

#[derive(Serialize)]
struct Version {
    version: &'static str,
}

#[derive(Serialize)]
struct Units {
    search_units: usize,
}

async fn rerank(Shared(state): Shared<Arc<State>>, request: Request) -> Result<Response, Failure> {
    let version = if request.uri().path().starts_with("/v2") { "2" } else { "1" };
    let (asked, _room) = state.json(request).await?;
    state.in_time(answer(&state, asked, version)).await
}

async fn answer(state: &State, asked: Asked, version: &'static str) -> Result<Response, Failure> {
    let is_tei = asked.texts.is_some();
    let texts = match (asked.documents, asked.texts) {
        (Some(documents), None) => documents.texts(),
        (None, Some(texts)) => texts,
        _ => return Err(Failure::bad("send `documents` or `texts`: what is compared with `query`").about("documents")),
    };
    check_count(texts.len(), if is_tei { "texts" } else { "documents" })?;
    if texts.is_empty() {
        return Err(Failure::bad("there is no document to compare with the query").about("documents"));
    }
    if asked.query.trim().is_empty() {
        return Err(Failure::bad("`query` is empty").about("query"));
    }
    if asked.raw_scores == Some(true) {
        return Err(Failure::bad("raw_scores: this server gives probabilities only").about("raw_scores"));
    }
    let top = usize::try_from(asked.top_n.unwrap_or(0))
        .map_err(|_| Failure::bad("top_n is a number of documents, 0 for all").about("top_n"))?;
    let service = state.service().await?;
    service.check_model(asked.model.as_deref())?;
    asked.truncation.check(service.loaded.max_tokens())?;
    let made = state.compared(&asked.query, asked.instruction.or(asked.instruct), &texts).await?;
    let RerankScores { scores, tokens, truncated } = made;
    if let (Some(false), Some(at)) = (asked.truncate, truncated.iter().position(|cut| *cut)) {
        return Err(too_long(at, service.loaded.max_tokens()));
    }
    let mut order: Vec<usize> = (0..texts.len()).collect();
    // Equal scores stay in the order of the documents.
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    let mut headers = HeaderMap::new();
    headers.insert(TRUNCATED, HeaderValue::from(truncated.iter().filter(|cut| **cut).count()));
    if is_tei {
        let text = |at: usize| (asked.return_text == Some(true)).then(|| texts[at].as_str());
        let ranked: Vec<RankedText> =
            order.iter().map(|&at| RankedText { index: at, score: scores[at], text: text(at) }).collect();
        return Ok((headers, Json(ranked)).into_response());
    }
    order.truncate(if top == 0 { usize::MAX } else { top });
    let shown = |at: usize| (asked.return_documents == Some(true)).then(|| DocumentText { text: &texts[at] });
    let ranked =
        |&at: &usize| Ranked { index: at, relevance_score: scores[at], document: shown(at), truncated: truncated[at] };
    let answer = Answer {
        id: format!("rerank-{}", request_id()),
        model: service.loaded.id(),
        results: order.iter().map(ranked).collect(),
        usage: Usage { prompt_tokens: tokens, total_tokens: tokens },
        meta: Meta { api_version: Version { version }, billed_units: Units { search_units: 1 } },
    };
    Ok((headers, Json(answer)).into_response())
}

/// How clients want texts cut that are too long, in the words of TEI, Cohere and vLLM.
#[derive(Deserialize)]
pub(super) struct Truncation {
    truncation_direction: Option<String>,
    max_tokens_per_doc: Option<i64>,
    /// Negative for as many as the model reads.
    truncate_prompt_tokens: Option<i64>,
}

impl Truncation {
    /// # Errors
    /// When a text would be cut in another way than all are here, which changes its score: at its end, to `most` tokens.
    pub(super) fn check(&self, most: usize) -> Result<(), Failure> {
        let is_right = |direction: &String| direction.eq_ignore_ascii_case("right");
        if !self.truncation_direction.as_ref().is_none_or(is_right) {
            let message = "texts are cut at their end; leave truncation_direction out, or cut them before";
            return Err(Failure::bad(message).about("truncation_direction"));
        }
        let given = [
            ("max_tokens_per_doc", self.max_tokens_per_doc),
            ("truncate_prompt_tokens", self.truncate_prompt_tokens.filter(|tokens| *tokens >= 0)),
        ];
        for (name, tokens) in given {
            // As many as the model reads, or more, cut nothing.
            if tokens.is_some_and(|tokens| usize::try_from(tokens).is_ok_and(|tokens| tokens < most) || tokens < 0) {
                let message = format!(
                    "{name}: this server cuts every text at {most} tokens; leave it out, or start the server with --max-tokens"
                );
                return Err(Failure::bad(message).about(name));
            }
        }
        Ok(())
    }
}

/// What a text that must not be cut is refused with.
fn too_long(at: usize, most: usize) -> Failure {
    let message = format!(
        "text {at} is longer than the {most} tokens that the model reads; leave truncate out to have its end cut off, or start \
         the server with a larger --max-tokens"
    );
    Failure::new(axum::http::StatusCode::UNPROCESSABLE_ENTITY, message)
}

impl Documents {
    fn texts(self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text],
            Self::Many(documents) => documents.into_iter().map(GivenDocument::text).collect(),
        }
    }
}

/// Scores of documents, in their order.
struct RerankScores {
    scores: Vec<f32>,
    tokens: usize,
    truncated: Vec<bool>,
}

impl State {
    /// Compares a query with documents. One without text has the score 0.
    async fn compared(&self, query: &str, instruct: Option<String>, texts: &[String]) -> Result<RerankScores, Failure> {
        let instruct = instruct.map(|text| text.trim().to_string()).filter(|text| !text.is_empty());
        if instruct.as_ref().is_some_and(|text| text.contains(['\n', '\r'])) {
            return Err(Failure::bad("an instruction is one line").about("instruction"));
        }
        let (query, instruct): (Arc<str>, Option<Arc<str>>) = (query.into(), instruct.map(Arc::from));
        let asked: Vec<usize> = (0..texts.len()).filter(|&at| !texts[at].trim().is_empty()).collect();
        let ticket = self.queue.admit(asked.len(), 1)?;
        let pair = |at: &usize| Pair { instruct: instruct.clone(), query: query.clone(), document: texts[*at].clone() };
        let made = self.queue.work(&ticket, asked.iter().map(pair), Job::relevance).await?;
        let mut compared =
            RerankScores { scores: vec![0.0; texts.len()], tokens: 0, truncated: vec![false; texts.len()] };
        for (at, made) in asked.into_iter().zip(made) {
            let Made { value, tokens, truncated } = made.map_err(|reason| failed(at, &reason))?;
            self.metrics.read(tokens, truncated);
            (compared.scores[at], compared.truncated[at]) = (value, truncated);
            compared.tokens += tokens;
        }
        Ok(compared)
    }
}

/// What a client is told of a text on which the model failed.
pub(super) fn failed(at: usize, reason: &Reason) -> Failure {
    match reason {
        Reason::NoKnownWords => Failure::bad(format!("text {at}: the model knows no word of it")).about("input"),
        _ => Failure::new(axum::http::StatusCode::INTERNAL_SERVER_ERROR, format!("text {at}: {reason}")),
    }
}
