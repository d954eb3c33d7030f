//! Products in bf16 and in 8 bits on tiles, registers of sixteen rows of 64 bytes that Intel calls AMX.
//!
//! The compiler knows nothing of tiles yet, so they live in assembler only, and no code of the compiler touches them.
//! Numbers of the instructions: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, TDPBF16PS and
//! TDPBSSD.

mod tiles;

use std::arch::asm;
use std::arch::x86_64::*;
use std::sync::OnceLock;

use bytemuck::{cast, cast_slice};

use super::super::memory::with_scratch;
use super::rows::HEAD;
use super::tasks::{Task, write};

use tiles::{Bytes, Tiles, Whole};

/// Rows of a tile.
pub(super) const ROWS: usize = 16;
/// Outputs of a tile.
const LANES: usize = 16;
/// Outputs of a panel: with two tiles of rows and two of weights there are four of sums, and no register is left.
pub(super) const WIDTH: usize = SIDE * LANES;
const SIDE: usize = 2;
/// Numbers of a tile of sums.
const SUMS: usize = ROWS * LANES;

/// Words of a block of a panel whose tiles are whole, and of a tile of rows: 32 inputs of bf16, 64 bytes.
const BLOCK: usize = 16 * WIDTH;
const ROW_BLOCK: usize = 16 * ROWS;
/// Words of a block of 32 inputs of Q8_0, with the scales behind them.
const Q8_0_BLOCK: usize = 8 * WIDTH + WIDTH / 2;
const Q8_0_ROWS: usize = 9 * ROWS;

/// Words before the blocks of sixteen rows of bytes: those that sums by AVX-512 begin with, and the scales.
const INT8_HEAD: usize = HEAD * ROWS;
/// Blocks of 32 inputs of a tile of bytes that has all its columns.
pub(super) const INT8_BLOCKS: usize = 2;

/// Blocks that are multiplied with all rows before the next are: so much of a panel stays in the nearest cache.
const CHUNK: usize = 8;

/// The products of a task of bf16, of whose rows so many parts are added up.
///
/// # Panics
/// Without [`is_available`].
#[allow(unsafe_code)]
pub(super) fn bf16(task: Task, parts: usize) {
    // SAFETY: nothing below shapes tiles, and callers of this room have none.
    let tiles = unsafe { Tiles::<Whole>::shaped() };
    let multiply = |blocks: &Blocks, sums: &mut [f32]| match blocks.rows {
        [one, []] => tiles.bf16(blocks, one, parts, sums),
        rows => tiles.bf16_pair(blocks, rows, parts, sums),
    };
    task.chunks([0, 0], parts * ROW_BLOCK, multiply, |output, sums, _, _, column| hand_out(output, sums, column));
}

/// The products of a task of 8 bits with one scale for each output. Sums are exact, and scaled as by AVX-512: the bits
/// are the same.
///
/// # Panics
/// Without [`is_available`].
#[allow(unsafe_code)]
pub(super) fn int8(task: Task) {
    // SAFETY: nothing below shapes tiles, and callers of this room have none.
    let tiles = unsafe { Tiles::<Whole>::shaped() };
    let multiply = |blocks: &Blocks, sums: &mut [f32]| match blocks.rows {
        [one, []] => tiles.int8(blocks, one, 1, sums),
        rows => tiles.int8_pair(blocks, rows, 1, sums),
    };
    let bias = task.bias;
    task.chunks([WIDTH, INT8_HEAD], ROW_BLOCK, multiply, |output, sums, scales, head, column| {
        let bias = bias.get(column..).unwrap_or_default();
        // SAFETY: what has tiles has AVX-512, and `is_available` asked.
        #[allow(unsafe_code)]
        unsafe {
            hand_out_scaled(output, sums, [scales, &head[ROWS..]], bias, column);
        }
    });
}

/// Some blocks of a panel, and the same of one or two tiles of rows.
struct Blocks<'a> {
    /// Shape: [blocks, 16, width].
    weights: &'a [u32],
    /// Shape of each: [blocks or more, parts, rows, 16]; nothing where there is no second tile.
    rows: [&'a [u32]; 2],
    /// True where the sums are added to, false where they begin.
    go_on: bool,
}

impl Task<'_, '_> {
    /// Calls `multiply` with some blocks at a time and where their sums go, shape [2, side, rows, lanes], and when all
    /// are added up `finish` for each tile of rows, with the rows of the output, the sums, the tails of the panel and
    /// the head of the tile, which have so many words, and the first column.
    fn chunks(
        self,
        [tail, head]: [usize; 2],
        block: usize,
        multiply: impl Fn(&Blocks, &mut [f32]),
        finish: impl Fn(&mut [&mut [f32]], &[f32], &[u32], &[u32], usize),
    ) {
        let Task { panels, panel, rows, tile, mut output, .. } = self;
        let chunks = ((panel - tail) / BLOCK).div_ceil(CHUNK);
        with_scratch(output.len().next_multiple_of(SIDE * ROWS) * WIDTH, |sums| {
            for (at, panel) in panels.chunks_exact(panel).enumerate() {
                let (panel, tail) = panel.split_at(panel.len() - tail);
                for (chunk, weights) in panel.chunks(CHUNK * BLOCK).enumerate() {
                    let first = head + chunk * CHUNK * block;
                    let pairs = rows.chunks(SIDE * tile).zip(sums.chunks_exact_mut(SIDE * ROWS * WIDTH));
                    for ((rows, sums), output) in pairs.zip(output.chunks_mut(SIDE * ROWS)) {
                        if chunk + 1 == chunks {
                            expect(output, at * WIDTH, WIDTH);
                        }
                        let (one, other) = rows.split_at(tile);
                        let rows = [one, other].map(|rows| rows.get(first..).unwrap_or_default());
                        multiply(&Blocks { weights, rows, go_on: chunk > 0 }, sums);
                        if chunk + 1 == chunks {
                            let tiles = [one, other].into_iter().zip(sums.chunks_exact(SIDE * SUMS));
                            for (output, (rows, sums)) in output.chunks_mut(ROWS).zip(tiles) {
                                finish(output, sums, tail, &rows[..head], at * WIDTH);
                            }
                        }
                    }
                }
            }
        });
    }
}

/// Writes the sums of a tile of rows, shape [side, rows, lanes], times the scales of their rows and outputs, with the
/// bias added. Shapes: `scales` [width], `row_scales` [rows], `bias` [width or less].
#[target_feature(enable = "avx512f")]
fn hand_out_scaled(
    output: &mut [&mut [f32]],
    sums: &[f32],
    [scales, row_scales]: [&[u32]; 2],
    bias: &[f32],
    column: usize,
) {
    let mut padded = [0.0; WIDTH];
    padded.iter_mut().zip(bias).for_each(|(to, from)| *to = *from);
    let (sums, bias, scales) =
        (sums.as_chunks::<LANES>().0, padded.as_chunks::<LANES>().0, scales.as_chunks::<LANES>().0);
    for (at, ((sums, bias), scales)) in sums.chunks_exact(ROWS).zip(bias).zip(scales).enumerate() {
        let column = column + at * LANES;
        let (bias, scales): (__m512, __m512) = (cast(*bias), cast(*scales));
        for ((row, sums), row_scale) in output.iter_mut().zip(sums).zip(row_scales) {
            let scale = _mm512_mul_ps(_mm512_set1_ps(f32::from_bits(*row_scale)), scales);
            let scaled = _mm512_fmadd_ps(_mm512_cvtepi32_ps(cast(*sums)), scale, bias);
            match row.get_mut(column..).and_then(<[f32]>::first_chunk_mut::<LANES>) {
                Some(whole) => *whole = cast(scaled),
                None => write(&cast::<_, [f32; LANES]>(scaled), row, column),
            }
        }
    }
}

/// Has the lines fetched that will be written to when their sums are there: they are a page apart and far away.
fn expect(output: &[&mut [f32]], column: usize, width: usize) {
    for row in output {
        for line in row[column.min(row.len())..].chunks(LANES).take(width / LANES) {
            // SAFETY: nothing but a hint, of an address in a slice.
            #[allow(unsafe_code)]
            unsafe {
                _mm_prefetch::<_MM_HINT_ET0>(line.as_ptr().cast());
            }
        }
    }
}

/// Writes the sums of a tile of rows, shape [side, rows, lanes], but for those of the padding.
fn hand_out(output: &mut [&mut [f32]], sums: &[f32], column: usize) {
    for (at, sums) in sums.chunks_exact(SUMS).enumerate() {
        let column = column + at * LANES;
        for (row, sums) in output.iter_mut().zip(sums.as_chunks::<LANES>().0) {
            let row = row.get_mut(column..).unwrap_or_default();
            match row.first_chunk_mut() {
                Some(whole) => *whole = *sums,
                None => row.copy_from_slice(&sums[..row.len()]),
            }
        }
    }
}

/// Products by one instruction: words of bf16 or of bytes differ in nothing else.
macro_rules! products {
    ($one:ident, $pair:ident, $instruction:literal) => {
        /// One tile of rows with the weights of two. `sums`: [side, rows, lanes].
        #[allow(unsafe_code)]
        fn $one(&self, blocks: &Blocks, rows: &[u32], parts: usize, sums: &mut [f32]) {
            let count = blocks.weights.len() / BLOCK;
            assert!(rows.len() >= count * parts * ROW_BLOCK && sums.len() >= SIDE * SUMS && parts > 0 && count > 0);
            // SAFETY: tiles have all rows and columns, and as the lengths above say, all that is read and written lies
            // in the slices.
            unsafe {
                asm!(
                    "test {go_on:e}, {go_on:e}",
                    "jnz 2f",
                    "tilezero tmm0",
                    "tilezero tmm1",
                    "jmp 3f",
                    "2:",
                    "tileloadd tmm0, [{sums} + {line}]",
                    "tileloadd tmm1, [{sums} + {line} + 1024]",
                    "3:",
                    "tileloadd tmm6, [{weights} + 2*{line}]",
                    "tileloadd tmm7, [{weights} + 2*{line} + 64]",
                    "mov {part}, {parts}",
                    "4:",
                    "tileloadd tmm4, [{rows} + {line}]",
                    concat!($instruction, " tmm0, tmm4, tmm6"),
                    concat!($instruction, " tmm1, tmm4, tmm7"),
                    "add {rows}, 1024",
                    "dec {part}",
                    "jnz 4b",
                    "add {weights}, 2048",
                    "dec {count}",
                    "jnz 3b",
                    "tilestored [{sums} + {line}], tmm0",
                    "tilestored [{sums} + {line} + 1024], tmm1",
                    go_on = in(reg) u32::from(blocks.go_on),
                    weights = inout(reg) blocks.weights.as_ptr() => _,
                    rows = inout(reg) rows.as_ptr() => _,
                    sums = in(reg) sums.as_mut_ptr(),
                    line = in(reg) 64usize,
                    parts = in(reg) parts,
                    part = out(reg) _,
                    count = inout(reg) count => _,
                    out("tmm0") _, out("tmm1") _, out("tmm4") _, out("tmm6") _, out("tmm7") _,
                    options(nostack),
                );
            }
        }

        /// Two tiles of rows with the weights of two. `sums`: [2, side, rows, lanes].
        #[allow(unsafe_code)]
        fn $pair(&self, blocks: &Blocks, rows: [&[u32]; 2], parts: usize, sums: &mut [f32]) {
            let count = blocks.weights.len() / BLOCK;
            let enough = rows.iter().all(|rows| rows.len() >= count * parts * ROW_BLOCK);
            assert!(enough && sums.len() >= 2 * SIDE * SUMS && parts > 0 && count > 0);
            // SAFETY: as above.
            unsafe {
                asm!(
                    "test {go_on:e}, {go_on:e}",
                    "jnz 2f",
                    "tilezero tmm0",
                    "tilezero tmm1",
                    "tilezero tmm2",
                    "tilezero tmm3",
                    "jmp 3f",
                    "2:",
                    "tileloadd tmm0, [{sums} + {line}]",
                    "tileloadd tmm1, [{sums} + {line} + 1024]",
                    "tileloadd tmm2, [{sums} + {line} + 2048]",
                    "tileloadd tmm3, [{sums} + {line} + 3072]",
                    "3:",
                    "tileloadd tmm6, [{weights} + 2*{line}]",
                    "tileloadd tmm7, [{weights} + 2*{line} + 64]",
                    "mov {part}, {parts}",
                    "4:",
                    "tileloadd tmm4, [{one} + {line}]",
                    concat!($instruction, " tmm0, tmm4, tmm6"),
                    concat!($instruction, " tmm1, tmm4, tmm7"),
                    "tileloadd tmm5, [{other} + {line}]",
                    concat!($instruction, " tmm2, tmm5, tmm6"),
                    concat!($instruction, " tmm3, tmm5, tmm7"),
                    "add {one}, 1024",
                    "add {other}, 1024",
                    "dec {part}",
                    "jnz 4b",
                    "add {weights}, 2048",
                    "dec {count}",
                    "jnz 3b",
                    "tilestored [{sums} + {line}], tmm0",
                    "tilestored [{sums} + {line} + 1024], tmm1",
                    "tilestored [{sums} + {line} + 2048], tmm2",
                    "tilestored [{sums} + {line} + 3072], tmm3",
                    go_on = in(reg) u32::from(blocks.go_on),
                    weights = inout(reg) blocks.weights.as_ptr() => _,
                    one = inout(reg) rows[0].as_ptr() => _,
                    other = inout(reg) rows[1].as_ptr() => _,
                    sums = in(reg) sums.as_mut_ptr(),
                    line = in(reg) 64usize,
                    parts = in(reg) parts,
                    part = out(reg) _,
                    count = inout(reg) count => _,
                    out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                    out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                    options(nostack),
                );
            }
        }
    };
}

impl Tiles<Whole> {
    products!(bf16, bf16_pair, "tdpbf16ps");
    products!(int8, int8_pair, "tdpbssd");
}

impl Tiles<Bytes> {
    /// The sums of some blocks of bytes, of sixteen rows and one half of the outputs of a panel.
    ///
    /// Nothing waits for a block's sums before those of the others are on their way.
    #[allow(unsafe_code)]
    #[inline(always)]
    fn bytes(&self, weights: &Weights, half: usize, rows: &TileRows, sums: &mut [Sums; AHEAD]) {
        let weights = &weights.as_flattened()[half * LANES..];
        assert!(weights.len() >= (AHEAD - 1) * Q8_0_BLOCK + 7 * WIDTH + LANES);
        // SAFETY: tiles are shaped for bytes. A tile of rows is sixteen times 32 bytes in a row, one of weights eight
        // rows of sixteen outputs, 128 bytes apart, and the assertion says that four of them are there; sums are whole
        // tiles.
        unsafe {
            asm!(
                "tileloadd tmm4, [{rows} + {half}]",
                "tileloadd tmm6, [{weights} + 4*{half}]",
                "tilezero tmm0",
                "tdpbssd tmm0, tmm4, tmm6",
                "tileloadd tmm5, [{rows} + {half} + {row}]",
                "tileloadd tmm7, [{weights} + 4*{half} + {block}]",
                "tilezero tmm1",
                "tdpbssd tmm1, tmm5, tmm7",
                "tileloadd tmm4, [{rows} + {half} + 2*{row}]",
                "tileloadd tmm6, [{weights} + 4*{half} + 2*{block}]",
                "tilezero tmm2",
                "tdpbssd tmm2, tmm4, tmm6",
                "tileloadd tmm5, [{rows} + {half} + 3*{row}]",
                "tileloadd tmm7, [{weights} + 4*{half} + 3*{block}]",
                "tilezero tmm3",
                "tdpbssd tmm3, tmm5, tmm7",
                "tilestored [{sums} + 2*{half}], tmm0",
                "tilestored [{sums} + 2*{half} + 1024], tmm1",
                "tilestored [{sums} + 2*{half} + 2048], tmm2",
                "tilestored [{sums} + 2*{half} + 3072], tmm3",
                weights = in(reg) weights.as_ptr(),
                rows = in(reg) rows.as_ptr(),
                sums = in(reg) sums.as_mut_ptr(),
                half = in(reg) 32usize,
                row = const 4 * Q8_0_ROWS,
                block = const 4 * Q8_0_BLOCK,
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack, preserves_flags),
            );
        }
    }
}

/// Sums of one block of bytes. Shape: [rows, lanes].
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Sums([[i32; LANES]; ROWS]);

/// Blocks of bytes whose sums are taken together: as many as there are tiles for.
pub(super) const AHEAD: usize = 4;

/// So many blocks of a panel, each of shape [8, width] and then the scales [width].
type Weights = [[u32; Q8_0_BLOCK]; AHEAD];
/// The same of sixteen rows: [rows, 8], and the scales [rows].
type TileRows = [[u32; Q8_0_ROWS]; AHEAD];

/// The products of a task of 8 bits. Each block's sum is exact, and scaled and added up as by AVX-512: the bits are the
/// same.
///
/// # Panics
/// Without [`is_available`].
#[allow(unsafe_code)]
pub(super) fn q8_0(task: Task) {
    // SAFETY: nothing below shapes tiles, and callers of this room have none.
    let tiles = unsafe { Tiles::<Bytes>::shaped() };
    // SAFETY: what has tiles has AVX-512, and `is_available` asked.
    unsafe { q8_0_products(&tiles, task) }
}

#[target_feature(enable = "avx512f")]
fn q8_0_products(tiles: &Tiles<Bytes>, task: Task) {
    let Task { panels, panel, rows, tile, mut output, .. } = task;
    let mut sums = [[Sums([[0; LANES]; ROWS]); AHEAD]; 2];
    for (at, panel) in panels.chunks_exact(panel).enumerate() {
        for half in 0..SIDE {
            let column = at * WIDTH + half * LANES;
            for (rows, output) in rows.chunks_exact(tile).zip(output.chunks_mut(ROWS)) {
                expect(output, column, LANES);
                let panel = panel.as_chunks().0.as_chunks().0;
                let totals = q8_0_tile(tiles, panel, half, rows.as_chunks().0.as_chunks().0, &mut sums);
                hand_out(output, cast_slice(&totals), column);
            }
        }
    }
}

/// Sixteen rows and one half of the outputs of a panel. What is in `sums` is of no matter.
#[target_feature(enable = "avx512f")]
fn q8_0_tile(
    tiles: &Tiles<Bytes>,
    panel: &[Weights],
    half: usize,
    rows: &[TileRows],
    sums: &mut [[Sums; AHEAD]; 2],
) -> [__m512; ROWS] {
    let mut totals = [_mm512_setzero_ps(); ROWS];
    if let (Some(weights), Some(rows)) = (panel.first(), rows.first()) {
        tiles.bytes(weights, half, rows, &mut sums[0]);
    }
    for (at, (weights, these)) in panel.iter().zip(rows).enumerate() {
        // What has been written is read no sooner than the next is on its way.
        if let (Some(weights), Some(rows)) = (panel.get(at + 1), rows.get(at + 1)) {
            tiles.bytes(weights, half, rows, &mut sums[(at + 1) % 2]);
        }
        for ((sums, weights), rows) in sums[at % 2].iter().zip(weights).zip(these) {
            let weight_scales: &[__m256i] = cast_slice(&weights[8 * WIDTH..]);
            let weight_scales = _mm512_cvtph_ps(weight_scales[half]);
            for ((total, sums), scale) in totals.iter_mut().zip(&sums.0).zip(&rows[8 * ROWS..]) {
                let scale = _mm512_mul_ps(_mm512_set1_ps(f32::from_bits(*scale)), weight_scales);
                *total = _mm512_fmadd_ps(_mm512_cvtepi32_ps(cast(*sums)), scale, *total);
            }
        }
    }
    totals
}

/// Whether the CPU has tiles of bf16 and of bytes, and the system lets this process use them.
pub(super) fn is_available() -> bool {
    static AVAILABLE: OnceLock<bool> = OnceLock::new();
    *AVAILABLE.get_or_init(|| has_tiles() && is_x86_feature_detected!("avx512f") && is_permitted())
}

/// What the CPU and the system say: leaf 7 names the instructions, and register 0 of XGETBV what the system saves
/// when it turns to another thread.
#[allow(unsafe_code)]
fn has_tiles() -> bool {
    const AMX_BF16: u32 = 1 << 22;
    const AMX_TILE: u32 = 1 << 24;
    const AMX_INT8: u32 = 1 << 25;
    const OSXSAVE: u32 = 1 << 27;
    /// The configuration of tiles, and their contents.
    const STATE: u64 = 0b11 << 17;
    if __cpuid(0).eax < 7 || __cpuid(1).ecx & OSXSAVE == 0 {
        return false;
    }
    // SAFETY: OSXSAVE says that there is XGETBV.
    let saved = unsafe { _xgetbv(0) };
    let wanted = AMX_BF16 | AMX_TILE | AMX_INT8;
    __cpuid_count(7, 0).edx & wanted == wanted && saved & STATE == STATE
}

/// Linux keeps tiles from processes that do not ask for them: saving them takes 8 KiB for each thread. See
/// <https://docs.kernel.org/arch/x86/xstate.html>.
#[allow(unsafe_code)]
fn is_permitted() -> bool {
    const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
    const XTILEDATA: libc::c_long = 18;
    // SAFETY: the call takes two numbers and changes nothing but what the process may do.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XTILEDATA) == 0 }
}
