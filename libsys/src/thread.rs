//! Which thread runs, told from its stack pointer: no register and no thread-local storage is spent on it.
#![allow(unsafe_code, reason = "reads the stack pointer")]

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
