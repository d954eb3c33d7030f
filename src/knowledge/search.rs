//! A query is answered: candidates by keywords and by vectors, one score for each, and the best of every conversation.

use std::collections::HashSet;

use anyhow::{Result, ensure};
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::candidates::{self, Terms};
use super::hits::{self, Hit};
use super::query::{Explanation, Filters, Mode, Query, Scored};
use super::scores::{cosine_score, keyword_scores};
use super::texts::UnitText;
use super::{Index, Loaded, store, texts};

/// Candidates by keywords, at least.
const BY_KEYWORDS: usize = 600;

/// Candidates by vectors, at least.
const BY_VECTORS: usize = 200;

/// Candidates, at most, for the queries whose best ones are of few conversations.
const MOST_CANDIDATES: usize = 40_000;

/// Below this probability a reranker says that a passage does not answer.
const ANSWERS: f32 = 0.5;

/// Probabilities that passages answer a question, asked for the best hits. The first number is how many.
pub type Rerank<'a> = (usize, &'a mut dyn FnMut(&[&str]) -> Result<Vec<f32>>);

/// The answer to a query.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SearchAnswer {
    /// The best passages, best first.
    pub hits: Vec<Hit>,
    /// True where a reranker has ordered the best hits.
    pub reranked: bool,
    /// Why it has not, where it was asked and failed.
    pub rerank_error: Option<String>,
    /// False where a reranker finds that no passage answers.
    pub answered: bool,
    /// True where vectors took part.
    pub by_vectors: bool,
}

impl SearchAnswer {
    /// The best passages, `most` at most, as a reranker is to read them.
    pub fn texts(&self, most: usize) -> Vec<&str> {
        self.hits.iter().take(most).map(|hit| hit.text.as_str()).collect()
    }

    /// Puts the best hits in order by the probabilities of [`SearchAnswer::texts`]. Without them they keep their order.
    pub fn rerank(&mut self, most: usize, probabilities: Result<Vec<f32>>) {
        let most = most.min(self.hits.len());
        let probabilities = match probabilities {
            Ok(probabilities) if probabilities.len() == most => probabilities,
            Ok(other) => {
                self.rerank_error = Some(format!("{} scores for {most} passages", other.len()));
                return;
            }
            Err(error) => {
                self.rerank_error = Some(format!("{error:#}"));
                return;
            }
        };
        self.reranked = true;
        self.answered = probabilities.iter().any(|&probability| probability >= ANSWERS);
        for (hit, probability) in self.hits.iter_mut().zip(probabilities) {
            hit.probability = Some(probability);
        }
        if let Some(best) = self.hits.get_mut(..most) {
            let key = |hit: &Hit| hit.probability.unwrap_or(0.0);
            best.sort_by(|a, b| key(b).total_cmp(&key(a)));
        }
        (1..).zip(&mut self.hits).for_each(|(rank, hit)| hit.rank = rank);
    }
}

/// Answers a query. `vector` is that of its text, by the model of the index.
///
/// # Errors
/// When the index cannot be read, when the vector is not of its model, or when there is none to search by meaning.
pub fn search(
    index: &Index,
    query: &Query,
    vector: Option<&[f32]>,
    rerank: Option<Rerank<'_>>,
) -> Result<SearchAnswer> {
    // A reranker may find the best among those that would not be shown.
    let wanted = query.top;
    let query = &Query { top: rerank.as_ref().map_or(wanted, |(most, _)| wanted.max(*most)), ..query.clone() };
    // All statements of one search see one state of the file.
    let snapshot = index.database.unchecked_transaction()?;
    let loaded = index.loaded()?;
    let allowed = allowed(&snapshot, &query.filters)?;
    let is_wanted = |unit: i64| allowed.as_ref().is_none_or(|allowed| allowed.binary_search(&unit).is_ok());
    let mut terms = Terms::of(&query.text);
    let vector = vector.filter(|_| query.mode != Mode::Keyword && loaded.model.is_some());
    ensure!(vector.is_some() || query.mode != Mode::Semantic, "{} has no vectors to search by", index.path().display());
    let mut candidates = query.top * 4;
    let (hits, by_vectors) = loop {
        let near = vector.map(|vector| near(index, &loaded, vector, candidates, &is_wanted)).transpose()?;
        let mut units = Vec::new();
        if query.mode != Mode::Semantic {
            let most = BY_KEYWORDS.max(candidates);
            units = candidates::find(&snapshot, &loaded.statistics, &mut terms, most, &is_wanted)?;
        }
        let nearest = near.as_ref().map_or(&[][..], |near| &near.units);
        let are_all = units.len() < BY_KEYWORDS.max(candidates) && nearest.len() < BY_VECTORS.max(candidates);
        let with_words = units.iter().copied().collect::<HashSet<i64>>();
        units.extend(nearest);
        units.sort_unstable();
        units.dedup();
        let scored = score(&snapshot, &loaded, query.mode, (&terms, &with_words), near.as_ref(), &units)?;
        let hits = hits::collect(&snapshot, query, &terms, scored)?;
        // One long conversation may have taken all places.
        if hits.len() >= query.top || are_all || candidates >= MOST_CANDIDATES {
            break (hits, !nearest.is_empty());
        }
        candidates = (8 * BY_KEYWORDS.max(candidates)).min(MOST_CANDIDATES);
    };
    let mut answer = SearchAnswer { hits, answered: true, by_vectors, ..SearchAnswer::default() };
    if let Some((most, rerank)) = rerank {
        let probabilities = match &answer.texts(most)[..] {
            [] => return Ok(answer),
            texts => rerank(texts),
        };
        answer.rerank(most, probabilities);
        answer.hits.truncate(wanted);
    }
    Ok(answer)
}

/// The nearest passages, and the cosines of all.
struct Near<'a> {
    vectors: &'a super::vectors::PassageVectors,
    cosines: super::vectors::Cosines,
    units: Vec<i64>,
    trust: f32,
}

impl Near<'_> {
    fn cosine(&self, unit: i64) -> Option<f32> {
        self.vectors.position(unit).and_then(|at| self.cosines.values.get(at).copied())
    }
}

fn near<'a>(
    index: &Index,
    loaded: &'a Loaded,
    vector: &[f32],
    candidates: usize,
    is_wanted: &dyn Fn(i64) -> bool,
) -> Result<Near<'a>> {
    let model = loaded.model.as_ref();
    let dims = model.map_or(0, |model| model.dims);
    ensure!(
        vector.len() == dims,
        "the question's vector has {} numbers, and those in {} have {dims}: it is of another model. Use the model that the \
         index was made with, or make it anew with --reembed",
        vector.len(),
        index.path().display()
    );
    let vectors = index.vectors(loaded)?;
    let cosines = vectors.cosines(vector);
    let wanted = |at: usize| vectors.unit(at).is_some_and(is_wanted);
    let nearest = cosines.nearest(BY_VECTORS.max(candidates), wanted);
    let units = nearest.into_iter().filter_map(|at| vectors.unit(at)).collect();
    Ok(Near { vectors, cosines, units, trust: model.map_or(0.0, |model| model.trust) })
}

/// The candidates with their scores, best first.
fn score(
    database: &Connection,
    loaded: &Loaded,
    mode: Mode,
    (terms, with_words): (&Terms, &HashSet<i64>),
    near: Option<&Near<'_>>,
    units: &[i64],
) -> Result<Vec<Scored>> {
    let candidates = texts::read(database, units)?;
    let keywords = match mode {
        Mode::Semantic => vec![0.0; candidates.len()],
        _ => keyword_scores(&candidates, terms, &loaded.statistics, &|unit| with_words.contains(&unit)),
    };
    let join = |(candidate, keywords): (UnitText, f32)| {
        let cosine = near.and_then(|near| near.cosine(candidate.unit));
        let mut explanation = Explanation { keywords, deviations: None, meaning: 0.0 };
        if let (Some(near), Some(cosine)) = (near, cosine) {
            let (mean, spread) = (near.cosines.mean, near.cosines.spread);
            explanation.deviations = (spread > 1e-6).then(|| (cosine - mean) / spread);
            explanation.meaning = match mode {
                Mode::Semantic => cosine,
                _ => cosine_score(cosine, mean, spread, near.trust),
            };
        }
        let score = keywords + explanation.meaning;
        Scored { candidate, cosine, keyword_rank: None, semantic_rank: None, explanation, score }
    };
    let mut scored: Vec<Scored> = candidates.into_iter().zip(keywords).map(join).collect();
    let by = |key: fn(&Scored) -> f32| move |a: &Scored, b: &Scored| key(b).total_cmp(&key(a));
    scored.sort_by(by(|scored| scored.cosine.unwrap_or(f32::MIN)));
    (1..)
        .zip(&mut scored)
        .filter(|(_, scored)| scored.cosine.is_some())
        .for_each(|(at, scored)| scored.semantic_rank = Some(at));
    scored.sort_by(by(|scored| scored.explanation.keywords));
    let with_words = (1..).zip(&mut scored).filter(|(_, scored)| scored.explanation.keywords > 0.0);
    with_words.for_each(|(at, scored)| scored.keyword_rank = Some(at));
    scored.retain(|scored| scored.keyword_rank.is_some() || scored.cosine.is_some());
    scored.sort_by(by(|scored| scored.score));
    Ok(scored)
}

/// The units of the documents that pass the filters, in order; none where all do.
fn allowed(database: &Connection, filters: &Filters) -> Result<Option<Vec<i64>>> {
    let (conditions, values) = hits::conditions(filters);
    if conditions.is_empty() {
        return Ok(None);
    }
    let sql = format!(
        "SELECT DISTINCT p.unit FROM documents d JOIN files f ON f.id = d.file JOIN passages p ON p.content = d.content
         WHERE {conditions} ORDER BY p.unit"
    );
    let values: Vec<Value> = values;
    store::ids(database, &sql, params_from_iter(values)).map(Some)
}
