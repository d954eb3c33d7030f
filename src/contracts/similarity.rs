//! How alike two clauses are: words by their rarity, headings, defined terms, place, vectors
//!
//! Values are masked in the sequences, so that a changed number never parts two clauses.

use std::collections::HashMap;

use super::contract::Contract;
use super::sequence::Sequence;

/// A unit vector for each clause of the old and of the new contract.
pub type ClauseVectors<'a> = (&'a [Vec<f32>], &'a [Vec<f32>]);

/// Score from which two clauses may be partners.
pub(super) const THRESHOLD: f32 = 0.27;
/// Share of the vectors in the score, where there are any.
const VECTOR_SHARE: f32 = 0.35;
/// Cosine of two vectors of unrelated clauses.
const UNRELATED: f32 = 0.3;

/// A clause as weighted features.
struct Profile {
    /// In the order of the features, so that sums are the same in each run.
    features: Vec<(u64, f32)>,
    norm: f32,
    heading: String,
    number: String,
    definition: Option<String>,
}

/// Scores of clauses of two documents.
pub(super) struct Similarity<'a> {
    old: Vec<Profile>,
    new: Vec<Profile>,
    vectors: Option<ClauseVectors<'a>>,
    /// Where a clause of the old document is expected in the new one.
    expected: Vec<f32>,
}

impl<'a> Similarity<'a> {
    pub(super) fn new(
        contracts: (&Contract, &Contract),
        sequences: (&[Sequence], &[Sequence]),
        vectors: Option<ClauseVectors<'a>>,
        anchors: &[(usize, usize)],
    ) -> Similarity<'a> {
        let counts: Vec<HashMap<u64, f32>> = sequences.0.iter().chain(sequences.1).map(features).collect();
        let mut frequency: HashMap<u64, f32> = HashMap::new();
        for counts in &counts {
            for feature in counts.keys() {
                *frequency.entry(*feature).or_default() += 1.0;
            }
        }
        let total = counts.len() as f32;
        let rarity = |feature: &u64| (1.0 + total / frequency.get(feature).copied().unwrap_or(1.0)).ln();
        let profile = |contract: &Contract, clause: usize, counts: &HashMap<u64, f32>| {
            let mut features: Vec<(u64, f32)> = counts.iter().map(|(f, n)| (*f, (1.0 + n.ln()) * rarity(f))).collect();
            features.sort_unstable_by_key(|(feature, _)| *feature);
            let clause = &contract.clauses[clause];
            Profile {
                norm: features.iter().map(|(_, weight)| weight * weight).sum::<f32>().sqrt(),
                features,
                heading: fold(&clause.heading),
                number: clause.number.clone(),
                definition: clause.definition.as_ref().map(|term| fold(term)),
            }
        };
        let split = sequences.0.len();
        let old = counts[..split].iter().enumerate().map(|(i, c)| profile(contracts.0, i, c)).collect();
        let new: Vec<Profile> = counts[split..].iter().enumerate().map(|(i, c)| profile(contracts.1, i, c)).collect();
        let vectors = vectors.filter(|(a, b)| a.len() == split && b.len() == new.len());
        let expected = expected_places(split, new.len(), anchors);
        Similarity { old, new, vectors, expected }
    }

    /// The score of a pair in [0, 1].
    pub(super) fn score(&self, i: usize, j: usize) -> f32 {
        let dot = |(old, new): ClauseVectors<'_>| old[i].iter().zip(&new[j]).map(|(a, b)| a * b).sum();
        self.score_with(i, j, self.vectors.map(dot))
    }

    /// The same, with the cosine of the vectors of the two where there are any.
    pub(super) fn score_with(&self, i: usize, j: usize, dot: Option<f32>) -> f32 {
        let (a, b) = (&self.old[i], &self.new[j]);
        let mut score = cosine(a, b);
        if let Some(dot) = dot {
            let vector = ((dot - UNRELATED) / (1.0 - UNRELATED)).clamp(0.0, 1.0);
            score = score * (1.0 - VECTOR_SHARE) + vector * VECTOR_SHARE;
        }
        let mut lift = |share: f32| score += (1.0 - score) * share;
        match (&a.definition, &b.definition) {
            (Some(term), Some(other)) if term == other => lift(0.5),
            // Definitions of two terms share the form of words, not the matter.
            (Some(_), Some(_)) => return score * 0.6,
            _ => {}
        }
        if !a.heading.is_empty() && a.heading == b.heading {
            lift(0.3);
        }
        if a.number == b.number {
            lift(0.03);
        }
        let distance = (self.expected[i] - j as f32).abs() / self.new.len().max(8) as f32;
        lift(0.06 * (1.0 - distance.min(1.0)));
        score
    }

    /// True if the clauses speak of the same things at all. The test for two texts of one clause each.
    pub(super) fn is_related(&self, i: usize, j: usize) -> bool {
        let common = common(&self.old[i], &self.new[j]).count();
        let fewer = self.old[i].features.len().min(self.new[j].features.len());
        common >= 2 && common * 12 >= fewer
    }
}

fn fold(text: &str) -> String {
    text.to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect()
}

/// Words, classes of values, and pairs of neighbouring Chinese characters.
fn features(sequence: &Sequence) -> HashMap<u64, f32> {
    let mut counts = HashMap::new();
    for (i, item) in sequence.items.iter().enumerate() {
        if !item.is_character {
            let weight = if item.is_content { 1.0 } else { 0.5 };
            *counts.entry(u64::from(item.id)).or_insert(0.0) += weight;
        }
        if let Some(next) = sequence.items.get(i + 1).filter(|next| item.is_character && next.is_character) {
            *counts.entry(u64::from(item.id) << 32 | u64::from(next.id)).or_insert(0.0) += 1.0;
        }
    }
    for count in counts.values_mut() {
        *count = f32::max(*count, 1.0);
    }
    counts
}

fn cosine(a: &Profile, b: &Profile) -> f32 {
    if a.norm == 0.0 || b.norm == 0.0 {
        return 0.0;
    }
    (common(a, b).map(|(x, y)| x * y).sum::<f32>() / (a.norm * b.norm)).clamp(0.0, 1.0)
}

/// The weights of the features that two clauses have in common.
fn common<'a>(a: &'a Profile, b: &'a Profile) -> impl Iterator<Item = (f32, f32)> + 'a {
    let mut others = b.features.iter().peekable();
    a.features.iter().filter_map(move |(feature, weight)| {
        while others.next_if(|(other, _)| other < feature).is_some() {}
        others.next_if(|(other, _)| other == feature).map(|(_, other)| (*weight, *other))
    })
}

/// Interpolates between anchors: a clause between two of them is expected between their partners.
fn expected_places(old: usize, new: usize, anchors: &[(usize, usize)]) -> Vec<f32> {
    let mut points: Vec<(usize, usize)> = anchors.to_vec();
    points.sort_unstable();
    let end = (old.max(1), new.max(1));
    let mut places = Vec::with_capacity(old);
    let mut next = 0;
    for i in 0..old {
        while points.get(next).is_some_and(|(at, _)| *at < i) {
            next += 1;
        }
        let before = next.checked_sub(1).and_then(|k| points.get(k)).copied().unwrap_or((0, 0));
        let after = points.get(next).copied().unwrap_or(end);
        let span = (after.0 as f32 - before.0 as f32).max(1.0);
        let share = (i as f32 - before.0 as f32) / span;
        places.push(before.1 as f32 + share * (after.1 as f32 - before.1 as f32));
    }
    places
}
