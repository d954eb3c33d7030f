//! Attention from the operations that candle has on every device.
//!
//! What costs here is launches and copies: candle's kernels are slow where numbers do not lie one behind the other. So
//! queries, keys and values come as products of their own, are transposed once, and are then cut without a copy.

use std::collections::HashMap;

use candle_core::{DType, Device, Result, Tensor};

use super::{Candle, Norm, flash};
use crate::engine::backend::{Heads, Mask, Sequences, Tree};

/// Queries that ask at once.
const ROWS: usize = 512;
/// Scores, of all heads, that are in memory at once: there are three copies of them on the way. Over long prefixes
/// fewer queries ask at once.
const SCORES: usize = 1 << 26;

/// What is the same in all layers of a batch.
pub(crate) struct Attention {
    pub(super) heads: Heads,
    /// Cosines and sines of the positions. Shape: [tokens, size / 2] each.
    angles: Option<(Tensor, Tensor)>,
    pattern: Pattern,
}

enum Pattern {
    Blocks(Vec<Block>),
    Flash(flash::Sequences),
}

/// Neighbouring queries, and the keys that some of them see: first those before, which all see, then their own.
struct Block {
    span: Span,
    /// Zero where a query sees a key, minus infinity elsewhere. Shape: [rows, keys]. `None` where all see all.
    mask: Option<Tensor>,
}

#[derive(Clone, Debug)]
struct Span {
    /// The first query.
    first: usize,
    /// First key and number of keys of each run.
    keys: Vec<(usize, usize)>,
    /// Keys before the queries' own.
    before: usize,
    /// Lengths of the tails whose queries these are; a tail sees itself only. A piece of a longer run counts as one.
    tails: Vec<usize>,
}

impl Span {
    fn rows(&self) -> usize {
        self.tails.iter().sum()
    }
}

impl Attention {
    /// Lays out a batch on the device.
    pub(super) fn new(sequences: &Sequences, backend: &Candle) -> Result<Self> {
        let Sequences { trees, mask, heads, rope } = *sequences;
        let (device, dtype) = (&backend.device, backend.activations());
        let angles = rope.map(|(positions, rope)| {
            let table = rope.angles(positions);
            let (rows, half) = (positions.iter().max().map_or(0, |&last| last as usize + 1), heads.size / 2);
            let positions = Tensor::from_slice(positions, positions.len(), device)?;
            let upload = |values: &[f32]| {
                let table = Tensor::from_slice(&values[..rows * half], (rows, half), device)?.to_dtype(dtype)?;
                table.index_select(&positions, 0)
            };
            Ok::<_, candle_core::Error>((upload(&table.cos)?, upload(&table.sin)?))
        });
        let pattern = match mask {
            Mask::Full => Pattern::Blocks(full(trees, heads.query)),
            Mask::Causal if backend.flash => Pattern::Flash(flash::Sequences::new(heads, trees, device)?),
            Mask::Causal => Pattern::Blocks(masked(spans(trees, heads.query), device, dtype)?),
        };
        Ok(Self { heads, angles: angles.transpose()?, pattern })
    }

    /// RMSNorm of the heads of queries and of keys, and RoPE.
    pub(super) fn rope(&self, [q, k, v]: [Tensor; 3], [q_norm, k_norm]: [&Norm; 2]) -> Result<[Tensor; 3]> {
        let Heads { query, key_value, size } = self.heads;
        let tokens = q.dim(0)?;
        let Some((cos, sin)) = &self.angles else { return Ok([q, k, v]) };
        let rope = |x: Tensor, norm: &Norm, heads: usize| {
            let x = norm.rms_norm(&x.reshape((tokens, heads, size))?)?;
            candle_nn::rotary_emb::rope_thd(&x.unsqueeze(0)?, cos, sin)?.squeeze(0)
        };
        Ok([rope(q, q_norm, query)?, rope(k, k_norm, key_value)?, v])
    }

    /// q [tokens, query · size], k and v [tokens, key_value · size] -> [tokens, query · size]
    pub(super) fn forward(&self, [q, k, v]: [Tensor; 3]) -> Result<Tensor> {
        let Heads { query, key_value, size } = self.heads;
        let tokens = q.dim(0)?;
        let (q, k) = (q.reshape((tokens, query, size))?, k.reshape((tokens, key_value, size))?);
        let v = v.reshape((tokens, key_value, size))?;
        let blocks = match &self.pattern {
            Pattern::Flash(sequences) => return sequences.attention(&q, &k, &v),
            Pattern::Blocks(blocks) => blocks,
        };
        // Heads that share keys ask as one head of more rows, so that keys are not copied for each.
        let group = query / key_value;
        let by_keys = |x: Tensor, group: usize| {
            let x = x.reshape((tokens, key_value, group * size))?.transpose(0, 1)?.contiguous()?;
            x.reshape((key_value, tokens * group, size))
        };
        // Scaled here, where there are fewer numbers than among the scores.
        let (q, k, v) = ((by_keys(q, group)? / (size as f64).sqrt())?, by_keys(k, 1)?, by_keys(v, 1)?);
        let outputs = blocks.iter().map(|block| self.block(block, &q, &k, &v)).collect::<Result<Vec<_>>>()?;
        let output = Tensor::cat(&outputs, 1)?.reshape((key_value, tokens, group * size))?;
        output.transpose(0, 1)?.contiguous()?.reshape((tokens, query * size))
    }

    /// q [key_value, tokens · group, size], k and v [key_value, tokens, size] -> [key_value, rows · group, size].
    fn block(&self, block: &Block, q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
        let Heads { query, key_value, .. } = self.heads;
        let rows = block.span.rows();
        let keys: usize = block.span.keys.iter().map(|&(_, length)| length).sum();
        let group = query / key_value;
        let seen = |x: &Tensor| {
            let runs = block.span.keys.iter().map(|&(first, length)| x.narrow(1, first, length));
            let runs = runs.collect::<Result<Vec<_>>>()?;
            if runs.len() == 1 { Ok(runs[0].clone()) } else { Tensor::cat(&runs, 1)?.contiguous() }
        };
        let q = q.narrow(1, block.span.first * group, rows * group)?;
        let scores = q.matmul(&seen(k)?.transpose(1, 2)?)?.reshape((key_value, rows, group, keys))?;
        let scores = match &block.mask {
            Some(mask) => scores.broadcast_add(&mask.unsqueeze(1)?)?,
            None => scores,
        };
        candle_nn::ops::softmax_last_dim(&scores)?.reshape((key_value, rows * group, keys))?.matmul(&seen(v)?)
    }
}

/// The blocks of a batch in which every token sees its whole sequence.
fn full(trees: &[Tree], heads: usize) -> Vec<Block> {
    let mut blocks = Vec::new();
    for tree in trees {
        let most = rows_beside(tree.prefix, heads);
        let firsts = (0..tree.prefix).step_by(most);
        blocks.extend(firsts.map(|first| {
            let (keys, tails) = (vec![(tree.start, tree.prefix)], vec![most.min(tree.prefix - first)]);
            Block { span: Span { first: tree.start + first, keys, before: 0, tails }, mask: None }
        }));
    }
    blocks
}

/// How many queries may ask at once for so many keys before their own.
fn rows_beside(before: usize, heads: usize) -> usize {
    (SCORES / (heads * (before + ROWS))).clamp(1, ROWS)
}

/// The blocks of a batch, in the order of its tokens.
fn spans(trees: &[Tree], heads: usize) -> Vec<Span> {
    let mut spans = Vec::new();
    for tree in trees {
        run((tree.start, 0), tree.start, tree.prefix, heads, &mut spans);
        let prefix = (tree.start, tree.prefix);
        let most = rows_beside(tree.prefix, heads);
        let mut first = tree.start + tree.prefix;
        let mut tails: &[usize] = &tree.tails;
        while let Some(&longest) = tails.first() {
            let mut rows = 0;
            let fits = tails.iter().take_while(|&&tail| {
                rows += tail;
                rows <= most
            });
            let now = &tails[..fits.count().max(1)];
            tails = &tails[now.len()..];
            let rows = now.iter().sum();
            if now.len() == 1 {
                run(prefix, first, longest, heads, &mut spans);
            } else if rows > 0 {
                let keys = joined(prefix, (first, rows));
                spans.push(Span { first, keys, before: tree.prefix, tails: now.to_vec() });
            }
            first += rows;
        }
    }
    spans
}

/// One run of tokens behind a prefix, in as many pieces as it takes.
fn run(prefix: (usize, usize), start: usize, length: usize, heads: usize, spans: &mut Vec<Span>) {
    let mut done = 0;
    while done < length {
        let before = prefix.1 + done;
        let rows = rows_beside(before, heads).min(length - done);
        let keys = joined(prefix, (start, done + rows));
        spans.push(Span { first: start + done, keys, before, tails: vec![rows] });
        done += rows;
    }
}

/// Two runs of keys, as one where they touch: that needs no copy.
fn joined(prefix: (usize, usize), own: (usize, usize)) -> Vec<(usize, usize)> {
    match prefix {
        (_, 0) => vec![own],
        (first, length) if first + length == own.0 => vec![(first, length + own.1)],
        _ => vec![prefix, own],
    }
}

/// Gives the blocks their masks, of which most are cut out of the same few: messages mostly are asked about the same
/// labels, and what one run sees is a corner of what the longest sees.
fn masked(spans: Vec<Span>, device: &Device, dtype: DType) -> Result<Vec<Block>> {
    let kind = |span: &Span| if span.tails.len() == 1 { Vec::new() } else { span.tails.clone() };
    let mut largest: HashMap<Vec<usize>, (usize, usize)> = HashMap::new();
    for span in &spans {
        let (before, rows) = largest.entry(kind(span)).or_default();
        (*before, *rows) = ((*before).max(span.before), (*rows).max(span.rows()));
    }
    let whole = |(tails, (before, rows)): (Vec<usize>, (usize, usize))| -> Result<_> {
        let values = mask(if tails.is_empty() { std::slice::from_ref(&rows) } else { &tails }, before);
        let whole = Tensor::from_vec(values, (rows, before + rows), device)?.to_dtype(dtype)?;
        Ok((tails, (before, whole)))
    };
    let whole = largest.into_iter().map(whole).collect::<Result<HashMap<_, _>>>()?;
    let cut = |span: Span| -> Result<Block> {
        let (before, whole) = &whole[&kind(&span)];
        let mask = whole.narrow(0, 0, span.rows())?.narrow(1, before - span.before, span.before + span.rows())?;
        Ok(Block { span, mask: Some(mask) })
    };
    spans.into_iter().map(cut).collect()
}

/// Shape: [rows, before + rows].
fn mask(tails: &[usize], before: usize) -> Vec<f32> {
    let rows: usize = tails.iter().sum();
    let mut values = vec![f32::NEG_INFINITY; rows * (before + rows)];
    let firsts = tails.iter().scan(0, |next, &tail| {
        *next += tail;
        Some(std::iter::repeat_n(*next - tail, tail))
    });
    for ((row, first), values) in firsts.flatten().enumerate().zip(values.chunks_exact_mut(before + rows)) {
        values[..before].fill(0.0);
        values[before + first..=before + row].fill(0.0);
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(start: usize, prefix: usize, tails: &[usize]) -> Tree {
        Tree { start, prefix, tails: tails.to_vec() }
    }

    /// The keys that each query sees by the definition of a tree.
    fn defined(trees: &[Tree]) -> Vec<Vec<usize>> {
        let mut seen = Vec::new();
        for tree in trees {
            let prefix = tree.start..tree.start + tree.prefix;
            seen.extend(prefix.clone().map(|row| (tree.start..=row).collect()));
            let mut first = prefix.end;
            for &tail in &tree.tails {
                seen.extend((first..first + tail).map(|row| prefix.clone().chain(first..=row).collect()));
                first += tail;
            }
        }
        seen
    }

    /// The same by blocks and their masks.
    fn by_blocks(trees: &[Tree], heads: usize) -> Vec<Vec<usize>> {
        let mut seen: Vec<Vec<usize>> = Vec::new();
        for Block { span, mask } in masked(spans(trees, heads), &Device::Cpu, DType::F32).unwrap() {
            assert_eq!(span.first, seen.len(), "queries stay in their order");
            let keys: Vec<usize> = span.keys.iter().flat_map(|&(first, length)| first..first + length).collect();
            let mask = mask.unwrap();
            assert_eq!(mask.dims2().unwrap(), (span.rows(), keys.len()));
            assert!(span.rows() * keys.len() * heads <= SCORES || span.rows() == 1, "{span:?} with {heads} heads");
            for row in mask.to_vec2::<f32>().unwrap() {
                seen.push(keys.iter().zip(row).filter(|(_, mask)| *mask == 0.0).map(|(&key, _)| key).collect());
            }
        }
        seen
    }

    fn batches() -> Vec<Vec<Tree>> {
        vec![
            vec![tree(0, 5, &[2, 3, 1]), tree(11, 3, &[2, 3, 1]), tree(20, 7, &[])],
            vec![tree(0, 0, &[4, 1]), tree(5, 1, &[1]), tree(7, 2, &[0, 3, 0])],
            vec![tree(0, 600, &[300, 200, 100, 30]), tree(1230, 20, &[700, 5]), tree(1955, 1100, &[])],
        ]
    }

    #[test]
    fn every_query_sees_its_prefix_and_its_own_tail() {
        for trees in batches() {
            let expected = defined(&trees);
            // With many heads blocks become small, with few keys groups do.
            for heads in [1, 1 << 8, 1 << 14, 1 << 26] {
                assert!(by_blocks(&trees, heads) == expected, "{trees:?} with {heads} heads");
            }
            for most in [1, 10, 1000, 1 << 20] {
                assert!(flash::seen(&trees, most) == expected, "{trees:?} in groups of {most} keys");
            }
        }
    }

    #[test]
    fn masks_of_a_batch_take_little_memory() {
        let labels = [30; 12];
        let trees: Vec<Tree> = (0..20).map(|at| tree(at * 1000, 300 + at, &labels)).collect();
        let blocks = masked(spans(&trees, 32), &Device::Cpu, DType::F32).unwrap();
        assert_eq!(blocks.len(), 40);
        assert!(blocks.iter().all(|block| block.span.keys.len() == 1), "no key is copied");
        let ids: std::collections::HashSet<usize> = blocks
            .iter()
            .map(|block| {
                let (storage, _) = block.mask.as_ref().unwrap().storage_and_layout();
                std::ptr::from_ref(&*storage).addr()
            })
            .collect();
        assert_eq!(ids.len(), 2, "one for prefixes, one for tails");
    }
}
