//! Memory: scratch that threads keep from one call to the next, as fresh pages would cost more time than many a sum;
//! and pages of two megabytes for large buffers, whose rows are kilobytes apart and would each need an entry of the
//! TLB.

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

/// Bytes from which it is worth asking.
const LEAST: usize = 4 << 20;

/// Asks for large pages where `memory` has not been written to yet. It is the same memory with or without them.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
pub fn in_large_pages<T>(memory: &mut [T]) {
    const PAGE: usize = 4096;
    let bytes = size_of_val(memory);
    let start = memory.as_mut_ptr().cast::<u8>();
    let before = start.align_offset(PAGE);
    if bytes >= LEAST && before < bytes {
        // SAFETY: the range begins at a page and ends within the memory that is borrowed; the advice changes no
        // content.
        unsafe { libc::madvise(start.add(before).cast(), (bytes - before) / PAGE * PAGE, libc::MADV_HUGEPAGE) };
    }
}

/// As above, where the system decides by itself.
#[cfg(not(target_os = "linux"))]
pub fn in_large_pages<T>(_: &mut [T]) {}

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
