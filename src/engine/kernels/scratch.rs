//! Memory that threads keep from one call to the next: fresh pages would cost more time than many a sum.

use std::cell::RefCell;

/// Bytes of a cache line: a vector that crosses two takes twice as long to load.
const LINE: usize = 64;

thread_local! {
    static FREE: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// Lends `length` numbers of unknown value that begin at a cache line. Calls may be nested.
pub(super) fn with_scratch<R>(length: usize, work: impl FnOnce(&mut [f32]) -> R) -> R {
    let padding = LINE / size_of::<f32>();
    let mut memory = FREE.with_borrow_mut(Vec::pop).unwrap_or_default();
    if memory.len() < length + padding {
        memory = vec![0.0; length + padding];
    }
    let start = memory.as_ptr().align_offset(LINE).min(padding);
    let result = work(&mut memory[start..][..length]);
    FREE.with_borrow_mut(|free| free.push(memory));
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_loans_are_apart_and_aligned() {
        for length in [1, 1000, 10] {
            with_scratch(length, |outer| {
                outer.fill(1.0);
                with_scratch(2 * length, |inner| {
                    assert_eq!((inner.len(), inner.as_ptr() as usize % LINE), (2 * length, 0));
                    inner.fill(2.0);
                });
                assert_eq!((outer.len(), outer.as_ptr() as usize % LINE), (length, 0));
                assert!(outer.iter().all(|&value| value == 1.0));
            });
        }
    }
}
