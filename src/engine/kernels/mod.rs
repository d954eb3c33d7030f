//! Where a language model spends its time on a processor without an accelerator: arithmetic on plain slices.

mod products;

pub use products::{Builder, Kind, Packed, Rows};
