//! What the server is and does: `GET /health`, `/info`, `/v1/models`, `/metrics` and `/openapi.json`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State as Shared;
use axum::http::header::CONTENT_TYPE;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::on;
use serde_json::{Value, json};

use super::HttpRoute;
use crate::knowledge::VectorModel;
use crate::labels::LabelSet;
use crate::serve::documents::MOST_DOCUMENTS;
use crate::serve::failure::Failure;
use crate::serve::state::{Service, State};

pub(super) static HEALTH: HttpRoute =
    HttpRoute { method: Method::GET, paths: &["/health"], handler: |filter| on(filter, health) };
pub(super) static INFO: HttpRoute =
    HttpRoute { method: Method::GET, paths: &["/info"], handler: |filter| on(filter, info) };
pub(super) static MODELS: HttpRoute =
    HttpRoute { method: Method::GET, paths: &["/v1/models"], handler: |filter| on(filter, models) };

pub(super) static METRICS: HttpRoute =
    HttpRoute { method: Method::GET, paths: &["/metrics"], handler: |filter| on(filter, metrics) };
pub(super) static OPENAPI: HttpRoute =
    HttpRoute { method: Method::GET, paths: &["/openapi.json"], handler: |filter| on(filter, openapi) };

/// What the server answers, for programs that write clients: OpenAPI 3.1. Written by hand; a test holds it to the
/// routes.
pub(super) const DESCRIPTION: &str = include_str!("openapi.json");
/// The text format of Prometheus.
const METRICS_KIND: &str = "text/plain; version=0.0.4; charset=utf-8";

/// 200 when the model is loaded, 503 before that and from the signal on that ends the server.
async fn health(Shared(state): Shared<Arc<State>>) -> Response {
    let status = match (state.is_stopping(), state.service_now()) {
        (true, _) => "stopping",
        (false, None) => "loading",
        (false, Some(_)) => "ok",
    };
    let code = if status == "ok" { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(json!({ "status": status }))).into_response()
}

/// The model, its limits, and the label sets.
async fn info(Shared(state): Shared<Arc<State>>) -> Result<Json<Value>, Failure> {
    let service = state.in_time(state.service()).await?;
    let Service { loaded, classifier, .. } = &*service;
    let model_type = match loaded.is_of_pairs() {
        true => json!({ "reranker": { "id2label": { "0": "LABEL_0" }, "label2id": { "LABEL_0": 0 } } }),
        false => json!({ "embedding": { "pooling": "mean" } }),
    };
    let set = |set: &LabelSet| label_set(set, service.selection.ranking.threshold);
    let sets: Vec<Value> = classifier.iter().flat_map(|classifier| classifier.sets()).map(set).collect();
    let index = state.in_time(async { Ok(state.index_info(&service).await) }).await?;
    Ok(Json(json!({
        "model_id": loaded.id(),
        "model_type": model_type,
        "max_input_length": loaded.max_tokens(),
        "max_client_batch_size": MOST_DOCUMENTS,
        "auto_truncate": true,
        "dims": loaded.dims(),
        "server": "mailsort",
        "version": env!("CARGO_PKG_VERSION"),
        "classifier": classifier.as_ref().map(|classifier| classifier.model()),
        "label_sets": sets,
        "index": index,
    })))
}

impl State {
    /// What there is to search; null without an index, and an `error` where it cannot be read now.
    async fn index_info(&self, service: &Service) -> Value {
        let Some(index) = &self.index else { return Value::Null };
        let read = index.with(|index| Ok((index.model()?, index.passages()?))).await;
        let Ok((model, passages)) = read else { return json!({ "error": "the index cannot be read now" }) };
        let is_same = |known: &VectorModel| service.of_vectors.as_ref().is_some_and(|own| known.is_same(own));
        json!({
            "model": model.as_ref().map(|model| &model.id),
            "passages": passages,
            "by_vectors": model.as_ref().is_some_and(is_same),
            "reranker": service.loaded.is_of_pairs(),
        })
    }
}

fn label_set(set: &LabelSet, threshold: Option<f32>) -> Value {
    let labels = set.labels.iter().enumerate().map(|(at, label)| {
        json!({ "name": *label.name, "description": label.description, "threshold": set.threshold(at, threshold) })
    });
    json!({ "name": set.name, "labels": labels.collect::<Vec<_>>() })
}

/// The one model, as OpenAI lists models.
async fn models(Shared(state): Shared<Arc<State>>) -> Result<Json<Value>, Failure> {
    let service = state.in_time(state.service()).await?;
    let loaded = &service.loaded;
    Ok(Json(json!({
        "object": "list",
        "data": [{
            "id": loaded.id(),
            "object": "model",
            "created": service.since,
            "owned_by": "mailsort",
            "max_model_len": loaded.max_tokens(),
        }],
    })))
}

/// For Prometheus.
async fn metrics(Shared(state): Shared<Arc<State>>) -> Result<Response, Failure> {
    let cache = state.service_now().map_or((0, 0), |service| service.loaded.cache_uses());
    let text = state.metrics.text(state.queue.load().pairs(), cache);
    let text = text.map_err(|_| Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "the metrics cannot be written"))?;
    Ok(([(CONTENT_TYPE, METRICS_KIND)], text).into_response())
}

async fn openapi() -> Response {
    // The file leaves the version to Cargo.toml.
    let text = DESCRIPTION.replace("\"0.0.0\"", concat!("\"", env!("CARGO_PKG_VERSION"), "\""));
    ([(CONTENT_TYPE, "application/json")], text).into_response()
}
