//! Whether this program is still the one that was started: the sum of its code and constants.
//!
//! What is done twice comes out wrong twice if it is the code that is wrong. A server whose answer ends a program, or that nobody would ever doubt, looks here first.
//! It costs an instruction or two for each word: some hundred microseconds, so it is for answers that are rare.
#![allow(unsafe_code, reason = "reads the program's own image, whose bounds the linker knows")]

use core::ptr::addr_of;
use core::sync::atomic::{AtomicU64, Ordering};

// SAFETY: both are names that the linker defines; only their addresses are used.
unsafe extern "C" {
    /// The first byte of the image, and the first behind its code (GNU ld's names, which LLVM's defines too). What lies between them is never written.
    static __executable_start: u64;
    static etext: u64;
}

/// What it came to when this instance began.
static NOTED: AtomicU64 = AtomicU64::new(0);

fn sum() -> u64 {
    let (start, end) = (addr_of!(__executable_start), addr_of!(etext).addr());
    let words = (end - start.addr()) / size_of::<u64>();
    // SAFETY: the linker puts headers, constants and code there, page by page without a gap, and they are mapped for reading as long as the program runs; the
    // image begins on a page, so words are aligned.
    let words = unsafe { core::slice::from_raw_parts(start, words) };
    words.iter().fold(0, |sum: u64, word| sum.wrapping_add(*word))
}

/// Remembers what the program is, before anything can have changed it.
pub fn note() {
    NOTED.store(sum(), Ordering::Relaxed);
}

/// Looks whether it still is that.
///
/// # Panics
/// If it is not: the successor gets another copy. Also if [`note`] was never called.
pub fn check() {
    assert!(sum() == NOTED.load(Ordering::Relaxed), "a bit of this program is not what it was");
}

#[cfg(test)]
mod tests {
    use super::{NOTED, check, note};
    use core::sync::atomic::Ordering;

    #[test]
    fn program_is_what_it_was_until_it_is_not() {
        note();
        check();
        NOTED.fetch_xor(1 << 6, Ordering::Relaxed);
        assert!(std::panic::catch_unwind(check).is_err());
    }
}
