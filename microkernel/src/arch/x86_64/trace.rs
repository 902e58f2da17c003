//! The trace ring's memory, and what a panic says of it.

use core::cell::UnsafeCell;

use abi::TraceRecord;

use crate::klog;

/// Records that are kept: what a busy processor does in some milliseconds.
const RECORDS: usize = 4096;
/// Records that a panic prints.
const LAST: usize = 16;

struct Ring(UnsafeCell<[TraceRecord; RECORDS]>);

// SAFETY: written only through the one reference of `ring`, by who has the kernel's lock; `print_last` only reads.
unsafe impl Sync for Ring {}

static RING: Ring = Ring(UnsafeCell::new([TraceRecord { at: 0, badge: 0, what: 0, word: 0 }; RECORDS]));

/// The ring, for the machine.
///
/// # Safety
/// Taken once, at boot.
pub unsafe fn ring() -> &'static mut [TraceRecord] {
    // SAFETY: there is no other reference, as the caller says.
    unsafe { &mut *RING.0.get() }
}

/// A record as it stands, even while it is written.
fn record(place: usize) -> TraceRecord {
    let first: *const TraceRecord = RING.0.get().cast();
    // SAFETY: within the array; volatile, because a panic may interrupt whoever writes it.
    unsafe { first.add(place % RECORDS).read_volatile() }
}

/// Prints the last records, the newest last, if there are any: time, badge, what, word.
pub fn print_last() {
    let newest = (0..RECORDS).max_by_key(|place| record(*place).at).unwrap_or(0);
    for place in newest + RECORDS + 1 - LAST..=newest + RECORDS {
        let TraceRecord { at, badge, what, word } = record(place);
        if at != 0 {
            klog!("  trace {at} {badge:#x} {what:#x} {word:#x}");
        }
    }
}
