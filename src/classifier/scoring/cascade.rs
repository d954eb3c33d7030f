//! Two embedders: the fast one decides where it is sure, the better one elsewhere.

use anyhow::Result;

use super::{PreparedText, Scored, Vectors};
use crate::engine::TokenizedText;
use crate::record::{Decider, Scores};

/// So much of the way from chance to certainty the fast model decides: the best of .3 to .8 on development sets, where
/// 58 % of the texts go on to the better one, and of two labels 43 % (`model/make/deep_constants.py`).
const SURE: f32 = 0.6;

/// The built-in model, and `deep` where it is not sure.
pub(in crate::classifier) struct Cascade {
    fast: Vectors,
    better: Vectors,
}

impl Cascade {
    pub(in crate::classifier) fn new(fast: Vectors, better: Vectors) -> Self {
        Self { fast, better }
    }

    /// Of the fast model; those that go on are tokenised again.
    pub(super) fn tokenize(&self, text: &str) -> Vec<Option<TokenizedText>> {
        self.fast.tokenize(text)
    }

    /// Scores texts. `None` for one of which neither model knows a word.
    ///
    /// # Errors
    /// When a model cannot run.
    pub(super) fn score(&self, texts: &[PreparedText]) -> Result<Vec<Option<Scored>>> {
        let mut scored = self.fast.score(texts)?;
        let is_sure = |scored: &Option<Scored>| scored.as_ref().is_some_and(|scored| scored.sets.iter().all(is_sure));
        // Of a text that it can only spell the fast model is never sure.
        let is_decided = |at: &usize| is_sure(&scored[*at]) && self.fast.knows(&texts[*at].text);
        let unsure: Vec<usize> = (0..texts.len()).filter(|at| !is_decided(at)).collect();
        // Their tokens are those of the fast model.
        let again: Vec<PreparedText> = unsure.iter().map(|&at| texts[at].text.clone().into()).collect();
        for (at, better) in unsure.into_iter().zip(self.better.score(&again)?) {
            scored[at] = match (scored[at].take(), better) {
                (Some(fast), Some(better)) if self.fast.knows(&texts[at].text) => Some(joined(fast, better)),
                (fast, better) => better.or(fast),
            };
        }
        Ok(scored)
    }

    /// See [`super::Scorer::probe`].
    pub(super) fn probe(&self) -> Result<()> {
        self.better.probe()
    }

    /// How many tokens of a text the better model sees.
    pub(super) fn max_tokens(&self) -> usize {
        self.better.max_tokens()
    }

    /// What went wrong with the cache, once.
    pub(super) fn trouble(&self) -> Option<String> {
        self.better.trouble()
    }
}

fn is_sure(scores: &Scores) -> bool {
    let chance = 1.0 / scores.probabilities.len() as f32;
    scores.probabilities.iter().any(|&probability| probability >= SURE + (1.0 - SURE) * chance)
}

/// The better scores of the sets of which the fast model is not sure. Of a text that both have read, the tokens are
/// those of the better one.
fn joined(fast: Scored, better: Scored) -> Scored {
    let sets = fast.sets.into_iter().zip(better.sets);
    let (sets, by) = sets
        .map(|(fast, better)| if is_sure(&fast) { (fast, Decider::Builtin) } else { (better, Decider::Deep) })
        .unzip();
    Scored { sets, by, tokens: better.tokens, truncated: better.truncated }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_few_labels_more_is_chance() {
        let scores = |probabilities: &[f32]| Scores {
            labels: (0..probabilities.len()).collect(),
            probabilities: probabilities.to_vec(),
            raw: probabilities.to_vec(),
        };
        assert!(is_sure(&scores(&[1.0])));
        assert!(is_sure(&scores(&[0.81, 0.19])) && !is_sure(&scores(&[0.79, 0.21])));
        let of_ten = |best: f32| [vec![best], vec![(1.0 - best) / 9.0; 9]].concat();
        assert!(is_sure(&scores(&of_ten(0.65))) && !is_sure(&scores(&of_ten(0.63))));
    }
}
