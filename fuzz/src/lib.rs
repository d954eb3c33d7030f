//! What the fuzz targets run. `checks` states what must hold; `tests/it/corpus.rs` replays inputs through the same
//! file.

pub mod checks;
mod panics;

/// Runs one check on one input, with an eye on panics that intake would survive.
pub fn run(check: fn(&[u8]), bytes: &[u8]) {
    panics::watch(bytes);
    check(bytes);
}
