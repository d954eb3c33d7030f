//! Weights into panels.

use bytemuck::cast_slice_mut;
use half::{bf16, f16};
use pulp::{Arch, NullaryFnOnce};
use rayon::prelude::*;

use super::super::in_large_pages;
use super::rows::{bf16_words, int8_words, scale};
use super::{BLOCK, Line, Packed, Packing, Unit, Way};

/// Bytes of a block of 32 in a GGUF file.
const Q8_0_BYTES: usize = 2 + BLOCK;
/// The same with 4 bits.
const Q4_0_BYTES: usize = 2 + BLOCK / 2;

/// Blocks that are packed for all outputs of a panel before the next: enough to read rows in pieces that the CPU
/// fetches ahead, few enough for what is written to stay in the second cache.
const STRIPE: usize = 32;

/// Products of [`Packing::Int8`] that a sum of 32 bits holds: 255 times 127 each, and what the sum begins with.
const MOST_SUMMED: usize = 1 << 15;

/// The instruction of AVX-512 multiplies unsigned bytes with signed ones: the weights are the unsigned ones, 128 more
/// than they are, so that what this adds depends on the rows alone.
const OFFSET: u8 = 0x80;

/// Some rows of a weight. Shape: [outputs, inputs].
#[derive(Clone, Copy)]
pub enum WeightRows<'a> {
    /// Plain numbers.
    F32(&'a [f32]),
    /// The usual type of checkpoints.
    Bf16(&'a [bf16]),
    /// Blocks as a GGUF file holds them, row by row: an f16 scale and 32 signed bytes.
    Q8_0(&'a [u8]),
    /// Blocks of an f16 scale and 16 bytes, each a number of the first half of the block below one of the second, 8
    /// more than they are.
    Q4_0(&'a [u8]),
}

impl WeightRows<'_> {
    /// How many rows there are. `None` when the last is not whole.
    fn count(&self, inputs: usize) -> Option<usize> {
        let (values, row) = match self {
            Self::F32(values) => (values.len(), inputs),
            Self::Bf16(values) => (values.len(), inputs),
            Self::Q8_0(_) | Self::Q4_0(_) if !inputs.is_multiple_of(BLOCK) => return None,
            Self::Q8_0(bytes) => (bytes.len(), inputs / BLOCK * Q8_0_BYTES),
            Self::Q4_0(bytes) => (bytes.len(), inputs / BLOCK * Q4_0_BYTES),
        };
        (row > 0 && values.is_multiple_of(row)).then(|| values / row)
    }

    /// A block of a row, padded with zeros.
    #[inline(always)]
    fn values(&self, row: usize, inputs: usize, block: usize) -> [f32; BLOCK] {
        let from = row * inputs + block * BLOCK;
        let length = BLOCK.min(inputs - block * BLOCK);
        match self {
            Self::F32(rows) => padded(&rows[from..][..length]),
            Self::Bf16(rows) => padded(&rows[from..][..length]).map(widen),
            Self::Q8_0(bytes) => {
                let (scale, bytes) = q8_0(bytes, from / BLOCK);
                let scale = scale.to_f32();
                std::array::from_fn(|at| scale * f32::from(bytes[at] as i8))
            }
            Self::Q4_0(bytes) => q4_0(bytes, from / BLOCK),
        }
    }
}

/// A block that may be the last of its row. Whole ones are copied through registers.
#[inline(always)]
pub(super) fn padded<T: Copy + Default>(values: &[T]) -> [T; BLOCK] {
    values.first_chunk().copied().unwrap_or_else(|| {
        let mut padded = [T::default(); BLOCK];
        padded[..values.len()].copy_from_slice(values);
        padded
    })
}

/// As `half` has it, but for its branch on NaN, which keeps the compiler from using registers.
#[inline(always)]
fn widen(value: bf16) -> f32 {
    f32::from_bits(u32::from(value.to_bits()) << 16)
}

/// A block as a GGUF file holds it.
#[inline(always)]
fn q8_0(bytes: &[u8], block: usize) -> (f16, &[u8]) {
    let block = &bytes[block * Q8_0_BYTES..][..Q8_0_BYTES];
    (f16::from_le_bytes([block[0], block[1]]), &block[2..])
}

/// The numbers of a block of 4 bits.
#[inline(always)]
fn q4_0(bytes: &[u8], block: usize) -> [f32; BLOCK] {
    let mut values = [0.0; BLOCK];
    if let Some([low, high, bytes @ ..]) = bytes[block * Q4_0_BYTES..].first_chunk::<Q4_0_BYTES>() {
        let scale = f16::from_le_bytes([*low, *high]).to_f32();
        let (first, second) = values.split_at_mut(BLOCK / 2);
        for ((first, second), byte) in first.iter_mut().zip(second).zip(bytes) {
            *first = scale * (f32::from(byte & 15) - 8.0);
            *second = scale * (f32::from(byte >> 4) - 8.0);
        }
    }
    values
}

/// Packs several weights of the same inputs one after the other into one.
pub struct Builder {
    packed: Packed,
    filled: usize,
}

impl Builder {
    /// Begins a weight of shape [outputs, inputs]. The CPU must be able to multiply with this kind.
    ///
    /// # Panics
    /// When it is not ([`Packing::is_available`]).
    pub fn new(kind: Packing, outputs: usize, inputs: usize) -> Self {
        Self::by(kind.way().unwrap_or(Way { kind, unit: Unit::Vectors }), outputs, inputs)
    }

    /// As [`Builder::new`], to be multiplied in a way that may not be the fastest.
    ///
    /// # Panics
    /// When the CPU has it not ([`Way::all`]), or with more inputs than sums of [`Packing::Int8`] hold.
    pub fn by(way: Way, outputs: usize, inputs: usize) -> Self {
        assert!(way.is_available(), "this CPU cannot multiply by {way:?}");
        assert!(way.kind != Packing::Int8 || inputs <= MOST_SUMMED, "sums of {inputs} products may not fit 32 bits");
        let words = outputs.div_ceil(way.width()) * way.panel(inputs);
        // Pages that are known to be zero are not touched before the packing threads write to them.
        let mut lines: Vec<Line> = bytemuck::zeroed_vec(words.div_ceil(size_of::<Line>() / size_of::<u32>()));
        in_large_pages(&mut lines);
        Self { packed: Packed { way, inputs, outputs, lines, bias: Vec::new() }, filled: 0 }
    }

    /// Packs the next rows, which may be of any type: they are converted where it is not the kind's own.
    ///
    /// # Panics
    /// When the last row is not whole, or with more rows than there are outputs.
    pub fn push(&mut self, rows: WeightRows) {
        let Packed { way, inputs, outputs, ref mut lines, .. } = self.packed;
        let count = rows.count(inputs);
        assert!(count.is_some_and(|count| count <= outputs - self.filled), "rows do not fit {outputs}x{inputs}");
        let from = self.filled;
        self.filled += count.unwrap_or_default();
        let to = self.filled;
        let width = way.width();
        let length = way.panel(inputs);
        let words: &mut [u32] = cast_slice_mut(lines);
        words.par_chunks_mut(length.max(1)).enumerate().for_each(|(at, panel)| {
            let (start, end) = (from.max(at * width), to.min((at + 1) * width));
            if start < end {
                let pack =
                    Pack { way, rows, inputs, panel, first: start - from, last: end - from, column: start % width };
                Arch::new().dispatch(pack);
            }
        });
    }

    /// The weight.
    ///
    /// # Panics
    /// When rows are missing: zeros must not pass for weights.
    pub fn finish(self) -> Packed {
        assert_eq!(self.filled, self.packed.outputs, "rows are missing");
        self.packed
    }
}

/// Rows `first..last` into the columns of a panel from `column` on.
struct Pack<'a> {
    way: Way,
    rows: WeightRows<'a>,
    inputs: usize,
    panel: &'a mut [u32],
    first: usize,
    last: usize,
    column: usize,
}

impl NullaryFnOnce for Pack<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        if self.way.kind == Packing::Int8 {
            return self.int8();
        }
        let Self { way, rows, inputs, panel, first, last, column } = self;
        let (width, length) = (way.width(), way.block());
        let offset = if way.unit == Unit::Vectors { OFFSET } else { 0 };
        for (stripe, blocks) in panel.chunks_mut(STRIPE * length).enumerate() {
            for row in first..last {
                let column = column + row - first;
                let first = stripe * STRIPE;
                let there = inputs.div_ceil(BLOCK) - first.min(inputs.div_ceil(BLOCK));
                for (at, block) in blocks.chunks_exact_mut(length).take(there).enumerate() {
                    let at = first + at;
                    match (way.kind, rows) {
                        (Packing::F32 | Packing::Int8, _) => {
                            scatter(&rows.values(row, inputs, at).map(f32::to_bits), block, width, column);
                        }
                        (Packing::Bf16 | Packing::Mixed, _) => {
                            scatter(&bf16_words(&rows.values(row, inputs, at)), block, width, column);
                        }
                        (Packing::Q8_0, WeightRows::Q8_0(bytes)) => {
                            let (scale, bytes) = q8_0(bytes, row * (inputs / BLOCK) + at);
                            let bytes = std::array::from_fn(|at| bytes[at] ^ offset);
                            pack_q8_0(scale, bytes, block, width, column);
                        }
                        (Packing::Q8_0, _) => {
                            let (scale, bytes) = quantise(&rows.values(row, inputs, at));
                            pack_q8_0(scale, bytes.map(|byte| byte as u8 ^ offset), block, width, column);
                        }
                    }
                }
            }
        }
    }
}

impl Pack<'_> {
    /// Rows with one scale each, which stand behind all blocks of the panel.
    #[inline(always)]
    fn int8(self) {
        let Self { way, rows, inputs, panel, first, last, column } = self;
        let (blocks, scales) = panel.split_at_mut(panel.len() - way.width());
        let mut values = vec![[0.0; BLOCK]; way.blocks(inputs)];
        let mut words = vec![0; way.row(inputs)];
        for (row, column) in (first..last).zip(column..) {
            for (at, values) in values.iter_mut().enumerate().take(inputs.div_ceil(BLOCK)) {
                *values = rows.values(row, inputs, at);
            }
            int8_words(values.as_flattened(), &mut words);
            let [_, scale, words @ ..] = &mut words[..] else {
                return;
            };
            if way.unit == Unit::Vectors {
                words.iter_mut().for_each(|word| *word ^= u32::from_ne_bytes([OFFSET; 4]));
            }
            for (words, block) in words.as_chunks().0.iter().zip(blocks.chunks_exact_mut(way.block())) {
                scatter::<{ BLOCK / 4 }>(words, block, way.width(), column);
            }
            scales[column] = *scale;
        }
    }
}

/// Writes words into a column. With the width known, the compiler needs no checks.
#[inline(always)]
fn scatter<const W: usize>(words: &[u32; W], block: &mut [u32], width: usize, column: usize) {
    #[inline(always)]
    fn rows<const W: usize, const WIDTH: usize>(words: &[u32; W], block: &mut [u32], column: usize) {
        let (block, _) = block.as_chunks_mut::<WIDTH>();
        if let Some(block) = block.first_chunk_mut::<W>()
            && column < WIDTH
        {
            for at in 0..W {
                block[at][column] = words[at];
            }
        }
    }
    match width {
        64 => rows::<W, 64>(words, block, column),
        32 => rows::<W, 32>(words, block, column),
        16 => rows::<W, 16>(words, block, column),
        _ => block[column..].iter_mut().step_by(width).zip(words).for_each(|(to, word)| *to = *word),
    }
}

#[inline(always)]
fn pack_q8_0(scale: f16, bytes: [u8; BLOCK], block: &mut [u32], width: usize, column: usize) {
    let (words, scales) = block.split_at_mut(BLOCK / 4 * width);
    let quads: [[u8; 4]; BLOCK / 4] = bytemuck::cast(bytes);
    scatter(&quads.map(u32::from_le_bytes), words, width, column);
    let scales: &mut [f16] = cast_slice_mut(scales);
    scales[column] = scale;
}

/// Rounds a block to Q8_0, as ggml's reference does: half away from zero, by the scale before it is rounded to f16.
#[inline(always)]
fn quantise(values: &[f32; BLOCK]) -> (f16, [i8; BLOCK]) {
    let (scale, inverse) = scale(values);
    (f16::from_f32(scale), values.map(|value| (value * inverse).round() as i8))
}
