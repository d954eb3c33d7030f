//! The tiles of a thread, and what they are shaped for.

use std::arch::asm;
use std::marker::PhantomData;

use super::{LANES, ROWS, is_available};

/// Shapes of the eight tiles, as LDTILECFG reads them.
#[repr(C, align(64))]
pub(super) struct Shapes {
    palette: u8,
    start: u8,
    reserved: [u8; 14],
    /// Bytes of a row of each tile.
    bytes: [u16; 16],
    rows: [u8; 16],
}

/// Sums are tiles 0 to 3, rows 4 and 5, weights 6 and 7.
const fn shapes(row_bytes: u16, weight_rows: u8) -> Shapes {
    let (sum, row, weight) = (4 * LANES as u16, row_bytes, 4 * LANES as u16);
    let rows = ROWS as u8;
    Shapes {
        palette: 1,
        start: 0,
        reserved: [0; 14],
        bytes: [sum, sum, sum, sum, row, row, weight, weight, 0, 0, 0, 0, 0, 0, 0, 0],
        rows: [rows, rows, rows, rows, rows, rows, weight_rows, weight_rows, 0, 0, 0, 0, 0, 0, 0, 0],
    }
}

/// What tiles are shaped for. The instructions read and write as many bytes as the shapes say, not as their names do.
pub(super) trait Shape {
    /// For a block of inputs.
    const SHAPES: &'static Shapes;
}

/// Sixteen words of every row: 32 inputs of bf16, or 64 bytes.
pub(super) struct Whole;

impl Shape for Whole {
    const SHAPES: &'static Shapes = &shapes(64, 16);
}

/// Blocks of 32 bytes, each with scales of its own.
pub(super) struct Bytes;

impl Shape for Bytes {
    const SHAPES: &'static Shapes = &shapes(32, 8);
}

/// The tiles of this thread, shaped for `S`; they stay on it. Dropped, they are free, and the system has nothing to
/// save.
pub(super) struct Tiles<S> {
    shape: PhantomData<*const S>,
}

impl<S: Shape> Tiles<S> {
    /// # Safety
    /// This thread must have no other `Tiles` as long as these live: its registers have one shape at a time.
    ///
    /// # Panics
    /// Without [`is_available`].
    #[allow(unsafe_code)]
    pub(super) unsafe fn shaped() -> Self {
        assert!(is_available());
        // SAFETY: the CPU has tiles and the process may use them; the shapes are ones that palette 1 allows.
        unsafe { asm!("ldtilecfg [{}]", in(reg) S::SHAPES, options(nostack, readonly, preserves_flags)) };
        Self { shape: PhantomData }
    }
}

impl<S> Drop for Tiles<S> {
    #[allow(unsafe_code)]
    fn drop(&mut self) {
        // SAFETY: as there are `Tiles`, the CPU has the instruction.
        unsafe { asm!("tilerelease", options(nomem, nostack, preserves_flags)) };
    }
}
