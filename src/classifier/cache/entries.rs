//! Entries: a few numbers under a key, read and written in batches.

use std::borrow::Cow;

use rusqlite::{OptionalExtension, Transaction, params};

use super::key::{Key, ModelKey, Salt};

/// How long a time of use is good enough, in seconds: each entry is written at most once a day for being read.
const DAY: u64 = 24 * 60 * 60;

/// What a reranker said of a mail and a label.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// Before it becomes a probability.
    pub logit: f32,
    /// Tokens that went into it.
    pub tokens: u32,
    /// True when the mail had more tokens than the model was allowed to see.
    pub truncated: bool,
}

/// Where an embedder placed a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Vector {
    /// Shape: `[dims]`.
    pub values: Vec<f32>,
    /// Tokens that went into it.
    pub tokens: u32,
    /// True when the text had more tokens than the model was allowed to see.
    pub truncated: bool,
}

/// An entry that was read and whose time of use in the file is over a day old.
pub(super) struct Used {
    table: &'static str,
    key: [u8; 32],
}

/// What tables hold.
pub(super) trait Entry: Sized {
    const TABLE: &'static str;

    fn numbers(&self) -> Cow<'_, [f32]>;
    fn tokens(&self) -> (u32, bool);
    /// `None` when these are not the numbers of such an entry.
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

/// Reads the entries of `keys`, in their order, and adds to `used` those whose time of use is old.
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
        // What cannot have been written by us counts as absent, and will be written anew.
        let entry = row.optional()?.and_then(|(numbers, tokens, truncated, last)| {
            let entry = E::of(numbers?, tokens?.try_into().ok()?, truncated? != 0)?;
            // Also when a wrong clock has put it into the future.
            if now.abs_diff(last) >= DAY {
                used.push(Used { table: E::TABLE, key });
            }
            Some(entry)
        });
        found.push(entry);
    }
    Ok(found)
}

/// Writes entries; what is under the same key goes, being the same or damaged.
pub(super) fn write<E: Entry>(
    transaction: &Transaction,
    salt: &Salt,
    entries: &[(Key, E)],
    now: i64,
) -> rusqlite::Result<()> {
    let insert =
        "INSERT OR REPLACE INTO {} (key, model, value, tokens, truncated, used) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let mut insert = transaction.prepare_cached(&insert.replace("{}", E::TABLE))?;
    // Looked up in this transaction, because another process may have cleared the models before it.
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

/// Writes that entries were used.
pub(super) fn note_use(transaction: &Transaction, used: &[Used], now: i64) -> rusqlite::Result<()> {
    for Used { table, key } in used {
        let update = format!("UPDATE {table} SET used = ?2 WHERE key = ?1");
        transaction.prepare_cached(&update)?.execute(params![key, now])?;
    }
    Ok(())
}

/// The number of a model in this file.
fn id_of(transaction: &Transaction, model: &ModelKey) -> rusqlite::Result<i64> {
    let words = params![model.id, model.revision, model.dtype];
    let insert = "INSERT OR IGNORE INTO models (name, revision, dtype) VALUES (?1, ?2, ?3)";
    transaction.prepare_cached(insert)?.execute(words)?;
    let select = "SELECT id FROM models WHERE name = ?1 AND revision = ?2 AND dtype = ?3";
    transaction.prepare_cached(select)?.query_row(words, |row| row.get(0))
}

/// Little-endian, 4 bytes a number: every bit comes back, on every machine.
fn encoded(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// `None` when they are not numbers that were encoded.
fn decoded(bytes: &[u8]) -> Option<Vec<f32>> {
    let (numbers, rest) = bytes.as_chunks::<4>();
    let numbers: Vec<f32> = numbers.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
    let sound = rest.is_empty() && !numbers.is_empty() && numbers.iter().all(|number| number.is_finite());
    sound.then_some(numbers)
}
