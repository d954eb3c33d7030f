//! `POST /v1/search`: passages of the index that answer a question, as `mailsort search --format jsonl` prints them.

use std::path::Path;
use std::sync::Arc;

use anyhow::anyhow;
use axum::Json;
use axum::extract::{Request, State as Shared};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::on;
use serde::Deserialize;

use super::HttpRoute;
use super::rerank::failed;
use crate::classifier::Made;
use crate::intake;
use crate::knowledge::passages::PassageKind;
use crate::knowledge::{self, AnswerObject, Filters, Index, Mode, Query, SearchAnswer, VectorModel};
use crate::platform;
use crate::record::Reason;
use crate::serve::failure::Failure;
use crate::serve::index::ServedIndex;
use crate::serve::state::{Service, State};
use crate::serve::work::{Job, Pair};

pub(super) static ROUTE: HttpRoute =
    HttpRoute { method: Method::POST, paths: &["/v1/search"], handler: |filter| on(filter, search) };

/// Longest question in bytes. What is longer is a document.
const LONGEST_QUERY: usize = 10_000;
/// Passages of an answer, and those that a reranker reads.
const MOST_PASSAGES: usize = 100;
const USUAL_PASSAGES: usize = 10;
const USUAL_RERANKED: usize = 20;
/// How often a question is asked again because the index was given another model meanwhile.
const TRIES: usize = 3;

/// A request.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    query: String,
    top: Option<usize>,
    #[serde(default)]
    mode: Mode,
    #[serde(default)]
    filters: GivenFilters,
    instruct: Option<String>,
    #[serde(default)]
    rerank: bool,
    rerank_top: Option<usize>,
    #[serde(default)]
    every_passage: bool,
    #[serde(default)]
    explain: bool,
}

/// Which documents are searched, in the words of the flags of `mailsort search`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct GivenFilters {
    from: Option<String>,
    since: Option<String>,
    until: Option<String>,
    path: Option<String>,
    label: Option<String>,
    kind: Option<PassageKind>,
}

impl GivenFilters {
    fn read(self) -> Result<Filters, Failure> {
        let day = |day: Option<String>, name: &'static str| {
            let read = |day: String| {
                intake::mail::day(&day)
                    .ok_or_else(|| Failure::bad(format!("{name} is a day such as 2024-06-17, not {day:?}")).about(name))
            };
            day.map(read).transpose()
        };
        // Paths stand in the index in full. Nothing is read there.
        let path = |path: String| {
            let whole =
                platform::absolute(Path::new(&path)).map_err(|_| Failure::bad("path is empty").about("path"))?;
            Ok(intake::shown(&whole).to_string())
        };
        Ok(Filters {
            from: self.from,
            since: day(self.since, "since")?,
            until: day(self.until, "until")?,
            path: self.path.map(path).transpose()?,
            label: self.label,
            kind: self.kind,
        })
    }
}

/// A question that was checked.
struct CheckedQuestion {
    query: Query,
    /// How many passages are shown.
    top: usize,
    instruct: Option<Arc<str>>,
    /// How many passages a reranker reads.
    reranked: Option<usize>,
    explains: bool,
}

impl CheckedQuestion {
    /// # Errors
    /// When it is none, or asks for too much.
    fn read(asked: Asked) -> Result<Self, Failure> {
        let Asked { query: text, top, mode, filters, instruct, rerank, rerank_top, every_passage, explain } = asked;
        if text.trim().is_empty() {
            return Err(Failure::bad("`query` is empty").about("query"));
        }
        if text.len() > LONGEST_QUERY {
            let message = format!("`query` is longer than {LONGEST_QUERY} bytes; ask a question of a few sentences");
            return Err(Failure::bad(message).about("query"));
        }
        let instruct = instruct.map(|text| text.trim().to_string()).filter(|text| !text.is_empty());
        if instruct.as_ref().is_some_and(|text| text.contains(['\n', '\r']) || text.len() > LONGEST_QUERY) {
            let message = format!("`instruct` is one line of at most {LONGEST_QUERY} bytes");
            return Err(Failure::bad(message).about("instruct"));
        }
        if rerank_top.is_some() && !rerank {
            return Err(Failure::bad("`rerank_top` needs \"rerank\": true").about("rerank_top"));
        }
        let (top, filters) = (bounded(top, USUAL_PASSAGES, "top")?, filters.read()?);
        let most = bounded(rerank_top, USUAL_RERANKED, "rerank_top")?;
        let reranked = rerank.then_some(most);
        // A reranker may find the best among those that would not be shown.
        let query = Query { text, mode, top: top.max(reranked.unwrap_or_default()), filters, every_passage };
        Ok(Self { query, top, instruct: instruct.map(Arc::from), reranked, explains: explain })
    }
}

fn bounded(asked: Option<usize>, usual: usize, name: &'static str) -> Result<usize, Failure> {
    let asked = asked.unwrap_or(usual);
    if (1..=MOST_PASSAGES).contains(&asked) {
        return Ok(asked);
    }
    Err(Failure::bad(format!("`{name}` is 1 to {MOST_PASSAGES}")).about(name))
}

async fn search(Shared(state): Shared<Arc<State>>, request: Request) -> Result<Response, Failure> {
    let (asked, _room) = state.json(request).await?;
    let question = CheckedQuestion::read(asked)?;
    let index = state.index.as_ref().ok_or_else(|| {
        let message =
            "this server has no index; make one with `mailsort index`, and start the server with --index FILE";
        Failure::new(StatusCode::NOT_FOUND, message)
    })?;
    state.in_time(answer(&state, index, question)).await
}

async fn answer(state: &State, index: &ServedIndex, mut question: CheckedQuestion) -> Result<Response, Failure> {
    let service = state.service().await?;
    if question.reranked.is_some() && !service.loaded.is_of_pairs() {
        let message = format!(
            "this server has {}, which is no reranker: leave `rerank` out, or start the server with one, such as --model \
             qwen3-reranker-0.6b",
            service.loaded.id()
        );
        return Err(Failure::bad(message).about("rerank"));
    }
    let own = service.selection.model.instruct.as_deref();
    question.instruct = question.instruct.or_else(|| own.map(Arc::from));
    let mut found = state.found(&service, index, &question).await?;
    if let Some(most) = question.reranked {
        state.reranked(&question, most, &mut found).await?;
        found.hits.truncate(question.top);
    }
    Ok(Json(AnswerObject::new(&question.query.text, &found, question.explains)).into_response())
}

/// What a search gave, or that the vectors of the index are not of the model for which it was asked any more.
enum Searched {
    Answer(SearchAnswer),
    OtherModel,
}

impl State {
    /// The passages in the order of the index.
    async fn found(
        &self,
        service: &Service,
        index: &ServedIndex,
        question: &CheckedQuestion,
    ) -> Result<SearchAnswer, Failure> {
        let mode = question.query.mode;
        let mut vector = None;
        for _ in 0..TRIES {
            let is_by_meaning = match mode {
                Mode::Keyword => false,
                _ => self.searches_by_meaning(service, index, mode == Mode::Semantic).await?,
            };
            if is_by_meaning && vector.is_none() {
                vector = self.question_vector(service, question).await?;
                if vector.is_none() && mode == Mode::Semantic {
                    // The model knows no word of it.
                    return Ok(SearchAnswer { answered: true, ..SearchAnswer::default() });
                }
            }
            let vector = vector.as_deref().filter(|_| is_by_meaning);
            let mode = if vector.is_some() { mode } else { Mode::Keyword };
            let query = Query { mode, ..question.query.clone() };
            let of_vectors = service.of_vectors.as_ref().filter(|_| vector.is_some());
            let searched = index.with(|index| searched(index, &query, vector, of_vectors)).await;
            if let Searched::Answer(answer) = searched.map_err(|error| self.unreadable(&error))? {
                return Ok(answer);
            }
        }
        Err(Failure::unanswered())
    }

    /// True where the vectors of the index are of the model that is served.
    ///
    /// # Errors
    /// When they are not, and only they are wanted.
    async fn searches_by_meaning(
        &self,
        service: &Service,
        index: &ServedIndex,
        is_needed: bool,
    ) -> Result<bool, Failure> {
        let known = index.with(Index::model).await.map_err(|error| self.unreadable(&error))?;
        let message = match (known, &service.of_vectors) {
            (Some(known), Some(own)) if known.is_same(own) => return Ok(true),
            (Some(known), own) => format!(
                "the vectors of the index are of {}, and this server has {}: ask with mode hybrid or keyword, or start the \
                 server with --model {}, or make new vectors with `mailsort index --reembed`",
                known.name(),
                own.as_ref().map_or_else(|| service.loaded.id().to_string(), VectorModel::name),
                known.id
            ),
            (None, _) => "the index has no vectors: ask with mode hybrid or keyword, or run `mailsort index` without \
                          --no-vectors"
                .to_string(),
        };
        if is_needed { Err(Failure::bad(message).about("mode")) } else { Ok(false) }
    }

    /// The vector of a question; none where the model knows no word of it.
    async fn question_vector(
        &self,
        service: &Service,
        question: &CheckedQuestion,
    ) -> Result<Option<Vec<f32>>, Failure> {
        let ticket = self.queue.admit(1, 1)?;
        let job = Job::question(question.instruct.clone());
        let made = self.queue.work(&ticket, [question.query.text.clone()], job).await?;
        match made.into_iter().next() {
            Some(Ok(Made { value, tokens, truncated })) => {
                self.metrics.read(tokens, truncated);
                Ok(Some(service.loaded.passage_vector(&value)))
            }
            Some(Err(Reason::NoKnownWords | Reason::NoText)) => Ok(None),
            Some(Err(reason)) => Err(failed(0, &reason)),
            None => Err(Failure::unanswered()),
        }
    }

    /// Lets the model put the best passages in order. Where it cannot, they keep their order; only a server that is busy
    /// refuses.
    async fn reranked(&self, question: &CheckedQuestion, most: usize, found: &mut SearchAnswer) -> Result<(), Failure> {
        let texts: Vec<String> = found.texts(most).into_iter().map(String::from).collect();
        if texts.is_empty() {
            return Ok(());
        }
        let ticket = self.queue.admit(texts.len(), 1)?;
        let query: Arc<str> = question.query.text.as_str().into();
        let pair = |document| Pair { instruct: question.instruct.clone(), query: query.clone(), document };
        let probabilities = match self.queue.work(&ticket, texts.into_iter().map(pair), Job::relevance).await {
            Ok(made) => made
                .into_iter()
                .map(|made| {
                    let Made { value, tokens, truncated } = made.map_err(|reason| anyhow!("{reason}"))?;
                    self.metrics.read(tokens, truncated);
                    Ok(value)
                })
                .collect(),
            Err(stopping) if self.is_stopping() => return Err(stopping),
            Err(_) => Err(anyhow!("the model does not answer")),
        };
        found.rerank(most, probabilities);
        if let Some(error) = &found.rerank_error {
            self.report.warn(format_args!("passages are not reranked: {error}"));
        }
        Ok(())
    }

    /// What a client is told of an index that cannot be read; the user of the server is told why.
    fn unreadable(&self, error: &anyhow::Error) -> Failure {
        self.report.warn(format_args!("{error:#}"));
        Failure::new(StatusCode::SERVICE_UNAVAILABLE, "the index cannot be read now; the server's stderr says why")
    }
}

/// Searches, and looks afterwards whether the vectors are still of the model that they were of before.
fn searched(
    index: &Index,
    query: &Query,
    vector: Option<&[f32]>,
    of_vectors: Option<&VectorModel>,
) -> anyhow::Result<Searched> {
    let answer = knowledge::search(index, query, vector, None);
    let is_other = of_vectors.is_some_and(|own| match index.model() {
        Ok(Some(known)) => !known.is_same(own),
        Ok(None) => true,
        Err(_) => false,
    });
    if is_other { Ok(Searched::OtherModel) } else { answer.map(Searched::Answer) }
}
