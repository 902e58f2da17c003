//! Timers and limits of processor time: `ITIMER_VIRTUAL`, `ITIMER_PROF`, `RLIMIT_CPU`.
//!
//! Nothing ticks. The kernel counts what threads use; how soon a process can have used enough follows from how many of its threads run, so posix looks
//! again at that moment and not before, and a process none of whose threads runs is not looked at. What is armed is saved with the process.

use super::{SI_KERNEL, SIGKILL, SIGPROF, SIGVTALRM, SIGXCPU};
use crate::saved::{Origin, Process, ProcessIndex, state};
use crate::server::Posix;
use crate::syscall::time::ticks_to_ns;

const NS: u64 = 1_000_000_000;
/// A thread that has to share its processor is not looked at more often than this.
const GRAIN_NS: u64 = 1_000_000;
/// `RLIMIT_CPU`, soft and hard, in [`Process::limits`].
const LIMITS: [usize; 2] = [0, 1];

/// The processor's times that are waited for, with the kind of time: 0 in own code, 1 all.
fn awaited(record: &Process) -> impl Iterator<Item = (usize, u64)> {
    let timers = record.cpu_timers.into_iter().enumerate().filter(|(_, at)| *at != 0);
    let limits = LIMITS.map(|limit| record.limits[limit]).into_iter().filter(|seconds| *seconds != u64::MAX);
    timers.chain(limits.map(|seconds| (1, seconds.saturating_mul(NS))))
}

impl Posix<'_> {
    /// Processor time (ns) of a process: in its own code, and with what was done on its behalf.
    pub fn processor_times(&mut self, process: ProcessIndex) -> [u64; 2] {
        let hz = self.kernel.ticks_per_second();
        let [user, system] = self.process_ticks(process);
        [user, user + system].map(|ticks| ticks_to_ns(ticks, hz))
    }

    /// A process may have armed a timer or got a limit.
    pub fn watch_processor_time(&mut self, process: ProcessIndex) {
        if awaited(&self.store.process(process)).next().is_none() {
            return;
        }
        self.processor_alarm = None;
        if !self.processor_timed.contains(&process) {
            self.processor_timed.push(process);
        }
    }

    /// Processes that wait for processor time, an index of the saved records.
    pub(crate) fn find_processor_timers(&mut self) {
        self.processor_timed = self.processes.iter().copied().filter(|process| awaited(&self.store.process(*process)).next().is_some()).collect();
    }

    /// When a process can have used what it waits for.
    pub fn next_processor_timer(&mut self) -> Option<u64> {
        if self.processor_timed.is_empty() {
            return None;
        }
        let now = self.kernel.now_ns();
        let mut next = None;
        for process in self.processor_timed.clone() {
            let record = self.store.process(process);
            let running = self.lanes_of(process).into_iter().filter(|lane| self.lane_runs(*lane)).count() as u64;
            if record.state != state::LIVE || awaited(&record).next().is_none() {
                self.processor_timed.retain(|other| *other != process);
                continue;
            }
            let times = self.processor_times(process);
            let left = awaited(&record).map(|(which, at)| at.saturating_sub(times[which])).min().unwrap_or(u64::MAX);
            // Of one that does not run nothing is due.
            let soonest = left.checked_div(running).map(|share| now.saturating_add(share.max(GRAIN_NS)));
            next = [next, soonest].into_iter().flatten().min();
        }
        // Looking too early does no harm, and to keep what the kernel was told is cheaper than to tell it again at each message.
        self.processor_alarm = match (self.processor_alarm, next) {
            (Some(told), Some(next)) if told > now && told <= next => Some(told),
            _ => next,
        };
        self.processor_alarm
    }

    /// Sends the signals of what was used up.
    pub fn fire_processor_timers(&mut self) {
        for process in self.processor_timed.clone() {
            let record = self.store.process(process);
            if record.state != state::LIVE {
                continue;
            }
            let times = self.processor_times(process);
            for (which, signal) in [SIGVTALRM, SIGPROF].into_iter().enumerate() {
                let (at, interval) = (record.cpu_timers[which], record.cpu_timer_intervals[which]);
                if let Some(late) = times[which].checked_sub(at).filter(|_| at != 0) {
                    let next = late.checked_div(interval).map_or(0, |missed| at.saturating_add((missed + 1).saturating_mul(interval)));
                    self.store.edit_process(process, |process| process.cpu_timers[which] = next);
                    self.send(process, signal, Origin { code: SI_KERNEL, ..Origin::default() });
                }
            }
            self.enforce_processor_limit(process, &record, times[1]);
            self.store.commit();
        }
    }

    /// At the soft limit SIGXCPU comes, and again after each further second; at the hard one SIGKILL (getrlimit(2)).
    fn enforce_processor_limit(&mut self, process: ProcessIndex, record: &Process, used: u64) {
        let [soft, hard] = LIMITS.map(|limit| record.limits[limit]);
        let is_reached = |seconds: u64| seconds != u64::MAX && used >= seconds.saturating_mul(NS);
        let origin = Origin { code: SI_KERNEL, ..Origin::default() };
        if is_reached(hard) {
            self.send(process, SIGKILL, origin);
        } else if is_reached(soft) {
            self.store.edit_process(process, |process| process.limits[LIMITS[0]] = soft + 1);
            self.send(process, SIGXCPU, origin);
        }
    }
}
