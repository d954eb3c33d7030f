//! The words of a query, and the passages that have some of them.
//!
//! This first look at the index weighs each word by its rarity alone. It only has to bring the right passages into a list
//! of some hundreds; `scores.rs` ranks those.

use std::collections::HashSet;

use anyhow::Result;
use rusqlite::{Connection, params};

use super::statistics::{Statistics, key};
use super::tokens::{TokenForm, stem, tokenize};

/// Words of a query that are looked up: the rarest.
const MOST_TERMS: usize = 64;

/// Words of a query that are counted to find the rarest. Whoever asks with a whole book is answered by its beginning.
const MOST_COUNTED: usize = 96;

/// Grams of a query that are counted in passages.
const MOST_GRAMS: usize = 1024;

/// The share of a word's weight that another form of it has.
const OTHER_FORM: f32 = 0.5;

/// A word of the query.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Term {
    /// As it stands in the index.
    pub(super) text: String,
    pub(super) form: TokenForm,
    /// Of [`Term::text`]; see `statistics.rs`.
    pub(super) key: u64,
    /// Its inverse document frequency.
    pub(super) rarity: f32,
    /// Passages that have it.
    pub(super) found: u64,
}

/// The words and grams of a query.
#[derive(Debug, Default)]
pub(super) struct Terms {
    pub(super) words: Vec<Term>,
    /// Keys of its grams, each once.
    pub(super) grams: Vec<u64>,
}

impl Terms {
    /// Each word of a text once, not yet counted.
    pub(super) fn of(text: &str) -> Self {
        let mut terms = Self::default();
        let (mut seen, mut seen_grams) = (HashSet::new(), HashSet::new());
        tokenize(text, &mut |token| {
            let key = key(token.text);
            match token.form {
                // Only passages need it.
                TokenForm::Last => {}
                TokenForm::Gram if terms.grams.len() < MOST_GRAMS && seen_grams.insert(key) => terms.grams.push(key),
                TokenForm::Gram => {}
                form if terms.words.len() < MOST_COUNTED && seen.insert(key) => {
                    terms.words.push(Term { text: token.text.into(), form, key, rarity: 0.0, found: 0 });
                }
                _ => {}
            }
        });
        terms
    }
}

/// Finds the `most` passages that have the rarest words of a query, best first, and counts the words.
pub(super) fn find(
    database: &Connection,
    statistics: &Statistics,
    terms: &mut Terms,
    most: usize,
    is_wanted: &dyn Fn(i64) -> bool,
) -> Result<Vec<i64>> {
    let last: i64 = database.query_row("SELECT coalesce(max(unit), 0) FROM passages", [], |row| row.get(0))?;
    let mut look = Look { database, weights: vec![0.0; usize::try_from(last).unwrap_or(0) + 1], seen: Vec::new() };
    let mut found: Vec<(Vec<usize>, Vec<usize>)> = Vec::with_capacity(terms.words.len());
    for term in &mut terms.words {
        let (exact, others) = look.passages(term)?;
        term.found = exact.len() as u64;
        term.rarity = statistics.rarity(term.found);
        found.push((exact, others));
    }
    let mut order: Vec<usize> = (0..terms.words.len()).collect();
    let rarity = |at: usize| terms.words.get(at).map_or(0.0, |term| term.rarity);
    order.sort_by(|&a, &b| rarity(b).total_cmp(&rarity(a)).then(a.cmp(&b)));
    order.truncate(MOST_TERMS);
    order.sort_unstable();
    for &at in &order {
        let Some((exact, others)) = found.get(at) else { continue };
        look.weigh(exact, rarity(at));
        // The rarity of all forms together.
        look.weigh(others, OTHER_FORM * statistics.rarity((exact.len() + others.len()) as u64));
    }
    let mut kept = order.iter().filter_map(|&at| terms.words.get(at).cloned()).collect();
    std::mem::swap(&mut terms.words, &mut kept);
    Ok(look.best(most, is_wanted))
}

struct Look<'a> {
    database: &'a Connection,
    /// By unit.
    weights: Vec<f32>,
    /// Units with a weight.
    seen: Vec<usize>,
}

impl Look<'_> {
    /// The passages that have a word, and those that have another form of it only.
    fn passages(&self, term: &Term) -> Result<(Vec<usize>, Vec<usize>)> {
        let exact = match term.form {
            // The character begins the pairs that it stands in.
            TokenForm::Single => self.between(&term.text)?,
            _ => self.units("SELECT doc FROM temp.places WHERE term = ?1", params![term.text])?,
        };
        let others = match stem(&term.text).filter(|_| term.form == TokenForm::Word) {
            Some(stem) => self.between(stem)?,
            None => Vec::new(),
        };
        let others = others.into_iter().filter(|unit| exact.binary_search(unit).is_err()).collect();
        Ok((exact, others))
    }

    /// The passages that have a token with this beginning, in order, each once.
    fn between(&self, beginning: &str) -> Result<Vec<usize>> {
        let end = format!("{beginning}\u{10ffff}");
        let mut units =
            self.units("SELECT doc FROM temp.places WHERE term >= ?1 AND term < ?2", params![beginning, end])?;
        units.sort_unstable();
        units.dedup();
        Ok(units)
    }

    fn units(&self, sql: &str, values: impl rusqlite::Params) -> Result<Vec<usize>> {
        let mut statement = self.database.prepare_cached(sql)?;
        let mut rows = statement.query(values)?;
        let mut units = Vec::new();
        while let Some(row) = rows.next()? {
            units.extend(usize::try_from(row.get::<_, i64>(0)?));
        }
        Ok(units)
    }

    fn weigh(&mut self, units: &[usize], more: f32) {
        for &unit in units {
            if let Some(weight) = self.weights.get_mut(unit) {
                if *weight == 0.0 {
                    self.seen.push(unit);
                }
                *weight += more;
            }
        }
    }

    fn best(mut self, most: usize, is_wanted: &dyn Fn(i64) -> bool) -> Vec<i64> {
        self.seen.retain(|&unit| is_wanted(unit as i64));
        let weight = |unit: usize| self.weights.get(unit).copied().unwrap_or(0.0);
        let by_weight = |&a: &usize, &b: &usize| weight(b).total_cmp(&weight(a)).then(a.cmp(&b));
        if most > 0 && self.seen.len() > most {
            self.seen.select_nth_unstable_by(most - 1, by_weight);
        }
        self.seen.truncate(most);
        self.seen.sort_unstable_by(by_weight);
        self.seen.into_iter().map(|unit| unit as i64).collect()
    }
}
