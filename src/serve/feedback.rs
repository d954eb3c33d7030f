//! What the server remembers of its verdicts, so that people can say whether they were right: hashes and labels, no
//! text.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};

use crate::record::{Verdict, is_same_label};

/// How many of the last verdicts are remembered.
const REMEMBERED: usize = 100_000;

/// The last verdicts by the server's own labels.
#[derive(Default)]
pub(super) struct Verdicts {
    known: HashMap<u64, SharedVerdict>,
    /// With their keys, the oldest first.
    order: VecDeque<(SharedVerdict, Vec<u64>)>,
}

/// A verdict has several ids, and is judged once.
type SharedVerdict = Arc<Mutex<Remembered>>;

/// A verdict, and whether a person has judged it.
struct Remembered {
    /// Of each label set; `None` where none was sure.
    labels: Vec<Option<Arc<str>>>,
    /// Of each label set.
    is_judged: Vec<bool>,
}

/// What a person's label says of a verdict.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Review {
    /// The label of the verdict.
    pub(super) label: Option<Arc<str>>,
    pub(super) is_right: bool,
    /// False where it was judged before.
    pub(super) is_new: bool,
}

impl Verdicts {
    /// Remembers a verdict by the id of its document, and by that of its request and its place in the answer.
    pub(super) fn remember(&mut self, request: &str, place: usize, verdict: &Verdict) {
        let Ok(outcome) = &verdict.outcome else { return };
        let labels: Vec<Option<Arc<str>>> = outcome.rankings.iter().map(|ranking| ranking.label.clone()).collect();
        let of_request = format!("{request}/{place}");
        let first = (place == 0).then(|| request.to_string());
        let is_judged = vec![false; labels.len()];
        let remembered = Arc::new(Mutex::new(Remembered { labels, is_judged }));
        let ids = [verdict.envelope.id.clone(), Some(of_request), first].into_iter().flatten();
        let keys: Vec<u64> = ids.map(|id| key(&id)).collect();
        for key in &keys {
            self.known.insert(*key, remembered.clone());
        }
        self.order.push_back((remembered, keys));
        if self.order.len() > REMEMBERED
            && let Some((oldest, keys)) = self.order.pop_front()
        {
            // A later verdict may have one of its ids.
            let is_its = |known: &SharedVerdict| Arc::ptr_eq(known, &oldest);
            for key in keys {
                if self.known.get(&key).is_some_and(is_its) {
                    self.known.remove(&key);
                }
            }
        }
    }

    /// What the right label, or none, says of the verdict on `id` by the label set of this number. `None` where the
    /// verdict is not remembered.
    pub(super) fn judge(&mut self, id: &str, set: usize, right: Option<&str>) -> Option<Review> {
        let mut known = self.known.get(&key(id))?.lock().unwrap_or_else(PoisonError::into_inner);
        let label = known.labels.get(set)?.clone();
        let is_right = match (&label, right) {
            (Some(label), Some(right)) => is_same_label(label, right),
            (None, None) => true,
            _ => false,
        };
        let is_new = !std::mem::replace(known.is_judged.get_mut(set)?, true);
        Some(Review { label, is_right, is_new })
    }
}

fn key(id: &str) -> u64 {
    let digest = Sha256::digest(id);
    digest.iter().take(8).fold(0, |key, byte| key << 8 | u64::from(*byte))
}

/// An id for a request that no other has.
pub(super) fn request_id() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    // Its keys come from the system.
    let random = RandomState::new().hash_one(COUNT.fetch_add(1, Ordering::Relaxed));
    format!("{random:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Document, Outcome, Ranking};

    fn verdict(id: Option<&str>, label: Option<&str>) -> Verdict {
        let Document { origin, mut envelope, .. } = Document::from("x");
        envelope.id = id.map(String::from);
        let ranking = Ranking { label: label.map(Arc::from), score: 0.9, by: None, top: Vec::new() };
        Verdict { origin, envelope, outcome: Ok(Outcome { rankings: vec![ranking], tokens: 1, truncated: false }) }
    }

    #[test]
    fn a_verdict_is_judged_once() {
        let mut verdicts = Verdicts::default();
        verdicts.remember("r", 0, &verdict(Some("<a@b>"), Some("invoice")));
        verdicts.remember("r", 1, &verdict(None, None));
        let judged = verdicts.judge("<a@b>", 0, Some("meeting")).unwrap();
        assert!(!judged.is_right && judged.is_new && judged.label.as_deref() == Some("invoice"));
        assert!(!verdicts.judge("<a@b>", 0, Some("invoice")).unwrap().is_new);
        // The same verdict by the id of its request.
        let again = verdicts.judge("r", 0, Some("invoice")).unwrap();
        assert!(again.is_right && !again.is_new);
        assert!(verdicts.judge("r/1", 0, None).unwrap().is_right);
        assert_eq!((verdicts.judge("r/2", 0, None), verdicts.judge("r/1", 1, None)), (None, None));
    }

    #[test]
    fn memory_is_bounded() {
        let mut verdicts = Verdicts::default();
        (0..REMEMBERED).for_each(|at| verdicts.remember("r", at + 1, &verdict(Some(&at.to_string()), Some("a"))));
        assert_eq!((verdicts.known.len(), verdicts.order.len()), (2 * REMEMBERED, REMEMBERED));
        verdicts.remember("r", 1, &verdict(Some("x"), Some("a")));
        assert!(verdicts.judge("0", 0, None).is_none());
    }
}
