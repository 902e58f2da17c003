//! Signals: sent, pending, blocked, taken.
//!
//! A signal is a bit in its process or thread until a thread takes it on its way back to its program. A thread that waits is woken and finds the
//! signal instead of what it waited for; one that runs is stopped, given its new registers and started. Numbers and defaults are Linux's (signal(7)).

mod cpu_timer;
pub mod deliver;
pub mod frame;
mod job;
mod posix_timer;
pub mod queue;
mod timer;

pub use queue::Holder;

use crate::errno::Errno;
use crate::kernel::Doing;
use crate::saved::{Lane, Origin, ProcessIndex, SIGNALS, flag, redo, slot, state};
use crate::server::{After, Posix};
use crate::wait::{Event, Wait};

/// `AT_MINSIGSTKSZ`: what a handler's frame takes with AVX, rounded up.
pub const MIN_STACK_BYTES: u64 = 2048;

macro_rules! signals {
    ($($(#[$doc:meta])* $name:ident = $number:literal;)*) => { $($(#[$doc])* pub const $name: usize = $number;)* };
}

signals! {
    /// Hang-up.
    SIGHUP = 1;
    /// Interrupt key.
    SIGINT = 2;
    /// Quit key.
    SIGQUIT = 3;
    /// Illegal instruction.
    SIGILL = 4;
    /// Breakpoint.
    SIGTRAP = 5;
    /// Abort.
    SIGABRT = 6;
    /// Bad access to memory that a file does not reach.
    SIGBUS = 7;
    /// Arithmetic error.
    SIGFPE = 8;
    /// Kill.
    SIGKILL = 9;
    /// Bad access to memory.
    SIGSEGV = 11;
    /// Nobody reads the pipe.
    SIGPIPE = 13;
    /// Interval timer.
    SIGALRM = 14;
    /// A child changed.
    SIGCHLD = 17;
    /// Go on.
    SIGCONT = 18;
    /// Stop.
    SIGSTOP = 19;
    /// Stop key.
    SIGTSTP = 20;
    /// Read from a terminal in the background.
    SIGTTIN = 21;
    /// Write to a terminal in the background.
    SIGTTOU = 22;
    /// Urgent data.
    SIGURG = 23;
    /// Limit of processor time.
    SIGXCPU = 24;
    /// Timer of processor time in own code.
    SIGVTALRM = 26;
    /// Timer of processor time.
    SIGPROF = 27;
    /// Window size.
    SIGWINCH = 28;
    /// Call that there is not.
    SIGSYS = 31;
    /// The first real-time signal, as Linux counts them.
    SIGRTMIN = 32;
}

/// `SIG_DFL`.
pub const DEFAULT: u64 = 0;
/// `SIG_IGN`.
pub const IGNORE: u64 = 1;

/// `si_code` of a signal sent by `kill`.
pub const SI_USER: u32 = 0;
/// `si_code` of a signal sent by the kernel.
pub const SI_KERNEL: u32 = 0x80;
/// `si_code` of a signal sent by `tgkill`.
pub const SI_TKILL: u32 = -6i32 as u32;

/// `si_code` of a signal of a timer of `timer_create`.
pub const SI_TIMER: u32 = -2i32 as u32;

/// The bit of a signal.
#[must_use]
pub const fn bit(signal: usize) -> u64 {
    1 << (signal - 1)
}

/// Signals that stop a process by default.
pub const STOPS: u64 = bit(SIGSTOP) | bit(SIGTSTP) | bit(SIGTTIN) | bit(SIGTTOU);
/// Signals that are ignored by default.
const IGNORED: u64 = bit(SIGCHLD) | bit(SIGCONT) | bit(SIGURG) | bit(SIGWINCH);
/// Signals that nothing blocks, ignores or handles.
pub const UNSTOPPABLE: u64 = bit(SIGKILL) | bit(SIGSTOP);

/// A signal number from a program; 0 is allowed where only the right to send is asked for.
///
/// # Errors
/// `EINVAL`.
pub fn number(value: u64) -> Result<usize, Errno> {
    let signal = value as u32 as usize;
    if signal <= SIGNALS { Ok(signal) } else { Err(Errno::EINVAL) }
}

impl Posix<'_> {
    /// Signals that a process ignores, by its will or by default.
    fn ignored(&self, process: ProcessIndex, mask: u64) -> u64 {
        let mut ignored = 0;
        let mut left = mask;
        while left != 0 {
            let signal = left.trailing_zeros() as usize + 1;
            left &= left - 1;
            let handler = self.store.action(process, signal).handler;
            if handler == IGNORE || handler == DEFAULT && IGNORED & bit(signal) != 0 {
                ignored |= bit(signal);
            }
        }
        ignored & !UNSTOPPABLE
    }

    /// Signals that a lane would take now.
    #[must_use]
    pub fn deliverable(&self, lane: Lane) -> u64 {
        let thread = self.store.thread(lane);
        let process = thread.process as usize;
        let pending = (thread.pending | self.store.process(process).pending) & (!thread.mask | UNSTOPPABLE);
        if pending == 0 { 0 } else { pending & !self.ignored(process, pending) }
    }

    /// Whether a lane has a signal to take.
    #[must_use]
    pub fn has_deliverable(&self, lane: Lane) -> bool {
        self.deliverable(lane) != 0
    }

    /// Whether a lane is to be killed.
    #[must_use]
    pub fn has_fatal(&self, lane: Lane) -> bool {
        self.deliverable(lane) & bit(SIGKILL) != 0
    }

    /// Sends a signal to a process; 0 sends nothing.
    pub fn send(&mut self, process: ProcessIndex, signal: usize, origin: Origin) {
        // Nobody hears of it: what is lost is a real-time signal beyond the limit, which Linux loses too.
        let _lost = self.try_send(process, signal, origin);
    }

    /// Sends a signal to a process; 0 sends nothing. Whether it and what it says now waits to be taken.
    ///
    /// # Errors
    /// `EAGAIN` for a real-time signal that cannot wait: see [`queue`].
    pub fn try_send(&mut self, process: ProcessIndex, signal: usize, origin: Origin) -> Result<bool, Errno> {
        if signal == 0 || self.store.process(process).state != state::LIVE {
            return Ok(false);
        }
        self.before_sending(process, signal);
        let blocked = self.lanes_of(process).iter().all(|lane| self.store.thread(*lane).mask & bit(signal) != 0);
        if !blocked && self.ignored(process, bit(signal)) != 0 {
            return Ok(false);
        }
        let is_kept = self.pend(Holder::Process(process), signal, origin)?;
        if blocked {
            self.wake(Event::Signal);
        }
        let takes = |posix: &Self, lane: Lane| posix.deliverable(lane) & bit(signal) != 0;
        let lanes = self.lanes_of(process);
        // One that waits here anyway is cheaper to reach than one that runs.
        let waiting = lanes.iter().copied().find(|lane| takes(self, *lane) && self.hands.get(*lane).is_some());
        if let Some(lane) = waiting.or_else(|| lanes.into_iter().find(|lane| takes(self, *lane))) {
            self.afterwards.push_back(After::Poke(lane));
        }
        Ok(is_kept)
    }

    /// Sends a signal to one thread, as [`Posix::send`].
    pub fn send_thread(&mut self, lane: Lane, signal: usize, origin: Origin) {
        let _lost = self.try_send_thread(lane, signal, origin);
    }

    /// Sends a signal to one thread; 0 sends nothing. As [`Posix::try_send`].
    ///
    /// # Errors
    /// As [`Posix::try_send`].
    pub fn try_send_thread(&mut self, lane: Lane, signal: usize, origin: Origin) -> Result<bool, Errno> {
        let process = self.store.thread(lane).process as usize;
        if signal == 0 || self.store.process(process).state != state::LIVE {
            return Ok(false);
        }
        self.before_sending(process, signal);
        let blocked = self.store.thread(lane).mask & bit(signal) != 0;
        if !blocked && self.ignored(process, bit(signal)) != 0 {
            return Ok(false);
        }
        let is_kept = self.pend(Holder::Thread(lane), signal, origin)?;
        if blocked {
            self.wake(Event::Signal);
        }
        if self.has_deliverable(lane) {
            self.afterwards.push_back(After::Poke(lane));
        }
        Ok(is_kept)
    }

    /// Sends a signal to every process of a group. Whether there was one.
    pub fn send_group(&mut self, group: u32, signal: usize, origin: Origin) -> bool {
        let members: alloc::vec::Vec<_> = self
            .processes
            .iter()
            .copied()
            .filter(|process| {
                let record = self.store.process(*process);
                record.state == state::LIVE && record.group == group
            })
            .collect();
        for process in &members {
            self.send(*process, signal, origin);
        }
        !members.is_empty()
    }

    /// Stop and continue signals cancel each other when they are sent, whatever becomes of them (POSIX, 2.4.1).
    fn before_sending(&mut self, process: ProcessIndex, signal: usize) {
        let cancelled = match signal {
            SIGCONT | SIGKILL => {
                self.continue_process(process, signal == SIGCONT);
                STOPS
            }
            _ if STOPS & bit(signal) != 0 => bit(SIGCONT),
            _ => return,
        };
        self.forget(process, cancelled);
    }

    /// Signals that wait in a process or its threads do so no longer.
    fn forget(&mut self, process: ProcessIndex, signals: u64) {
        self.drop_pending(Holder::Process(process), signals);
        for lane in self.lanes_of(process) {
            self.drop_pending(Holder::Thread(lane), signals);
        }
    }

    /// What a process has begun to ignore does not wait for it, even if it is blocked (POSIX, 2.4.3).
    pub fn forget_ignored(&mut self, process: ProcessIndex, signal: usize) {
        self.forget(process, self.ignored(process, bit(signal)));
    }

    /// Running lanes whose handler's stack was not there are looked at again.
    pub fn poke_due(&mut self) {
        let due = core::mem::take(&mut self.pokes_due);
        self.afterwards.extend(due.into_iter().map(After::Poke));
    }

    /// Makes a lane look at its signals soon.
    pub fn poke(&mut self, lane: Lane) {
        let process = self.store.process(self.store.thread(lane).process as usize);
        let stopped = process.flags & flag::STOPPED != 0 && !self.has_fatal(lane);
        if stopped || !self.has_deliverable(lane) || self.store.thread(lane).redo != redo::NONE {
            return;
        }
        if let Some(hand) = self.hands.get(lane) {
            let killable = hand.wait.is_some_and(Wait::is_short);
            if !killable || self.has_fatal(lane) {
                self.wake_lane(lane);
            }
            return;
        }
        // A call that is on its way here will look at its signals; a thread that runs is made to.
        if matches!(self.kernel.thread_state(slot::thread(lane)), Ok((_, Doing::Running))) {
            self.deliver_running(lane);
        }
    }

    /// `SIGCHLD` and a wake-up for the parent of a process that changed.
    pub fn tell_parent(&mut self, child: ProcessIndex, code: u32, status: u32) {
        let record = self.store.process(child);
        let parent = record.parent as usize;
        if parent == 0 {
            return;
        }
        let origin = Origin { code, pid: record.pid, uid: record.uid[0], status, value: 0 };
        if record.exit_signal != 0 {
            self.send(parent, record.exit_signal as usize, origin);
        }
        self.wake(Event::Child(parent as u32));
    }
}
