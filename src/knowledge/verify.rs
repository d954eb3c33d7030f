//! What is in the index, and whether it is whole.

use std::collections::HashMap;

use anyhow::Result;
use rusqlite::OptionalExtension;

use super::statistics::{Counted, Statistics};
use super::{Index, VectorModel, store, texts};

/// What an index holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// Files, those that failed too.
    pub files: u64,
    /// Documents.
    pub documents: u64,
    /// Distinct texts of documents.
    pub contents: u64,
    /// Distinct passages.
    pub passages: u64,
    /// Passages without a vector.
    pub pending: u64,
    /// Bytes of the file and its log.
    pub bytes: u64,
    /// The model of the vectors.
    pub model: Option<VectorModel>,
    /// Paths that cannot be read, and documents in them, with the reason.
    pub failures: Vec<(String, String)>,
}

/// Rules that hold for every index. Each statement counts what breaks one.
const RULES: [(&str, &str); 8] = [
    ("documents without a file", "SELECT count(*) FROM documents WHERE file NOT IN (SELECT id FROM files)"),
    (
        "documents without their text",
        "SELECT count(*) FROM documents WHERE content IS NOT NULL AND content NOT IN (SELECT id FROM contents)",
    ),
    (
        "texts without a document",
        "SELECT count(*) FROM contents WHERE id NOT IN (SELECT content FROM documents WHERE content IS NOT NULL)",
    ),
    ("passages without a text", "SELECT count(*) FROM passages WHERE content NOT IN (SELECT id FROM contents)"),
    ("passages without their words", "SELECT count(*) FROM passages WHERE unit NOT IN (SELECT id FROM units)"),
    ("words without a passage", "SELECT count(*) FROM units WHERE id NOT IN (SELECT unit FROM passages)"),
    ("vectors without a passage", "SELECT count(*) FROM vectors WHERE unit NOT IN (SELECT id FROM units)"),
    (
        "tokens of no passage",
        "SELECT count(*) FROM (SELECT DISTINCT doc FROM temp.places) WHERE doc NOT IN (SELECT id FROM units)",
    ),
];

impl Index {
    /// What is in the index.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn status(&self) -> Result<Status> {
        let count =
            |sql: &str| -> Result<u64> { Ok(self.database.query_row(sql, [], |row| row.get::<_, i64>(0))? as u64) };
        let log = super::schema::beside(&self.path, "-wal");
        let length = |path: &std::path::Path| path.metadata().map_or(0, |metadata| metadata.len());
        Ok(Status {
            files: count("SELECT count(*) FROM files")?,
            documents: count("SELECT count(*) FROM documents WHERE error IS NULL")?,
            contents: count("SELECT count(*) FROM contents")?,
            passages: count("SELECT count(*) FROM units")?,
            pending: count("SELECT count(*) FROM units WHERE id NOT IN (SELECT unit FROM vectors)")?,
            bytes: length(&self.path) + length(&log),
            model: self.model()?,
            failures: self.failures()?,
        })
    }

    /// Paths that cannot be read, and documents in them, with the reason.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn failures(&self) -> Result<Vec<(String, String)>> {
        let mut statement = self.database.prepare_cached(
            "SELECT path, error FROM files WHERE error IS NOT NULL UNION ALL
             SELECT f.path || ' [' || d.ordinal || ']', d.error FROM documents d JOIN files f ON f.id = d.file
             WHERE d.error IS NOT NULL",
        )?;
        let failures = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        failures.collect::<rusqlite::Result<_>>().map_err(Into::into)
    }

    /// Checks the file, the keyword index, that nothing is left of what is gone, and that passages lie in their texts.
    /// Returns what is wrong.
    ///
    /// # Errors
    /// When the index cannot be read at all.
    pub fn verify(&self) -> Result<Vec<String>> {
        let snapshot = self.database.unchecked_transaction()?;
        let mut wrong = Vec::new();
        let mut check = snapshot.prepare("PRAGMA integrity_check")?;
        let lines = check.query_map([], |row| row.get::<_, String>(0))?;
        for line in lines {
            wrong.extend(Some(line?).filter(|line| line != "ok"));
        }
        for (rule, sql) in RULES {
            let broken: i64 = snapshot.query_row(sql, [], |row| row.get(0))?;
            if broken > 0 {
                wrong.push(format!("{broken} {rule}"));
            }
        }
        let (mut statistics, mut tokens) = (Statistics::default(), 0);
        let mut lengths = HashMap::new();
        let mut lost = 0;
        {
            let mut by_hash = snapshot.prepare("SELECT id FROM units WHERE hash = ?1")?;
            texts::each(&snapshot, &mut |text| {
                let counted = Counted::of(text.parts());
                tokens += counted.tokens;
                statistics.add(&counted);
                let unit: Option<i64> = by_hash.query_row([store::hash(text.parts())], |row| row.get(0)).optional()?;
                lost += usize::from(unit != Some(text.unit));
                lengths.insert(text.unit, text.text.len() as i64);
                Ok(())
            })?;
        }
        if lost > 0 {
            wrong.push(format!("{lost} texts of no passage"));
        }
        let mut places = snapshot
            .prepare("SELECT p.unit, p.start, p.stop, c.bytes FROM passages p JOIN contents c ON c.id = p.content")?;
        let rows = places.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
        let mut outside = 0;
        for place in rows {
            let (unit, start, stop, bytes): (i64, i64, i64, i64) = place?;
            outside += usize::from(start < 0 || stop > bytes || lengths.get(&unit) != Some(&(stop - start)));
        }
        if outside > 0 {
            wrong.push(format!("{outside} passages outside their text"));
        }
        let indexed: i64 = snapshot.query_row("SELECT count(*) FROM temp.places", [], |row| row.get(0))?;
        if indexed != tokens as i64 {
            wrong.push(format!("{indexed} tokens in the keyword index, and {tokens} in the passages"));
        }
        if statistics != store::statistics(&snapshot)? {
            wrong.push("the counts of words are not those of the passages".into());
        }
        Ok(wrong)
    }
}
