//! What stands in for `amx.rs` elsewhere: nothing is there, and nothing is called.

use super::tasks::Task;

/// Of no tile.
pub(super) const ROWS: usize = 1;
/// Of no panel.
pub(super) const WIDTH: usize = 2;

/// Never.
pub(super) fn is_available() -> bool {
    false
}

/// Does nothing, as no weight of this kind can be made.
pub(super) fn bf16(_: Task, _: usize) {}

/// Does nothing, as no weight of this kind can be made.
pub(super) fn q8_0(_: Task) {}
