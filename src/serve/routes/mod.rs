//! The routes. Each is a file that says how it is reached; a new one is a file and a line in [`ROUTES`].

mod about;
mod classify;
mod compare;
mod embeddings;
mod feedback;
mod page;
mod rerank;
mod search;
mod show;

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State as Shared};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::failure::Failure;
use super::feedback::request_id;
use super::state::State;

/// Tells the requests of a server apart, and names the documents of one in feedback.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// How long a browser may remember what another site may ask.
const REMEMBERED: std::time::Duration = std::time::Duration::from_secs(600);

/// A path, and what answers there.
struct HttpRoute {
    method: Method,
    paths: &'static [&'static str],
    handler: fn(MethodFilter) -> MethodRouter<Arc<State>>,
}

/// All that the server answers. `openapi.json` describes it.
static ROUTES: [&HttpRoute; 13] = [
    &page::ROUTE,
    &about::HEALTH,
    &about::INFO,
    &about::MODELS,
    &classify::ROUTE,
    &show::ROUTE,
    &feedback::ROUTE,
    &compare::ROUTE,
    &search::ROUTE,
    &rerank::ROUTE,
    &embeddings::ROUTE,
    &about::METRICS,
    &about::OPENAPI,
];

/// The id of a request.
#[derive(Clone)]
struct RequestId(String);

/// The router of the server.
///
/// # Errors
/// When an origin is none.
pub(super) fn router(state: Arc<State>, cors_origins: &[String]) -> Result<Router> {
    let mut router = Router::new();
    for route in ROUTES {
        let filter = MethodFilter::try_from(route.method.clone()).context("a route has an odd method")?;
        for path in route.paths {
            router = router.route(path, (route.handler)(filter));
        }
    }
    let router = router
        .fallback(|request: Request| async move {
            let message = format!("there is no {}; /openapi.json lists what there is", request.uri().path());
            Failure::new(StatusCode::NOT_FOUND, message)
        })
        .method_not_allowed_fallback(|request: Request| async move {
            let (path, method) = (request.uri().path(), request.method());
            let message = format!("{path} is not asked with {method}; /openapi.json says how it is");
            Failure::new(StatusCode::METHOD_NOT_ALLOWED, message)
        })
        // Bodies are bounded where they are read, by --max-size.
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn_with_state(state.clone(), guarded));
    let router = if cors_origins.is_empty() { router } else { router.layer(cors(cors_origins)?) };
    let router = router
        .layer(CatchPanicLayer::custom(|_| {
            Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "mailsort has a bug; stderr says where").into_response()
        }))
        .layer(from_fn_with_state(state.clone(), observed));
    Ok(router.with_state(state))
}

/// Refuses who may not ask.
async fn guarded(Shared(state): Shared<Arc<State>>, request: Request, next: Next) -> Response {
    match state.gate.check(&request) {
        Ok(()) => next.run(request).await,
        Err(failure) => failure.into_response(),
    }
}

/// Counts, names and times each request. Nothing of its text, nor of its query, goes anywhere.
async fn observed(Shared(state): Shared<Arc<State>>, mut request: Request, next: Next) -> Response {
    let _in_hand = state.in_hand.begin();
    let (began, id) = (Instant::now(), request_id());
    request.extensions_mut().insert(RequestId(id.clone()));
    let endpoint =
        request.extensions().get::<MatchedPath>().map_or("other".to_string(), |path| path.as_str().to_string());
    let method = request.method().clone();
    let mut response = next.run(request).await;
    let (status, took) = (response.status().as_u16(), began.elapsed());
    state.metrics.answered(&endpoint, status, took);
    if let Some(failure) = response.extensions().get::<Failure>() {
        state.metrics.failed(failure.kind());
    }
    state.report.note(format_args!("{method} {endpoint} {status} {:.1} ms", took.as_secs_f64() * 1e3));
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// What pages of these sites may ask.
fn cors(origins: &[String]) -> Result<CorsLayer> {
    let named = |origin: &String| HeaderValue::from_str(origin).with_context(|| format!("--cors-origin {origin:?}"));
    let allowed: Vec<HeaderValue> = origins.iter().map(named).collect::<Result<_>>()?;
    let is_any = origins.iter().any(|origin| origin == "*");
    Ok(CorsLayer::new()
        .allow_origin(if is_any { AllowOrigin::any() } else { AllowOrigin::list(allowed) })
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([AUTHORIZATION, CONTENT_TYPE])
        .expose_headers([REQUEST_ID, RETRY_AFTER])
        .max_age(REMEMBERED))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_description_has_every_route_and_no_other() {
        let described: serde_json::Value = serde_json::from_str(about::DESCRIPTION).unwrap();
        let described: BTreeSet<String> = described["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, item)| {
                let methods = item.as_object().unwrap().keys().filter(|key| *key != "parameters");
                methods.map(move |method| format!("{} {path}", method.to_uppercase()))
            })
            .collect();
        let served = ROUTES.iter().flat_map(|route| route.paths.iter().map(|path| format!("{} {path}", route.method)));
        assert_eq!(served.collect::<BTreeSet<String>>(), described);
    }
}
