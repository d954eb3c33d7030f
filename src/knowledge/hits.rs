//! What is shown of the best passages: where they stand, and which of their words the query has.

use std::collections::HashMap;
use std::ops::Range;

use anyhow::Result;
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params, params_from_iter};

use super::candidates::{Term, Terms};
use super::passages::PassageKind;
use super::query::{Explanation, Filters, Query, Scored};
use super::statistics::{KeySet, key};
use super::tokens::{TokenForm, tokenize};
use super::{Index, texts};

/// Places of one passage that are listed.
const MOST_PLACES: i64 = 50;

/// A document in which a passage stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassagePlace {
    /// The file.
    pub path: String,
    /// 0-based position of the document in it.
    pub index: u64,
    /// `Message-ID`, or the id of a row.
    pub id: Option<String>,
    /// Subject or title.
    pub subject: Option<String>,
    /// Sender.
    pub from: Option<String>,
    /// Seconds since 1970.
    pub date: Option<i64>,
    /// What it was classified as.
    pub label: Option<String>,
    /// The kind of document.
    pub kind: PassageKind,
    /// What the messages of one conversation share.
    pub thread: Option<String>,
    /// The number of the passage in the document.
    pub passage: u64,
    /// Its bytes in the document's text.
    pub range: Range<usize>,
}

/// A passage that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// From 1.
    pub rank: usize,
    /// The passage.
    pub text: String,
    /// What stands above it: the header line of its document, and its headings.
    pub head: String,
    /// All documents that have it, the first in the order of the index first. Never empty.
    pub places: Vec<PassagePlace>,
    /// Further passages of the same conversation that were found and are not shown.
    pub more_in_thread: usize,
    /// Words of the query in [`Hit::text`], as ranges of bytes.
    pub highlights: Vec<Range<usize>>,
    /// How near its vector is to that of the query.
    pub cosine: Option<f32>,
    /// Its rank by keywords, if it has any.
    pub keyword_rank: Option<usize>,
    /// Its rank by cosine among the candidates.
    pub semantic_rank: Option<usize>,
    /// What the order is by. No probability.
    pub score: f32,
    /// Of a reranker: how likely it answers.
    pub probability: Option<f32>,
    /// Where the score comes from.
    pub explanation: Explanation,
}

/// The best hits of scored candidates, best first.
pub(super) fn collect(database: &Connection, query: &Query, terms: &Terms, scored: Vec<Scored>) -> Result<Vec<Hit>> {
    let mut hits: Vec<Hit> = Vec::new();
    let mut of_thread: HashMap<String, usize> = HashMap::new();
    let mut of_text: HashMap<String, usize> = HashMap::new();
    // Passages that follow the last hit are counted as more of their conversation, up to a limit.
    let most_looked_at = query.top.saturating_mul(4).max(50);
    for (at, scored) in scored.into_iter().enumerate() {
        if hits.len() >= query.top && (query.every_passage || at >= most_looked_at) {
            break;
        }
        let places = places(database, query, scored.candidate.unit)?;
        let Some(first) = places.first() else { continue };
        let thread = first.thread.clone().filter(|_| !query.every_passage);
        if let Some(hit) = of_text.get(&scored.candidate.text).and_then(|&at| hits.get_mut(at)) {
            // The same words under another header.
            add_places(&mut hit.places, places);
        } else if let Some(hit) =
            thread.as_ref().and_then(|thread| of_thread.get(thread)).and_then(|&at| hits.get_mut(at))
        {
            hit.more_in_thread += 1;
        } else if hits.len() < query.top {
            of_text.insert(scored.candidate.text.clone(), hits.len());
            of_thread.extend(thread.map(|thread| (thread, hits.len())));
            hits.push(hit(hits.len() + 1, scored, places, terms));
        }
    }
    Ok(hits)
}

/// Adds the documents that are not there yet.
fn add_places(places: &mut Vec<PassagePlace>, more: Vec<PassagePlace>) {
    for place in more {
        if !places.iter().any(|known| (&known.path, known.index) == (&place.path, place.index)) {
            places.push(place);
        }
    }
}

fn hit(rank: usize, scored: Scored, places: Vec<PassagePlace>, terms: &Terms) -> Hit {
    Hit {
        rank,
        highlights: highlights(&scored.candidate.text, &terms.words),
        text: scored.candidate.text,
        head: scored.candidate.head,
        places,
        more_in_thread: 0,
        cosine: scored.cosine,
        keyword_rank: scored.keyword_rank,
        semantic_rank: scored.semantic_rank,
        score: scored.score,
        probability: None,
        explanation: scored.explanation,
    }
}

/// Words that are so much less rare than the rarest one of a query are not marked: "the", "on".
const TOO_COMMON: f32 = 0.2;

/// Where the words of a query stand in a text, in order and not overlapping.
fn highlights(text: &str, words: &[Term]) -> Vec<Range<usize>> {
    let rarest = words.iter().map(|term| term.rarity).fold(0.0, f32::max);
    let words: Vec<&Term> = words.iter().filter(|term| term.rarity >= TOO_COMMON * rarest).collect();
    let wanted: KeySet = words.iter().map(|term| term.key).collect();
    let singles: KeySet = words.iter().filter(|term| term.form == TokenForm::Single).map(|term| term.key).collect();
    let mut ranges: Vec<Range<usize>> = Vec::new();
    tokenize(text, &mut |token| {
        let set = if token.form == TokenForm::Gram { &singles } else { &wanted };
        if set.contains(&key(token.text)) {
            ranges.push(token.range);
        }
    });
    ranges.sort_unstable_by_key(|range| (range.start, range.end));
    let mut merged: Vec<Range<usize>> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

/// The condition of a statement that lets documents `d` of files `f` pass, with its values.
pub(super) fn conditions(filters: &Filters) -> (String, Vec<Value>) {
    let text = |text: &Option<String>| text.clone().map(Value::Text);
    let parts = [
        ("instr(folded(d.sender), folded(?)) > 0", text(&filters.from)),
        ("d.date >= ?", filters.since.map(Value::Integer)),
        ("d.date < ?", filters.until.map(Value::Integer)),
        ("substr(f.path, 1, length(?)) = ?", text(&filters.path)),
        ("d.label = ?", text(&filters.label)),
        ("d.kind = ?", filters.kind.map(|kind| Value::Integer(kind as i64))),
    ];
    let (mut conditions, mut values) = (Vec::new(), Vec::new());
    for (condition, value) in parts {
        if let Some(value) = value {
            values.extend(std::iter::repeat_n(value, condition.matches('?').count()));
            conditions.push(condition);
        }
    }
    (conditions.join(" AND "), values)
}

fn places(database: &Connection, query: &Query, unit: i64) -> Result<Vec<PassagePlace>> {
    let (conditions, mut values) = conditions(&query.filters);
    let conditions = if conditions.is_empty() { String::new() } else { format!("AND {conditions}") };
    let sql = format!(
        "SELECT f.path, d.ordinal, d.message, d.subject, d.sender, d.date, d.label, d.kind, d.thread, p.seq, p.start, p.stop
         FROM passages p JOIN documents d ON d.content = p.content JOIN files f ON f.id = d.file
         WHERE p.unit = ? {conditions} ORDER BY d.file, d.ordinal, d.run, p.seq LIMIT {MOST_PLACES}"
    );
    values.insert(0, Value::Integer(unit));
    let mut statement = database.prepare_cached(&sql)?;
    let rows = statement.query_map(params_from_iter(values), place)?;
    let mut places = Vec::new();
    add_places(&mut places, rows.collect::<rusqlite::Result<_>>()?);
    Ok(places)
}

impl Index {
    /// The text of a document, put together from its passages; blanks between them become line ends, so that offsets
    /// stay. `None` where there is no such document.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn text(&self, path: &str, index: u64) -> Result<Option<String>> {
        // While a file is read again, its old documents are still there.
        let sql = "SELECT p.start, p.unit FROM passages p WHERE p.content = (
                       SELECT d.content FROM documents d JOIN files f ON f.id = d.file
                       WHERE f.path = ?1 AND d.ordinal = ?2 AND d.content IS NOT NULL ORDER BY d.run DESC LIMIT 1
                   ) ORDER BY p.seq";
        let mut statement = self.database.prepare_cached(sql)?;
        let rows = statement.query_map(params![path, index as i64], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let passages = rows.collect::<rusqlite::Result<Vec<(i64, i64)>>>()?;
        let mut units: Vec<i64> = passages.iter().map(|&(_, unit)| unit).collect();
        units.sort_unstable();
        units.dedup();
        let texts: HashMap<i64, String> =
            texts::read(&self.database, &units)?.into_iter().map(|text| (text.unit, text.text)).collect();
        let mut text: Option<String> = None;
        for (start, unit) in passages {
            let text = text.get_or_insert_default();
            let gap = usize::try_from(start).unwrap_or_default().saturating_sub(text.len());
            text.extend(std::iter::repeat_n('\n', gap));
            text.push_str(texts.get(&unit).map_or("", String::as_str));
        }
        Ok(text)
    }
}

fn place(row: &Row<'_>) -> rusqlite::Result<PassagePlace> {
    let kind: usize = row.get::<_, i64>(7)? as usize;
    Ok(PassagePlace {
        path: row.get(0)?,
        index: row.get::<_, i64>(1)? as u64,
        id: row.get(2)?,
        subject: row.get(3)?,
        from: row.get(4)?,
        date: row.get(5)?,
        label: row.get(6)?,
        kind: PassageKind::ALL.get(kind).copied().unwrap_or(PassageKind::Document),
        thread: row.get(8)?,
        passage: row.get::<_, i64>(9)? as u64,
        range: row.get::<_, i64>(10)? as usize..row.get::<_, i64>(11)? as usize,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn highlights_are_the_words_of_the_query() {
        for (query, text, expected) in [
            ("Müller returns", "The MULLER family returns; unturned", vec!["MULLER", "returns"]),
            ("违约责任", "第七条 违约责任，责任", vec!["违约责任", "责任"]),
            ("款", "付款。", vec!["款"]),
            ("PO-4471", "order PO-4471, 4471", vec!["PO-4471", "4471"]),
            ("x", "", vec![]),
        ] {
            let found = highlights(text, &Terms::of(query).words);
            assert_eq!(found.into_iter().map(|range| &text[range]).collect::<Vec<_>>(), expected, "{query}");
        }
    }

    #[test]
    fn common_words_are_not_marked_beside_rare_ones() {
        let mut words = Terms::of("the zebra").words;
        words.iter_mut().for_each(|term| term.rarity = if term.text == "zebra" { 6.0 } else { 0.1 });
        let text = "the zebra and the lion";
        let found = highlights(text, &words);
        assert_eq!(found.into_iter().map(|range| &text[range]).collect::<Vec<_>>(), ["zebra"]);
    }
}
