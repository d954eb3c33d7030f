//! Opens a classifier and tells the user what happens meanwhile.

use anyhow::{Result, ensure};
use rayon::ThreadPool;

use crate::classifier::{Classifier, LabelSource, LoadedModel, ModelSpec, Observer, RankingSpec, Selection, Spec};
use crate::cli::Verbosity;
use crate::engine::hub::DownloadProgress;
use crate::intake::Reading;
use crate::knowledge::VectorModel;
use crate::report::{Downloads, Report};

/// How passages are put to a model: by themselves, in its prompt for what is looked for.
const TEMPLATE: &str = "passage 1";
/// What the order of a model counts beside that of keywords, as measured by benches/retrieval.py.
const TRUST_BUILTIN: f32 = 0.25;
const TRUST_DEEP: f32 = 0.8;

impl Observer for Report {
    fn warn(&self, message: &str) {
        Report::warn(self, message);
    }

    fn say(&self, message: &str) {
        Report::say(self, message);
    }
}

impl DownloadProgress for Downloads {
    fn begin(&self, file: &str, total: Option<u64>, there: u64) {
        Downloads::begin(self, file, total, there);
    }

    fn place(&self, bytes: u64) {
        Downloads::place(self, bytes);
    }

    fn end(&self) {
        Downloads::end(self);
    }

    fn note(&self, message: &str) {
        Downloads::note(self, message);
    }
}

/// Opens a classifier whose scores are probabilities, on the threads of `pool`.
///
/// # Errors
/// When labels, flags or the model cannot be used.
pub(super) fn open(spec: &Spec, pool: &ThreadPool, report: &Report, verbosity: &Verbosity) -> Result<Classifier> {
    open_selection(&Selection::read(spec)?, false, pool, report, verbosity)
}

/// As [`open`], for labels that were read. `identified` says that the model is to be told from others.
///
/// # Errors
/// When flags or the model cannot be used.
pub(super) fn open_selection(
    selection: &Selection,
    identified: bool,
    pool: &ThreadPool,
    report: &Report,
    verbosity: &Verbosity,
) -> Result<Classifier> {
    let plan = selection.plan(report, &verbosity.downloads())?;
    for set in selection.sets.iter().filter(|set| set.labels.len() == 1 && !selection.is_independent(&plan)) {
        report.warn(format_args!(
            "the label set {:?} has one label, so its score is always 1; add a label for the rest",
            set.name
        ));
    }
    pool.install(|| Classifier::load(selection, &plan, identified, report))
}

/// Loads a model for vectors, on the threads of `pool`.
///
/// # Errors
/// When flags or the model cannot be used, or it is a reranker, which gives none.
pub(super) fn open_embedder(
    model: ModelSpec,
    pool: &ThreadPool,
    report: &Report,
    verbosity: &Verbosity,
) -> Result<LoadedModel> {
    let loaded = open_bare(model, pool, report, verbosity)?;
    ensure!(!loaded.is_of_pairs(), "--model {} is a reranker; name one that gives vectors", loaded.id());
    Ok(loaded)
}

/// As [`open_embedder`], for a model that reads a question with a passage.
///
/// # Errors
/// When flags or the model cannot be used, or it is no reranker.
pub(super) fn open_reranker(
    model: ModelSpec,
    pool: &ThreadPool,
    report: &Report,
    verbosity: &Verbosity,
) -> Result<LoadedModel> {
    let loaded = open_bare(model, pool, report, verbosity)?;
    ensure!(loaded.is_of_pairs(), "--rerank {} is no reranker", loaded.id());
    Ok(loaded)
}

fn open_bare(model: ModelSpec, pool: &ThreadPool, report: &Report, verbosity: &Verbosity) -> Result<LoadedModel> {
    let (labels, reading, ranking) = (LabelSource::Sets(Vec::new()), Reading::default(), RankingSpec::default());
    let selection = Selection::read(&Spec { labels, model, reading, ranking })?;
    let plan = selection.plan(report, &verbosity.downloads())?;
    pool.install(|| plan.load(true, report))
}

/// A model as an index remembers it.
pub(super) fn index_model(loaded: &LoadedModel) -> VectorModel {
    let trust = match loaded.id() {
        "builtin" => TRUST_BUILTIN,
        "deep" => TRUST_DEEP,
        _ => VectorModel::TRUST,
    };
    VectorModel {
        id: loaded.id().into(),
        revision: loaded.fingerprint(),
        dims: loaded.passage_dims(),
        template: TEMPLATE.into(),
        trust,
    }
}
