//! `mailsort train`: learns a classifier from labelled samples and writes it to a file.

mod embed;
mod judge;
mod screen;

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};

use super::model::{self, Embedding};
use super::stop::Stop;
use super::{classifier, inputs, samples, stream};
use crate::cli::{Learning, NGrams, Train};
use crate::engine::BUILTIN;
use crate::output::Target;
use crate::report::{Downloads, Report};
use crate::sorting::linear::{self, About, Classifier, LabelWeights, Needs, Sample, Settings, Training};
use embed::{Embedded, How};

/// Runs the command.
///
/// # Errors
/// When the samples, the model or the output cannot be used, or there is nothing to learn.
pub(super) fn run(arguments: &Train) -> Result<ExitCode> {
    let Train { samples, learning, engine, cleaning, output, run } = arguments;
    let downloads = Downloads::new(output.talk.level(), output.talk.progress);
    let mut report = Report::new(output.talk.level(), output.talk.progress);
    ensure!(engine.shortlist.is_none(), "--shortlist is for rerankers; a classifier is learned from vectors");
    ensure!(output.output.as_os_str() != "-", "the table goes to standard output; name a file with --output");
    let read = samples.samples.iter().chain(&samples.maildirs).cloned().chain(model::files(engine));
    inputs::Output::new(Some(&output.output)).spare(read.filter(|path| path.exists()))?;
    Target::check(Some(&output.output), false)?;
    let reading = cleaning.reading();
    let pool = stream::pool(run.threads)?;
    let kept = screen::screened(samples::gather(samples, &reading, &pool, &report)?.samples, &report)?;
    let plan = model::plan(engine, &report, &downloads)?;
    let opened = pool.install(|| plan.load_embedding(&report))?;
    let reads_words = match learning.ngrams {
        NGrams::Auto => !plan.is_slow(),
        NGrams::On => true,
        NGrams::Off => false,
    };
    let stop = Stop::listen()?;
    let slow = plan.is_slow().then(|| plan.piece());
    let how = How { instruct: engine.instruct.as_deref(), reads_words, slow, pool: &pool };
    report.begin();
    let embedded = embed::embedded(&opened.embeddings, kept, how, &stop, &mut report)?;
    if stop.is_asked() {
        report.stopped("nothing was written");
        return Ok(stop.exit_code());
    }
    let labels = screen::labels(&embedded, &report)?;
    let samples = numbered(embedded, &labels);
    let settings = settings(learning, &samples, reads_words);
    let trained = pool.install(|| linear::train(&samples, labels.len(), settings, &|| stop.is_asked()));
    if stop.is_asked() {
        report.stopped("nothing was written");
        return Ok(stop.exit_code());
    }
    let trained = trained?;
    let judged = judge::judge(&trained, &samples, &labels, settings.link);
    let about = About {
        model: needs(&opened, arguments, &trained.model),
        cleaning: classifier::named(reading.switches),
        min_text: reading.min_text,
        training: training(&trained, &samples, learning),
        validation: judged.validation.clone(),
        labels: judged.learned.clone(),
    };
    let file = Classifier { about, model: trained.model }.to_json()?;
    Target::put(Some(&output.output), |mut target| target.write_all(file.as_bytes()))?;
    judge::warn(&judged, &report);
    let ended = report.finish();
    if !output.talk.quiet {
        let mut out = Target::standard_output();
        judged.table(&output.output, file.len()).write(&mut out).context("cannot write the output")?;
        out.finish().context("cannot write the output")?;
    }
    Ok(ended)
}

/// The samples as the arithmetic takes them. `labels` ascend.
fn numbered(embedded: Vec<Embedded>, labels: &[Arc<str>]) -> Vec<Sample> {
    let number = |label: &Arc<str>| labels.binary_search(label).ok();
    let sample = |Embedded { vector, counts, labels, weight }: Embedded| Sample {
        vector,
        counts,
        labels: labels.iter().filter_map(number).collect(),
        weight,
    };
    embedded.into_iter().map(sample).collect()
}

fn settings(learning: &Learning, samples: &[Sample], ngrams: bool) -> Settings {
    let several = samples.iter().any(|sample| sample.labels.len() > 1);
    Settings {
        link: if several { linear::Link::Sigmoid } else { linear::Link::Softmax },
        seed: learning.seed,
        folds: learning.folds,
        c: learning.c,
        ngrams,
        label_weights: learning.label_weights,
    }
}

/// What the classifier needs in order to be used.
fn needs(opened: &Embedding, arguments: &Train, model: &linear::Linear) -> Needs {
    let Embedding { embeddings, key } = opened;
    let flags = &arguments.engine;
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

fn training(trained: &linear::Trained, samples: &[Sample], learning: &Learning) -> Training {
    let label_weights = match learning.label_weights {
        LabelWeights::Balanced => "balanced",
        LabelWeights::None => "none",
    };
    Training { samples: samples.len(), seed: learning.seed, c: trained.c, label_weights: label_weights.into() }
}
