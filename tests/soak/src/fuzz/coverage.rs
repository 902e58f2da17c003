//! Which edges of the program a run took.
//!
//! A build with the compiler's coverage pass (`cargo xtask soak fuzz` makes one, by options that every toolchain has) counts each edge in a
//! byte and tells where those bytes lie before `main`. Counts are looked at as powers of two, so that a loop that runs once more is
//! nothing new and one that runs twice as long is. A build without the pass has no edges, and nothing is ever new.
#![allow(unsafe_code, reason = "the compiler's pass speaks C")]

use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

/// Most separate ranges of counters: one for each object that is linked in as a library of its own.
const MOST_RANGES: usize = 8;

/// A range of counters.
struct Range {
    start: AtomicPtr<u8>,
    length: AtomicUsize,
}

static RANGES: [Range; MOST_RANGES] = [const { Range { start: AtomicPtr::new(std::ptr::null_mut()), length: AtomicUsize::new(0) } }; MOST_RANGES];

/// The pass calls this for every module before `main`; modules of one object name the same range.
// SAFETY: this is the one definition of the name, with the signature that the pass expects (LLVM, SanitizerCoverage, inline 8-bit counters).
#[unsafe(no_mangle)]
extern "C" fn __sanitizer_cov_8bit_counters_init(start: *mut u8, end: *mut u8) {
    let known = |range: &&Range| [std::ptr::null_mut(), start].contains(&range.start.load(Ordering::Relaxed));
    if let Some(range) = RANGES.iter().find(known) {
        range.start.store(start, Ordering::Relaxed);
        range.length.store((end as usize).saturating_sub(start as usize), Ordering::Relaxed);
    }
}

/// Whether this build counts edges.
pub(crate) fn is_there() -> bool {
    RANGES.iter().any(|range| range.length.load(Ordering::Relaxed) != 0)
}

/// Calls `look` with each edge that was taken since the last time, and its count; counts then start from zero.
fn take(mut look: impl FnMut(usize, u8)) {
    let mut first = 0;
    for range in &RANGES {
        let (start, length) = (range.start.load(Ordering::Relaxed), range.length.load(Ordering::Relaxed));
        let mut at = 0;
        while at < length {
            // SAFETY: the pass gave the range, it lives as long as the program, and its bytes may be read by words where they are aligned.
            let counter = unsafe { start.add(at) };
            // SAFETY: as above; eight bytes from an aligned place on are within the range.
            if counter.cast::<u64>().is_aligned() && at + 8 <= length && unsafe { counter.cast::<u64>().read() } == 0 {
                at += 8;
                continue;
            }
            // SAFETY: as above; this thread is the one that runs targets.
            let count = unsafe { counter.replace(0) };
            if count != 0 {
                look(first + at, count);
            }
            at += 1;
        }
        first += length;
    }
}

/// The edges that were ever seen, each with the orders of its counts.
#[derive(Debug, Default)]
pub(crate) struct Seen(Vec<u8>);

impl Seen {
    /// Forgets what was counted so far: it belongs to no input.
    pub(crate) fn clear() {
        take(|_, _| {});
    }

    /// Adds the edges since the last time; whether any was new.
    pub(crate) fn add(&mut self) -> bool {
        let mut new = false;
        take(|edge, count| {
            if edge >= self.0.len() {
                self.0.resize(edge + 1, 0);
            }
            let order = 1 << count.ilog2();
            new |= self.0[edge] & order == 0;
            self.0[edge] |= order;
        });
        new
    }

    /// How many edges were seen.
    pub(crate) fn edges(&self) -> usize {
        self.0.iter().filter(|orders| **orders != 0).count()
    }
}
