//! How much the kernel does between two preemption points.
//!
//! Nothing here believes the kernel's own counts: each object, entry, slot and record of a page is reached by a call of
//! [`crate::Machine::resolve`] or [`crate::Machine::page_info`], and what is done in one piece is told by its bytes. All states of the meter are alike to
//! a model that compares machines.

use std::hash::{Hash, Hasher};

use crate::page::PAGE_BYTES;

/// Most accesses between two points: 512 entries, and of each the entry itself, the one that it is copied from, and the records of its page.
const MOST_ACCESSES: u64 = 10 * abi::BUDGET_PAGES;
/// Most bytes: a page, and what a message or a fault moves beside it.
const MOST_BYTES: u64 = PAGE_BYTES as u64 + 512;

/// What was done since the last point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Objects, entries and records reached.
    pub accesses: u64,
    /// Bytes zeroed, copied or looked through in one piece.
    pub bytes: u64,
}

/// Counts work, and lets an interrupt wait from some point on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Meter {
    running: bool,
    now: Work,
    /// The most of each between two points so far.
    pub most: Work,
    /// Points of the present or last trap.
    pub points: u64,
    /// After how many points of a trap an interrupt comes, which waits until its end; 0 for never.
    pub interrupt_at: u64,
    /// How often a processor was interrupted by another.
    pub ipis: u64,
}

impl Hash for Meter {
    fn hash<H: Hasher>(&self, _state: &mut H) {}
}

impl Meter {
    /// A trap begins.
    pub(super) fn begin(&mut self) {
        (self.running, self.now, self.points) = (true, Work::default(), 0);
    }

    /// A trap ends.
    pub(super) fn end(&mut self) {
        self.settle();
        self.running = false;
    }

    pub(super) fn accessed(&mut self) {
        self.now.accesses += u64::from(self.running);
    }

    pub(super) fn touched(&mut self, bytes: usize) {
        if self.running {
            self.now.bytes += bytes as u64;
        }
    }

    /// The kernel asks whether an interrupt waits.
    pub(super) fn point(&mut self) -> bool {
        self.settle();
        self.points += 1;
        self.interrupt_at != 0 && self.points >= self.interrupt_at
    }

    /// The work up to here is within its bounds.
    fn settle(&mut self) {
        let work = std::mem::take(&mut self.now);
        assert!(work.accesses <= MOST_ACCESSES && work.bytes <= MOST_BYTES, "too much between two preemption points: {work:?}");
        self.most = Work { accesses: self.most.accesses.max(work.accesses), bytes: self.most.bytes.max(work.bytes) };
    }
}
