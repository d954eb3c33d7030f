//! What a record that was written before says, as far as a run that goes on after it has to know.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use csv::StringRecord;
use serde::Deserialize;

use crate::charset::without_mark;

/// What of a record is needed to find its document again, and to see whether it is of this kind of run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RecordKey {
    /// The document's source, as it stands in the record.
    pub source: String,
    /// Its position in the source.
    pub index: u64,
    /// Its Message-ID, as it stands in the record.
    pub id: Option<String>,
    /// The error, if the document has no verdict.
    pub error: Option<String>,
    /// The model, where the format names it.
    pub model: Option<String>,
    /// What is shown of each label set.
    pub sets: Vec<Shown>,
}

/// What a record shows of a label set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shown {
    /// The set's name; empty where there is one set, which is not named.
    pub set: String,
    /// Labels as they stand in the record, and their scores.
    pub labels: Vec<(String, f64)>,
}

/// A line of JSON. What a verb does not write is absent.
#[derive(Deserialize)]
struct Line {
    source: String,
    index: u64,
    id: Option<String>,
    error: Option<String>,
    model: Option<String>,
    labels: Option<Vec<Scored>>,
    #[serde(default)]
    sets: BTreeMap<String, ShownLabels>,
}

#[derive(Deserialize)]
struct ShownLabels {
    labels: Vec<Scored>,
}

#[derive(Deserialize)]
struct Scored {
    label: String,
    score: f64,
}

/// The place in a line of JSON.
///
/// # Errors
/// When the line is no record.
pub(super) fn of_json(line: &[u8]) -> Result<RecordKey> {
    let line: Line = serde_json::from_slice(line).context("it is no record of mailsort")?;
    let Line { source, index, id, error, model, labels, sets } = line;
    let single = labels.map(|labels| (String::new(), ShownLabels { labels }));
    let shown = |(set, ShownLabels { labels })| {
        let labels = labels.into_iter().map(|Scored { label, score }| (label, score)).collect();
        Shown { set, labels }
    };
    Ok(RecordKey { source, index, id, error, model, sets: single.into_iter().chain(sets).map(shown).collect() })
}

/// The place in a row under `header`: separated by `comma` and quoted, or by tabs and not.
///
/// # Errors
/// When the row does not read as the header says.
pub(super) fn of_row(line: &[u8], header: &[u8], comma: Option<u8>) -> Result<RecordKey> {
    let read = |bytes| -> Result<StringRecord> {
        let mut form = csv::ReaderBuilder::new();
        form.has_headers(false).delimiter(comma.unwrap_or(b'\t')).quoting(comma.is_some());
        let mut reader = form.from_reader(bytes);
        reader.records().next().context("it is empty")?.context("it is no row of mailsort")
    };
    let (names, cells) = (read(without_mark(header))?, read(line)?);
    let cell = |name: &str| {
        let at = names.iter().position(|column| column == name);
        at.and_then(|at| cells.get(at)).with_context(|| format!("it has no column {name}"))
    };
    Ok(RecordKey {
        source: cell("source")?.to_string(),
        index: cell("index")?.parse().context("its index is no number")?,
        id: Some(cell("id")?.to_string()).filter(|id| !id.is_empty()),
        error: Some(cell("error")?.to_string()).filter(|error| !error.is_empty()),
        model: None,
        sets: shown(&names, &cells)?,
    })
}

/// What stands behind the errors: `label_1`, `score_1` and so on, in front of them the name of the set where there are
/// several.
fn shown(names: &StringRecord, cells: &StringRecord) -> Result<Vec<Shown>> {
    let ranked: Vec<(&str, &str)> = names.iter().zip(cells).skip_while(|(name, _)| *name != "error").skip(1).collect();
    let mut sets: Vec<Shown> = Vec::new();
    for pair in ranked.chunks_exact(2) {
        let (column, label) = pair[0];
        let (set, _) = column.rsplit_once("label_").with_context(|| format!("its column {column} is not known"))?;
        let set = set.strip_suffix('_').unwrap_or(set);
        if sets.last().is_none_or(|last| last.set != set) {
            sets.push(Shown { set: set.into(), labels: Vec::new() });
        }
        if let (false, Some(last)) = (label.is_empty(), sets.last_mut()) {
            last.labels.push((label.into(), pair[1].1.parse().context("a score is no number")?));
        }
    }
    Ok(sets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(source: &str, index: u64, id: Option<&str>, error: Option<&str>) -> RecordKey {
        let owned = |text: Option<&str>| text.map(String::from);
        RecordKey { source: source.into(), index, id: owned(id), error: owned(error), ..RecordKey::default() }
    }

    #[test]
    fn keys_of_records() {
        let found = of_json(b"{\"source\":\"a\",\"index\":3,\"id\":null,\"error\":\"no text\"}\n").unwrap();
        assert_eq!(found, key("a", 3, None, Some("no text")));
        let found = of_row(b"\"a,b\",3,<c>,\n", b"source,index,id,error\n", Some(b',')).unwrap();
        assert_eq!(found, key("a,b", 3, Some("<c>"), None));
        let found = of_row(b"a\t4\t\tno \"text\"\n", b"source\tindex\tid\terror\n", None).unwrap();
        assert_eq!(found, key("a", 4, None, Some("no \"text\"")));
        assert!(of_row(b"a\n", b"source,index,error\n", Some(b',')).is_err());
        assert!(of_json(b"[1]\n").is_err());
    }

    #[test]
    fn what_is_shown() {
        let shown = |set: &str, labels: &[(&str, f64)]| Shown {
            set: set.into(),
            labels: labels.iter().map(|(label, score)| (label.to_string(), *score)).collect(),
        };
        let json = |rest: &str| of_json(format!("{{\"source\":\"a\",\"index\":0,{rest}}}").as_bytes()).unwrap();
        let one = json(r#""labels":[{"label":"x","score":0.5},{"label":"y","score":-1}],"model":"m""#);
        assert_eq!((one.model.as_deref(), one.sets), (Some("m"), vec![shown("", &[("x", 0.5), ("y", -1.0)])]));
        let two = json(r#""sets":{"b":{"label":null,"labels":[]},"a":{"labels":[{"label":"x","score":1}]}}"#);
        assert_eq!(two.sets, [shown("a", &[("x", 1.0)]), shown("b", &[])]);
        let row = |header: &str, line: &str| of_row(line.as_bytes(), header.as_bytes(), Some(b',')).unwrap().sets;
        let found =
            row("source,index,id,label,score,error,label_1,score_1,label_2,score_2\n", "a,0,,x,1,,x,1,y,0.25\n");
        assert_eq!(found, [shown("", &[("x", 1.0), ("y", 0.25)])]);
        let found = row("source,index,id,error,a_label_1,a_score_1,b_label_1,b_score_1\n", "a,0,,,x,1,,\n");
        assert_eq!(found, [shown("a", &[("x", 1.0)]), shown("b", &[])]);
    }
}
