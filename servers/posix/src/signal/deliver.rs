//! A thread goes back to its program, by way of its signals.
//!
//! Everything that changes a thread's registers ends in [`Posix::set_frame`] and a commit, so that a crash before it leaves the signal pending and one
//! after it finds the registers to be set.

use abi::{FaultAccess, Frame};

use super::frame::{Context, Layout, PAGE_FAULT, encode, encode_fpu, initial_fpu};
use super::{DEFAULT, IGNORE, SI_KERNEL, SIGBUS, SIGFPE, SIGILL, SIGKILL, SIGSEGV, SIGTRAP, STOPS, UNSTOPPABLE, bit};
use libsys::field;

use crate::call::Stop;
use crate::errno::Errno;
use crate::fail::{self, Point, Step};
use crate::fault::Refused;
use crate::kernel::Was;
use crate::saved::{Lane, Origin, Thread, redo, slot};
use crate::server::Posix;
use crate::wait::{Event, Wait};

const SA_ONSTACK: u64 = 0x0800_0000;
const SA_RESTART: u64 = 0x1000_0000;
const SA_NODEFER: u64 = 0x4000_0000;
const SA_RESETHAND: u64 = 0x8000_0000;
/// `SS_DISABLE`.
pub const STACK_DISABLED: u64 = 2;
/// `SEGV_MAPERR` and `SEGV_ACCERR`.
const SEGV_MAPERR: u32 = 1;
const SEGV_ACCERR: u32 = 2;
const BUS_ADRERR: u32 = 2;
/// Vectors that mean something else than SIGSEGV (SDM vol. 3, table 6-1).
const DIVIDE: u64 = 0;
pub(crate) const DEBUG: u64 = 1;
pub(crate) const BREAKPOINT: u64 = 3;
const INVALID_OPCODE: u64 = 6;
const X87: u64 = 16;
const ALIGNMENT: u64 = 17;
const SIMD: u64 = 19;

/// How a thread goes on when no handler comes in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// A call returns this.
    Value(u64),
    /// A fault's instruction is tried again.
    Instruction,
    /// A call's wait was interrupted: it returns `EINTR`.
    Interrupted,
    /// Likewise, but it is made again unless a handler without `SA_RESTART` runs.
    Again {
        /// The call's number, for `rax`.
        call_number: u64,
    },
    /// Likewise, but it is made again whatever runs.
    Anew {
        /// The call's number, for `rax`.
        call_number: u64,
    },
    /// It was running.
    Running,
}

/// What became of a lane's signals.
enum Taken {
    /// None is left that matters.
    Nothing,
    /// This one has a handler.
    Handler(usize, Origin),
    /// The process has ended.
    Ended,
}

impl Posix<'_> {
    /// Ends a message: its thread goes on as `resume` says, or in a handler, or not at all.
    pub fn return_to_program(&mut self, lane: Lane, resume: Resume) {
        match self.take_signal(lane) {
            Taken::Ended => self.store.commit(),
            Taken::Handler(signal, origin) => self.enter_handler(lane, signal, origin, resume),
            Taken::Nothing => self.plainly(lane, resume),
        }
    }

    /// The mask that a call has set for its wait goes back to what it was.
    pub fn restore_mask(&mut self, lane: Lane) {
        if self.store.thread(lane).restore_mask != 0 {
            self.store.edit_thread(lane, |thread| {
                thread.mask = thread.saved_mask;
                thread.restore_mask = 0;
            });
        }
    }

    /// Goes on without a handler.
    fn plainly(&mut self, lane: Lane, resume: Resume) {
        self.restore_mask(lane);
        let stopped = self.is_stopped(lane);
        match resume {
            Resume::Value(value) if stopped => {
                // The answer is given when the process goes on.
                self.record(lane, value);
                self.store.commit();
                self.keep(lane, Wait::stopped());
            }
            Resume::Value(value) => {
                self.store.commit();
                self.answer_call(lane, value);
            }
            // Only what stops or is ignored came: the wait goes on as if nothing had.
            Resume::Interrupted | Resume::Again { .. } | Resume::Anew { .. } => {
                self.store.commit();
                self.ready.push_back(lane);
            }
            // The fault is looked at again when the process goes on.
            Resume::Instruction if stopped => {
                self.store.commit();
                self.keep(lane, Wait::stopped());
            }
            Resume::Instruction => {
                self.store.commit();
                self.resume(lane);
            }
            Resume::Running => {
                self.store.set_thread_field(lane, field!(Thread, redo), redo::START);
                self.store.commit();
                self.redo(lane);
            }
        }
    }

    pub(crate) fn is_stopped(&self, lane: Lane) -> bool {
        self.store.process(self.store.thread(lane).process as usize).flags & crate::saved::flag::STOPPED != 0
    }

    /// Takes signals until one has a handler.
    fn take_signal(&mut self, lane: Lane) -> Taken {
        loop {
            let deliverable = self.deliverable(lane);
            if deliverable == 0 || self.is_stopped(lane) && deliverable & bit(SIGKILL) == 0 {
                return Taken::Nothing;
            }
            let Some(next) = self.next_signal(lane, deliverable) else { return Taken::Nothing };
            let (signal, first) = (next.1, bit(next.1));
            let process = self.store.thread(lane).process as usize;
            let origin = self.take_pending(next);
            let action = self.store.action(process, signal);
            if action.handler > IGNORE && UNSTOPPABLE & first == 0 {
                return Taken::Handler(signal, origin);
            }
            if STOPS & first != 0 {
                if signal == super::SIGSTOP || !self.is_orphaned(process) {
                    self.stop_process(process, signal);
                }
            } else {
                self.exit_process(process, signal as u32);
                return Taken::Ended;
            }
        }
    }

    /// Whether a process's group is orphaned: without a parent in the session outside of the group nobody could continue it, and its stop keys are ignored
    /// (POSIX, 2.4.3).
    #[must_use]
    pub fn is_orphaned(&self, process: usize) -> bool {
        let record = self.store.process(process);
        !self.processes.iter().any(|member| {
            let member = self.store.process(*member);
            let parent = self.store.process(member.parent as usize);
            member.group == record.group && member.parent != 0 && parent.group != record.group && parent.session == record.session
        })
    }

    /// A thread's handlers start, that of the signal that came last first, with the others' frames below: as many as are due (Linux: `exit_to_user_mode_loop`).
    fn enter_handler(&mut self, lane: Lane, signal: usize, origin: Origin, resume: Resume) {
        let process = self.store.thread(lane).process as usize;
        let action = self.store.action(process, signal);
        let Ok(mut frame) = self.kernel.get_frame(slot::thread(lane)) else {
            self.exit_process(process, SIGKILL as u32);
            self.store.commit();
            return;
        };
        let restarts = action.flags & SA_RESTART != 0;
        match resume {
            Resume::Value(value) => frame.rax = value,
            Resume::Again { call_number } | Resume::Anew { call_number } if restarts || matches!(resume, Resume::Anew { .. }) => {
                frame.rax = call_number;
                frame.rip = frame.rip.wrapping_sub(2);
            }
            Resume::Interrupted | Resume::Again { .. } | Resume::Anew { .. } => frame.rax = Errno::EINTR.to_rax(),
            Resume::Instruction | Resume::Running => {}
        }
        let mut next = Taken::Handler(signal, origin);
        while let Taken::Handler(signal, origin) = next {
            frame = match self.push_frame(lane, signal, origin, &frame) {
                Ok(entered) => entered,
                Err(Stop::Wait(wait)) => return self.put_handler_off(lane, wait),
                // The handler of that may have another stack (Linux: `force_sigsegv`).
                Err(_) if signal != SIGSEGV => {
                    self.force_pending(lane, SIGSEGV, Origin::trap(0, 0, SI_KERNEL, 0));
                    frame
                }
                Err(_) => {
                    self.exit_process(process, SIGSEGV as u32);
                    self.store.commit();
                    return;
                }
            };
            next = self.take_signal(lane);
        }
        if let Taken::Ended = next {
            self.store.commit();
            return;
        }
        let call_number = self.call_in_hand(lane);
        libsys::fail::hit(Point::SignalEffect);
        if !matches!(resume, Resume::Value(_)) {
            // A signal is what came of the call; one that has a result has passed this.
            fail::passed(call_number, Step::Effect);
        }
        self.set_frame(lane, &frame);
        self.store.commit();
        libsys::fail::hit(Point::SignalRecord);
        fail::passed(call_number, Step::Record);
        self.redo(lane);
        fail::passed(call_number, Step::Reply);
    }

    /// The handler's stack is in a file that is not there yet. The message runs again from its start, signal and all; a thread that ran on its own goes on, and
    /// is looked at again.
    fn put_handler_off(&mut self, lane: Lane, wait: Wait) {
        self.store.roll_back();
        if wait.event == Event::Memory {
            self.relieve_memory();
        }
        if self.hands.get(lane).is_some() {
            self.keep(lane, wait);
        } else {
            self.pokes_due.push(lane);
            self.redo(lane);
        }
    }

    /// Writes the handler's frame onto the program's stack. Gives the registers with which the handler starts.
    fn push_frame(&mut self, lane: Lane, signal: usize, origin: Origin, frame: &Frame) -> Result<Frame, Stop> {
        let thread = self.store.thread(lane);
        let process = thread.process as usize;
        let map = self.store.process(process).map as usize;
        let action = self.store.action(process, signal);
        // The processor could not go there, and the kernel refuses such registers.
        if action.handler >= abi::USER_END {
            return Err(Errno::EFAULT.into());
        }
        let [base, size, flags] = thread.alternate;
        let on_alternate = size != 0 && frame.rsp.wrapping_sub(base) < size;
        let switches = action.flags & SA_ONSTACK != 0 && size != 0 && !on_alternate;
        let top = if switches { base.wrapping_add(size) } else { frame.rsp };
        // A handler may count on an FPU state, as on Linux, even if the thread has never had one.
        let fpu = if frame.fpu_valid == 0 { initial_fpu() } else { frame.xsave };
        let layout = Layout::below(top, !switches);
        let mask = if thread.restore_mask != 0 { thread.saved_mask } else { thread.mask };
        let alternate = if size == 0 { [0, 0, STACK_DISABLED] } else { [base, size, if on_alternate { 1 } else { flags }] };
        let bytes = encode(action.restorer, frame, layout, &Context { mask, alternate, trap: origin.as_trap() }, signal, &origin);
        let number = self.last_number(lane);
        self.write_guest(map, layout.frame, &bytes, number)?;
        self.write_guest(map, layout.fpu, &encode_fpu(&fpu), number)?;
        let blocked = action.mask | if action.flags & SA_NODEFER == 0 { bit(signal) } else { 0 };
        self.store.edit_thread(lane, |thread| {
            thread.mask = (thread.mask | blocked) & !UNSTOPPABLE;
            thread.restore_mask = 0;
        });
        if action.flags & SA_RESETHAND != 0 {
            self.store.set_action(process, signal, crate::saved::Action { handler: DEFAULT, ..action });
        }
        let context = layout.frame + 8;
        let info = context + super::frame::CONTEXT_BYTES as u64;
        Ok(Frame {
            rax: 0,
            rdi: signal as u64,
            rsi: info,
            rdx: context,
            rip: action.handler,
            rsp: layout.frame,
            rflags: frame.rflags & !0x0001_0500,
            fpu_valid: 0,
            ..*frame
        })
    }

    /// A thread that runs is made to take its signals.
    pub fn deliver_running(&mut self, lane: Lane) {
        match self.kernel.thread_stop(slot::thread(lane)) {
            Ok(Was::Running) if self.last_seen[lane].is_none() && self.is_about_to_call(lane) => {
                // It may have made this call before, to a predecessor: in a handler it would be forgotten, and made under another number afterwards. It looks at
                // its signals itself.
                let _it_was_stopped = self.kernel.thread_start(slot::thread(lane));
                return;
            }
            // One that called, or faulted, right before it was stopped does so again.
            Ok(Was::Running | Was::Calling) => {}
            Ok(Was::Stopped) | Err(_) => return,
        }
        // From here on the thread must be started again whatever happens to us: its registers are its own until a handler's are set.
        self.store.set_thread_field(lane, field!(Thread, redo), redo::START);
        self.store.commit();
        self.return_to_program(lane, Resume::Running);
    }

    /// Whether a stopped thread's next instruction is `syscall`.
    fn is_about_to_call(&mut self, lane: Lane) -> bool {
        const SYSCALL: [u8; 2] = [0x0f, 0x05];
        let map = self.store.process(self.store.thread(lane).process as usize).map as usize;
        let mut instruction = [0; 2];
        let frame = self.kernel.get_frame(slot::thread(lane));
        frame.is_ok_and(|frame| matches!(self.kernel.copy_from(slot::space(map), frame.rip, &mut instruction), Ok(2))) && instruction == SYSCALL
    }

    /// A fault that no mapping helps: the thread gets a signal that it cannot block or ignore.
    pub fn force_fault_signal(&mut self, lane: Lane, address: u64, access: u64, refused: Refused) {
        let (signal, code) = match refused {
            Refused::Segment { mapped: false } => (SIGSEGV, SEGV_MAPERR),
            Refused::Segment { mapped: true } => (SIGSEGV, SEGV_ACCERR),
            Refused::Bus | Refused::Wait(_) => (SIGBUS, BUS_ADRERR),
            Refused::NoMemory => (SIGKILL, SI_KERNEL),
        };
        self.force(lane, signal, Origin::trap(PAGE_FAULT, page_fault_code(access), code, address));
    }

    /// A processor exception becomes its signal.
    pub fn run_exception(&mut self, lane: Lane, vector: u64, error: u64, address: u64) {
        let instruction = |posix: &mut Self| posix.kernel.get_frame(slot::thread(lane)).map_or(0, |frame| frame.rip);
        let address = if matches!(vector, DIVIDE | INVALID_OPCODE | X87 | SIMD) { instruction(self) } else { address };
        let (signal, code) = match vector {
            DIVIDE => (SIGFPE, 1),
            X87 | SIMD => (SIGFPE, self.kernel.get_frame(slot::thread(lane)).map_or(0, |frame| float_code(vector, &frame.xsave))),
            DEBUG => (SIGTRAP, 2),
            BREAKPOINT => (SIGTRAP, SI_KERNEL),
            INVALID_OPCODE => (SIGILL, 2),
            ALIGNMENT => (SIGBUS, 1),
            _ => (SIGSEGV, SI_KERNEL),
        };
        self.force(lane, signal, Origin::trap(vector, error, code, address));
    }

    fn force(&mut self, lane: Lane, signal: usize, origin: Origin) {
        self.force_pending(lane, signal, origin);
        self.return_to_program(lane, Resume::Instruction);
    }

    /// The thread's next signal is one that it cannot block or ignore.
    fn force_pending(&mut self, lane: Lane, signal: usize, origin: Origin) {
        let thread = self.store.thread(lane);
        let process = thread.process as usize;
        let action = self.store.action(process, signal);
        if thread.mask & bit(signal) != 0 || action.handler == IGNORE {
            self.store.set_action(process, signal, crate::saved::Action::default());
            self.store.edit_thread(lane, |thread| thread.mask &= !bit(signal));
        }
        if action.handler <= IGNORE {
            self.log_fault(lane, signal, origin);
        }
        self.store.set_thread_origin(lane, signal, origin);
        self.store.edit_thread(lane, |thread| thread.pending |= bit(signal));
    }

    /// As Linux does, for whoever looks for the reason of a program's sudden end.
    fn log_fault(&mut self, lane: Lane, signal: usize, origin: Origin) {
        let process = self.store.process(self.store.thread(lane).process as usize);
        let (rip, rsp) = self.kernel.get_frame(slot::thread(lane)).map_or((0, 0), |frame| (frame.rip, frame.rsp));
        let (pid, address) = (process.pid, origin.value);
        self.kernel.log(&alloc::format!("process {pid} gets signal {signal} at {address:#x}, rip {rip:#x}, rsp {rsp:#x}"));
    }
}

/// The `si_code` of a floating-point exception, from the flags of those that happened and are not masked (SDM vol. 1, 8.1.3 and 10.2.3; Linux:
/// `fpu__exception_code`).
fn float_code(vector: u64, xsave: &[u8; abi::XSAVE_BYTES]) -> u32 {
    const CODES: [(u16, u32); 5] = [(1, 7), (4, 3), (8, 4), (0x12, 5), (0x20, 6)];
    let word = |at: usize| u16::from_le_bytes([xsave[at], xsave[at + 1]]);
    let raised = if vector == X87 { word(2) & !word(0) } else { word(24) & !(word(24) >> 7) };
    CODES.iter().find(|(flags, _)| raised & flags != 0).map_or(0, |(_, code)| *code)
}

/// The error code that the processor gave for a page fault of a program (SDM vol. 3, 4.7).
fn page_fault_code(access: u64) -> u64 {
    const PRESENT: u64 = 1;
    const WRITE: u64 = 2;
    const USER: u64 = 4;
    const FETCH: u64 = 0x10;
    let bit = |of: u64, to: u64| if access & of != 0 { to } else { 0 };
    USER | bit(FaultAccess::PRESENT, PRESENT) | bit(FaultAccess::WRITE, WRITE) | bit(FaultAccess::EXECUTE, FETCH)
}

#[cfg(test)]
mod tests {
    use super::{SIMD, X87, float_code};
    use crate::signal::frame::initial_fpu;

    #[test]
    fn floating_point_exception_is_told_by_its_flags() {
        for (flag, code) in [(1u8, 7), (2, 5), (4, 3), (8, 4), (0x10, 5), (0x20, 6)] {
            let mut state = initial_fpu();
            (state[0], state[2], state[24]) = (0x7f & !flag, flag, 0xbf);
            assert_eq!((float_code(X87, &state), float_code(SIMD, &state)), (code, 0), "flag {flag:#x}");
            let mask = 0x1f80 & !(u16::from(flag) << 7);
            state[24..26].copy_from_slice(&(mask | u16::from(flag)).to_le_bytes());
            assert_eq!(float_code(SIMD, &state), code, "flag {flag:#x}");
        }
    }
}
