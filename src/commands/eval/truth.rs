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
    let meant = |label: &str| nearest(label, &set).map_or(String::new(), |near| format!(", did you mean {near:?}?"));
    let mut named: Vec<String> =
        unknown.iter().map(|(label, count)| format!("{label:?} ({count}{})", meant(label))).collect();
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

/// The label of the set that differs in case or blanks, or by one letter.
fn nearest<'s>(label: &str, set: &'s LabelSet) -> Option<&'s str> {
    let plain = |name: &str| name.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ");
    let wanted = plain(label);
    let names = || set.labels.iter().map(|label| &*label.name);
    names().find(|name| plain(name) == wanted).or_else(|| names().find(|name| is_one_letter_off(&plain(name), &wanted)))
}

/// True where one letter is added, left out or another, in names of more than three.
fn is_one_letter_off(one: &str, other: &str) -> bool {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let same = one.iter().zip(&other).take_while(|(a, b)| a == b).count();
    let (rest, others) = (&one[same..], &other[same..]);
    let is_near = match rest.len().abs_diff(others.len()) {
        0 => rest.get(1..) == others.get(1..),
        1 if rest.len() > others.len() => &rest[1..] == others,
        1 => rest == &others[1..],
        _ => false,
    };
    is_near && one.len().min(other.len()) > 3
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_that_were_meant() {
        let set = LabelSet::named("s".into(), ["orders", "Support request", "投诉与建议"].map(Arc::from));
        let check = |label: &str, expected: Option<&str>| assert_eq!(nearest(label, &set), expected, "{label}");
        check("Orders", Some("orders"));
        check("order", Some("orders"));
        check("ordrrs", Some("orders"));
        check("support  request", Some("Support request"));
        check("投诉建议", Some("投诉与建议"));
        check("invoices", None);
        check("", None);
    }
}
