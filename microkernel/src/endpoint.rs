//! Endpoints: where calls meet receivers.
//!
//! Invariants: while an endpoint is open, it never has both a queued caller and a waiting receiver; a queued caller's message stays in its
//! registers, its message page and its lease list; held endpoints let both sides queue, closed ones refuse callers.

use abi::{EndpointState, Error, ObjectKind, Rights};

use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::notification::Notification;
use crate::page::{self, Object, Ref};
use crate::thread::{CallKind, State, Thread};
use crate::wrap;

/// Receiver lists: one for each processor, so that a call stays on its own.
pub const MAX_CPUS: usize = abi::MAX_PROCESSORS as usize;
/// What a Linux program gets when its system is gone: EIO.
const EIO: u64 = 5;

/// An endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct Endpoint {
    /// Threads that wait for a message, by processor, last come first served: its cache is warm.
    pub receivers: [Ref<Thread>; MAX_CPUS],
    /// Threads that wait for a receiver, first come first served.
    pub callers_head: Ref<Thread>,
    pub(crate) callers_tail: Ref<Thread>,
    /// The notification that its receivers also get.
    pub(crate) bound: Ref<Notification>,
    pub(crate) state: u64,
    pub(crate) closed_code: u64,
}

// SAFETY: `repr(C)`, smaller than a page, integers only.
#[allow(unsafe_code, reason = "an endpoint is plain data")]
unsafe impl Object for Endpoint {
    const KIND: ObjectKind = ObjectKind::Endpoint;
}

impl Endpoint {
    /// Its state.
    #[must_use]
    pub fn state(&self) -> EndpointState {
        EndpointState::from_word(self.state).unwrap_or(EndpointState::Closed)
    }
}

impl<M: Machine> Kernel<M> {
    pub(crate) fn endpoint(&mut self, endpoint: Ref<Endpoint>) -> &mut Endpoint {
        page::object(&mut self.machine, endpoint)
    }

    /// Whether callers queue, and whether a receiver waits.
    pub(crate) fn queues(&mut self, endpoint: Ref<Endpoint>) -> [bool; 2] {
        let object = self.endpoint(endpoint);
        [object.callers_head.some().is_some(), object.receivers.iter().any(|receiver| receiver.some().is_some())]
    }

    /// A receiver that waits: of this processor if there is one, for it runs at once.
    fn receiver(&mut self, endpoint: Ref<Endpoint>) -> Option<Ref<Thread>> {
        let (here, used) = (self.machine.processor(), self.processors());
        let receivers = &self.endpoint(endpoint).receivers;
        wrap::at(receivers, here).some().or_else(|| receivers.iter().take(used).find_map(|receiver| receiver.some()))
    }

    /// A thread on no queue sends what lies in its registers to an endpoint and waits. If it just left the processor, the receiver may take over at once.
    pub(crate) fn send(&mut self, caller: Ref<Thread>, endpoint: Ref<Endpoint>) {
        match self.endpoint(endpoint).state() {
            EndpointState::Closed => self.refuse(caller, endpoint),
            EndpointState::Held => self.queue_caller(caller, endpoint),
            EndpointState::Open => match self.take_receiver(endpoint) {
                Some(receiver) => {
                    self.deliver(caller, receiver);
                    self.run_receiver(caller, receiver);
                }
                None => self.queue_caller(caller, endpoint),
            },
        }
    }

    /// Takes the first receiver that can take a Reply out of the list. One whose reply slot was filled while it waited is told so.
    fn take_receiver(&mut self, endpoint: Ref<Endpoint>) -> Option<Ref<Thread>> {
        while let Some(receiver) = self.receiver(endpoint) {
            self.leave_receivers(receiver);
            if self.reply_place(receiver).is_ok() {
                self.follow(receiver);
                return Some(receiver);
            }
            self.thread(receiver).fail(Error::SlotFull);
            self.make_runnable(receiver);
        }
        None
    }

    /// A receiver that was just taken out of its list comes to this processor, if it may and has nothing in the FPU: no other one has to be woken then.
    fn follow(&mut self, receiver: Ref<Thread>) {
        let here = self.machine.processor() as u8;
        let thread = self.thread(receiver);
        if thread.follows != 0 && !thread.has_fpu() {
            thread.cpu = here;
        }
    }

    /// A receiver got a message. It runs at once on the caller's account if the caller was running.
    fn run_receiver(&mut self, caller: Ref<Thread>, receiver: Ref<Thread>) {
        self.thread(receiver).state = State::Runnable as u8;
        let outranks = self.thread(receiver).priority >= self.thread(caller).priority;
        if outranks && self.cpu().is_idle() {
            self.switch_to(receiver);
        } else {
            self.enqueue(receiver);
        }
    }

    fn refuse(&mut self, caller: Ref<Thread>, endpoint: Ref<Endpoint>) {
        let code = self.endpoint(endpoint).closed_code;
        let kind = self.thread(caller).call_kind();
        match kind {
            CallKind::Call => {
                let thread = self.thread(caller);
                thread.fail(Error::Closed);
                thread.frame.rdi = code;
                self.make_runnable(caller);
            }
            CallKind::Reflected => {
                self.thread(caller).frame.rax = EIO.wrapping_neg();
                self.make_runnable(caller);
            }
            CallKind::PageFault => self.raise_to_fault_endpoint(caller),
            CallKind::Exception => self.thread(caller).state = State::Stopped as u8,
        }
    }

    fn queue_caller(&mut self, caller: Ref<Thread>, endpoint: Ref<Endpoint>) {
        let tail = self.endpoint(endpoint).callers_tail;
        let thread = self.thread(caller);
        thread.state = State::Calling as u8;
        thread.endpoint = endpoint;
        thread.next = Ref::NONE;
        thread.previous = tail;
        match tail.some() {
            Some(tail) => self.thread(tail).next = caller,
            None => self.endpoint(endpoint).callers_head = caller,
        }
        self.endpoint(endpoint).callers_tail = caller;
    }

    /// Takes a thread out of its endpoint's queue of callers.
    pub(crate) fn leave_callers(&mut self, caller: Ref<Thread>) {
        let thread = self.thread(caller);
        let (endpoint, next, previous) = (thread.endpoint, thread.next, thread.previous);
        (thread.endpoint, thread.next, thread.previous) = (Ref::NONE, Ref::NONE, Ref::NONE);
        match previous.some() {
            Some(previous) => self.thread(previous).next = next,
            None => self.endpoint(endpoint).callers_head = next,
        }
        match next.some() {
            Some(next) => self.thread(next).previous = previous,
            None => self.endpoint(endpoint).callers_tail = previous,
        }
    }

    /// Takes a thread out of its endpoint's list of receivers.
    pub(crate) fn leave_receivers(&mut self, receiver: Ref<Thread>) {
        let thread = self.thread(receiver);
        let (endpoint, next, previous, cpu) = (thread.endpoint, thread.next, thread.previous, usize::from(thread.cpu));
        (thread.endpoint, thread.next, thread.previous) = (Ref::NONE, Ref::NONE, Ref::NONE);
        match previous.some() {
            Some(previous) => self.thread(previous).next = next,
            None => *wrap::at_mut(&mut self.endpoint(endpoint).receivers, cpu) = next,
        }
        if let Some(next) = next.some() {
            self.thread(next).previous = previous;
        }
    }

    /// The current thread waits for a message; if one is there it gets it and stays current.
    pub(crate) fn receive(&mut self, receiver: Ref<Thread>, endpoint: Ref<Endpoint>) {
        self.end_service(receiver);
        let bound = self.endpoint(endpoint).bound;
        if let Some(bound) = bound.some() {
            let word = core::mem::take(&mut self.notification(bound).word);
            if word != 0 {
                self.deliver_notification(receiver, word);
                return;
            }
        }
        let state = self.endpoint(endpoint).state();
        let head = self.endpoint(endpoint).callers_head;
        if let (EndpointState::Open, Some(caller)) = (state, head.some()) {
            self.leave_callers(caller);
            self.deliver(caller, receiver);
            return;
        }
        self.leave_current();
        let cpu = usize::from(self.thread(receiver).cpu);
        let head = core::mem::replace(wrap::at_mut(&mut self.endpoint(endpoint).receivers, cpu), receiver);
        let thread = self.thread(receiver);
        thread.state = State::Receiving as u8;
        thread.endpoint = endpoint;
        thread.previous = Ref::NONE;
        thread.next = head;
        if let Some(head) = head.some() {
            self.thread(head).previous = receiver;
        }
    }

    /// Hands the bound notification's word to a receiver that waits, if there is one.
    pub(crate) fn offer_notification(&mut self, endpoint: Ref<Endpoint>, notification: Ref<Notification>) {
        let Some(receiver) = self.receiver(endpoint) else { return };
        let word = core::mem::take(&mut self.notification(notification).word);
        self.leave_receivers(receiver);
        self.deliver_notification(receiver, word);
        self.make_runnable(receiver);
    }

    /// Opens, holds or closes an endpoint. Opening lets queued callers meet waiting receivers; closing tells queued callers. Returns whether all have met
    /// or been told: done again, it goes on.
    pub(crate) fn set_endpoint_state(&mut self, thread: Ref<Thread>, handle: u32) -> Result<bool, Error> {
        let words: [u64; 2] = self.arguments(thread);
        let endpoint = self.lookup(thread, handle, ObjectKind::Endpoint, Rights::CONTROL)?.reference();
        let state = EndpointState::from_word(words[0]).ok_or(Error::InvalidArgument)?;
        self.endpoint(endpoint).closed_code = words[1];
        // It opens last: until then nobody who comes passes those who wait.
        if state == EndpointState::Open && !self.match_queued(endpoint) {
            return Ok(false);
        }
        self.endpoint(endpoint).state = state as u64;
        Ok(state != EndpointState::Closed || self.refuse_queued(endpoint))
    }

    /// Lets queued callers meet waiting receivers, up to a preemption point: a message is as long as a page. `true` when no more can meet.
    fn match_queued(&mut self, endpoint: Ref<Endpoint>) -> bool {
        while let Some(caller) = self.endpoint(endpoint).callers_head.some() {
            let Some(receiver) = self.take_receiver(endpoint) else { return true };
            self.leave_callers(caller);
            self.deliver(caller, receiver);
            self.make_runnable(receiver);
            if self.machine.interrupted() {
                return false;
            }
        }
        true
    }

    /// Refuses queued callers, up to a preemption point; `true` when none is left.
    fn refuse_queued(&mut self, endpoint: Ref<Endpoint>) -> bool {
        while let Some(caller) = self.endpoint(endpoint).callers_head.some() {
            self.leave_callers(caller);
            self.refuse(caller, endpoint);
            if self.machine.interrupted() {
                return false;
            }
        }
        true
    }

    /// One step of an endpoint's end: waiting receivers are kicked, queued callers refused. `true` when it may go.
    pub(crate) fn destroy_endpoint(&mut self, endpoint: Ref<Endpoint>) -> bool {
        self.endpoint(endpoint).state = EndpointState::Closed as u64;
        while let Some(receiver) = self.receiver(endpoint) {
            self.kick_thread(receiver);
            if self.machine.interrupted() {
                return false;
            }
        }
        let bound = core::mem::replace(&mut self.endpoint(endpoint).bound, Ref::NONE);
        if let Some(bound) = bound.some() {
            self.notification(bound).bound = Ref::NONE;
        }
        self.refuse_queued(endpoint)
    }
}
