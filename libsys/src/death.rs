//! The ways to die in the machine. Each is what a real bug would do, not a request to be killed.
//!
//! They are in every server, so that the supervisor can let any of them die: it starts a stopped thread anew at the entry, with [`argument`] where a
//! thread's number stands. Nothing but the supervisor can set a server's registers, so this arms nothing by itself.
#![allow(unsafe_code, reason = "a wild write is the point")]

use core::hint::black_box;

use protocols::victim::How;

/// An address that no window covers.
const WILD_ADDRESS: usize = 0x6666_0000_0000;
/// Bytes that each level of the recursion takes: less than a page, so that the guard page is hit and not jumped over.
const FRAME_BYTES: usize = 1024;

/// First argument of the entry that asks for a death: no thread has such a number.
const ASKED: u64 = 1 << 32;

/// The entry's argument for a death.
#[must_use]
pub const fn argument(how: How) -> u64 {
    ASKED | how as u64
}

/// The death that an entry's argument asks for.
pub(crate) fn asked_by(argument: u64) -> Option<How> {
    [How::Panic, How::Wild, How::Overflow, How::Hang].into_iter().find(|how| self::argument(*how) == argument)
}

/// Dies.
///
/// # Panics
/// When that is the way to die.
pub fn die(how: How) {
    match how {
        How::Panic => panic!("asked to panic"),
        How::Wild => wild(),
        How::Overflow => {
            black_box(overflow(1));
        }
        How::Hang => hang(),
    }
}

/// Works for ever. A hint that it only waits would be no more real, and emulators leave their fast path for each one.
fn hang() -> ! {
    let mut count = 0u64;
    loop {
        count = black_box(count.wrapping_add(1));
    }
}

fn wild() {
    let pointer = core::ptr::without_provenance_mut::<u64>(WILD_ADDRESS);
    // SAFETY: none: nothing is mapped there, so the store faults and this instance ends, which is what the caller asked for.
    unsafe { pointer.write_volatile(1) }
}

/// Never gets to its end: the depth wraps only after more levels than any stack has.
#[inline(never)]
#[allow(unconditional_recursion, reason = "the overflow is the point")]
fn overflow(depth: u64) -> u64 {
    let frame = black_box([depth as u8; FRAME_BYTES]);
    let deeper = overflow(depth.wrapping_add(1));
    black_box(&frame);
    deeper.wrapping_add(1)
}

#[cfg(test)]
mod tests {
    use super::{argument, asked_by};
    use crate::layout::MAX_THREADS;
    use protocols::victim::How;

    #[test]
    fn no_thread_is_asked_to_die_by_its_number() {
        assert!((0..MAX_THREADS).all(|thread| asked_by(thread).is_none()));
        for how in [How::Panic, How::Wild, How::Overflow, How::Hang] {
            assert_eq!(asked_by(argument(how)), Some(how));
        }
    }
}
