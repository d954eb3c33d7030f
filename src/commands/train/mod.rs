//! `mailsort train`: learns a classifier from labelled samples, or from names and texts, and writes it to a file.

mod embed;
mod judge;
mod names;
mod screen;

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use rayon::ThreadPool;

use crate::classifier::linear::{
    self, About, LabelWeights, LearnedLabel, LinearModel, Needs, Prior, Settings, TrainedClassifier, Training,
    TrainingResult, TrainingSample, Validation,
};
use crate::classifier::{Budget, LoadedEmbedding, Selection, Spec, cleaning_steps};
use crate::cli::{Learning, NGramsFlag, Train};
use crate::engine::remote::REVISION;
use crate::engine::{BUILTIN, is_embedded};
use crate::labels::{Label, LabelSet};
use crate::output::Sink;
use crate::output::trained::Table;
use crate::record::is_same_label;
use crate::report::Report;
use crate::stream::{self, OutputGuard, Stop};
use embed::{Embedded, How};
use screen::Kept;

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
    let set = learning.labels.as_ref().map(|file| LabelSet::read(file, samples.tables.encoding)).transpose()?;
    let pool = stream::pool(run.threads)?;
    let (kept, given) = samples_of(arguments, &spec, set.as_ref(), &pool, &report)?;
    let selection = Selection::read(&spec)?;
    let plan = selection.plan(&report, &output.verbosity.downloads())?;
    let opened = pool.install(|| plan.load_embedding(true, &report))?;
    let reads_words = match learning.ngrams {
        NGramsFlag::Auto => plan.reads_words(),
        NGramsFlag::On => true,
        NGramsFlag::Off => false,
    };
    let stop = Stop::listen()?;
    let from_names = set.as_ref().filter(|_| kept.iter().any(|kept| kept.labels.is_empty()));
    // Names are compared with texts as zero-shot classification does, which knows the instruction of the label file.
    let instruct = model.instruct.clone().or_else(|| from_names?.instruct.clone());
    let words = set.iter().flat_map(|set| &set.labels).map(|label| &label.name);
    let probe = kept.iter().flat_map(|kept| &kept.labels).chain(words).next().cloned().unwrap_or_default();
    let budget = if plan.is_slow() { plan.budget() } else { FAST };
    let how = How { instruct: instruct.as_deref(), reads_words, budget, pool: &pool, probe: &probe };
    report.begin();
    let embedded = embed::embedded(&opened.embeddings, kept, how, &stop, &mut report)?;
    if stop.is_asked() {
        report.stopped("nothing was written");
        return Ok(stop.exit_code());
    }
    let lesson = Lesson {
        learning,
        opened: &opened,
        instruct: instruct.as_deref(),
        reads_words,
        pool: &pool,
        stop: &stop,
        report: &report,
    };
    let made = match from_names {
        Some(set) => names::learned(&lesson, set, embedded)?,
        None => from_samples(&lesson, set.as_ref(), embedded, given)?,
    };
    let Some(Learned { model: classifier, training, validation, labels, table }) = made else {
        report.stopped("nothing was written");
        return Ok(stop.exit_code());
    };
    let about = About {
        model: needs(&opened, arguments, instruct.clone(), &classifier),
        cleaning: cleaning_steps(spec.reading.switches),
        min_text: spec.reading.min_text,
        training,
        validation,
        labels,
    };
    let file = TrainedClassifier { about, model: classifier }.to_json()?;
    Sink::put(Some(&output.output), |mut target| target.write_all(file.as_bytes()))?;
    let ended = report.finish();
    if !output.verbosity.quiet {
        let mut out = Sink::standard_output();
        table(&output.output, file.len()).write(&mut out).context("cannot write the output")?;
        out.finish().context("cannot write the output")?;
    }
    Ok(ended)
}

/// The samples to learn from, and how many were given.
///
/// # Errors
/// When none can be used, or their labels are not those of the label file.
fn samples_of(
    Train { samples, learning, .. }: &Train,
    spec: &Spec,
    set: Option<&LabelSet>,
    pool: &ThreadPool,
    report: &Report,
) -> Result<(Vec<Kept>, usize)> {
    let mut wanted = samples.spec();
    wanted.options.unlabelled = names::unlabelled(learning);
    let gathered = stream::gather(&wanted, &spec.reading, pool, report)?;
    names::check_field(&gathered.samples, &wanted.options)?;
    let given = gathered.samples.len() + gathered.left_out;
    let kept = names::screened(gathered.samples, set, learning.from_names, report)?;
    if let Some(set) = set {
        names::check_spelling(&kept, set, report)?;
    }
    Ok((kept, given))
}

/// What learning needs besides samples.
struct Lesson<'a> {
    learning: &'a Learning,
    opened: &'a LoadedEmbedding,
    instruct: Option<&'a str>,
    reads_words: bool,
    pool: &'a ThreadPool,
    stop: &'a Stop,
    report: &'a Report,
}

/// What was learned.
struct Learned {
    model: LinearModel,
    training: Training,
    validation: Option<Validation>,
    labels: Vec<LearnedLabel>,
    table: TableOf,
}

/// Makes the table for the file and its size in bytes.
type TableOf = Box<dyn FnOnce(&Path, usize) -> Table>;

/// Learns from labelled samples, of `given` ones. `None` where the run was stopped.
///
/// # Errors
/// When there is nothing to learn.
fn from_samples(
    lesson: &Lesson<'_>,
    set: Option<&LabelSet>,
    embedded: Vec<Embedded>,
    given: usize,
) -> Result<Option<Learned>> {
    let report = lesson.report;
    let descriptions = set.map_or(&[][..], |set| &set.labels);
    let labels = screen::labels(&embedded, report)?;
    check_descriptions(descriptions, &labels, report)?;
    let texts = embedded.iter().map(|sample| sample.hash).collect();
    let samples = numbered(embedded, &labels);
    let mut settings = lesson.settings(&samples);
    let link = settings.link;
    if linear::names_count(labels.len(), samples.len(), link) {
        settings.prior = names_of(lesson, &labels, set);
    }
    let trained = lesson.pool.install(|| fitted(&samples, labels.len(), settings, lesson.stop, report));
    if lesson.stop.is_asked() {
        return Ok(None);
    }
    let trained = trained?;
    let judged = judge::judge(&trained, &samples, &labels, link);
    judge::warn(&judged, report);
    if samples.len() < given {
        report.say(format_args!(
            "learned from {} of {given} samples; why not from the others stands above",
            samples.len()
        ));
    }
    Ok(Some(Learned {
        training: Training { samples: samples.len(), c: trained.c, ..lesson.training(&texts) },
        model: trained.model,
        validation: judged.validation.clone(),
        labels: judged.learned.clone(),
        table: Box::new(move |path, bytes| judged.table(path, bytes)),
    }))
}

/// Checks flags and outputs before anything is read.
///
/// # Errors
/// When flags contradict each other, or an output cannot be written or would replace an input.
fn check(Train { samples, learning, model, output, .. }: &Train, spec: &Spec) -> Result<()> {
    ensure!(model.shortlist.is_none(), "--shortlist is for rerankers; a classifier is learned from vectors");
    ensure!(output.output.as_os_str() != "-", "the table goes to standard output; name a file with --output");
    let read =
        samples.samples.iter().chain(&samples.maildirs).chain(&learning.labels).cloned().chain(spec.model.files());
    OutputGuard::new(Some(&output.output)).spare(read.filter(|path| path.exists()))?;
    Sink::check(Some(&output.output), false)?;
    if output.verbosity.quiet { Ok(()) } else { Sink::check(None, false) }
}

/// What the names of the samples' labels say, with what the label file says about them. Without it samples teach as
/// well, so that a label too long for the model ends nothing.
fn names_of(lesson: &Lesson<'_>, labels: &[Arc<str>], set: Option<&LabelSet>) -> Option<Prior> {
    let mut named = LabelSet::named(String::new(), labels.iter().cloned());
    for label in &mut named.labels {
        let described = set.and_then(|set| set.labels.iter().find(|known| is_same_label(&known.name, &label.name)));
        described.into_iter().for_each(|described| *label = described.clone());
    }
    let names = lesson.pool.install(|| lesson.opened.embeddings.names(&named, lesson.instruct));
    names.unwrap_or_else(|error| {
        lesson.report.warn(format_args!("the names of the labels do not count: {error:#}"));
        None
    })
}

/// Warns of labels of the label file that no sample has.
///
/// # Errors
/// When no sample has any: folders may be no labels.
fn check_descriptions(descriptions: &[Label], labels: &[Arc<str>], report: &Report) -> Result<()> {
    let unused = unused(descriptions, labels)?;
    if !unused.is_empty() {
        report.warn(format_args!("no sample has the labels {unused:?} of the label file; they are not learned"));
    }
    Ok(())
}

/// The labels of the label file that no sample has.
///
/// # Errors
/// When these are all of them.
fn unused<'a>(descriptions: &'a [Label], labels: &[Arc<str>]) -> Result<Vec<&'a str>> {
    let is_used = |label: &Label| labels.iter().any(|name| is_same_label(name, &label.name));
    let unused: Vec<&str> = descriptions.iter().filter(|label| !is_used(label)).map(|label| &*label.name).collect();
    ensure!(
        unused.is_empty() || unused.len() < descriptions.len(),
        "the samples have the labels {labels:?}, none of which is in the label file; if these folders are no labels, say \
         --from-names, and the names in the label file are learned"
    );
    Ok(unused)
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
    let sample = |Embedded { vector, counts, labels, weight, .. }: Embedded| TrainingSample {
        vector,
        counts,
        labels: labels.iter().filter_map(number).collect(),
        weight,
    };
    embedded.into_iter().map(sample).collect()
}

impl Lesson<'_> {
    fn settings(&self, samples: &[TrainingSample]) -> Settings {
        let learning = self.learning;
        let several = samples.iter().any(|sample| sample.labels.len() > 1);
        Settings {
            link: if several { linear::Link::Sigmoid } else { linear::Link::Softmax },
            seed: learning.seed,
            folds: learning.folds,
            c: learning.c,
            ngrams: self.reads_words,
            label_weights: learning.label_weights,
            prior: None,
        }
    }

    /// How a classifier is trained, before samples are counted.
    fn training(&self, texts: &BTreeSet<u64>) -> Training {
        let label_weights = match self.learning.label_weights {
            LabelWeights::Balanced => "balanced",
            LabelWeights::None => "none",
        };
        Training {
            samples: 0,
            seed: self.learning.seed,
            c: 0.0,
            label_weights: label_weights.into(),
            texts: Training::stored(texts),
            from_names: None,
        }
    }
}

/// What the classifier needs in order to be used.
fn needs(opened: &LoadedEmbedding, arguments: &Train, instruct: Option<String>, model: &LinearModel) -> Needs {
    let LoadedEmbedding { embeddings, key } = opened;
    let flags = &arguments.model;
    Needs {
        id: key.id.clone(),
        name: match flags.endpoint.is_empty() {
            true => flags.source.model.clone().unwrap_or_else(|| BUILTIN.into()),
            false => key.id.clone(),
        },
        revision: key.revision.clone(),
        is_commit: !key.is_path && !is_embedded(&key.id) && key.revision != REVISION,
        dtype: key.dtype.clone(),
        dims: model.dims,
        background: embeddings.background(),
        asked_dims: flags.dims,
        query_prefix: flags.query_prefix.clone(),
        instruct: instruct.filter(|_| !is_embedded(&key.id)),
        max_tokens: embeddings.max_tokens,
    }
}
