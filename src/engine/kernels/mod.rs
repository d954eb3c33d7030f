//! The inner loops of a transformer on the CPU.
//!
//! One source for AVX-512, AVX2, NEON and plain code. Every row of an output is the same, bit for bit, whatever else is
//! in the batch and however many threads work on it: the order of a sum depends on nothing but the row's own inputs.

mod attention;
mod exp;
mod norm;
mod pages;
pub mod products;
mod rotary;
mod scratch;
mod swiglu;

pub use attention::{Heads, Rows, Tree, attention};
pub use norm::{add, rms_norm};
pub use pages::in_large_pages;
pub use rotary::{Angles, HeadNorms, norm_and_rotate};
pub use swiglu::swiglu;
