//! The inner loops of a transformer on the CPU.
//!
//! One source for AVX-512, AVX2, NEON and plain code. Every row of an output is the same, bit for bit, whatever else is
//! in the batch and however many threads work on it: the order of a sum depends on nothing but the row's own inputs.

mod activation;
mod attention;
mod exp;
mod memory;
mod norm;
pub mod products;
mod rotary;
mod swiglu;

pub use activation::{Activation, activate};
pub use attention::{Heads, Mask, StridedRows, Tree, attention};
pub use memory::in_large_pages;
pub use norm::{add, add_bias, layer_norm, rms_norm};
pub use rotary::{Angles, HeadNorms, norm_and_rotate};
pub use swiglu::swiglu;
