//! Long work on a helper thread: the receiver only says how much, and answers on.
//!
//! The helper runs at its own priority, below the receiver's, so it works while nobody asks for anything. The two share two counters and a
//! notification; what they share is volatile, and a helper dies with its instance as every thread does.

use core::sync::atomic::{AtomicU64, Ordering};

use libsys::{slot, syscall};
use protocols::victim::Worker;

use crate::Victim;

/// Rounds of the loop that stand for a unit of work: long enough that a call comes in between.
const SPINS: u32 = 50_000;

/// Work to do and work done.
#[derive(Debug, Default)]
pub struct Work {
    wanted: AtomicU64,
    done: AtomicU64,
}

impl Work {
    /// None.
    #[must_use]
    pub const fn new() -> Self {
        Self { wanted: AtomicU64::new(0), done: AtomicU64::new(0) }
    }

    /// Wants `units` more.
    pub fn add(&self, units: u64) {
        self.wanted.fetch_add(units, Ordering::Relaxed);
    }

    /// How much is done.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Does one unit; `false` when there is none to do. For one helper: two would do the last unit twice.
    pub fn step(&self) -> bool {
        if self.done() >= self.wanted.load(Ordering::Relaxed) {
            return false;
        }
        (0..SPINS).for_each(|_| core::hint::spin_loop());
        self.done.fetch_add(1, Ordering::Relaxed);
        true
    }
}

/// The instance's.
pub static WORK: Work = Work::new();

impl Worker for Victim<'_> {
    fn work(&mut self, units: u64) -> u64 {
        let done = WORK.done();
        WORK.add(units);
        // Signalled even for none: a helper that wakes for nothing waits again.
        if let Err(error) = syscall::signal(slot::NOTIFICATION, 1) {
            libsys::log!("the helper cannot be woken: {error:?}");
        }
        done
    }
}

/// The helper thread: works while there is work, and waits for the receiver's signal.
///
/// # Panics
/// When the kernel refuses to wait: the server was wired wrongly.
pub fn run(_thread: u64) -> ! {
    loop {
        while WORK.step() {
            libsys::thread::beat();
        }
        if let Err(error) = syscall::wait(slot::NOTIFICATION) {
            panic!("the helper cannot wait: {error:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Work;

    #[test]
    fn helper_does_what_is_wanted_and_no_more() {
        let work = Work::new();
        assert!(!work.step());
        work.add(3);
        assert_eq!((0..9).filter(|_| work.step()).count(), 3);
        assert_eq!(work.done(), 3);
    }
}
