//! Waits: what a kept message waits for, and who is woken by what.
//!
//! A wait only says when to try again: the call is run from its start and may wait again, so waking too many is slow and never wrong. That is
//! why `poll` simply wakes at everything, and why nothing of this needs to survive a crash.

use crate::call::{Call, Stop};
use crate::saved::{Lane, ProcessIndex};
use crate::server::Posix;

/// What may end a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Bytes or room in a pipe, or an end closed.
    Pipe(u32),
    /// Input, output room or modes of a terminal (1 is the console).
    Terminal(u32),
    /// A connection, the room for one, or the end of this socket.
    Socket(u32),
    /// A signal that is blocked was sent.
    Signal,
    /// A child of this process changed.
    Child(u32),
    /// A lane is woken by name: futex, vfork, timers.
    Lane,
    /// Anything that `poll` looks at.
    Any,
    /// vfs has what was pending.
    Vfs,
    /// Memory came back.
    Memory,
    /// inference may have more to read.
    Inference,
    /// This lock of a file was given back or changed.
    Lock(u32),
    /// The process goes on after a stop.
    Continued,
    /// The deadline only.
    Time,
}

/// A wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// What it waits for.
    pub event: Event,
    /// When it gives up (ns), 0 never.
    pub deadline: u64,
}

impl Event {
    /// Whether `poll` and its like may see it.
    #[must_use]
    pub const fn is_polled(self) -> bool {
        !matches!(self, Self::Vfs | Self::Memory | Self::Lock(_))
    }
}

impl Wait {
    /// For an event, for ever.
    #[must_use]
    pub const fn on(event: Event) -> Self {
        Self { event, deadline: 0 }
    }

    /// For a stopped process to go on.
    #[must_use]
    pub const fn stopped() -> Self {
        Self::on(Event::Continued)
    }

    /// Whether what it waits for is never long in coming (Linux: uninterruptible).
    #[must_use]
    pub const fn is_short(self) -> bool {
        matches!(self.event, Event::Vfs | Event::Memory)
    }

    /// With a deadline.
    #[must_use]
    pub const fn until(mut self, deadline: u64) -> Self {
        self.deadline = deadline;
        self
    }
}

impl Posix<'_> {
    /// Something happened: whoever may be interested runs again.
    pub fn wake(&mut self, event: Event) {
        self.script_due |= matches!(event, Event::Pipe(_));
        let before = self.ready.len();
        self.hands.wake(event, &mut self.ready);
        self.waits_changed |= self.ready.len() != before;
    }

    /// One lane runs again.
    pub fn wake_lane(&mut self, lane: Lane) {
        if self.hands.end_wait(lane) {
            self.waits_changed = true;
            self.ready.push_back(lane);
        }
    }

    /// The lanes of a process.
    #[must_use]
    pub fn lanes_of(&self, process: ProcessIndex) -> alloc::vec::Vec<Lane> {
        self.lanes.iter().copied().filter(|lane| self.store.thread(*lane).process as usize == process).collect()
    }

    /// Wakes all whose time has come, and fires timers.
    pub fn deadlines_passed(&mut self) {
        let now = self.kernel.now_ns();
        let before = self.ready.len();
        self.hands.wake_due(now, &mut self.ready);
        self.waits_changed |= self.ready.len() != before;
        self.tell_timers(now);
        self.fire_timers(now);
        self.fire_posix_timers();
        self.fire_processor_timers();
    }

    /// Asks the kernel for the next moment at which something is due, if that is another than before: this runs at every message.
    pub fn set_next_deadline(&mut self) {
        let mut next = self.hands.next_deadline();
        if self.has_timers() {
            next = [next, self.next_of_timers()].into_iter().flatten().min();
        }
        if self.deadline_told != Some(next) {
            self.deadline_told = Some(next);
            self.kernel.set_deadline(next);
        }
    }

    const fn has_timers(&self) -> bool {
        !(self.alarms.is_empty() && self.timers.is_empty() && self.posix_timers.is_empty() && self.processor_timed.is_empty())
    }

    fn next_of_timers(&mut self) -> Option<u64> {
        let times = [self.next_timer(), self.next_timer_file(), self.next_posix_timer(), self.next_processor_timer()];
        times.into_iter().flatten().min()
    }
}

impl Call<'_, '_> {
    /// The absolute deadline of this request: `relative` from its first run, however often it runs.
    pub fn deadline_after(&mut self, relative_ns: u64) -> u64 {
        let thread = self.posix.store.thread(self.lane);
        if thread.wait_number == self.number.0 && thread.deadline != 0 {
            return thread.deadline;
        }
        let deadline = self.posix.kernel.now_ns().saturating_add(relative_ns).max(1);
        let number = self.number.0;
        self.posix.store.edit_thread(self.lane, |thread| {
            if thread.wait_number != number {
                (thread.progress, thread.futex) = (0, [0; 2]);
            }
            thread.wait_number = number;
            thread.deadline = deadline;
        });
        deadline
    }

    /// What this request has achieved in its earlier runs.
    #[must_use]
    pub fn progress(&self) -> u64 {
        let thread = self.posix.store.thread(self.lane);
        if thread.wait_number == self.number.0 { thread.progress } else { 0 }
    }

    /// A long call stops in its middle. If it waits, its next run goes on from here and not from its start: what it needs at once stays bounded, and it ends however little
    /// of its files is there at a time. All else that this run changed and did not commit is taken back, as `Posix::put_off` will; `also` changes what belongs to the
    /// progress.
    pub fn stop_at(&mut self, stop: Stop, progress: u64, also: impl FnOnce(&mut Self)) -> Stop {
        if matches!(stop, Stop::Wait(_)) && progress != self.progress() {
            self.posix.store.roll_back();
            self.set_progress(progress);
            also(self);
            self.posix.store.commit();
        }
        stop
    }

    /// Remembers what this request has achieved.
    pub fn set_progress(&mut self, progress: u64) {
        let number = self.number.0;
        self.posix.store.edit_thread(self.lane, |thread| {
            if thread.wait_number != number {
                (thread.deadline, thread.futex) = (0, [0; 2]);
            }
            thread.wait_number = number;
            thread.progress = progress;
        });
    }
}
