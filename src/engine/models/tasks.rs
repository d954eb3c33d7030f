//! Tasks as tokens: labels are read once for a run, not again with every few messages.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Error, Result, anyhow};

use crate::engine::{LabelText, Task};

/// A run has a task for each instruction; a program that asks ever new ones ought not to keep them all.
const MOST: usize = 64;

/// The tokens of each label of the tasks that were asked about.
#[derive(Default)]
pub(super) struct Tasks(Mutex<HashMap<Task, Arc<Vec<Vec<u32>>>>>);

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
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(labels) = known.get(task) {
            return Ok(labels.clone());
        }
        let labels = Arc::new(task.labels.iter().map(read).collect::<Result<Vec<_>>>()?);
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(task.clone(), labels.clone());
        Ok(labels)
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
