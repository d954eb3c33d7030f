//! Selects the samples that can be learned from, and reports the others.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use anyhow::{Result, bail, ensure};
use sha2::{Digest, Sha256};

use super::embed::Embedded;
use crate::intake::labelled::{Sample, WEIGHTS};
use crate::record::HeadLines;
use crate::report::Report;

/// How many of the reported samples are named.
const NAMED: usize = 3;
/// With fewer samples a label's figures say little.
const FEW: usize = 8;

/// A sample that is learned from.
pub(super) struct Kept {
    pub(super) text: String,
    pub(super) heads: HeadLines,
    /// Ascending, each once.
    pub(super) labels: Vec<Arc<str>>,
    pub(super) weight: f32,
    /// Its source and index, for messages.
    pub(super) place: String,
}

/// Keeps the samples that can be read, as [`readable`].
///
/// # Errors
/// When none is left.
pub(super) fn screened(samples: Vec<Sample>, report: &Report) -> Result<Vec<Kept>> {
    some(readable(samples, report))
}

/// # Errors
/// When there is no sample.
pub(super) fn some(kept: Vec<Kept>) -> Result<Vec<Kept>> {
    ensure!(!kept.is_empty(), "no sample is left to learn from");
    Ok(kept)
}

/// Keeps the samples that can be read, each text once. A text that occurs with different labels is left out.
pub(super) fn readable(samples: Vec<Sample>, report: &Report) -> Vec<Kept> {
    let (mut kept, mut unreadable, mut weightless): (Vec<Kept>, Vec<String>, Vec<String>) = Default::default();
    for Sample { document, mut labels, weight, .. } in samples {
        let place = |origin: &crate::record::Origin| format!("{} [{}]", origin.source, origin.index);
        labels.sort();
        labels.dedup();
        match document {
            Err(skip) => unreadable.push(format!("{}: {}", place(&skip.origin), skip.reason)),
            Ok(document) if !WEIGHTS.contains(&weight) => weightless.push(place(&document.origin)),
            Ok(document) => {
                let (text, heads) = (document.text(), document.heads());
                kept.push(Kept { text, heads, labels, weight, place: place(&document.origin) });
            }
        }
    }
    say(report, &unreadable, "that cannot be read, and left out");
    let (least, most) = (WEIGHTS.start(), WEIGHTS.end());
    let what = format!("whose weight is not from {least} to {most} or whose score is a raw one, and left out");
    say(report, &weightless, &what);
    each_once(kept, report)
}

fn each_once(all: Vec<Kept>, report: &Report) -> Vec<Kept> {
    let mut first: HashMap<[u8; 32], usize> = HashMap::new();
    let mut firsts = Vec::with_capacity(all.len());
    for (at, sample) in all.iter().enumerate() {
        firsts.push(*first.entry(Sha256::digest(sample.text.trim()).into()).or_insert(at));
    }
    let mut contradicted = vec![None; all.len()];
    for (at, &first) in firsts.iter().enumerate() {
        if all[at].labels != all[first].labels && contradicted[first].is_none() {
            contradicted[first] = Some(at);
        }
    }
    let (mut repeated, mut odd, mut contradictory) = (Vec::new(), Vec::new(), 0);
    let mut weights: HashMap<usize, f32> = HashMap::new();
    for (at, &first) in firsts.iter().enumerate() {
        match contradicted[first] {
            Some(other) => {
                contradictory += 1;
                if at == first {
                    let [one, two] = [at, other].map(|at| format!("{} is {}", all[at].place, named(&all[at].labels)));
                    odd.push(format!("{one}, {two}"));
                }
            }
            None if at != first => repeated.push(all[at].place.clone()),
            None => {}
        }
        let weight = weights.entry(first).or_default();
        *weight = weight.max(all[at].weight);
    }
    say(report, &repeated, "whose text and label stand there before; each counts once");
    if contradictory > 0 {
        let shown = shown(&odd);
        report.warn(format_args!(
            "{contradictory} samples have the same text as others with another label, and are left out: {shown}"
        ));
    }
    let keeps = |at: usize| firsts[at] == at && contradicted[at].is_none();
    let kept = all.into_iter().enumerate().filter(|(at, _)| keeps(*at));
    kept.map(|(at, sample)| Kept { weight: weights.get(&at).copied().unwrap_or(sample.weight), ..sample }).collect()
}

/// The labels of the samples, ascending.
///
/// # Errors
/// When there is one label only.
pub(super) fn labels(samples: &[Embedded], report: &Report) -> Result<Vec<Arc<str>>> {
    let mut counts: BTreeMap<&Arc<str>, usize> = BTreeMap::new();
    samples.iter().flat_map(|sample| &sample.labels).for_each(|label| *counts.entry(label).or_default() += 1);
    let several = samples.iter().any(|sample| sample.labels.len() > 1);
    match counts.keys().next() {
        None => bail!("no sample is left to learn from"),
        Some(label) if counts.len() == 1 => bail!(
            "all samples have the label {label:?}, so there is nothing to tell apart; add samples of other labels"
        ),
        _ => {}
    }
    if several {
        report.say("some samples have several labels, so each label becomes a question of its own");
    }
    let mut alike: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    counts.keys().for_each(|label| alike.entry(label.to_lowercase()).or_default().push(label));
    for names in alike.values().filter(|names| names.len() > 1) {
        report.warn(format_args!("the labels {names:?} differ in case only: are they one label?"));
    }
    let having = |is: &dyn Fn(usize) -> bool| -> Vec<String> {
        counts.iter().filter(|(_, count)| is(**count)).map(|(label, count)| format!("{label:?} ({count})")).collect()
    };
    let (single, few) = (having(&|count| count == 1), having(&|count| (2..FEW).contains(&count)));
    if !single.is_empty() {
        let shown = shown(&single);
        report.warn(format_args!("{} with one sample, which says little: {shown}", labels_are(single.len())));
    }
    if !few.is_empty() {
        let shown = shown(&few);
        report.warn(format_args!("{} with fewer than {FEW} samples, too few to trust: {shown}", labels_are(few.len())));
    }
    Ok(counts.into_keys().cloned().collect())
}

fn labels_are(count: usize) -> String {
    if count == 1 { "there is 1 label".into() } else { format!("there are {count} labels") }
}

fn named(labels: &[Arc<str>]) -> String {
    labels.iter().map(|label| format!("{label:?}")).collect::<Vec<_>>().join(" and ")
}

fn shown(all: &[String]) -> String {
    let mut shown = all.iter().take(NAMED).cloned().collect::<Vec<_>>().join("; ");
    if all.len() > NAMED {
        shown += &format!("; and {} more", all.len() - NAMED);
    }
    shown
}

/// Warns of samples that are left out, and with `-v` names all of them.
pub(super) fn say(report: &Report, places: &[String], what: &str) {
    if places.is_empty() {
        return;
    }
    let (count, are) = (places.len(), if places.len() == 1 { "is 1 sample" } else { "are samples" });
    let count = if count == 1 { String::new() } else { format!(" ({count})") };
    report.warn(format_args!("there {are}{count} {what}: {}", shown(places)));
    places.iter().skip(NAMED).for_each(|place| report.note(place));
}
