//! `POST /v1/compare`: two contracts in, what `mailsort compare` writes out.

use std::path::Path;
use std::sync::Arc;

use axum::extract::{FromRequest, Multipart, Request, State as Shared};
use axum::http::header::CONTENT_TYPE;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::on;
use serde::Deserialize;

use super::HttpRoute;
use crate::classifier::LoadedModel;
use crate::contracts::{ComparedContracts, ComparisonFormat, Contract, GivenContract, MOST_CLAUSES};
use crate::intake::{self, Options, Source, WholeText};
use crate::serve::body::ReadBody;
use crate::serve::failure::Failure;
use crate::serve::state::State;
use crate::serve::work::Job;

pub(super) static ROUTE: HttpRoute =
    HttpRoute { method: Method::POST, paths: &["/v1/compare"], handler: |filter| on(filter, compare) };

/// A request in JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    old: String,
    new: String,
    #[serde(default)]
    template: bool,
    format: Option<ComparisonFormat>,
}

/// The media type of a format.
fn media_type(format: ComparisonFormat) -> &'static str {
    match format {
        ComparisonFormat::Json => "application/json",
        ComparisonFormat::Text => "text/plain; charset=utf-8",
        ComparisonFormat::Html => "text/html; charset=utf-8",
        ComparisonFormat::Markdown => "text/markdown; charset=utf-8",
        ComparisonFormat::Docx => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    }
}

/// Two contracts, each with its name.
struct TwoContracts {
    old: (String, WholeText),
    new: (String, WholeText),
    is_template: bool,
    format: ComparisonFormat,
}

async fn compare(Shared(state): Shared<Arc<State>>, request: Request) -> Result<Response, Failure> {
    let (parts, body) = request.into_parts();
    let is_form =
        parts.headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"multipart/form-data"));
    let body = state.bodies.read(&parts.headers, body).await?;
    if !is_form {
        let Asked { old, new, template, format } = body.json()?;
        for (name, text) in [("old", &old), ("new", &new)] {
            if text.trim().is_empty() {
                return Err(Failure::bad(format!("`{name}`: there is no text in it")).about(name));
            }
        }
        let given = |name: &str, text: String| (name.to_string(), WholeText { text, left_out: Vec::new() });
        let (old, new) = (given("old", old), given("new", new));
        let format = format.unwrap_or(ComparisonFormat::Json);
        return state.in_time(answer(&state, TwoContracts { old, new, is_template: template, format })).await;
    }
    let ReadBody { bytes, room } = body;
    let asked = of_form(Request::from_parts(parts, axum::body::Body::from(bytes))).await?;
    let answered = state.in_time(answer(&state, asked)).await;
    drop(room);
    answered
}

/// Reads a form: the files `old` and `new`, and `format` and `template`.
async fn of_form(request: Request) -> Result<TwoContracts, Failure> {
    let form = Multipart::from_request(request, &()).await;
    let mut form = form.map_err(|error| Failure::new(error.status(), error.body_text()))?;
    let (mut old, mut new, mut is_template, mut shape) = (None, None, false, ComparisonFormat::Json);
    let bad = |error: axum::extract::multipart::MultipartError| Failure::new(error.status(), error.body_text());
    while let Some(field) = form.next_field().await.map_err(bad)? {
        let name = field.name().unwrap_or_default().to_string();
        let file = field.file_name().unwrap_or(&name).to_string();
        let bytes = field.bytes().await.map_err(bad)?;
        if (name == "old" && old.is_some()) || (name == "new" && new.is_some()) {
            return Err(Failure::bad(format!("the form has two files `{name}`; send one")));
        }
        match &*name {
            "old" => old = Some(read(&file, bytes.to_vec(), "old")?),
            "new" => new = Some(read(&file, bytes.to_vec(), "new")?),
            "template" => match bytes.as_ref() {
                b"true" => is_template = true,
                b"false" => is_template = false,
                _ => return Err(Failure::bad("template is true or false").about("template")),
            },
            "format" => {
                let text = serde_json::Value::from(String::from_utf8_lossy(&bytes).into_owned());
                shape = serde_json::from_value(text)
                    .map_err(|_| Failure::bad("format is json, text, html, markdown or docx").about("format"))?;
            }
            other => {
                let message = format!("the form has a field {other:?}; there are old, new, template and format");
                return Err(Failure::bad(message));
            }
        }
    }
    match (old, new) {
        (Some(old), Some(new)) => Ok(TwoContracts { old, new, is_template, format: shape }),
        _ => Err(Failure::bad("the form has no files `old` and `new`")),
    }
}

/// A file as one text. It may have to be unpacked, which must not hold up other connections.
fn read(name: &str, bytes: Vec<u8>, field: &'static str) -> Result<(String, WholeText), Failure> {
    let source = Source::of_bytes(Path::new(name), bytes, Options::default());
    let text = tokio::task::block_in_place(|| intake::whole(source));
    let text = text.map_err(|error| Failure::of(&error.context(format!("cannot compare {name}"))).about(field))?;
    Ok((name.to_string(), text))
}

async fn answer(state: &State, asked: TwoContracts) -> Result<Response, Failure> {
    let TwoContracts { old: (old_name, old), new: (new_name, new), is_template, format } = asked;
    let service = state.service().await?;
    let (first, second) = tokio::task::block_in_place(|| (Contract::read(&old.text), Contract::read(&new.text)));
    if first.clauses.len().max(second.clauses.len()) > MOST_CLAUSES {
        let message = format!("there are more than {MOST_CLAUSES} clauses; `mailsort compare` takes them");
        return Err(Failure::new(StatusCode::PAYLOAD_TOO_LARGE, message));
    }
    let texts =
        |contract: &Contract| (0..contract.clauses.len()).map(|at| contract.matching_text(at)).collect::<Vec<_>>();
    let vectors = match service.loaded.is_of_pairs() {
        true => None,
        false => Some((
            vectors(state, &service.loaded, texts(&first)).await?,
            vectors(state, &service.loaded, texts(&second)).await?,
        )),
    };
    let given = vectors.as_ref().map(|(old, new)| (&old[..], &new[..]));
    let written = tokio::task::block_in_place(|| {
        let old = GivenContract { name: &old_name, contract: &first, left_out: &old.left_out };
        let new = GivenContract { name: &new_name, contract: &second, left_out: &new.left_out };
        ComparedContracts::new(old, new, given, service.loaded.id()).of_template(is_template).write(format)
    });
    let bytes = written.map_err(|error| Failure::of(&error))?;
    Ok(([(CONTENT_TYPE, media_type(format))], bytes).into_response())
}

/// The vectors of clauses, with those of all other requests; zeros for one of which the model knows no word.
async fn vectors(state: &State, loaded: &LoadedModel, texts: Vec<String>) -> Result<Vec<Vec<f32>>, Failure> {
    let ticket = state.queue.admit(texts.len(), 1)?;
    let made = state.queue.work(&ticket, texts, Job::passage).await?;
    let none = || vec![0.0; loaded.passage_dims()];
    Ok(made.into_iter().map(|made| made.map_or_else(|_| none(), |made| loaded.passage_vector(&made.value))).collect())
}
