//! The texts of passages, some to a block, each block compressed.
//!
//! A passage alone is too short to be compressed well, and many together take long to read for one. A unit's number says
//! where its text is: block `unit / UNITS`, place `unit % UNITS`. A block without a text is no row.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use rayon::prelude::*;
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::value::RawValue;

use super::statistics::Parts;

/// Texts of a block. A query reads some hundreds of blocks for one text each.
const UNITS: i64 = 16;

/// A block says no more than this, whatever it claims.
const LONGEST: u64 = 1 << 30;

/// A passage with what stands above it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UnitText {
    pub(super) unit: i64,
    pub(super) head: String,
    pub(super) text: String,
    /// Bytes of the question at the beginning of the text.
    pub(super) question: usize,
}

/// A text in a block: its question, head and text.
type StoredText = (usize, String, String);

impl UnitText {
    fn of(unit: i64, (question, head, text): StoredText) -> Self {
        Self { unit, head, text, question }
    }

    pub(super) fn parts(&self) -> Parts<'_> {
        Parts { head: &self.head, text: &self.text, question: self.question }
    }

    /// What is embedded of it.
    pub(super) fn line(&self) -> String {
        if self.head.is_empty() { self.text.clone() } else { [self.head.as_str(), "\n", &self.text].concat() }
    }
}

/// The blocks that a transaction has changed. They are written by [`ChangedTexts::write`].
#[derive(Default)]
pub(super) struct ChangedTexts(BTreeMap<i64, Vec<Option<StoredText>>>);

impl ChangedTexts {
    /// Adds a text behind all others, and returns its unit.
    pub(super) fn add(&mut self, database: &Connection, parts: Parts<'_>) -> Result<i64> {
        let stored: i64 =
            database.prepare_cached("SELECT coalesce(max(id), 0) FROM texts")?.query_row([], |row| row.get(0))?;
        let mut last = self.0.last_key_value().map_or(stored, |(&changed, _)| changed.max(stored));
        if self.block(database, last)?.len() as i64 >= UNITS {
            last += 1;
        }
        let block = self.block(database, last)?;
        block.push(Some((parts.question, parts.head.into(), parts.text.into())));
        Ok(last * UNITS + block.len() as i64 - 1)
    }

    /// Removes a text, and returns it.
    pub(super) fn remove(&mut self, database: &Connection, unit: i64) -> Result<UnitText> {
        let place = unit.rem_euclid(UNITS) as usize;
        let stored = self.block(database, unit.div_euclid(UNITS))?.get_mut(place).and_then(Option::take);
        Ok(UnitText::of(unit, stored.with_context(|| format!("the index has no text of passage {unit}"))?))
    }

    fn block(&mut self, database: &Connection, id: i64) -> Result<&mut Vec<Option<StoredText>>> {
        use std::collections::btree_map::Entry;
        Ok(match self.0.entry(id) {
            Entry::Occupied(block) => block.into_mut(),
            Entry::Vacant(place) => place.insert(match packed(database, id)? {
                Some(packed) => serde_json::from_slice(&unpacked(&packed)?)?,
                None => Vec::new(),
            }),
        })
    }

    /// Writes what has changed.
    pub(super) fn write(&mut self, database: &Connection) -> Result<()> {
        for (id, mut block) in std::mem::take(&mut self.0) {
            block.truncate(block.iter().rposition(Option::is_some).map_or(0, |last| last + 1));
            if block.is_empty() {
                database.prepare_cached("DELETE FROM texts WHERE id = ?1")?.execute([id])?;
                continue;
            }
            let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(&serde_json::to_vec(&block)?)?;
            let sql = "INSERT INTO texts VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET block = excluded.block";
            database.prepare_cached(sql)?.execute(params![id, encoder.finish()?])?;
        }
        Ok(())
    }
}

fn packed(database: &Connection, id: i64) -> Result<Option<Vec<u8>>> {
    let sql = "SELECT block FROM texts WHERE id = ?1";
    database.prepare_cached(sql)?.query_row([id], |row| row.get(0)).optional().map_err(Into::into)
}

fn unpacked(packed: &[u8]) -> Result<Vec<u8>> {
    let mut block = Vec::with_capacity(packed.len() * 4);
    DeflateDecoder::new(packed).take(LONGEST).read_to_end(&mut block).context("a text of the index is damaged")?;
    Ok(block)
}

/// The texts of units, which come in ascending order. Units that are not there are left out.
pub(super) fn read(database: &Connection, units: &[i64]) -> Result<Vec<UnitText>> {
    let mut blocks = Vec::new();
    for units in units.chunk_by(|a, b| a.div_euclid(UNITS) == b.div_euclid(UNITS)) {
        let id = units.first().map_or(0, |unit| unit.div_euclid(UNITS));
        blocks.extend(packed(database, id)?.map(|packed| (units, packed)));
    }
    let texts = blocks.into_par_iter().map(|(units, packed)| of_block(units, &packed));
    Ok(texts.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
}

/// Some texts of a block. The others are passed over, not read.
fn of_block(units: &[i64], packed: &[u8]) -> Result<Vec<UnitText>> {
    let block = unpacked(packed)?;
    let block: Vec<&RawValue> = serde_json::from_slice(&block)?;
    let mut texts = Vec::with_capacity(units.len());
    for &unit in units {
        let Some(stored) = block.get(unit.rem_euclid(UNITS) as usize) else { continue };
        let stored: Option<StoredText> = serde_json::from_str(stored.get())?;
        texts.extend(stored.map(|stored| UnitText::of(unit, stored)));
    }
    Ok(texts)
}

/// Gives all texts in the order of their units.
pub(super) fn each(database: &Connection, give: &mut dyn FnMut(UnitText) -> Result<()>) -> Result<()> {
    let mut statement = database.prepare("SELECT id, block FROM texts ORDER BY id")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (id, packed): (i64, Vec<u8>) = (row.get(0)?, row.get(1)?);
        let block: Vec<Option<StoredText>> = serde_json::from_slice(&unpacked(&packed)?)?;
        for (unit, stored) in (id * UNITS..).zip(block) {
            if let Some(stored) = stored {
                give(UnitText::of(unit, stored))?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_and_go() {
        let database = Connection::open_in_memory().unwrap();
        database.execute_batch("CREATE TABLE texts (id INTEGER PRIMARY KEY, block BLOB NOT NULL)").unwrap();
        let text = |at: i64| format!("passage {at} \u{0} \"quoted\" 第七条\n");
        let mut changed = ChangedTexts::default();
        for at in 0..50 {
            let text = text(at);
            let parts = Parts { head: "head", text: &text, question: 3 };
            assert_eq!(changed.add(&database, parts).unwrap(), at);
            if at % 7 == 0 {
                changed.write(&database).unwrap();
            }
        }
        changed.write(&database).unwrap();
        let all = read(&database, &[0, 1, 15, 16, 49, 50, 900]).unwrap();
        assert_eq!(all.iter().map(|text| text.unit).collect::<Vec<_>>(), [0, 1, 15, 16, 49]);
        assert!(
            all.iter()
                .all(|found| found.text == text(found.unit) && (found.head.as_str(), found.question) == ("head", 3))
        );
        for unit in (16..32).chain(40..50) {
            assert_eq!(changed.remove(&database, unit).unwrap().text, text(unit));
        }
        assert!(changed.remove(&database, 20).is_err());
        changed.write(&database).unwrap();
        let mut left = Vec::new();
        each(&database, &mut |text| {
            left.push(text.unit);
            Ok(())
        })
        .unwrap();
        assert_eq!(left, (0..16).chain(32..40).collect::<Vec<_>>());
        let rows: i64 = database.query_row("SELECT count(*) FROM texts", [], |row| row.get(0)).unwrap();
        assert_eq!((rows, changed.add(&database, Parts { head: "", text: "", question: 0 }).unwrap()), (2, 40));
    }

    #[test]
    fn what_is_damaged_is_said() {
        assert!(of_block(&[1], b"no deflate").is_err());
    }
}
