//! `mailsort train`: learns a classifier from labelled samples and writes it to a file.

mod embed;
mod judge;
mod screen;

use std::collections::BTreeSet;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};

use crate::classifier::linear::{
    self, About, LabelWeights, Needs, Settings, TrainedClassifier, Training, TrainingResult, TrainingSample,
};
use crate::classifier::{Budget, LoadedEmbedding, Selection, Spec, cleaning_steps};
use crate::cli::{Learning, NGramsFlag, Train};
use crate::engine::BUILTIN;
use crate::labels::{Label, LabelSet};
use crate::output::Sink;
use crate::record::label_key;
use crate::report::Report;
use crate::stream::{self, OutputGuard, Stop};
use embed::{Embedded, How};

/// The batch of a fast model: enough samples for every thread.
const FAST: Budget = Budget { documents: 512, tokens: usize::MAX };

/// Runs the command.
///
/// # Errors
/// When the samples, the model or the output cannot be used, or there is nothing to learn.
pub(super) fn run(arguments: &Train) -> Result<ExitCode> {
    let Train { samples, learning, model, cleaning, output, run } = arguments;
    let mut report = Report::new(output.verbosity.level(), output.verbosity.progress);
    let spec = Spec { model: model.spec(), reading: cleaning.reading(), ..Spec::default() };
    check(arguments, &spec)?;
    let descriptions = match &learning.labels {
        Some(file) => LabelSet::read(file, samples.tables.encoding)?.labels,
        None => Vec::new(),
    };
    let pool = stream::pool(run.threads)?;
    let gathered = stream::gather(&samples.spec(), &spec.reading, &pool, &report)?;
    let given = gathered.samples.len() + gathered.left_out;
    let kept = screen::screened(gathered.samples, &report)?;
    let texts = kept.iter().map(|kept| linear::text_hash(&kept.text)).collect();
    let selection = Selection::read(&spec)?;
    let plan = selection.plan(&report, &output.verbosity.downloads())?;
    let opened = pool.install(|| plan.load_embedding(&report))?;
    let reads_words = match learning.ngrams {
        NGramsFlag::Auto => !plan.is_slow(),
        NGramsFlag::On => true,
        NGramsFlag::Off => false,
    };
    let stop = Stop::listen()?;
    let budget = if plan.is_slow() { plan.budget() } else { FAST };
    let how = How { instruct: model.instruct.as_deref(), reads_words, budget, pool: &pool };
    report.begin();
    let embedded = embed::embedded(&opened.embeddings, kept, how, &stop, &mut report)?;
    if stop.is_asked() {
        report.stopped("nothing was written");
        return Ok(stop.exit_code());
    }
    let labels = screen::labels(&embedded, &report)?;
    warn_of_unused(&descriptions, &labels, &report);
    let samples = numbered(embedded, &labels);
    let mut settings = settings(learning, &samples, reads_words);
    let link = settings.link;
    settings.prior = pool.install(|| opened.embeddings.prior(&described(&labels, &descriptions)))?;
    let trained = pool.install(|| fitted(&samples, labels.len(), settings, &stop, &report));
    if stop.is_asked() {
        report.stopped("nothing was written");
        return Ok(stop.exit_code());
    }
    let trained = trained?;
    let judged = judge::judge(&trained, &samples, &labels, link);
    let about = About {
        model: needs(&opened, arguments, &trained.model),
        cleaning: cleaning_steps(spec.reading.switches),
        min_text: spec.reading.min_text,
        training: training(&trained, &samples, learning, &texts),
        validation: judged.validation.clone(),
        labels: judged.learned.clone(),
    };
    let file = TrainedClassifier { about, model: trained.model }.to_json()?;
    Sink::put(Some(&output.output), |mut target| target.write_all(file.as_bytes()))?;
    judge::warn(&judged, &report);
    if samples.len() < given {
        report.say(format_args!(
            "learned from {} of {given} samples; why not from the others stands above",
            samples.len()
        ));
    }
    let ended = report.finish();
    if !output.verbosity.quiet {
        let mut out = Sink::standard_output();
        judged.table(&output.output, file.len()).write(&mut out).context("cannot write the output")?;
        out.finish().context("cannot write the output")?;
    }
    Ok(ended)
}

/// Checks flags and outputs before anything is read.
///
/// # Errors
/// When flags contradict each other, or an output cannot be written or would replace an input.
fn check(Train { samples, model, output, .. }: &Train, spec: &Spec) -> Result<()> {
    ensure!(model.shortlist.is_none(), "--shortlist is for rerankers; a classifier is learned from vectors");
    ensure!(output.output.as_os_str() != "-", "the table goes to standard output; name a file with --output");
    let read = samples.samples.iter().chain(&samples.maildirs).cloned().chain(spec.model.files());
    OutputGuard::new(Some(&output.output)).spare(read.filter(|path| path.exists()))?;
    Sink::check(Some(&output.output), false)?;
    if output.verbosity.quiet { Ok(()) } else { Sink::check(None, false) }
}

/// The labels of the samples, with what the label file says about them.
fn described(labels: &[Arc<str>], descriptions: &[Label]) -> Vec<Label> {
    let of = |name: &Arc<str>| {
        let known = descriptions.iter().find(|label| label_key(&label.name) == label_key(name));
        known.cloned().unwrap_or_else(|| Label::named(name.clone()))
    };
    labels.iter().map(of).collect()
}

/// Warns of labels of the label file that no sample has.
fn warn_of_unused(descriptions: &[Label], labels: &[Arc<str>], report: &Report) {
    let is_used = |label: &Label| labels.iter().any(|name| label_key(name) == label_key(&label.name));
    let unused: Vec<&str> = descriptions.iter().filter(|label| !is_used(label)).map(|label| &*label.name).collect();
    if !unused.is_empty() {
        report.warn(format_args!("no sample has the labels {unused:?} of the label file; they are not learned"));
    }
}

/// Trains, and says how far it is.
fn fitted(
    samples: &[TrainingSample],
    labels: usize,
    settings: Settings,
    stop: &Stop,
    report: &Report,
) -> Result<TrainingResult> {
    if linear::is_closed_form(labels, samples.len()) {
        report.say(format_args!(
            "{labels} labels are learned by a linear discriminant; logistic regression would take hours"
        ));
    }
    let fitting = report.fitting();
    linear::train(samples, labels, settings, &|fits| {
        fitting.show(fits.done, fits.most);
        stop.is_asked()
    })
}

/// The samples with label indices. `labels` is sorted.
fn numbered(embedded: Vec<Embedded>, labels: &[Arc<str>]) -> Vec<TrainingSample> {
    let number = |label: &Arc<str>| labels.binary_search(label).ok();
    let sample = |Embedded { vector, counts, labels, weight }: Embedded| TrainingSample {
        vector,
        counts,
        labels: labels.iter().filter_map(number).collect(),
        weight,
    };
    embedded.into_iter().map(sample).collect()
}

fn settings(learning: &Learning, samples: &[TrainingSample], ngrams: bool) -> Settings {
    let several = samples.iter().any(|sample| sample.labels.len() > 1);
    Settings {
        link: if several { linear::Link::Sigmoid } else { linear::Link::Softmax },
        seed: learning.seed,
        folds: learning.folds,
        c: learning.c,
        ngrams,
        label_weights: learning.label_weights,
        prior: None,
    }
}

/// What the classifier needs in order to be used.
fn needs(opened: &LoadedEmbedding, arguments: &Train, model: &linear::LinearModel) -> Needs {
    let LoadedEmbedding { embeddings, key } = opened;
    let flags = &arguments.model;
    Needs {
        id: key.id.clone(),
        name: flags.source.model.clone().unwrap_or_else(|| BUILTIN.into()),
        revision: key.revision.clone(),
        is_commit: !key.is_path && key.id != BUILTIN,
        dtype: key.dtype.clone(),
        dims: model.dims,
        asked_dims: flags.dims,
        instruct: flags.instruct.clone().filter(|_| key.id != BUILTIN),
        max_tokens: embeddings.max_tokens,
    }
}

fn training(
    trained: &linear::TrainingResult,
    samples: &[TrainingSample],
    learning: &Learning,
    texts: &BTreeSet<u64>,
) -> Training {
    let label_weights = match learning.label_weights {
        LabelWeights::Balanced => "balanced",
        LabelWeights::None => "none",
    };
    Training {
        samples: samples.len(),
        seed: learning.seed,
        c: trained.c,
        label_weights: label_weights.into(),
        texts: Training::stored(texts),
    }
}
