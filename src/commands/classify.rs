//! `mailsort classify`: reads documents, scores each against the labels, writes one record each.

use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};

use crate::classifier::{Classifier, PreparedDocument, Selection};
use crate::cli::Classify;
use crate::labels::LabelSet;
use crate::output::{Layout, SetLayout};
use crate::record::{Intake, Reason, Verdict};
use crate::report::Report;
use crate::stream::{Fingerprint, Stop, Stream, Verb};

/// Runs the command.
///
/// # Errors
/// When the labels, an input or the output cannot be used.
pub(super) fn run(arguments: &Classify) -> Result<ExitCode> {
    let Classify { input, output, run, .. } = arguments;
    let report = Report::new(output.writing.verbosity.level(), output.writing.verbosity.progress);
    let (spec, input, writing) = (arguments.spec(), input.spec(), output.writing.spec());
    let selection = Selection::read(&spec)?;
    let odd = spec.ranking.threshold.filter(|given| !spec.ranking.raw_scores && !(0.0..=1.0).contains(given));
    if let Some(given) = odd {
        bail!("--threshold {given}: probabilities are 0 to 1; other scores need --raw-scores");
    }
    // None of the files of the classifier may become the output.
    let mut stream = Stream::open(&input, &writing, selection.reading.clone(), run.threads, &spec.files())?;
    let table = output.depends_on_table().then(|| stream.first_table()).flatten();
    let form = output.form(table.as_ref())?;
    let is_table = table.is_some();
    let columns = table.map(|table| table.columns).unwrap_or_default();
    stream.check(form.check_resumable(&columns))?;
    let plan = selection.plan(&report, &output.writing.verbosity.downloads())?;
    let (pairs, sets) = (plan.is_of_pairs(), &selection.sets);
    let raw = if pairs || selection.is_trained() { RawScore::Logits } else { RawScore::Cosines };
    // What a set of one label needs: a share of 1 over it is always 1.
    let alone = if plan.shares_over_labels() { "--nli multi" } else { "--raw-scores" };
    let alone = Some(alone).filter(|_| !selection.is_independent(&plan));
    check_thresholds(&selection, raw, alone, &report)?;
    if pairs && sets.iter().any(|set| set.labels.iter().any(|label| !label.examples.is_empty())) {
        report.warn("a reranker does not read the `examples` of a label file; describe in words what it shall know");
    }
    let layout =
        Layout { columns: columns.clone(), top_k: shown(&selection), ..layout(sets, selection.model_name(&plan)) };
    form.check(&layout)?;
    // Flags are checked before minutes are spent on loading; only the tokenizer can check label lengths.
    let load = || Classifier::load(&selection, &plan, writing.path.is_some(), &report);
    let classifier = stream.install(load)?;
    let fingerprint = Fingerprint::of_verb("classify")?
        .field("label sets", sets)?
        .field("ranking", &selection.ranking)?
        .field("model", &classifier.identity())?
        .field("form", &form)?;
    let inexact = (!plan.is_exact()).then(|| layout.clone());
    let opened = stream.sink(form.check_resumable(&columns), fingerprint)?;
    let mut records = form.records(opened.sink(), layout).with_context(|| opened.cannot_write())?;
    records.flush().with_context(|| opened.cannot_write())?;
    let mut count = 0;
    let write = |verdicts: Option<Vec<Verdict>>, report: &mut Report| {
        classifier.troubles().iter().for_each(|trouble| report.warn(trouble));
        let Some(mut verdicts) = verdicts else {
            if is_table && count == 0 {
                report.warn("the table has no rows below the names of its columns");
            }
            return records.finish();
        };
        count += verdicts.len();
        for verdict in &mut verdicts {
            if let Some(why) = form.misfit(&columns, &verdict.envelope.row) {
                verdict.outcome = Err(Reason::BadRow(why));
            }
            match &verdict.outcome {
                Ok(_) => report.scored(),
                Err(reason) => report.failed(&verdict.origin, reason),
            }
            records.write(verdict)?;
        }
        records.flush()
    };
    let record_key = |line: &[u8], header: &[u8]| form.format.record_key(line, header);
    let prepare = |read: Intake| classifier.prepare(read);
    let tokens = |document: &PreparedDocument| classifier.tokens(document);
    let score = |batch| classifier.verdicts(batch);
    let verb = Verb { prepare, tokens, score, budget: classifier.budget(), inexact, write, record_key };
    stream.run(opened, report, Stop::listen, verb)
}

/// What the records have in common, for those of which each shows all that its ranking has.
pub(super) fn layout(sets: &[LabelSet], model: String) -> Layout {
    Layout { sets: sets.iter().map(set_layout).collect(), top_k: usize::MAX, model, columns: Vec::new() }
}

/// How many labels a record shows at most.
fn shown(selection: &Selection) -> usize {
    let Selection { sets, ranking, .. } = selection;
    let shown = selection.model.shortlist.unwrap_or(usize::MAX).min(ranking.top_k);
    shown.min(sets.iter().map(|set| set.labels.len()).max().unwrap_or(1))
}

/// The raw scores of a model.
#[derive(Clone, Copy, PartialEq, Eq)]
enum RawScore {
    Cosines,
    Logits,
}

/// Checks that a threshold of raw scores lies in their range, and warns of thresholds that mean little. `alone` is the
/// flag for sets of one label, where the scores of a set sum to 1.
fn check_thresholds(selection: &Selection, raw: RawScore, alone: Option<&str>, report: &Report) -> Result<()> {
    let Selection { sets, ranking, .. } = selection;
    let (range, what) = match raw {
        RawScore::Cosines => (-1.0..=1.0, "cosines are -1 to 1"),
        RawScore::Logits => (f32::MIN..=f32::MAX, "logits are numbers"),
    };
    let fits = |threshold: f32| range.contains(&threshold);
    ensure!(ranking.threshold.is_none_or(fits), "--threshold {}: {what}", ranking.threshold.unwrap_or_default());
    for set in sets {
        let own = set.threshold.or(set.labels.iter().find_map(|label| label.threshold));
        if ranking.raw_scores && own.is_some() {
            report.warn(format_args!(
                "with --raw-scores the thresholds of the label set {:?} are compared with {}",
                set.name,
                if raw == RawScore::Logits { "logits" } else { "cosines" }
            ));
        }
        if let Some(flag) = alone.filter(|_| set.labels.len() == 1 && !ranking.raw_scores) {
            report.warn(format_args!(
                "the label set {:?} has one label, so its score is always 1; add a label for the rest, or use {flag}",
                set.name
            ));
        }
    }
    Ok(())
}

fn set_layout(set: &LabelSet) -> SetLayout {
    SetLayout { name: set.name.clone(), labels: set.labels.iter().map(|label| label.name.clone()).collect() }
}
