//! Verdicts that were recorded with their truth, as `serve --sample-to` writes them and a person completes them: judged
//! as they are, without a model.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use super::truth::LabelledDocument;
use crate::labels::LabelSet;
use crate::platform;
use crate::record::{Document, Envelope, Origin, Outcome, Ranking, Reason, Verdict, label_key};
use crate::report::Report;

/// Longest file.
const MOST: u64 = 1 << 30;

/// A line. Other members are not needed.
#[derive(Deserialize)]
struct Line {
    truth: Option<Truth>,
    source: String,
    index: u64,
    id: Option<String>,
    #[serde(default)]
    subject: Option<String>,
    #[serde(default)]
    from: Option<String>,
    #[serde(default)]
    text: Option<String>,
    model: String,
    #[serde(flatten)]
    verdict: SetVerdict,
    #[serde(default)]
    sets: BTreeMap<String, SetVerdict>,
    error: Option<String>,
}

/// The right label, of the only label set or of each.
#[derive(Deserialize)]
#[serde(untagged)]
enum Truth {
    One(String),
    Sets(BTreeMap<String, Option<String>>),
}

#[derive(Clone, Default, Deserialize)]
struct SetVerdict {
    label: Option<Arc<str>>,
    #[serde(default)]
    labels: Vec<Scored>,
}

#[derive(Clone, Deserialize)]
struct Scored {
    label: Arc<str>,
    score: f32,
}

/// What was recorded.
pub(super) struct Recorded {
    pub(super) set: LabelSet,
    pub(super) judged: Vec<LabelledDocument>,
    pub(super) verdicts: Vec<Verdict>,
    pub(super) model: String,
}

/// Reads a file. `name` is the label set that is judged, where there are several, and `given` its labels.
///
/// # Errors
/// When a line is no such record, no line has a truth, or several models or sets are in it.
pub(super) fn read(path: &Path, name: Option<&str>, given: Option<LabelSet>, report: &Report) -> Result<Recorded> {
    let shown = path.display();
    let bytes = platform::read_file_or_pipe(path, MOST).with_context(|| format!("cannot read {shown}"))?;
    let lines = bytes.split(|&byte| byte == b'\n').enumerate().filter(|(_, line)| !line.trim_ascii().is_empty());
    let mut read = Recorded {
        set: LabelSet::named(name.unwrap_or("of the records").into(), []),
        judged: Vec::new(),
        verdicts: Vec::new(),
        model: String::new(),
    };
    let (mut labels, mut waiting): (BTreeSet<Arc<str>>, usize) = (BTreeSet::new(), 0);
    for (at, line) in lines {
        let context = || format!("{shown}, line {}: no record of `serve --sample-to` with a `truth`", at + 1);
        let line: Line = serde_json::from_slice(line).with_context(context)?;
        let Some((truth, verdict)) = line.of_set(name).with_context(context)? else {
            waiting += 1;
            continue;
        };
        ensure!(
            read.model.is_empty() || read.model == line.model,
            "{shown}, line {}: the records are of several models, {:?} and {:?}; judge each by itself",
            at + 1,
            read.model,
            line.model
        );
        read.model.clone_from(&line.model);
        labels.extend(verdict.labels.iter().map(|scored| scored.label.clone()));
        let truth: Arc<str> = truth.trim().into();
        ensure!(!truth.is_empty(), "{shown}, line {}: the `truth` is empty; write a label, or null", at + 1);
        read.judged.push(LabelledDocument { document: Arc::new(Ok(line.document())), labels: vec![truth] });
        read.verdicts.push(line.outcome(verdict));
    }
    ensure!(!read.judged.is_empty(), "no line of {shown} has a `truth` yet: write the right label in place of null");
    if waiting > 0 {
        let lines = if waiting == 1 { "1 line has" } else { &format!("{waiting} lines have") };
        report.warn(format_args!("{lines} no `truth` yet: left out"));
    }
    read.set = match given {
        Some(set) => spelled(set, &mut read)?,
        None => of_records(labels, &mut read, report),
    };
    Ok(read)
}

/// The labels that the records show, and those of truths that none of them shows: a label may be right and never among the
/// best, or be misspelled.
fn of_records(mut labels: BTreeSet<Arc<str>>, read: &mut Recorded, report: &Report) -> LabelSet {
    for truth in read.judged.iter_mut().flat_map(|judged| &mut judged.labels) {
        match labels.iter().find(|known| label_key(known) == label_key(truth)) {
            Some(known) => *truth = known.clone(),
            None => {
                report.warn(format_args!(
                    "no record shows the label {truth:?}, which a `truth` names; --labels FILE tells whether there is one"
                ));
                labels.insert(truth.clone());
            }
        }
    }
    LabelSet::named(read.set.name.clone(), labels)
}

/// Takes the spelling of a label set for its labels.
fn spelled(set: LabelSet, read: &mut Recorded) -> Result<LabelSet> {
    for LabelledDocument { labels, .. } in &mut read.judged {
        for label in labels {
            let known = set.labels.iter().find(|known| label_key(&known.name) == label_key(label));
            let Some(known) = known else {
                bail!("the label set {:?} has no label {label:?}, which a `truth` names", set.name);
            };
            *label = known.name.clone();
        }
    }
    Ok(set)
}

impl Line {
    /// The truth and the verdict of a set; `None` where nobody has said the truth.
    fn of_set(&self, name: Option<&str>) -> Result<Option<(&str, &SetVerdict)>> {
        match (&self.truth, name) {
            (None, _) => Ok(None),
            (Some(Truth::One(truth)), _) => {
                ensure!(self.sets.is_empty(), "it has several label sets, and one truth");
                Ok(Some((truth, &self.verdict)))
            }
            (Some(Truth::Sets(truths)), name) => {
                let names = || self.sets.keys().cloned().collect::<Vec<_>>().join(", ");
                let name = name.with_context(|| format!("--set names one of its label sets: {}", names()))?;
                let verdict = self
                    .sets
                    .get(name)
                    .with_context(|| format!("it has no label set {name:?}; there are {}", names()))?;
                Ok(truths.get(name).and_then(Option::as_deref).map(|truth| (truth, verdict)))
            }
        }
    }

    fn origin(&self) -> Origin {
        Origin { source: Arc::from(&*self.source), index: self.index, offset: 0 }
    }

    fn envelope(&self) -> Envelope {
        Envelope { id: self.id.clone(), subject: self.subject.clone(), from: self.from.clone(), ..Envelope::default() }
    }

    fn document(&self) -> Document {
        let text = self.text.as_deref().unwrap_or_default();
        Document { origin: self.origin(), envelope: self.envelope(), ..Document::from(text) }
    }

    fn outcome(&self, verdict: &SetVerdict) -> Verdict {
        let top = verdict.labels.iter().map(|scored| (scored.label.clone(), scored.score));
        let ranking = Ranking {
            label: verdict.label.clone(),
            score: verdict.labels.first().map_or(0.0, |best| best.score),
            by: None,
            top: top.collect(),
        };
        let outcome = match &self.error {
            None => Ok(Outcome { rankings: vec![ranking], tokens: 0, truncated: false }),
            Some(error) => Err(Reason::Unreadable(error.clone())),
        };
        Verdict { origin: self.origin(), envelope: self.envelope(), outcome }
    }
}
