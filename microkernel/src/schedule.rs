//! Who runs next, and who pays.
//!
//! Invariants: a thread runs only on the processor that it belongs to; a runnable thread is either current or in the run queue there; the current
//! thread has the highest priority of all runnable ones of its processor when a trap ends, or that processor will be interrupted before more of it
//! runs; between calls the *payer* stays, so a server runs on its caller's slice and account. There is no periodic tick: the timer is
//! set only for the next deadline, or for the end of the slice when somebody of the same priority waits.

use abi::TraceKind;

use crate::kernel::{Cpu, Kernel, NO_TIMER};
use crate::machine::Machine;
use crate::page::Ref;
use crate::thread::{State, Thread};
use crate::wrap;

/// How far a chain of callers is followed to find who pays.
const PAYER_DEPTH: usize = 8;
const LEVELS: usize = abi::PRIORITIES as usize;

/// Runnable threads by priority, first come first served within one.
#[derive(Clone, Debug, Hash)]
#[repr(C)]
pub struct RunQueue {
    pub(crate) heads: [Ref<Thread>; LEVELS],
    pub(crate) tails: [Ref<Thread>; LEVELS],
    pub(crate) occupied: u32,
}

impl RunQueue {
    /// An empty queue.
    #[must_use]
    pub const fn new() -> Self {
        Self { heads: [Ref::NONE; LEVELS], tails: [Ref::NONE; LEVELS], occupied: 0 }
    }

    fn top(&self) -> Option<usize> {
        self.occupied.checked_ilog2().map(|level| level as usize)
    }

    fn has(&self, level: u8) -> bool {
        self.occupied >> level & 1 != 0
    }

    /// The first thread of a level.
    #[must_use]
    pub fn head(&self, level: usize) -> Ref<Thread> {
        self.heads.get(level).copied().unwrap_or(Ref::NONE)
    }
}

impl Default for RunQueue {
    fn default() -> Self {
        Self::new()
    }
}

impl<M: Machine> Kernel<M> {
    /// Appends a runnable thread to its queue.
    pub(crate) fn enqueue(&mut self, thread: Ref<Thread>) {
        let level = usize::from(self.thread(thread).priority) % LEVELS;
        let queue = &mut self.cpu_of(thread).queue;
        let tail = core::mem::replace(wrap::at_mut(&mut queue.tails, level), thread);
        queue.occupied |= 1 << level;
        if tail.some().is_none() {
            *wrap::at_mut(&mut queue.heads, level) = thread;
        }
        let entry = self.thread(thread);
        entry.next = Ref::NONE;
        entry.previous = tail;
        if let Some(tail) = tail.some() {
            self.thread(tail).next = thread;
        }
        self.note_queued(thread);
    }

    /// Puts a thread that was preempted before its slice ended at the front.
    fn enqueue_front(&mut self, thread: Ref<Thread>) {
        let level = usize::from(self.thread(thread).priority) % LEVELS;
        let queue = &mut self.cpu_of(thread).queue;
        let head = core::mem::replace(wrap::at_mut(&mut queue.heads, level), thread);
        queue.occupied |= 1 << level;
        if head.some().is_none() {
            *wrap::at_mut(&mut queue.tails, level) = thread;
        }
        let entry = self.thread(thread);
        entry.previous = Ref::NONE;
        entry.next = head;
        if let Some(head) = head.some() {
            self.thread(head).previous = thread;
        }
        self.note_queued(thread);
    }

    /// A thread joined its processor's queue. Another processor is interrupted if that changes what it does: who runs there, or for how long.
    fn note_queued(&mut self, thread: Ref<Thread>) {
        let &mut Thread { cpu, priority, .. } = self.thread(thread);
        let cpu = usize::from(cpu);
        let here = cpu == self.machine.processor();
        let record = self.cpu_at(cpu);
        let (current, payer) = (record.current, record.payer);
        if here {
            record.reschedule = true;
            return;
        }
        let matters = current.some().is_none_or(|current| {
            let payer = payer.some().unwrap_or(current);
            priority >= self.thread(current).priority.min(self.thread(payer).priority)
        });
        if matters {
            self.call_attention(cpu);
        }
    }

    /// Another processor decides anew, before more user code runs there.
    fn call_attention(&mut self, processor: usize) {
        self.cpu_at(processor).reschedule = true;
        self.machine.send_ipi(processor);
    }

    /// Takes a thread out of its queue.
    pub(crate) fn unqueue(&mut self, thread: Ref<Thread>) {
        let entry = self.thread(thread);
        let (level, next, previous) = (usize::from(entry.priority) % LEVELS, entry.next, entry.previous);
        entry.next = Ref::NONE;
        entry.previous = Ref::NONE;
        match previous.some() {
            Some(previous) => self.thread(previous).next = next,
            None => *wrap::at_mut(&mut self.cpu_of(thread).queue.heads, level) = next,
        }
        match next.some() {
            Some(next) => self.thread(next).previous = previous,
            None => *wrap::at_mut(&mut self.cpu_of(thread).queue.tails, level) = previous,
        }
        let queue = &mut self.cpu_of(thread).queue;
        if queue.head(level).some().is_none() {
            queue.occupied &= !(1 << level);
        }
    }

    /// Makes a thread runnable that was on no queue.
    pub(crate) fn make_runnable(&mut self, thread: Ref<Thread>) {
        self.thread(thread).state = State::Runnable as u8;
        self.enqueue(thread);
    }

    /// The current thread stops being current; it is on no queue afterwards.
    pub(crate) fn leave_current(&mut self) {
        self.charge();
        self.cpu().current = Ref::NONE;
        self.cpu().reschedule = true;
    }

    /// The current thread has blocked; `next` runs at once, on the same payer's account, if it belongs to this processor and nobody more important waits.
    pub(crate) fn switch_to(&mut self, next: Ref<Thread>) {
        self.charge();
        self.cpu().current = Ref::NONE;
        let thread = self.thread(next);
        thread.state = State::Runnable as u8;
        let (level, cpu) = (usize::from(thread.priority), usize::from(thread.cpu));
        let outranked = self.cpu().queue.top().is_some_and(|top| top > level);
        if cpu != self.machine.processor() {
            self.enqueue(next);
        } else if outranked || self.slice_ended(next) {
            self.queue_again(next);
        } else {
            self.cpu().current = next;
        }
    }

    /// Queues a thread that was on the processor itself or through its servers: it keeps its turn until its slice ends.
    pub(crate) fn queue_again(&mut self, thread: Ref<Thread>) {
        if self.slice_ended(thread) {
            self.enqueue(thread);
        } else {
            self.enqueue_front(thread);
        }
    }

    fn slice_ended(&mut self, thread: Ref<Thread>) -> bool {
        let record = self.cpu();
        record.expired && record.payer == thread
    }

    /// Charges the time since the last charge to the payer, as its own or as served.
    #[inline]
    pub(crate) fn charge(&mut self) {
        let here = self.machine.processor();
        self.charge_at(here);
    }

    /// The same for what runs on any processor.
    pub(crate) fn charge_at(&mut self, processor: usize) {
        let now = self.machine.now();
        let record = self.cpu_at(processor);
        let elapsed = now.saturating_sub(record.charged_at);
        record.charged_at = now;
        let (current, payer) = (record.current, record.payer);
        if current.some().is_none() {
            return;
        }
        if let Some(payer) = payer.some() {
            let account = self.thread(payer);
            if payer == current {
                account.own_ticks = account.own_ticks.wrapping_add(elapsed);
            } else {
                account.served_ticks = account.served_ticks.wrapping_add(elapsed);
            }
        }
    }

    /// Whether `thread`, which was current when the trap began, still is, and [`Kernel::finish`] would find nothing to do: its own operation can
    /// change neither its space nor who has the FPU.
    pub(crate) fn goes_on(&mut self, thread: Ref<Thread>) -> bool {
        let &mut Cpu { reschedule, current, payer, .. } = self.cpu();
        !reschedule && current == thread && self.payer_of(thread) == payer
    }

    /// Ends a trap: decides who runs and who pays, loads its space, arms the FPU trap and the timer.
    pub fn finish(&mut self) {
        let mut changed = self.cpu().reschedule || self.cpu().current.some().is_none();
        if changed {
            self.cpu().reschedule = false;
            self.end_translations();
            self.choose();
        }
        if let Some(current) = self.cpu().current.some() {
            changed |= self.settle_payer(current);
        }
        if changed {
            self.program_timer();
        }
        let Some(current) = self.cpu().current.some() else { return };
        if self.trace.on {
            self.trace_choice(current);
        }
        let space = self.thread(current).space;
        let root = self.space_root(space);
        let record = self.cpu();
        let trap = record.fpu_owner != current;
        let (other_root, other_trap) = (root != record.root, trap != record.fpu_trap);
        (record.root, record.fpu_trap) = (root, trap);
        if other_root {
            record.roots_loaded += 1;
            self.machine.load_root((root != 0).then_some(root));
        }
        if other_trap {
            self.machine.set_fpu_trap(trap);
        }
    }

    fn choose(&mut self) {
        let top = self.cpu().queue.top();
        if let Some(current) = self.cpu().current.some() {
            let level = usize::from(self.thread(current).priority);
            match top {
                Some(top) if top > level => {
                    self.preempt(current);
                }
                _ => return,
            }
        }
        let Some(level) = self.cpu().queue.top() else { return };
        let next = self.cpu().queue.head(level);
        self.unqueue(next);
        let payer = self.payer_of(next);
        let now = self.machine.now();
        let record = self.cpu();
        record.current = next;
        record.charged_at = now;
        if payer != record.payer || record.expired || now >= record.slice_end {
            self.start_slice(payer);
        }
        self.cpu().expired = false;
    }

    /// From now on `payer` pays: with what it has left of its slice, or with a fresh one.
    fn start_slice(&mut self, payer: Ref<Thread>) {
        let here = self.machine.processor();
        self.start_slice_at(here, payer);
    }

    fn start_slice_at(&mut self, processor: usize, payer: Ref<Thread>) {
        let thread = self.thread(payer);
        let left = core::mem::take(&mut thread.slice_left);
        let slice = if left == 0 { thread.slice } else { left };
        let record = self.cpu_at(processor);
        record.payer = payer;
        record.slice_end = record.charged_at.saturating_add(slice);
        record.expired = false;
    }

    /// The payer keeps the rest of its slice for the next time.
    fn keep_slice(&mut self) {
        let &mut Cpu { slice_end, charged_at, expired, payer, .. } = self.cpu();
        if let Some(payer) = payer.some() {
            self.thread(payer).slice_left = if expired { 0 } else { slice_end.saturating_sub(charged_at) };
        }
    }

    /// The current thread went on without being chosen anew, but for somebody else: a server that answered one caller and has the next message
    /// already, or none. Returns whether the payer changed.
    fn settle_payer(&mut self, current: Ref<Thread>) -> bool {
        let payer = self.payer_of(current);
        if payer == self.cpu().payer {
            return false;
        }
        self.charge();
        self.keep_slice();
        self.start_slice(payer);
        true
    }

    /// A more important thread takes over: the current one goes to the front of its queue, and its payer keeps the rest of its slice.
    fn preempt(&mut self, current: Ref<Thread>) {
        self.charge();
        self.cpu().current = Ref::NONE;
        self.enqueue_front(current);
        self.cpu().reschedule = false;
        self.keep_slice();
    }

    /// Who pays for a thread: the caller at the end of the chain that it works for.
    fn payer_of(&mut self, thread: Ref<Thread>) -> Ref<Thread> {
        let mut payer = thread;
        for _ in 0..PAYER_DEPTH {
            match self.thread(payer).serving.some() {
                Some(caller) => payer = caller,
                None => break,
            }
        }
        payer
    }

    /// A processor decides anew.
    fn reconsider(&mut self, processor: usize) {
        if processor == self.machine.processor() {
            self.cpu().reschedule = true;
        } else {
            self.call_attention(processor);
        }
    }

    /// A thread's priority changed: its processor decides anew, and those that run on its account.
    pub(crate) fn reconsider_thread(&mut self, thread: Ref<Thread>) {
        let own = usize::from(self.thread(thread).cpu);
        for processor in 0..self.processors() {
            if processor == own || self.cpu_at(processor).payer == thread {
                self.reconsider(processor);
            }
        }
    }

    /// `server` works for nobody any more. Where another processor ran on its caller's account, that finds out who pays now. If the server itself runs here,
    /// nobody works for it.
    pub(crate) fn chain_broken(&mut self, server: Ref<Thread>) {
        if self.processors() == 1 || self.cpu().current == server {
            return;
        }
        let here = self.machine.processor();
        for processor in (0..self.processors()).filter(|processor| *processor != here) {
            let &mut Cpu { current, payer, .. } = self.cpu_at(processor);
            if current.some().is_some_and(|current| self.payer_of(current) != payer) {
                self.call_attention(processor);
            }
        }
    }

    /// A thread is about to go: nobody waits for it to stop, and it pays no more, neither for itself nor for those who worked for it.
    pub(crate) fn forget_thread(&mut self, processor: usize, gone: Ref<Thread>) {
        let record = self.cpu_at(processor);
        if record.halt == gone {
            record.halt = Ref::NONE;
        }
        if record.payer != gone {
            return;
        }
        let Some(current) = record.current.some() else {
            record.payer = Ref::NONE;
            return;
        };
        // Its slice may have ended while somebody worked for it: the next one's begins.
        self.charge_at(processor);
        let payer = self.payer_of(current);
        self.start_slice_at(processor, payer);
        self.reconsider(processor);
    }

    fn program_timer(&mut self) {
        let contended = self.cpu().current.some().is_some_and(|current| {
            let own = self.thread(current).priority;
            let payer = self.cpu().payer.some().map_or(own, |payer| self.thread(payer).priority);
            let queue = &self.cpu().queue;
            queue.has(own) || queue.has(payer)
        });
        let slice = contended.then_some(self.cpu().slice_end);
        let deadline = self.next_deadline();
        let at = match (slice, deadline) {
            (Some(slice), Some(deadline)) => Some(slice.min(deadline)),
            (slice, deadline) => slice.or(deadline),
        };
        let value = at.unwrap_or(NO_TIMER);
        if value != self.cpu().timer {
            self.cpu().timer = value;
            self.machine.set_timer(at);
        }
    }

    /// The timer fired: deadlines that have passed are signalled, a slice that has ended sends its payer to the back.
    pub fn timer_fired(&mut self) {
        if self.trace.on {
            self.trace_interrupt(TraceKind::Timer, 0);
        }
        self.cpu().timer = NO_TIMER;
        self.cpu().reschedule = true;
        self.pass_deadlines();
        let now = self.machine.now();
        let record = self.cpu();
        let Some(current) = record.current.some() else { return };
        if now < record.slice_end {
            return;
        }
        if current == record.payer || record.payer.some().is_none() {
            self.rotate(current);
        } else {
            record.expired = true;
            record.slice_end = u64::MAX;
        }
    }

    /// Sends the current thread to the back of its queue, with a fresh slice when it comes around.
    pub(crate) fn rotate(&mut self, current: Ref<Thread>) {
        self.charge();
        self.cpu().current = Ref::NONE;
        self.cpu().expired = true;
        self.enqueue(current);
    }
}
