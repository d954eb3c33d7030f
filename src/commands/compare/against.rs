//! `mailsort compare NEW --against LIBRARY`: for each clause of a contract the closest ones of a folder or an index.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use rayon::ThreadPool;

use crate::classifier::LoadedModel;
use crate::commands::index::{self, InputReader};
use crate::commands::{near, opening};
use crate::contracts::{self, AskedPair, ClauseComparer, CloseClause, ClosestClauses, Contract};
use crate::intake::{self, Options, Reading};
use crate::knowledge::{self, Filters, Hit, Index, Mode, PassagePlace, Query};

/// Passages that are looked at for a clause, besides those that are shown.
const LOOKED_AT: usize = 10;

/// A document of the library: its path and its position in the file.
type DocumentKey = (String, u64);

/// An index of the library, and the folder that holds it where it was made for this run.
pub(super) struct Library {
    index: Index,
    _folder: Option<tempfile::TempDir>,
}

impl Library {
    /// Opens an index, or makes one of a folder or a file for this run.
    ///
    /// # Errors
    /// When it cannot be read, or holds vectors of another model.
    pub(super) fn open(path: &Path, embedder: &LoadedModel, pool: &ThreadPool) -> Result<Self> {
        let model = opening::index_model(embedder);
        if Index::is_database(path) {
            let index = Index::open(path)?;
            if let Some(known) = index.model()? {
                ensure!(
                    known.is_same(&model),
                    "the vectors of {} are of {}; name that model with --model",
                    path.display(),
                    known.name()
                );
            }
            return Ok(Self { index, _folder: None });
        }
        let folder = tempfile::tempdir().context("cannot make an index of the library")?;
        let into = folder.path().join("library.db");
        let mut index = Index::open_to_write(&into)?;
        let options = Options { recursive: true, ..Options::default() };
        let whole = crate::platform::absolute(path).with_context(|| format!("cannot read {}", path.display()))?;
        let reader = InputReader::new(vec![whole], &into, options, Reading::default());
        index.update(&reader, true, &|| false)?;
        index::embed(&mut index, &model, false, embedder, pool, &|| false)?;
        Ok(Self { index, _folder: Some(folder) })
    }

    /// Documents that it has.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub(super) fn documents(&self) -> Result<u64> {
        Ok(self.index.status()?.documents)
    }

    /// What of the library cannot be read, and why.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub(super) fn failures(&self) -> Result<Vec<(String, String)>> {
        Ok(self.index.status()?.failures)
    }

    /// The closest clauses of each clause of `new`, `top` at most, by words and by the vectors of its clauses. Documents
    /// of the file `own`, which is the contract itself, are left out.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub(super) fn closest(
        &self,
        new: &Contract,
        vectors: &[Vec<f32>],
        own: &Path,
        top: usize,
    ) -> Result<Vec<ClosestClauses>> {
        let own = own.canonicalize().ok();
        let is_other = |place: &&PassagePlace| own.is_none() || intake::unshown(&place.path).canonicalize().ok() != own;
        let has_vectors = self.index.model()?.is_some();
        let mut found: Vec<(usize, Hit, PassagePlace)> = Vec::new();
        for (clause, vector) in vectors.iter().enumerate() {
            let text = new.matching_text(clause);
            if text.trim().is_empty() {
                continue;
            }
            // A clause of which the model knows no word is looked for by keywords.
            let vector =
                Some(vector.as_slice()).filter(|vector| has_vectors && vector.iter().any(|&value| value != 0.0));
            let mode = if vector.is_some() { Mode::Hybrid } else { Mode::Keyword };
            let query =
                Query { text, mode, top: LOOKED_AT + 2 * top, filters: Filters::default(), every_passage: true };
            let answer = knowledge::search(&self.index, &query, vector, None)?;
            for hit in answer.hits {
                if let Some(place) = hit.places.iter().find(is_other).cloned() {
                    found.push((clause, hit, place));
                }
            }
        }
        self.compared(new, found, vectors.len(), top)
    }

    /// Compares what was found, one document of the library after the other.
    fn compared(
        &self,
        new: &Contract,
        found: Vec<(usize, Hit, PassagePlace)>,
        clauses: usize,
        top: usize,
    ) -> Result<Vec<ClosestClauses>> {
        let mut of_document: HashMap<DocumentKey, Vec<&(usize, Hit, PassagePlace)>> = HashMap::new();
        for one in &found {
            of_document.entry((one.2.path.clone(), one.2.index)).or_default().push(one);
        }
        let comparer = ClauseComparer::new(new);
        let mut close: Vec<(usize, CloseClause)> = Vec::new();
        for ((path, index), passages) in of_document {
            let Some(text) = self.index.text(&path, index)? else { continue };
            let contract = Contract::read(&text);
            let asked: Vec<AskedPair> =
                passages.iter().flat_map(|(new, hit, place)| asked(&contract, *new, hit, place)).collect();
            for (asked, pair) in asked.iter().zip(comparer.compare(&contract, &asked)) {
                let (Some(pair), Some(clause)) = (pair, contract.clauses.get(asked.old)) else { continue };
                let text = contract.text.get(clause.start..clause.end).unwrap_or_default().to_string();
                let (source, cosine) = (near(&path), asked.cosine);
                close.push((asked.new, CloseClause { source, index, title: clause.title(), text, cosine, pair }));
            }
        }
        // A clause with the same values is closer than one whose words are more alike.
        close.sort_by(|(_, one), (_, other)| {
            let alike = one.distance().cmp(&other.distance());
            let alike = alike.then(other.pair.confidence.total_cmp(&one.pair.confidence));
            alike.then_with(|| {
                (&one.source, one.index, &one.pair.old).cmp(&(&other.source, other.index, &other.pair.old))
            })
        });
        let mut closest: Vec<ClosestClauses> =
            (0..clauses).map(|clause| ClosestClauses { clause, found: Vec::new() }).collect();
        for (clause, close) in close {
            let Some(closest) = closest.get_mut(clause) else { continue };
            // Two passages may be parts of one clause.
            let is_it = |known: &CloseClause| {
                (&known.source, known.index, &known.pair.old) == (&close.source, close.index, &close.pair.old)
            };
            if closest.found.len() < top && !closest.found.iter().any(is_it) {
                closest.found.push(close);
            }
        }
        Ok(closest)
    }
}

/// The clauses of a library's contract that a passage has, each with the clause `new` for which it was found. The cosine of
/// a passage says nothing of one clause among several.
fn asked(contract: &Contract, new: usize, hit: &Hit, place: &PassagePlace) -> Vec<AskedPair> {
    let overlaps = |clause: &contracts::Clause| clause.start < place.range.end && place.range.start < clause.end;
    let clauses = contract.clauses.iter().enumerate().filter(|(_, clause)| overlaps(clause));
    let found: Vec<usize> = clauses.map(|(at, _)| at).collect();
    let cosine = hit.cosine.filter(|_| found.len() == 1);
    found.into_iter().map(|old| AskedPair { old, new, cosine }).collect()
}
