//! Statistics of the file, and pruning.

use std::fs;
use std::time::Duration;

use anyhow::{Result, bail};
use rusqlite::types::Value;
use rusqlite::{Connection, Row, Transaction, TransactionBehavior};
use serde::Serialize;

use super::file::beside;
use super::{Cache, Inner, now};

/// Bytes of an entry besides its numbers: an estimate, which the size of the file corrects.
const AROUND: i64 = 64;

/// Rounds of removing the oldest entries until the file is small enough. One is usually enough.
const ROUNDS: i32 = 12;

/// Statistics of a file. Times are UTC as in RFC 3339, exact to a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Size on disk, with the WAL.
    pub bytes: u64,
    /// Number of scores.
    pub scores: u64,
    /// Number of vectors.
    pub vectors: u64,
    /// Time of last use of the least recently used entry.
    pub oldest_use: Option<String>,
    /// Time of last use of the most recently used entry.
    pub newest_use: Option<String>,
    /// Per model, by name.
    pub models: Vec<ModelStats>,
}

/// Statistics of one model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ModelStats {
    /// As in [`super::ModelKey::id`].
    pub model: String,
    /// As in [`super::ModelKey::revision`].
    pub revision: String,
    /// As in [`super::ModelKey::dtype`].
    pub dtype: String,
    /// Number of scores.
    pub scores: u64,
    /// Number of vectors.
    pub vectors: u64,
    /// As in [`Stats::oldest_use`].
    pub oldest_use: Option<String>,
    /// As in [`Stats::newest_use`].
    pub newest_use: Option<String>,
}

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Number of scores.
    pub scores: u64,
    /// Number of vectors.
    pub vectors: u64,
    /// Size of the file afterwards.
    pub bytes: u64,
}

impl Cache {
    /// Counts the entries.
    ///
    /// # Errors
    /// When the file cannot be read or is damaged.
    pub fn stats(&self) -> Result<Stats> {
        let mut stats = self.explained(|inner| count(&inner.database))?;
        stats.bytes = [self.path.clone(), beside(&self.path, "-wal")]
            .iter()
            .map(|path| fs::metadata(path).map_or(0, |metadata| metadata.len()))
            .sum();
        Ok(stats)
    }

    /// Removes all entries, or those of one model in all its revisions and dtypes, and compacts the file.
    ///
    /// # Errors
    /// When the file has no such model or cannot be written.
    pub fn clear(&self, model: Option<&str>) -> Result<Pruned> {
        if let Some(model) = model {
            let known = self.explained(|inner| names(&inner.database))?;
            if !known.iter().any(|name| name == model) {
                let known = if known.is_empty() { "nothing".into() } else { known.join(", ") };
                bail!("the cache {} holds nothing of the model {model}; it holds {known}", self.path.display());
            }
        }
        self.explained(|inner| {
            let which = "?1 IS NULL OR model IN (SELECT id FROM models WHERE name = ?1)";
            let removed = inner.remove(which, [model])?;
            inner.compact()?;
            Ok(Pruned { bytes: inner.bytes()?, ..removed })
        })
    }

    /// Removes entries that were not used for `older_than`, then the least recently used until the file has at most
    /// `max_bytes`, and compacts the file.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn prune(&self, older_than: Option<Duration>, max_bytes: Option<u64>) -> Result<Pruned> {
        self.explained(|inner| {
            let mut removed = Pruned::default();
            if let Some(age) = older_than {
                let age = i64::try_from(age.as_secs()).unwrap_or(i64::MAX);
                removed.add(inner.remove("used < ?1", [now().saturating_sub(age)])?);
            }
            inner.compact()?;
            if let Some(most) = max_bytes {
                removed.add(inner.shrink(most)?);
            }
            Ok(Pruned { bytes: inner.bytes()?, ..removed })
        })
    }
}

impl Pruned {
    fn add(&mut self, more: Self) {
        self.scores += more.scores;
        self.vectors += more.vectors;
    }
}

impl Inner {
    /// Removes the entries that match `condition`, and models without entries.
    fn remove(&mut self, condition: &str, values: impl rusqlite::Params + Clone) -> rusqlite::Result<Pruned> {
        // Their times of last use need not be written.
        self.used.clear();
        let transaction = self.database.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let delete = |table: &str| {
            let count = transaction.execute(&format!("DELETE FROM {table} WHERE {condition}"), values.clone());
            count.map(|count| count as u64)
        };
        let removed = Pruned { scores: delete("scores")?, vectors: delete("vectors")?, bytes: 0 };
        let used = "SELECT model FROM scores UNION SELECT model FROM vectors";
        transaction.execute(&format!("DELETE FROM models WHERE id NOT IN ({used})"), [])?;
        transaction.commit()?;
        Ok(removed)
    }

    /// Returns free pages to the file system.
    fn compact(&mut self) -> rusqlite::Result<()> {
        let free: i64 = self.database.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
        if free > 0 {
            self.database.execute_batch("VACUUM")?;
        }
        // If another process is reading from the WAL, it is left to that process.
        self.database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
    }

    /// Removes the least recently used entries until the file is small enough or empty.
    fn shrink(&mut self, most: u64) -> rusqlite::Result<Pruned> {
        let mut removed = Pruned::default();
        for round in 0..ROUNDS {
            let (bytes, entries) = (self.bytes()?, self.payload()?);
            if bytes <= most || entries == 0 {
                break;
            }
            // A little less than fits, and less each round, because pages are not filled evenly.
            let share = most as f64 / bytes as f64 * 0.98_f64.powi(round + 1);
            let keep = if round + 1 == ROUNDS { 0 } else { (entries as f64 * share) as i64 };
            let Some((used, key)) = self.last_to_go(keep)? else { break };
            removed.add(self.remove("(used, key) <= (?1, ?2)", [Value::from(used), key.into()])?);
            self.database.execute_batch("VACUUM")?;
            self.compact()?;
        }
        Ok(removed)
    }

    /// The most recently used entry to remove, so that the newer ones have at most `keep` bytes.
    fn last_to_go(&self, keep: i64) -> rusqlite::Result<Option<(i64, Vec<u8>)>> {
        let all = "SELECT used, key, length(value) AS bytes FROM scores UNION ALL SELECT used, key, length(value) FROM vectors";
        let mut newest = self.database.prepare(&format!("SELECT * FROM ({all}) ORDER BY used DESC, key DESC"))?;
        let mut rows = newest.query([])?;
        let mut sum = 0;
        while let Some(row) = rows.next()? {
            sum += row.get::<_, i64>(2)? + AROUND;
            if sum > keep {
                return Ok(Some((row.get(0)?, row.get(1)?)));
            }
        }
        Ok(None)
    }

    /// Estimated bytes of all entries.
    fn payload(&self) -> rusqlite::Result<i64> {
        let sum = |table| format!("(SELECT coalesce(sum(length(value) + {AROUND}), 0) FROM {table})");
        self.database.query_row(&format!("SELECT {} + {}", sum("scores"), sum("vectors")), [], |row| row.get(0))
    }

    /// Bytes of the file.
    fn bytes(&self) -> rusqlite::Result<u64> {
        let value = |name| self.database.pragma_query_value(None, name, |row| whole(row, 0));
        Ok(value("page_count")? * value("page_size")?)
    }
}

/// An unsigned number; SQLite has signed ones only.
fn whole(row: &Row, at: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(at).map(i64::unsigned_abs)
}

/// Names of the models in the file.
fn names(database: &Connection) -> rusqlite::Result<Vec<String>> {
    database.prepare("SELECT DISTINCT name FROM models ORDER BY name")?.query_map([], |row| row.get(0))?.collect()
}

fn count(database: &Connection) -> rusqlite::Result<Stats> {
    let time = |function| format!("strftime('%Y-%m-%dT%H:%M:%SZ', {function}(used), 'unixepoch')");
    let of = |table, scores, vectors| {
        format!("SELECT model, {scores} AS is_score, {vectors} AS is_vector, used FROM {table}")
    };
    let entries = format!("({} UNION ALL {})", of("scores", 1, 0), of("vectors", 0, 1));
    let sums = format!("coalesce(sum(is_score), 0), coalesce(sum(is_vector), 0), {}, {}", time("min"), time("max"));
    // In one transaction, so that totals and parts agree.
    let transaction = database.unchecked_transaction()?;
    let models = models(&transaction, &entries, &sums)?;
    let stats = transaction.query_row(&format!("SELECT {sums} FROM {entries}"), [], |row| {
        let (scores, vectors, oldest_use, newest_use) = (whole(row, 0)?, whole(row, 1)?, row.get(2)?, row.get(3)?);
        Ok(Stats { bytes: 0, scores, vectors, oldest_use, newest_use, models })
    })?;
    transaction.commit()?;
    Ok(stats)
}

fn models(transaction: &Transaction, entries: &str, sums: &str) -> rusqlite::Result<Vec<ModelStats>> {
    let select = format!(
        "SELECT name, revision, dtype, {sums} FROM models JOIN {entries} ON model = id GROUP BY id ORDER BY name, revision, dtype"
    );
    let mut select = transaction.prepare(&select)?;
    let rows = select.query_map([], |row| {
        Ok(ModelStats {
            model: row.get(0)?,
            revision: row.get(1)?,
            dtype: row.get(2)?,
            scores: whole(row, 3)?,
            vectors: whole(row, 4)?,
            oldest_use: row.get(5)?,
            newest_use: row.get(6)?,
        })
    })?;
    rows.collect()
}
