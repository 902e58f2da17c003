//! Where things lie in the address space of a native server. The supervisor builds it so; the runtime relies on it.
//!
//! Stacks are a MiB apart and only their top pages are mapped, so an overflow meets an unmapped page, and the stack pointer alone says
//! which thread runs.

use abi::PAGE_SIZE;

/// The program's image.
pub const IMAGE: u64 = 0x40_0000;
/// The heap; its pages come at first touch and go with the instance.
pub const HEAP: u64 = 0x1000_0000_0000;
/// The saved area; its pages come at first touch and outlive the instance.
pub const SAVED: u64 = 0x2000_0000_0000;
/// The service's region: bulk memory that outlives the instance.
pub const REGION: u64 = 0x3000_0000_0000;
/// The root file system's archive, read only, for the server that unpacks it.
pub const ROOTFS: u64 = 0x4000_0000_0000;
/// The start information: a `u32` length, then the postcard value.
pub const START_INFO: u64 = 0x7000_0000_0000;
/// Pages of the start information.
pub const START_INFO_PAGES: u64 = 4;
/// The page of the instance's last log lines.
pub const LOG: u64 = 0x7000_0008_0000;
/// Bytes of that page that are the log's.
pub const LOG_BYTES: u64 = PAGE_SIZE - (MAX_THREADS + 1) * WORD;
/// Behind it a word for each thread: how often it said that it gets on. The supervisor reads those of helpers.
const BEATS: u64 = LOG + LOG_BYTES;
/// The page's last word: how many allocations are left until the one that is to fail; 0 for none. The supervisor alone sets it, in a run with faults.
pub const REFUSAL: u64 = BEATS + MAX_THREADS * WORD;
/// Message page of thread 0; the others follow.
pub const MESSAGE_PAGES: u64 = 0x7000_0010_0000;
/// Bottom of thread 0's stack range.
pub const STACK_BASE: u64 = 0x7100_0000_0000;
/// Distance of the stacks of two threads.
pub const STACK_STRIDE: u64 = 1 << STACK_STRIDE_SHIFT;
/// Pages that are mapped at the top of each stack.
pub const STACK_PAGES: u64 = 32;
/// Most threads of a server; bounded by the reply slots set aside for them.
pub const MAX_THREADS: u64 = 16;

const STACK_STRIDE_SHIFT: u32 = 20;

/// Bytes of a word.
const WORD: u64 = size_of::<u64>() as u64;

/// Address of the word in which a thread counts how often it said that it gets on.
#[must_use]
pub const fn beats(thread: u64) -> u64 {
    BEATS + thread * WORD
}

/// Address of a thread's message page.
#[must_use]
pub const fn message_page(thread: u64) -> u64 {
    MESSAGE_PAGES + thread * PAGE_SIZE
}

/// First address above a thread's stack.
#[must_use]
pub const fn stack_top(thread: u64) -> u64 {
    STACK_BASE + (thread + 1) * STACK_STRIDE
}

/// Lowest mapped address of a thread's stack.
#[must_use]
pub const fn stack_bottom(thread: u64) -> u64 {
    stack_top(thread) - STACK_PAGES * PAGE_SIZE
}

/// Which thread has its stack pointer there; `None` below all stacks: the first process, on the stack that the kernel gave it.
#[must_use]
pub const fn thread_of_stack(stack_pointer: u64) -> Option<u64> {
    match stack_pointer.checked_sub(STACK_BASE) {
        Some(offset) => Some(offset >> STACK_STRIDE_SHIFT),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_THREADS, stack_bottom, stack_top, thread_of_stack};

    #[test]
    fn every_address_of_a_stack_names_its_thread() {
        for thread in 0..MAX_THREADS {
            assert_eq!(thread_of_stack(stack_top(thread) - 8), Some(thread));
            assert_eq!(thread_of_stack(stack_bottom(thread)), Some(thread));
        }
    }

    #[test]
    fn stack_of_the_first_process_is_no_thread_of_a_server() {
        assert_eq!(thread_of_stack(abi::BOOT_STACK_TOP - 8), None);
    }
}
