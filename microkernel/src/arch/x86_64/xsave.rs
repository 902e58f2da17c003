//! The FPU's state: XSAVE with x87, SSE and AVX, and nothing else, so that the area has a fixed size.

use core::arch::asm;
use core::arch::x86_64::{__cpuid, __cpuid_count};

/// x87, SSE and AVX (SDM vol. 1, 13.1).
const COMPONENTS: u64 = 7;
/// Bits of MXCSR that the kernel accepts from a program: all that are defined with DAZ.
const MXCSR_MASK: u32 = 0xffff;
/// MXCSR after reset: all exceptions masked.
const MXCSR_INITIAL: u32 = 0x1f80;
const MXCSR_OFFSET: usize = 24;
const HEADER_OFFSET: usize = 512;
const HEADER_END: usize = 576;

#[repr(C, align(64))]
struct Area([u8; abi::XSAVE_BYTES]);

static INITIAL: Area = {
    let mut bytes = [0; abi::XSAVE_BYTES];
    let mxcsr = MXCSR_INITIAL.to_le_bytes();
    bytes[MXCSR_OFFSET] = mxcsr[0];
    bytes[MXCSR_OFFSET + 1] = mxcsr[1];
    Area(bytes)
};

/// Refuses a processor without XSAVE; CR4 would not take its bit.
pub fn check() {
    assert!(__cpuid(1).ecx >> 26 & 1 != 0, "the processor has no XSAVE");
}

/// Enables the components; returns whether AVX is among them.
pub fn enable() -> bool {
    let supported = __cpuid_count(0xd, 0);
    let wanted = COMPONENTS & (u64::from(supported.edx) << 32 | u64::from(supported.eax));
    // SAFETY: CR4.OSXSAVE is set; the value holds only supported components and x87, which is always one.
    unsafe { asm!("xsetbv", in("ecx") 0, in("eax") wanted as u32, in("edx") (wanted >> 32) as u32, options(nomem, nostack, preserves_flags)) }
    wanted == COMPONENTS
}

/// Stores the state.
///
/// # Safety
/// `area` points to [`abi::XSAVE_BYTES`] writable bytes, aligned to 64; CR0.TS is clear.
pub unsafe fn save(area: *mut u8) {
    // SAFETY: by the caller's promise.
    unsafe { asm!("xsave64 [{}]", in(reg) area, in("eax") u32::MAX, in("edx") u32::MAX, options(nostack, preserves_flags)) }
}

/// Loads the initial state.
pub fn restore_initial() {
    // SAFETY: the area is valid, aligned and has an empty header; CR0.TS is clear, as the callers are about to give the FPU away.
    unsafe { load(INITIAL.0.as_ptr()) }
}

/// Loads a stored state; fields that the processor would refuse are cleared first.
///
/// # Safety
/// As for [`save`]; nothing else writes to the area meanwhile.
pub unsafe fn restore(area: *mut u8) {
    // SAFETY: by the caller's promise the bytes are valid and exclusively ours.
    let bytes = unsafe { &mut *area.cast::<[u8; abi::XSAVE_BYTES]>() };
    bytes[HEADER_OFFSET] &= COMPONENTS as u8;
    bytes[HEADER_OFFSET + 1..HEADER_END].fill(0);
    let mxcsr = u32::from_le_bytes([bytes[MXCSR_OFFSET], bytes[MXCSR_OFFSET + 1], bytes[MXCSR_OFFSET + 2], bytes[MXCSR_OFFSET + 3]]);
    bytes[MXCSR_OFFSET..MXCSR_OFFSET + 4].copy_from_slice(&(mxcsr & MXCSR_MASK).to_le_bytes());
    // SAFETY: the area is valid and its header and MXCSR hold nothing reserved.
    unsafe { load(area) }
}

/// # Safety
/// `area` is an XSAVE area in standard form whose header and MXCSR have no reserved bits; CR0.TS is clear.
unsafe fn load(area: *const u8) {
    // SAFETY: by the caller's promise.
    unsafe { asm!("xrstor64 [{}]", in(reg) area, in("eax") u32::MAX, in("edx") u32::MAX, options(nostack, preserves_flags, readonly)) }
}
