//! A panic of the kernel: what, where from, and the end.

use core::arch::x86_64::__cpuid;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::{exit, trace};
use crate::klog;

/// Frames that a backtrace shows at most.
const DEPTH: usize = 24;
/// Lowest address of the kernel's half: a frame pointer below it ends the backtrace.
const KERNEL_HALF: u64 = 0xffff_8000_0000_0000;

/// Which processor panics: its local APIC id, by CPUID, because nothing else can be relied upon any more.
static PANICKING: AtomicU32 = AtomicU32::new(NOBODY);
const NOBODY: u32 = u32::MAX;
/// Where the boot loader put the kernel: subtracted from addresses, so that they are those of the file.
pub static IMAGE_OFFSET: AtomicU64 = AtomicU64::new(0);

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let own = __cpuid(1).ebx >> 24;
    match PANICKING.compare_exchange(NOBODY, own, Ordering::SeqCst, Ordering::SeqCst) {
        Ok(_) => {}
        Err(first) if first == own => exit::fail(),
        // The first one's report is the one to read.
        Err(_) => exit::halt(),
    }
    klog!("kernel panic: {info}");
    backtrace();
    trace::print_last();
    exit::fail();
}

/// Prints return addresses, relative to the kernel's file, one a line: `  at 0x1234`.
fn backtrace() {
    let offset = IMAGE_OFFSET.load(Ordering::Relaxed);
    let mut frame: u64;
    // SAFETY: reads a register.
    unsafe { core::arch::asm!("mov {}, rbp", out(reg) frame, options(nomem, nostack, preserves_flags)) }
    for _ in 0..DEPTH {
        if frame < KERNEL_HALF || !frame.is_multiple_of(8) {
            return;
        }
        // SAFETY: the kernel keeps frame pointers, so in its half this is a frame on its own stack: saved frame pointer, then return address.
        let (next, address) = unsafe { (*(frame as *const u64), *((frame + 8) as *const u64)) };
        klog!("  at {:#x}", address.wrapping_sub(offset));
        if next <= frame {
            return;
        }
        frame = next;
    }
}
