//! Products in bf16 and in 8 bits, with the instructions that AVX-512 has for them.

use std::arch::x86_64::*;

use bytemuck::{cast, cast_slice};

use super::rows::HEAD;
use super::tasks::{Task, write};

/// Lanes of a register.
const LANES: usize = 16;
/// Registers of outputs of a panel of bf16.
const BF16_REGISTERS: usize = 4;
/// Registers of outputs of a panel of 8 bits: there are two sums for each, one of the block and one of all.
const Q8_0_REGISTERS: usize = 2;
/// Registers of outputs of a panel of 8 bits with one scale for each output.
const INT8_REGISTERS: usize = 4;
/// Outputs of a panel of bf16.
pub(super) const BF16_WIDTH: usize = BF16_REGISTERS * LANES;
/// Outputs of a panel of 8 bits.
pub(super) const Q8_0_WIDTH: usize = Q8_0_REGISTERS * LANES;
/// The same with one scale for each output.
pub(super) const INT8_WIDTH: usize = INT8_REGISTERS * LANES;

/// Registers of a block of 32 inputs: eight steps, and the scales.
const Q8_0_BLOCK: usize = 8 * Q8_0_REGISTERS + Q8_0_REGISTERS / 2;

/// Steps of a block of 32 inputs.
const INT8_STEPS: usize = 8;

/// Whether the CPU multiplies bf16.
pub(super) fn has_bf16() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bf16")
}

/// Whether the CPU multiplies bytes.
pub(super) fn has_vnni() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni")
}

/// The products of a task.
///
/// # Panics
/// Without [`has_bf16`].
#[allow(unsafe_code)]
pub(super) fn bf16(task: Task) {
    assert!(has_bf16());
    // SAFETY: the CPU has the features that the function is compiled for.
    unsafe { bf16_products(task) }
}

/// The products of a task.
///
/// # Panics
/// Without [`has_vnni`].
#[allow(unsafe_code)]
pub(super) fn q8_0(task: Task) {
    assert!(has_vnni());
    // SAFETY: the CPU has the features that the function is compiled for.
    unsafe { q8_0_products(task) }
}

/// The products of a task.
///
/// # Panics
/// Without [`has_vnni`].
#[allow(unsafe_code)]
pub(super) fn int8(task: Task) {
    assert!(has_vnni());
    // SAFETY: the CPU has the features that the function is compiled for.
    unsafe { int8_products(task) }
}

#[target_feature(enable = "avx512f,avx512bf16")]
fn bf16_products(task: Task) {
    task.each(BF16_WIDTH, |panel, rows, output, column| {
        let panel = cast_slice(panel);
        match output.len() {
            6 => bf16_tile::<6>(panel, rows, output, column),
            5 => bf16_tile::<5>(panel, rows, output, column),
            4 => bf16_tile::<4>(panel, rows, output, column),
            3 => bf16_tile::<3>(panel, rows, output, column),
            2 => bf16_tile::<2>(panel, rows, output, column),
            _ => bf16_tile::<1>(panel, rows, output, column),
        }
    });
}

/// A tile of `R` rows. Shapes: `panel` [inputs / 2, width], `rows` [inputs / 2, R].
#[target_feature(enable = "avx512f,avx512bf16")]
fn bf16_tile<const R: usize>(panel: &[__m512bh], rows: &[u32], output: &mut [&mut [f32]], column: usize) {
    let mut sums = [[_mm512_setzero_ps(); BF16_REGISTERS]; R];
    let (weights, _) = panel.as_chunks::<BF16_REGISTERS>();
    let (rows, _) = rows.as_chunks::<R>();
    for (weights, values) in weights.iter().zip(rows) {
        for row in 0..R {
            let value: __m512bh = cast(_mm512_set1_epi32(values[row] as i32));
            for at in 0..BF16_REGISTERS {
                sums[row][at] = _mm512_dpbf16_ps(sums[row][at], value, weights[at]);
            }
        }
    }
    for (at, row) in output.iter_mut().enumerate().take(R) {
        store(sums[at], row, column);
    }
}

#[target_feature(enable = "avx512f,avx512vnni")]
fn q8_0_products(task: Task) {
    task.each(Q8_0_WIDTH, |panel, rows, output, column| {
        let panel = cast_slice(panel);
        match output.len() {
            6 => q8_0_tile::<6>(panel, rows, output, column),
            5 => q8_0_tile::<5>(panel, rows, output, column),
            4 => q8_0_tile::<4>(panel, rows, output, column),
            3 => q8_0_tile::<3>(panel, rows, output, column),
            2 => q8_0_tile::<2>(panel, rows, output, column),
            _ => q8_0_tile::<1>(panel, rows, output, column),
        }
    });
}

/// A tile of `R` rows. Shapes: `panel` [blocks, 8 steps, width] and scales [blocks, width]; `rows` [blocks, 10, R]:
/// what the sums of a block begin with, scales, 8 steps.
#[target_feature(enable = "avx512f,avx512vnni")]
fn q8_0_tile<const R: usize>(panel: &[__m512i], rows: &[u32], output: &mut [&mut [f32]], column: usize) {
    let mut sums = [[_mm512_setzero_ps(); Q8_0_REGISTERS]; R];
    let (panel, _) = panel.as_chunks::<Q8_0_BLOCK>();
    let (rows, _) = rows.as_chunks::<R>().0.as_chunks::<10>();
    for (weights, [starts, scales, values @ ..]) in panel.iter().zip(rows) {
        let mut block = [[_mm512_setzero_si512(); Q8_0_REGISTERS]; R];
        for row in 0..R {
            block[row] = [_mm512_set1_epi32(starts[row] as i32); Q8_0_REGISTERS];
        }
        let (steps, weight_scales) = weights.split_at(8 * Q8_0_REGISTERS);
        for (weights, values) in steps.as_chunks::<Q8_0_REGISTERS>().0.iter().zip(values) {
            for row in 0..R {
                let value = _mm512_set1_epi32(values[row] as i32);
                for at in 0..Q8_0_REGISTERS {
                    block[row][at] = _mm512_dpbusd_epi32(block[row][at], weights[at], value);
                }
            }
        }
        let halves: &[__m256i] = cast_slice(weight_scales);
        let weight_scales: [__m512; Q8_0_REGISTERS] = std::array::from_fn(|at| _mm512_cvtph_ps(halves[at]));
        for row in 0..R {
            let scale = _mm512_set1_ps(f32::from_bits(scales[row]));
            for at in 0..Q8_0_REGISTERS {
                let scale = _mm512_mul_ps(scale, weight_scales[at]);
                sums[row][at] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(block[row][at]), scale, sums[row][at]);
            }
        }
    }
    for (at, row) in output.iter_mut().enumerate().take(R) {
        store(sums[at], row, column);
    }
}

#[target_feature(enable = "avx512f,avx512vnni")]
fn int8_products(task: Task) {
    let bias = task.bias;
    task.each(INT8_WIDTH, |panel, rows, output, column| {
        let (panel, _) = cast_slice(panel).as_chunks();
        let mut padded = [0.0; INT8_WIDTH];
        let bias = bias.get(column..).unwrap_or_default();
        padded.iter_mut().zip(bias).for_each(|(to, from)| *to = *from);
        let bias = cast(padded);
        match output.len() {
            6 => int8_tile::<6>(panel, bias, rows, output, column),
            5 => int8_tile::<5>(panel, bias, rows, output, column),
            4 => int8_tile::<4>(panel, bias, rows, output, column),
            3 => int8_tile::<3>(panel, bias, rows, output, column),
            2 => int8_tile::<2>(panel, bias, rows, output, column),
            _ => int8_tile::<1>(panel, bias, rows, output, column),
        }
    });
}

/// A tile of `R` rows. Shapes: `panel` [steps, width] and then the scales [width]; `rows` [R, 2 + steps]: what the sums
/// begin with, the scale, steps.
#[target_feature(enable = "avx512f,avx512vnni")]
fn int8_tile<const R: usize>(
    panel: &[[__m512i; INT8_REGISTERS]],
    bias: [__m512; INT8_REGISTERS],
    rows: &[u32],
    output: &mut [&mut [f32]],
    column: usize,
) {
    let (blocks, [scales]) = panel.as_chunks::<INT8_STEPS>() else {
        return;
    };
    let mut sums = [[_mm512_setzero_si512(); INT8_REGISTERS]; R];
    let mut row_scales = [0; R];
    let mut values: [&[[u32; INT8_STEPS]]; R] = [&[]; R];
    for (row, words) in rows.chunks_exact(rows.len() / R).enumerate().take(R) {
        sums[row] = [_mm512_set1_epi32(words[0] as i32); INT8_REGISTERS];
        row_scales[row] = words[1];
        values[row] = words[HEAD..].as_chunks().0;
    }
    for (block, steps) in blocks.iter().enumerate() {
        // All steps of a block are written out, with no check of a bound between them.
        let mut words = [&[0; INT8_STEPS]; R];
        for row in 0..R {
            words[row] = &values[row][block];
        }
        for (step, weights) in steps.iter().enumerate() {
            for row in 0..R {
                let value = _mm512_set1_epi32(words[row][step] as i32);
                for at in 0..INT8_REGISTERS {
                    sums[row][at] = _mm512_dpbusd_epi32(sums[row][at], weights[at], value);
                }
            }
        }
    }
    for (row, output) in output.iter_mut().enumerate().take(R) {
        let scale = _mm512_set1_ps(f32::from_bits(row_scales[row]));
        let mut scaled = bias;
        for at in 0..INT8_REGISTERS {
            let scale = _mm512_mul_ps(scale, cast(scales[at]));
            scaled[at] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums[row][at]), scale, bias[at]);
        }
        store(scaled, output, column);
    }
}

/// Writes the sums of a row. They are taken by value and register by register: sums of which a slice or an iterator is
/// taken lie in memory, and are copied there first.
#[target_feature(enable = "avx512f")]
fn store<const N: usize>(sums: [__m512; N], row: &mut [f32], column: usize) {
    if let Some(whole) = row.get_mut(column..column + N * LANES) {
        let (registers, _) = whole.as_chunks_mut::<LANES>();
        for at in 0..N {
            registers[at] = cast(sums[at]);
        }
    } else {
        for at in 0..N {
            let sums: [f32; LANES] = cast(sums[at]);
            write(&sums, row, column + at * LANES);
        }
    }
}
