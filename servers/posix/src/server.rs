//! The server: what a message does from its arrival to its answer.
//!
//! Every message of a Linux thread is run to its end or to a wait, in one transaction. What changed saved state records its result with the effect, so that the
//! same request, delivered again after a crash, is answered and not done; what changed nothing is simply done again. A wait is not a state: the message is kept
//! in hand (volatile), and run again from its start when what it waits for may have happened. After a restart the kernel delivers it again.

use alloc::vec;
use alloc::vec::Vec;

use abi::{ReplyKind, RequestNumber};
use libsys::field;
use libsys::saved::Area;
use protocols::service::Service;

use crate::call::{Call, Stop};
use crate::fail::{self, Step};
use crate::fault;
use crate::frames::Frames;
use crate::hands::{Hands, InHand};
use crate::kernel::Kernel;
use crate::replies::{Ending, REPLIES, Replies};
use crate::saved::{COUNTED_CALLS, Done, LANES, Lane, Load, PROCESSES, Process, ProcessIndex, State, Thread, flag, redo, slot, state};
use crate::signal::deliver::Resume;
use crate::store::Store;
use crate::sure::{Queue, Table};
use crate::syscall::ids::{identity, is_identity};
use crate::table;
use crate::wait::{Event, Wait};

/// Bytes of the buffer through which data passes between programs and servers.
pub const BUFFER_BYTES: usize = 64 * 1024;

/// Most that is planned at a time; each lane is once in each queue as a rule.
const PLANNED: usize = 4 * LANES;

/// What a lane's thread asks.
#[derive(Clone, Copy, Debug)]
pub enum Incoming {
    /// A system call.
    Call {
        /// Its number.
        number: u64,
        /// Its six arguments, in Linux's order.
        arguments: [u64; 6],
        /// What the kernel says that they come to: [`abi::call_sum`].
        sum: u64,
    },
    /// A page is missing or protected.
    PageFault {
        /// Where.
        address: u64,
        /// [`abi::FaultAccess`] bits.
        access: u64,
    },
    /// Another exception.
    Exception {
        /// Vector.
        vector: u64,
        /// The processor's error code.
        code: u64,
        /// Address, of a declined page fault.
        address: u64,
    },
}

/// Something to be done to a thread once saved state says why. After a crash, recovery finds the reasons there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// It has a signal to take.
    Poke(Lane),
    /// Its process is stopped.
    Hold(Lane),
    /// Its registers or its start are due.
    Redo(Lane),
}

/// Lanes whose message is to be run again.
pub type Ready = Queue<Lane, PLANNED>;

/// Posix.
pub struct Posix<'k> {
    /// Saved state.
    pub store: Store,
    /// Everything below.
    pub kernel: &'k mut dyn Kernel,
    /// Where its answers go.
    pub replies: Replies,
    /// Pages for Linux spaces.
    pub frames: Frames,
    /// The message of each lane.
    pub hands: Hands,
    /// Lanes whose message is to be run again.
    pub ready: Ready,
    /// Data on its way; every page of it has been touched.
    pub buffer: Vec<u8>,
    /// This run's options.
    pub options: crate::options::Options,
    /// What is to be done to threads after the commit.
    pub afterwards: Queue<After, PLANNED>,
    /// The last request of each lane that this instance has heard of.
    pub last_seen: Table<Option<RequestNumber>, LANES>,
    /// Lanes in use, an index of the saved records.
    pub lanes: Vec<Lane>,
    /// Lanes whose running threads are stopped in the kernel, likewise.
    pub held: Vec<Lane>,
    /// Processes in use, zombies included, likewise.
    pub processes: Vec<ProcessIndex>,
    /// Lanes and maps whose kernel objects are to be destroyed.
    pub dying: crate::exit::Dying,
    /// Pages that are copied at once when a process forks.
    pub hot: crate::hot::Hot,
    /// What vfs has answered since it was asked for anything else.
    pub answers: crate::answers::Answers,
    /// Where files lie that are read again.
    pub located: crate::located::Located,
    /// Pages that a fault is answered with.
    pub ahead: crate::ahead::Ahead,
    /// Random bytes.
    pub random: crate::random::Random,
    /// The region of [`crate::vdso`] is there.
    pub has_vdso: bool,
    /// How often each call was made since this instance began, by Linux's number; the last one counts what is above.
    pub calls: Table<u64, COUNTED_CALLS>,
    /// /proc and the nodes of /dev are still to be made known to vfs.
    pub mount_due: bool,
    /// Nodes of files that were closed and that vfs counts as open, or were so, the longest first.
    pub lingering: crate::linger::Lingering,
    /// Files that have a name.
    pub named: crate::linger::Named,
    /// Files that were in messages which nobody will receive.
    pub orphans: Vec<usize>,
    /// Files that are timers, and when each was last told to whoever waits.
    pub timers: Vec<(usize, u64)>,
    /// Processes whose alarm is set, an index of the saved records.
    pub alarms: Vec<ProcessIndex>,
    /// Timers of `timer_create` in use, likewise.
    pub posix_timers: Vec<usize>,
    /// The session's process is not there, and what follows is not done yet.
    pub session_due: bool,
    /// The pipes of the script may have bytes, or it has ended.
    pub script_due: bool,
    /// Running lanes whose handler's stack was not there when they had a signal to take.
    pub pokes_due: Vec<Lane>,
    /// A wait began or ended since the last settling.
    pub waits_changed: bool,
    /// Texts of /proc that are being read.
    pub texts: crate::proc::Kept,
    /// Page faults of each process that this instance has answered.
    pub faults: Table<u64, PROCESSES>,
    /// The last page fault of each lane that is to be believed only when it comes again.
    pub(crate) refused: Table<Option<crate::doubt::Fault>, LANES>,
    /// Processes that wait for processor time.
    pub processor_timed: Vec<ProcessIndex>,
    /// When they are looked at next.
    pub processor_alarm: Option<u64>,
    /// The load of the machine, as saved.
    pub load: Load,
    /// What the kernel was last told of the next deadline; `None` when it must be told again.
    pub deadline_told: Option<Option<u64>>,
}

#[inline(always)]
const fn are_undisturbed(thread: &Thread, process: &Process) -> bool {
    thread.restore_mask == 0 && thread.pending | process.pending == 0 && process.flags & flag::STOPPED == 0
}

impl<'k> Posix<'k> {
    /// A server over an opened saved area. [`Posix::recover`] must run before the first message.
    pub fn new(area: &'static Area<State>, kernel: &'k mut dyn Kernel, options: &str) -> Self {
        let frames = Frames::recover(kernel);
        let mut buffer = vec![0; BUFFER_BYTES];
        // Touched here, because a server that is lent an untouched page can only answer NeedsPage.
        buffer.iter_mut().step_by(4096).for_each(|byte| *byte = 1);
        Self {
            store: Store::new(area),
            kernel,
            replies: Replies::new(REPLIES),
            frames,
            hands: Hands::default(),
            ready: Queue::default(),
            buffer,
            options: crate::options::Options::parse(options),
            afterwards: Queue::default(),
            last_seen: Table::default(),
            lanes: Vec::new(),
            held: Vec::new(),
            processes: Vec::new(),
            dying: crate::exit::Dying::default(),
            hot: crate::hot::Hot::default(),
            answers: crate::answers::Answers::default(),
            located: crate::located::Located::default(),
            ahead: crate::ahead::Ahead::default(),
            random: crate::random::Random::default(),
            has_vdso: false,
            calls: Table::default(),
            mount_due: true,
            lingering: Queue::default(),
            named: crate::linger::Named::default(),
            orphans: Vec::new(),
            timers: Vec::new(),
            alarms: Vec::new(),
            posix_timers: Vec::new(),
            session_due: false,
            script_due: true,
            pokes_due: Vec::new(),
            waits_changed: true,
            texts: crate::proc::Kept::default(),
            faults: Table::default(),
            refused: Table::default(),
            processor_timed: Vec::new(),
            processor_alarm: None,
            load: Load::default(),
            deadline_told: None,
        }
    }

    /// A message of a lane came, its Reply into an own slot.
    #[inline(always)]
    pub fn receive(&mut self, lane: Lane, slot: u32, number: RequestNumber, incoming: Incoming) -> Ending {
        if let Incoming::Call { number: call_number, .. } = incoming
            && let Some(value) = self.answer_at_once(lane, number, call_number)
        {
            return Ending::Answer(ReplyKind::Resume, value);
        }
        self.replies.begin(lane, slot);
        self.message(lane, number, incoming);
        let ending = self.replies.end();
        if ending == Ending::Kept {
            self.check_kept(lane);
        }
        ending
    }

    /// Whoever waits for an answer must have something to wait for, or never gets one: then the successor gets the message again.
    ///
    /// # Panics
    /// If there is nothing.
    pub(crate) fn check_kept(&self, lane: Lane) {
        let waits = self.hands.wait_of(lane).is_some();
        let is_ending = || {
            let thread = self.store.thread(lane);
            thread.state != state::LIVE || self.store.process(thread.process as usize).flags & flag::EXITING != 0
        };
        assert!(waits || is_ending(), "lane {lane} waits for nothing");
    }

    fn message(&mut self, lane: Lane, number: RequestNumber, incoming: Incoming) {
        if lane >= LANES || self.store.thread(lane).state != state::LIVE {
            return;
        }
        let before = self.last_seen[lane].replace(number.with_step(0));
        self.hands.take(lane, number, incoming, before.is_none_or(|last| last == number.with_step(0)));
        self.run_message(lane, number, incoming);
        self.settle();
    }

    /// The answer to a call that only asks who its caller is, where nothing else is to be done for it: the shortest way through posix.
    #[inline(always)]
    fn answer_at_once(&mut self, lane: Lane, number: RequestNumber, call_number: u64) -> Option<u64> {
        if !is_identity(call_number) {
            return None;
        }
        let thread = self.store.thread(lane);
        let process = self.store.process(thread.process as usize);
        if thread.state != state::LIVE || process.flags & flag::EXITING != 0 || !are_undisturbed(&thread, &process) {
            return None;
        }
        let value = identity(self, lane, call_number)?;
        self.last_seen[lane] = Some(number.with_step(0));
        self.hands.put_down(lane);
        self.calls[call_number as usize] += 1;
        Some(value)
    }

    /// Events came: bits of [`protocols::posix::event`] and [`abi::DEADLINE_BIT`].
    pub fn notified(&mut self, bits: u64) {
        if bits & abi::DEADLINE_BIT != 0 {
            self.deadline_told = None;
            self.deadlines_passed();
        }
        self.events(bits);
        self.settle_all();
    }

    /// Everything that follows from what was done: woken lanes, closes, dying things, the script's output, the next deadline.
    ///
    /// What a message left unchanged needs no settling: most calls only ask, and this would cost them more than their answer. One that only waits now changes nothing but
    /// who runs and until when.
    #[inline]
    pub fn settle(&mut self) {
        if self.store.take_news() || !self.ready.is_empty() || !self.afterwards.is_empty() {
            self.settle_all();
        } else if self.waits_changed {
            self.settle_waits();
        }
    }

    fn settle_all(&mut self) {
        loop {
            // The dead first: what they held may be what the next one needs.
            self.reap();
            while let Some(lane) = self.ready.pop_front() {
                if !self.is_done(lane) {
                    self.kernel.take_up(self.replies.slot(lane));
                }
                self.run(lane);
            }
            self.run_afterwards();
            self.drain_script();
            self.reap();
            if self.ready.is_empty() && self.afterwards.is_empty() {
                break;
            }
        }
        self.drain_closes();
        self.drain_ends();
        self.frames.give_back_surplus(self.kernel);
        self.settle_waits();
    }

    fn settle_waits(&mut self) {
        self.update_load();
        self.set_next_deadline();
        self.waits_changed = false;
        // What settling itself has changed is settled.
        let _own = self.store.take_news();
    }

    /// Runs the message in a lane's hand.
    pub fn run(&mut self, lane: Lane) {
        if let Some(hand) = self.hands.get(lane).copied() {
            self.run_message(lane, hand.number, hand.incoming);
        }
    }

    fn run_message(&mut self, lane: Lane, number: RequestNumber, incoming: Incoming) {
        let thread = self.store.thread(lane);
        let process = self.store.process(thread.process as usize);
        if thread.state != state::LIVE || process.flags & flag::EXITING != 0 {
            return;
        }
        if process.flags & flag::STOPPED != 0 && !self.has_fatal(lane) {
            self.keep(lane, Wait::stopped());
            return;
        }
        match incoming {
            Incoming::Call { number: call_number, arguments, sum } => self.run_call(lane, number, call_number, arguments, sum),
            Incoming::PageFault { address, access } => self.run_fault(lane, number, address, access),
            Incoming::Exception { vector, code, .. } if !self.is_raised_again(lane, vector, code) => self.try_instruction_again(lane),
            Incoming::Exception { vector, code, address } => self.run_exception(lane, vector, code, address),
        }
    }

    /// Whether the message in a lane's hand has its result.
    fn is_done(&self, lane: Lane) -> bool {
        let thread = self.store.thread(lane);
        thread.redo == redo::NONE && self.hands.get(lane).is_some_and(|hand| hand.number.0 == thread.done.number)
    }

    fn run_call(&mut self, lane: Lane, number: RequestNumber, call_number: u64, arguments: [u64; 6], sum: u64) {
        let thread = self.store.thread(lane);
        if self.is_done(lane) {
            self.answer(lane, thread.done.result);
            return;
        }
        let index = usize::try_from(call_number).unwrap_or(usize::MAX).min(COUNTED_CALLS - 1);
        self.calls[index] += 1;
        // A thread that runs on another processor may have called when it was to be killed.
        if self.has_fatal(lane) {
            self.return_to_program(lane, Resume::Interrupted);
            return;
        }
        let process = thread.process as usize;
        let map = self.store.process(process).map as usize;
        let mut call = Call { posix: self, lane, process, map, number, call_number, arguments, sum };
        fail::passed(call_number, Step::Intent);
        let result = call.attempt();
        debug_assert!(!self.store.is_changed() || !table::name(call_number).is_some_and(fail::is_repeatable), "call {call_number} changes something");
        if !matches!(result, Err(Stop::Wait(_) | Stop::Interrupted { .. } | Stop::Anew)) {
            fail::passed(call_number, Step::Effect);
        }
        self.finish(lane, call_number, result);
    }

    fn finish(&mut self, lane: Lane, call_number: u64, result: Result<u64, Stop>) {
        match result {
            Ok(value) => self.complete(lane, value),
            Err(Stop::Errno(errno)) => self.complete(lane, errno.to_rax()),
            Err(Stop::Wait(wait)) => self.put_off(lane, wait, Resume::Interrupted),
            Err(Stop::Interrupted { restart: true }) => self.return_to_program(lane, Resume::Again { call_number }),
            Err(Stop::Interrupted { restart: false }) => self.return_to_program(lane, Resume::Interrupted),
            Err(Stop::Anew) => self.return_to_program(lane, Resume::Anew { call_number }),
            Err(Stop::Frame) => {
                self.store.commit();
                fail::passed(call_number, Step::Record);
                self.redo(lane);
                fail::passed(call_number, Step::Reply);
                // What a handler had blocked.
                self.afterwards.push_back(After::Poke(lane));
            }
            Err(Stop::Gone) => {
                self.store.commit();
                fail::passed(call_number, Step::Record);
                self.reap();
                fail::passed(call_number, Step::Reply);
            }
        }
    }

    /// The call has a result: records it with the effect, delivers what signals there are, answers.
    fn complete(&mut self, lane: Lane, value: u64) {
        if self.is_undisturbed(lane) {
            if self.store.is_changed() {
                self.record(lane, value);
                self.store.commit();
            }
            self.answer_call(lane, value);
            return;
        }
        // The mask of ppoll and its like is for the wait alone: what it let through does not come after a result.
        self.restore_mask(lane);
        if self.store.is_changed() {
            self.record(lane, value);
        }
        self.return_to_program(lane, Resume::Value(value));
    }

    /// Nothing but its call's result lies between a lane and its program: no signal waits, and its process is not stopped.
    pub(crate) fn is_undisturbed(&self, lane: Lane) -> bool {
        let thread = self.store.thread(lane);
        are_undisturbed(&thread, &self.store.process(thread.process as usize))
    }

    /// Answers a call whose result is committed.
    pub fn answer_call(&mut self, lane: Lane, value: u64) {
        let call_number = self.call_in_hand(lane);
        fail::passed(call_number, Step::Record);
        // The loop that answers waits for the next message in the same breath.
        fail::passed_after(call_number, Step::Reply, || self.kernel.reply(lane, self.replies.slot(lane), ReplyKind::Resume, value));
        self.answer(lane, value);
    }

    /// The request in hand has this result, whatever happens to us.
    pub fn record(&mut self, lane: Lane, value: u64) {
        let number = self.hands.get(lane).map_or(0, |hand| hand.number.0);
        self.store.set_done(lane, Done { number, result: value });
    }

    /// Answers a call.
    pub fn answer(&mut self, lane: Lane, value: u64) {
        self.hands.put_down(lane);
        if !self.replies.is_answered_by_loop(lane, ReplyKind::Resume, value) {
            let slot = self.replies.slot(lane);
            self.kernel.reply(lane, slot, ReplyKind::Resume, value);
            self.replies.forget(lane);
        }
    }

    /// Linux's number of the call in a lane's hand.
    #[must_use]
    pub fn call_in_hand(&self, lane: Lane) -> u64 {
        match self.hands.get(lane) {
            Some(InHand { incoming: Incoming::Call { number, .. }, .. }) => *number,
            _ => u64::MAX,
        }
    }

    /// Lets a faulting thread try its instruction again.
    pub fn resume(&mut self, lane: Lane) {
        self.answer(lane, 0);
    }

    /// A message cannot go on yet. One that waits for a file, or for memory, runs again from its start, so nothing of this run may stay but what vfs did, which it finds
    /// again under the same numbers; and only a kill ends its wait (Linux: `TASK_KILLABLE`). Others have progress of their own to keep.
    fn put_off(&mut self, lane: Lane, wait: Wait, killed: Resume) {
        if !matches!(wait.event, Event::Vfs | Event::Memory) {
            self.store.commit();
            self.keep(lane, wait);
            return;
        }
        self.store.roll_back();
        if wait.event == Event::Memory {
            self.relieve_memory();
        }
        if self.has_fatal(lane) {
            self.return_to_program(lane, killed);
        } else {
            self.keep(lane, wait);
        }
    }

    /// Keeps a message until something wakes it.
    pub fn keep(&mut self, lane: Lane, wait: Wait) {
        self.waits_changed |= self.hands.keep(lane, wait);
    }

    fn run_fault(&mut self, lane: Lane, number: RequestNumber, address: u64, access: u64) {
        let process = self.store.thread(lane).process as usize;
        let map = self.store.process(process).map as usize;
        self.faults[process] += 1;
        match self.fault(map, address, access, number) {
            Ok(()) => self.try_instruction_again(lane),
            Err(fault::Refused::Wait(wait)) => self.put_off(lane, wait, Resume::Instruction),
            Err(refused) if self.is_refused_again(lane, (address, access)) => self.force_fault_signal(lane, address, access, refused),
            Err(_) => {
                self.store.roll_back();
                self.try_instruction_again(lane);
            }
        }
    }

    /// What was in an instruction's way is not there any more. A signal that comes before it is delivered as to a thread that runs, which is stopped first: if we died when a
    /// handler's frame is on the stack and its registers are not set, the kernel would let the thread go on where it was, over the frame, and the handler would return to
    /// before all that.
    fn try_instruction_again(&mut self, lane: Lane) {
        if self.is_undisturbed(lane) {
            self.store.commit();
            self.resume(lane);
        } else if self.has_deliverable(lane) && !self.is_stopped(lane) {
            self.store.commit();
            self.hands.put_down(lane);
            self.deliver_running(lane);
        } else {
            self.return_to_program(lane, Resume::Instruction);
        }
    }

    /// What is left to do to a thread's registers after a commit; see [`redo`].
    pub fn redo(&mut self, lane: Lane) {
        let thread = self.store.thread(lane);
        let handle = slot::thread(lane);
        if thread.redo == redo::FRAME {
            // Stopped first: a thread that is told to trap again by our death must not do so with half of its new registers.
            let _state_before = self.kernel.thread_stop(handle);
            self.replies.forget(lane);
            let map = self.store.process(thread.process as usize).map as usize;
            let frame = crate::registers::to_frame(&self.store.frame(lane));
            let done = self
                .kernel
                .thread_space(handle, slot::space(map))
                .and_then(|()| self.kernel.set_frame(handle, &frame))
                .and_then(|()| self.kernel.thread_configure(handle, abi::ThreadSetting::Lane, self.own_number(lane)));
            if done.is_err() {
                self.kernel.log("posix: a thread's registers were refused");
            }
            self.hands.put_down(lane);
            self.store.set_thread_field(lane, field!(Thread, redo), redo::START);
            self.store.commit();
        }
        if self.store.thread(lane).redo == redo::START {
            if self.store.thread(lane).held == 0 {
                // A thread that was started before the crash is not stopped, which is the only error this can have.
                let _started_before = self.kernel.thread_start(handle);
            }
            self.store.set_thread_field(lane, field!(Thread, redo), redo::NONE);
            self.store.commit();
        }
    }

    /// A lane's thread will be set to this frame when the transaction is committed and [`Posix::redo`] runs.
    pub fn set_frame(&mut self, lane: Lane, frame: &abi::Frame) {
        let number = self.last_number(lane);
        self.store.set_frame(lane, crate::registers::from_frame(frame));
        self.store.edit_thread(lane, |thread| {
            thread.redo = redo::FRAME;
            thread.number = number.0;
        });
    }

    /// The last request that a lane made. An instance that has not heard of it yet goes so far ahead that nobody has seen such a number.
    #[must_use]
    pub fn last_number(&self, lane: Lane) -> RequestNumber {
        const AHEAD: u32 = 1 << 28;
        let thread = self.store.thread(lane);
        let saved = RequestNumber(thread.number.max(thread.done.number));
        let known = self.last_seen.get(lane).copied().flatten();
        let ahead = || RequestNumber::new(Service::Posix.id(), lane as u16, saved.request().wrapping_add(AHEAD), 0);
        known.map_or_else(ahead, |number| number.with_step(0))
    }

    /// The errno of a system that has no room for one more.
    pub const FULL: crate::errno::Errno = crate::errno::Errno::EAGAIN;

    /// Does what was put off until the transaction of the message in hand was committed.
    fn run_afterwards(&mut self) {
        while let Some(after) = self.afterwards.pop_front() {
            let (After::Poke(lane) | After::Hold(lane) | After::Redo(lane)) = after;
            if self.store.thread(lane).state != state::LIVE {
                continue;
            }
            match after {
                After::Poke(lane) => self.poke(lane),
                After::Hold(lane) => self.hold(lane),
                After::Redo(lane) => self.redo(lane),
            }
        }
    }
}
