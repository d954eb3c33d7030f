//! `POST /v1/show`: documents in, what a model would see of each out, and what was cut.

use std::sync::Arc;

use axum::extract::{Request, State as Shared};
use axum::http::Method;
use axum::response::Response;
use axum::routing::on;

use super::HttpRoute;
use super::classify::written;
use crate::output::{TextFormat, Texts};
use crate::record::Intake;
use crate::serve::documents::DocumentRequest;
use crate::serve::failure::Failure;
use crate::serve::state::State;
use crate::serve::work::Job;

pub(super) static ROUTE: HttpRoute =
    HttpRoute { method: Method::POST, paths: &["/v1/show"], handler: |filter| on(filter, show) };

async fn show(Shared(state): Shared<Arc<State>>, request: Request) -> Result<Response, Failure> {
    let asked = state.documents(request).await?;
    state.in_time(answer(&state, asked)).await
}

async fn answer(state: &State, asked: DocumentRequest) -> Result<Response, Failure> {
    let DocumentRequest { mut incoming, labels, wanted, model, form } = asked;
    if labels.is_some() || wanted.is_some() {
        return Err(Failure::bad("/v1/show reads no labels, top_k or threshold; /v1/classify does"));
    }
    let service = state.service().await?;
    service.check_model(model.as_deref())?;
    let ticket = state.queue.admit(incoming.expected, 1)?;
    let reading = &service.reading;
    let read = state.queue.work(&ticket, &mut incoming, |raw, answer| Job::reading(reading, raw, answer)).await?;
    incoming.finished()?;
    let lines = read.iter().map(line).collect::<Result<Vec<_>, _>>();
    Ok(written(lines.map_err(|error| Failure::bad(error.to_string()))?, form))
}

/// The line that `mailsort show --removed` prints of a document.
fn line(read: &Intake) -> std::io::Result<String> {
    let mut line = Vec::new();
    Texts::new(&mut line, TextFormat::Jsonl, true).write(read)?;
    Ok(String::from_utf8_lossy(&line).into_owned())
}
