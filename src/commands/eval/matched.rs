//! The samples that two evaluations share.

use std::collections::{HashMap, VecDeque};

use anyhow::{Result, ensure};

use crate::evaluation::{Evaluation, McNemar, MultiLabelRow, SingleLabelRow, mcnemar};
use crate::output::evaluation::Prediction;

/// Pairs of predictions about the same sample. Both are compared with the truth of the new evaluation, as labels may
/// have been corrected.
pub(super) struct Matched<'e> {
    pub(super) pairs: Vec<(&'e Prediction, &'e Prediction)>,
}

impl<'e> Matched<'e> {
    /// Pairs samples of the same text. The rest is paired by source, index and id: their text was edited, or is cleaned
    /// in another way.
    pub(super) fn new(old: &'e [Prediction], new: &'e [Prediction]) -> Self {
        let mut by_text: HashMap<&str, VecDeque<usize>> = HashMap::new();
        for (at, said) in old.iter().enumerate() {
            if let Some(text) = &said.text {
                by_text.entry(text).or_default().push_back(at);
            }
        }
        let mut of_new: Vec<Option<usize>> =
            new.iter().map(|said| by_text.get_mut(said.text.as_deref()?).and_then(VecDeque::pop_front)).collect();
        let mut taken = vec![false; old.len()];
        of_new.iter().flatten().for_each(|&at| taken[at] = true);
        let place = |said: &'e Prediction| (said.source.as_str(), said.index, said.id.as_deref());
        // A file that is given twice has two samples at each index.
        let mut by_place: HashMap<_, VecDeque<usize>> = HashMap::new();
        for (at, said) in old.iter().enumerate().filter(|(at, _)| !taken[*at]) {
            by_place.entry(place(said)).or_default().push_back(at);
        }
        for (said, found) in new.iter().zip(&mut of_new) {
            if found.is_none() {
                *found = by_place.get_mut(&place(said)).and_then(VecDeque::pop_front);
            }
        }
        let pair = |(new, old_at): (&'e Prediction, &Option<usize>)| Some((&old[(*old_at)?], new));
        Self { pairs: new.iter().zip(&of_new).filter_map(pair).collect() }
    }

    /// Samples that were right and are wrong now, and the reverse.
    pub(super) fn lost_and_won(&self) -> (u64, u64) {
        let count = |before: bool| {
            let changed =
                |(old, new): &&(&Prediction, &Prediction)| is_right(old, new) == before && new.is_right() != before;
            self.pairs.iter().filter(changed).count() as u64
        };
        (count(true), count(false))
    }

    /// Whether one is better than the other.
    pub(super) fn test(&self) -> McNemar {
        let (lost, won) = self.lost_and_won();
        mcnemar(lost, won)
    }

    /// Both evaluations, over the shared samples alone. `questions` says that each label is one.
    pub(super) fn evaluations(&self, questions: bool) -> (Evaluation, Evaluation) {
        let mut indices: HashMap<&str, usize> = HashMap::new();
        let said = |one: &'e Prediction| one.given.iter().flatten().chain(&one.predicted);
        let names = self.pairs.iter().flat_map(|(old, new)| said(old).chain(said(new)).chain(&new.truth));
        for name in names {
            let next = indices.len();
            indices.entry(name).or_insert(next);
        }
        if questions {
            let asked = |truth: &[String], said: &Prediction| {
                MultiLabelRow::of_given(
                    truth.iter().map(|label| indices[label.as_str()]).collect(),
                    said.given.as_ref().map(|given| given.iter().map(|label| indices[label.as_str()]).collect()),
                    indices.len(),
                )
            };
            let old: Vec<MultiLabelRow> = self.pairs.iter().map(|(old, new)| asked(&new.truth, old)).collect();
            let new: Vec<MultiLabelRow> = self.pairs.iter().map(|(_, new)| asked(&new.truth, new)).collect();
            let thresholds = vec![1.0; indices.len()];
            return (Evaluation::of_questions(&old, &thresholds), Evaluation::of_questions(&new, &thresholds));
        }
        let row = |truth: &[String], predicted: Option<&String>| SingleLabelRow {
            truth: truth.iter().map(|label| indices[label.as_str()]).collect(),
            best: predicted.map(|label| (indices[label.as_str()], 1.0)),
            answered: true,
        };
        let old: Vec<SingleLabelRow> =
            self.pairs.iter().map(|(old, new)| row(&new.truth, old.predicted.as_ref())).collect();
        let new: Vec<SingleLabelRow> =
            self.pairs.iter().map(|(_, new)| row(&new.truth, new.predicted.as_ref())).collect();
        (Evaluation::new(&old, indices.len()), Evaluation::new(&new, indices.len()))
    }
}

/// Refuses to compare a multi-label (true) with a single-label report.
///
/// # Errors
/// When the reports differ in that.
pub(super) fn check(old: bool, new: bool) -> Result<()> {
    ensure!(
        old == new,
        "in one of the two reports each label is a question of its own, in the other the labels exclude each other, so \
         their figures cannot be compared"
    );
    Ok(())
}

/// True when the old labels are right by the new truth.
pub(super) fn is_right(old: &Prediction, new: &Prediction) -> bool {
    old.is_right_by(&new.truth)
}
