//! Labels that a request brings: how they are written in JSON, and the classifiers that were made for them.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::classifier::{Classifier, RankingSpec};
use crate::labels::{Label, LabelSet};
use crate::record::InOrder;

/// Classifiers for labels of requests that are kept.
const KEPT: usize = 64;
/// The name of a set of labels that has none, as of `--label`.
const UNNAMED: &str = "label";

/// Reads the labels of a request: the text of a label file, a list, or several sets by name.
///
/// # Errors
/// When they are written in another way, or are no labels, as for a label file.
pub(super) fn label_sets(given: &RawValue) -> Result<Vec<LabelSet>> {
    if !given.get().starts_with('{') {
        return Ok(vec![label_set(UNNAMED.into(), given)?]);
    }
    let InOrder(sets) = serde_json::from_str::<InOrder<Box<RawValue>>>(given.get())?;
    ensure!(!sets.is_empty(), "there is no label set");
    let named = |(name, given): (String, Box<RawValue>)| {
        label_set(name.clone(), &given).with_context(|| format!("the label set {name:?}"))
    };
    sets.into_iter().map(named).collect()
}

fn label_set(name: String, given: &RawValue) -> Result<LabelSet> {
    let labels: Vec<GivenLabel> = match given.get().chars().next() {
        Some('"') => {
            let text: String = serde_json::from_str(given.get())?;
            return LabelSet::parse(name, text.as_bytes(), "", None);
        }
        Some('[') => serde_json::from_str(given.get()).map_err(|error| anyhow!("{error}; {FORMS}"))?,
        _ => bail!("{FORMS}"),
    };
    let label = |given: GivenLabel| match given {
        GivenLabel::Line(line) => Label::parse(&line).with_context(|| format!("{line:?}")),
        GivenLabel::Parts(LabelParts { name, description, threshold, examples }) => {
            Ok(Label { description, threshold, examples, ..Label::named(name.trim().into()) })
        }
    };
    let labels = labels.into_iter().map(label).collect::<Result<_>>()?;
    let set = LabelSet { labels, ..LabelSet::named(name, []) };
    set.check()?;
    Ok(set)
}

/// How labels are written.
const FORMS: &str = "labels are a text with one `name: description` a line, a list of such texts or of objects with `name`, \
                     `description`, `threshold` and `examples`, or an object of several sets by name";

/// A label: `name: description`, or an object.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a label is a text or an object with `name`, `description`, `threshold` and `examples`")]
enum GivenLabel {
    Line(String),
    Parts(LabelParts),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LabelParts {
    name: String,
    description: Option<String>,
    threshold: Option<f32>,
    #[serde(default)]
    examples: Vec<String>,
}

/// The classifiers that were made last, by what they were made of.
#[derive(Default)]
pub(super) struct Classifiers {
    kept: HashMap<[u8; 32], (Arc<Classifier>, u64)>,
    uses: u64,
}

impl Classifiers {
    pub(super) fn get(&mut self, key: &[u8; 32]) -> Option<Arc<Classifier>> {
        self.uses += 1;
        let (classifier, used) = self.kept.get_mut(key)?;
        *used = self.uses;
        Some(classifier.clone())
    }

    pub(super) fn keep(&mut self, key: [u8; 32], classifier: Arc<Classifier>) {
        if self.kept.len() >= KEPT
            && let Some(oldest) = self.kept.iter().min_by_key(|(_, (_, used))| *used).map(|(key, _)| *key)
        {
            self.kept.remove(&oldest);
        }
        self.kept.insert(key, (classifier, self.uses));
    }
}

/// How a request wants its labels ranked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Wanted {
    pub(super) top_k: usize,
    pub(super) threshold: Option<f32>,
}

impl Default for Wanted {
    fn default() -> Self {
        Self { top_k: RankingSpec::default().top_k, threshold: None }
    }
}

/// What tells classifiers apart.
///
/// # Errors
/// When a label cannot be written as JSON.
pub(super) fn key(labels: Option<&[LabelSet]>, ranking: &RankingSpec) -> Result<[u8; 32]> {
    Ok(Sha256::digest(serde_json::to_vec(&(labels, ranking))?).into())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn names(given: Value) -> Result<Vec<(String, Vec<String>)>> {
        let sets = label_sets(&serde_json::value::to_raw_value(&given)?)?;
        let names = |set: LabelSet| (set.name, set.labels.iter().map(|label| label.name.to_string()).collect());
        Ok(sets.into_iter().map(names).collect())
    }

    #[test]
    fn labels_are_written_in_three_ways() {
        let check = |given: Value, expected: &[(&str, &[&str])]| {
            let named =
                |(set, labels): &(&str, &[&str])| (set.to_string(), labels.iter().map(|l| l.to_string()).collect());
            assert_eq!(names(given).unwrap(), expected.iter().map(named).collect::<Vec<_>>());
        };
        check(json!("# queues\ninvoice: a bill\nmeeting\n"), &[("label", &["invoice", "meeting"])]);
        check(json!(["invoice: a bill", {"name": "meeting", "threshold": 0.5}]), &[("label", &["invoice", "meeting"])]);
        let sets = RawValue::from_string(r#"{"queue": ["a", "b"], "mood": "good\nbad"}"#.into()).unwrap();
        let sets: Vec<String> = label_sets(&sets).unwrap().into_iter().map(|set| set.name).collect();
        assert_eq!(sets, ["queue", "mood"]);
    }

    #[test]
    fn what_is_no_label_set_is_refused() {
        for (given, why) in [
            (json!([]), "no label"),
            (json!({}), "no label set"),
            (json!(["a", "a"]), "given twice"),
            (json!("a, b, c"), "reads like several"),
            (json!({"set": {"a": "b"}}), "\"set\""),
            (json!([{"name": "a", "treshold": 1}]), "a label is a text or an object"),
            (json!([{"name": ""}]), "no name"),
        ] {
            let error = names(given.clone()).err().map(|error| format!("{error:#}")).unwrap_or_default();
            assert!(error.contains(why), "{given} {error:?}");
        }
    }

    #[test]
    fn the_key_tells_labels_and_rankings_apart() {
        let set = |text: &str| vec![LabelSet::from_text("label".into(), text).unwrap()];
        let ranking = RankingSpec::default();
        let keys = [
            key(None, &ranking),
            key(Some(&set("a\nb")), &ranking),
            key(Some(&set("a: x\nb")), &ranking),
            key(None, &RankingSpec { top_k: 1, ..ranking }),
            key(None, &RankingSpec { threshold: Some(0.5), ..ranking }),
        ]
        .map(Result::unwrap);
        for (at, one) in keys.iter().enumerate() {
            assert!(keys[..at].iter().all(|other| other != one), "{at}");
        }
    }
}
