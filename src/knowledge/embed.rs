//! The vectors of passages: which are missing, whose they are, and how they are read.

use anyhow::{Result, bail, ensure};
use rayon::prelude::*;
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use super::texts::UnitText;
use super::vectors::{PassageVectors, pack};
use super::{Index, store, texts};

/// What embeds passages and queries. Vectors of two models have nothing to do with each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VectorModel {
    /// Its id.
    pub id: String,
    /// Its revision, or the fingerprint of its weights.
    pub revision: String,
    /// Length of its vectors.
    pub dims: usize,
    /// How texts are put to it.
    pub template: String,
    /// How much its order of passages counts beside that of the keywords; see `scores.rs`. It does not tell models apart.
    pub trust: f32,
}

impl VectorModel {
    /// The trust in a model that nobody has measured.
    pub const TRUST: f32 = 0.2;

    /// True for models whose vectors can be compared.
    pub fn is_same(&self, other: &Self) -> bool {
        (&self.id, &self.revision, self.dims, &self.template)
            == (&other.id, &other.revision, other.dims, &other.template)
    }

    /// Its name, for messages.
    pub fn name(&self) -> String {
        format!("{} ({}, {} dims)", self.id, self.revision, self.dims)
    }
}

/// Gives one vector for each text, or none where the model knows no word of it.
pub type Embed<'a> = dyn FnMut(&[&str]) -> Result<Vec<Option<Vec<f32>>>> + 'a;

impl Index {
    /// Embeds the passages that have no vector yet, `batch` at a time, and commits each batch, until `stops` says so.
    /// Returns how many. `reembed` drops the vectors of another model.
    ///
    /// # Errors
    /// When the vectors in the index are of another model and `reembed` is false, or the model fails.
    pub fn embed(
        &mut self,
        model: &VectorModel,
        reembed: bool,
        batch: usize,
        embed: &mut Embed<'_>,
        stops: &dyn Fn() -> bool,
    ) -> Result<usize> {
        self.writable()?;
        self.settle_model(model, reembed)?;
        let mut count = 0;
        let mut last = i64::MIN;
        while !stops() {
            let texts = self.pending(last, batch.max(1))?;
            let Some(newest) = texts.last() else { break };
            last = newest.unit;
            let lines: Vec<String> = texts.iter().map(UnitText::line).collect();
            let vectors = embed(&lines.iter().map(String::as_str).collect::<Vec<_>>())?;
            ensure!(vectors.len() == texts.len(), "the model gave {} vectors for {} texts", vectors.len(), texts.len());
            if let Some(other) = vectors.iter().flatten().find(|vector| vector.len() != model.dims) {
                bail!("the model {} gave {} numbers", model.name(), other.len());
            }
            let packed: Vec<Vec<u8>> =
                vectors.par_iter().map(|vector| vector.as_deref().map(pack).unwrap_or_default()).collect();
            let transaction = self.database.transaction()?;
            for (text, value) in texts.iter().zip(packed) {
                transaction
                    .prepare_cached("INSERT INTO vectors (unit, value) VALUES (?1, ?2)")?
                    .execute(params![text.unit, value])?;
            }
            transaction.commit()?;
            count += texts.len();
        }
        self.forget();
        self.shrink()?;
        Ok(count)
    }

    /// Notes the model, or refuses to mix it with another.
    fn settle_model(&mut self, wanted: &VectorModel, reembed: bool) -> Result<()> {
        let known = self.model()?;
        let is_other = known.as_ref().is_some_and(|known| !known.is_same(wanted));
        let has_vectors: bool =
            self.database.query_row("SELECT EXISTS (SELECT 1 FROM vectors)", [], |row| row.get(0))?;
        if let Some(known) = known.as_ref().filter(|_| is_other && has_vectors && !reembed) {
            bail!(
                "the vectors in {} are of {}, and this is {}; embed all passages anew with --reembed, or name the model of \
                 before. Search by keywords works as it is",
                self.path.display(),
                known.name(),
                wanted.name()
            );
        }
        if known.as_ref() == Some(wanted) {
            return Ok(());
        }
        let transaction = self.database.transaction()?;
        if is_other {
            transaction.execute("DELETE FROM vectors", [])?;
        }
        store::set_meta(&transaction, "model", &serde_json::to_vec(wanted)?)?;
        transaction.commit().map_err(Into::into)
    }

    /// The next texts without a vector.
    fn pending(&self, after: i64, most: usize) -> Result<Vec<UnitText>> {
        let sql = "SELECT DISTINCT unit FROM passages p
                   WHERE unit > ?1 AND NOT EXISTS (SELECT 1 FROM vectors v WHERE v.unit = p.unit) ORDER BY unit LIMIT ?2";
        texts::read(&self.database, &store::ids(&self.database, sql, params![after, most as i64])?)
    }
}

pub(super) fn model(database: &Connection) -> Result<Option<VectorModel>> {
    store::meta(database, "model")?.map(|model| serde_json::from_slice(&model)).transpose().map_err(Into::into)
}

/// All vectors in the order of their units.
pub(super) fn read_vectors(database: &Connection, dims: usize) -> Result<PassageVectors> {
    let most: i64 = database.query_row("SELECT coalesce(max(unit), 0) FROM vectors", [], |row| row.get(0))?;
    // Units that are gone leave gaps in the numbers; a wrong guess only costs memory.
    let mut vectors = PassageVectors::new(dims, usize::try_from(most).unwrap_or(0).min(1 << 20));
    let mut statement = database.prepare_cached("SELECT unit, value FROM vectors ORDER BY unit")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        vectors.push(row.get(0)?, row.get_ref(1)?.as_blob()?);
    }
    Ok(vectors)
}
