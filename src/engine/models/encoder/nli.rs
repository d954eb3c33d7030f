//! What the logits of a cross-encoder mean. A reranker has one. A model for natural language inference (NLI) says
//! whether a premise entails a hypothesis: the mail is the premise, and the hypothesis is a sentence with the label in
//! it, as in the zero-shot pipeline of `transformers`.

use std::fmt;
use std::str::FromStr;

use anyhow::{Result, bail, ensure};
use serde_json::Value;

use crate::engine::LabelText;
use crate::engine::registry::LoadOptions;

/// How the entailments of a set of labels become scores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Nli {
    /// One label fits: scores of a set sum to 1
    #[default]
    Single,
    /// Each label by itself, entailed or contradicted
    Multi,
}

/// A sentence with a place for a label.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Hypothesis(String);

/// Where the label goes.
const PLACE: &str = "{}";

impl Default for Hypothesis {
    fn default() -> Self {
        Self("This email is about {}.".into())
    }
}

impl FromStr for Hypothesis {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let places = text.matches(PLACE).count();
        if places != 1 {
            return Err(format!("it has {places} places for a label; write {PLACE} where the label goes, once"));
        }
        if text.contains(['\n', '\r']) {
            return Err("it is more than one line".into());
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for Hypothesis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What becomes of the logits of a pair.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum ClassReading {
    /// A reranker: there is one.
    Relevance,
    /// An NLI model: the indices of its classes, and how they are read.
    Entailment { entailment: usize, contradiction: usize, nli: Nli, hypothesis: Hypothesis },
}

impl ClassReading {
    /// By the names of the classes in config.json.
    ///
    /// # Errors
    /// When it is neither a reranker nor an NLI model.
    pub(super) fn of(config: &Value, options: &LoadOptions) -> Result<Self> {
        let classes = classes(config)?;
        if classes.len() == 1 {
            return Ok(Self::Relevance);
        }
        let (entailment, contradiction) = entailment(&classes)?;
        let (nli, hypothesis) = (options.nli, options.hypothesis.clone());
        Ok(Self::Entailment { entailment, contradiction, nli, hypothesis })
    }

    /// What a label is read as beside the mail.
    pub(super) fn words(&self, label: &LabelText) -> String {
        match self {
            Self::Relevance => label.text(),
            // The name alone: NLI models were trained on sentences, and a description makes none.
            Self::Entailment { hypothesis, .. } => hypothesis.0.replace(PLACE, &label.name),
        }
    }

    /// The one logit of the classes'.
    pub(super) fn logit(&self, classes: &[f32]) -> f32 {
        match *self {
            Self::Relevance => classes[0],
            // The softmax over the labels is left to who knows them all.
            Self::Entailment { entailment, nli: Nli::Single, .. } => classes[entailment],
            // Its sigmoid is the softmax of the two.
            Self::Entailment { entailment, contradiction, .. } => classes[entailment] - classes[contradiction],
        }
    }

    /// With which each text is judged without others beside it.
    pub(super) fn by_itself(&self) -> Self {
        match self.clone() {
            Self::Entailment { entailment, contradiction, hypothesis, .. } => {
                Self::Entailment { entailment, contradiction, nli: Nli::Multi, hypothesis }
            }
            relevance => relevance,
        }
    }

    pub(super) fn is_shared(&self) -> bool {
        matches!(self, Self::Entailment { nli: Nli::Single, .. })
    }

    /// All of it that a score depends on.
    pub(super) fn class(&self) -> String {
        match self {
            Self::Relevance => String::new(),
            Self::Entailment { nli: Nli::Single, hypothesis, .. } => format!(", entailment of {:?}", hypothesis.0),
            Self::Entailment { hypothesis, .. } => format!(", entailment or contradiction of {:?}", hypothesis.0),
        }
    }
}

/// The names of the classes, in the order of their logits.
///
/// # Errors
/// When config.json does not number them from 0 on.
pub(super) fn classes(config: &Value) -> Result<Vec<String>> {
    let Some(named) = config["id2label"].as_object() else {
        // Two where nothing is said, as in `transformers`.
        let count = config["num_labels"].as_u64().unwrap_or(2);
        ensure!((1..1 << 16).contains(&count), "config.json: `num_labels` is {count}");
        return Ok((0..count).map(|at| format!("LABEL_{at}")).collect());
    };
    ensure!(!named.is_empty(), "config.json: `id2label` is empty");
    (0..named.len())
        .map(|at| match named.get(&at.to_string()).and_then(Value::as_str) {
            Some(name) => Ok(name.to_string()),
            None => bail!("config.json: `id2label` has {} classes and none of number {at}", named.len()),
        })
        .collect()
}

/// Which classes say that the premise entails the hypothesis, and that it does not. Their order and case differ between
/// models.
fn entailment(classes: &[String]) -> Result<(usize, usize)> {
    let lower: Vec<String> = classes.iter().map(|name| name.to_lowercase()).collect();
    let starting = |start: &str| lower.iter().position(|name| name.starts_with(start));
    let unknown = || {
        format!(
            "the model tells {} classes of its own apart ({}); mailsort takes rerankers, which have one, and NLI models, \
             whose classes are entailment and contradiction or not_entailment",
            classes.len(),
            classes.iter().take(5).map(String::as_str).collect::<Vec<_>>().join(", ")
        )
    };
    let Some(entailment) = starting("entail") else { bail!(unknown()) };
    let contradiction = if classes.len() == 2 { Some(1 - entailment) } else { starting("contra") };
    let Some(contradiction) = contradiction else { bail!(unknown()) };
    Ok((entailment, contradiction))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn classes_by_name_in_any_order() {
        let check = |names: &[&str], expected: Option<(usize, usize)>| {
            let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
            assert_eq!(entailment(&names).ok(), expected, "{names:?}");
        };
        check(&["entailment", "neutral", "contradiction"], Some((0, 2)));
        check(&["CONTRADICTION", "NEUTRAL", "ENTAILMENT"], Some((2, 0)));
        check(&["neutral", "entailment", "contradiction"], Some((1, 2)));
        check(&["entailment", "not_entailment"], Some((0, 1)));
        check(&["not_entailment", "Entailment"], Some((1, 0)));
        check(&["positive", "negative"], None);
        check(&["LABEL_0", "LABEL_1", "LABEL_2"], None);
        check(&["neutral", "entailment", "other"], None);
    }

    #[test]
    fn classes_are_numbered_from_0_on() {
        let check = |config: Value, expected: Option<&[&str]>| {
            let read = classes(&config).ok();
            assert_eq!(
                read.as_deref(),
                expected.map(|names| names.iter().map(|name| name.to_string()).collect::<Vec<_>>()).as_deref(),
                "{config}"
            );
        };
        check(json!({"id2label": {"1": "b", "0": "a"}}), Some(&["a", "b"]));
        check(json!({"id2label": {"1": "b", "2": "a"}}), None);
        check(json!({"id2label": {}}), None);
        check(json!({"num_labels": 1}), Some(&["LABEL_0"]));
        check(json!({}), Some(&["LABEL_0", "LABEL_1"]));
    }

    #[test]
    fn a_hypothesis_has_one_place() {
        let check = |text: &str, fits: bool| assert_eq!(text.parse::<Hypothesis>().is_ok(), fits, "{text:?}");
        check("This email is about {}.", true);
        check("{}", true);
        check("Diese E-Mail handelt von {}.", true);
        check("This email is about.", false);
        check("{} or {}", false);
        check("{ }", false);
        check("about\n{}", false);
        check("", false);
    }
}
