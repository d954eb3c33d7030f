//! `mailsort eval`: scores labelled samples, judges the verdicts, and fails where they fall short.

mod bars;
mod compare;
mod figures;
mod matched;
mod rows;
mod timed;
mod truth;
mod tuned;

use std::process::ExitCode;

use anyhow::{Result, ensure};

use super::chosen::Chosen;
use super::model::{self, Ready};
use super::scoring::{Scoring, rules};
use super::{inputs, samples, stream};
use crate::cli::{Eval, Judging};
use crate::labels::LabelSet;
use crate::output::Target;
use crate::output::evaluation::Evaluated;
use crate::report::{Downloads, Report};
use crate::sorting::LIKELIER_THAN_NOT;
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
    let (level, progress) = (output.talk.level(), output.talk.progress);
    let (downloads, mut report) = (Downloads::new(level, progress), Report::new(level, progress));
    check_outputs(arguments)?;
    let baseline = bars.baseline.as_deref().map(Evaluated::read).transpose()?;
    let mut chosen = match &judging.classifier {
        Some(path) => Chosen::of_classifier(path, judging.labels.as_slice(), engine, cleaning)?,
        None => Chosen::of_sets(label_set(judging)?.into_iter().collect(), engine, cleaning),
    };
    let questions = chosen.are_questions();
    let pool = stream::pool(run.threads)?;
    let gathered = samples::gather(samples, &chosen.reading, &pool, &report)?;
    let (set, judged) = truth::resolve(chosen.sets.pop(), gathered.samples, judging.skip_unknown, &report)?;
    bars::check(bars, &set)?;
    let unscored = figures::unscored(&judged);
    if let Some(baseline) = &baseline {
        bars::check_baseline(baseline, &unscored, questions, &report)?;
    }
    chosen.sets.push(set.clone());
    let plan = chosen.plan(&report, &downloads)?;
    let Ready { scorer, .. } = pool.install(|| chosen.load(&plan, false, &report))?;
    // Of labels that are questions all scores are looked at.
    let shown = if questions { usize::MAX } else { 1 };
    let scoring = Scoring::new(scorer, vec![rules(&set, judging.threshold, shown, false)]);
    report.begin();
    let scored = timed::score(&scoring, &judged, plan.is_slow(), plan.piece(), &pool, &mut report)?;
    let thresholds = questions.then(|| question_thresholds(&set, judging));
    let rows = Rows::new(&set, &judged, &scored.verdicts, thresholds);
    let evaluation = rows.evaluation(set.labels.len());
    let mut evaluated = figures::evaluated(&evaluation, &rows, &set, &chosen.id(&plan), bars.target_precision);
    evaluated.timing = scored.timing();
    evaluated.predictions = figures::predictions(&rows, &set, unscored, &scored.verdicts);
    evaluated.bars = bars::judge(bars, &evaluation, &set);
    evaluated.bars.extend(bars::left_out(gathered.left_out));
    if let Some(baseline) = &baseline {
        evaluated.bars.extend(bars::judge_against(bars, baseline, &evaluated));
    }
    evaluated.mistakes = figures::mistakes(&evaluated, &judged, !output.no_texts);
    end(arguments, &set, &evaluated, report)
}

/// Checks the outputs before the work: that they can be written, and replace nothing that is read.
///
/// # Errors
/// When one of them cannot, or would.
fn check_outputs(arguments: &Eval) -> Result<()> {
    let Eval { samples, judging, bars, engine, output, .. } = arguments;
    let read = samples.samples.iter().chain(&samples.maildirs).chain(&judging.labels).chain(&judging.classifier);
    let read = read.chain(&bars.baseline).cloned().chain(model::files(engine)).filter(|path| path.exists());
    for written in [output.output.as_deref(), bars.tuned_labels.as_deref()] {
        inputs::Output::new(written).spare(read.clone())?;
        Target::check(written, false)?;
    }
    tuned::check(bars.tuned_labels.as_deref(), output.output.as_deref())
}

/// Writes the report and the tuned labels, and says which bars were missed.
///
/// # Errors
/// When one cannot be written.
fn end(arguments: &Eval, set: &LabelSet, evaluated: &Evaluated, mut report: Report) -> Result<ExitCode> {
    let Eval { bars, output, .. } = arguments;
    Target::put(output.output.as_deref(), |target| evaluated.write(output.format(), target))?;
    if let Some((path, found)) = bars.tuned_labels.as_deref().zip(evaluated.target.as_ref()) {
        tuned::write(path, set, found, &evaluated.model, &report)?;
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

/// From which score on each label that is a question is given.
fn question_thresholds(set: &LabelSet, judging: &Judging) -> Vec<f32> {
    let threshold = |at: usize| set.threshold(at, judging.threshold).unwrap_or(LIKELIER_THAN_NOT);
    (0..set.labels.len()).map(threshold).collect()
}
