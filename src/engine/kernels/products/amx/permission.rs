//! Whether there are tiles, and whether this process may use them.

use std::arch::x86_64::*;
use std::sync::OnceLock;

/// Whether the processor has tiles of bf16 and of bytes, and the system lets this process use them.
pub(in super::super) fn is_available() -> bool {
    static AVAILABLE: OnceLock<bool> = OnceLock::new();
    *AVAILABLE.get_or_init(|| has_tiles() && is_x86_feature_detected!("avx512f") && is_permitted())
}

/// What the processor and the system say: leaf 7 names the instructions, and register 0 of XGETBV what the system saves
/// when it turns to another thread.
#[allow(unsafe_code)]
fn has_tiles() -> bool {
    const AMX_BF16: u32 = 1 << 22;
    const AMX_TILE: u32 = 1 << 24;
    const AMX_INT8: u32 = 1 << 25;
    const OSXSAVE: u32 = 1 << 27;
    /// The configuration of tiles, and their contents.
    const STATE: u64 = 0b11 << 17;
    if __cpuid(0).eax < 7 || __cpuid(1).ecx & OSXSAVE == 0 {
        return false;
    }
    // SAFETY: OSXSAVE says that there is XGETBV.
    let saved = unsafe { _xgetbv(0) };
    let wanted = AMX_BF16 | AMX_TILE | AMX_INT8;
    __cpuid_count(7, 0).edx & wanted == wanted && saved & STATE == STATE
}

/// Linux keeps tiles from processes that do not ask for them: saving them takes 8 KiB for each thread. See
/// <https://docs.kernel.org/arch/x86/xstate.html>.
#[allow(unsafe_code)]
fn is_permitted() -> bool {
    const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
    const XTILEDATA: libc::c_long = 18;
    // SAFETY: the call takes two numbers and changes nothing but what the process may do.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XTILEDATA) == 0 }
}
