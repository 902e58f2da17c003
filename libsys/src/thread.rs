//! Which thread runs, told from its stack pointer: no register and no thread-local storage is spent on it. And how a
//! helper says that it gets on.
#![allow(unsafe_code, reason = "reads the stack pointer, and writes to a page that the supervisor mapped")]

use crate::layout;

/// The running thread's index; 0 for the first process, which runs on the stack that the kernel gave it.
#[must_use]
pub fn index() -> u64 {
    layout::thread_of_stack(stack_pointer()).unwrap_or(0)
}

/// Address of the running thread's message page.
#[must_use]
#[inline]
pub fn message_page() -> u64 {
    match layout::thread_of_stack(stack_pointer()) {
        Some(thread) => layout::message_page(thread),
        None => abi::BOOT_MESSAGE_PAGE,
    }
}

/// Says that the running thread, a helper, gets on: it did some of its work. `helper_watchdog_ms` in the manifest says how long it may compute without.
#[cfg(target_os = "none")]
#[inline]
pub fn beat() {
    let Some(thread) = layout::thread_of_stack(stack_pointer()).filter(|thread| *thread < layout::MAX_THREADS) else { return };
    // SAFETY: the supervisor maps this page, zeroed and writable, for the life of every instance that it starts, and only such have threads with these stacks;
    // the word is aligned, and every access to it is atomic.
    let beats = unsafe { &*core::ptr::with_exposed_provenance::<core::sync::atomic::AtomicU64>(layout::beats(thread) as usize) };
    beats.fetch_add(1, core::sync::atomic::Ordering::Relaxed);
}

/// On the host nobody watches.
#[cfg(not(target_os = "none"))]
pub const fn beat() {}

#[cfg(target_os = "none")]
#[inline]
fn stack_pointer() -> u64 {
    let stack_pointer: u64;
    // SAFETY: only copies a register.
    unsafe { core::arch::asm!("mov {}, rsp", out(reg) stack_pointer, options(nomem, nostack, preserves_flags)) };
    stack_pointer
}

/// On the host every thread counts as thread 0.
#[cfg(not(target_os = "none"))]
fn stack_pointer() -> u64 {
    layout::stack_top(0) - 8
}
