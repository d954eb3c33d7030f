//! Memory of activations that goes from one layer to the next.
//!
//! A tensor of the processor is a vector that candle frees when the tensor goes, and a new one would have to be filled with
//! zeros, by one thread, before a kernel writes to it: with tiles, as long as the product itself.

use std::sync::{Mutex, PoisonError};

use candle_core::{CpuStorage, InplaceOp1, Layout, Result, Tensor};

use super::kernels::in_large_pages;

/// Vectors that nobody uses, and how many of them are kept.
static FREE: Mutex<Vec<Vec<f32>>> = Mutex::new(Vec::new());
const MOST: usize = 8;

/// So many numbers of unknown value, to be written to.
pub(super) fn fresh(length: usize) -> Vec<f32> {
    let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
    // The smallest that is large enough.
    let fitting = free.iter().enumerate().filter(|(_, vector)| vector.capacity() >= length);
    let at = fitting.min_by_key(|(_, vector)| vector.capacity()).map(|(at, _)| at);
    let Some(mut vector) = at.map(|at| free.swap_remove(at)) else {
        drop(free);
        let mut vector = vec![0.0; length];
        in_large_pages(&mut vector);
        return vector;
    };
    vector.resize(length, 0.0);
    vector
}

/// Takes back the memory of a tensor that is not needed any more and shares it with no other.
pub(super) fn spent(tensor: Tensor) -> Result<()> {
    if tensor.device().is_cpu() { tensor.inplace_op1(&Take) } else { Ok(()) }
}

struct Take;

impl InplaceOp1 for Take {
    fn name(&self) -> &'static str {
        "take"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, _: &Layout) -> Result<()> {
        if let CpuStorage::F32(vector) = storage {
            let vector = std::mem::take(vector);
            let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
            free.push(vector);
            if free.len() > MOST {
                // The smallest is the least loss.
                let least = free.iter().enumerate().min_by_key(|(_, vector)| vector.capacity()).map(|(at, _)| at);
                least.map(|at| free.swap_remove(at));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn memory_comes_back_as_long_as_it_is_wanted() {
        let tensor = Tensor::from_vec(vec![3.0f32; 70_001], (1, 70_001), &Device::Cpu).unwrap();
        spent(tensor).unwrap();
        for length in [70_001, 0, 5, 100_000] {
            let vector = fresh(length);
            assert_eq!(vector.len(), length);
        }
        for length in 0..3 * MOST {
            spent(Tensor::from_vec(vec![0f32; length], length, &Device::Cpu).unwrap()).unwrap();
        }
        assert!(FREE.lock().unwrap().len() <= MOST);
    }
}
