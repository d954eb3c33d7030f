//! `mailsort eval`: scores labelled samples, evaluates the verdicts, and fails below a bar.

mod bars;
mod compare;
mod figures;
mod matched;
mod recorded;
mod rows;
mod timed;
mod truth;
mod tuned;

use std::collections::HashSet;
use std::process::ExitCode;

use anyhow::{Result, bail, ensure};
use encoding_rs::Encoding;

use crate::classifier::linear::text_hash;
use crate::classifier::ranking::LIKELIER_THAN_NOT;
use crate::classifier::{Classifier, LabelSource, RankingSpec, Selection, Spec};
use crate::cli::{Eval, Judging};
use crate::labels::LabelSet;
use crate::output::Sink;
use crate::output::evaluation::{Evaluated, Prediction};
use crate::record::Verdict;
use crate::report::Report;
use crate::stream::{self, OutputGuard};
use recorded::Recorded;
use rows::Rows;
use truth::LabelledDocument;

/// Runs the command.
///
/// # Errors
/// When the samples, the labels, the model, the baseline or the output cannot be used.
pub(super) fn run(arguments: &Eval) -> Result<ExitCode> {
    let Eval { samples, judging, bars, output, run, .. } = arguments;
    if let [old, new] = bars.compare.as_slice() {
        return compare::run(old, new, output);
    }
    let mut report = Report::new(output.verbosity.level(), output.verbosity.progress);
    check_outputs(arguments)?;
    let baseline = bars.baseline.as_deref().map(Evaluated::read).transpose()?;
    if judging.recorded {
        return judge_recorded(arguments, baseline.as_ref(), report);
    }
    let mut selection = Selection::read(&arguments.spec()?)?;
    let questions = selection.is_multi_label();
    let pool = stream::pool(run.threads)?;
    let gathered = stream::gather(&samples.spec(), &selection.reading, &pool, &report)?;
    let (set, judged) = truth::resolve(selection.sets.pop(), gathered.samples, judging.skip_unknown, &report)?;
    bars::check(bars, &set)?;
    warn_of_learned(&selection.learned_texts(), &judged, &report);
    let unscored = figures::unscored(&judged);
    if let Some(baseline) = &baseline {
        bars::check_baseline(baseline, &unscored, questions, &report)?;
    }
    selection.sets.push(set.clone());
    // A multi-label evaluation needs the scores of all labels.
    let top_k = if questions { usize::MAX } else { 1 };
    selection.ranking = RankingSpec { threshold: judging.threshold, top_k, raw_scores: false };
    let plan = selection.plan(&report, &output.verbosity.downloads())?;
    let classifier = pool.install(|| Classifier::load(&selection, &plan, false, &report))?;
    report.begin();
    let scored = timed::score(&classifier, &judged, &pool, &mut report)?;
    let verdicts = Judged {
        set: &set,
        judged: &judged,
        thresholds: questions.then(|| question_thresholds(&set, judging)),
        verdicts: &scored.verdicts,
        model: classifier.model(),
        unscored,
        left_out: gathered.left_out,
    };
    let evaluated = Evaluated { timing: scored.timing(), ..verdicts.evaluated(arguments, baseline.as_ref()) };
    end(arguments, &set, &evaluated, report)
}

/// Judges verdicts that were recorded with their truth.
fn judge_recorded(arguments: &Eval, baseline: Option<&Evaluated>, mut report: Report) -> Result<ExitCode> {
    let Eval { samples, judging, bars, .. } = arguments;
    let [path] = samples.samples.as_slice() else {
        bail!("--recorded judges one file, which `serve --sample-to` has written")
    };
    let given = label_set(judging, samples.tables.encoding)?;
    let Recorded { set, judged, verdicts, model } = recorded::read(path, samples.set.as_deref(), given, &report)?;
    bars::check(bars, &set)?;
    let unscored = figures::unscored(&judged);
    if let Some(baseline) = baseline {
        bars::check_baseline(baseline, &unscored, false, &report)?;
    }
    for verdict in &verdicts {
        match &verdict.outcome {
            Ok(_) => report.scored(),
            Err(reason) => report.failed(&verdict.origin, reason),
        }
    }
    let given = Judged {
        set: &set,
        judged: &judged,
        thresholds: None,
        verdicts: &verdicts,
        model: &model,
        unscored,
        left_out: 0,
    };
    end(arguments, &set, &given.evaluated(arguments, baseline), report)
}

/// Verdicts, and the truth.
struct Judged<'a> {
    set: &'a LabelSet,
    judged: &'a [LabelledDocument],
    verdicts: &'a [Verdict],
    /// Those of the labels in multi-label classification.
    thresholds: Option<Vec<f32>>,
    model: &'a str,
    unscored: Vec<Prediction>,
    /// Samples that are judged by no verdict, which misses a bar.
    left_out: usize,
}

impl Judged<'_> {
    /// All figures but those of time.
    fn evaluated(self, arguments: &Eval, baseline: Option<&Evaluated>) -> Evaluated {
        let Self { set, judged, verdicts, thresholds, model, unscored, left_out } = self;
        let Eval { bars, output, .. } = arguments;
        let rows = Rows::new(set, judged, verdicts, thresholds);
        let evaluation = rows.evaluation(set.labels.len());
        let mut evaluated = figures::evaluated(&evaluation, &rows, set, model, bars.target_precision);
        evaluated.predictions = figures::predictions(&rows, set, unscored, verdicts);
        evaluated.bars = bars::judge(bars, &evaluation, set);
        evaluated.bars.extend(bars::left_out(left_out));
        if let Some(baseline) = baseline {
            evaluated.bars.extend(bars::judge_against(bars, baseline, &evaluated));
        }
        evaluated.mistakes = figures::mistakes(&evaluated, judged, !output.no_texts);
        evaluated.junit = output.junit.unwrap_or_default();
        evaluated
    }
}

/// Warns where a classifier is judged by what it has learned from, which it knows by heart.
fn warn_of_learned(texts: &HashSet<u64>, judged: &[LabelledDocument], report: &Report) {
    let is_learned = |judged: &&LabelledDocument| match &*judged.document {
        Ok(document) => texts.contains(&text_hash(&document.text())),
        Err(_) => false,
    };
    let learned = if texts.is_empty() { 0 } else { judged.iter().filter(is_learned).count() };
    if learned > 0 {
        report.warn(format_args!(
            "{learned} of {} samples were used to train the classifier, so the figures are too good; judge it by others, or \
             by the table of `mailsort train`",
            judged.len()
        ));
    }
}

/// Checks before the work that outputs can be written and replace no input.
///
/// # Errors
/// When one of them cannot, or would.
fn check_outputs(arguments: &Eval) -> Result<()> {
    let Eval { samples, judging, bars, model, output, .. } = arguments;
    let read = samples.samples.iter().chain(&samples.maildirs).chain(&judging.labels).chain(&judging.classifier);
    let model = model.spec();
    let read = read.chain(&bars.baseline).cloned().chain(model.files()).filter(|path| path.exists());
    for written in [output.output.as_deref(), bars.tuned_labels.as_deref()] {
        OutputGuard::new(written).spare(read.clone())?;
        Sink::check(written, false)?;
    }
    tuned::check(bars.tuned_labels.as_deref(), output.output.as_deref())
}

/// Writes the report and the tuned labels, and says which bars were missed.
///
/// # Errors
/// When one cannot be written.
fn end(arguments: &Eval, set: &LabelSet, evaluated: &Evaluated, mut report: Report) -> Result<ExitCode> {
    let Eval { bars, output, .. } = arguments;
    Sink::put(output.output.as_deref(), |target| evaluated.write(output.format(), target))?;
    if let Some((path, found)) = bars.tuned_labels.as_deref().zip(evaluated.target.as_ref()) {
        tuned::write(path, set, found, &evaluated.model, &report)?;
    }
    for bar in evaluated.bars.iter().filter(|bar| !bar.met) {
        report.missed(format_args!("{} is {}, asked was {}", bar.name, bar.found, bar.asked));
    }
    Ok(report.finish())
}

impl Eval {
    /// The classifier that the flags describe; without a label set the labels are those of the samples.
    fn spec(&self) -> Result<Spec> {
        let Self { judging, model, cleaning, .. } = self;
        let labels = match &judging.classifier {
            Some(file) => LabelSource::Trained {
                file: file.clone(),
                thresholds: judging.labels.iter().cloned().collect(),
                encoding: self.samples.tables.encoding,
            },
            None => LabelSource::Sets(label_set(judging, self.samples.tables.encoding)?.into_iter().collect()),
        };
        Ok(Spec { labels, model: model.spec(), reading: cleaning.reading(), ..Spec::default() })
    }
}

/// The label set of the command line, if it names one.
fn label_set(judging: &Judging, encoding: Option<&'static Encoding>) -> Result<Option<LabelSet>> {
    let of_file = judging.labels.as_deref().map(|path| LabelSet::read(path, encoding)).transpose()?;
    let of_arguments = || (!judging.label.is_empty()).then(|| LabelSet::from_arguments(&judging.label));
    let set = of_file.map_or_else(|| of_arguments().transpose(), |set| Ok(Some(set)))?;
    ensure!(
        set.as_ref().is_none_or(|set| set.labels.len() > 1),
        "with one label there is nothing to tell apart; give the others too"
    );
    Ok(set)
}

/// The threshold of each label in multi-label classification.
fn question_thresholds(set: &LabelSet, judging: &Judging) -> Vec<f32> {
    let threshold = |at: usize| set.threshold(at, judging.threshold).unwrap_or(LIKELIER_THAN_NOT);
    (0..set.labels.len()).map(threshold).collect()
}
