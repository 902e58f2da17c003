//! The helper as the engine's team: alone, and with a sign after each part of a pass that it gets on, which the watchdog waits for.
#![allow(unsafe_code, reason = "that threads write apart rests on each having a number of its own")]

use crate::team::Team;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watched;

// SAFETY: one thread has the one number.
unsafe impl Team for Watched {
    fn threads(&self) -> usize {
        1
    }

    fn run(&self, work: &(dyn Fn(usize) + Sync)) {
        work(0);
        libsys::thread::beat();
    }
}
