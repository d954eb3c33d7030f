//! Pages of two megabytes for what is large: rows of an output are kilobytes apart, and each would need a page of its own,
//! more than the processor remembers.

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
        // SAFETY: the range begins at a page and ends within the memory that is borrowed; the advice changes no content.
        unsafe { libc::madvise(start.add(before).cast(), (bytes - before) / PAGE * PAGE, libc::MADV_HUGEPAGE) };
    }
}

/// As above, where the system decides by itself.
#[cfg(not(target_os = "linux"))]
pub fn in_large_pages<T>(_: &mut [T]) {}
