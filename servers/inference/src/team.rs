//! Who does the work: threads that the library's user brings, since on bare metal and on a host they are different things.

/// Some threads.
pub trait Team: Sync {
    /// How many there are; at least one.
    fn threads(&self) -> usize;

    /// Has each thread do `work` with its own number, counted from 0, and returns when all are done.
    fn run(&self, work: &(dyn Fn(usize) + Sync));
}

/// The caller alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alone;

impl Team for Alone {
    fn threads(&self) -> usize {
        1
    }

    fn run(&self, work: &(dyn Fn(usize) + Sync)) {
        work(0);
    }
}
