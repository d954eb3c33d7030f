//! Products in f32, from one source for registers of any width.

use bytemuck::cast_slice;
use pulp::{Arch, Simd, WithSimd};

use super::tasks::{Task, write};

/// Registers of sums for each row of a tile: with six rows and what is multiplied, they fill those that there are.
const fn registers<S: Simd>() -> usize {
    if S::REGISTER_COUNT >= 32 { 4 } else { 2 }
}

/// Outputs of a panel.
pub(super) fn width() -> usize {
    struct Width;
    impl WithSimd for Width {
        type Output = usize;

        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> usize {
            registers::<S>() * S::F32_LANES
        }
    }
    Arch::new().dispatch(Width)
}

/// The products of a task.
pub(super) struct Products<'a, 'o>(pub(super) Task<'a, 'o>);

impl WithSimd for Products<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if registers::<S>() == 4 { each::<S, 4>(simd, self.0) } else { each::<S, 2>(simd, self.0) }
    }
}

#[inline(always)]
fn each<S: Simd, const N: usize>(simd: S, task: Task) {
    task.each(N * S::F32_LANES, |panel, rows, output, column| {
        let (panel, rows) = (cast_slice(panel), cast_slice(rows));
        match output.len() {
            6 => tile::<S, N, 6>(simd, panel, rows, output, column),
            5 => tile::<S, N, 5>(simd, panel, rows, output, column),
            4 => tile::<S, N, 4>(simd, panel, rows, output, column),
            3 => tile::<S, N, 3>(simd, panel, rows, output, column),
            2 => tile::<S, N, 2>(simd, panel, rows, output, column),
            _ => tile::<S, N, 1>(simd, panel, rows, output, column),
        }
    });
}

/// A tile of `R` rows and `N` registers of outputs. Shapes: `panel` [inputs, width], `rows` [R, inputs].
#[inline(always)]
fn tile<S: Simd, const N: usize, const R: usize>(
    simd: S,
    panel: &[f32],
    rows: &[f32],
    output: &mut [&mut [f32]],
    column: usize,
) {
    let mut sums = [[simd.splat_f32s(0.0); N]; R];
    let (weights, _) = S::as_simd_f32s(panel).0.as_chunks::<N>();
    let inputs = rows.len() / R;
    let weights = &weights[..inputs];
    let mut values = [&[][..]; R];
    for (at, values) in values.iter_mut().enumerate() {
        *values = &rows[at * inputs..][..inputs];
    }
    for input in 0..inputs {
        let weights = &weights[input];
        for row in 0..R {
            let value = simd.splat_f32s(values[row][input]);
            for at in 0..N {
                sums[row][at] = simd.mul_add_e_f32s(value, weights[at], sums[row][at]);
            }
        }
    }
    for (at, row) in output.iter_mut().enumerate().take(R) {
        // A copy: sums of which a slice is taken would lie in memory from the start, and be filled with zeros there.
        let sums = sums[at];
        match row.get_mut(column..column + N * S::F32_LANES) {
            Some(whole) => S::as_mut_simd_f32s(whole).0.iter_mut().zip(sums).for_each(|(to, sum)| *to = sum),
            None => write(cast_slice(&sums), row, column),
        }
    }
}
