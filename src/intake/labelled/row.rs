//! One row of a file of samples: its text or path, and its labels.

use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::{Identity, LabelledOptions, Unlabelled, Why};
use crate::intake::tables::{BEST_LABEL, TableRow};

/// The range of sample weights.
pub const WEIGHTS: RangeInclusive<f32> = 1e-6..=1e6;

/// The columns that are read besides text and label.
const COLUMNS: [&str; 10] =
    ["path", "subject", "from", "id", "labels", "weight", "source", "index", "score", BEST_LABEL];

/// The fields of a row by name.
#[derive(Debug)]
pub(super) struct SampleRow {
    fields: Map<String, Value>,
    /// Of a table, whose columns may be called in other ways.
    is_table: bool,
}

/// Where the text of a row is.
#[derive(Debug, PartialEq)]
pub(super) enum What {
    /// In the row, in the form of `intake/rows.rs`.
    Text(Vec<u8>),
    /// In its own file.
    Path(String),
    /// Where `classify` found it.
    Record { source: String, index: u64, known: Identity },
}

/// A usable row.
#[derive(Debug, PartialEq)]
pub(super) struct LabelledRow {
    pub(super) what: What,
    pub(super) labels: Vec<Arc<str>>,
    pub(super) weight: f32,
}

/// The labels of a row.
struct Said {
    labels: Vec<String>,
    /// The score of a record whose label was not changed.
    score: Option<f32>,
}

impl SampleRow {
    /// The fields of a line of JSON.
    pub(super) fn of_json(row: TableRow) -> Result<Self, String> {
        match row.bad {
            Some(why) => Err(why),
            None => Ok(Self { fields: row.cells.into_iter().collect(), is_table: false }),
        }
    }

    /// The cells of a table. Empty ones are left out, but for those of texts.
    pub(super) fn of_table(row: TableRow) -> Result<Self, String> {
        if let Some(why) = row.bad {
            return Err(why);
        }
        let known = |name: String| {
            let found =
                COLUMNS.into_iter().chain(["label", "text"]).find(|known| name.trim().eq_ignore_ascii_case(known));
            found.map_or(name, String::from)
        };
        let cells = row.cells.into_iter().map(|(name, value)| (known(name), value));
        let is_kept = |name: &str, value: &Value| !value.is_null() && value != "" || !COLUMNS.contains(&name);
        Ok(Self { fields: cells.filter(|(name, value)| is_kept(name, value)).collect(), is_table: true })
    }

    /// The labels, weight and text of the row; an error if it has no label or text, or its score is too low.
    pub(super) fn labelled(mut self, options: &LabelledOptions) -> Result<LabelledRow, Why> {
        let has_text = self.has_text(options);
        let is_record = !has_text && self.string("path").is_none() && self.fields.contains_key("source");
        // A table that `classify` has written holds its texts beside the verdicts.
        let is_scored = ["source", "score", BEST_LABEL].iter().all(|name| self.fields.contains_key(*name));
        let said = if is_record || is_scored { self.recorded(options)? } else { self.labels(&self.fields, options)? };
        let labels = said.labels.iter().map(|label| clean(label)).collect::<Result<Vec<_>, _>>()?;
        let labels = distinct(labels);
        if labels.is_empty() && options.unlabelled == Unlabelled::LeftOut {
            return Err(Why::NoLabel(""));
        }
        match said.score.zip(options.min_score) {
            Some((score, _)) if !is_probability(score) => {
                return Err(Why::BadRow(format!(
                    "its score {score} is no probability, with which --min-score could be compared; write the records \
                     without --raw-scores"
                )));
            }
            Some((score, least)) if score < least => return Err(Why::Doubtful),
            _ => {}
        }
        let weight = self.number("weight").filter(|weight| *weight == 0.0 || WEIGHTS.contains(weight));
        if self.fields.get("weight").is_some_and(|weight| !weight.is_null()) && weight.is_none() {
            let (least, most) = (WEIGHTS.start(), WEIGHTS.end());
            return Err(Why::BadRow(format!("`weight` is neither 0 nor a number from {least} to {most}")));
        }
        let what = if is_record { self.place()? } else { self.text(options)? };
        // A raw score does not say how much a sample counts.
        let weight = weight.or(said.score.map(|score| if is_probability(score) { score } else { f32::NAN }));
        Ok(LabelledRow { what, labels, weight: weight.unwrap_or(1.0) })
    }

    /// True where the row has a text itself. A `message` beside a `path` is something else.
    fn has_text(&self, options: &LabelledOptions) -> bool {
        let is_there = |name: &str| self.fields.get(name).is_some_and(|text| !text.is_null());
        let is_elsewhere = || self.fields.contains_key("path") || self.fields.contains_key("source");
        match options.fields.text.as_slice() {
            [] => is_there("text") || !is_elsewhere(),
            names => names.iter().any(|name| is_there(name) || self.column(name).is_some_and(|text| !text.is_null())),
        }
    }

    /// A column of a table, by its name without case.
    fn column(&self, name: &str) -> Option<&Value> {
        let mut cells = self.fields.iter().filter(|_| self.is_table);
        cells.find(|(own, _)| own.trim().eq_ignore_ascii_case(name.trim())).map(|(_, value)| value)
    }

    /// The text, or the path to it.
    fn text(&mut self, options: &LabelledOptions) -> Result<What, Why> {
        if let Some(path) = self.string("path").filter(|_| !self.has_text(options)) {
            return Ok(What::Path(path.to_string()));
        }
        if !self.is_table && options.fields.subject.is_empty() {
            // Lines of JSON have the subject under its own name only.
            self.fields.remove("title");
        }
        let cells: Vec<(String, Value)> = std::mem::take(&mut self.fields).into_iter().collect();
        let text = options.fields.text_of(&cells).map_err(|why| {
            let is_missing = options.fields.are_default() && !cells.iter().any(|(name, _)| name == "text");
            Why::BadRow(if is_missing { "neither `text` nor `path` in it".into() } else { why })
        })?;
        text.into_bytes().map(What::Text).map_err(Why::BadRow)
    }

    /// The position of a document of a record.
    fn place(&self) -> Result<What, Why> {
        let bad = |what: &str| Why::BadRow(what.to_string());
        let source = self.string("source").ok_or_else(|| bad("`source` is no text"))?;
        let index = match self.fields.get("index") {
            Some(Value::Number(index)) => index.as_u64(),
            Some(Value::String(index)) => index.parse().ok(),
            _ => None,
        };
        let index = index.ok_or_else(|| bad("`source` without an `index`, and no text"))?;
        let said = |name: &str| self.fields.get(name).map(|value| value.as_str().map(String::from));
        let known = Identity { id: said("id"), subject: said("subject") };
        Ok(What::Record { source: source.to_string(), index, known })
    }

    /// The label of a record. A label that is still the model's best has the model's score; a label that somebody has
    /// changed is certain.
    fn recorded(&self, options: &LabelledOptions) -> Result<Said, Why> {
        let sets = self.fields.get("sets").and_then(Value::as_object);
        let fields = match (sets, &options.set) {
            (None, _) => &self.fields,
            (Some(sets), Some(name)) => {
                let set = sets.get(name).and_then(Value::as_object);
                set.ok_or_else(|| Why::BadRow(format!("no label set {name:?} in it")))?
            }
            (Some(sets), None) => {
                let names: Vec<&str> = sets.keys().map(String::as_str).collect();
                return Err(Why::BadRow(format!("several label sets; name one with --set: {}", names.join(", "))));
            }
        };
        let mut said = self.labels(fields, options)?;
        let listed = fields.get("labels").and_then(|labels| labels.get(0)?.get("label")?.as_str());
        let best = listed.or(fields.get(BEST_LABEL).and_then(Value::as_str));
        let unchanged = said.labels.len() == 1 && best.is_none_or(|best| best == said.labels[0]);
        said.score = number(fields.get("score")).filter(|score| unchanged && score.is_finite());
        Ok(said)
    }

    /// The labels in `fields`: a list or a single one. A list of objects is the ranking of `classify`, whose best is
    /// in `label`.
    fn labels(&self, fields: &Map<String, Value>, options: &LabelledOptions) -> Result<Said, Why> {
        let several = fields.get("labels").filter(|labels| !options.names_label() && !is_ranked(labels));
        let named = |value| names(value).ok_or(|field: &str| format!("`{field}` is neither text nor a list of texts"));
        let mut labels = several.map_or(Ok(Vec::new()), named).map_err(|why| Why::BadRow(why("labels")))?;
        if labels.is_empty()
            && let Some(one) = fields.get(&options.label_field).or_else(|| self.column(&options.label_field))
        {
            labels = named(one).map_err(|why| Why::BadRow(why(&options.label_field)))?;
        }
        Ok(Said { labels, score: None })
    }

    fn string(&self, name: &str) -> Option<&str> {
        self.fields.get(name)?.as_str().filter(|text| !text.is_empty())
    }

    fn number(&self, name: &str) -> Option<f32> {
        number(self.fields.get(name))
    }
}

/// True for a ranking of `classify`.
fn is_ranked(labels: &Value) -> bool {
    labels.as_array().is_some_and(|labels| labels.first().is_some_and(Value::is_object))
}

/// One or several names, without empty ones; `None` if the value has another type.
fn names(value: &Value) -> Option<Vec<String>> {
    let name = |value: &Value| match value {
        Value::Null => Some(String::new()),
        Value::String(label) => Some(label.clone()),
        // Data sets of other people often have numbers as classes.
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Array(_) | Value::Object(_) => None,
    };
    let names: Option<Vec<String>> = match value {
        Value::Array(all) => all.iter().map(name).collect(),
        one => name(one).map(|name| vec![name]),
    };
    Some(names?.into_iter().filter(|name| !name.trim().is_empty()).collect())
}

fn is_probability(score: f32) -> bool {
    (0.0..=1.0).contains(&score)
}

fn number(value: Option<&Value>) -> Option<f32> {
    match value? {
        Value::Number(number) => number.as_f64().map(|number| number as f32),
        Value::String(number) => number.trim().parse().ok(),
        _ => None,
    }
}

/// A label in the form of label sets: trimmed and on one line.
pub(super) fn clean(label: &str) -> Result<Arc<str>, Why> {
    match label.trim() {
        label if label.chars().any(char::is_control) => Err(Why::NoLabel("its label holds a control character")),
        label if label.contains(char::REPLACEMENT_CHARACTER) => {
            Err(Why::NoLabel("its label holds a damaged character; --encoding names the charset of the file"))
        }
        label => Ok(label.into()),
    }
}

fn distinct(labels: Vec<Arc<str>>) -> Vec<Arc<str>> {
    let mut seen = HashSet::with_capacity(labels.len());
    labels.into_iter().filter(|label| seen.insert(label.clone())).collect()
}
