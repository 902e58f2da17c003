//! What one processor does for another, which holds the lock and waits.
//!
//! A duty is done wherever its processor is when it finds out, but never inside the kernel: by the interrupt that comes with it, or while it waits for the
//! lock. So nothing here looks at the kernel's state. The protocol is [`smp`]'s.

use core::arch::asm;
use core::sync::atomic::AtomicU64;

use x86_64::registers::control::{Cr0, Cr0Flags};

use super::{entry, processors, xsave};
use crate::endpoint::MAX_CPUS;
use crate::machine::Duty;
use crate::{smp, wrap};

/// What stands for the duties that have no argument. A place for the FPU's state is a higher number.
const FORGET: u64 = 1;
const UNLOAD: u64 = 2;

static POSTED: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];

/// Gives another processor a duty.
pub fn post(processor: usize, duty: Duty) {
    let code = match duty {
        Duty::Forget => FORGET,
        Duty::Unload => UNLOAD,
        Duty::StoreFpu(address) => address,
    };
    smp::post(wrap::at(&POSTED, processor), code);
}

/// Waits until that one has done it.
pub fn await_done(processor: usize) {
    smp::await_done(wrap::at(&POSTED, processor));
}

/// Does what this processor was given to do, if anything.
pub fn perform() {
    smp::perform(wrap::at(&POSTED, entry::processor()), |duty| match duty {
        FORGET => forget(),
        UNLOAD => load_root(processors::kernel_root()),
        address => store_fpu(address),
    });
}

fn forget() {
    let root: u64;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, cr3", out(reg) root, options(nomem, nostack, preserves_flags)) }
    load_root(root);
}

fn load_root(root: u64) {
    // SAFETY: the table that is loaded, or the kernel's own: both have the kernel's half.
    unsafe { asm!("mov cr3, {}", in(reg) root, options(nostack, preserves_flags)) }
}

/// Stores the registers, whoever runs: CR0.TS is afterwards as it was.
fn store_fpu(address: u64) {
    let before = Cr0::read();
    // SAFETY: CR0.TS only decides whether FPU instructions trap; the kernel posts the XSAVE area of the thread's frame whose registers these are.
    unsafe {
        Cr0::write(before.difference(Cr0Flags::TASK_SWITCHED));
        xsave::save(address as *mut u8);
        Cr0::write(before);
    }
}
