//! Counters and gauges that live as long as the journal, for Prometheus.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use rusqlite::{Transaction, params};

use super::Journal;

/// Values by metric name and label.
pub type Counters = BTreeMap<(String, String), f64>;

/// Adds to a counter.
pub(super) fn add(transaction: &Transaction<'_>, name: &str, label: &str, more: f64) -> rusqlite::Result<()> {
    let add = "INSERT INTO counters VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET value = value + excluded.value";
    transaction.prepare_cached(add)?.execute(params![name, label, more]).map(drop)
}

impl Journal {
    /// Adds `more` to counters and sets the gauges in `set`.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub fn count(&mut self, more: &Counters, set: &Counters) -> Result<()> {
        let cannot = self.cannot_write();
        self.write(|transaction| {
            for ((name, label), value) in more {
                add(transaction, name, label, *value)?;
            }
            for ((name, label), value) in set {
                let set = "INSERT INTO counters VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET value = excluded.value";
                transaction.prepare_cached(set)?.execute(params![name, label, value])?;
            }
            Ok(())
        })
        .context(cannot)
    }

    /// All counters and gauges.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn counters(&self) -> Result<Counters> {
        let mut query = self.database.prepare("SELECT name, label, value FROM counters")?;
        let rows = query.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)))?;
        rows.collect::<rusqlite::Result<_>>().with_context(|| self.cannot_read())
    }
}
