//! What is in the index, and whether it is whole.

use anyhow::Result;

use super::statistics::{Counted, Parts, Statistics};
use super::{Index, VectorModel};

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
const RULES: [(&str, &str); 9] = [
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
        "passages outside their text",
        "SELECT count(*) FROM passages p JOIN contents c ON c.id = p.content JOIN units u ON u.id = p.unit
         WHERE p.start < 0 OR p.stop > c.bytes OR p.stop - p.start <> octet_length(u.text)",
    ),
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
        let mut statement = self.database.prepare(
            "SELECT path, error FROM files WHERE error IS NOT NULL UNION ALL
             SELECT f.path || ' [' || d.ordinal || ']', d.error FROM documents d JOIN files f ON f.id = d.file
             WHERE d.error IS NOT NULL",
        )?;
        let failures = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
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
            failures: failures.collect::<rusqlite::Result<_>>()?,
        })
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
        let mut units = snapshot.prepare("SELECT question, head, text FROM units")?;
        let mut rows = units.query([])?;
        while let Some(row) = rows.next()? {
            let (question, head, text): (i64, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let counted = Counted::of(Parts { head: &head, text: &text, question: question as usize });
            tokens += counted.tokens;
            statistics.add(&counted);
        }
        let indexed: i64 = snapshot.query_row("SELECT count(*) FROM temp.places", [], |row| row.get(0))?;
        if indexed != tokens as i64 {
            wrong.push(format!("{indexed} tokens in the keyword index, and {tokens} in the passages"));
        }
        if statistics != self.statistics()? {
            wrong.push("the counts of words are not those of the passages".into());
        }
        Ok(wrong)
    }
}
