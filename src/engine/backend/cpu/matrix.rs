//! Activations on the CPU, whose memory goes from one layer to the next.
//!
//! A fresh vector would have to be filled with zeros, by one thread, before a kernel writes to it: with AMX, as long as
//! the product itself.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

use crate::engine::kernels::in_large_pages;

/// Vectors that nobody uses.
pub(super) type Pool = Mutex<Vec<Vec<f32>>>;
/// How many of them are kept.
const MOST: usize = 8;

/// Numbers of one owner. Shape: [rows, width]. Dropped, their memory goes back to the pool.
pub(crate) struct Matrix {
    /// At least as many as there are.
    values: Vec<f32>,
    rows: usize,
    width: usize,
    pool: Arc<Pool>,
}

impl Matrix {
    /// Numbers of unknown value, to be written to.
    pub(super) fn new(pool: &Arc<Pool>, rows: usize, width: usize) -> Self {
        let length = rows * width;
        let mut free = pool.lock().unwrap_or_else(PoisonError::into_inner);
        // The smallest that is large enough.
        let fitting = free.iter().enumerate().filter(|(_, values)| values.len() >= length);
        let at = fitting.min_by_key(|(_, values)| values.len()).map(|(at, _)| at);
        let values = at.map(|at| free.swap_remove(at));
        drop(free);
        let values = values.unwrap_or_else(|| {
            let mut values = vec![0.0; length];
            in_large_pages(&mut values);
            values
        });
        Self { values, rows, width, pool: pool.clone() }
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn width(&self) -> usize {
        self.width
    }

    pub(super) fn row(&self, row: usize) -> &[f32] {
        &self[row * self.width..][..self.width]
    }
}

impl Deref for Matrix {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.values[..self.rows * self.width]
    }
}

impl DerefMut for Matrix {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.values[..self.rows * self.width]
    }
}

impl Drop for Matrix {
    fn drop(&mut self) {
        let mut free = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        free.push(std::mem::take(&mut self.values));
        if free.len() > MOST {
            // The smallest is the least loss.
            let least = free.iter().enumerate().min_by_key(|(_, values)| values.len()).map(|(at, _)| at);
            least.map(|at| free.swap_remove(at));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_comes_back_as_long_as_it_is_wanted() {
        let pool = Arc::default();
        drop(Matrix::new(&pool, 1, 70_001));
        for (rows, width) in [(7, 10_000), (0, 3), (1, 5), (10, 10_000)] {
            let mut matrix = Matrix::new(&pool, rows, width);
            matrix.fill(1.0);
            assert_eq!((matrix.len(), matrix.rows(), matrix.width()), (rows * width, rows, width));
        }
        let many: Vec<Matrix> = (0..3 * MOST).map(|length| Matrix::new(&pool, 1, length)).collect();
        assert!(pool.lock().unwrap().len() <= 2);
        drop(many);
        assert_eq!(pool.lock().unwrap().len(), MOST);
    }
}
