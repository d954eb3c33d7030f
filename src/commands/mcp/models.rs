//! The models of the tools. Each is loaded when a call first needs it, so that a client does not wait for a large one when
//! it starts the server.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Result, bail, ensure};
use rayon::prelude::*;

use super::super::classify::layout;
use super::super::{opening, search};
use crate::classifier::{Classifier, LoadedModel, ModelSpec, PreparedDocument, RankingSpec, Selection};
use crate::cli::{Mcp, Verbosity};
use crate::intake::{self, Raw};
use crate::knowledge::{Index, Mode};
use crate::labels::LabelSet;
use crate::output::{TextFormat, Texts, json_line};
use crate::record::Skip;
use crate::report::Report;
use crate::serve::mcp::IsCancelled;
use crate::stream;

/// Something that is made when it is first asked for. What cannot be made is tried again at the next call.
struct Lazy<T>(Mutex<Option<Arc<T>>>);

impl<T> Default for Lazy<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Lazy<T> {
    fn get(&self, make: impl FnOnce() -> Result<T>) -> Result<Arc<T>> {
        self.get_if(|_| true, make)
    }

    /// The same, made anew where what is kept is not wanted any more.
    fn get_if(&self, is_wanted: impl Fn(&T) -> bool, make: impl FnOnce() -> Result<T>) -> Result<Arc<T>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = kept.as_ref().filter(|kept| is_wanted(kept)) {
            return Ok(kept.clone());
        }
        let made = Arc::new(make()?);
        *kept = Some(made.clone());
        Ok(made)
    }
}

/// The model of the flags, and a classifier for their labels if there are any.
struct OwnModel {
    loaded: Arc<LoadedModel>,
    classifier: Option<Classifier>,
}

/// The models, and what they need.
pub(super) struct ToolModels {
    selection: Selection,
    rerank: Option<ModelSpec>,
    own: Lazy<OwnModel>,
    /// For vectors, where that of the flags gives none or another one is needed.
    builtin: Lazy<LoadedModel>,
    of_index: Lazy<LoadedModel>,
    reranker: Lazy<LoadedModel>,
    pool: rayon::ThreadPool,
    report: Report,
    verbosity: Verbosity,
    turn: Mutex<()>,
}

impl ToolModels {
    /// Reads labels; loads nothing.
    ///
    /// # Errors
    /// When labels or flags cannot be used.
    pub(super) fn new(arguments: &Mcp, report: Report) -> Result<Self> {
        let selection = Selection::read(&arguments.spec())?;
        let rerank = arguments.flags.rerank.as_deref();
        Ok(Self {
            rerank: rerank.map(|model| search::reranker_spec(model, &selection.model)),
            selection,
            own: Lazy::default(),
            builtin: Lazy::default(),
            of_index: Lazy::default(),
            reranker: Lazy::default(),
            pool: stream::pool(arguments.run.threads)?,
            report,
            verbosity: arguments.verbosity.clone(),
            turn: Mutex::default(),
        })
    }

    pub(super) fn pool(&self) -> &rayon::ThreadPool {
        &self.pool
    }

    /// The instruction of the flags.
    pub(super) fn instruct(&self) -> Option<&str> {
        self.selection.model.instruct.as_deref()
    }

    pub(super) fn report(&self) -> &Report {
        &self.report
    }

    /// Names of the labels of the flags.
    pub(super) fn labels(&self) -> Vec<String> {
        self.selection.sets.iter().flat_map(|set| &set.labels).map(|label| label.name.to_string()).collect()
    }

    /// Whoever holds it uses a model. The memory of one is planned for one batch at a time.
    pub(super) fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The model of the flags.
    fn own(&self) -> Result<Arc<OwnModel>> {
        self.own.get(|| {
            let selection = &self.selection;
            if selection.is_trained() {
                let classifier = opening::open_selection(selection, false, &self.pool, &self.report, &self.verbosity)?;
                return Ok(OwnModel { loaded: classifier.loaded().clone(), classifier: Some(classifier) });
            }
            let plan = selection.plan(&self.report, &self.verbosity.downloads())?;
            // An index may be of this model, which shows only by all of its files.
            let loaded = Arc::new(self.pool.install(|| plan.load(true, &self.report))?);
            let has_labels = !selection.sets.is_empty();
            let classifier = has_labels.then(|| self.pool.install(|| Classifier::with_model(&loaded, selection)));
            Ok(OwnModel { loaded, classifier: classifier.transpose()? })
        })
    }

    /// What classifies by these labels, or by those of the flags.
    ///
    /// # Errors
    /// When there are no labels, or the model cannot be loaded or read them.
    pub(super) fn classifier(&self, sets: Option<Vec<LabelSet>>, top_k: usize) -> Result<Classifier> {
        if sets.is_none() && self.selection.sets.is_empty() {
            bail!("there are no `labels`: give some with the call, or start the server with `--labels FILE`");
        }
        let own = self.own()?;
        let ranking = RankingSpec { top_k, ..self.selection.ranking };
        match (sets, &own.classifier) {
            (None, Some(classifier)) => Ok(classifier.ranked(ranking)),
            (sets, _) => {
                let mut selection = self.selection.with_sets(sets.unwrap_or_default());
                selection.ranking = ranking;
                let _turn = self.turn();
                let made = self.pool.install(|| Classifier::with_model(&own.loaded, &selection));
                made.map_err(|error| error.context("`labels`"))
            }
        }
    }

    /// A model for vectors: that of the flags, or the built-in one where that is a reranker.
    ///
    /// # Errors
    /// When it cannot be loaded.
    pub(super) fn embedder(&self) -> Result<Arc<LoadedModel>> {
        let own = self.own()?;
        if !own.loaded.is_of_pairs() {
            return Ok(own.loaded.clone());
        }
        self.builtin.get(|| self.opened(ModelSpec { cache: None, ..ModelSpec::default() }))
    }

    fn opened(&self, spec: ModelSpec) -> Result<LoadedModel> {
        opening::open_embedder(spec, &self.pool, &self.report, &self.verbosity)
    }

    /// The model whose vectors are in the index, unless keywords suffice. One that the flags do not name is not
    /// downloaded.
    ///
    /// # Errors
    /// When it cannot be loaded, or has changed.
    pub(super) fn embedder_of(&self, index: &Index, mode: Mode) -> Result<Option<Arc<LoadedModel>>> {
        let Some(known) = index.model()?.filter(|_| mode != Mode::Keyword) else { return Ok(None) };
        // A model has several names, so that of the flags is asked first.
        let own = self.own()?;
        if !own.loaded.is_of_pairs() && known.is_same(&opening::index_model(&own.loaded)) {
            return Ok(Some(own.loaded.clone()));
        }
        let flags = &self.selection.model;
        let is_kept = |kept: &LoadedModel| kept.id() == known.id;
        let model = self.of_index.get_if(is_kept, || {
            let (device, dtype) = (flags.device, flags.dtype);
            let spec =
                ModelSpec { model: Some(known.id.clone()), offline: true, device, dtype, ..ModelSpec::default() };
            self.opened(spec)
        })?;
        let remedy = "search with `mode` keyword, start the server with the model and the flags of the index, or make new \
                      vectors with `mailsort index --reembed`";
        ensure!(
            !model.is_of_pairs(),
            "{} is a reranker, and the index has vectors of {}; {remedy}",
            model.id(),
            known.id
        );
        let own = opening::index_model(&model);
        ensure!(
            known.is_same(&own),
            "the vectors of the index are of {}, and those of {} cannot be compared with them; {remedy}",
            known.name(),
            own.name()
        );
        Ok(Some(model))
    }

    /// The reranker of the flags. One that cannot be had is no end of a search.
    pub(super) fn reranker(&self) -> Option<Result<Arc<LoadedModel>>> {
        let spec = self.rerank.clone()?;
        let open = || opening::open_reranker(spec, &self.pool, &self.report, &self.verbosity);
        Some(self.reranker.get(open))
    }

    /// A record of each document, in order, as `mailsort classify` writes it.
    ///
    /// # Errors
    /// When the model cannot run, or the call was cancelled.
    pub(super) fn classified(
        &self,
        classifier: &Classifier,
        documents: Vec<Result<Raw, Skip>>,
        is_cancelled: &IsCancelled<'_>,
    ) -> Result<Vec<String>> {
        let prepare = |raw| classifier.prepare(classifier.read(raw));
        let prepared: Vec<PreparedDocument> = self.pool.install(|| documents.into_par_iter().map(prepare).collect());
        let layout = layout(classifier.sets(), classifier.model().to_string());
        let mut lines = Vec::with_capacity(prepared.len());
        let mut prepared = prepared.into_iter().peekable();
        while let Some(first) = prepared.next() {
            ensure!(!is_cancelled(), "the call was cancelled");
            let budget = classifier.budget();
            let mut tokens = classifier.tokens(&first);
            let mut batch = vec![first];
            while let Some(next) = prepared.next_if(|next| {
                batch.len() < budget.documents && tokens.saturating_add(classifier.tokens(next)) <= budget.tokens
            }) {
                tokens = tokens.saturating_add(classifier.tokens(&next));
                batch.push(next);
            }
            let _turn = self.turn();
            for verdict in self.pool.install(|| classifier.verdicts(batch))? {
                lines.push(json_line(&verdict, &layout)?);
            }
            classifier.troubles().iter().for_each(|trouble| self.report.warn(trouble));
        }
        Ok(lines)
    }

    /// What a model would see of each document, in order, as `mailsort show --removed` writes it.
    ///
    /// # Errors
    /// When the call was cancelled.
    pub(super) fn shown(
        &self,
        documents: Vec<Result<Raw, Skip>>,
        is_cancelled: &IsCancelled<'_>,
    ) -> Result<Vec<String>> {
        ensure!(!is_cancelled(), "the call was cancelled");
        let reading = &self.selection.reading;
        let line = |raw: Result<Raw, Skip>| {
            let mut line = Vec::new();
            let read = raw.and_then(|raw| intake::read(raw, reading));
            Texts::new(&mut line, TextFormat::Jsonl, true).write(&read)?;
            Ok(String::from_utf8_lossy(&line).into_owned())
        };
        self.pool.install(|| documents.into_par_iter().map(line).collect())
    }
}
