//! Memory that goes back and forth between the layers stays with the program.
//!
//! The C library hands large pieces back to the kernel when they are freed and gets them anew, page by page and zeroed, for
//! the next layer: a sixth of the time of a pass on the processor.

/// Keeps freed memory for the next layer. Where the C library is another than glibc nothing happens.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code)]
pub(super) fn keep_freed_memory() {
    /// The largest threshold that glibc takes.
    const LARGEST: i32 = 32 * 1024 * 1024;
    // SAFETY: mallopt changes how later allocations are served, and nothing about those that are there. It takes numbers
    // and is safe to call from any thread.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGEST);
        libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
    }
}

/// As above.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(super) fn keep_freed_memory() {}
