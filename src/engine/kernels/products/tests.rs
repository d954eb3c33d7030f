//! Products against plain sums, in every number and shape.

use half::{bf16, f16};
use rayon::ThreadPoolBuilder;

use super::*;
use crate::engine::checkpoint::{Kind, View};
use crate::requirements::lacks;

/// What sums in f32 may lose, as a share of the sum of the products' sizes: twice the worst of what is multiplied here.
const F32_LOSS: f64 = 1e-6;
/// The same with bf16.
const BF16_LOSS: f64 = 1e-6;
/// The same with 8 bits: a rounding for each 32 products, and two for their scale.
const Q8_0_LOSS: f64 = 2e-7;

/// Sizes with and without rests in every direction: [outputs, inputs].
const SIZES: &[(usize, usize)] =
    &[(1, 8), (1, 32), (17, 40), (48, 96), (31, 33), (64, 64), (65, 256), (96, 256), (130, 1000), (70, 3072)];

const F32: Way = Way { kind: Packing::F32, unit: Unit::Vectors };

/// Numbers of both signs and of sizes from 2⁻⁸ to 1, so that the order of sums shows in the last bits.
fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as f32 / (1u64 << 31) as f32
    };
    (0..count).map(|_| (next() - 0.5) * 2f32.powf(-8.0 * next())).collect()
}

/// All ways in which this CPU multiplies; says which kinds it lacks.
fn ways() -> Vec<Way> {
    let kinds = [Packing::F32, Packing::Bf16, Packing::Mixed, Packing::Q8_0, Packing::Int8];
    let lacking: Vec<Packing> = kinds.into_iter().filter(|kind| !kind.is_available()).collect();
    if !lacking.is_empty() {
        lacks("instructions", format!("this CPU has none of {lacking:?}"));
    }
    Way::all()
}

fn packed(way: Way, weights: &[f32], outputs: usize, inputs: usize) -> Packed {
    let mut builder = Builder::by(way, outputs, inputs);
    builder.push(WeightRows::F32(weights));
    builder.finish()
}

fn product(weight: &Packed, input: &[f32]) -> Vec<f32> {
    let mut output = vec![7.0; input.len() / weight.inputs() * weight.outputs()];
    weight.product(input, &mut output);
    output
}

fn rounded(values: &[f32]) -> Vec<f64> {
    values.iter().map(|value| bf16::from_f32(*value).to_f64()).collect()
}

/// Rows as Q8_0, and back. `narrow` rounds the scales to f16, as those of weights are.
fn through_q8_0(values: &[f32], inputs: usize, narrow: bool) -> Vec<f64> {
    through_bytes(values, inputs, 32, narrow)
}

/// The same with blocks of some length.
fn through_bytes(values: &[f32], inputs: usize, length: usize, narrow: bool) -> Vec<f64> {
    let blocks = values.chunks(inputs).flat_map(|row| row.chunks(length));
    let block = |block: &[f32]| {
        let scale = block.iter().fold(0f32, |most, value| most.max(value.abs())) / 127.0;
        let kept = if narrow { f16::from_f32(scale).to_f64() } else { f64::from(scale) };
        let byte =
            |value: &f32| if narrow { (value / scale).round() } else { (value * (1.0 / scale)).round_ties_even() };
        block.iter().map(|value| f64::from(byte(value)) * kept).collect::<Vec<_>>()
    };
    blocks.flat_map(block).collect()
}

/// The largest error, as a share of the sum of the products' sizes.
fn loss(got: &[f32], input: &[f64], weights: &[f64], inputs: usize, outputs: usize) -> f64 {
    let mut worst = 0f64;
    for (input, got) in input.chunks(inputs).zip(got.chunks(outputs)) {
        for (weights, got) in weights.chunks(inputs).zip(got) {
            let products = || input.iter().zip(weights).map(|(a, b)| a * b);
            let size: f64 = products().map(f64::abs).sum();
            worst = worst.max((f64::from(*got) - products().sum::<f64>()).abs() / size);
        }
    }
    worst
}

#[test]
fn products_are_those_of_the_definition() {
    for way in ways() {
        for &(outputs, inputs) in SIZES {
            let (weights, input) = (numbers(outputs * inputs, 1), numbers(13 * inputs, 2));
            let got = product(&packed(way, &weights, outputs, inputs), &input);
            let wide = |values: &[f32]| values.iter().map(|value| f64::from(*value)).collect();
            let (weights, input, most): (Vec<f64>, Vec<f64>, f64) = match way.kind {
                Packing::F32 => (wide(&weights), wide(&input), F32_LOSS),
                Packing::Bf16 => (rounded(&weights), rounded(&input), BF16_LOSS),
                Packing::Mixed => (rounded(&weights), wide(&input), F32_LOSS),
                Packing::Q8_0 => (through_q8_0(&weights, inputs, true), through_q8_0(&input, inputs, false), Q8_0_LOSS),
                Packing::Int8 => {
                    let whole = |values: &[f32]| through_bytes(values, inputs, inputs, false);
                    (whole(&weights), whole(&input), Q8_0_LOSS)
                }
            };
            let loss = loss(&got, &input, &weights, inputs, outputs);
            assert!(loss < most, "{way:?} {outputs}x{inputs}: {loss:e}");
        }
    }
}

/// A sum of whole numbers is exact, and scaled once.
#[test]
fn one_scale_for_each_row_makes_sums_exact() {
    let bytes = |row: &[f32]| -> (f32, Vec<i32>) {
        let scale = row.iter().fold(0f32, |most, value| most.max(value.abs())) / 127.0;
        (scale, row.iter().map(|value| (value * (1.0 / scale)).round_ties_even() as i32).collect())
    };
    for way in ways().into_iter().filter(|way| way.kind == Packing::Int8) {
        for &(outputs, inputs) in SIZES {
            let (weights, bias) = (numbers(outputs * inputs, 17), numbers(outputs, 18));
            let rows = numbers(13 * inputs, 19);
            let got = product(&packed(way, &weights, outputs, inputs).with_bias(bias.clone()), &rows);
            let mut expected = Vec::new();
            for row in rows.chunks(inputs) {
                let (row_scale, row) = bytes(row);
                for (weights, bias) in weights.chunks(inputs).zip(&bias) {
                    let (scale, weights) = bytes(weights);
                    let sum: i32 = row.iter().zip(weights).map(|(a, b)| a * b).sum();
                    expected.push((sum as f32).mul_add(row_scale * scale, *bias));
                }
            }
            assert_eq!(got, expected, "{way:?} {outputs}x{inputs}");
        }
    }
}

#[test]
fn a_bias_is_added_to_every_row() {
    let (outputs, inputs) = (70, 64);
    let (weights, bias, rows) = (numbers(outputs * inputs, 20), numbers(outputs, 21), numbers(13 * inputs, 22));
    for way in ways() {
        let bare = product(&packed(way, &weights, outputs, inputs), &rows);
        let got = product(&packed(way, &weights, outputs, inputs).with_bias(bias.clone()), &rows);
        for (got, bare) in got.chunks(outputs).zip(bare.chunks(outputs)) {
            let near = |((got, bare), bias): ((&f32, &f32), &f32)| (got - (bare + bias)).abs() < 1e-6;
            assert!(got.iter().zip(bare).zip(&bias).all(near), "{way:?}");
        }
    }
}

#[test]
fn eight_bits_are_near_the_numbers_that_they_stand_for() {
    let (outputs, inputs) = (64, 1024);
    let (weights, input) = (numbers(outputs * inputs, 3), numbers(8 * inputs, 4));
    let exact = product(&packed(F32, &weights, outputs, inputs), &input);
    for way in ways().into_iter().filter(|way| matches!(way.kind, Packing::Q8_0 | Packing::Int8)) {
        let most = if way.kind == Packing::Q8_0 { 0.015 } else { 0.02 };
        let got = product(&packed(way, &weights, outputs, inputs), &input);
        let error: f32 = got.iter().zip(&exact).map(|(got, exact)| (got - exact).powi(2)).sum();
        let size: f32 = exact.iter().map(|exact| exact.powi(2)).sum();
        assert!((error / size).sqrt() < most, "{way:?}: {}", (error / size).sqrt());
    }
}

/// What a cache holds for Q8_0 is worth as much on a CPU with other instructions.
#[test]
fn eight_bits_are_the_same_however_they_are_multiplied() {
    let ways: Vec<Way> = ways().into_iter().filter(|way| way.kind == Packing::Q8_0).collect();
    let (outputs, inputs) = (100, 2080);
    let (weights, input) = (numbers(outputs * inputs, 15), numbers(70 * inputs, 16));
    let results = ways.iter().map(|way| product(&packed(*way, &weights, outputs, inputs), &input));
    let bits: Vec<Vec<u32>> = results.map(|result| result.into_iter().map(f32::to_bits).collect()).collect();
    assert!(bits.windows(2).all(|pair| pair[0] == pair[1]), "{ways:?}");
}

/// Every element is the same, bit for bit, in a batch of any size, anywhere in it, with any number of threads.
#[test]
fn an_element_depends_on_its_row_and_its_weights_alone() {
    // Rows enough for two turns of the scratch memory, and for tiles with every rest.
    let (outputs, inputs, rows) = (200, 704, 85 * TILE + 11);
    let (weights, input) = (numbers(outputs * inputs, 5), numbers(rows * inputs, 6));
    for way in ways() {
        let weight = packed(way, &weights, outputs, inputs);
        let whole: Vec<u32> = product(&weight, &input).iter().map(|value| value.to_bits()).collect();
        for threads in [1, 2, 3, 8] {
            let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            for count in [1, 2, 3, 4, 5, 6, 7, 13, 64, rows] {
                for first in [0, 1, 7, rows - count].into_iter().filter(|first| first + count <= rows) {
                    let part = &input[first * inputs..][..count * inputs];
                    let got = pool.install(|| product(&weight, part));
                    let expected = &whole[first * outputs..][..count * outputs];
                    assert!(
                        got.iter().map(|value| value.to_bits()).eq(expected.iter().copied()),
                        "{way:?}: rows {first}+{count} on {threads} threads"
                    );
                }
            }
        }
    }
}

#[test]
fn weights_may_come_in_parts_of_any_type() {
    let (outputs, inputs) = (150, 96);
    let weights: Vec<f32> = numbers(outputs * inputs, 7).iter().map(|v| bf16::from_f32(*v).to_f32()).collect();
    let narrow: Vec<bf16> = weights.iter().map(|value| bf16::from_f32(*value)).collect();
    let input = numbers(9 * inputs, 8);
    for way in ways() {
        let whole = product(&packed(way, &weights, outputs, inputs), &input);
        let mut builder = Builder::by(way, outputs, inputs);
        builder.push(WeightRows::F32(&weights[..10 * inputs]));
        builder.push(WeightRows::Bf16(&narrow[10 * inputs..117 * inputs]));
        builder.push(WeightRows::F32(&[]));
        builder.push(WeightRows::F32(&weights[117 * inputs..]));
        assert_eq!(product(&builder.finish(), &input), whole, "{way:?}");
    }
}

/// Blocks as a GGUF file holds them, and the numbers that they stand for.
fn blocks(count: usize) -> (Vec<u8>, Vec<f32>) {
    let (mut bytes, mut values) = (Vec::new(), Vec::new());
    for block in 0..count {
        let scale = f16::from_f32(0.01 + block as f32 / 1000.0);
        bytes.extend(scale.to_le_bytes());
        // All 256 bytes occur: other programs also write -128.
        let block: Vec<i8> = (0..32).map(|at| ((block * 32 + at) * 37 % 256) as u8 as i8).collect();
        bytes.extend(block.iter().map(|byte| *byte as u8));
        values.extend(block.iter().map(|byte| scale.to_f32() * f32::from(*byte)));
    }
    (bytes, values)
}

#[test]
fn blocks_of_a_file_are_taken_as_they_are() {
    let (outputs, inputs) = (37, 96);
    let (bytes, values) = blocks(outputs * inputs / 32);
    let input = numbers(8 * inputs, 9);
    let wide = |values: &[f32]| -> Vec<f64> { values.iter().map(|value| f64::from(*value)).collect() };
    let mut builder = Builder::new(Packing::F32, outputs, inputs);
    builder.push(WeightRows::Q8_0(&bytes));
    let got = product(&builder.finish(), &input);
    assert_eq!(got, product(&packed(F32, &values, outputs, inputs), &input));
    for way in ways().into_iter().filter(|way| way.kind == Packing::Q8_0) {
        let mut builder = Builder::by(way, outputs, inputs);
        builder.push(WeightRows::Q8_0(&bytes));
        let got = product(&builder.finish(), &input);
        let loss = loss(&got, &through_q8_0(&input, inputs, false), &wide(&values), inputs, outputs);
        assert!(loss < Q8_0_LOSS, "{loss:e}");
    }
    assert!(Packed::q8_0(&bytes, 1, 40).is_none());
}

#[test]
fn blocks_of_4_bits_are_taken_as_they_are() {
    let bytes: Vec<u8> = (0..2 * 3)
        .flat_map(|block| {
            let halves = (0..16u8).map(move |low| low | (15 - (low + block) % 16) << 4);
            f16::from_f32(0.375 + f32::from(block)).to_le_bytes().into_iter().chain(halves)
        })
        .collect();
    let values = View { name: "w", kind: Kind::Q4_0, shape: &[2, 96], bytes: &bytes }.values();
    let (values, input) = (values.unwrap(), numbers(8 * 96, 23));
    assert_eq!((values[0], values[15], values[16]), (-8.0 * 0.375, 7.0 * 0.375, 7.0 * 0.375));
    for way in ways() {
        let mut builder = Builder::by(way, 2, 96);
        builder.push(WeightRows::Q4_0(&bytes));
        assert_eq!(product(&builder.finish(), &input), product(&packed(way, &values, 2, 96), &input), "{way:?}");
    }
}

/// A number that is no number, or none that can be written, stays in its row and makes all of it unusable.
#[test]
fn what_is_not_finite_comes_out() {
    let (outputs, inputs, rows) = (70, 64, 8);
    let weights: Vec<f32> = numbers(outputs * inputs, 10).iter().map(|value| value + 0.6).collect();
    for way in ways() {
        let weight = packed(way, &weights, outputs, inputs);
        for bad in [f32::NAN, -f32::NAN, f32::from_bits(0x7f80_0001), f32::INFINITY, f32::NEG_INFINITY] {
            for at in [0, 31, 63] {
                let mut input = numbers(rows * inputs, 11);
                let clean = product(&weight, &input);
                input[3 * inputs + at] = bad;
                let got = product(&weight, &input);
                for (row, (got, clean)) in got.chunks(outputs).zip(clean.chunks(outputs)).enumerate() {
                    let right = match (row, way.kind) {
                        (3, Packing::Q8_0 | Packing::Int8) => got.iter().all(|value| value.is_nan()),
                        (3, _) if bad.is_nan() => got.iter().all(|value| value.is_nan()),
                        (3, _) => got.iter().all(|value| *value == bad),
                        _ => got == clean,
                    };
                    assert!(right, "{way:?}, {bad} at {at}: row {row} is {got:?}");
                }
            }
        }
    }
}

#[test]
fn a_weight_that_is_not_finite_comes_out() {
    let (outputs, inputs) = (70, 64);
    for way in ways() {
        for bad in [f32::NAN, f32::INFINITY] {
            let mut weights = numbers(outputs * inputs, 12);
            weights[5 * inputs + 40] = bad;
            let got = product(&packed(way, &weights, outputs, inputs), &numbers(inputs, 13));
            let finite = got.iter().enumerate().filter(|(_, value)| value.is_finite());
            assert!(finite.map(|(at, _)| at).eq((0..outputs).filter(|at| *at != 5)), "{way:?} {bad}: {got:?}");
        }
    }
}

/// The largest numbers, the smallest and none at all.
#[test]
fn extremes_stay_what_they_are() {
    let inputs = 64;
    for way in ways() {
        let weight = packed(way, &vec![1.0; 3 * inputs], 3, inputs);
        for value in [0.0, -0.0, f32::from_bits(1), f32::MIN_POSITIVE / 4.0, 1e-30, 1e30, f32::MAX / 256.0] {
            // The largest subnormal numbers of a whole row are still next to nothing.
            let expected = value * inputs as f32;
            let got = product(&weight, &vec![value; inputs]);
            assert!(
                got.iter().all(|got| (got - expected).abs() <= expected / 100.0 + 1e-35),
                "{way:?} {value}: {got:?}"
            );
        }
    }
}

#[test]
fn nothing_in_is_nothing_out() {
    for way in ways() {
        let weight = packed(way, &numbers(48 * 128, 14), 48, 128);
        assert_eq!(product(&weight, &[]), Vec::<f32>::new());
        assert_eq!((weight.outputs(), weight.inputs()), (48, 128));
        let whole = [
            (Packing::F32, 4096),
            (Packing::Bf16, 2048),
            (Packing::Mixed, 2048),
            (Packing::Q8_0, 1088),
            (Packing::Int8, 1056),
        ];
        let least = whole.iter().find(|(of, _)| *of == way.kind).map(|(_, bytes)| bytes * 48 / 8);
        assert!(Some(weight.bytes()) >= least && weight.bytes() <= 2 * least.unwrap(), "{way:?}");
    }
}

#[test]
#[should_panic(expected = "rows are missing")]
fn missing_rows_are_not_zero() {
    let mut builder = Builder::new(Packing::F32, 4, 8);
    builder.push(WeightRows::F32(&[1.0; 24]));
    builder.finish();
}

#[test]
#[should_panic(expected = "do not fit")]
fn half_a_row_is_refused() {
    Builder::new(Packing::F32, 4, 8).push(WeightRows::F32(&[1.0; 12]));
}

#[test]
#[should_panic(expected = "shapes of a product")]
fn half_a_row_is_not_multiplied() {
    Packed::f32(&[1.0; 32], 4, 8).product(&[1.0; 12], &mut [0.0; 8]);
}
