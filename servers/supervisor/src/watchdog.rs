//! Finding servers that do not get on.
//!
//! By the kernel's counters, not by asking: a heartbeat misses one hung thread of four and accuses a busy one. Each sample compares a thread with the
//! one before. It *stands still* when it has a request in hand, or runs without one although it is there to receive, and has since received and
//! called nothing. A helper may run for as long as it likes. A thread that waits for another server's answer is never accused: that server is watched
//! itself, and one that is held is being restarted. Whether it has received is told by the time, not by the request's number: all page faults of one request
//! share a number, and a program may do nothing else for seconds. A service stands still as a whole when callers queue, nobody receives, and no thread has received
//! or called anything since the last sample. Standing still for as long as the service's `watchdog_ms` says is a hang.
//!
//! Why not a thread's time on the processor: that is charged to whoever it works for. So a thread that could run and does not cannot be told from one that runs
//! in circles. But it is kept from the processor only by servers of higher priority, so a sample does not count while one of those stands still itself and
//! does not wait: that is the one that hangs. Nor while one of those comes up, which has work to do. Once it is there the others have the time that is left to
//! them to go on. Nor does a sample count while the supervisor itself slows an instance down, which is to die at an instruction that is counted: then it does.

use protocols::manifest::MAX_THREADS;

use crate::kernel::{Counters, Doing};

/// Samples within the shortest watchdog of all services: the longest error of what is found is a fifth.
pub const SAMPLES: u64 = 5;
/// How much longer an instance may take that is not up yet: it may have a file system to unpack.
pub const STARTING_FACTOR: u32 = 12;

/// A thread's last sample.
#[derive(Clone, Copy, Debug, Default)]
struct Sample {
    last: Counters,
    streak: u32,
}

/// Who hangs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hung {
    /// A thread.
    Thread(u8),
    /// None in particular: callers queue and nobody comes to receive.
    Service,
}

/// The samples of an instance's threads.
#[derive(Clone, Copy, Debug, Default)]
pub struct Watch {
    samples: [Sample; MAX_THREADS as usize],
    deserted: u32,
    worked: bool,
    keeps_running: bool,
}

impl Watch {
    /// Whether a thread has done anything since this was asked last, or may have.
    pub fn take_worked(&mut self) -> bool {
        core::mem::take(&mut self.worked)
    }

    /// Whether a thread stood still at the last sample and could run: it may have kept all those of lower priority from doing so.
    #[must_use]
    pub const fn keeps_running(&self) -> bool {
        self.keeps_running
    }

    /// The last sample does not count: somebody may have kept all threads from getting on.
    pub fn excuse(&mut self) {
        for sample in &mut self.samples {
            sample.streak = sample.streak.saturating_sub(1);
        }
        self.deserted = self.deserted.saturating_sub(1);
    }

    /// Takes a sample: the counters of all threads, those that receive first; and whether callers queue while nobody receives. Returns who has stood
    /// still for `limit` samples.
    pub fn sample(&mut self, receivers: usize, threads: &[Counters], unattended: bool, limit: u32) -> Option<Hung> {
        self.keeps_running = false;
        let mut progress = false;
        let mut hung = None;
        for (index, (sample, now)) in self.samples.iter_mut().zip(threads).enumerate() {
            let moved = now.received_at != sample.last.received_at || now.calls != sample.last.calls;
            progress |= moved || now.doing == Doing::Calling;
            self.worked |= moved || now.doing == Doing::Running || now.own_ticks != sample.last.own_ticks;
            let stands = match now.doing {
                Doing::Idle | Doing::Calling => false,
                Doing::Running => now.in_hand || index < receivers,
                Doing::Waiting => now.in_hand,
            };
            sample.streak = if stands && !moved && sample.last.doing == now.doing { sample.streak.saturating_add(1) } else { 0 };
            sample.last = *now;
            self.keeps_running |= sample.streak > 0 && now.doing == Doing::Running;
            if sample.streak >= limit && hung.is_none() {
                hung = Some(Hung::Thread(index as u8));
            }
        }
        self.deserted = if unattended && !progress { self.deserted.saturating_add(1) } else { 0 };
        hung.or_else(|| (self.deserted >= limit).then_some(Hung::Service))
    }
}

#[cfg(test)]
mod tests {
    use super::{Hung, Watch};
    use crate::kernel::{Counters, Doing};

    const RUNS: Counters = Counters { doing: Doing::Running, in_hand: true, received_at: 7, calls: 0, own_ticks: 0 };

    /// The sample at which one thread that receives is found, if it is.
    fn found(all: impl IntoIterator<Item = Counters>) -> Option<usize> {
        let mut watch = Watch::default();
        all.into_iter().position(|counters| watch.sample(1, &[counters], false, 5) == Some(Hung::Thread(0)))
    }

    #[test]
    fn thread_that_runs_on_one_request_is_hung_after_the_limit() {
        assert_eq!(found([RUNS; 9]), Some(5));
        assert_eq!(found([Counters { in_hand: false, ..RUNS }; 9]), Some(5), "what it does instead of receiving");
    }

    #[test]
    fn only_who_stands_still_and_could_run_may_keep_others_from_running() {
        let keeps = |now| {
            let mut watch = Watch::default();
            for _ in 0..3 {
                let _hung = watch.sample(1, &[now], false, 5);
            }
            watch.keeps_running()
        };
        assert!(keeps(RUNS));
        assert!(!keeps(Counters { doing: Doing::Waiting, ..RUNS }) && !keeps(Counters { doing: Doing::Calling, ..RUNS }));
        let mut watch = Watch::default();
        assert!((0..9).all(|tick| watch.sample(1, &[Counters { received_at: tick, ..RUNS }], false, 5).is_none() && !watch.keeps_running()));
    }

    #[test]
    fn thread_that_waits_for_a_signal_with_a_request_in_hand_is_hung() {
        assert_eq!(found([Counters { doing: Doing::Waiting, ..RUNS }; 9]), Some(5));
        assert_eq!(found([Counters { doing: Doing::Waiting, in_hand: false, ..RUNS }; 99]), None);
    }

    #[test]
    fn thread_that_goes_from_request_to_request_is_not() {
        assert_eq!(found((0..100).map(|tick| Counters { received_at: tick, ..RUNS })), None);
    }

    #[test]
    fn thread_that_waits_now_and_then_is_not() {
        let doing = |tick| if tick % 4 != 0 { Doing::Running } else { Doing::Idle };
        assert_eq!(found((0..100).map(|tick| Counters { doing: doing(tick), ..RUNS })), None);
    }

    #[test]
    fn thread_that_makes_calls_or_waits_in_one_is_not() {
        assert_eq!(found((0..100).map(|tick| Counters { calls: tick, ..RUNS })), None);
        assert_eq!(found([Counters { doing: Doing::Calling, ..RUNS }; 99]), None);
    }

    #[test]
    fn whoever_received_called_or_ran_has_worked() {
        let idle = Counters { doing: Doing::Idle, in_hand: false, ..RUNS };
        let mut watch = Watch::default();
        let mut worked = |now| {
            assert_eq!(watch.sample(1, &[now], false, 5), None);
            watch.take_worked()
        };
        assert!(worked(idle) && !worked(idle), "its first sample tells what it did before");
        assert!(worked(Counters { own_ticks: 1, ..idle }), "it ran on its own account");
        assert!(worked(Counters { received_at: 8, own_ticks: 1, ..idle }));
        assert!(worked(Counters { received_at: 8, own_ticks: 1, doing: Doing::Running, ..idle }));
        let quiet = Counters { received_at: 8, own_ticks: 1, ..idle };
        assert!(!worked(quiet) && !worked(quiet), "it waits");
    }

    #[test]
    fn helper_may_run_for_ever_unless_somebody_waits_for_it() {
        let mut watch = Watch::default();
        let idle = Counters { doing: Doing::Idle, in_hand: false, ..RUNS };
        let helper = Counters { in_hand: false, ..RUNS };
        assert!((0..99).all(|_| watch.sample(1, &[idle, helper], false, 5).is_none()));
        let hung: Vec<_> = (0..9).map(|_| watch.sample(1, &[idle, RUNS], false, 5)).collect();
        assert!(hung.contains(&Some(Hung::Thread(1))));
    }

    #[test]
    fn queue_that_nobody_attends_to_is_a_hang_of_the_service() {
        let waits = Counters { doing: Doing::Waiting, in_hand: false, ..RUNS };
        let mut watch = Watch::default();
        let hung: Vec<_> = (0..7).map(|_| watch.sample(1, &[waits], true, 5)).collect();
        assert_eq!(hung.iter().position(|hung| *hung == Some(Hung::Service)), Some(5), "{hung:?}");
        let mut watch = Watch::default();
        assert!((0..99).all(|tick| watch.sample(1, &[Counters { received_at: tick, ..waits }], true, 5).is_none()), "it is merely busy");
        let mut watch = Watch::default();
        assert!((0..99).all(|_| watch.sample(1, &[Counters { doing: Doing::Calling, ..waits }], true, 5).is_none()), "another is restarted");
    }
}
