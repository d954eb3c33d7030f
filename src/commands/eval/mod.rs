//! `mailsort eval`: scores labelled samples, judges the verdicts, and fails where they fall short.

mod bars;
mod compare;
mod figures;
mod matched;
mod rows;
mod timed;
mod truth;
mod tuned;

use std::path::PathBuf;
use std::process::ExitCode;
use std::slice;

use anyhow::{Context, Result, ensure};

use super::classifier::Given;
use super::model::{self, Ready};
use super::scoring::Scoring;
use super::{inputs, samples, stream};
use crate::cli::{Eval, Judging};
use crate::labels::LabelSet;
use crate::output::Target;
use crate::output::evaluation::Evaluated;
use crate::report::{Downloads, Report};
use crate::sorting::{LIKELIER_THAN_NOT, Rules};
use rows::Rows;

/// Runs the command.
///
/// # Errors
/// When the samples, the labels, the model, the baseline or the output cannot be used.
pub(super) fn run(arguments: &Eval) -> Result<ExitCode> {
    let Eval { samples, judging, bars, engine, cleaning, output, run } = arguments;
    if let [old, new] = bars.compare.as_slice() {
        return compare::run(old, new, output);
    }
    let downloads = Downloads::new(output.talk.level(), output.talk.progress);
    let mut report = Report::new(output.talk.level(), output.talk.progress);
    let model = engine.source.model.as_ref().map(PathBuf::from).filter(|path| path.is_file());
    let read = samples
        .samples
        .iter()
        .chain(&samples.maildirs)
        .chain(&judging.labels)
        .chain(&judging.classifier)
        .chain(&bars.baseline);
    let read = read.chain(&engine.cache).chain(&model).filter(|path| path.exists());
    for written in [&output.output, &bars.tuned_labels] {
        inputs::Output::new(written.as_deref()).spare(read.clone())?;
    }
    Target::check(output.output.as_deref(), false)?;
    tuned::check(bars.tuned_labels.as_deref(), output.output.as_deref())?;
    Target::check(bars.tuned_labels.as_deref(), false)?;
    let baseline = bars.baseline.as_deref().map(Evaluated::read).transpose()?;
    let classifier = judging.classifier.as_deref().map(Given::read).transpose()?;
    let given = match &classifier {
        Some(classifier) => Some(classifier.set(judging.labels.as_slice())?),
        None => label_set(judging)?,
    };
    let needed = classifier.as_ref().map(|classifier| classifier.engine(engine)).transpose()?;
    let engine = needed.as_ref().unwrap_or(engine);
    let reading = classifier.as_ref().map_or_else(|| Ok(cleaning.reading()), |given| given.reading(cleaning))?;
    let pool = stream::pool(run.threads)?;
    let gathered = samples::gather(samples, &reading, &pool, &report)?;
    let (set, judged) = truth::resolve(given, gathered.samples, judging.skip_unknown, &report)?;
    bars::check(bars, &set)?;
    let questions = classifier.as_ref().is_some_and(Given::is_of_questions);
    if let Some(baseline) = &baseline {
        bars::check_baseline(baseline, &figures::unscored(&judged), questions, &report)?;
    }
    let plan = match &classifier {
        Some(given) => given.plan(engine, &report, &downloads)?,
        None => model::plan(engine, &report, &downloads)?,
    };
    let model = classifier.as_ref().map_or_else(|| plan.id().to_string(), |given| given.id(plan.id()));
    let Ready { scorer, .. } = pool.install(|| match classifier {
        Some(classifier) => classifier.load(&plan, &report),
        None => plan.load(slice::from_ref(&set), false, &report),
    })?;
    let scoring = Scoring::new(scorer, vec![rules(&set, judging, questions)]);
    report.begin();
    let scored = timed::score(&scoring, &judged, plan.is_slow(), plan.piece(), &pool, &mut report)?;
    let thresholds = questions.then(|| question_thresholds(&set, judging));
    let rows = Rows::new(&set, &judged, &scored.verdicts, thresholds);
    let evaluation = rows.evaluation(set.labels.len());
    let mut evaluated = figures::evaluated(&evaluation, &rows, &set, &model, bars.target_precision);
    evaluated.timing = scored.timing();
    evaluated.predictions = figures::predictions(&rows, &set, &judged, &scored.verdicts);
    evaluated.bars = bars::judge(bars, &evaluation, &set);
    evaluated.bars.extend(bars::left_out(gathered.left_out));
    if let Some(baseline) = &baseline {
        evaluated.bars.extend(bars::judge_against(bars, baseline, &evaluated));
    }
    evaluated.mistakes = figures::mistakes(&evaluated, &judged, !output.no_texts);
    write(output, |target| evaluated.write(output.format(), target))?;
    if let Some((path, found)) = bars.tuned_labels.as_deref().zip(evaluated.target.as_ref()) {
        tuned::write(path, &set, found, &evaluated.model, &report)?;
    }
    for bar in evaluated.bars.iter().filter(|bar| !bar.met) {
        report.missed(format_args!("{} is {}, asked was {}", bar.name, bar.found, bar.asked));
    }
    Ok(report.finish())
}

/// The label set of the command line, if it names one.
fn label_set(judging: &Judging) -> Result<Option<LabelSet>> {
    let of_file = judging.labels.as_deref().map(LabelSet::read).transpose()?;
    let of_arguments = || (!judging.label.is_empty()).then(|| LabelSet::from_arguments(&judging.label));
    let set = of_file.map_or_else(|| of_arguments().transpose(), |set| Ok(Some(set)))?;
    ensure!(
        set.as_ref().is_none_or(|set| set.labels.len() > 1),
        "with one label there is nothing to tell apart; give the others too"
    );
    Ok(set)
}

/// Of labels that are questions all scores are looked at.
fn rules(set: &LabelSet, judging: &Judging, questions: bool) -> Rules {
    Rules {
        names: set.labels.iter().map(|label| label.name.clone()).collect(),
        thresholds: (0..set.labels.len()).map(|at| set.threshold(at, judging.threshold)).collect(),
        top_k: if questions { usize::MAX } else { 1 },
        raw: false,
    }
}

/// From which score on each label that is a question is given.
fn question_thresholds(set: &LabelSet, judging: &Judging) -> Vec<f32> {
    let threshold = |at: usize| set.threshold(at, judging.threshold).unwrap_or(LIKELIER_THAN_NOT);
    (0..set.labels.len()).map(threshold).collect()
}

/// Writes a report to where it shall go; a file appears when it is complete.
fn write(output: &crate::cli::Reports, write: impl FnOnce(Target) -> std::io::Result<()>) -> Result<()> {
    let (target, _) = Target::open(output.output.as_deref(), false, 0)?;
    let cannot = || match &output.output {
        Some(path) => format!("cannot write the output {}", path.display()),
        None => "cannot write the output".to_string(),
    };
    write(target.clone()).with_context(cannot)?;
    target.finish().with_context(cannot)
}
