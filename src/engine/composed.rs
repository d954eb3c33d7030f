//! Attention put together from what candle has on every device, for devices that have no kernel of ours.

use candle_core::{DType, Device, Result, Tensor};

use super::kernels::{Heads, Tree};
use super::ops::HeadNorms;

/// Rows of queries whose scores are in memory at once.
const ROWS: usize = 512;

/// What is the same in all layers of a batch.
pub(super) struct Plan {
    heads: Heads,
    /// Shape: [tokens, head size / 2] each.
    cos: Tensor,
    sin: Tensor,
    blocks: Vec<Block>,
}

/// Neighbouring queries that see the same runs of keys.
struct Block {
    first: usize,
    rows: usize,
    /// First key and number of keys of each run.
    keys: Vec<(usize, usize)>,
    /// Zero where a query sees a key, minus infinity elsewhere. Shape: [rows, keys].
    mask: Tensor,
}

impl Plan {
    /// Lays out the trees. `cos` and `sin` have the shape [tokens, head size / 2].
    pub(super) fn new(
        heads: Heads,
        trees: &[Tree],
        cos: &[f32],
        sin: &[f32],
        device: &Device,
        dtype: DType,
    ) -> Result<Self> {
        let half = heads.size / 2;
        let angles = |values: &[f32]| Tensor::from_slice(values, (values.len() / half, half), device)?.to_dtype(dtype);
        let mut blocks = Vec::new();
        for tree in trees {
            for first in (0..tree.prefix).step_by(ROWS) {
                let rows = ROWS.min(tree.prefix - first);
                let mask = mask(rows, first + rows, |row, key| key <= first + row, device, dtype)?;
                blocks.push(Block { first: tree.start + first, rows, keys: vec![(tree.start, first + rows)], mask });
            }
            tails(tree, device, dtype, &mut blocks)?;
        }
        Ok(Self { heads, cos: angles(cos)?, sin: angles(sin)?, blocks })
    }

    /// Norms, positions and attention: [tokens, (query + 2 · key_value) · size] -> [tokens, query · size].
    pub(super) fn attention(&self, qkv: &Tensor, norms: &HeadNorms) -> Result<Tensor> {
        let Heads { query, key_value, size } = self.heads;
        let tokens = qkv.dim(0)?;
        let part = |first: usize, heads: usize| {
            qkv.narrow(1, first * size, heads * size)?.contiguous()?.reshape((tokens, heads, size))
        };
        let turned = |x: Tensor| {
            let turned = candle_nn::rotary_emb::rope_thd(&x.unsqueeze(0)?, &self.cos, &self.sin)?;
            turned.squeeze(0)?.transpose(0, 1)?.contiguous()
        };
        // [heads, tokens, size]; scaled here, where there are fewer numbers than among the scores.
        let q = (turned(norms.query.composed(&part(0, query)?)?)? / (size as f64).sqrt())?;
        let k = turned(norms.key.composed(&part(query, key_value)?)?)?;
        let v = part(query + key_value, key_value)?.transpose(0, 1)?.contiguous()?;
        let outputs: Vec<Tensor> =
            self.blocks.iter().map(|block| self.blend(block, &q, &k, &v)).collect::<Result<_>>()?;
        // [query, tokens, size] -> [tokens, query · size]
        Tensor::cat(&outputs, 1)?.transpose(0, 1)?.contiguous()?.reshape((tokens, query * size))
    }

    /// q [query, tokens, size], k and v [key_value, tokens, size] -> [query, rows, size]. Heads that share keys ask as
    /// one head of more rows, so that keys are not copied for each.
    fn blend(&self, block: &Block, q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
        let Heads { query, key_value, size } = self.heads;
        let (rows, keys) = block.mask.dims2()?;
        let group = query / key_value;
        let seen = |x: &Tensor| {
            let runs = block.keys.iter().map(|&(first, length)| x.narrow(1, first, length));
            Tensor::cat(&runs.collect::<Result<Vec<_>>>()?, 1)?.contiguous()
        };
        let q = q.narrow(1, block.first, block.rows)?.contiguous()?.reshape((key_value, group * rows, size))?;
        let scores = q.matmul(&seen(k)?.transpose(1, 2)?)?.reshape((query, rows, keys))?;
        let shares = candle_nn::ops::softmax_last_dim(&scores.broadcast_add(&block.mask)?)?;
        let shares = shares.reshape((key_value, group * rows, keys))?;
        shares.matmul(&seen(v)?)?.reshape((query, rows, size))
    }
}

/// Tails that together have about [`ROWS`] tokens ask at once: for the prefix, and for their own keys behind it.
fn tails(tree: &Tree, device: &Device, dtype: DType, blocks: &mut Vec<Block>) -> Result<()> {
    let mut first = tree.start + tree.prefix;
    let mut owners: Vec<usize> = Vec::new();
    for (at, &tail) in tree.tails.iter().enumerate() {
        owners.extend(std::iter::repeat_n(at, tail));
        let next = tree.tails.get(at + 1).copied().unwrap_or(ROWS);
        if owners.is_empty() || owners.len() + next <= ROWS {
            continue;
        }
        let rows = owners.len();
        let own = |row: usize, key: usize| key <= row && owners[key] == owners[row];
        let visible = |row: usize, key: usize| key.checked_sub(tree.prefix).is_none_or(|key| own(row, key));
        let mask = mask(rows, tree.prefix + rows, visible, device, dtype)?;
        let prefix = (tree.prefix > 0).then_some((tree.start, tree.prefix));
        blocks.push(Block { first, rows, keys: prefix.into_iter().chain([(first, rows)]).collect(), mask });
        first += rows;
        owners.clear();
    }
    Ok(())
}

fn mask(
    rows: usize,
    keys: usize,
    visible: impl Fn(usize, usize) -> bool,
    device: &Device,
    dtype: DType,
) -> Result<Tensor> {
    let mut values = vec![f32::NEG_INFINITY; rows * keys];
    for (row, values) in values.chunks_exact_mut(keys).enumerate() {
        for (key, value) in values.iter_mut().enumerate() {
            if visible(row, key) {
                *value = 0.0;
            }
        }
    }
    Tensor::from_vec(values, (rows, keys), device)?.to_dtype(dtype)
}
