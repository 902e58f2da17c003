//! The ways to die in the machine. Each is what a real bug would do, not a request to be killed.
#![allow(unsafe_code, reason = "a wild write is the point")]

use core::hint::black_box;

use protocols::victim::How;

use crate::Death;

/// An address that no window covers.
const WILD_ADDRESS: usize = 0x6666_0000_0000;
/// Bytes that each level of the recursion takes: less than a page, so that the guard page is hit and not jumped over.
const FRAME_BYTES: usize = 1024;

/// Dies for real.
#[derive(Debug, Default)]
pub struct Real;

impl Death for Real {
    fn die(&mut self, how: How) {
        match how {
            How::Panic => panic!("the victim was asked to panic"),
            How::Wild => wild(),
            How::Overflow => {
                black_box(overflow(1));
            }
            How::Hang => loop {
                core::hint::spin_loop();
            },
        }
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
