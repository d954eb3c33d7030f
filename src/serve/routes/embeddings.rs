//! `POST /v1/embeddings`: vectors of texts, as OpenAI gives them.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State as Shared};
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::response::{IntoResponse, Response};
use axum::routing::on;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::HttpRoute;
use super::rerank::{TRUNCATED, Truncation, Usage, failed};
use crate::engine::unit;
use crate::serve::documents::check_count;
use crate::serve::failure::Failure;
use crate::serve::state::{Service, State};
use crate::serve::work::Job;

pub(super) static ROUTE: HttpRoute =
    HttpRoute { method: Method::POST, paths: &["/v1/embeddings"], handler: |filter| on(filter, embeddings) };

/// A request. What clients send beside, such as `user`, is ignored.
#[derive(Deserialize)]
struct Asked {
    model: Option<String>,
    input: Value,
    encoding_format: Option<EncodingFormat>,
    dimensions: Option<usize>,
    #[serde(flatten)]
    truncation: Truncation,
}

/// How vectors are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum EncodingFormat {
    #[default]
    Float,
    /// Little-endian f32, which the client of OpenAI asks for.
    Base64,
}

#[derive(Serialize)]
#[serde(untagged)]
enum WrittenVector {
    Floats(Vec<f32>),
    Base64(String),
}

#[derive(Serialize)]
struct Embedded {
    object: &'static str,
    index: usize,
    embedding: WrittenVector,
}

#[derive(Serialize)]
struct Answer<'a> {
    object: &'static str,
    data: Vec<Embedded>,
    model: &'a str,
    usage: Usage,
}

async fn embeddings(Shared(state): Shared<Arc<State>>, request: Request) -> Result<Response, Failure> {
    let (asked, _room) = state.json(request).await?;
    state.in_time(answer(&state, asked)).await
}

async fn answer(state: &State, asked: Asked) -> Result<Response, Failure> {
    let texts = texts(asked.input)?;
    let service = state.service().await?;
    service.check_model(asked.model.as_deref())?;
    asked.truncation.check(service.loaded.max_tokens())?;
    let dims = dims(&service, asked.dimensions)?;
    let ticket = state.queue.admit(texts.len(), 1)?;
    let made = state.queue.work(&ticket, texts, Job::vector).await?;
    let (mut data, mut read, mut cut) = (Vec::new(), 0, 0usize);
    for (index, made) in made.into_iter().enumerate() {
        let made = made.map_err(|reason| failed(index, &reason))?;
        state.metrics.read(made.tokens, made.truncated);
        read += made.tokens;
        cut += usize::from(made.truncated);
        let vector = shortened(made.value, dims);
        let embedding = match asked.encoding_format.unwrap_or_default() {
            EncodingFormat::Float => WrittenVector::Floats(vector),
            EncodingFormat::Base64 => {
                let bytes: Vec<u8> = vector.iter().flat_map(|value| value.to_le_bytes()).collect();
                WrittenVector::Base64(BASE64_STANDARD.encode(bytes))
            }
        };
        data.push(Embedded { object: "embedding", index, embedding });
    }
    let mut headers = HeaderMap::new();
    headers.insert(TRUNCATED, HeaderValue::from(cut));
    let usage = Usage { prompt_tokens: read, total_tokens: read };
    Ok((headers, Json(Answer { object: "list", data, model: service.loaded.id(), usage })).into_response())
}

/// The texts of `input`.
///
/// # Errors
/// When there is none, or tokens stand in place of texts: those of another tokenizer would give a vector of other
/// words.
fn texts(input: Value) -> Result<Vec<String>, Failure> {
    let bad = |message: &str| Err(Failure::bad(message).about("input"));
    let texts = match input {
        Value::String(text) => vec![Value::String(text)],
        Value::Array(texts) => texts,
        _ => return bad("input must be a text or a list of texts"),
    };
    check_count(texts.len(), "input")?;
    let mut read = Vec::with_capacity(texts.len());
    for text in texts {
        match text {
            Value::String(text) if text.trim().is_empty() => {
                return bad("input must not hold an empty text");
            }
            Value::String(text) => read.push(text),
            Value::Number(_) | Value::Array(_) => {
                return bad(
                    "input must be text, and these are numbers of tokens, which mean other words in each model; with LangChain \
                     set check_embedding_ctx_length=False",
                );
            }
            _ => return bad("input must be a text or a list of texts"),
        }
    }
    if read.is_empty() { bad("input is empty") } else { Ok(read) }
}

/// A vector of length 1 that is cut to `dims`, where that is given, and of length 1 again.
fn shortened(mut vector: Vec<f32>, dims: Option<usize>) -> Vec<f32> {
    let Some(dims) = dims else { return vector };
    vector.truncate(dims);
    unit(vector)
}

/// The length of vectors that is asked for.
///
/// # Errors
/// When the model gives no vectors, or not of that length.
fn dims(service: &Service, asked: Option<usize>) -> Result<Option<usize>, Failure> {
    let loaded = &service.loaded;
    let Some(own) = loaded.dims() else {
        let message = format!(
            "{} is a reranker and gives no vectors; /rerank asks it, or start the server with an embedding",
            loaded.id()
        );
        return Err(Failure::bad(message).about("model"));
    };
    let most = loaded.most_dims();
    match asked {
        None => Ok(None),
        Some(asked) if asked == own => Ok(None),
        Some(asked) => match most {
            Some(most) if (32..=most).contains(&asked) => Ok(Some(asked)),
            Some(most) => {
                Err(Failure::bad(format!("dimensions is 32 to {most} for {}", loaded.id())).about("dimensions"))
            }
            None => {
                let message = format!(
                    "the vectors of {} have {own} dimensions and cannot be cut; leave dimensions out",
                    loaded.id()
                );
                Err(Failure::bad(message).about("dimensions"))
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn inputs() {
        let check = |input: Value, expected: Result<usize, &str>| match (texts(input.clone()), expected) {
            (Ok(texts), Ok(count)) => assert_eq!(texts.len(), count, "{input}"),
            (Err(failure), Err(why)) => assert!(format!("{failure:?}").contains(why), "{input} {failure:?}"),
            (found, expected) => panic!("{input}: {found:?} rather than {expected:?}"),
        };
        check(json!("a text"), Ok(1));
        check(json!(["a", "b"]), Ok(2));
        check(json!([1, 2]), Err("check_embedding_ctx_length"));
        check(json!([[1, 2], [3]]), Err("check_embedding_ctx_length"));
        check(json!([]), Err("empty"));
        check(json!(["a", " "]), Err("empty text"));
        check(json!({"text": "a"}), Err("a list of texts"));
        check(json!([null]), Err("a list of texts"));
    }
}
