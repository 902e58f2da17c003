//! Messages: what travels from a caller to a receiver and back.
//!
//! Invariants: a message is delivered whole or not at all; it is copied, never moved; each delivery gives the caller a new ticket, puts a Reply
//! with that ticket into the slot that the receiver named, and links the caller to that slot's table.

use abi::{
    Control, Error, Label, MAX_CAPS, MAX_INLINE, MAX_MESSAGE, MessageKind, MessagePage, ObjectKind, Operation, ReplyKind, RequestNumber, Rights,
    call_sum, result_of,
};

use crate::capability::{Slot, SlotPlace};
use crate::kernel::Kernel;
use crate::machine::{Machine, PageNumber};
use crate::page::{self, Ref};
use crate::thread::{CallKind, State, Thread, odd};

/// What a Linux program gets when its system dropped the call: EIO.
const EIO: u64 = 5;

impl<M: Machine> Kernel<M> {
    /// The native call: checks everything that can be checked before the point of no return.
    pub(crate) fn call(&mut self, caller: Ref<Thread>, handle: u32, label: Label) -> Result<(), Error> {
        let slot = self.lookup(caller, handle, ObjectKind::Endpoint, Rights::CALL)?;
        self.check_outgoing(caller, label)?;
        if label.leases() != 0 {
            self.take_leases(caller, label.leases())?;
        }
        let number = self.thread(caller).frame.r15;
        let thread = self.thread(caller);
        thread.label = Label(label.0).with_kind(0).0;
        thread.lease_count = label.leases() as u8;
        thread.call_kind = CallKind::Call as u8;
        thread.call_badge = slot.badge;
        if thread.request != number {
            thread.set_attempts(0);
        }
        thread.request = number;
        thread.calls = thread.calls.wrapping_add(1);
        self.leave_current_for_call();
        self.send(caller, slot.reference());
        Ok(())
    }

    /// The caller leaves the processor; unlike [`Kernel::leave_current`] nothing has to be chosen if the receiver runs at once.
    fn leave_current_for_call(&mut self) {
        self.charge();
        self.cpu().current = Ref::NONE;
    }

    /// Whether a message that `sender` describes can be sent at all.
    fn check_outgoing(&mut self, sender: Ref<Thread>, label: Label) -> Result<(), Error> {
        if label.bytes() > MAX_MESSAGE || label.caps() > MAX_CAPS || label.leases() > abi::MAX_LEASES {
            return Err(Error::InvalidArgument);
        }
        let needs_page = label.bytes() > MAX_INLINE || label.caps() != 0 || label.leases() != 0;
        if needs_page && self.thread(sender).message_page == 0 {
            return Err(Error::WrongState);
        }
        Ok(())
    }

    /// Gives a caller's message to a receiver that is on no queue: words, page, capabilities, Reply, badge and numbers.
    pub(crate) fn deliver(&mut self, caller: Ref<Thread>, receiver: Ref<Thread>) {
        let (kind, words) = (self.thread(caller).call_kind(), self.outgoing_words(caller));
        let (label, badge, number) = self.outgoing_header(caller, receiver, kind);
        let now = self.machine.now();
        let place = SlotPlace { table: self.thread(receiver).table, index: self.thread(receiver).reply_slot };
        self.issue_reply(caller, place);
        self.end_service(receiver);
        self.link_service(caller, receiver);
        let thread = self.thread(receiver);
        thread.set_words(words);
        thread.set_status(0, label.0);
        thread.frame.rbx = badge;
        thread.frame.r14 = number;
        let [arguments @ .., call, _] = words;
        thread.frame.r15 = if kind == CallKind::Reflected { call_sum(RequestNumber(number), call, arguments) } else { number };
        thread.received = number;
        thread.received_at = now;
    }

    fn outgoing_words(&mut self, caller: Ref<Thread>) -> [u64; 8] {
        let thread = self.thread(caller);
        let frame = &thread.frame;
        match thread.call_kind() {
            CallKind::Call => thread.words(),
            CallKind::Reflected => [frame.rdi, frame.rsi, frame.rdx, frame.r8, frame.r9, frame.r10, frame.rax, frame.rip],
            CallKind::PageFault | CallKind::Exception => {
                let [first, second, third, fourth] = thread.fault;
                [first, second, third, fourth, 0, 0, 0, 0]
            }
        }
    }

    /// The number and the badge under which a caller's present message is delivered.
    pub(crate) fn delivered(&mut self, caller: Ref<Thread>) -> (u64, u64) {
        let thread = self.thread(caller);
        let request = RequestNumber(thread.request);
        match thread.call_kind() {
            CallKind::Call => (request.0, thread.call_badge),
            CallKind::Reflected => (request.0, thread.badge),
            CallKind::PageFault | CallKind::Exception => (request.with_step(RequestNumber::FAULT_STEP).0, thread.badge),
        }
    }

    fn outgoing_header(&mut self, caller: Ref<Thread>, receiver: Ref<Thread>, kind: CallKind) -> (Label, u64, u64) {
        let (number, badge) = self.delivered(caller);
        let label = Label(self.thread(caller).label);
        match kind {
            CallKind::Call => {
                if label.bytes() > MAX_INLINE {
                    self.copy_page(caller, receiver, label.bytes());
                }
                let caps = if label.caps() == 0 { 0 } else { self.copy_capabilities(caller, receiver, label.caps()) };
                (label.with_caps(caps), badge, number)
            }
            CallKind::Reflected => (Label::new(MAX_INLINE).with_kind(MessageKind::Reflected as u8), badge, number),
            CallKind::PageFault => (Label::new(24).with_kind(MessageKind::PageFault as u8), badge, number),
            CallKind::Exception => (Label::new(32).with_kind(MessageKind::Exception as u8), badge, number),
        }
    }

    /// Copies the bytes of a long message from page to page. Both sides have one: `check_outgoing`, `receive_from` and `reply_to_call` see to it.
    fn copy_page(&mut self, from: Ref<Thread>, to: Ref<Thread>, length: usize) {
        let (from, to) = (self.thread(from).message_page, self.thread(to).message_page);
        if from != 0 && to != 0 {
            page::copy(&mut self.machine, (from, 0), (to, 0), length.next_multiple_of(8).min(MAX_MESSAGE));
        }
    }

    /// Copies capabilities into the slots that the receiver named; stops at the first that cannot be. Returns how many arrived.
    fn copy_capabilities(&mut self, from: Ref<Thread>, to: Ref<Thread>, count: usize) -> usize {
        let handles = self.page_array(from, core::mem::offset_of!(MessagePage, send_caps));
        let slots = self.page_array(to, core::mem::offset_of!(MessagePage, receive_slots));
        let pairs = handles.into_iter().zip(slots).take(count);
        let mut done = 0;
        for (handle, index) in pairs {
            if self.copy_one(from, handle, to, index).is_err() {
                break;
            }
            done += 1;
        }
        done
    }

    fn copy_one(&mut self, from: Ref<Thread>, handle: u32, to: Ref<Thread>, index: u32) -> Result<(), Error> {
        let source = self.handle_place(from, handle)?;
        let slot = *self.slot(source);
        if !self.is_valid(&slot) || slot.is_owned_memory() || slot.kind() == ObjectKind::Reply {
            return Err(Error::WrongKind);
        }
        let table = self.thread(to).table;
        let target = self.place(table, index)?;
        if !self.slot(target).is_empty() {
            return Err(Error::SlotFull);
        }
        *self.slot(target) = slot.without_record();
        Ok(())
    }

    /// Four 32-bit fields of a thread's message page, read once.
    fn page_array(&mut self, thread: Ref<Thread>, offset: usize) -> [u32; 4] {
        let page: PageNumber = self.thread(thread).message_page;
        if page == 0 {
            return [0; 4];
        }
        let [first, second] = page::snapshot(&mut self.machine, page, offset / 8);
        [first as u32, (first >> 32) as u32, second as u32, (second >> 32) as u32]
    }

    /// Puts a Reply into a receiver's slot and links the caller to it.
    fn issue_reply(&mut self, caller: Ref<Thread>, place: SlotPlace) {
        let last = &mut self.cpu().ticket;
        *last += 1;
        let ticket = *last;
        let head = self.table(place.table).callers;
        let thread = self.thread(caller);
        thread.state = State::AwaitingReply as u8;
        thread.ticket = ticket;
        thread.reply_table = place.table;
        thread.reply = place.address();
        thread.instance_next = head;
        thread.instance_previous = Ref::NONE;
        thread.frame_set = 0;
        if let Some(head) = head.some() {
            self.thread(head).instance_previous = caller;
        }
        self.table(place.table).callers = caller;
        *self.slot(place) = Slot { rights: Rights::ALL, kind: ObjectKind::Reply as u8, epoch: ticket, object: caller.address(), ..Slot::default() };
    }

    /// Unlinks a caller from its instance and from the server thread; its Reply is worth nothing afterwards.
    fn unlink_caller(&mut self, caller: Ref<Thread>) {
        let thread = self.thread(caller);
        let (table, next, previous) = (thread.reply_table, thread.instance_next, thread.instance_previous);
        (thread.reply_table, thread.instance_next, thread.instance_previous) = (Ref::NONE, Ref::NONE, Ref::NONE);
        thread.ticket = 0;
        thread.lease_count = 0;
        thread.odd &= !odd::REMOTE;
        let server = core::mem::replace(&mut thread.served_by, Ref::NONE);
        if let Some(server) = server.some() {
            self.thread(server).serving = Ref::NONE;
            self.chain_broken(server);
        }
        match previous.some() {
            Some(previous) => self.thread(previous).instance_next = next,
            None => self.table(table).callers = next,
        }
        if let Some(next) = next.some() {
            self.thread(next).instance_previous = previous;
        }
    }

    /// The caller gives up its call: the Reply stays in its slot, as one that is gone.
    pub(crate) fn forget_reply(&mut self, caller: Ref<Thread>) {
        let thread = self.thread(caller);
        let place = SlotPlace::at(thread.reply_table, thread.reply);
        self.unlink_caller(caller);
        let slot = self.slot(place);
        (slot.rights, slot.object) = (0, 0);
    }

    /// The receiver drops a Reply: its caller is told, by an error of its own kind.
    pub(crate) fn drop_reply(&mut self, place: SlotPlace) {
        let caller = self.reply_at(place);
        *self.slot(place) = Slot::default();
        if let Ok(caller) = caller {
            self.unlink_caller(caller);
            self.turn_away(caller, Error::Dropped);
        }
    }

    /// Tells a caller that it gets no answer: a native one by `error`, others by what their kind has for it.
    pub(crate) fn turn_away(&mut self, caller: Ref<Thread>, error: Error) {
        match self.thread(caller).call_kind() {
            CallKind::Call => self.thread(caller).fail(error),
            CallKind::Reflected => self.thread(caller).frame.rax = EIO.wrapping_neg(),
            CallKind::PageFault => return self.raise_to_fault_endpoint(caller),
            CallKind::Exception => {
                self.thread(caller).state = State::Stopped as u8;
                return;
            }
        }
        self.make_runnable(caller);
    }

    /// One step of an instance's death: up to a budget of callers whose Reply lies in `table` are told. Returns whether some are left.
    pub(crate) fn kill_instance(&mut self, thread: Ref<Thread>, handle: u32) -> Result<u64, Error> {
        let table = self.lookup(thread, handle, ObjectKind::CapTable, Rights::CONTROL)?.reference();
        for _ in 0..abi::BUDGET_PAGES / 8 {
            let Some(caller) = self.table(table).callers.some() else { return Ok(0) };
            self.forget_reply(caller);
            self.redeliver(caller, Error::PeerDied);
        }
        Ok(u64::from(self.table(table).callers.some().is_some()))
    }

    /// A call ends without an answer and is to be made again: a native caller is told why, a Linux thread traps again with the number kept. One whose
    /// registers the server had set goes on with those: setting them was the commit of the request, and going back would run it with somebody else's.
    /// An exception comes by itself when the instruction is done again, but for one that came after it, which is told again.
    pub(crate) fn redeliver(&mut self, caller: Ref<Thread>, error: Error) {
        let thread = self.thread(caller);
        match thread.call_kind() {
            CallKind::Call => thread.fail(error),
            CallKind::Reflected if thread.frame_set != 0 => {}
            CallKind::Reflected => {
                thread.rewind();
                thread.redeliver = 1;
            }
            CallKind::Exception if thread.has_trapped() && thread.frame_set == 0 => return self.raise_exception(caller),
            CallKind::PageFault | CallKind::Exception => {}
        }
        self.make_runnable(caller);
    }

    /// Answers the caller whose Reply lies at `place`. The caller is runnable afterwards, on no queue, and returned.
    pub(crate) fn reply(&mut self, server: Ref<Thread>, place: SlotPlace, label: Label) -> Result<Option<Ref<Thread>>, Error> {
        let caller = match self.reply_at(place) {
            Ok(caller) => caller,
            Err(error) => {
                if error == Error::ReplyGone {
                    *self.slot(place) = Slot::default();
                }
                return Err(error);
            }
        };
        self.check_outgoing(server, label)?;
        let kind = self.thread(caller).call_kind();
        let result = match kind {
            CallKind::Reflected if label.kind() != ReplyKind::Frame as u8 => {
                Some(result_of(self.thread(server).words()).ok_or(Error::InvalidArgument)?)
            }
            _ => None,
        };
        *self.slot(place) = Slot::default();
        self.unlink_caller(caller);
        let words = self.thread(server).words();
        let answer = label.kind();
        if answer != ReplyKind::Decline as u8 {
            self.thread(caller).set_attempts(0);
        }
        match kind {
            CallKind::Call => self.reply_to_call(server, caller, label, words),
            CallKind::Reflected => {
                if let Some(result) = result {
                    self.thread(caller).frame.rax = result;
                }
            }
            CallKind::PageFault if answer == ReplyKind::Decline as u8 => {
                self.raise_to_fault_endpoint(caller);
                return Ok(None);
            }
            CallKind::PageFault | CallKind::Exception => {}
        }
        self.thread(caller).state = State::Runnable as u8;
        Ok(Some(caller))
    }

    fn reply_to_call(&mut self, server: Ref<Thread>, caller: Ref<Thread>, label: Label, words: [u64; 8]) {
        if label.bytes() > MAX_INLINE {
            if self.thread(caller).message_page == 0 {
                return self.thread(caller).fail(Error::WrongState);
            }
            self.copy_page(server, caller, label.bytes());
        }
        let caps = if label.caps() == 0 { 0 } else { self.copy_capabilities(server, caller, label.caps()) };
        let thread = self.thread(caller);
        thread.set_words(words);
        thread.set_status(0, label.with_caps(caps).with_leases(0).0);
    }

    /// `Reply`: answers without waiting; the caller joins its queue.
    pub(crate) fn reply_only(&mut self, server: Ref<Thread>, handle: u32, label: Label) -> Result<(), Error> {
        let place = self.handle_place(server, handle)?;
        if let Some(caller) = self.reply(server, place, label)? {
            self.enqueue(caller);
        }
        Ok(())
    }

    /// The slot that a receiver named for the next Reply, if one can be put there now.
    pub(crate) fn reply_place(&mut self, receiver: Ref<Thread>) -> Result<SlotPlace, Error> {
        let thread = self.thread(receiver);
        let (table, index) = (thread.table, thread.reply_slot);
        let place = self.place(table, index)?;
        let slot = *self.slot(place);
        let free = slot.is_empty() || slot.kind() == ObjectKind::Reply && !self.is_valid(&slot);
        if free { Ok(place) } else { Err(Error::SlotFull) }
    }

    /// `Receive` and the second half of `ReplyReceive`: waits for a message, if the reply slot can take a Reply.
    pub(crate) fn receive_from(&mut self, receiver: Ref<Thread>, handle: u32) -> Result<(), Error> {
        let endpoint = self.lookup(receiver, handle, ObjectKind::Endpoint, Rights::RECEIVE)?.reference();
        self.reply_place(receiver)?;
        if self.thread(receiver).message_page == 0 {
            return Err(Error::WrongState);
        }
        self.receive(receiver, endpoint);
        Ok(())
    }

    /// `ReplyReceive`: answers through the reply slot, if it holds a Reply, and waits. A caller that is gone is no error here.
    pub(crate) fn reply_receive(&mut self, server: Ref<Thread>, handle: u32, label: Label) -> Result<(), Error> {
        self.lookup(server, handle, ObjectKind::Endpoint, Rights::RECEIVE)?;
        let index = self.thread(server).reply_slot;
        let table = self.thread(server).table;
        let place = self.place(table, index)?;
        let caller = match self.reply(server, place, label) {
            Ok(caller) => caller,
            Err(Error::InvalidHandle | Error::ReplyGone) => None,
            Err(error) => return Err(error),
        };
        // A long answer and a long message are nearly two pages: between them is a preemption point, after which the thread only receives.
        let received = if label.bytes() > MAX_INLINE && self.machine.interrupted() {
            let thread = self.thread(server);
            thread.frame.rax = u64::from(Control::new(Operation::Receive, handle).0);
            thread.rewind();
            Ok(())
        } else {
            self.receive_from(server, handle)
        };
        if let Some(caller) = caller {
            if self.cpu().is_idle() {
                self.switch_to(caller);
            } else {
                self.queue_again(caller);
            }
        }
        received
    }

    /// Names the slot where the next message's Reply goes.
    pub(crate) fn set_reply_slot(&mut self, thread: Ref<Thread>) -> Result<(), Error> {
        let [index] = self.arguments(thread);
        let index = u32::try_from(index).map_err(|_| Error::InvalidArgument)?;
        let table = self.thread(thread).table;
        self.place(table, index)?;
        self.thread(thread).reply_slot = index;
        self.note_reply_slot(thread);
        Ok(())
    }

    /// Keeps the address of the slot that a thread named for its next Reply, for the fast path.
    pub(crate) fn note_reply_slot(&mut self, thread: Ref<Thread>) {
        let (table, index) = (self.thread(thread).table, self.thread(thread).reply_slot);
        let address = self.place(table, index).ok().map(SlotPlace::address);
        let nowhere = thread.address().wrapping_add(core::mem::offset_of!(Thread, no_slot) as u64);
        self.thread(thread).reply_at = address.unwrap_or(nowhere);
    }

    /// Gives a receiver the bound notification's word. There is no Reply.
    pub(crate) fn deliver_notification(&mut self, receiver: Ref<Thread>, word: u64) {
        let thread = self.thread(receiver);
        thread.set_words([word, 0, 0, 0, 0, 0, 0, 0]);
        thread.set_status(0, Label::new(8).with_kind(MessageKind::Notification as u8).0);
        thread.frame.rbx = 0;
        thread.frame.r14 = 0;
    }
}
