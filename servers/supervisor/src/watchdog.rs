//! Finding servers that do not get on.
//!
//! By the kernel's counters, not by asking: a heartbeat misses one hung thread of four and accuses a busy one. Each sample compares a thread with the
//! one before. It *stands still* when it has a request in hand, or runs without one although it is there to receive, and has since received and
//! called nothing. A thread that waits for another server's answer is never accused: that server is watched
//! itself, and one that is held is being restarted. Whether it has received is told by the time, not by the request's number: all page faults of one request
//! share a number, and a program may do nothing else for seconds. A service stands still as a whole when callers queue, nobody receives, and no thread has received
//! or called anything since the last sample. Standing still for as long as the service's `watchdog_ms` says is a hang.
//!
//! Why not a thread's time on the processor: that is charged to whoever it works for. So a thread that could run and does not cannot be told from one that runs
//! in circles. But it is kept from the processor only by servers of higher priority, so a sample does not count while one of those stands still itself and
//! does not wait: that is the one that hangs. Nor while one of those comes up, which has work to do. Once it is there the others have the time that is left to
//! them to go on. Nor does a sample count while the supervisor itself slows an instance down, which is to die at an instruction that is counted: then it does.
//!
//! Nobody waits for a helper, and nothing that the kernel counts tells one that computes from one that runs in circles. One that is to be watched says itself that
//! it gets on (`libsys::thread::beat`), and its time on the processor is its own, so it hangs when it has computed for the service's
//! `helper_watchdog_ms` without a beat, a call or a pause. Programs that take the processor from it are no matter.

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
    /// How far a helper had computed when it was last seen to get on.
    since_ticks: u64,
}

/// When somebody hangs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Samples for which a thread, or the service, stands still.
    pub samples: u32,
    /// Ticks that a helper computes without a sign that it gets on; as long as it likes if there is no limit.
    pub helper_ticks: Option<u64>,
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
            sample.since_ticks = sample.last.own_ticks;
        }
        self.deserted = self.deserted.saturating_sub(1);
    }

    /// Takes a sample: the counters of all threads, those that receive first; and whether callers queue while nobody receives. Returns who has stood
    /// still for the samples of `limits`, or is a helper that has computed for their ticks without a sign.
    pub fn sample(&mut self, receivers: usize, threads: &[Counters], unattended: bool, limits: Limits) -> Option<Hung> {
        let Limits { samples: limit, helper_ticks } = limits;
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
            if moved || now.beats != sample.last.beats || now.doing != Doing::Running {
                sample.since_ticks = now.own_ticks;
            }
            let computes_on = index >= receivers && helper_ticks.is_some_and(|most| now.own_ticks.saturating_sub(sample.since_ticks) >= most);
            sample.last = *now;
            self.keeps_running |= sample.streak > 0 && now.doing == Doing::Running;
            if (sample.streak >= limit || computes_on) && hung.is_none() {
                hung = Some(Hung::Thread(index as u8));
            }
        }
        self.deserted = if unattended && !progress { self.deserted.saturating_add(1) } else { 0 };
        hung.or_else(|| (self.deserted >= limit).then_some(Hung::Service))
    }
}

#[cfg(test)]
mod tests {
    use super::{Hung, Limits, Watch};
    use crate::kernel::{Counters, Doing};

    const RUNS: Counters = Counters { doing: Doing::Running, in_hand: true, received_at: 7, calls: 0, own_ticks: 0, beats: 0 };
    const LIMITS: Limits = Limits { samples: 5, helper_ticks: None };

    /// The sample at which one thread that receives is found, if it is.
    fn found(all: impl IntoIterator<Item = Counters>) -> Option<usize> {
        let mut watch = Watch::default();
        all.into_iter().position(|counters| watch.sample(1, &[counters], false, LIMITS) == Some(Hung::Thread(0)))
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
                let _hung = watch.sample(1, &[now], false, LIMITS);
            }
            watch.keeps_running()
        };
        assert!(keeps(RUNS));
        assert!(!keeps(Counters { doing: Doing::Waiting, ..RUNS }) && !keeps(Counters { doing: Doing::Calling, ..RUNS }));
        let mut watch = Watch::default();
        assert!((0..9).all(|tick| watch.sample(1, &[Counters { received_at: tick, ..RUNS }], false, LIMITS).is_none() && !watch.keeps_running()));
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
            assert_eq!(watch.sample(1, &[now], false, LIMITS), None);
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
        assert!((0..99).all(|_| watch.sample(1, &[idle, helper], false, LIMITS).is_none()));
        let hung: Vec<_> = (0..9).map(|_| watch.sample(1, &[idle, RUNS], false, LIMITS)).collect();
        assert!(hung.contains(&Some(Hung::Thread(1))));
    }

    #[test]
    fn helper_with_a_limit_hangs_when_it_has_computed_so_long_without_a_sign() {
        const COMPUTES: Counters = Counters { in_hand: false, ..RUNS };
        let idle = Counters { doing: Doing::Idle, ..COMPUTES };
        let limits = Limits { helper_ticks: Some(10), ..LIMITS };
        let found = |of: fn(u64) -> Counters| {
            let mut watch = Watch::default();
            (0..99).find(|tick| watch.sample(1, &[idle, of(*tick)], false, limits) == Some(Hung::Thread(1)))
        };
        assert_eq!(found(|tick| Counters { own_ticks: 2 * tick, ..COMPUTES }), Some(5));
        assert_eq!(found(|tick| Counters { own_ticks: 2 * tick, beats: tick / 4, ..COMPUTES }), None, "it says that it gets on");
        assert_eq!(found(|tick| Counters { own_ticks: 2 * tick, beats: tick.min(20), ..COMPUTES }), Some(25), "it said so");
        assert_eq!(found(|tick| Counters { own_ticks: 2 * tick, calls: tick / 4, ..COMPUTES }), None, "it asks others");
        assert_eq!(found(|tick| Counters { own_ticks: tick / 50, ..COMPUTES }), None, "others take the processor from it");
        assert_eq!(found(|_| COMPUTES), None, "it does not come to run");
        let waits = |tick: u64| if tick.is_multiple_of(4) { Doing::Idle } else { Doing::Running };
        let mut watch = Watch::default();
        assert!(
            (0..99).all(|tick| watch.sample(1, &[idle, Counters { own_ticks: 2 * tick, doing: waits(tick), ..COMPUTES }], false, limits).is_none())
        );
        let mut watch = Watch::default();
        let slowed_down = (0..99).all(|tick| {
            let hung = watch.sample(1, &[idle, Counters { own_ticks: 2 * tick, ..COMPUTES }], false, limits);
            watch.excuse();
            hung.is_none()
        });
        assert!(slowed_down, "samples that do not count");
    }

    #[test]
    fn queue_that_nobody_attends_to_is_a_hang_of_the_service() {
        let waits = Counters { doing: Doing::Waiting, in_hand: false, ..RUNS };
        let mut watch = Watch::default();
        let hung: Vec<_> = (0..7).map(|_| watch.sample(1, &[waits], true, LIMITS)).collect();
        assert_eq!(hung.iter().position(|hung| *hung == Some(Hung::Service)), Some(5), "{hung:?}");
        let mut watch = Watch::default();
        assert!((0..99).all(|tick| watch.sample(1, &[Counters { received_at: tick, ..waits }], true, LIMITS).is_none()), "it is merely busy");
        let mut watch = Watch::default();
        assert!((0..99).all(|_| watch.sample(1, &[Counters { doing: Doing::Calling, ..waits }], true, LIMITS).is_none()), "another is restarted");
    }
}
