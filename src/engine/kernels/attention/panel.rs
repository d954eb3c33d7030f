//! The rows of one register tile: their scores, their softmax and their sums of values.

use pulp::{Simd, WithSimd};

use super::super::exp::exp;
use super::super::memory::with_scratch;
use super::{Inputs, Mask, Tree};

/// Vectors of lanes that a register tile is wide, at most: a panel with fewer lanes has fewer.
const VECTORS: usize = 3;
/// Dims of values that are added up side by side; packed rows are padded to a multiple of it.
pub(super) const DIMS: usize = 8;
/// Keys whose weights and values stay in the nearest cache while all dims pass over them.
const BLOCK: usize = 64;
/// The longest vector of any CPU.
const LONGEST: usize = 16;

/// Rows of one panel. A lane is one token with one head of queries.
pub(super) fn lanes_of_a_panel<S: Simd>() -> usize {
    VECTORS * S::F32_LANES
}

/// Neighbouring lanes of a tree that share the keys of its prefix.
pub(super) struct Panel<'a, 'o, 'p> {
    pub(super) inputs: &'a Inputs<'a>,
    pub(super) tree: &'a Tree,
    /// Of keys and values.
    pub(super) head: usize,
    /// Shape: [tokens of the tree, size rounded up to DIMS].
    pub(super) keys: &'a [f32],
    /// As `keys`, filled up with zeros.
    pub(super) values: &'a [f32],
    /// The first lane, counted in the prefix or in the tails.
    pub(super) first: usize,
    pub(super) in_tails: bool,
    /// Outputs of the lanes; at most `lanes_of_a_panel`.
    pub(super) out: &'p mut [&'o mut [f32]],
}

/// Keys that not all lanes of a vector see.
struct Own {
    /// Which vector of the panel.
    vector: usize,
    /// The first of the keys, as a token of the tree.
    start: usize,
    /// How many of them some lane sees.
    count: usize,
    /// How many of them each lane sees.
    counts: [f32; LONGEST],
}

/// Working memory of a panel.
struct Memory<'m, V, const N: usize> {
    /// Queries times the scale. Shape: [size, N].
    queries: &'m [[V; N]],
    /// Scores, then weights. Shape: [keys, N]. Keys that all lanes see come first.
    scores: &'m mut [[V; N]],
    /// Sums of weighted values. Shape: [width, N].
    sums: &'m mut [[V; N]],
}

/// A panel with all that its sums need. Nothing between here and the sums is a closure: the compiler may leave one
/// outside the code for the CPU at hand, which costs a factor of fifty.
struct Sums<'a, 'o, 'p, 'm, const N: usize> {
    panel: Panel<'a, 'o, 'p>,
    shared: usize,
    own: Vec<Own>,
    memory: &'m mut [f32],
}

impl Panel<'_, '_, '_> {
    pub(super) fn run<S: Simd>(self, simd: S) {
        match self.out.len().div_ceil(S::F32_LANES) {
            1 => self.by::<S, 1>(simd),
            2 => self.by::<S, 2>(simd),
            _ => self.by::<S, VECTORS>(simd),
        }
    }

    /// With so many vectors of lanes.
    fn by<S: Simd, const N: usize>(self, simd: S) {
        let size = self.inputs.heads.size;
        let (shared, own) = self.visible(N * S::F32_LANES, S::F32_LANES);
        let slots = shared + own.iter().map(|own| own.count).max().unwrap_or(0);
        with_scratch((size + size.next_multiple_of(DIMS) + slots) * N * S::F32_LANES, |memory| {
            simd.vectorize(Sums::<N> { panel: self, shared, own, memory });
        });
    }
}

impl<const N: usize> WithSimd for Sums<'_, '_, '_, '_, N> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { mut panel, shared, own, memory } = self;
        let lanes = N * S::F32_LANES;
        let size = panel.inputs.heads.size;
        let (queries, rest) = memory.split_at_mut(size * lanes);
        let (sums, scores) = rest.split_at_mut(size.next_multiple_of(DIMS) * lanes);
        panel.pack_queries(sums, queries, lanes);
        sums.fill(0.0);
        let mut memory: Memory<_, N> = Memory {
            queries: S::as_simd_f32s(queries).0.as_chunks().0,
            scores: S::as_mut_simd_f32s(scores).0.as_chunks_mut().0,
            sums: S::as_mut_simd_f32s(sums).0.as_chunks_mut().0,
        };
        // As many keys at once as leave registers for the queries and one key.
        let most = if S::REGISTER_COUNT >= 32 {
            panel.score_shared::<S, N, 8>(simd, shared, &mut memory)
        } else {
            panel.score_shared::<S, N, 3>(simd, shared, &mut memory)
        };
        let most = panel.score_own(simd, shared, &own, most, &mut memory);
        let totals = panel.weigh_shared(simd, shared, most, &mut memory);
        let totals = panel.weigh_own(simd, shared, &own, most, totals, &mut memory);
        for vector in 0..N {
            let factor = simd.div_f32s(simd.splat_f32s(1.0), totals[vector]);
            for sums in memory.sums.iter_mut() {
                sums[vector] = simd.mul_f32s(sums[vector], factor);
            }
        }
        panel.write(sums, queries, lanes);
    }
}

impl Panel<'_, '_, '_> {
    /// The token of a lane, counted in the tree, and its head among those of the group. Lanes beyond the last repeat
    /// it.
    #[inline(always)]
    fn lane(&self, lane: usize) -> (usize, usize) {
        let group = self.inputs.heads.query / self.inputs.heads.key_value;
        let lane = self.first + lane.min(self.out.len() - 1);
        let before = if self.in_tails { self.tree.prefix } else { 0 };
        (before + lane / group, lane % group)
    }

    /// How many keys all lanes see, and what keys some see beyond these.
    fn visible(&self, all: usize, lanes: usize) -> (usize, Vec<Own>) {
        if self.inputs.mask == Mask::Full {
            return (self.tree.prefix, Vec::new());
        }
        let shared = if self.in_tails { self.tree.prefix } else { self.lane(0).0 + 1 };
        let mut own: Vec<Own> = Vec::new();
        let mut starts = self.tree.tails.iter().scan(self.tree.prefix, |end, tail| {
            *end += tail;
            Some((*end - tail, *end))
        });
        let mut tail = (shared, if self.in_tails { shared } else { usize::MAX });
        for at in 0..all {
            let (token, _) = self.lane(at);
            while token >= tail.1
                && let Some(next) = starts.next()
            {
                tail = next;
            }
            let count = token + 1 - tail.0;
            if !own.last().is_some_and(|own| own.vector == at / lanes && own.start == tail.0) {
                own.push(Own { vector: at / lanes, start: tail.0, count: 0, counts: [0.0; LONGEST] });
            }
            if let Some(own) = own.last_mut() {
                own.count = own.count.max(count);
                own.counts[at % lanes] = count as f32;
            }
        }
        (shared, own)
    }

    /// Shapes: `packed` [size, lanes]; `rows` is for use on the way and has space for [lanes, size].
    #[inline(always)]
    fn pack_queries(&self, rows: &mut [f32], packed: &mut [f32], lanes: usize) {
        let Inputs { q, heads, scale, .. } = *self.inputs;
        let group = heads.query / heads.key_value;
        // Copied before they are transposed: whole lines come from far memory many at a time, single numbers do not.
        for (at, row) in rows.chunks_exact_mut(heads.size).take(lanes).enumerate() {
            let (token, head) = self.lane(at);
            let query = q.head(self.tree.start + token, self.head * group + head, heads.size);
            row.iter_mut().zip(query).for_each(|(row, query)| *row = query * scale);
        }
        transpose(rows, heads.size, packed, lanes);
    }

    #[inline(always)]
    fn key(&self, token: usize) -> &[f32] {
        let size = self.inputs.heads.size;
        &self.keys[token * size.next_multiple_of(DIMS)..][..size]
    }

    #[inline(always)]
    fn values(&self, token: usize) -> &[[f32; DIMS]] {
        let width = self.inputs.heads.size.next_multiple_of(DIMS);
        self.values[token * width..][..width].as_chunks().0
    }

    /// Scores of the keys that all lanes see, and the largest of every lane.
    #[inline(always)]
    fn score_shared<S: Simd, const N: usize, const KEYS: usize>(
        &self,
        simd: S,
        shared: usize,
        memory: &mut Memory<S::f32s, N>,
    ) -> [S::f32s; N] {
        let mut most = [simd.splat_f32s(f32::NEG_INFINITY); N];
        let size = self.inputs.heads.size;
        let queries = &memory.queries[..size];
        for (block, scores) in memory.scores[..shared].chunks_mut(KEYS).enumerate() {
            let mut keys = [&[][..]; KEYS];
            for (at, key) in keys.iter_mut().enumerate() {
                // The last block repeats its last key.
                *key = &self.key(block * KEYS + at.min(scores.len() - 1))[..size];
            }
            let mut sums = [[simd.splat_f32s(0.0); N]; KEYS];
            for dim in 0..size {
                let query = queries[dim];
                for at in 0..KEYS {
                    let key = simd.splat_f32s(keys[at][dim]);
                    for vector in 0..N {
                        sums[at][vector] = simd.mul_add_f32s(key, query[vector], sums[at][vector]);
                    }
                }
            }
            for sum in &sums {
                for vector in 0..N {
                    most[vector] = simd.max_f32s(most[vector], sum[vector]);
                }
            }
            scores.iter_mut().zip(&sums).for_each(|(score, sum)| *score = *sum);
        }
        most
    }

    /// Scores of the keys that not all lanes see; minus infinity where a lane does not.
    #[inline(always)]
    fn score_own<S: Simd, const N: usize>(
        &self,
        simd: S,
        shared: usize,
        own: &[Own],
        mut most: [S::f32s; N],
        memory: &mut Memory<S::f32s, N>,
    ) -> [S::f32s; N] {
        let unseen = simd.splat_f32s(f32::NEG_INFINITY);
        memory.scores[shared..].fill([unseen; N]);
        let size = self.inputs.heads.size;
        for Own { vector, start, count, counts } in own {
            let counts = S::as_simd_f32s(counts).0[0];
            let scores = &mut memory.scores[shared..][..*count];
            for (block, scores) in scores.chunks_mut(DIMS).enumerate() {
                let mut keys = [&[][..]; DIMS];
                for (at, key) in keys.iter_mut().enumerate() {
                    *key = &self.key(start + block * DIMS + at.min(scores.len() - 1))[..size];
                }
                let mut sums = [simd.splat_f32s(0.0); DIMS];
                for (dim, query) in memory.queries[..size].iter().enumerate() {
                    for at in 0..DIMS {
                        sums[at] = simd.mul_add_f32s(simd.splat_f32s(keys[at][dim]), query[*vector], sums[at]);
                    }
                }
                for (at, (score, sum)) in scores.iter_mut().zip(&sums).enumerate() {
                    let seen = simd.less_than_f32s(simd.splat_f32s((block * DIMS + at) as f32), counts);
                    score[*vector] = simd.select_f32s(seen, *sum, score[*vector]);
                    most[*vector] = simd.max_f32s(most[*vector], score[*vector]);
                }
            }
        }
        most
    }

    /// Turns scores of the keys that all lanes see into weights and adds up the values; the sums of weights.
    #[inline(always)]
    fn weigh_shared<S: Simd, const N: usize>(
        &self,
        simd: S,
        shared: usize,
        most: [S::f32s; N],
        memory: &mut Memory<S::f32s, N>,
    ) -> [S::f32s; N] {
        let mut totals = [simd.splat_f32s(0.0); N];
        for (block, weights) in memory.scores[..shared].chunks_mut(BLOCK).enumerate() {
            for weight in weights.iter_mut() {
                for vector in 0..N {
                    weight[vector] = exp(simd, simd.sub_f32s(weight[vector], most[vector]));
                    totals[vector] = simd.add_f32s(totals[vector], weight[vector]);
                }
            }
            if S::REGISTER_COUNT >= 32 {
                self.add_values::<S, N, DIMS>(simd, block * BLOCK, weights, memory.sums);
            } else {
                self.add_values::<S, N, 3>(simd, block * BLOCK, weights, memory.sums);
            }
        }
        totals
    }

    /// Adds the values of the keys from `start` on, times their weights.
    #[inline(always)]
    fn add_values<S: Simd, const N: usize, const TILE: usize>(
        &self,
        simd: S,
        start: usize,
        weights: &[[S::f32s; N]],
        sums: &mut [[S::f32s; N]],
    ) {
        let width = sums.len();
        let values = &self.values[start * width..][..weights.len() * width];
        let (tiles, rest) = sums.as_chunks_mut::<TILE>();
        for (at, tile) in tiles.iter_mut().enumerate() {
            add_tile(simd, at * TILE, width, values, weights, tile);
        }
        let first = width - rest.len();
        for (at, sum) in rest.as_chunks_mut::<1>().0.iter_mut().enumerate() {
            add_tile(simd, first + at, width, values, weights, sum);
        }
    }

    /// As `weigh_shared` for the keys that not all lanes see. A lane takes nothing of a value that it does not see:
    /// even zero times NaN would spoil it.
    #[inline(always)]
    fn weigh_own<S: Simd, const N: usize>(
        &self,
        simd: S,
        shared: usize,
        own: &[Own],
        most: [S::f32s; N],
        mut totals: [S::f32s; N],
        memory: &mut Memory<S::f32s, N>,
    ) -> [S::f32s; N] {
        let weights = &mut memory.scores[shared..];
        for weight in weights.iter_mut() {
            for vector in 0..N {
                weight[vector] = exp(simd, simd.sub_f32s(weight[vector], most[vector]));
                totals[vector] = simd.add_f32s(totals[vector], weight[vector]);
            }
        }
        for Own { vector, start, count, counts } in own {
            let counts = S::as_simd_f32s(counts).0[0];
            for (at, sums) in memory.sums.as_chunks_mut::<DIMS>().0.iter_mut().enumerate() {
                let mut tile = [simd.splat_f32s(0.0); DIMS];
                tile.iter_mut().zip(&*sums).for_each(|(tile, sum)| *tile = sum[*vector]);
                for (key, weight) in weights[..*count].iter().enumerate() {
                    let seen = simd.less_than_f32s(simd.splat_f32s(key as f32), counts);
                    for (sum, value) in tile.iter_mut().zip(&self.values(start + key)[at]) {
                        let more = simd.mul_add_f32s(simd.splat_f32s(*value), weight[*vector], *sum);
                        *sum = simd.select_f32s(seen, more, *sum);
                    }
                }
                sums.iter_mut().zip(&tile).for_each(|(sum, tile)| sum[*vector] = *tile);
            }
        }
        totals
    }

    /// Copies the outputs. Shapes: `sums` [width, lanes]; `rows`, for use on the way, [lanes, size].
    #[inline(always)]
    fn write(&mut self, sums: &[f32], rows: &mut [f32], lanes: usize) {
        let size = self.inputs.heads.size;
        transpose(sums, lanes, rows, size);
        self.out.iter_mut().zip(rows.chunks_exact(size)).for_each(|(out, row)| out.copy_from_slice(row));
    }
}

/// Turns rows into columns. Shapes: `from` [at least rows, columns], `to` [columns, rows].
#[inline(always)]
fn transpose(from: &[f32], columns: usize, to: &mut [f32], rows: usize) {
    const SIDE: usize = 4;
    let (whole_rows, whole_columns) = (rows / SIDE * SIDE, columns / SIDE * SIDE);
    for row in (0..whole_rows).step_by(SIDE) {
        let block = &from[row * columns..][..SIDE * columns];
        let (a, block) = block.split_at(columns);
        let (b, block) = block.split_at(columns);
        let (c, d) = block.split_at(columns);
        let sides = a.as_chunks::<SIDE>().0.iter().zip(b.as_chunks::<SIDE>().0);
        let sides = sides.zip(c.as_chunks::<SIDE>().0).zip(d.as_chunks::<SIDE>().0);
        for ((((a, b), c), d), to) in sides.zip(to.chunks_exact_mut(SIDE * rows)) {
            for at in 0..SIDE {
                to[at * rows + row..][..SIDE].copy_from_slice(&[a[at], b[at], c[at], d[at]]);
            }
        }
    }
    for row in 0..rows {
        let first = if row < whole_rows { whole_columns } else { 0 };
        for column in first..columns {
            to[column * rows + row] = from[row * columns + column];
        }
    }
}

/// Adds the values of some dims, from `first` on. Shape of `values`: [weights, width].
#[inline(always)]
fn add_tile<S: Simd, const N: usize, const TILE: usize>(
    simd: S,
    first: usize,
    width: usize,
    values: &[f32],
    weights: &[[S::f32s; N]],
    sums: &mut [[S::f32s; N]; TILE],
) {
    // A copy, which stays in registers.
    let mut tile = *sums;
    for (weight, values) in weights.iter().zip(values.chunks_exact(width)) {
        let Some(values) = values[first..].first_chunk::<TILE>() else {
            break;
        };
        for (sum, value) in tile.iter_mut().zip(values) {
            let value = simd.splat_f32s(*value);
            for vector in 0..N {
                sum[vector] = simd.mul_add_f32s(value, weight[vector], sum[vector]);
            }
        }
    }
    *sums = tile;
}
