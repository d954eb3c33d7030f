//! What a client is told when a request fails: one body in the shape of OpenAI's, which most clients of such servers
//! read.

use std::borrow::Cow;

use axum::Json;
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) status: StatusCode,
    message: String,
    /// The field that is wrong.
    param: Option<Cow<'static, str>>,
    /// Seconds after which another try makes sense.
    retry_after: Option<u64>,
    /// How to send a key.
    challenge: Option<&'static str>,
}

/// The body: `{"error":{"message":…,"type":…,"param":…,"code":…}}`.
#[derive(Serialize)]
struct Body<'a> {
    error: Told<'a>,
}

#[derive(Serialize)]
struct Told<'a> {
    message: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    param: Option<&'a str>,
    code: u16,
}

impl Failure {
    /// A failure with this status.
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), param: None, retry_after: None, challenge: None }
    }

    /// A request that is wrong.
    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// As [`Failure::bad`], of an error and its causes.
    pub(super) fn of(error: &anyhow::Error) -> Self {
        Self::bad(format!("{error:#}"))
    }

    /// There is no key, and `challenge` says how one is sent.
    pub(super) fn unauthorized(message: &str, challenge: &'static str) -> Self {
        Self { challenge: Some(challenge), ..Self::new(StatusCode::UNAUTHORIZED, message) }
    }

    /// The server has too much to do.
    pub(super) fn busy(seconds: u64) -> Self {
        let message = format!("the server is busy; try again in {seconds} s");
        Self { retry_after: Some(seconds), ..Self::new(StatusCode::TOO_MANY_REQUESTS, message) }
    }

    /// The server stops, or its model is gone.
    pub(super) fn stopping() -> Self {
        Self { retry_after: Some(5), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "the server is stopping") }
    }

    /// The model has failed on a whole batch.
    pub(super) fn unanswered() -> Self {
        let message = "the model does not answer now; try again in 5 s";
        Self { retry_after: Some(5), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, message) }
    }

    /// Names the field that is wrong.
    pub(super) fn about(self, param: impl Into<Cow<'static, str>>) -> Self {
        Self { param: Some(param.into()), ..self }
    }

    /// A short fixed name, to count by.
    pub(super) fn kind(&self) -> &'static str {
        match self.status {
            StatusCode::UNAUTHORIZED => "authentication_error",
            StatusCode::FORBIDDEN => "permission_error",
            StatusCode::NOT_FOUND => "not_found_error",
            StatusCode::TOO_MANY_REQUESTS => "overloaded_error",
            StatusCode::SERVICE_UNAVAILABLE => "unavailable_error",
            status if status.is_server_error() => "server_error",
            _ => "invalid_request_error",
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let told = Told {
            message: &self.message,
            kind: self.kind(),
            param: self.param.as_deref(),
            code: self.status.as_u16(),
        };
        let mut response = (self.status, Json(Body { error: told })).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(challenge) = self.challenge {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        response.extensions_mut().insert(self);
        response
    }
}
