//! Who does the work: threads that the library's user brings, since on bare metal and on a host they are different things.
#![allow(unsafe_code, reason = "that threads write apart rests on each having a number of its own")]

/// Some threads.
///
/// # Safety
/// [`Team::threads`] never changes. [`Team::run`] gives each number below it to one thread, none to two at the same time, and returns only when all are done and what
/// they wrote is seen by the caller: threads write parts of one buffer that follow from their numbers.
pub unsafe trait Team: Sync {
    /// How many there are; at least one.
    fn threads(&self) -> usize;

    /// Has each thread do `work` with its own number, counted from 0, and returns when all are done.
    fn run(&self, work: &(dyn Fn(usize) + Sync));
}

/// The caller alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alone;

// SAFETY: one thread has the one number.
unsafe impl Team for Alone {
    fn threads(&self) -> usize {
        1
    }

    fn run(&self, work: &(dyn Fn(usize) + Sync)) {
        work(0);
    }
}
