//! Rows of activations into the words that tiles multiply.

use bytemuck::{cast_slice, cast_slice_mut};
use pulp::NullaryFnOnce;

use super::pack::padded;
use super::{BLOCK, Packing, Unit, Way};

/// Added to a small number, it leaves no bits for a fraction, rounds half to even, and the lowest bits are the integer:
/// what the CPU can do for a whole register.
const TO_INTEGER: f32 = 1.5 * (1 << 23) as f32;

/// Words in front of a row of 8 bits with one scale.
pub(super) const HEAD: usize = 2;

/// Packs rows that are multiplied at once, up to [`Way::tile`] of them. Shapes: `input` [rows, inputs], `words`
/// [blocks, words of a block, rows]; for tiles [blocks, parts, 16, words of a part], the rows that are not there as
/// zeros; for one scale each [rows, 2 + words].
pub(super) struct PackTile<'a> {
    pub(super) way: Way,
    pub(super) input: &'a [f32],
    pub(super) inputs: usize,
    pub(super) words: &'a mut [u32],
}

impl NullaryFnOnce for PackTile<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { way, input, inputs, words } = self;
        let rows = input.len() / inputs;
        match (way.unit, way.kind) {
            (Unit::Tiles, Packing::Int8) => return int8_tile(way, input, inputs, words),
            (Unit::Tiles, _) => return tiles(way, input, inputs, words),
            _ => {}
        }
        if way.kind == Packing::Int8 {
            for (words, values) in words.chunks_exact_mut(way.row(inputs)).zip(input.chunks_exact(inputs)) {
                int8_words(values, words);
            }
            return;
        }
        for (at, words) in words.chunks_exact_mut(way.row_words() * rows).enumerate() {
            for (row, values) in input.chunks_exact(inputs).enumerate() {
                let values = &padded(&values[at * BLOCK..]);
                let words = words[row..].iter_mut().step_by(rows);
                match way.kind {
                    Packing::F32 | Packing::Mixed | Packing::Int8 => {
                        words.zip(values).for_each(|(word, value)| *word = value.to_bits())
                    }
                    Packing::Bf16 => words.zip(bf16_words(values)).for_each(|(to, word)| *to = word),
                    Packing::Q8_0 => words.zip(q8_0_words(values)).for_each(|(to, word)| *to = word),
                }
            }
        }
    }
}

#[inline(always)]
fn tiles(way: Way, input: &[f32], inputs: usize, words: &mut [u32]) {
    const BF16: usize = BLOCK / 2;
    const BYTES: usize = BLOCK / 4;
    let (rows, tile) = (input.len() / inputs, way.tile());
    for (at, words) in words.chunks_exact_mut(way.row_words() * tile).enumerate() {
        if rows < tile {
            words.fill(0);
        }
        for (row, values) in input.chunks_exact(inputs).enumerate() {
            let values = &padded(&values[inputs.min(at * BLOCK)..]);
            match way.kind {
                Packing::F32 | Packing::Bf16 | Packing::Int8 => {
                    words[row * BF16..][..BF16].copy_from_slice(&bf16_words(values))
                }
                Packing::Mixed => {
                    for (part, from) in words.chunks_exact_mut(tile * BF16).zip(parts(values)) {
                        part[row * BF16..][..BF16].copy_from_slice(&from);
                    }
                }
                Packing::Q8_0 => {
                    let [_, scale, bytes @ ..] = q8_0_words(values);
                    words[row * BYTES..][..BYTES].copy_from_slice(&bytes);
                    words[tile * BYTES + row] = scale;
                }
            }
        }
    }
}

/// Rows of 8 bits with one scale. Shape of `words`: what the sums of each row begin with, the scales, [blocks, rows, 16].
#[inline(always)]
fn int8_tile(way: Way, input: &[f32], inputs: usize, words: &mut [u32]) {
    /// Words of a row in a tile.
    const LINE: usize = 16;
    let tile = way.tile();
    if input.len() < tile * inputs {
        words.fill(0);
    }
    let (head, blocks) = words.split_at_mut(HEAD * tile);
    let mut packed = vec![0; way.row(inputs)];
    for (row, values) in input.chunks_exact(inputs).enumerate() {
        int8_words(values, &mut packed);
        let (own, packed) = packed.split_at(HEAD);
        own.iter().enumerate().for_each(|(at, word)| head[at * tile + row] = *word);
        for (block, packed) in blocks.chunks_exact_mut(tile * LINE).zip(packed.as_chunks::<LINE>().0) {
            block[row * LINE..][..LINE].copy_from_slice(packed);
        }
    }
}

/// Three times pairs of bf16, which add up to the numbers: the upper half of the bits, that of what is left, and the
/// rest. A number that is not finite is all in the first.
#[inline(always)]
fn parts(values: &[f32; BLOCK]) -> [[u32; BLOCK / 2]; 3] {
    const UPPER: u32 = 0xffff_0000;
    const INFINITY: u32 = 0x7f80_0000;
    let upper = |value: f32| f32::from_bits(value.to_bits() & UPPER);
    let narrow = |values: [f32; BLOCK]| bytemuck::cast(values.map(|value| (value.to_bits() >> 16) as u16));
    let finite = |value: f32| value.to_bits() & INFINITY != INFINITY;
    let rest = values.map(|value| if finite(value) { value - upper(value) } else { 0.0 });
    let last = rest.map(|value| value - upper(value));
    // A NaN may have all its bits in the lower half.
    let first = values.map(|value| if value.is_nan() { f32::NAN } else { value });
    [narrow(first), narrow(rest), narrow(last)]
}

/// Pairs of bf16, the earlier one in the lower half.
#[inline(always)]
pub(super) fn bf16_words(values: &[f32; BLOCK]) -> [u32; BLOCK / 2] {
    let narrow = values.map(|value| {
        let bits = value.to_bits();
        // Half to even. A NaN is kept from being rounded to infinity.
        let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
        let nan = bits >> 16 | 0x40;
        (if value.is_nan() { nan } else { rounded }) as u16
    });
    bytemuck::cast(narrow)
}

/// What the sums of a block begin with, its scale, and the values in 8 bits.
///
/// The weights' bytes are larger than the weights by 128: the start takes away what that adds.
#[inline(always)]
fn q8_0_words(values: &[f32; BLOCK]) -> [u32; BLOCK / 4 + 2] {
    let (scale, inverse) = scale(values);
    let bytes = values.map(|value| byte(value, inverse));
    let sum: i32 = bytes.iter().map(|byte| i32::from(*byte)).sum();
    let mut words = [0; BLOCK / 4 + 2];
    words[0] = (-128 * sum) as u32;
    words[1] = scale.to_bits();
    cast_slice_mut(&mut words[2..]).copy_from_slice(cast_slice::<i8, u8>(&bytes));
    words
}

/// What the sums of a row begin with, as above, its scale, and the values in 8 bits.
#[inline(always)]
pub(super) fn int8_words(values: &[f32], words: &mut [u32]) {
    let (scale, inverse) = scale(values);
    let (head, words) = words.split_at_mut(HEAD);
    let (bytes, padding) = cast_slice_mut::<u32, i8>(words).split_at_mut(values.len());
    let mut sum = 0;
    for (byte, value) in bytes.iter_mut().zip(values) {
        *byte = self::byte(*value, inverse);
        sum += i32::from(*byte);
    }
    padding.fill(0);
    head.copy_from_slice(&[(-128 * sum) as u32, scale.to_bits()]);
}

/// A value by the inverse of its scale, half to even.
#[inline(always)]
fn byte(value: f32, inverse: f32) -> i8 {
    (value * inverse + TO_INTEGER).to_bits() as i8
}

/// The scale that takes the largest value to 127, and its inverse.
///
/// A block with a value that is not finite has no finite scale, as a byte cannot say it. One with nothing but the
/// smallest of numbers, of which the inverse overflows, is zero.
#[inline(always)]
pub(super) fn scale(values: &[f32]) -> (f32, f32) {
    // The bits of numbers without their sign are in the order of the numbers, and above infinity's are those of NaN.
    let most = values.iter().fold(0, |most, value| most.max(value.to_bits() & 0x7fff_ffff));
    let scale = f32::from_bits(most) / 127.0;
    let inverse = 1.0 / scale;
    if !scale.is_finite() {
        (f32::NAN, 0.0)
    } else if !inverse.is_finite() {
        (0.0, 0.0)
    } else {
        (scale, inverse)
    }
}
