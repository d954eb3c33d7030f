//! What all handlers share.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::Request;
use axum::http::StatusCode;
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::time::timeout;

use super::Served;
use super::body::{BodyLimits, ReadBody};
use super::connection::InHand;
use super::failure::Failure;
use super::feedback::Verdicts;
use super::gate::Gate;
use super::index::ServedIndex;
use super::labels::{self, Classifiers, Wanted};
use super::metrics::Metrics;
use super::queue::Queue;
use super::samples::Sampling;
use super::work::Job;
use crate::classifier::{Classifier, LoadedModel, RankingSpec, Selection};
use crate::intake::Reading;
use crate::knowledge::VectorModel;
use crate::labels::LabelSet;
use crate::report::Report;

/// What all handlers share.
pub(super) struct State {
    pub(super) queue: Queue,
    pub(super) gate: Gate,
    pub(super) bodies: BodyLimits,
    /// How long an answer may take.
    pub(super) timeout: Duration,
    pub(super) metrics: Arc<Metrics>,
    pub(super) report: Arc<Report>,
    /// `None` while the model is loading.
    pub(super) served: watch::Receiver<Option<Arc<Service>>>,
    pub(super) stopping: watch::Receiver<bool>,
    pub(super) in_hand: InHand,
    pub(super) classifiers: Mutex<Classifiers>,
    pub(super) verdicts: Mutex<Verdicts>,
    pub(super) samples: Option<Sampling>,
    pub(super) index: Option<Arc<ServedIndex>>,
}

/// The model that is served.
pub(super) struct Service {
    pub(super) loaded: Arc<LoadedModel>,
    /// The spec without labels.
    pub(super) selection: Selection,
    /// Of the server's own labels.
    pub(super) classifier: Option<Arc<Classifier>>,
    /// The model as an index knows it, where it gives vectors and there is an index.
    pub(super) of_vectors: Option<VectorModel>,
    /// How documents are read.
    pub(super) reading: Arc<Reading>,
    /// The names of its label sets.
    pub(super) sets: Vec<Arc<str>>,
    /// When it was loaded, in seconds since 1970.
    pub(super) since: u64,
}

impl Service {
    pub(super) fn new(Served { selection, loaded, classifier, of_vectors }: Served) -> Self {
        let sets = classifier.iter().flat_map(Classifier::sets).map(|set| Arc::from(set.name.as_str())).collect();
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |past| past.as_secs());
        let reading = Arc::new(selection.reading.clone());
        Self { loaded, reading, selection, classifier: classifier.map(Arc::new), of_vectors, sets, since }
    }

    /// How many pairs a document is to the model: a reranker reads it with each label.
    pub(super) fn pairs_of(&self, classifier: &Classifier) -> usize {
        match self.loaded.is_of_pairs() {
            true => classifier.sets().iter().map(|set| set.labels.len()).sum(),
            false => 1,
        }
    }

    /// Refuses the name of another model: its vectors or scores would be taken for those of that one.
    ///
    /// # Errors
    /// When it is another.
    pub(super) fn check_model(&self, asked: Option<&str>) -> Result<(), Failure> {
        let own = self.loaded.id();
        let is_own = |name: &str| {
            name.is_empty()
                || name == own
                || own.rsplit('/').next() == Some(name)
                || ["mailsort", "default"].contains(&name)
        };
        match asked.filter(|name| !is_own(name)) {
            None => Ok(()),
            Some(other) => Err(Failure::new(
                StatusCode::NOT_FOUND,
                format!("the model {other:?} is not served here; this server has {own:?}"),
            )
            .about("model")),
        }
    }
}

impl State {
    /// The model; waits while it is loading.
    ///
    /// # Errors
    /// When it cannot be loaded, or the server stops before it is.
    pub(super) async fn service(&self) -> Result<Arc<Service>, Failure> {
        let (mut served, mut stopping) = (self.served.clone(), self.stopping.clone());
        tokio::select! {
            // A request that came before the signal is answered where the model is there.
            biased;
            service = served.wait_for(Option::is_some) => {
                service.ok().and_then(|service| service.clone()).ok_or_else(Failure::stopping)
            }
            _ = stopping.wait_for(|stops| *stops) => Err(Failure::stopping()),
        }
    }

    /// The model, if it is loaded.
    pub(super) fn service_now(&self) -> Option<Arc<Service>> {
        self.served.borrow().clone()
    }

    /// True from the signal on that ends the server.
    pub(super) fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// A body in JSON, and the room that it takes as long as its request lasts.
    ///
    /// # Errors
    /// When it cannot be read, or says something else than is asked.
    pub(super) async fn json<T: DeserializeOwned>(&self, request: Request) -> Result<(T, ReadBody), Failure> {
        let (parts, body) = request.into_parts();
        let body = self.bodies.read(&parts.headers, body).await?;
        Ok((body.json()?, body))
    }

    /// What answers a request, within the time that one may take. When it is dropped, its work is dropped too.
    pub(super) async fn in_time<T>(&self, answer: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        timeout(self.timeout, answer).await.unwrap_or_else(|_| {
            let message =
                format!("the answer takes longer than {} s (--timeout); send less at once", self.timeout.as_secs_f64());
            Err(Failure::new(StatusCode::SERVICE_UNAVAILABLE, message))
        })
    }

    pub(super) fn classifiers(&self) -> std::sync::MutexGuard<'_, Classifiers> {
        self.classifiers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn verdicts(&self) -> std::sync::MutexGuard<'_, Verdicts> {
        self.verdicts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The classifier for the labels of a request, or for those of the server.
    ///
    /// # Errors
    /// When there are none, the model cannot read them, or the server is busy.
    pub(super) async fn classifier(
        &self,
        service: &Service,
        given: Option<Vec<LabelSet>>,
        wanted: Wanted,
    ) -> Result<Arc<Classifier>, Failure> {
        let own = service.selection.ranking;
        let threshold = wanted.threshold.or(own.threshold);
        let ranking = RankingSpec { top_k: wanted.top_k, threshold, ..own };
        let key = labels::key(given.as_deref(), &ranking).map_err(|error| Failure::of(&error).about("labels"))?;
        if let Some(known) = self.classifiers().get(&key) {
            return Ok(known);
        }
        let made = match (given, &service.classifier) {
            (None, Some(classifier)) => classifier.ranked(ranking),
            (None, None) => {
                return Err(Failure::bad(
                    "there are no labels: send `labels` with the request, or start the server with --labels FILE",
                )
                .about("labels"));
            }
            (Some(sets), _) => {
                let mut selection = service.selection.with_sets(sets);
                selection.ranking = ranking;
                let ticket = self.queue.admit(1, selection.sets.iter().map(|set| set.labels.len()).sum())?;
                let made = self.queue.work(&ticket, [selection], Job::labels).await?;
                let made = made.into_iter().next().ok_or_else(Failure::stopping)?;
                match made {
                    Ok(made) => made,
                    Err(error) if service.loaded.is_remote() => {
                        self.report.warn(format_args!("{error:#}"));
                        return Err(Failure::unanswered());
                    }
                    Err(error) => return Err(Failure::of(&error).about("labels")),
                }
            }
        };
        let made = Arc::new(made);
        self.classifiers().keep(key, made.clone());
        Ok(made)
    }
}
