//! The true labels of each sample, in terms of the label set.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use anyhow::{Result, bail, ensure};

use crate::intake::labelled::Sample;
use crate::labels::LabelSet;
use crate::record::{Intake, label_key};
use crate::report::Report;

/// How many unknown labels are named.
const NAMED: usize = 10;

/// A sample whose labels are all in the set.
pub(super) struct LabelledDocument {
    /// Shared with what is being scored.
    pub(super) document: Arc<Intake>,
    pub(super) labels: Vec<Arc<str>>,
}

/// Compares the samples with the label set; without one, the set is made of their labels.
///
/// # Errors
/// When a sample has a label that is not in the set, or the samples have one label only.
pub(super) fn resolve(
    given: Option<LabelSet>,
    samples: Vec<Sample>,
    skip_unknown: bool,
    report: &Report,
) -> Result<(LabelSet, Vec<LabelledDocument>)> {
    let judged = |sample: Sample| LabelledDocument { document: sample.document.into(), labels: sample.labels };
    let Some(set) = given else {
        let set = named_by(&samples)?;
        return Ok((set, samples.into_iter().map(judged).collect()));
    };
    let known = indices(&set);
    let mut unknown: BTreeMap<Arc<str>, u64> = BTreeMap::new();
    let mut kept = Vec::with_capacity(samples.len());
    let mut left = 0u64;
    let spelled: HashMap<_, _> = set.labels.iter().map(|label| (label_key(&label.name), &label.name)).collect();
    for mut sample in samples {
        for label in &mut sample.labels {
            if let Some(name) = spelled.get(&label_key(label)) {
                *label = (*name).clone();
            }
        }
        sample.labels.retain(|label| {
            let is_known = known.contains_key(&**label);
            if !is_known {
                *unknown.entry(label.clone()).or_default() += 1;
            }
            is_known
        });
        if sample.labels.is_empty() {
            left += 1;
        } else {
            kept.push(judged(sample));
        }
    }
    if unknown.is_empty() {
        return Ok((set, kept));
    }
    let mut named: Vec<String> = unknown.iter().map(|(label, count)| format!("{label:?} ({count})")).collect();
    let more = named.len().saturating_sub(NAMED);
    named.truncate(NAMED);
    if more > 0 {
        named.push(format!("{more} more"));
    }
    let named = named.join(", ");
    if !skip_unknown {
        bail!(
            "the samples have labels that are not in the label set {:?}: {named}; add them to it, or leave such samples out \
             with --skip-unknown",
            set.name
        );
    }
    ensure!(!kept.is_empty(), "no sample has a label of the label set {:?}; theirs are {named}", set.name);
    report.warn(format_args!(
        "{left} samples are left out, none of whose labels is in the label set; not in it are {named}"
    ));
    Ok((set, kept))
}

/// A set of the labels that the samples have, by their names.
fn named_by(samples: &[Sample]) -> Result<LabelSet> {
    let names: BTreeSet<&Arc<str>> = samples.iter().flat_map(|sample| &sample.labels).collect();
    ensure!(
        names.len() > 1,
        "all samples have one label, so there is nothing to tell apart; name the others in a label file with --labels"
    );
    Ok(LabelSet::named("of the samples".into(), names.into_iter().cloned()))
}

/// The index of each label in the set.
pub(super) fn indices(set: &LabelSet) -> HashMap<&str, usize> {
    set.labels.iter().enumerate().map(|(at, label)| (&*label.name, at)).collect()
}
