//! Threads: registers, what they may name, whom they wait for.
//!
//! Invariants: a thread is on exactly the queue that its state says (run queue, an endpoint's receivers or callers, a notification), or on
//! none; while it awaits a reply it is linked to the table that holds its Reply and the Reply's slot names it with its present ticket; the
//! spaces and tables it is configured with count it as a user.

use abi::{Error, Frame, Lease, MAX_LEASES, ObjectKind, Rights, ThreadSetting, thread_flags};

use crate::capability::{CapTable, SlotPlace};
use crate::endpoint::Endpoint;
use crate::fault::TRAPS;
use crate::kernel::Kernel;
use crate::machine::{Machine, PageNumber};
use crate::notification::Notification;
use crate::page::{self, Object, Ref};
use crate::space::AddressSpace;

/// Length of a time slice, in TSC ticks, until somebody sets another: 40 ms at 1 GHz, 10 ms at 4 GHz. Long enough that a `fork` on an emulated
/// processor fits in: a slice that ends in it lets the child run before its parent goes on, which shells hardly ever see elsewhere.
pub const DEFAULT_SLICE: u64 = 40_000_000;

/// Bytes of the `syscall` instruction.
const SYSCALL_BYTES: u64 = 2;

/// What a thread does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum State {
    /// Nothing, until it is started.
    Stopped = 0,
    /// Runs, or waits in a run queue.
    Runnable = 1,
    /// Waits in an endpoint's queue of callers.
    Calling = 2,
    /// A receiver has its message; it waits for the reply.
    AwaitingReply = 3,
    /// Waits for a message at an endpoint.
    Receiving = 4,
    /// Waits for a notification.
    Waiting = 5,
}

/// What kind of message a calling thread sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum CallKind {
    /// A native call.
    Call = 0,
    /// A page fault, to the pager.
    PageFault = 2,
    /// Any other exception, or a page fault that the pager declined.
    Exception = 3,
    /// A Linux system call.
    Reflected = 4,
}

/// What makes the fast path leave a thread to the slow one: the bits of one byte of each [`Thread`].
pub mod odd {
    /// It runs Linux code.
    pub const REFLECT: u8 = 1;
    /// It may own FPU state.
    pub const FPU: u8 = 2;
    /// It has a base of FS or GS. Other threads run with whatever base was loaded, which tells them nothing but an address.
    pub const BASES: u8 = 4;
    /// Instances died of its present request.
    pub const ATTEMPTED: u8 = 8;
    /// It has no message page.
    pub const NO_PAGE: u8 = 16;
    /// What it does is recorded ([`crate::trace`]), or was until lately.
    pub const TRACED: u8 = 32;
    /// The thread that works for it belongs to another processor.
    pub const REMOTE: u8 = 64;
    /// What is not odd in a thread that runs Linux code: such calls have a way of their own.
    pub const ORDINARY_IN_LINUX: u8 = FPU | BASES | NO_PAGE;
}

/// A weak reference to an endpoint or notification: live only while the page's epoch says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct Port<T> {
    pub(crate) object: Ref<T>,
    pub(crate) epoch: u64,
}

impl<T> Port<T> {
    pub(crate) const NONE: Self = Self { object: Ref::NONE, epoch: 0 };
}

/// A thread. Its registers come first, so that the entry code stores them at fixed small offsets.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Thread {
    /// Its registers while it does not run.
    pub frame: Frame,
    /// [`thread_flags`].
    pub flags: u8,
    /// 0 (lowest) to [`abi::PRIORITIES`] - 1.
    pub priority: u8,
    /// The processor that it runs on.
    pub cpu: u8,
    pub(crate) lease_count: u8,
    /// Set when its server died with the request: the next trap keeps the request's number.
    pub(crate) redeliver: u8,
    /// Set when [`Frame::xsave`] holds state.
    pub(crate) fpu_used: u8,
    /// How many instances died of its present request.
    pub(crate) attempts: u8,
    /// Set when it goes to its callers' processors ([`abi::ANY_PROCESSOR`]).
    pub(crate) follows: u8,
    /// What it was doing when it was stopped at another processor's request, which is not told yet.
    pub(crate) halted: u8,
    // The next four are one word to the fast path.
    pub(crate) state: u8,
    pub(crate) call_kind: u8,
    /// Set when its registers were set while it awaits a reply: they are the answer, even if the reply itself never comes.
    pub(crate) frame_set: u8,
    /// [`odd`], as [`Thread::oddities`] says.
    pub(crate) odd: u8,
    /// The priorities whose runnable threads keep it from running at once, as bits: its own and those above.
    pub(crate) rivals: u32,
    /// The label of the message it sends.
    pub(crate) label: u32,
    pub(crate) reply_slot: u32,
    /// Address of the slot where the next Reply goes; [`Thread::no_slot`] while there is none.
    pub(crate) reply_at: u64,
    /// A slot that is empty and stays so.
    pub(crate) no_slot: [u64; 4],
    pub(crate) message_page: PageNumber,
    pub(crate) next: Ref<Thread>,
    pub(crate) previous: Ref<Thread>,
    /// The endpoint it calls or receives at.
    pub(crate) endpoint: Ref<Endpoint>,
    /// The notification it waits on.
    pub(crate) notification: Ref<Notification>,
    pub(crate) space: Ref<AddressSpace>,
    pub(crate) table: Ref<CapTable>,
    pub(crate) vault: Ref<CapTable>,
    pub(crate) fault_endpoint: Port<Endpoint>,
    pub(crate) personality: Port<Endpoint>,
    /// Badge of its faults and reflected calls.
    pub(crate) badge: u64,
    /// Badge of the capability it calls through.
    pub(crate) call_badge: u64,
    /// Number of its present request.
    pub(crate) request: u64,
    /// Number of the request it last received.
    pub(crate) received: u64,
    pub(crate) received_at: u64,
    /// The ticket of the delivery whose reply it awaits, else 0: what a Reply must match.
    pub(crate) ticket: u64,
    /// The table that holds its Reply, and the address of the Reply's slot, while it awaits one.
    pub(crate) reply_table: Ref<CapTable>,
    pub(crate) reply: u64,
    pub(crate) instance_next: Ref<Thread>,
    pub(crate) instance_previous: Ref<Thread>,
    /// The server thread that works for it.
    pub(crate) served_by: Ref<Thread>,
    /// The caller that it works for.
    pub(crate) serving: Ref<Thread>,
    pub(crate) leases: [Lease; MAX_LEASES],
    /// For leases that are lent on: the ticket of the Reply that they come from.
    pub(crate) lease_tickets: [u64; MAX_LEASES],
    /// Words of a fault or exception.
    pub(crate) fault: [u64; 4],
    pub(crate) slice: u64,
    /// What a preempted payer has left of its slice.
    pub(crate) slice_left: u64,
    pub(crate) own_ticks: u64,
    pub(crate) served_ticks: u64,
    pub(crate) calls: u64,
}

const _: () = assert!(size_of::<Thread>() <= page::PAGE_BYTES);

// SAFETY: `repr(C)`, smaller than a page, integers and arrays of integers only.
#[allow(unsafe_code, reason = "a thread is plain data")]
unsafe impl Object for Thread {
    const KIND: ObjectKind = ObjectKind::Thread;
}

impl Thread {
    /// Which [`odd`] bits it should have.
    #[must_use]
    pub fn oddities(&self) -> u8 {
        let bit = |is: bool, bit: u8| if is { bit } else { 0 };
        bit(self.is_reflected(), odd::REFLECT)
            | bit(self.has_fpu(), odd::FPU)
            | bit(self.frame.fs_base | self.frame.gs_base != 0, odd::BASES)
            | bit(self.attempts != 0, odd::ATTEMPTED)
            | bit(self.message_page == 0, odd::NO_PAGE)
    }

    /// Whether its bases of FS and GS matter to it.
    #[must_use]
    pub fn has_bases(&self) -> bool {
        self.odd & (odd::REFLECT | odd::BASES) != 0
    }

    pub(crate) fn note_oddities(&mut self) {
        self.odd = self.odd & (odd::TRACED | odd::REMOTE) | self.oddities();
    }

    pub(crate) fn set_attempts(&mut self, attempts: u8) {
        self.attempts = attempts;
        self.note_oddities();
    }

    pub(crate) fn set_level(&mut self, priority: u8) {
        self.priority = priority;
        self.rivals = u32::MAX.checked_shl(u32::from(priority)).unwrap_or(0);
    }

    /// What it does.
    #[must_use]
    pub fn state(&self) -> State {
        match self.state {
            1 => State::Runnable,
            2 => State::Calling,
            3 => State::AwaitingReply,
            4 => State::Receiving,
            5 => State::Waiting,
            _ => State::Stopped,
        }
    }

    pub(crate) fn call_kind(&self) -> CallKind {
        match self.call_kind {
            2 => CallKind::PageFault,
            3 => CallKind::Exception,
            4 => CallKind::Reflected,
            _ => CallKind::Call,
        }
    }

    /// Whether a Reply with this ticket is the one it waits for.
    #[must_use]
    pub fn awaits(&self, ticket: u64) -> bool {
        self.state() == State::AwaitingReply && self.ticket == ticket
    }

    /// Whether it runs Linux code.
    #[must_use]
    pub fn is_reflected(&self) -> bool {
        u64::from(self.flags) & thread_flags::REFLECT != 0
    }

    /// Whether it may own FPU state.
    #[must_use]
    pub fn has_fpu(&self) -> bool {
        u64::from(self.flags) & thread_flags::FPU != 0
    }

    /// Whether its present call is a fault, or the exception that one became, at this place.
    pub(crate) fn faulted_at(&self, address: u64, rip: u64) -> bool {
        match self.call_kind() {
            CallKind::PageFault => self.fault[0] == address && self.fault[2] == rip,
            CallKind::Exception => self.fault[2] == address && self.fault[3] == rip,
            CallKind::Call | CallKind::Reflected => false,
        }
    }

    /// The message words in their registers.
    pub(crate) fn words(&self) -> [u64; 8] {
        let frame = &self.frame;
        [frame.rdi, frame.rsi, frame.rdx, frame.r8, frame.r9, frame.r10, frame.r12, frame.r13]
    }

    pub(crate) fn set_words(&mut self, words: [u64; 8]) {
        let frame = &mut self.frame;
        [frame.rdi, frame.rsi, frame.rdx, frame.r8, frame.r9, frame.r10, frame.r12, frame.r13] = words;
    }

    /// Sets what a system call returns: status and label.
    pub(crate) fn set_status(&mut self, status: u32, label: u32) {
        self.frame.rax = u64::from(label) << 32 | u64::from(status);
    }

    /// Whether the exception that it is in came after its instruction, which would not raise it again.
    pub(crate) fn has_trapped(&self) -> bool {
        let [vector, ..] = self.fault;
        TRAPS.contains(&vector)
    }

    /// Goes back to the `syscall` instruction that it executed, to execute it again.
    pub(crate) fn rewind(&mut self) {
        self.frame.rip = self.frame.rip.wrapping_sub(SYSCALL_BYTES);
    }

    pub(crate) fn fail(&mut self, error: Error) {
        self.set_status(error.to_status(), 0);
    }
}

impl<M: Machine> Kernel<M> {
    pub(crate) fn thread(&mut self, thread: Ref<Thread>) -> &mut Thread {
        page::object(&mut self.machine, thread)
    }

    pub(crate) fn init_thread(&mut self, thread: Ref<Thread>) {
        let fresh = self.thread(thread);
        fresh.frame = Frame::new();
        fresh.slice = DEFAULT_SLICE;
        fresh.set_level(0);
        fresh.note_oddities();
        self.note_reply_slot(thread);
    }

    /// Sets one property. Properties that name objects need the right to use those objects.
    pub(crate) fn configure_thread(&mut self, caller: Ref<Thread>, handle: u32) -> Result<(), Error> {
        let words: [u64; 3] = self.arguments(caller);
        let target: Ref<Thread> = self.lookup(caller, handle, ObjectKind::Thread, Rights::CONTROL)?.reference();
        let [setting, value, second] = words;
        let setting = ThreadSetting::from_word(setting).ok_or(Error::InvalidArgument)?;
        let argument = u32::try_from(value).map_err(|_| Error::InvalidArgument);
        match setting {
            ThreadSetting::Space => {
                let space = self.lookup(caller, argument?, ObjectKind::AddressSpace, Rights::CONTROL)?.reference();
                self.set_thread_space(target, space)
            }
            ThreadSetting::Table => {
                let table = self.lookup(caller, argument?, ObjectKind::CapTable, Rights::CONTROL)?.reference();
                self.set_thread_table(target, table, false)
            }
            ThreadSetting::Vault => {
                let table = self.lookup(caller, argument?, ObjectKind::CapTable, Rights::CONTROL)?.reference();
                self.set_thread_table(target, table, true)
            }
            ThreadSetting::FaultEndpoint => {
                let slot = self.lookup(caller, argument?, ObjectKind::Endpoint, Rights::CALL)?;
                self.thread(target).fault_endpoint = Port { object: slot.reference(), epoch: slot.epoch };
                Ok(())
            }
            ThreadSetting::Personality => {
                let slot = self.lookup(caller, argument?, ObjectKind::Endpoint, Rights::CALL)?;
                self.thread(target).personality = Port { object: slot.reference(), epoch: slot.epoch };
                Ok(())
            }
            ThreadSetting::MessagePage => self.set_message_page(caller, target, argument?, second),
            ThreadSetting::Priority => self.set_priority(target, value),
            ThreadSetting::Flags => {
                if value & !(thread_flags::FPU | thread_flags::REFLECT) != 0 {
                    return Err(Error::InvalidArgument);
                }
                self.stopped(target)?;
                if value & thread_flags::FPU == 0 {
                    self.drop_fpu(target);
                    self.thread(target).fpu_used = 0;
                }
                let thread = self.thread(target);
                thread.flags = value as u8;
                thread.note_oddities();
                Ok(())
            }
            ThreadSetting::Badge => {
                self.thread(target).badge = value;
                Ok(())
            }
            ThreadSetting::Lane => {
                let thread = self.thread(target);
                thread.request = value;
                thread.redeliver = 0;
                thread.set_attempts(0);
                Ok(())
            }
            ThreadSetting::Processor => self.set_processor(target, value),
            ThreadSetting::Slice => {
                if value == 0 {
                    return Err(Error::InvalidArgument);
                }
                self.thread(target).slice = value;
                Ok(())
            }
        }
    }

    fn stopped(&mut self, thread: Ref<Thread>) -> Result<(), Error> {
        if self.thread(thread).state() == State::Stopped { Ok(()) } else { Err(Error::WrongState) }
    }

    fn set_thread_space(&mut self, target: Ref<Thread>, space: Ref<AddressSpace>) -> Result<(), Error> {
        let state = self.thread(target).state();
        if !matches!(state, State::Stopped | State::AwaitingReply) {
            return Err(Error::WrongState);
        }
        if self.space(space).dismantled != 0 {
            return Err(Error::WrongState);
        }
        let old = core::mem::replace(&mut self.thread(target).space, space);
        if let Some(old) = old.some() {
            self.space(old).users -= 1;
        }
        self.space(space).users += 1;
        Ok(())
    }

    fn set_thread_table(&mut self, target: Ref<Thread>, table: Ref<CapTable>, vault: bool) -> Result<(), Error> {
        self.stopped(target)?;
        let thread = self.thread(target);
        let field = if vault { &mut thread.vault } else { &mut thread.table };
        let old = core::mem::replace(field, table);
        if let Some(old) = old.some() {
            self.table(old).users -= 1;
        }
        self.table(table).users += 1;
        self.note_reply_slot(target);
        Ok(())
    }

    fn set_message_page(&mut self, caller: Ref<Thread>, target: Ref<Thread>, memory: u32, offset: u64) -> Result<(), Error> {
        self.stopped(target)?;
        let memory = self.lookup(caller, memory, ObjectKind::Memory, Rights::READ | Rights::WRITE)?;
        let page = self.memory_page(&memory, offset)?;
        let info = self.machine.page_info(page).ok_or(Error::InvalidArgument)?;
        info.pins = info.pins.checked_add(1).ok_or(Error::KernelLimit)?;
        let old = core::mem::replace(&mut self.thread(target).message_page, page);
        self.thread(target).note_oddities();
        self.unpin(old);
        Ok(())
    }

    pub(crate) fn unpin(&mut self, page: PageNumber) {
        if page != 0
            && let Some(info) = self.machine.page_info(page)
        {
            info.pins = info.pins.saturating_sub(1);
        }
    }

    fn set_priority(&mut self, target: Ref<Thread>, priority: u64) -> Result<(), Error> {
        if priority >= u64::from(abi::PRIORITIES) {
            return Err(Error::InvalidArgument);
        }
        let queued = self.thread(target).state() == State::Runnable && !self.is_current(target);
        if queued {
            self.unqueue(target);
        }
        self.thread(target).set_level(priority as u8);
        if queued {
            self.enqueue(target);
        }
        self.reconsider_thread(target);
        Ok(())
    }

    /// Whether a thread runs, on its processor.
    fn is_current(&mut self, thread: Ref<Thread>) -> bool {
        self.cpu_of(thread).current == thread
    }

    /// Whether a thread runs on another processor than this one.
    pub(crate) fn runs_elsewhere(&mut self, thread: Ref<Thread>) -> bool {
        self.is_current(thread) && usize::from(self.thread(thread).cpu) != self.machine.processor()
    }

    /// Moves a thread that does not run to another processor, or lets it follow its callers. Its registers in the FPU it leaves behind in its frame.
    fn set_processor(&mut self, target: Ref<Thread>, processor: u64) -> Result<(), Error> {
        let (count, follows) = (self.processors(), processor == abi::ANY_PROCESSOR);
        let present = u64::from(self.thread(target).cpu);
        let processor = if follows { present } else { processor };
        let processor = usize::try_from(processor).ok().filter(|processor| *processor < count).ok_or(Error::InvalidArgument)?;
        if !matches!(self.thread(target).state(), State::Stopped | State::AwaitingReply) {
            return Err(Error::WrongState);
        }
        self.thread(target).follows = u8::from(follows);
        self.drop_fpu(target);
        let thread = self.thread(target);
        thread.cpu = processor as u8;
        let (server, caller) = (thread.served_by, thread.serving);
        if let Some(server) = server.some() {
            self.link_service(target, server);
        }
        if let Some(caller) = caller.some() {
            self.link_service(caller, target);
        }
        Ok(())
    }

    /// From now on `server` works for `caller`.
    pub(crate) fn link_service(&mut self, caller: Ref<Thread>, server: Ref<Thread>) {
        let thread = self.thread(server);
        thread.serving = caller;
        let cpu = thread.cpu;
        let thread = self.thread(caller);
        thread.served_by = server;
        thread.odd = thread.odd & !odd::REMOTE | if thread.cpu == cpu { 0 } else { odd::REMOTE };
    }

    /// Makes a stopped thread runnable.
    pub(crate) fn start_thread(&mut self, target: Ref<Thread>) -> Result<(), Error> {
        self.stopped(target)?;
        let thread = self.thread(target);
        thread.halted = 0;
        if thread.space.some().is_none() || !thread.is_reflected() && thread.table.some().is_none() {
            return Err(Error::WrongState);
        }
        self.make_runnable(target);
        Ok(())
    }

    /// Stops a thread wherever it is. What it was doing, as [`abi::Operation::ThreadStop`] says; `None` if it runs on another processor, which
    /// was told to stop it: done again, this says what it was doing.
    pub(crate) fn stop_thread(&mut self, target: Ref<Thread>) -> Option<u64> {
        if self.runs_elsewhere(target) {
            if core::mem::replace(&mut self.cpu_of(target).halt, target) != target {
                let processor = usize::from(self.thread(target).cpu);
                self.machine.send_ipi(processor);
            }
            return None;
        }
        let was = match self.thread(target).state() {
            State::Stopped => return Some(u64::from(core::mem::take(&mut self.thread(target).halted))),
            State::Runnable => {
                if self.is_current(target) {
                    self.leave_current();
                } else {
                    self.unqueue(target);
                }
                1
            }
            State::Calling => {
                self.leave_callers(target);
                self.thread(target).frame_set = 0;
                self.give_up_call(target);
                2
            }
            State::AwaitingReply => {
                self.forget_reply(target);
                self.give_up_call(target);
                2
            }
            State::Receiving => {
                self.leave_receivers(target);
                self.thread(target).fail(Error::Kicked);
                3
            }
            State::Waiting => {
                self.leave_notification(target);
                self.thread(target).fail(Error::Kicked);
                3
            }
        };
        self.end_service(target);
        let thread = self.thread(target);
        thread.state = State::Stopped as u8;
        Some(was)
    }

    /// Another processor interrupts this one: a thread was queued here, or the one that runs is to stop.
    pub fn take_ipi(&mut self) {
        self.cpu().reschedule = true;
        let halt = core::mem::replace(&mut self.cpu().halt, Ref::NONE);
        if halt.some().is_some() && self.cpu().current == halt {
            let was = self.stop_thread(halt).unwrap_or_default();
            self.thread(halt).halted = was as u8;
        }
    }

    /// Should its thread ever go on, a native call that was given up is an error, and a reflected one is made again, as a fault is; registers that were set
    /// meanwhile are its answer.
    fn give_up_call(&mut self, target: Ref<Thread>) {
        let thread = self.thread(target);
        match thread.call_kind() {
            CallKind::Call => thread.fail(Error::Kicked),
            CallKind::Reflected if thread.frame_set == 0 => thread.rewind(),
            CallKind::Reflected | CallKind::PageFault | CallKind::Exception => {}
        }
    }

    /// Ends a thread's wait, whatever it waits for. What it was doing, as [`abi::Operation::ThreadKick`] says.
    pub(crate) fn kick_thread(&mut self, target: Ref<Thread>) -> u64 {
        match self.thread(target).state() {
            State::Stopped => return 0,
            State::Runnable => return 1,
            State::Calling => {
                self.leave_callers(target);
                // Registers that were set during an earlier call are no answer to this one.
                self.thread(target).frame_set = 0;
                self.redeliver(target, Error::Kicked);
                return 2;
            }
            State::AwaitingReply => {
                self.forget_reply(target);
                self.redeliver(target, Error::Kicked);
                return 2;
            }
            State::Receiving => self.leave_receivers(target),
            State::Waiting => self.leave_notification(target),
        }
        self.thread(target).fail(Error::Kicked);
        self.make_runnable(target);
        3
    }

    /// Undoes the link between a server thread and the caller that it works for.
    pub(crate) fn end_service(&mut self, server: Ref<Thread>) {
        let caller = core::mem::replace(&mut self.thread(server).serving, Ref::NONE);
        if let Some(caller) = caller.some() {
            self.thread(caller).served_by = Ref::NONE;
        }
    }

    /// A thread whose registers may be read and set: stopped, or waiting for the reply to its call.
    fn framed(&mut self, caller: Ref<Thread>, handle: u32) -> Result<(Ref<Thread>, PageNumber), Error> {
        let target: Ref<Thread> = self.lookup(caller, handle, ObjectKind::Thread, Rights::CONTROL)?.reference();
        if !matches!(self.thread(target).state(), State::Stopped | State::AwaitingReply) {
            return Err(Error::WrongState);
        }
        match self.thread(caller).message_page {
            0 => Err(Error::WrongState),
            page => Ok((target, page)),
        }
    }

    /// Copies a thread's frame into the caller's message page.
    pub(crate) fn get_frame(&mut self, caller: Ref<Thread>, handle: u32) -> Result<(), Error> {
        let (target, page) = self.framed(caller, handle)?;
        self.save_fpu(target);
        let used = self.thread(target).fpu_used;
        let thread = self.thread(target);
        thread.frame.fpu_valid = u64::from(used);
        let frame = self.machine.page_of(target.address());
        page::copy(&mut self.machine, (frame, 0), (page, 0), size_of::<Frame>());
        Ok(())
    }

    /// Takes a thread's frame from the caller's message page. Each value is read once, into the kernel's own page, and checked there.
    pub(crate) fn set_frame(&mut self, caller: Ref<Thread>, handle: u32) -> Result<(), Error> {
        let (target, page) = self.framed(caller, handle)?;
        let header: [u64; 21] = page::snapshot(&mut self.machine, page, 0);
        let [rip, rsp, fs_base, gs_base] = [header[16], header[7], header[18], header[19]];
        if rip >= abi::USER_END || !is_user_canonical(rsp) || !is_user_canonical(fs_base) || !is_user_canonical(gs_base) {
            return Err(Error::InvalidArgument);
        }
        let fpu = header[20] == 1 && self.thread(target).has_fpu();
        self.drop_fpu(target);
        let to = self.machine.page_of(target.address());
        let length = if fpu { size_of::<Frame>() } else { core::mem::offset_of!(Frame, xsave) };
        page::copy(&mut self.machine, (page, 0), (to, 0), length);
        let thread = self.thread(target);
        let frame = &mut thread.frame;
        (frame.rip, frame.rsp, frame.fs_base, frame.gs_base) = (rip, rsp, fs_base, gs_base);
        frame.rflags = frame.rflags & abi::FLAGS_USER | abi::FLAGS_FIXED;
        thread.frame_set = u8::from(thread.state() == State::AwaitingReply);
        if fpu {
            thread.fpu_used = 1;
        }
        thread.note_oddities();
        Ok(())
    }

    /// What a thread consumed.
    pub(crate) fn counters(&mut self, target: Ref<Thread>) -> [u64; 6] {
        for processor in 0..self.processors() {
            self.charge_at(processor);
        }
        let thread = self.thread(target);
        [thread.own_ticks, thread.served_ticks, thread.calls, u64::from(thread.state), thread.received, thread.received_at]
    }

    /// Ends a thread for good, before its page becomes memory again; `false` while it still runs on another processor.
    pub(crate) fn destroy_thread(&mut self, target: Ref<Thread>) -> bool {
        if self.stop_thread(target).is_none() {
            return false;
        }
        self.drop_fpu(target);
        let &mut Thread { space, table, vault, message_page, .. } = self.thread(target);
        if let Some(space) = space.some() {
            self.space(space).users -= 1;
        }
        for table in [table, vault].into_iter().filter_map(Ref::some) {
            self.table(table).users -= 1;
        }
        self.unpin(message_page);
        for processor in 0..self.processors() {
            self.forget_thread(processor, target);
        }
        true
    }

    /// The Reply that lies at a place, if its caller still waits for it.
    pub(crate) fn reply_at(&mut self, place: SlotPlace) -> Result<Ref<Thread>, Error> {
        let slot = *self.slot(place);
        if slot.kind() != ObjectKind::Reply {
            return Err(if slot.is_empty() { Error::InvalidHandle } else { Error::WrongKind });
        }
        if self.is_valid(&slot) { Ok(slot.reference()) } else { Err(Error::ReplyGone) }
    }
}

/// Whether an address is in the lower half.
fn is_user_canonical(address: u64) -> bool {
    address < 1 << 47
}
