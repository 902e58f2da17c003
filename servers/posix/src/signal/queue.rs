//! Signals that wait to be taken.
//!
//! The first of a number is a bit and an origin of its process or thread. A standard signal that comes while another one of its number waits is lost; a real-time
//! signal is queued behind it, in the one list of all that its process or thread has (POSIX, 2.4.1). So a queued signal's bit is always set.
//!
//! Linux counts what waits for each user against `RLIMIT_SIGPENDING` of the receiver. Beyond it a real-time signal with something to say fails with `EAGAIN`, and
//! any other one waits without saying where it came from; what the kernel itself has to say of a standard signal always finds room (`__send_signal_locked`).

use super::{SI_TIMER, SI_USER, SIGBUS, SIGFPE, SIGILL, SIGKILL, SIGRTMIN, SIGSEGV, SIGSYS, SIGTRAP, bit};
use crate::errno::Errno;
use crate::saved::{Lane, Origin, ProcessIndex, QUEUED_SIGNALS, QueuedSignal, state};
use crate::server::Posix;

/// Where the soft `RLIMIT_SIGPENDING` stands among the limits.
pub const LIMIT_PENDING: usize = 22;
/// Signals that tell of the instruction that a thread was at: they go before all others.
const SYNCHRONOUS: u64 = bit(SIGSEGV) | bit(SIGBUS) | bit(SIGILL) | bit(SIGTRAP) | bit(SIGFPE) | bit(SIGSYS);

/// What is said of a signal for which there was no room: no process has the number 0.
const UNTOLD: Origin = Origin { code: SI_USER, pid: 0, uid: 0, status: 0, value: 0 };

/// Who a signal was sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A process as a whole.
    Process(ProcessIndex),
    /// One thread.
    Thread(Lane),
}

/// Which of some signals is taken first.
fn first_of(signals: u64) -> usize {
    let first = [bit(SIGKILL), SYNCHRONOUS].into_iter().map(|urgent| signals & urgent).find(|urgent| *urgent != 0);
    first.unwrap_or(signals).trailing_zeros() as usize + 1
}

impl Posix<'_> {
    /// Signals that a process or thread has to take.
    fn pending(&self, holder: Holder) -> u64 {
        match holder {
            Holder::Process(process) => self.store.process(process).pending,
            Holder::Thread(lane) => self.store.thread(lane).pending,
        }
    }

    fn set_pending(&mut self, holder: Holder, pending: u64) {
        match holder {
            Holder::Process(process) => self.store.edit_process(process, |process| process.pending = pending),
            Holder::Thread(lane) => self.store.edit_thread(lane, |thread| thread.pending = pending),
        }
    }

    fn pending_origin(&self, holder: Holder, signal: usize) -> Origin {
        match holder {
            Holder::Process(process) => self.store.origin(process, signal),
            Holder::Thread(lane) => self.store.thread_origin(lane, signal),
        }
    }

    fn set_pending_origin(&mut self, holder: Holder, signal: usize, origin: Origin) {
        match holder {
            Holder::Process(process) => self.store.set_origin(process, signal, origin),
            Holder::Thread(lane) => self.store.set_thread_origin(lane, signal, origin),
        }
    }

    fn ends(&self, holder: Holder) -> [u32; 2] {
        match holder {
            Holder::Process(process) => self.store.process(process).queued,
            Holder::Thread(lane) => self.store.thread(lane).queued,
        }
    }

    fn set_ends(&mut self, holder: Holder, ends: [u32; 2]) {
        match holder {
            Holder::Process(process) => self.store.edit_process(process, |process| process.queued = ends),
            Holder::Thread(lane) => self.store.edit_thread(lane, |thread| thread.queued = ends),
        }
    }

    /// Lets a signal wait, which is neither 0 nor ignored; whether it and what it says do.
    ///
    /// # Errors
    /// `EAGAIN`.
    pub(super) fn pend(&mut self, holder: Holder, signal: usize, origin: Origin) -> Result<bool, Errno> {
        let (pending, is_queued) = (self.pending(holder), signal >= SIGRTMIN);
        let is_first = pending & bit(signal) == 0;
        if !is_first && !is_queued {
            return Ok(false);
        }
        let is_from_kernel = origin.code.cast_signed() >= 0;
        let has_room = !is_queued && is_from_kernel || self.has_room(holder);
        if has_room && !is_first && self.enqueue(holder, signal, origin) {
            return Ok(true);
        }
        let is_kept = is_first && has_room;
        if is_kept {
            self.set_pending_origin(holder, signal, origin);
        } else if is_queued && origin.code != SI_USER {
            return Err(Errno::EAGAIN);
        } else if is_first {
            self.set_pending_origin(holder, signal, UNTOLD);
        }
        self.set_pending(holder, pending | bit(signal));
        Ok(is_kept)
    }

    /// Whether the limit of a process allows its user one more signal that waits.
    fn has_room(&self, holder: Holder) -> bool {
        let record = self.store.process(self.process_of(holder));
        self.waiting_signals(record.uid[0]) < record.limits[LIMIT_PENDING]
    }

    /// How many signals wait for the processes of a user.
    #[must_use]
    pub fn waiting_signals(&self, uid: u32) -> u64 {
        let is_counted = |process: ProcessIndex| {
            let process = self.store.process(process);
            process.state == state::LIVE && process.uid[0] == uid
        };
        let processes = self.processes.iter().filter(|process| is_counted(**process)).map(|process| Holder::Process(*process));
        let lanes = self.lanes.iter().filter(|lane| is_counted(self.store.thread(**lane).process as usize)).map(|lane| Holder::Thread(*lane));
        processes.chain(lanes).map(|holder| self.count_told(holder) + self.queue(holder).count() as u64).sum()
    }

    /// How many of the numbers that wait say where they came from: only those take room.
    fn count_told(&self, holder: Holder) -> u64 {
        let mut left = self.pending(holder);
        let mut count = 0;
        while left != 0 {
            let signal = left.trailing_zeros() as usize + 1;
            left &= left - 1;
            count += u64::from(self.pending_origin(holder, signal) != UNTOLD);
        }
        count
    }

    /// What waits behind others, in the order in which it came.
    fn queue(&self, holder: Holder) -> impl Iterator<Item = usize> + '_ {
        let place = |link: u32| (link as usize).checked_sub(1);
        let first = place(self.ends(holder)[0]);
        core::iter::successors(first, move |index| place(self.store.queued_signal(*index).next)).take(QUEUED_SIGNALS)
    }

    /// Queues a signal behind another one; whether there was a free record.
    fn enqueue(&mut self, holder: Holder, signal: usize, origin: Origin) -> bool {
        let Some(index) = (0..QUEUED_SIGNALS).find(|index| self.store.queued_signal(*index).signal == 0) else { return false };
        let link = index as u32 + 1;
        self.store.set_queued_signal(index, QueuedSignal { signal: signal as u32, next: 0, origin });
        let [first, last] = self.ends(holder);
        if let Some(last) = (last as usize).checked_sub(1) {
            self.store.edit_queued_signal(last, |queued| queued.next = link);
        }
        self.set_ends(holder, [if first == 0 { link } else { first }, link]);
        true
    }

    /// Takes what waits at `index`, behind `before`, out of its queue.
    fn unlink(&mut self, holder: Holder, before: Option<usize>, index: usize) -> Origin {
        let QueuedSignal { next, origin, .. } = self.store.queued_signal(index);
        let [first, last] = self.ends(holder);
        let before_link = before.map_or(0, |before| before as u32 + 1);
        if let Some(before) = before {
            self.store.edit_queued_signal(before, |queued| queued.next = next);
        }
        self.set_ends(holder, [if before.is_none() { next } else { first }, if next == 0 { before_link } else { last }]);
        self.store.set_queued_signal(index, QueuedSignal::default());
        origin
    }

    /// The first in a queue that has one of some numbers, and what is before it.
    fn find_queued(&self, holder: Holder, signals: u64) -> Option<(Option<usize>, usize)> {
        let mut before = None;
        for index in self.queue(holder) {
            if signals & bit(self.store.queued_signal(index).signal as usize) != 0 {
                return Some((before, index));
            }
            before = Some(index);
        }
        None
    }

    /// The signal that a thread takes next of some that wait for it or its process, and whose it is: its own go first (Linux: `dequeue_signal`).
    #[must_use]
    pub fn next_signal(&self, lane: Lane, signals: u64) -> Option<(Holder, usize)> {
        let holders = [Holder::Thread(lane), Holder::Process(self.store.thread(lane).process as usize)];
        let found = holders.map(|holder| (holder, self.pending(holder) & signals));
        // Death does not queue up behind what a thread was sent alone.
        let is_deadly = |(_, signals): &&(Holder, u64)| signals & bit(SIGKILL) != 0;
        let first = found.iter().find(is_deadly).or_else(|| found.iter().find(|(_, signals)| *signals != 0))?;
        Some((first.0, first_of(first.1)))
    }

    /// Takes a signal that waits: the next one of its number moves up. Where it came from.
    pub fn take_pending(&mut self, (holder, signal): (Holder, usize)) -> Origin {
        let taken = self.pending_origin(holder, signal);
        if let Some((before, index)) = self.find_queued(holder, bit(signal)) {
            let origin = self.unlink(holder, before, index);
            self.set_pending_origin(holder, signal, origin);
        } else {
            self.set_pending(holder, self.pending(holder) & !bit(signal));
        }
        if taken.code == SI_TIMER { self.timer_heard(self.process_of(holder), taken) } else { taken }
    }

    fn process_of(&self, holder: Holder) -> ProcessIndex {
        match holder {
            Holder::Process(process) => process,
            Holder::Thread(lane) => self.store.thread(lane).process as usize,
        }
    }

    /// Signals wait no longer, nor what is behind them.
    pub fn drop_pending(&mut self, holder: Holder, signals: u64) {
        while let Some((before, index)) = self.find_queued(holder, signals) {
            self.unlink(holder, before, index);
        }
        let pending = self.pending(holder);
        if pending & signals != 0 {
            self.set_pending(holder, pending & !signals);
        }
    }
}
