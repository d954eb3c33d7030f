//! `mailsort classify`: reads documents, scores each against the labels, writes one record each.

use std::process::ExitCode;

use anyhow::{Context, Result, ensure};

use super::chosen::{self, Chosen};
use super::model::Ready;
use super::scoring::{Scoring, rules};
use super::stream::{Stream, Verb};
use crate::cli::{Classify, Labels};
use crate::labels::LabelSet;
use crate::output::{Layout, SetLayout};
use crate::record::Verdict;
use crate::report::{Downloads, Report};

/// Runs the command.
///
/// # Errors
/// When the labels, an input or the output cannot be used.
pub(super) fn run(arguments: &Classify) -> Result<ExitCode> {
    let Classify { input, labels, cleaning, output, run, .. } = arguments;
    let downloads = Downloads::new(output.writing.talk.level(), output.writing.talk.progress);
    let report = Report::new(output.writing.talk.level(), output.writing.talk.progress);
    let chosen = Chosen::read(&labels.choosing, &arguments.engine, cleaning)?;
    // None of them may become the output.
    let also_read = chosen::files(&labels.choosing, &arguments.engine);
    let stream = Stream::open(input, &output.writing, chosen.reading.clone(), run.threads, &also_read)?;
    let form = output.form();
    stream.check(form.format.check_resumable())?;
    let plan = chosen.plan(&report, &downloads)?;
    let (pairs, sets) = (plan.is_of_pairs(), &chosen.sets);
    let raw = if pairs || chosen.classifier.is_some() { Raw::Logits } else { Raw::Cosines };
    check_thresholds(sets, labels, raw, chosen.is_independent(&plan), &report)?;
    if pairs && sets.iter().any(|set| set.labels.iter().any(|label| !label.examples.is_empty())) {
        report.warn("a reranker does not read the `examples` of a label file; describe in words what it shall know");
    }
    let shown = chosen.engine.shortlist.unwrap_or(usize::MAX).min(labels.top_k);
    let layout = Layout {
        sets: sets.iter().map(set_layout).collect(),
        top_k: shown.min(sets.iter().map(|set| set.labels.len()).max().unwrap_or(1)),
        model: chosen.id(&plan),
    };
    form.check(&layout)?;
    // What may be wrong with flags is told before minutes are spent on this, but for what only the model's tokenizer tells.
    let load = || chosen.load(&plan, output.writing.output.is_some(), &report);
    let Ready { scorer, fingerprint } = stream.install(load)?;
    let flags = ("classify", sets, labels.top_k, labels.choosing.threshold, labels.raw_scores, &fingerprint, &form);
    let (piece, slow, inexact) = (plan.piece(), plan.is_slow(), (!plan.is_exact()).then(|| layout.clone()));
    let ranked = |set: &LabelSet| rules(set, labels.choosing.threshold, labels.top_k, labels.raw_scores);
    let scoring = Scoring::new(scorer, sets.iter().map(ranked).collect());
    let target = stream.target(form.format.check_resumable(), &flags)?;
    let mut records = form.records(target.out(), layout).with_context(|| target.cannot_write())?;
    records.flush().with_context(|| target.cannot_write())?;
    let write = |verdicts: Vec<Verdict>, report: &mut Report| {
        scoring.troubles().iter().for_each(|trouble| report.warn(trouble));
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
    stream.run(target, report, Verb { score: |piece| scoring.verdicts(piece), piece, slow, inexact, write, place })
}

/// What probabilities are made from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Raw {
    Cosines,
    Logits,
}

/// Thresholds must be of the kind of score that they are compared with.
/// `independent` says that scores of one set do not sum to 1.
fn check_thresholds(sets: &[LabelSet], labels: &Labels, raw: Raw, independent: bool, report: &Report) -> Result<()> {
    let (range, what) = match (labels.raw_scores, raw) {
        (false, _) => (0.0..=1.0, "probabilities are 0 to 1; other scores need --raw-scores"),
        (true, Raw::Cosines) => (-1.0..=1.0, "cosines are -1 to 1"),
        (true, Raw::Logits) => (f32::MIN..=f32::MAX, "logits are numbers"),
    };
    let fits = |threshold: f32| range.contains(&threshold);
    ensure!(
        labels.choosing.threshold.is_none_or(fits),
        "--threshold {}: {what}",
        labels.choosing.threshold.unwrap_or_default()
    );
    for set in sets {
        let own = set.threshold.or(set.labels.iter().find_map(|label| label.threshold));
        if labels.raw_scores && own.is_some() {
            report.warn(format_args!(
                "with --raw-scores the thresholds of the label set {:?} are compared with {}",
                set.name,
                if raw == Raw::Logits { "logits" } else { "cosines" }
            ));
        }
        if set.labels.len() == 1 && !labels.raw_scores && !independent {
            report.warn(format_args!(
                "the label set {:?} has one label, so its score is always 1; add a label for the rest, or use \
                 --raw-scores",
                set.name
            ));
        }
    }
    Ok(())
}

fn set_layout(set: &LabelSet) -> SetLayout {
    SetLayout { name: set.name.clone(), labels: set.labels.iter().map(|label| label.name.clone()).collect() }
}
