//! What stands in for `avx512.rs` on processors of other makes: nothing is there, and nothing is called.

use super::tasks::Task;

/// Of no panel.
pub(super) const BF16_WIDTH: usize = 1;
/// Of no panel.
pub(super) const Q8_0_WIDTH: usize = 2;

/// Never.
pub(super) fn has_bf16() -> bool {
    false
}

/// Never.
pub(super) fn has_vnni() -> bool {
    false
}

/// Does nothing, as no weight of this kind can be made.
pub(super) fn bf16(_: Task) {}

/// Does nothing, as no weight of this kind can be made.
pub(super) fn q8_0(_: Task) {}
