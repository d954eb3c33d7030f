//! What all texts of a run share is read once: labels as tokens, and the length of what stands around a text.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Error, Result, anyhow};

use crate::engine::{LabelText, Task};

/// A run has a task and a prompt for each instruction; a program that asks ever new ones ought not to keep them all.
const MOST: usize = 64;

/// What was made of some keys.
pub(super) struct Memo<K, V>(Mutex<HashMap<K, V>>);

impl<K, V> Default for Memo<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Hash + Eq, V: Clone> Memo<K, V> {
    /// What was made of the key, by `make` where it is new.
    ///
    /// # Errors
    /// Those of `make`.
    pub(super) fn get<Q>(&self, key: &Q, make: impl FnOnce() -> Result<V>) -> Result<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = known.get(key) {
            return Ok(value.clone());
        }
        let value = make()?;
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(key.to_owned(), value.clone());
        Ok(value)
    }
}

/// The tokens of each label of the tasks that were asked about.
pub(super) type Tasks = Memo<Task, Arc<Vec<Vec<u32>>>>;

impl Tasks {
    /// The tokens of each label, by `read` where the task is new.
    ///
    /// # Errors
    /// Those of `read`.
    pub(super) fn labels(
        &self,
        task: &Task,
        read: impl Fn(&LabelText) -> Result<Vec<u32>>,
    ) -> Result<Arc<Vec<Vec<u32>>>> {
        self.get(task, || Ok(Arc::new(task.labels.iter().map(read).collect::<Result<_>>()?)))
    }
}

/// A label of which a model can read only so many tokens. Cut, it would be another label.
pub(super) fn too_long(label: &LabelText, most: usize, id: &str) -> Error {
    anyhow!("the label {:?} has more than the {most} tokens that {id} can read; shorten its description", label.name)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn labels_are_read_once() {
        let (tasks, reads) = (Tasks::default(), Cell::new(0));
        let task = |name: &str| {
            let label = LabelText { name: name.into(), description: None };
            Task { instruct: None, labels: vec![label] }
        };
        let read = |label: &LabelText| {
            reads.set(reads.get() + 1);
            Ok(vec![label.name.len() as u32])
        };
        for _ in 0..3 {
            assert_eq!(*tasks.labels(&task("one"), read).unwrap(), [[3]]);
            assert_eq!(*tasks.labels(&task("three"), read).unwrap(), [[5]]);
        }
        assert_eq!(reads.get(), 2);
        assert!(tasks.labels(&task("bad"), |_| anyhow::bail!("no")).is_err());
        (0..2 * MOST).for_each(|at| drop(tasks.labels(&task(&"x".repeat(at)), read).unwrap()));
        assert!(tasks.0.lock().unwrap().len() <= MOST);
    }
}
