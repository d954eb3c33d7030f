//! `mailsort classify`: reads documents, scores each against the labels, writes one record each.

use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};

use super::stream::{Stream, Verb};
use crate::cli::{Classify, Labels};
use crate::engine::{Builtin, Embedder, LabelText};
use crate::labels::LabelSet;
use crate::output::{Layout, SetLayout};
use crate::record::{Document, Envelope, Intake, Origin, Outcome, Reason, Verdict};
use crate::report::Report;
use crate::sorting::{Rules, ZeroShot};

/// One label set, ready to score.
struct Sorter {
    model: ZeroShot,
    rules: Rules,
}

/// Everything that scoring needs.
struct Scoring {
    engine: Box<dyn Embedder>,
    sorters: Vec<Sorter>,
    max_tokens: usize,
}

/// Runs the command.
///
/// # Errors
/// When the labels, an input or the output cannot be used.
pub(super) fn run(arguments: &Classify) -> Result<ExitCode> {
    let Classify { input, labels, cleaning, output, run } = arguments;
    let report = Report::new(output.writing.level(), output.writing.progress);
    let sets = label_sets(labels)?;
    let stream = Stream::open(input, &output.writing, cleaning.reading(), run.threads, &labels.files)?;
    let scoring = Scoring::new(arguments, &sets, &report)?;
    let layout = Layout {
        sets: sets.iter().map(set_layout).collect(),
        top_k: labels.top_k.min(sets.iter().map(|set| set.labels.len()).max().unwrap_or(1)),
        model: scoring.engine.id().to_string(),
    };
    let form = output.form();
    form.check(&layout)?;
    let flags = ("classify", &sets, labels.top_k, labels.threshold, labels.raw_scores, run.max_tokens, &form);
    let target = stream.target(form.format.check_resumable(), &flags)?;
    let mut records = form.records(target.out(), layout).with_context(|| target.cannot_write())?;
    records.flush().with_context(|| target.cannot_write())?;
    let write = |verdicts: Vec<Verdict>, report: &mut Report| {
        for verdict in &verdicts {
            match &verdict.outcome {
                Ok(_) => report.scored(),
                Err(reason) => report.failed(&verdict.origin, reason),
            }
            records.write(verdict)?;
        }
        records.flush()
    };
    let place = |line: &[u8], header: &[u8]| form.format.place(line, header);
    stream.run(target, report, Verb { score: |piece| scoring.verdicts(piece), write, place })
}

/// Reads the label files, and the labels of the command line as a set of their own.
fn label_sets(labels: &Labels) -> Result<Vec<LabelSet>> {
    let mut sets: Vec<LabelSet> = labels.files.iter().map(|path| LabelSet::read(path)).collect::<Result<_>>()?;
    if !labels.label.is_empty() {
        sets.push(LabelSet::from_arguments(&labels.label)?);
    }
    let in_range = |threshold: f32| labels.raw_scores || threshold >= 0.0;
    ensure!(labels.threshold.is_none_or(in_range), "--threshold below 0 needs --raw-scores: probabilities are 0 to 1");
    for (at, set) in sets.iter().enumerate() {
        ensure!(
            !sets[..at].iter().any(|before| before.name == set.name),
            "two label sets are called {:?}; records tell sets apart by the names of their files, and the set of --label \
             is called \"label\", so rename one file",
            set.name
        );
    }
    Ok(sets)
}

impl Scoring {
    fn new(arguments: &Classify, sets: &[LabelSet], report: &Report) -> Result<Self> {
        let engine: Box<dyn Embedder> = Box::new(Builtin::new()?);
        let max_tokens = arguments.run.max_tokens.unwrap_or(engine.default_max_tokens());
        let sorters = sets
            .iter()
            .map(|set| {
                let own = set.threshold.or(set.labels.iter().find_map(|label| label.threshold));
                if arguments.labels.raw_scores && own.is_some() {
                    report.warn(format_args!(
                        "with --raw-scores the thresholds of the label set {:?} are compared with cosines",
                        set.name
                    ));
                }
                if set.labels.len() == 1 && !arguments.labels.raw_scores {
                    report.warn(format_args!(
                        "the label set {:?} has one label, so its score is always 1; add a label for the rest, \
                         or use --raw-scores",
                        set.name
                    ));
                }
                Ok(Sorter { model: zero_shot(&*engine, set)?, rules: rules(set, &arguments.labels) })
            })
            .collect::<Result<_>>()?;
        Ok(Self { engine, sorters, max_tokens })
    }

    /// One verdict for each document, in order.
    fn verdicts(&self, piece: Vec<Intake>) -> Vec<Verdict> {
        let texts: Vec<String> = piece.iter().flatten().map(Document::text).collect();
        let mut embeddings = self.engine.embed(&texts, self.max_tokens).into_iter();
        piece
            .into_iter()
            .map(|read| match read {
                Err(skip) => verdict(skip.origin, skip.envelope, Err(skip.reason)),
                Ok(document) => {
                    let outcome = match embeddings.next().flatten() {
                        Some(embedding) => self.outcome(&embedding, document.truncated),
                        None => Err(Reason::NoKnownWords),
                    };
                    verdict(document.origin, document.envelope, outcome)
                }
            })
            .collect()
    }

    fn outcome(&self, embedding: &crate::engine::Embedding, cut: bool) -> Result<Outcome, Reason> {
        let rankings = self
            .sorters
            .iter()
            .map(|sorter| sorter.rules.rank(&sorter.model.scores(&embedding.vector)).ok_or(Reason::NotANumber))
            .collect::<Result<_, _>>()?;
        Ok(Outcome { rankings, tokens: embedding.tokens, truncated: embedding.truncated || cut })
    }
}

fn verdict(origin: Origin, envelope: Envelope, outcome: Result<Outcome, Reason>) -> Verdict {
    Verdict { origin, envelope, outcome }
}

fn set_layout(set: &LabelSet) -> SetLayout {
    SetLayout { name: set.name.clone(), labels: set.labels.iter().map(|label| label.name.clone()).collect() }
}

/// Embeds the labels of a set.
fn zero_shot(engine: &dyn Embedder, set: &LabelSet) -> Result<ZeroShot> {
    let texts: Vec<LabelText> = set
        .labels
        .iter()
        .map(|label| LabelText { name: label.words(), description: label.description.clone() })
        .collect();
    let mut vectors = Vec::with_capacity(texts.len());
    for (label, vector) in set.labels.iter().zip(engine.embed_labels(&texts)) {
        match vector {
            Some(vector) => vectors.push(vector),
            None => bail!(
                "the model {} knows no word of the label {:?} in {:?}; describe it in other words",
                engine.id(),
                label.name,
                set.name
            ),
        }
    }
    Ok(ZeroShot::new(vectors, engine.temperature()))
}

fn rules(set: &LabelSet, labels: &Labels) -> Rules {
    Rules {
        names: set.labels.iter().map(|label| label.name.clone()).collect(),
        thresholds: (0..set.labels.len()).map(|at| set.threshold(at, labels.threshold)).collect(),
        top_k: labels.top_k,
        raw: labels.raw_scores,
    }
}
