//! Timers of `timer_create`, which send signals.
//!
//! A timer that went off and whose signal waits does nothing until that is taken (Linux: `posixtimer_rearm`): only then does it reckon how often it would have gone off
//! since, its overrun, and go on. So one signal of a timer waits at most, and no interval is so short that it keeps posix busy while its program does not run.
//! The records are all there is: an instance that starts finds them, and what was due meanwhile goes off then.

use super::SI_TIMER;
use crate::saved::{Lane, Origin, ProcessIndex, TIMERS, Timer};
use crate::server::Posix;
use crate::syscall::timer::{NOBODY, THREAD};

/// A timer whose signal nobody wants goes off no more often than this (Linux: once a tick).
const GRAIN_NS: u64 = 1_000_000;

impl Timer {
    /// How often it has gone off at `now`, and when it goes off next; [`Timer::next`] has passed.
    #[must_use]
    pub fn forwarded(&self, now: u64) -> (u64, u64) {
        let missed = now.saturating_sub(self.next).checked_div(self.interval);
        missed.map_or((0, 0), |missed| (missed, self.next.saturating_add((missed + 1).saturating_mul(self.interval))))
    }
}

impl Posix<'_> {
    /// Now by the clock that a timer's moments are of.
    pub fn posix_timer_now(&mut self, timer: &Timer) -> u64 {
        if timer.is_wall != 0 { self.wall_ns() } else { self.kernel.now_ns() }
    }

    /// Timers in use, an index of the saved records.
    pub fn find_posix_timers(&mut self) {
        self.posix_timers = (0..TIMERS).filter(|index| self.store.timer(*index).process != 0).collect();
    }

    /// The timer of a process that has a number.
    #[must_use]
    pub fn posix_timer(&self, process: ProcessIndex, number: u32) -> Option<(usize, Timer)> {
        let record = |index: &usize| (*index, self.store.timer(*index));
        self.posix_timers.iter().map(record).find(|(_, timer)| timer.process as usize == process && timer.number == number)
    }

    /// All timers of a process go: it ends, or begins a program.
    pub fn delete_posix_timers(&mut self, process: ProcessIndex) {
        for index in self.posix_timers.clone() {
            if self.store.timer(index).process as usize == process {
                self.delete_posix_timer(index);
            }
        }
    }

    /// A timer goes. The index of those in use keeps it until somebody looks: this may yet be rolled back.
    pub fn delete_posix_timer(&mut self, index: usize) {
        self.store.set_timer(index, Timer::default());
    }

    /// When the next timer goes off, on the clock that never jumps.
    pub fn next_posix_timer(&mut self) -> Option<u64> {
        let mut timers = core::mem::take(&mut self.posix_timers);
        timers.retain(|index| self.store.timer(*index).process != 0);
        let ahead = if timers.is_empty() { 0 } else { self.wall_offset_ns() };
        let records = timers.iter().map(|index| self.store.timer(*index));
        let waiting = records.filter(|timer| timer.next != 0 && timer.is_told == 0 && timer.notify != NOBODY);
        let next = waiting.map(|timer| if timer.is_wall != 0 { timer.next.wrapping_sub(ahead).max(1) } else { timer.next }).min();
        self.posix_timers = timers;
        next
    }

    /// Timers whose time has come go off.
    pub fn fire_posix_timers(&mut self) {
        for index in self.posix_timers.clone() {
            let timer = self.store.timer(index);
            let now = self.posix_timer_now(&timer);
            if timer.next == 0 || timer.next > now || timer.is_told != 0 || timer.notify == NOBODY {
                continue;
            }
            let origin = Origin { code: SI_TIMER, pid: timer.number, value: timer.value, ..Origin::default() };
            let is_kept = match self.thread_of(&timer) {
                None if timer.notify == THREAD => Ok(false),
                Some(lane) => self.try_send_thread(lane, timer.signal as usize, origin),
                None => self.try_send(timer.process as usize, timer.signal as usize, origin),
            };
            let next = timer.forwarded(now).1;
            self.store.edit_timer(index, |timer| match is_kept {
                Ok(true) => timer.is_told = 1,
                Ok(false) | Err(_) => timer.next = if next == 0 { 0 } else { next.max(now + GRAIN_NS) },
            });
            self.store.commit();
        }
    }

    fn thread_of(&self, timer: &Timer) -> Option<Lane> {
        if timer.notify == THREAD { self.find_thread(timer.process as usize, timer.thread) } else { None }
    }

    /// The signal of a timer is taken: it goes on from here. What the signal says.
    pub(super) fn timer_heard(&mut self, process: ProcessIndex, told: Origin) -> Origin {
        let Some((index, timer)) = self.posix_timer(process, told.pid).filter(|(_, timer)| timer.is_told != 0) else { return told };
        let now = self.posix_timer_now(&timer);
        let (missed, next) = timer.forwarded(now);
        let overrun = missed.min(i32::MAX as u64);
        self.store.edit_timer(index, |timer| (timer.is_told, timer.next, timer.overrun) = (0, next, overrun));
        Origin { uid: overrun as u32, ..told }
    }
}
