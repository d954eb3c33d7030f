//! Answers that fit into the context of a language model. What is cut is said.

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::documents::Rest;
use crate::serve::mcp::ToolAnswer;

/// Longest answer in bytes: some 25,000 tokens, the most that common clients take of a tool.
const MOST_ANSWER: usize = 80_000;
/// Room for what is said about an answer that was cut.
const ROOM: usize = 1000;
/// Texts that are not cut further, in characters.
const SHORTEST: usize = 40;

/// Several records.
#[derive(Serialize)]
struct RecordsAnswer {
    records: Vec<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_offset: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

/// The only record of a document, or a list of those of a page.
///
/// # Errors
/// When a line is no JSON.
pub(super) fn records(lines: Vec<String>, rest: &Rest) -> Result<ToolAnswer> {
    if let ([line], 0, None) = (&lines[..], rest.before, rest.note(1)) {
        return Ok(ToolAnswer::Json(shortened(line.trim_end(), MOST_ANSWER)?));
    }
    let (mut records, mut bytes) = (Vec::new(), 0);
    for line in &lines {
        let record = shortened(line.trim_end(), MOST_ANSWER - ROOM)?;
        bytes += record.len() + 1;
        if bytes > MOST_ANSWER - ROOM && !records.is_empty() {
            break;
        }
        records.push(RawValue::from_string(record)?);
    }
    let rest = rest.shortened(lines.len() - records.len());
    let (next_offset, note) = (rest.next(records.len()), rest.note(records.len()));
    Ok(ToolAnswer::Json(serde_json::to_string(&RecordsAnswer { records, next_offset, note })?))
}

/// What a search has found. Of an answer that is too long the last passages are left out.
///
/// # Errors
/// When it is no object.
pub(super) fn found(line: &str) -> Result<ToolAnswer> {
    let line = line.trim_end();
    if line.len() <= MOST_ANSWER {
        return Ok(ToolAnswer::Json(line.into()));
    }
    Ok(ToolAnswer::Json(
        Value::Object(with_short_list(object(line)?, "results", Vec::new(), "ask for fewer with `top`")?).to_string(),
    ))
}

/// A comparison. One that is too long loses first what stands in it twice or did not change.
///
/// # Errors
/// When it is no object.
pub(super) fn comparison(line: &str) -> Result<ToolAnswer> {
    let line = line.trim_end();
    if line.len() <= MOST_ANSWER {
        return Ok(ToolAnswer::Json(line.into()));
    }
    let mut whole = object(line)?;
    for side in ["old", "new"] {
        whole.get_mut(side).and_then(Value::as_object_mut).and_then(|side| side.remove("text"));
    }
    let mut said = vec!["the whole texts of the contracts are left out".to_string()];
    if let Some(pairs) = whole.get_mut("pairs").and_then(Value::as_array_mut) {
        let before = pairs.len();
        pairs.retain(|pair| pair["relation"] != "same" || pair["moved"] == true);
        if pairs.len() < before {
            said.push(format!("{} clauses that are the same are left out", before - pairs.len()));
        }
    }
    let remedy = "`format` text is shorter, and `mailsort compare` writes all of it";
    Ok(ToolAnswer::Json(Value::Object(with_short_list(whole, "pairs", said, remedy)?).to_string()))
}

/// Lines for people, cut behind one that still fits.
pub(super) fn lines(text: String) -> ToolAnswer {
    if text.len() <= MOST_ANSWER {
        return ToolAnswer::Text(text);
    }
    let end = text.floor_char_boundary(MOST_ANSWER - ROOM);
    let end = text[..end].rfind('\n').map_or(end, |at| at + 1);
    let left_out = text[end..].lines().count();
    let said = format!("\n[cut: {left_out} further lines are left out; `mailsort compare` writes all of it]\n");
    ToolAnswer::Text(text[..end].to_string() + &said)
}

fn object(line: &str) -> Result<Map<String, Value>> {
    serde_json::from_str(line).context("mailsort has a bug: an answer is no object")
}

/// Takes entries from the end of a list until the object fits, and says so. One entry stays, with its texts cut.
fn with_short_list(
    mut object: Map<String, Value>,
    list: &str,
    mut said: Vec<String>,
    remedy: &str,
) -> Result<Map<String, Value>> {
    let entries = object.get_mut(list).and_then(Value::as_array_mut).map(std::mem::take).unwrap_or_default();
    let count = entries.len();
    let mut room = (MOST_ANSWER - ROOM).saturating_sub(serde_json::to_string(&object)?.len());
    let mut kept: Vec<Value> = Vec::new();
    for entry in entries {
        let mut length = entry.to_string().len() + 1;
        let mut entry = entry;
        if kept.is_empty() && length > room {
            entry = serde_json::from_str(&shortened(&entry.to_string(), room)?)?;
            length = entry.to_string().len();
        }
        if length > room && !kept.is_empty() {
            break;
        }
        room = room.saturating_sub(length);
        kept.push(entry);
    }
    if kept.len() < count {
        said.push(format!("{} of {count} `{list}` are left out at the end; {remedy}", count - kept.len()));
    }
    object.insert(list.into(), kept.into());
    if !said.is_empty() {
        object.insert("note".into(), said.join("; ").into());
    }
    Ok(object)
}

/// A record whose long texts and lists are cut until it has at most `most` bytes.
fn shortened(line: &str, most: usize) -> Result<String> {
    if line.len() <= most {
        return Ok(line.into());
    }
    let whole = object(line)?;
    let mut longest = most;
    loop {
        longest /= 2;
        let mut cut = Value::Object(whole.clone());
        shorten(&mut cut, longest, longest / SHORTEST);
        cut["note"] = format!(
            "texts are cut after {longest} characters and lists after {} entries; the command of mailsort writes all of them",
            (longest / SHORTEST).max(1)
        )
        .into();
        let cut = cut.to_string();
        if cut.len() <= most || longest < SHORTEST {
            return Ok(cut);
        }
    }
}

fn shorten(value: &mut Value, characters: usize, entries: usize) {
    match value {
        Value::String(text) => {
            if let Some((end, _)) = text.char_indices().nth(characters) {
                text.truncate(end);
                text.push('…');
            }
        }
        Value::Array(list) => {
            list.truncate(entries.max(1));
            list.iter_mut().for_each(|entry| shorten(entry, characters, entries));
        }
        Value::Object(members) => members.values_mut().for_each(|member| shorten(member, characters, entries)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ALL: Rest = Rest { before: 0, behind: 0, is_more: false, outside: 0 };

    fn value(answer: Result<ToolAnswer>) -> Value {
        let ToolAnswer::Json(text) = answer.unwrap() else { panic!("an object was expected") };
        assert!(text.len() <= MOST_ANSWER, "{}", text.len());
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn one_record_stays_as_it_is_and_several_are_a_list() {
        let line = "{\"b\":1,\"a\":0.5000}\n".to_string();
        let ToolAnswer::Json(text) = records(vec![line.clone()], &ALL).unwrap() else { panic!() };
        assert_eq!(text, line.trim_end());
        assert_eq!(value(records(vec![line.clone(); 2], &ALL))["records"].as_array().unwrap().len(), 2);
        let answer = value(records(vec![line; 2], &Rest { before: 3, behind: 7, ..ALL }));
        assert_eq!(answer["next_offset"], 5);
        assert!(answer["note"].as_str().unwrap().contains("7 further documents"), "{answer}");
        let answer = value(records(Vec::new(), &Rest { before: 3, ..ALL }));
        assert!(answer["note"].as_str().unwrap().contains("past the end"), "{answer}");
    }

    #[test]
    fn long_answers_are_cut_and_say_so() {
        let long =
            |letters: usize| json!({"body": "ü".repeat(letters), "removed": vec!["x".repeat(50); 9]}).to_string();
        let answer = value(records(vec![long(200_000)], &ALL));
        assert!(answer["note"].as_str().unwrap().contains("cut") && answer["body"].as_str().unwrap().len() > 9000);
        let answer = value(records(vec![long(10_000); 30], &ALL));
        let shown = answer["records"].as_array().unwrap().len();
        assert!(shown < 30 && answer["next_offset"] == shown, "{shown}");
        let many = json!({"removed": vec![json!({"step": "quotes", "text": "x"}); 100_000]}).to_string();
        value(records(vec![many], &ALL));
        let found = json!({"query": "q", "results": vec![json!({"text": "y".repeat(3000)}); 100]}).to_string();
        let answer = value(super::found(&found));
        assert!(answer["results"].as_array().unwrap().len() > 20 && answer["note"].is_string(), "{answer}");
        let ToolAnswer::Text(text) = lines("a line\n".repeat(20_000)) else { panic!() };
        assert!(text.len() <= MOST_ANSWER && text.trim_end().ends_with("writes all of it]"));
    }

    #[test]
    fn a_long_comparison_keeps_what_changed() {
        let clause = |relation: &str| json!({"relation": relation, "moved": false, "a": [{"text": "z".repeat(500)}]});
        let pairs: Vec<Value> = (0..300).map(|at| clause(if at % 10 == 0 { "changed" } else { "same" })).collect();
        let whole = json!({"old": {"source": "a", "text": "z".repeat(90_000)}, "new": {"source": "b"}, "pairs": pairs});
        let answer = value(comparison(&whole.to_string()));
        assert_eq!(answer["pairs"].as_array().unwrap().len(), 30);
        assert!(
            answer["old"]["text"].is_null() && answer["note"].as_str().unwrap().contains("270 clauses"),
            "{answer}"
        );
    }
}
