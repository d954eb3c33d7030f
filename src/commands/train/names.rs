//! Learning from texts without a label, by the names of the labels.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Error, Result, anyhow, bail, ensure};

use super::embed::Embedded;
use super::judge::rounded;
use super::screen::{self, Kept};
use super::{Learned, Lesson, numbered};
use crate::classifier::linear::{self, FoundLabel, FromNames, Harm, LearnedLabel, Settings, Training, Unsorted};
use crate::classifier::unknown_label;
use crate::cli::Learning;
use crate::intake::labelled::{LabelledOptions, Sample, Unlabelled};
use crate::labels::{Label, LabelSet};
use crate::output::trained::{LabelLine, Table};
use crate::record::is_same_label;
use crate::report::Report;

/// With fewer texts a label's name is nearly all that is known of it.
const FEW: usize = 8;

/// What becomes of texts without a label.
pub(super) fn unlabelled(learning: &Learning) -> Unlabelled {
    match (&learning.labels, learning.from_names) {
        (None, _) => Unlabelled::LeftOut,
        (_, true) => Unlabelled::Expected,
        (_, false) => Unlabelled::Taken,
    }
}

/// Checks the field that --label-field names.
///
/// # Errors
/// When no sample has a label in it.
pub(super) fn check_field(samples: &[Sample], options: &LabelledOptions) -> Result<()> {
    ensure!(
        !options.needs_label() || samples.is_empty() || samples.iter().any(|sample| !sample.labels.is_empty()),
        "no sample has a label in {:?}, which --label-field names; leave --label-field out to learn from the names in the \
         label file",
        options.label_field
    );
    Ok(())
}

/// Checks that samples spell labels as the label file does.
///
/// # Errors
/// When one differs in case only: it would be a label of its own.
pub(super) fn check_spelling(kept: &[Kept], set: &LabelSet, report: &Report) -> Result<()> {
    let own: BTreeSet<&Arc<str>> = kept.iter().flat_map(|kept| &kept.labels).collect();
    let is_known = |label: &str| set.labels.iter().any(|known| is_same_label(&known.name, label));
    let others: Vec<&str> = own.iter().map(|label| &***label).filter(|label| !is_known(label)).collect();
    for label in &others {
        let alike = set.labels.iter().find(|known| known.name.to_lowercase() == label.to_lowercase());
        ensure!(
            alike.is_none(),
            "the samples have the label {label:?}, and {:?} of the label file differs in case only; spell both alike",
            alike.map(|known| &*known.name).unwrap_or_default()
        );
    }
    if !others.is_empty() && others.len() < own.len() {
        report.warn(format_args!("the label file lacks the labels {others:?} of the samples, which are learned too"));
    }
    Ok(())
}

/// The samples to learn from: those with labels, and those without, unless there are enough with labels.
///
/// # Errors
/// When there are none, when --from-names was given and some have labels, or when those of the samples and of the label
/// file are not the same.
pub(super) fn screened(
    samples: Vec<Sample>,
    set: Option<&LabelSet>,
    from_names: bool,
    report: &Report,
) -> Result<Vec<Kept>> {
    let Some(set) = set else { return screen::screened(samples, report) };
    if let Some(sample) = samples.iter().find(|sample| from_names && !sample.labels.is_empty()) {
        let origin = sample.document.as_ref().map_or_else(|skip| &skip.origin, |document| &document.origin);
        bail!(
            "--from-names is for samples without labels, and {} [{}] has the label {:?}; leave --from-names out to learn from \
             labels, or name another column with --label-field",
            origin.source,
            origin.index,
            sample.labels[0]
        );
    }
    let (texts, labelled): (Vec<Sample>, Vec<Sample>) =
        samples.into_iter().partition(|sample| sample.labels.is_empty());
    if texts.is_empty() {
        return screen::screened(labelled, report);
    }
    let mut kept = screen::readable(labelled, report);
    let all = with_labels(set, kept.iter().flat_map(|kept| &kept.labels));
    let count = |label: &Label| kept.iter().filter(|kept| kept.labels.contains(&label.name)).count();
    let fewest = linear::fewest_texts(all.labels.len());
    if kept.is_empty() && texts.len() < fewest {
        return Err(nothing_learned(&doubted(Harm::FewTexts(fewest), texts.len(), &[])));
    }
    let left_out = if kept.is_empty() {
        None
    } else if kept.iter().any(|kept| kept.labels.len() > 1) {
        Some("others have several labels".to_string())
    } else if !linear::are_few(all.labels.iter().map(count).collect())
        && (texts.len() < kept.len() || all.labels.iter().all(|label| count(label) > 0))
    {
        Some("the others are enough to learn from".to_string())
    } else {
        (texts.len() < fewest).then(|| format!("it takes {fewest} of them to learn from names"))
    };
    if let Some(why) = left_out {
        report.say(format_args!("{} without a label left out: {why}", texts_of(texts.len())));
        return Ok(kept);
    }
    let known: BTreeSet<u64> = kept.iter().map(|kept| linear::text_hash(&kept.text)).collect();
    let texts = screen::readable(texts, report);
    kept.extend(texts.into_iter().filter(|text| !known.contains(&linear::text_hash(&text.text))));
    screen::some(kept)
}

fn texts_of(count: usize) -> String {
    if count == 1 { "1 text".into() } else { format!("{count} texts") }
}

/// The labels of the label file and of samples, by name and spelled as in the samples.
fn with_labels<'a>(set: &LabelSet, labels: impl Iterator<Item = &'a Arc<str>>) -> LabelSet {
    let mut set = set.clone();
    for label in labels {
        match set.labels.iter_mut().find(|known| is_same_label(&known.name, label)) {
            Some(known) => known.name = label.clone(),
            None => set.labels.push(Label::named(label.clone())),
        }
    }
    set.labels.sort_by(|one, other| one.name.cmp(&other.name));
    set
}

/// Learns from names. `None` where the run was stopped.
///
/// # Errors
/// When the labels cannot be told apart, or when the names alone may sort better.
pub(super) fn learned(lesson: &Lesson<'_>, set: &LabelSet, embedded: Vec<Embedded>) -> Result<Option<Learned>> {
    let is_labelled = |sample: &Embedded| !sample.labels.is_empty();
    let (labelled, texts): (Vec<Embedded>, Vec<Embedded>) = embedded.into_iter().partition(is_labelled);
    if !labelled.is_empty() {
        let own: BTreeSet<Arc<str>> = labelled.iter().flat_map(|sample| &sample.labels).cloned().collect();
        super::unused(&set.labels, &own.into_iter().collect::<Vec<_>>())?;
    }
    let set = with_labels(set, labelled.iter().flat_map(|sample| &sample.labels));
    let (alone, given) = (labelled.clone(), labelled.len());
    if texts.is_empty() && !labelled.is_empty() {
        return super::from_samples(lesson, Some(&set), alone, given);
    }
    let labels: Vec<Arc<str>> = set.labels.iter().map(|label| label.name.clone()).collect();
    ensure!(labels.len() > 1, "there is one label, so there is nothing to tell apart; add others to the label file");
    let names = lesson
        .pool
        .install(|| lesson.opened.embeddings.names(&set, lesson.instruct))?
        .with_context(|| unknown_label(&lesson.opened.key.id, &labels[0], &set.name))?;
    if let Some(&label) = names.unknown().first() {
        bail!(unknown_label(&lesson.opened.key.id, &labels[label], &set.name));
    }
    let mut hashes: BTreeSet<u64> = labelled.iter().map(|sample| sample.hash).collect();
    let hashes_of_texts: Vec<u64> = texts.iter().map(|text| text.hash).collect();
    let (labelled, texts) = (numbered(labelled, &labels), numbered(texts, &labels));
    let settings = Settings { prior: Some(names.clone()), ..lesson.settings(&labelled) };
    let fitting = lesson.report.fitting();
    let made = lesson.pool.install(|| {
        linear::learn(&texts, &labelled, &names, &settings, &|fits| {
            fitting.show(fits.done, fits.most);
            lesson.stop.is_asked()
        })
    });
    if lesson.stop.is_asked() {
        return Ok(None);
    }
    let made = made?;
    if let Some(doubt) = made.doubt {
        let why = doubted(doubt, texts.len(), &labels);
        if labelled.is_empty() {
            return Err(nothing_learned(&why));
        }
        lesson.report.warn(format_args!("{why}; the texts without a label are left out"));
        return super::from_samples(lesson, Some(&set), alone, given);
    }
    hashes.extend(made.learned.iter().map(|&at| hashes_of_texts[at]));
    let mut samples: Vec<usize> = made.labels.iter().map(|found| found.learned).collect();
    labelled.iter().flat_map(|sample| &sample.labels).for_each(|&label| samples[label] += 1);
    warn(&labels, &samples, lesson.report);
    let unsorted = Unsorted {
        texts: texts.len(),
        learned: made.learned.len(),
        labelled: labelled.len(),
        unchanged: rounded(made.unchanged),
        settled: rounded(made.settled),
    };
    Ok(Some(outcome(lesson, made, unsorted, &samples, labels, &hashes)))
}

/// What goes into the file and the table. `samples` is the number of samples of each label.
fn outcome(
    lesson: &Lesson<'_>,
    made: FromNames,
    unsorted: Unsorted,
    samples: &[usize],
    labels: Vec<Arc<str>>,
    hashes: &BTreeSet<u64>,
) -> Learned {
    let learned = |(name, &samples): (&Arc<str>, &usize)| LearnedLabel {
        name: name.clone(),
        samples,
        precision: None,
        recall: None,
        f1: None,
    };
    let training = Training {
        samples: samples.iter().sum(),
        c: made.c,
        from_names: Some(unsorted.clone()),
        ..lesson.training(hashes)
    };
    Learned {
        model: made.model.clone(),
        training,
        validation: None,
        labels: labels.iter().zip(samples).map(learned).collect(),
        table: Box::new(move |path, bytes| table(&made, &unsorted, &labels, path, bytes)),
    }
}

/// What to do where names and texts teach nothing.
fn nothing_learned(why: &str) -> Error {
    anyhow!(
        "{why}; nothing was learned and nothing is written. `mailsort classify --labels` sorts by the names themselves; \
         add unlabelled mail, label a few texts, or describe the labels in other words"
    )
}

/// Why names and texts teach nothing.
fn doubted(doubt: Harm, texts: usize, labels: &[Arc<str>]) -> String {
    match doubt {
        Harm::FewTexts(fewest) => {
            format!("{} without a label are too few to learn from names, which takes {fewest}", texts_of(texts))
        }
        Harm::OneLabel(label) => format!(
            "nearly all of the {texts} texts get the label {:?}, so that they hardly show what tells the labels apart",
            labels[label]
        ),
        Harm::Unsettled => "the rounds of learning disagree, so that chance would decide what is learned".into(),
    }
}

/// Warns of labels of which little or nothing was found.
fn warn(labels: &[Arc<str>], samples: &[usize], report: &Report) {
    let having = |is: &dyn Fn(usize) -> bool| -> Vec<&str> {
        (0..labels.len()).filter(|&label| is(samples[label])).map(|label| &*labels[label]).collect()
    };
    let (none, few) = (having(&|count| count == 0), having(&|count| (1..FEW).contains(&count)));
    if !none.is_empty() {
        report.warn(format_args!(
            "no text is nearest to {none:?}, so nothing was learned of that; describe it in words that such mail would use"
        ));
    }
    if !few.is_empty() {
        report.warn(format_args!("fewer than {FEW} texts were found of {few:?}, too few to trust"));
    }
}

/// The table that is printed.
fn table(made: &FromNames, unsorted: &Unsorted, labels: &[Arc<str>], path: &Path, bytes: usize) -> Table {
    let Unsorted { texts, learned, labelled, unchanged, settled } = unsorted;
    let beside = match labelled {
        0 => String::new(),
        1 => " and 1 labelled sample".into(),
        _ => format!(" and {labelled} labelled samples"),
    };
    let first = if *labelled > 0 { "names and samples" } else { "names" };
    let [sure_first, sure] = made.sure;
    let head = vec![
        format!("{texts} texts without a label{beside}, {} labels", labels.len()),
        format!(
            "learned from the {learned} texts that fit their labels best; nobody has said which of them are right:"
        ),
        format!("  {:<10} {unchanged:.4}  of the texts keep the label that {first} gave them first", "agreement"),
        format!("  {:<10} {settled:.4}  keep the label of the round before", ""),
        format!(
            "  {:<10} {sure:.4}  have a label with a probability of at least 0.5; by {first} {sure_first:.4}",
            "coverage"
        ),
    ];
    let line = |(label, found): (&Arc<str>, &FoundLabel)| LabelLine {
        label: label.to_string(),
        cells: [found.first, found.learned, found.given].map(|count| count.to_string()).to_vec(),
    };
    let words: usize = made.model.ngrams.iter().map(|ngrams| ngrams.len()).sum();
    let words = if words > 0 { format!(", {words} n-grams") } else { String::new() };
    Table {
        head,
        columns: vec![("at first", 8), ("learned from", 12), ("now", 7)],
        lines: labels.iter().zip(&made.labels).map(line).collect(),
        confused: Vec::new(),
        foot: format!("{}: {bytes} bytes, C = {}{words}", path.display(), made.c),
    }
}
