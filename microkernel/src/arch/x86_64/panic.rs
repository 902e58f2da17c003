//! A panic of the kernel: what, where from, and the end.

use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::{exit, trace};
use crate::klog;

/// Frames that a backtrace shows at most.
const DEPTH: usize = 24;
/// Lowest address of the kernel's half: a frame pointer below it ends the backtrace.
const KERNEL_HALF: u64 = 0xffff_8000_0000_0000;

static PANICKING: AtomicBool = AtomicBool::new(false);
/// Where the boot loader put the kernel: subtracted from addresses, so that they are those of the file.
pub static IMAGE_OFFSET: AtomicU64 = AtomicU64::new(0);

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    if PANICKING.swap(true, Ordering::SeqCst) {
        exit::fail();
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
