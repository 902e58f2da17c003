//! The trace ring: what threads did last, for whoever may see everything, and for a panic.
//!
//! One ring for all processors, because whatever is recorded happens under the one lock. It is the machine's memory, so that the state that tests copy and
//! compare stays small. While tracing is off a place that records costs a test and a jump. The fast path records nothing and checks nothing
//! for it: a thread that is traced is odd ([`odd::TRACED`]), which the fast path leaves to the slow one anyway. Threads become so when they are chosen to run, or run
//! already when tracing is turned on, and are ordinary again at their first trap after it was turned off.
//!
//! Invariants: with tracing off, no thread becomes odd by it; with tracing on, who runs is odd, on every processor.

use abi::{ALL_PORTS, Control, Error, ObjectKind, Rights, TRACE_RECORDS, TraceKind, TraceRecord};

use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::page::{self, Ref};
use crate::thread::{Thread, odd};

/// Words of a record.
const WORDS: usize = size_of::<TraceRecord>() / 8;

/// Whether threads are traced, and how far the ring is written.
#[derive(Clone, Copy, Debug, Default, Hash)]
pub struct Trace {
    pub(crate) on: bool,
    /// Number of the next record; they are counted from 0.
    next: u64,
    /// Who ran last.
    ran: Ref<Thread>,
}

impl<M: Machine> Kernel<M> {
    /// Turns tracing on or off, and copies records from a number on into the message page: the number of the first one, and how many.
    pub(crate) fn trace(&mut self, thread: Ref<Thread>, handle: u32) -> Result<[u64; 6], Error> {
        let [on, from] = self.arguments(thread);
        let ports = self.lookup(thread, handle, ObjectKind::IoPorts, Rights::USE)?;
        if ports.first != 0 || u64::from(ports.count()) != ALL_PORTS {
            return Err(Error::MissingRight);
        }
        let out = self.thread(thread).message_page;
        if out == 0 {
            return Err(Error::WrongState);
        }
        self.trace.on = on != 0;
        if self.trace.on {
            for processor in 0..self.processors() {
                if let Some(current) = self.current_at(processor) {
                    self.thread(current).odd |= odd::TRACED;
                }
            }
        }
        let kept = self.machine.trace_ring().len() as u64;
        let first = from.max(self.trace.next.saturating_sub(kept));
        let count = self.trace.next.saturating_sub(first).min(TRACE_RECORDS as u64);
        for index in 0..count {
            let ring = self.machine.trace_ring();
            let Some(record) = ring.get(((first + index) % kept) as usize) else { break };
            let words = record.words();
            let (records, _) = page::words(&mut self.machine, out).as_chunks_mut::<WORDS>();
            if let Some(place) = records.get_mut(index as usize) {
                *place = words;
            }
        }
        Ok([first, count, 0, 0, 0, 0])
    }

    /// A thread that is traced entered the kernel by `syscall`.
    #[cold]
    pub(crate) fn trace_call(&mut self, thread: Ref<Thread>) {
        let frame = &self.thread(thread).frame;
        let (rax, word) = (frame.rax, frame.rdi);
        let (kind, detail) =
            if self.thread(thread).is_reflected() { (TraceKind::LinuxCall, rax) } else { (TraceKind::Operation, u64::from(Control(rax as u32).0)) };
        self.trace_thread(thread, kind, detail, word);
    }

    /// A thread that is traced did something; or was traced, and no longer is.
    #[cold]
    pub(crate) fn trace_thread(&mut self, thread: Ref<Thread>, kind: TraceKind, detail: u64, word: u64) {
        if self.trace.on {
            let badge = self.thread(thread).badge;
            self.record(badge, kind, detail, word);
        } else {
            self.thread(thread).odd &= !odd::TRACED;
        }
    }

    /// Something interrupts whoever runs.
    #[cold]
    pub(crate) fn trace_interrupt(&mut self, kind: TraceKind, line: u32) {
        let badge = self.cpu().current.some().map_or(0, |current| self.thread(current).badge);
        self.record(badge, kind, u64::from(line), 0);
    }

    /// A trap ends, and `current` runs: traced from now on.
    #[cold]
    pub(crate) fn trace_choice(&mut self, current: Ref<Thread>) {
        self.thread(current).odd |= odd::TRACED;
        if core::mem::replace(&mut self.trace.ran, current) != current {
            let payer = self.cpu().payer.some().map_or(0, |payer| self.thread(payer).badge);
            let badge = self.thread(current).badge;
            self.record(badge, TraceKind::Runs, 0, payer);
        }
    }

    fn record(&mut self, badge: u64, kind: TraceKind, detail: u64, word: u64) {
        let record = TraceRecord { at: self.machine.now(), badge, what: kind as u64 | detail << 8, word };
        let ring = self.machine.trace_ring();
        let place = self.trace.next % ring.len() as u64;
        if let Some(place) = ring.get_mut(place as usize) {
            *place = record;
        }
        self.trace.next += 1;
    }

    /// The last records, the newest last.
    pub fn last_traced(&mut self, most: u64) -> impl Iterator<Item = TraceRecord> {
        let next = self.trace.next;
        let ring = self.machine.trace_ring();
        let kept = ring.len() as u64;
        (next.saturating_sub(most.min(kept))..next).filter_map(move |number| ring.get((number % kept) as usize).copied())
    }
}
