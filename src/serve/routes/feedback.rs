//! `POST /v1/feedback`: what a person says of a verdict. Counted for `/metrics`, and not kept.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State as Shared};
use axum::http::{Method, StatusCode};
use axum::routing::on;
use serde::Deserialize;
use serde_json::{Value, json};

use super::HttpRoute;
use crate::record::is_same_label;
use crate::serve::failure::Failure;
use crate::serve::feedback::Review;
use crate::serve::state::{Service, State};

pub(super) static ROUTE: HttpRoute =
    HttpRoute { method: Method::POST, paths: &["/v1/feedback"], handler: |filter| on(filter, feedback) };

/// A person's label of a document.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    /// The `id` of the record, or the request's id with `/` and the record's place in the answer.
    id: String,
    /// The right label; null where none of them is.
    #[serde(deserialize_with = "Option::deserialize")]
    label: Option<String>,
    /// The label set, where there are several.
    set: Option<String>,
}

async fn feedback(Shared(state): Shared<Arc<State>>, request: Request) -> Result<Json<Value>, Failure> {
    let (said, _room): (Said, _) = state.json(request).await?;
    let service = state.in_time(state.service()).await?;
    let at = set(&service, said.set.as_deref(), said.label.as_deref())?;
    let judged = state.verdicts().judge(&said.id, at, said.label.as_deref());
    let Some(Review { label, is_right, is_new }) = judged else {
        let message = format!("no verdict on {:?} by the labels of this server is remembered", said.id);
        return Err(Failure::new(StatusCode::NOT_FOUND, message).about("id"));
    };
    let name = &service.sets[at];
    if is_new {
        state.metrics.judged(name, is_right);
    }
    Ok(Json(json!({ "id": said.id, "set": **name, "label": label.as_deref(), "right": is_right, "counted": is_new })))
}

/// The number of the label set that is meant, which must have the label.
fn set(service: &Service, name: Option<&str>, label: Option<&str>) -> Result<usize, Failure> {
    let sets = service.classifier.iter().flat_map(|classifier| classifier.sets());
    let named: Vec<_> = sets.enumerate().filter(|(_, set)| name.is_none_or(|name| set.name == name)).collect();
    let names = || service.sets.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
    match &named[..] {
        [] if service.sets.is_empty() => {
            Err(Failure::bad("this server has no labels of its own, whose verdicts could be judged"))
        }
        [] => Err(Failure::bad(format!("there is no such label set; there are {}", names())).about("set")),
        [(at, set)] => match label {
            Some(label) if !set.labels.iter().any(|known| is_same_label(&known.name, label)) => {
                Err(Failure::bad(format!("the label set {:?} has no label {label:?}", set.name)).about("label"))
            }
            _ => Ok(*at),
        },
        _ => Err(Failure::bad(format!("say which label set is meant with `set`: {}", names())).about("set")),
    }
}
