//! Timers by descriptor.
//!
//! A timer is its next moment and its interval, in the file's record; how often it has gone off is worked out when somebody asks, so a crash costs no tick. A
//! timer that was set by the wall clock keeps wall time, and follows when that clock is set.

use crate::call::{Call, SysResult};
use crate::errno::Errno;
use crate::fd::kind;
use crate::io::Vector;
use crate::saved::{FILES, File};
use crate::server::Posix;
use crate::wait::{Event, Wait};

/// Bit of a timer's object: its moments are wall time.
pub const WALL: u32 = 1 << 8;

impl Posix<'_> {
    /// What the wall clock shows, in ns.
    pub fn wall_ns(&mut self) -> u64 {
        self.wall_offset_ns().wrapping_add(self.kernel.now_ns())
    }

    /// Now by a timer's clock.
    pub fn timer_now(&mut self, timer: &File) -> u64 {
        if timer.object & WALL != 0 { self.wall_ns() } else { self.kernel.now_ns() }
    }

    /// How often a timer has gone off since it was read.
    pub fn expirations(&mut self, timer: &File) -> u64 {
        let now = self.timer_now(timer);
        if timer.offset == 0 || timer.offset > now {
            return 0;
        }
        1 + (now - timer.offset).checked_div(timer.detail).unwrap_or(0)
    }

    /// The files that are timers.
    pub fn find_timers(&mut self) {
        let timers = (0..FILES).filter(|index| self.store.file(*index).references != 0 && self.store.file(*index).kind == kind::TIMER);
        self.timers = timers.map(|index| (index, 0)).collect();
    }

    /// A timer was made or set.
    pub fn timer_set(&mut self, index: usize) {
        self.timers.retain(|(other, _)| *other != index);
        self.timers.push((index, 0));
        self.wake(Event::Any);
    }

    /// The first moment after `told`, on the clock that never jumps.
    fn next_expiration(&mut self, timer: &File, told: u64) -> Option<u64> {
        let ahead = if timer.object & WALL != 0 { self.wall_offset_ns() } else { 0 };
        let first = timer.offset.wrapping_sub(ahead).max(1);
        match told.checked_sub(first) {
            _ if timer.offset == 0 => None,
            None => Some(first),
            Some(_) if timer.detail == 0 => None,
            Some(since) => Some(first.saturating_add((since / timer.detail + 1).saturating_mul(timer.detail))),
        }
    }

    /// When a timer goes off next, of which nobody was told yet.
    pub fn next_timer_file(&mut self) -> Option<u64> {
        let mut timers = core::mem::take(&mut self.timers);
        timers.retain(|(index, _)| self.store.file(*index).kind == kind::TIMER);
        let next = timers.iter().filter_map(|(index, told)| self.next_expiration(&self.store.file(*index), *told)).min();
        self.timers = timers;
        next
    }

    /// Time has passed: whoever waits looks whether a timer went off.
    pub fn tell_timers(&mut self, now: u64) {
        if self.timers.is_empty() {
            return;
        }
        self.timers.iter_mut().for_each(|(_, told)| *told = now);
        self.wake(Event::Any);
    }
}

impl Call<'_, '_> {
    /// Reads how often a timer has gone off.
    ///
    /// # Errors
    /// `EINVAL`, `EAGAIN`, `EFAULT`, or a wait.
    pub fn read_timer(&mut self, index: usize, file: &File, to: Vector) -> SysResult {
        if to.length < 8 {
            return Err(Errno::EINVAL.into());
        }
        let count = self.posix.expirations(file);
        if count == 0 {
            if file.is_nonblocking() {
                return Err(Errno::EAGAIN.into());
            }
            return self.wait(Wait::on(Event::Any), true);
        }
        self.write(to.address, &count.to_le_bytes())?;
        self.posix.store.edit_file(index, |timer| {
            timer.offset = if timer.detail == 0 { 0 } else { timer.offset + count * timer.detail };
        });
        Ok(8)
    }
}
