//! A product cut into tasks for the threads.

use std::cell::Cell;

use bytemuck::{cast_slice, cast_slice_mut};
use pulp::Arch;
use rayon::prelude::*;

use super::rows::PackTile;
use super::{Line, Packed, Packing, TILE, Unit, Way, amx, avx512, generic};

/// Rows that are multiplied at once. More would not fit the caches when each panel goes through all of them.
const ROWS: usize = 85 * TILE;

/// Bytes of rows that are multiplied at once by tiles, which ask more of the second cache; and how many rows at least, as
/// each time all of the weights come from memory.
const TILES_BYTES: usize = 3 << 18;
const TILES_ROWS: usize = 96;

/// Tasks for each thread, so that one which began late or was disturbed holds up the others little.
const TASKS: usize = 4;

/// Multiplications under which a second thread costs more than it gains.
const ALONE: usize = 1 << 18;

thread_local! {
    /// Packed rows, kept for the next product as fresh memory is slow.
    static SCRATCH: Cell<Vec<Line>> = const { Cell::new(Vec::new()) };
}

/// Some panels and the rows that they are multiplied with.
pub(super) struct Task<'a, 'o> {
    /// Shape: [panels, words of a panel].
    pub(super) panels: &'a [u32],
    /// Words of a panel.
    pub(super) panel: usize,
    /// Shape: [tiles, blocks, words of a block, rows of the tile]; of f32 [rows, inputs].
    pub(super) rows: &'a [u32],
    /// Words of a tile with all its rows.
    pub(super) tile: usize,
    /// The columns of each row of the output that belong to the panels.
    pub(super) output: Vec<&'o mut [f32]>,
    /// What is added to these columns, or nothing. Only [`Packing::Int8`] looks at it.
    pub(super) bias: &'a [f32],
}

impl Task<'_, '_> {
    /// Calls `multiply` with each panel, each tile of rows and where in the output their product goes: its rows, and
    /// the first column.
    #[inline(always)]
    pub(super) fn each(mut self, width: usize, mut multiply: impl FnMut(&[u32], &[u32], &mut [&mut [f32]], usize)) {
        for (at, panel) in self.panels.chunks_exact(self.panel).enumerate() {
            for (rows, output) in self.rows.chunks(self.tile).zip(self.output.chunks_mut(TILE)) {
                multiply(panel, rows, output, at * width);
            }
        }
    }
}

/// Writes the sums of a row, but for those of the padding.
#[inline(always)]
pub(super) fn write(sums: &[f32], row: &mut [f32], column: usize) {
    let row = row.get_mut(column..).unwrap_or_default();
    if row.len() >= sums.len() {
        row[..sums.len()].copy_from_slice(sums);
    } else {
        row.copy_from_slice(&sums[..row.len()]);
    }
}

fn run(way: Way, task: Task) {
    match (way.unit, way.kind) {
        (Unit::Vectors, Packing::F32 | Packing::Mixed) => Arch::new().dispatch(generic::Products(task)),
        (Unit::Vectors, Packing::Bf16) => avx512::bf16(task),
        (Unit::Vectors, Packing::Q8_0) => avx512::q8_0(task),
        (Unit::Vectors, Packing::Int8) => avx512::int8(task),
        (Unit::Tiles, Packing::Mixed) => amx::bf16(task, 3),
        (Unit::Tiles, Packing::F32 | Packing::Bf16) => amx::bf16(task, 1),
        (Unit::Tiles, Packing::Q8_0) => amx::q8_0(task),
        (Unit::Tiles, Packing::Int8) => amx::int8(task),
    }
}

/// See [`Packed::product`].
pub(super) fn product(weight: &Packed, input: &[f32], output: &mut [f32]) {
    let Packed { way, inputs, outputs, .. } = *weight;
    if outputs == 0 || inputs == 0 {
        output.fill(0.0);
        return;
    }
    let count = input.len() / inputs;
    assert_eq!((input.len(), output.len()), (count * inputs, count * outputs), "shapes of a product");
    let mut scratch = SCRATCH.take();
    let rows = at_once(way, inputs, count);
    for (input, output) in input.chunks(rows * inputs).zip(output.chunks_mut(rows * outputs)) {
        let rows = pack(way, input, inputs, &mut scratch);
        multiply(weight, rows, output);
    }
    SCRATCH.set(scratch);
}

/// How many of so many rows are multiplied at once; at least one.
fn at_once(way: Way, inputs: usize, count: usize) -> usize {
    let row = way.row(inputs) * size_of::<u32>();
    let (most, whole) = match way.unit {
        Unit::Vectors => (ROWS, way.tile()),
        Unit::Tiles => ((TILES_BYTES / row).max(TILES_ROWS), 2 * way.tile()),
    };
    // In even shares of whole tiles, or pairs of them: a small rest would take all weights for little.
    count.div_ceil(count.div_ceil(most).max(1)).next_multiple_of(whole).max(1)
}

/// Packs rows into the scratch memory, but for those of f32.
fn pack<'a>(way: Way, input: &'a [f32], inputs: usize, scratch: &'a mut Vec<Line>) -> &'a [u32] {
    if way.kind == Packing::F32 {
        return cast_slice(input);
    }
    let (row, tile) = (way.row(inputs), way.tile());
    let rows = input.len() / inputs;
    let words = row * if way.unit == Unit::Tiles { rows.next_multiple_of(tile) } else { rows };
    let lines = words.div_ceil(16);
    if scratch.len() < lines {
        scratch.resize(lines, Line([0; 16]));
    }
    let words: &mut [u32] = &mut cast_slice_mut(scratch)[..words];
    let tiles = words.par_chunks_mut(tile * row).zip(input.par_chunks(tile * inputs));
    let least = if way.unit == Unit::Tiles { 1 } else { 4 };
    tiles.with_min_len(least).for_each(|(words, input)| Arch::new().dispatch(PackTile { way, input, inputs, words }));
    words
}

/// Shapes: `rows` as [`pack`] made them, `output` [rows, outputs].
fn multiply(weight: &Packed, rows: &[u32], output: &mut [f32]) {
    let Packed { way, inputs, outputs, ref lines, ref bias } = *weight;
    let width = way.width();
    let count = output.len() / outputs;
    let panels = outputs.div_ceil(width);
    let alone = count * inputs * outputs <= ALONE;
    let groups = if alone { 1 } else { panels.min(TASKS * rayon::current_num_threads()) };
    // Columns of a group, whole panels.
    let group = panels.div_ceil(groups);
    let mut columns: Vec<Vec<&mut [f32]>> = Vec::new();
    columns.resize_with(panels.div_ceil(group), || Vec::with_capacity(count));
    for row in output.chunks_exact_mut(outputs) {
        columns.iter_mut().zip(row.chunks_mut(group * width)).for_each(|(rows, piece)| rows.push(piece));
    }
    let panel = way.panel(inputs);
    let tile = way.row(inputs) * way.tile();
    let words: &[u32] = cast_slice(lines);
    let run = |((panels, bias), output)| run(way, Task { panels, panel, rows, tile, output, bias });
    if let [_] = columns.as_slice() {
        columns.into_iter().for_each(|output| run(((words, &bias[..]), output)));
    } else {
        let biases = (0..columns.len()).into_par_iter().map(|at| bias.get(at * group * width..).unwrap_or_default());
        let panels = words.par_chunks(group * panel).zip(biases);
        panels.zip(columns).with_max_len(1).for_each(run);
    }
}
