//! One JSON object a line.

use std::io::{self, Write};

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Format, Layout, Records, number, record_key};
use crate::record::{Decider, Envelope, Outcome, Ranking, Verdict};

/// One JSON object a line.
pub static FORMAT: Format = Format {
    name: "jsonl",
    help: "One JSON object a line",
    extensions: &["jsonl", "ndjson"],
    has_columns: false,
    record_key: Some(|line, _| record_key::of_json(line)),
    check: None,
    records: |_, out, layout| Ok(Box::new(JsonlRecords { out, layout, array: None })),
};

/// The same objects as one array.
pub static ARRAY: Format = Format {
    name: "json",
    help: "One JSON array of the same objects",
    extensions: &["json"],
    has_columns: false,
    record_key: None,
    check: None,
    records: |_, out, layout| Ok(Box::new(JsonlRecords { out, layout, array: Some("[\n") })),
};

/// Writes JSON Lines, or an array.
struct JsonlRecords<W> {
    out: W,
    layout: Layout,
    /// What stands in front of the next object of an array.
    array: Option<&'static str>,
}

#[derive(Serialize)]
struct Scored<'a> {
    label: &'a str,
    score: Box<RawValue>,
}

/// A set's verdict; without a ranking, that of a document with an error.
#[derive(Serialize)]
struct Set<'a> {
    label: Option<&'a str>,
    score: Option<Box<RawValue>>,
    /// What decided, where the name of the model does not say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<&'static str>,
    labels: Vec<Scored<'a>>,
}

impl<'a> Set<'a> {
    fn new(ranking: Option<&'a Ranking>) -> io::Result<Self> {
        let Some(ranking) = ranking else {
            return Ok(Self { label: None, score: None, by: None, labels: Vec::new() });
        };
        let labels = ranking.top.iter().map(|(label, score)| Ok(Scored { label, score: number(*score)? }));
        Ok(Self {
            label: ranking.label.as_deref(),
            score: Some(number(ranking.score)?),
            by: ranking.by.map(Decider::name),
            labels: labels.collect::<io::Result<_>>()?,
        })
    }
}

/// Several sets as an object that keeps their order.
struct Sets<'a>(Vec<(&'a str, Set<'a>)>);

impl Serialize for Sets<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, set) in &self.0 {
            map.serialize_entry(name, set)?;
        }
        map.end()
    }
}

/// The cells of the row that a document is from, in their order.
pub(super) struct OwnCells<'a>(&'a [(String, Value)]);

impl<'a> OwnCells<'a> {
    pub(super) fn of(envelope: &'a Envelope) -> Option<Self> {
        (!envelope.row.is_empty()).then_some(Self(&envelope.row))
    }
}

impl Serialize for OwnCells<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// The line of one verdict.
///
/// # Errors
/// When a score is not a number.
pub fn json_line(verdict: &Verdict, layout: &Layout) -> io::Result<String> {
    Ok(serde_json::to_string(&Record::new(verdict, layout)?)? + "\n")
}

#[derive(Serialize)]
struct Record<'a> {
    source: &'a str,
    index: u64,
    id: Option<&'a str>,
    subject: Option<&'a str>,
    #[serde(flatten)]
    single: Option<Set<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sets: Option<Sets<'a>>,
    model: &'a str,
    tokens: usize,
    truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    row: Option<OwnCells<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl<'a> Record<'a> {
    fn new(verdict: &'a Verdict, layout: &'a Layout) -> io::Result<Self> {
        let outcome: Option<&Outcome> = verdict.outcome.as_ref().ok();
        let set = |at: usize| Set::new(outcome.and_then(|o| o.rankings.get(at)));
        let (single, sets) = if layout.sets.len() == 1 {
            (Some(set(0)?), None)
        } else {
            let named = layout.sets.iter().enumerate().map(|(at, of)| Ok((of.name.as_str(), set(at)?)));
            (None, Some(Sets(named.collect::<io::Result<_>>()?)))
        };
        Ok(Self {
            source: &verdict.origin.source,
            index: verdict.origin.index,
            id: verdict.envelope.id.as_deref(),
            subject: verdict.envelope.subject.as_deref(),
            single,
            sets,
            model: &layout.model,
            tokens: outcome.map_or(0, |o| o.tokens),
            truncated: outcome.is_some_and(|o| o.truncated),
            row: OwnCells::of(&verdict.envelope),
            error: verdict.outcome.as_ref().err().map(ToString::to_string),
        })
    }
}

impl<W: Write> Records for JsonlRecords<W> {
    fn write(&mut self, verdict: &Verdict) -> io::Result<()> {
        let record = Record::new(verdict, &self.layout)?;
        if let Some(before) = &mut self.array {
            self.out.write_all(std::mem::replace(before, ",\n").as_bytes())?;
            return Ok(serde_json::to_writer(&mut self.out, &record)?);
        }
        serde_json::to_writer(&mut self.out, &record)?;
        self.out.write_all(b"\n")
    }

    fn finish(&mut self) -> io::Result<()> {
        match self.array {
            Some("[\n") => self.out.write_all(b"[]\n")?,
            Some(_) => self.out.write_all(b"\n]\n")?,
            None => {}
        }
        self.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
