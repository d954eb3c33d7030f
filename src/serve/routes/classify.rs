//! `POST /v1/classify`: documents in, the records of `mailsort classify` out.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State as Shared};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Method};
use axum::response::{IntoResponse, Response};
use axum::routing::on;

use super::{HttpRoute, RequestId};
use crate::classifier::Classifier;
use crate::intake::Raw;
use crate::output::{Layout, SetLayout, json_line};
use crate::record::Skip;
use crate::serve::documents::{AnswerForm, DocumentRequest};
use crate::serve::failure::Failure;
use crate::serve::samples::Sampling;
use crate::serve::state::{Service, State};
use crate::serve::work::Job;

pub(super) static ROUTE: HttpRoute =
    HttpRoute { method: Method::POST, paths: &["/v1/classify"], handler: |filter| on(filter, classify) };

async fn classify(
    Shared(state): Shared<Arc<State>>,
    Extension(RequestId(id)): Extension<RequestId>,
    request: Request,
) -> Result<Response, Failure> {
    let asked = state.documents(request).await?;
    state.in_time(answer(&state, &id, asked)).await
}

async fn answer(state: &State, id: &str, asked: DocumentRequest) -> Result<Response, Failure> {
    let DocumentRequest { mut incoming, labels, wanted, model, form } = asked;
    let service = state.service().await?;
    service.check_model(model.as_deref())?;
    let is_own = labels.is_none();
    let classifier = state.classifier(&service, labels, wanted.unwrap_or_default()).await?;
    let ticket = state.queue.admit(incoming.expected, service.pairs_of(&classifier))?;
    let mut chosen = Chosen { samples: state.samples.as_ref().filter(|_| is_own), at: 0, kept: Vec::new() };
    let documents = incoming.by_ref().inspect(|raw| chosen.look(raw));
    let verdicts = state.queue.work(&ticket, documents, |raw, answer| Job::verdict(&classifier, raw, answer)).await?;
    incoming.finished()?;
    let sets = if is_own { &service.sets[..] } else { &[] };
    for verdict in &verdicts {
        state.metrics.verdict(verdict, sets);
    }
    if is_own {
        let mut known = state.verdicts();
        verdicts.iter().enumerate().for_each(|(place, verdict)| known.remember(id, place, verdict));
    }
    let layout = layout(&classifier);
    let records = verdicts.iter().map(|verdict| json_line(verdict, &layout)).collect::<Result<Vec<_>, _>>();
    let records = records.map_err(|error| Failure::bad(error.to_string()))?;
    sampled(state, &service, chosen, &records).await;
    Ok(written(records, form))
}

/// Documents of the sample: their places in the answer, and what they were where their texts are kept.
struct Chosen<'a> {
    samples: Option<&'a Sampling>,
    at: usize,
    kept: Vec<(usize, Option<Raw>)>,
}

impl Chosen<'_> {
    /// Looks at a document on its way.
    fn look(&mut self, document: &Result<Raw, Skip>) {
        if let Some(samples) = self.samples.filter(|samples| samples.chooses()) {
            let raw = document.as_ref().ok().filter(|_| samples.keeps_texts());
            let copy = |raw: &Raw| Raw {
                origin: raw.origin.clone(),
                format: raw.format,
                bytes: raw.bytes.clone(),
                truncated: raw.truncated,
            };
            self.kept.push((self.at, raw.map(copy)));
        }
        self.at += 1;
    }
}

/// Keeps what was chosen. A sample that cannot be written is no failure of the request.
async fn sampled(state: &State, service: &Service, chosen: Chosen<'_>, records: &[String]) {
    let Some(samples) = chosen.samples else { return };
    for (at, raw) in chosen.kept {
        let read = match raw {
            None => None,
            Some(raw) => match state.queue.admit(1, 1) {
                Ok(ticket) => {
                    let job = |raw, answer| Job::reading(&service.reading, Ok(raw), answer);
                    state.queue.work(&ticket, [raw], job).await.ok().and_then(|mut read| read.pop())
                }
                Err(_) => None,
            },
        };
        let kept = records.get(at).map(|record| samples.keep(record, &service.sets, read.as_ref()));
        if let Some(Err(error)) = kept {
            state.report.warn(format_args!("a record of --sample-to is not written: {error}"));
        }
    }
}

/// What the records of a classifier have in common.
fn layout(classifier: &Classifier) -> Layout {
    let set = |set: &crate::labels::LabelSet| SetLayout {
        name: set.name.clone(),
        labels: set.labels.iter().map(|label| label.name.clone()).collect(),
    };
    Layout {
        sets: classifier.sets().iter().map(set).collect(),
        top_k: usize::MAX,
        model: classifier.model().to_string(),
        columns: Vec::new(),
    }
}

/// Lines of JSON in the form that is wanted.
pub(super) fn written(lines: Vec<String>, form: AnswerForm) -> Response {
    let (kind, text) = match form {
        AnswerForm::One => ("application/json", lines.concat()),
        AnswerForm::Lines => ("application/x-ndjson", lines.concat()),
        AnswerForm::Many => {
            let records: Vec<&str> = lines.iter().map(|line| line.trim_end()).collect();
            ("application/json", format!("{{\"records\":[\n{}\n]}}\n", records.join(",\n")))
        }
    };
    ([(CONTENT_TYPE, HeaderValue::from_static(kind))], text).into_response()
}
