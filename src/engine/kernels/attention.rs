//! Attention of packed messages, each a prefix that several tails share.
//!
//! A token of the prefix sees the prefix up to itself; a token of a tail sees the whole prefix and its own tail up to
//! itself. Vectors hold neighbouring rows rather than dims or keys: every lane then adds up its own sums in the order
//! of dims and of keys, which no batch, thread or CPU changes, and prefix and tail run as one sequence give the
//! same bits.

mod panel;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::memory::with_scratch;
use panel::{Panel, lanes_of_a_panel};

/// Where the tokens of one mail lie in a packed batch: the prefix, then one tail after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// The row of its first token.
    pub start: usize,
    /// Tokens that all tails share; may be 0.
    pub prefix: usize,
    /// Tokens of every tail; may be empty.
    pub tails: Vec<usize>,
}

impl Tree {
    /// Tokens of the prefix and of all tails.
    pub fn tokens(&self) -> usize {
        self.prefix + self.tails.iter().sum::<usize>()
    }
}

/// How an attention layer divides its width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heads {
    /// Heads of queries, a multiple of the next.
    pub query: usize,
    /// Heads of keys and values, each for `query / key_value` neighbouring heads of queries.
    pub key_value: usize,
    /// Numbers of one head.
    pub size: usize,
}

/// Columns of a matrix with rows of `stride` numbers; `values` begins at the first row's first column.
#[derive(Clone, Copy, Debug)]
pub struct StridedRows<'a> {
    /// The numbers, as far as the last row's last column.
    pub values: &'a [f32],
    /// Numbers from one row to the next.
    pub stride: usize,
}

impl<'a> StridedRows<'a> {
    /// One head of one row; shape: [size].
    #[inline(always)]
    fn head(self, row: usize, head: usize, size: usize) -> &'a [f32] {
        &self.values[row * self.stride + head * size..][..size]
    }
}

/// Which tokens of a tree see which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mask {
    /// A token of the prefix sees the prefix up to itself, a token of a tail the prefix and its tail up to itself.
    Causal,
    /// Every token sees the whole prefix. There are no tails.
    Full,
}

/// Writes softmax(q · kᵀ / √size) · v, where every token sees what its tree and the mask let it see.
///
/// Shapes: `q` [tokens, heads.query, size], `k` and `v` [tokens, heads.key_value, size], `out` [tokens, heads.query ·
/// size]. Trees stand in the order of their starts and do not overlap; rows of no tree are left as they were. NaN in a
/// key that a token sees makes its whole row of that head NaN, NaN in a value only the same column.
pub fn attention(
    q: StridedRows,
    k: StridedRows,
    v: StridedRows,
    heads: Heads,
    trees: &[Tree],
    mask: Mask,
    out: &mut [f32],
) {
    let scale = 1.0 / (heads.size as f32).sqrt();
    Arch::new().dispatch(Layer { inputs: Inputs { q, k, v, heads, mask, scale }, trees, out });
}

/// What all tasks of one call read.
#[derive(Clone, Copy)]
struct Inputs<'a> {
    q: StridedRows<'a>,
    k: StridedRows<'a>,
    v: StridedRows<'a>,
    heads: Heads,
    mask: Mask,
    scale: f32,
}

/// One call.
struct Layer<'a> {
    inputs: Inputs<'a>,
    trees: &'a [Tree],
    out: &'a mut [f32],
}

impl WithSimd for Layer<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let units = Unit::all(self.trees, self.inputs.heads, self.out);
        units.into_par_iter().for_each(|unit| unit.run(simd, &self.inputs));
    }
}

/// One head of keys and values of one tree. They are packed once, as rows of a fused buffer are a power of two apart
/// and would push each other out of the cache.
struct Unit<'a, 'o> {
    tree: &'a Tree,
    head: usize,
    /// The outputs of its tokens, and within a token of the heads of queries; each of shape [size].
    lanes: Vec<&'o mut [f32]>,
}

impl<'a, 'o> Unit<'a, 'o> {
    fn all(trees: &'a [Tree], heads: Heads, out: &'o mut [f32]) -> Vec<Self> {
        let row = heads.query * heads.size;
        let group = heads.query / heads.key_value;
        let mut units = Vec::with_capacity(trees.len() * heads.key_value);
        let (mut rest, mut at) = (out, 0);
        for tree in trees {
            let tokens = tree.tokens();
            let (_, own) = rest.split_at_mut((tree.start - at) * row);
            let (own, after) = own.split_at_mut(tokens * row);
            (rest, at) = (after, tree.start + tokens);
            let first = units.len();
            let empty = |head| Self { tree, head, lanes: Vec::with_capacity(tokens * group) };
            units.extend((0..heads.key_value).map(empty));
            for token in own.chunks_exact_mut(row) {
                for (unit, lanes) in units[first..].iter_mut().zip(token.chunks_exact_mut(group * heads.size)) {
                    unit.lanes.extend(lanes.chunks_exact_mut(heads.size));
                }
            }
        }
        units
    }

    fn run<S: Simd>(mut self, simd: S, inputs: &Inputs) {
        let heads = inputs.heads;
        let width = heads.size.next_multiple_of(panel::DIMS);
        let tokens = self.tree.tokens();
        with_scratch(2 * tokens * width, |packed| {
            let (keys, values) = packed.split_at_mut(tokens * width);
            for (rows, from) in [(&mut *keys, inputs.k), (&mut *values, inputs.v)] {
                for (token, row) in rows.chunks_exact_mut(width).enumerate() {
                    row[..heads.size].copy_from_slice(from.head(self.tree.start + token, self.head, heads.size));
                    row[heads.size..].fill(0.0);
                }
            }
            let (keys, values) = (&*keys, &*values);
            let (tree, head) = (self.tree, self.head);
            let group = heads.query / heads.key_value;
            let (prefix, tails) = self.lanes.split_at_mut(tree.prefix * group);
            let lanes = lanes_of_a_panel::<S>();
            let panel =
                |(at, out), in_tails| Panel { inputs, tree, head, keys, values, first: at * lanes, in_tails, out };
            let prefix = prefix.par_chunks_mut(lanes).enumerate().map(|each| panel(each, false));
            let tails = tails.par_chunks_mut(lanes).enumerate().map(|each| panel(each, true));
            prefix.chain(tails).for_each(|panel| panel.run(simd));
        });
    }
}

#[cfg(test)]
mod tests;
