//! Finding threads that do not come to an end with one request.
//!
//! By the kernel's counters, not by asking: a heartbeat misses one hung thread of four and accuses a busy one. A thread that is found runnable in
//! sample after sample, with the same request in hand and without having made a call in between, is on a streak; any other sample ends it. A
//! streak longer than the limit is a hang. So a server that waits, or goes from request to request, is never accused, however busy it is.
//!
//! Why not its time on the processor: that is charged to whoever it works for. A server is kept from the processor only by servers of higher
//! priority, and those do not run for seconds without being accused themselves.

use protocols::manifest::MAX_THREADS;

use crate::kernel::Counters;

/// Seconds between samples: the one timer of a quiet machine.
pub const SAMPLE_SECONDS: u64 = 1;
/// Samples in a row that are a hang. Generous, because under emulation a guest second is a host second.
pub const LIMIT: u32 = 5;
/// The same for an instance that is not up yet: it may have a file system to unpack.
pub const STARTING_LIMIT: u32 = 60;

/// A thread's last sample.
#[derive(Clone, Copy, Debug, Default)]
struct Sample {
    last: Counters,
    streak: u32,
}

/// The samples of an instance's threads.
#[derive(Clone, Copy, Debug, Default)]
pub struct Watch {
    samples: [Sample; MAX_THREADS as usize],
}

impl Watch {
    /// Takes a sample of a thread. `true` when its streak has reached `limit`.
    pub fn sample(&mut self, thread: usize, now: Counters, limit: u32) -> bool {
        let Some(sample) = self.samples.get_mut(thread) else { return false };
        sample.streak = if now.runnable && now == sample.last { sample.streak.saturating_add(1) } else { 0 };
        sample.last = now;
        sample.streak >= limit
    }
}

#[cfg(test)]
mod tests {
    use super::Watch;
    use crate::kernel::Counters;

    fn samples(all: impl IntoIterator<Item = Counters>) -> Vec<bool> {
        let mut watch = Watch::default();
        all.into_iter().map(|counters| watch.sample(0, counters, 5)).collect()
    }

    #[test]
    fn thread_that_runs_on_one_request_is_hung_after_the_limit() {
        let hung = samples([Counters { runnable: true, request: 7, calls: 0 }; 9]);
        assert_eq!(hung.iter().position(|hung| *hung), Some(5));
    }

    #[test]
    fn thread_that_goes_from_request_to_request_is_not() {
        assert!(!samples((0..100).map(|tick| Counters { runnable: true, request: tick, calls: 0 })).contains(&true));
    }

    #[test]
    fn thread_that_waits_now_and_then_is_not() {
        assert!(!samples((0..100).map(|tick| Counters { runnable: tick % 4 != 0, request: 7, calls: 0 })).contains(&true));
    }

    #[test]
    fn thread_that_makes_calls_is_not() {
        assert!(!samples((0..100).map(|tick| Counters { runnable: true, request: 7, calls: tick })).contains(&true));
    }
}
