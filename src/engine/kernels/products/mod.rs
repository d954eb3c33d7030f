//! Products of rows with a weight, in 32 bits, 16 or 8.
//!
//! A weight is packed once into panels for the registers of the CPU at hand; a product packs its rows likewise, but for
//! rows of f32, which it reads where they lie, and goes through tiles of both. One element of the output is one lane of one register, to which the products are
//! added in the order of the inputs, so that its bits depend neither on how many rows there are, nor on where among
//! them its own stands, nor on the number of threads.
//!
//! A panel holds some outputs, the lanes of one to four registers, and all inputs, in the order in which they are
//! needed. A word has 32 bits: one input as f32, two as bf16, four as 8 bits.
//!
//! ```text
//!              output 0   output 1   ...  output width-1
//! inputs 0..    word       word      ...      word          one step of the inner loop
//! inputs n..    word       word      ...      word          the next
//!    ...
//! ```
//!
//! With [`Packing::Q8_0`], every 32 inputs are a block, followed by the scales of its outputs; with [`Packing::Int8`]
//! the scales stand at the end of a panel. Rows are packed the same way, with six rows in the place of `width` outputs,
//! and a word of theirs is multiplied with all lanes of a register. Those of [`Packing::Int8`] lie one after the other.
//!
//! Where the CPU has tiles, registers of sixteen rows of sixteen words, a block of a panel is two tiles side by
//! side, and sixteen rows are packed at once: a block of theirs is a tile, row by row.

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod amx;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod generic;
mod pack;
mod rows;
mod tasks;

pub use pack::{Builder, WeightRows};

use bytemuck::{Pod, Zeroable};
use half::bf16;

/// Inputs that share a scale with 8 bits; the inputs of all weights are padded to a multiple of it with zeros.
const BLOCK: usize = 32;

/// Rows that are multiplied at once by registers of lanes: six times four registers of sums, or twelve and twelve,
/// leave some of 32 for the operands.
const TILE: usize = 6;

/// A line of the cache, and a register of 512 bits: loads that cross a border cost twice.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
struct Line([u32; 16]);

/// How weights and rows are multiplied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// As f32. The sums are fused multiplications and additions where the CPU has them.
    F32,
    /// Both rounded to bf16, pairs of exact products added up in f32. Subnormal numbers count as zero.
    Bf16,
    /// Weights rounded to bf16, rows as f32: the same as [`Packing::F32`], but for the order of sums, where weights are
    /// bf16 anyway. A number of a row is the sum of three of bf16, each product of which is exact. Subnormal numbers
    /// count as zero.
    Mixed,
    /// Both as blocks of 32 of 8 bits and a scale, as GGML's Q8_0, but that the rows' scales are not rounded to f16.
    /// Sums of a block are exact, and added up in f32. A row with a value that is not finite has no finite output.
    Q8_0,
    /// Both as 8 bits, with one scale for each output and one for each row. Sums are exact, and scaled once: almost half
    /// of the time of [`Packing::Q8_0`] goes into the scales of blocks. Less precise where few numbers of a row are
    /// large. A row with a value that is not finite has no finite output.
    Int8,
}

impl Packing {
    /// Whether this CPU has instructions for it.
    pub fn is_available(self) -> bool {
        self.way().is_some()
    }

    /// The fastest way that this CPU has.
    pub fn way(self) -> Option<Way> {
        Way::all().into_iter().find(|way| way.kind == self)
    }
}

/// What multiplies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Registers of lanes: AVX-512 and what other processors have.
    Vectors,
    /// Registers of rows of lanes: AMX.
    Tiles,
}

/// A kind, and what multiplies it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// How weights and rows are multiplied.
    pub kind: Packing,
    /// By what.
    pub unit: Unit,
}

impl Way {
    /// All that this CPU has, the fastest of each kind first.
    pub fn all() -> Vec<Self> {
        let kinds = [Packing::F32, Packing::Mixed, Packing::Bf16, Packing::Q8_0, Packing::Int8];
        let units = |kind| [Unit::Tiles, Unit::Vectors].map(|unit| Self { kind, unit });
        kinds.into_iter().flat_map(units).filter(|way| way.is_available()).collect()
    }

    fn is_available(self) -> bool {
        match (self.unit, self.kind) {
            (Unit::Vectors, Packing::F32) => true,
            (Unit::Vectors, Packing::Bf16) => avx512::has_bf16(),
            (Unit::Vectors, Packing::Q8_0 | Packing::Int8) => avx512::has_vnni(),
            (Unit::Tiles, Packing::Bf16 | Packing::Mixed | Packing::Q8_0 | Packing::Int8) => amx::is_available(),
            (Unit::Vectors, Packing::Mixed) | (Unit::Tiles, Packing::F32) => false,
        }
    }

    /// Outputs of a panel.
    fn width(self) -> usize {
        match (self.unit, self.kind) {
            (Unit::Tiles, _) => amx::WIDTH,
            (Unit::Vectors, Packing::Bf16) => avx512::BF16_WIDTH,
            (Unit::Vectors, Packing::Q8_0) => avx512::Q8_0_WIDTH,
            (Unit::Vectors, Packing::Int8) => avx512::INT8_WIDTH,
            (Unit::Vectors, _) => generic::width(),
        }
    }

    /// Words that a block of inputs takes in a panel, for each of its outputs, doubled as a scale is half a word.
    fn half_words(self) -> usize {
        match self.kind {
            Packing::F32 => 2 * BLOCK,
            Packing::Bf16 | Packing::Mixed => BLOCK,
            Packing::Q8_0 => BLOCK / 2 + 1,
            Packing::Int8 => BLOCK / 2,
        }
    }

    /// Blocks of a row. Those that the row does not fill are zeros.
    fn blocks(self, inputs: usize) -> usize {
        let blocks = inputs.div_ceil(BLOCK);
        match (self.unit, self.kind) {
            (Unit::Tiles, Packing::Q8_0) => blocks.next_multiple_of(amx::AHEAD),
            (Unit::Tiles, Packing::Int8) => blocks.next_multiple_of(amx::INT8_BLOCKS),
            _ => blocks,
        }
    }

    /// Words of a block of a panel.
    fn block(self) -> usize {
        self.half_words() * self.width() / 2
    }

    /// Words of a panel.
    fn panel(self, inputs: usize) -> usize {
        let scales = if self.kind == Packing::Int8 { self.width() } else { 0 };
        self.blocks(inputs) * self.block() + scales
    }

    /// Rows that are packed together; of tiles even where they are not all there.
    fn tile(self) -> usize {
        if self.unit == Unit::Tiles { amx::ROWS } else { TILE }
    }

    /// Words that a row takes. Those of f32 are multiplied where they lie.
    fn row(self, inputs: usize) -> usize {
        match self.kind {
            Packing::F32 => inputs,
            Packing::Int8 => rows::HEAD + self.blocks(inputs) * self.row_words(),
            _ => self.blocks(inputs) * self.row_words(),
        }
    }

    /// Words that a block of inputs takes for each row that is packed.
    fn row_words(self) -> usize {
        match (self.unit, self.kind) {
            (_, Packing::F32) => BLOCK,
            (_, Packing::Bf16) => BLOCK / 2,
            (_, Packing::Mixed) => 3 * BLOCK / 2,
            (Unit::Vectors, Packing::Q8_0) => BLOCK / 4 + 2,
            (Unit::Tiles, Packing::Q8_0) => BLOCK / 4 + 1,
            (_, Packing::Int8) => BLOCK / 4,
        }
    }
}

/// A weight of shape [outputs, inputs], packed for the CPU at hand.
pub struct Packed {
    way: Way,
    inputs: usize,
    outputs: usize,
    lines: Vec<Line>,
    /// What is added to every row that comes out. Shape: [outputs], or nothing.
    bias: Vec<f32>,
}

impl Packed {
    /// Packs rows of f32. Shape: [outputs, inputs]. Any CPU can multiply with it.
    ///
    /// # Panics
    /// As the other constructors: when there are not so many values.
    pub fn f32(rows: &[f32], outputs: usize, inputs: usize) -> Self {
        Self::whole(Packing::F32, WeightRows::F32(rows), outputs, inputs)
    }

    /// Packs rows of bf16. Shape: [outputs, inputs]. `None` where the CPU lacks AVX512-BF16 and AMX.
    pub fn bf16(rows: &[bf16], outputs: usize, inputs: usize) -> Option<Self> {
        Packing::Bf16.is_available().then(|| Self::whole(Packing::Bf16, WeightRows::Bf16(rows), outputs, inputs))
    }

    /// Packs blocks as a GGUF file holds them: row by row, each block an f16 scale and 32 signed bytes. `None` where
    /// the CPU lacks AVX512-VNNI, or when `inputs` is no multiple of 32.
    pub fn q8_0(blocks: &[u8], outputs: usize, inputs: usize) -> Option<Self> {
        let possible = Packing::Q8_0.is_available() && inputs.is_multiple_of(BLOCK);
        possible.then(|| Self::whole(Packing::Q8_0, WeightRows::Q8_0(blocks), outputs, inputs))
    }

    /// Rounds rows of f32, shape [outputs, inputs], to Q8_0 and packs them. `None` where the CPU lacks
    /// AVX512-VNNI.
    pub fn quantised(rows: &[f32], outputs: usize, inputs: usize) -> Option<Self> {
        Packing::Q8_0.is_available().then(|| Self::whole(Packing::Q8_0, WeightRows::F32(rows), outputs, inputs))
    }

    fn whole(kind: Packing, rows: WeightRows, outputs: usize, inputs: usize) -> Self {
        let mut builder = Builder::new(kind, outputs, inputs);
        builder.push(rows);
        builder.finish()
    }

    /// Adds a bias to all products. Shape: `[outputs]`, or nothing.
    ///
    /// # Panics
    /// When it has another length.
    pub fn with_bias(self, bias: Vec<f32>) -> Self {
        assert!(bias.is_empty() || bias.len() == self.outputs, "a bias of {} for {}", bias.len(), self.outputs);
        Self { bias, ..self }
    }

    /// Length of a row that goes in.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Length of a row that comes out.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Memory that it takes.
    pub fn bytes(&self) -> usize {
        size_of_val(self.lines.as_slice())
    }

    /// Multiplies rows with the weight and adds the bias, in the current thread pool. Shapes: `input` [rows, inputs], `output`
    /// [rows, outputs].
    ///
    /// # Panics
    /// When the slices do not have these shapes with the same number of rows.
    pub fn product(&self, input: &[f32], output: &mut [f32]) {
        tasks::product(self, input, output);
        if self.way.kind != Packing::Int8 && !self.bias.is_empty() {
            super::add_bias(output, &self.bias);
        }
    }
}

/// Stands in for `amx.rs` on other systems: it is never available, so nothing of it is called.
#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
mod amx {
    use super::tasks::Task;

    /// Unused.
    pub(super) const ROWS: usize = 1;
    /// Unused.
    pub(super) const WIDTH: usize = 2;
    /// Unused.
    pub(super) const AHEAD: usize = 1;
    /// Unused.
    pub(super) const INT8_BLOCKS: usize = 1;

    /// Never.
    pub(super) fn is_available() -> bool {
        false
    }

    /// Does nothing, as no weight of this kind can be made.
    pub(super) fn bf16(_: Task, _: usize) {}

    /// Does nothing, as no weight of this kind can be made.
    pub(super) fn q8_0(_: Task) {}

    /// Does nothing, as no weight of this kind can be made.
    pub(super) fn int8(_: Task) {}
}

/// Stands in for `avx512.rs` on other CPUs: it is never available, so nothing of it is called.
#[cfg(not(target_arch = "x86_64"))]
mod avx512 {
    use super::tasks::Task;

    /// Unused.
    pub(super) const BF16_WIDTH: usize = 1;
    /// Unused.
    pub(super) const Q8_0_WIDTH: usize = 2;
    /// Unused.
    pub(super) const INT8_WIDTH: usize = 1;

    /// Never.
    pub(super) fn has_bf16() -> bool {
        false
    }

    /// Never.
    pub(super) fn has_vnni() -> bool {
        false
    }

    /// Does nothing, as no weight of this kind can be made.
    pub(super) fn bf16(_: Task) {}

    /// Does nothing, as no weight of this kind can be made.
    pub(super) fn q8_0(_: Task) {}

    /// Does nothing, as no weight of this kind can be made.
    pub(super) fn int8(_: Task) {}
}

#[cfg(test)]
mod tests;
