//! Which prompts go through a model together. Pure.

use super::Batch;
use crate::engine::kernels::Tree;

/// One mail as a model reads it: a prefix, and the tails that share it; without tails, a sequence of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Prompt {
    pub(crate) prefix: Vec<u32>,
    pub(crate) tails: Vec<Vec<u32>>,
}

/// Where in the results of a batch those of one prompt lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    /// The prompt.
    pub(crate) prompt: usize,
    /// Its first tail in this batch.
    pub(crate) first: usize,
    /// Results of it in this batch.
    pub(crate) count: usize,
}

/// Packs prompts into batches of about `budget` tokens, those of like length together. A prompt whose tails do not fit
/// is run in several batches, each with its prefix; one that fits nowhere is a batch of its own.
pub(crate) fn pack(prompts: &[Prompt], budget: usize) -> Vec<(Vec<Slot>, Batch)> {
    let mut order: Vec<usize> = (0..prompts.len()).collect();
    order.sort_by_key(|&at| std::cmp::Reverse(prompts[at].prefix.len()));
    let mut batches: Vec<(Vec<Slot>, Batch)> = Vec::new();
    for at in order {
        let Prompt { prefix, tails } = &prompts[at];
        let mut first = 0;
        loop {
            let fits = fitting(prefix.len(), &tails[first..], budget);
            let now = &tails[first..first + fits];
            let tokens = prefix.len() + now.iter().map(Vec::len).sum::<usize>();
            let room = batches.last().is_some_and(|(_, batch)| batch.ids.len() + tokens <= budget);
            if !room {
                batches.push(Default::default());
            }
            if let Some((slots, batch)) = batches.last_mut() {
                batch.add(prefix, now);
                slots.push(Slot { prompt: at, first, count: if tails.is_empty() { 1 } else { fits } });
            }
            first += fits;
            if first >= tails.len() {
                break;
            }
        }
    }
    batches
}

/// How many of the tails fit behind a prefix; at least one.
fn fitting(prefix: usize, tails: &[Vec<u32>], budget: usize) -> usize {
    let mut tokens = prefix;
    let fits = tails.iter().take_while(|tail| {
        tokens += tail.len();
        tokens <= budget
    });
    fits.count().max(1).min(tails.len())
}

impl Batch {
    /// Adds a prefix and its tails; the last token of each tail is an output, or that of the prefix without tails.
    fn add(&mut self, prefix: &[u32], tails: &[Vec<u32>]) {
        let start = self.ids.len();
        self.trees.push(Tree { start, prefix: prefix.len(), tails: tails.iter().map(Vec::len).collect() });
        self.ids.extend(prefix);
        self.positions.extend(0..prefix.len() as u32);
        for tail in tails {
            self.ids.extend(tail);
            self.positions.extend((prefix.len()..prefix.len() + tail.len()).map(|position| position as u32));
            self.last.push(self.ids.len() as u32 - 1);
        }
        if tails.is_empty() {
            self.last.push(self.ids.len() as u32 - 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompt(prefix: usize, tails: &[usize]) -> Prompt {
        Prompt { prefix: vec![1; prefix], tails: tails.iter().map(|&tail| vec![2; tail]).collect() }
    }

    #[test]
    fn every_tail_is_run_once_within_the_budget() {
        let prompts = [prompt(5, &[2, 3]), prompt(30, &[4, 4, 4, 4]), prompt(50, &[1]), prompt(7, &[])];
        let batches = pack(&prompts, 40);
        let mut seen: Vec<Vec<usize>> = prompts.iter().map(|prompt| vec![0; prompt.tails.len().max(1)]).collect();
        for (slots, batch) in &batches {
            let outputs: usize = slots.iter().map(|slot| slot.count).sum();
            assert_eq!(outputs, batch.last.len());
            assert!(batch.ids.len() <= 40 || slots.len() == 1, "{slots:?}");
            for slot in slots {
                (slot.first..slot.first + slot.count).for_each(|tail| seen[slot.prompt][tail] += 1);
            }
        }
        assert!(seen.iter().flatten().all(|&times| times == 1), "{seen:?}");
    }

    #[test]
    fn positions_go_on_behind_the_prefix() {
        let (_, batch) = &pack(&[prompt(3, &[2, 1])], 100)[0];
        assert_eq!(batch.positions, [0, 1, 2, 3, 4, 3]);
        assert_eq!(batch.last, [4, 5]);
    }
}
