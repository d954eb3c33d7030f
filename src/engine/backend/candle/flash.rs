//! Attention in one kernel for sequences of different lengths, where mailsort was built with the feature `flash-attn`;
//! no other file knows of it.
//!
//! Every prefix and every tail is a sequence of its own. Its queries stay where they lie in the batch; its keys are
//! copied behind one another, for a tail those of the prefix and then its own, so that its last query sees its last key
//! and every query before that one key less: what the kernel calls causal.

use std::ops::Range;

use candle_core::{DType, Device, Result, Tensor};

use crate::engine::backend::{Heads, Tree};

/// Keys that are copied at once: as bf16 and with 8 heads of 128 they and their values take 512 MB.
const KEYS: usize = 1 << 17;

/// True where the kernel is built in and there for such numbers. It knows other sizes of heads, but builds that leave
/// kernels out to save an hour keep these, and no Qwen3 has another.
pub(crate) fn is_built_for(device: &Device, dtype: DType, head: usize) -> bool {
    let half = matches!(dtype, DType::BF16 | DType::F16);
    cfg!(feature = "flash-attn") && !device.is_cpu() && half && matches!(head, 64 | 128)
}

/// Neighbouring sequences that run together.
#[derive(Debug, Default, PartialEq, Eq)]
struct Group {
    /// The first query.
    first: usize,
    /// Queries before each sequence and behind the last. Shape: [sequences + 1].
    queries: Vec<u32>,
    /// Keys likewise.
    keys: Vec<u32>,
    /// The rows of the batch that the keys are copied from. Shape: [keys].
    rows: Vec<u32>,
}

impl Group {
    fn begin(first: usize) -> Self {
        Self { first, queries: vec![0], keys: vec![0], rows: Vec::new() }
    }

    /// A sequence whose queries follow those before.
    fn push(&mut self, prefix: Range<usize>, own: Range<usize>) {
        self.queries.push(self.queries.last().unwrap_or(&0) + own.len() as u32);
        self.rows.extend(prefix.chain(own).map(|row| row as u32));
        self.keys.push(self.rows.len() as u32);
    }

    fn queries(&self) -> usize {
        self.queries.last().map_or(0, |&queries| queries as usize)
    }

    /// True where the keys are those of the queries, in their order: a tail has those of its prefix besides.
    fn is_its_own(&self) -> bool {
        self.rows.len() == self.queries()
    }
}

/// The sequences of a batch, in groups of about `most` keys; a longer sequence is a group of its own.
fn groups(trees: &[Tree], most: usize) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut add = |prefix: Range<usize>, own: Range<usize>| {
        let keys = prefix.len() + own.len();
        if groups.last().is_none_or(|group| group.rows.len() + keys > most) {
            groups.push(Group::begin(own.start));
        }
        if let Some(group) = groups.last_mut() {
            group.push(prefix, own);
        }
    };
    for tree in trees {
        let mut first = tree.start + tree.prefix;
        if tree.prefix > 0 {
            add(0..0, tree.start..first);
        }
        for &tail in tree.tails.iter().filter(|&&tail| tail > 0) {
            add(tree.start..tree.start + tree.prefix, first..first + tail);
            first += tail;
        }
    }
    groups
}

/// The sequences of a batch on the device: the same in all layers.
pub(crate) struct Sequences {
    heads: Heads,
    groups: Vec<Uploaded>,
}

struct Uploaded {
    first: usize,
    rows: usize,
    /// `None` where the keys lie as they are wanted.
    gathered: Option<Tensor>,
    queries: Lengths,
    keys: Lengths,
}

struct Lengths {
    /// Shape: [sequences + 1].
    before: Tensor,
    longest: usize,
}

impl Lengths {
    fn new(before: &[u32], device: &Device) -> Result<Self> {
        let longest = before.windows(2).map(|pair| (pair[1] - pair[0]) as usize).max().unwrap_or(0);
        Ok(Self { before: Tensor::from_slice(before, before.len(), device)?, longest })
    }
}

impl Sequences {
    /// Lays out the trees.
    pub(crate) fn new(heads: Heads, trees: &[Tree], device: &Device) -> Result<Self> {
        let upload = |group: Group| -> Result<Uploaded> {
            let gathered = (!group.is_its_own()).then(|| Tensor::from_slice(&group.rows, group.rows.len(), device));
            Ok(Uploaded {
                first: group.first,
                rows: group.queries(),
                gathered: gathered.transpose()?,
                queries: Lengths::new(&group.queries, device)?,
                keys: Lengths::new(&group.keys, device)?,
            })
        };
        Ok(Self { heads, groups: groups(trees, KEYS).into_iter().map(upload).collect::<Result<_>>()? })
    }

    /// q [tokens, query, size], k and v [tokens, key_value, size] -> [tokens, query · size].
    pub(crate) fn attention(&self, q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
        let Heads { query, size, .. } = self.heads;
        let one = |group: &Uploaded| {
            let seen = |x: &Tensor| match &group.gathered {
                Some(rows) => x.index_select(rows, 0),
                None => x.narrow(0, group.first, group.rows),
            };
            let q = q.narrow(0, group.first, group.rows)?;
            kernel(&q, &seen(k)?, &seen(v)?, group, 1.0 / (size as f32).sqrt())
        };
        let outputs: Vec<Tensor> = self.groups.iter().map(one).collect::<Result<_>>()?;
        let output = if outputs.len() == 1 { outputs[0].clone() } else { Tensor::cat(&outputs, 0)? };
        output.reshape((output.dim(0)?, query * size))
    }
}

/// On the CPU candle's own, so that tests can run the layout.
fn kernel(q: &Tensor, k: &Tensor, v: &Tensor, group: &Uploaded, scale: f32) -> Result<Tensor> {
    let Uploaded { queries, keys, .. } = group;
    if !q.device().is_cpu() {
        return on_device(q, k, v, queries, keys, scale);
    }
    // It takes lengths where the other takes sums of lengths.
    let lengths = |of: &Lengths| {
        of.before.narrow(0, 1, of.before.dim(0)? - 1)? - of.before.narrow(0, 0, of.before.dim(0)? - 1)?
    };
    let (queries_each, keys_each) = (lengths(queries)?, lengths(keys)?);
    let longest = (queries.longest, keys.longest);
    let run = candle_nn::attention::flash_attn_varlen_unfused;
    run(q, k, v, None, &queries_each, &keys_each, longest.0, longest.1, scale, true, None, None)
}

#[cfg(feature = "flash-attn")]
fn on_device(q: &Tensor, k: &Tensor, v: &Tensor, queries: &Lengths, keys: &Lengths, scale: f32) -> Result<Tensor> {
    let (before, longest) = ((&queries.before, &keys.before), (queries.longest, keys.longest));
    candle_flash_attn::flash_attn_varlen(q, k, v, before.0, before.1, longest.0, longest.1, scale, true)
}

#[cfg(not(feature = "flash-attn"))]
fn on_device(_: &Tensor, _: &Tensor, _: &Tensor, _: &Lengths, _: &Lengths, _: f32) -> Result<Tensor> {
    candle_core::bail!("this mailsort was built without flash-attn")
}

/// The keys that each query of a batch sees, in groups of about `most`. Shape: [tokens][keys].
#[cfg(test)]
pub(crate) fn seen(trees: &[Tree], most: usize) -> Vec<Vec<usize>> {
    let mut seen = Vec::new();
    for group in groups(trees, most) {
        assert_eq!(group.first, seen.len(), "queries stay in their order");
        assert!(group.rows.len() <= most || group.queries.len() == 2, "{} keys at once", group.rows.len());
        for (queries, keys) in group.queries.windows(2).zip(group.keys.windows(2)) {
            let (rows, keys) = ((queries[1] - queries[0]) as usize, &group.rows[keys[0] as usize..keys[1] as usize]);
            // Bottom-right: the last query sees the last key.
            let one = |row: usize| keys[..keys.len() - rows + row + 1].iter().map(|&key| key as usize).collect();
            seen.extend((0..rows).map(one));
        }
    }
    seen
}
