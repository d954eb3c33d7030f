//! Entries of the tables: a few numbers per key, read and written in batches.

use std::borrow::Cow;

use rusqlite::{OptionalExtension, Transaction, params};

use super::key::{Key, ModelKey, Salt};

/// Resolution of the time of last use in seconds: reading an entry writes it at most once a day.
const DAY: u64 = 24 * 60 * 60;

/// A reranker's score of a message and a label.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// The logit, before it becomes a probability.
    pub logit: f32,
    /// Number of input tokens.
    pub tokens: u32,
    /// True when the message was cut to the maximum number of tokens.
    pub truncated: bool,
}

/// The embedding of a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Vector {
    /// Shape: `[dims]`.
    pub values: Vec<f32>,
    /// Number of input tokens.
    pub tokens: u32,
    /// True when the text was cut to the maximum number of tokens.
    pub truncated: bool,
}

/// An entry that was read and whose time of last use in the file is over a day old.
pub(super) struct Used {
    table: &'static str,
    key: [u8; 32],
}

/// A type of entry, with a table of its own.
pub(super) trait Entry: Sized {
    const TABLE: &'static str;

    fn numbers(&self) -> Cow<'_, [f32]>;
    fn tokens(&self) -> (u32, bool);
    /// `None` when `numbers` has the wrong length.
    fn of(numbers: Vec<f32>, tokens: u32, truncated: bool) -> Option<Self>;
}

impl Entry for Score {
    const TABLE: &'static str = "scores";

    fn numbers(&self) -> Cow<'_, [f32]> {
        vec![self.logit].into()
    }

    fn tokens(&self) -> (u32, bool) {
        (self.tokens, self.truncated)
    }

    fn of(numbers: Vec<f32>, tokens: u32, truncated: bool) -> Option<Self> {
        let &[logit] = numbers.as_slice() else { return None };
        Some(Self { logit, tokens, truncated })
    }
}

impl Entry for Vector {
    const TABLE: &'static str = "vectors";

    fn numbers(&self) -> Cow<'_, [f32]> {
        (&self.values).into()
    }

    fn tokens(&self) -> (u32, bool) {
        (self.tokens, self.truncated)
    }

    fn of(values: Vec<f32>, tokens: u32, truncated: bool) -> Option<Self> {
        Some(Self { values, tokens, truncated })
    }
}

/// Reads the entries of `keys`, in their order. Adds those whose time of last use is old to `used`.
pub(super) fn read<E: Entry>(
    transaction: &Transaction,
    salt: &Salt,
    keys: &[Key],
    now: i64,
    used: &mut Vec<Used>,
) -> rusqlite::Result<Vec<Option<E>>> {
    let select = format!("SELECT value, tokens, truncated, used FROM {} WHERE key = ?1", E::TABLE);
    let mut select = transaction.prepare_cached(&select)?;
    let mut found = Vec::with_capacity(keys.len());
    for key in keys {
        let key = key.stored(salt);
        let row = select.query_row([key], |row| {
            let numbers = row.get_ref(0)?.as_blob().ok().and_then(decoded);
            let number = |at: usize| row.get_ref(at).map(|value| value.as_i64().ok());
            Ok((numbers, number(1)?, number(2)?, number(3)?.unwrap_or(0)))
        });
        // Invalid entries count as missing and will be overwritten.
        let entry = row.optional()?.and_then(|(numbers, tokens, truncated, last)| {
            let entry = E::of(numbers?, tokens?.try_into().ok()?, truncated? != 0)?;
            // Also if a wrong clock has put it into the future.
            if now.abs_diff(last) >= DAY {
                used.push(Used { table: E::TABLE, key });
            }
            Some(entry)
        });
        found.push(entry);
    }
    Ok(found)
}

/// Writes entries. They replace those under the same key, which are equal or invalid.
pub(super) fn write<E: Entry>(
    transaction: &Transaction,
    salt: &Salt,
    entries: &[(Key, E)],
    now: i64,
) -> rusqlite::Result<()> {
    let insert =
        "INSERT OR REPLACE INTO {} (key, model, value, tokens, truncated, used) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let mut insert = transaction.prepare_cached(&insert.replace("{}", E::TABLE))?;
    // Read in this transaction, because another process may have cleared the table of models before.
    let mut last: Option<(&ModelKey, i64)> = None;
    for (key, entry) in entries {
        let numbers = entry.numbers();
        if numbers.is_empty() || numbers.iter().any(|number| !number.is_finite()) {
            continue;
        }
        let model = match last {
            Some((model, id)) if *model == *key.model => id,
            _ => id_of(transaction, &key.model)?,
        };
        last = Some((&key.model, model));
        let (tokens, truncated) = entry.tokens();
        insert.execute(params![key.stored(salt), model, encoded(&numbers), tokens, truncated, now])?;
    }
    Ok(())
}

/// Sets the time of last use of entries.
pub(super) fn note_use(transaction: &Transaction, used: &[Used], now: i64) -> rusqlite::Result<()> {
    for Used { table, key } in used {
        let update = format!("UPDATE {table} SET used = ?2 WHERE key = ?1");
        transaction.prepare_cached(&update)?.execute(params![key, now])?;
    }
    Ok(())
}

/// The row id of a model; added if missing.
fn id_of(transaction: &Transaction, model: &ModelKey) -> rusqlite::Result<i64> {
    let words = params![model.id, model.revision, model.dtype];
    let insert = "INSERT OR IGNORE INTO models (name, revision, dtype) VALUES (?1, ?2, ?3)";
    transaction.prepare_cached(insert)?.execute(words)?;
    let select = "SELECT id FROM models WHERE name = ?1 AND revision = ?2 AND dtype = ?3";
    transaction.prepare_cached(select)?.query_row(words, |row| row.get(0))
}

/// Little-endian f32.
fn encoded(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// `None` when the bytes are not those of finite numbers.
fn decoded(bytes: &[u8]) -> Option<Vec<f32>> {
    let (numbers, rest) = bytes.as_chunks::<4>();
    let numbers: Vec<f32> = numbers.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
    let sound = rest.is_empty() && !numbers.is_empty() && numbers.iter().all(|number| number.is_finite());
    sound.then_some(numbers)
}
