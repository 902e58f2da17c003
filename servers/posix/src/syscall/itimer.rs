//! Interval timers: `alarm`, `getitimer`, `setitimer`.

use crate::call::{Call, SysResult};
use crate::errno::Errno;

const NS: u64 = 1_000_000_000;
const ITIMER_REAL: u64 = 0;
const ITIMER_VIRTUAL: u64 = 1;
const ITIMER_PROF: u64 = 2;

/// A timer: how long until it fires, and how long from one time to the next, in ns; 0 is never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Timer {
    left: u64,
    interval: u64,
}

impl Timer {
    /// `struct itimerval`.
    fn from_words([interval, interval_micro, value, value_micro]: [u64; 4]) -> Result<Self, Errno> {
        if interval_micro >= 1_000_000 || value_micro >= 1_000_000 || interval > i64::MAX as u64 || value > i64::MAX as u64 {
            return Err(Errno::EINVAL);
        }
        let ns = |seconds: u64, micro: u64| seconds.saturating_mul(NS).saturating_add(micro * 1000);
        Ok(Self { left: ns(value, value_micro), interval: ns(interval, interval_micro) })
    }

    const fn to_words(self) -> [u64; 4] {
        [self.interval / NS, self.interval % NS / 1000, self.left / NS, self.left % NS / 1000]
    }
}

impl Call<'_, '_> {
    /// What a timer counts, in ns; which of the processor's timers it is, if it is one.
    fn timer_clock(&mut self, which: u64) -> Result<(u64, Option<usize>), Errno> {
        match which {
            ITIMER_REAL => Ok((self.posix.kernel.now_ns(), None)),
            ITIMER_VIRTUAL | ITIMER_PROF => {
                let timer = (which - ITIMER_VIRTUAL) as usize;
                Ok((self.posix.processor_times(self.process)[timer], Some(timer)))
            }
            _ => Err(Errno::EINVAL),
        }
    }

    fn timer(&self, now: u64, which: Option<usize>) -> Timer {
        let me = self.me();
        let (at, interval) = which.map_or((me.timer, me.timer_interval), |which| (me.cpu_timers[which], me.cpu_timer_intervals[which]));
        // One that is about to fire is not one that is off.
        Timer { left: if at == 0 { 0 } else { at.saturating_sub(now).max(1000) }, interval }
    }

    fn set_timer(&mut self, now: u64, which: Option<usize>, timer: Timer) {
        let at = if timer.left == 0 { 0 } else { now.saturating_add(timer.left) };
        self.posix.store.edit_process(self.process, |process| match which {
            None => (process.timer, process.timer_interval) = (at, timer.interval),
            Some(which) => (process.cpu_timers[which], process.cpu_timer_intervals[which]) = (at, timer.interval),
        });
        match which {
            None => self.posix.watch_alarm(self.process),
            Some(_) => self.posix.watch_processor_time(self.process),
        }
    }
}

/// `SIGALRM` after some seconds.
pub fn sys_alarm(call: &mut Call<'_, '_>) -> SysResult {
    let seconds = call.arguments[0] & 0xffff_ffff;
    let now = call.posix.kernel.now_ns();
    let before = call.timer(now, None);
    call.set_timer(now, None, Timer { left: seconds * NS, interval: 0 });
    Ok(before.left.div_ceil(NS))
}

/// Asks an interval timer.
pub fn sys_getitimer(call: &mut Call<'_, '_>) -> SysResult {
    let [which, to, ..] = call.arguments;
    let (now, timer) = call.timer_clock(which)?;
    let words = call.timer(now, timer).to_words();
    call.write_words(to, &words)?;
    Ok(0)
}

/// Sets an interval timer.
pub fn sys_setitimer(call: &mut Call<'_, '_>) -> SysResult {
    let [which, new, old, ..] = call.arguments;
    let wanted = Timer::from_words(if new == 0 { [0; 4] } else { call.read_words(new)? })?;
    let (now, timer) = call.timer_clock(which)?;
    if old != 0 {
        let words = call.timer(now, timer).to_words();
        call.write_words(old, &words)?;
    }
    call.set_timer(now, timer, wanted);
    Ok(0)
}
