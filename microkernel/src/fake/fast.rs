//! System calls as the processor makes them, and the fast path tried first where a test wants it.
#![allow(unsafe_code, reason = "runs the fast path's assembly")]

use abi::{Control, Frame, Label, MessageKind, Operation};

use super::compare::same;
use super::{FakeMachine, World};
use crate::fastpath::host::{Fault, LEFT, RESUME, RETURNED, Registers, SLOW, enter};
use crate::fault::PAGE_FAULT;
use crate::kernel::Kernel;
use crate::page::Ref;
use crate::thread::{State, Thread};

/// What a register holds that nobody may rely on.
const STALE: u64 = 0x57a1_e57a_1e57_a1e5;

/// What a thread does that brings it into ring 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trap {
    /// A native thread asks for an operation.
    Native(Option<Operation>),
    /// A Linux program's system call.
    Linux,
    /// A page fault.
    PageFault,
}

/// A way through the fast path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Way {
    /// Into ring 0.
    pub trap: Trap,
    /// Another thread runs afterwards.
    pub switches: bool,
    /// It goes on with all its registers, by IRET.
    pub returns: bool,
}

impl World {
    /// How many system calls the fast path did.
    #[must_use]
    pub fn fast_calls(&self) -> u64 {
        self.fast_ways.values().sum()
    }

    /// From now on system calls try the fast path.
    ///
    /// # Panics
    /// If another world does so already.
    pub fn use_fast_path(&mut self) {
        self.kernel.machine.make_real();
        self.fast = true;
    }

    /// Becomes a copy of another world, without leaving its place.
    pub fn return_to(&mut self, other: &World) {
        let mut copy = other.clone();
        copy.kernel.machine.take_place(&mut self.kernel.machine);
        (copy.fast, copy.fast_ways) = (self.fast, core::mem::take(&mut self.fast_ways));
        *self = copy;
    }

    /// From now on nobody checks the invariants, which takes most of a step's time.
    pub fn leave_unchecked(&mut self) {
        self.checked = false;
    }

    /// The current thread executes `syscall`; its registers are in its frame.
    pub(super) fn system_call(&mut self) {
        let Some(current) = self.kernel.current() else { return };
        let frame = self.frame(current);
        (frame.rcx, frame.r11) = (frame.rip, frame.rflags);
        if !(self.fast && self.enter_fast(None)) {
            self.trap(|kernel| slow_call(kernel, current));
        }
    }

    /// The current thread runs into a page fault; its registers are in its frame.
    pub(super) fn page_fault(&mut self, code: u64, address: u64) {
        if !(self.fast && self.enter_fast(Some(Fault { code, address }))) {
            self.trap(|kernel| kernel.exception(PAGE_FAULT, code, address));
        }
    }

    /// Tries the fast path. The registers of whoever runs afterwards are in its frame, and if that is still the same thread, the slow path may have it.
    fn enter_fast(&mut self, fault: Option<Fault>) -> bool {
        let Some(caller) = self.kernel.current() else { return false };
        let native = fault.is_none() && !self.thread(caller).is_reflected();
        let before = self.thread(caller).frame;
        let mut registers = registers(&before);
        set_general(self.frame(caller), &[STALE; 16]);
        let (frame, flags) = (self.frame(caller), before.rflags);
        (frame.rip, frame.rflags) = (STALE >> 17, flags ^ 1);
        // SAFETY: `use_fast_path` put the pages where the references say.
        unsafe { enter(&mut self.kernel, &mut registers, fault, self.waits) };
        if registers.end == SLOW {
            let after = self.thread(caller).frame;
            assert_eq!(kept(&after, native), kept(&before, native), "the slow path finds other registers than user code left");
            *self.frame(caller) = before;
            return false;
        }
        let trap = match fault {
            Some(_) => Trap::PageFault,
            None if native => Trap::Native(Control(before.rax as u32).operation()),
            None => Trap::Linux,
        };
        let way = Way { trap, switches: self.kernel.current() != Some(caller), returns: registers.end == RETURNED };
        *self.fast_ways.entry(way).or_default() += 1;
        self.after_fast(caller, &before, &registers);
        if registers.end == RESUME {
            self.kernel.finish();
            self.load_bases();
        }
        self.end_trap();
        true
    }

    fn after_fast(&mut self, caller: Ref<Thread>, before: &Frame, registers: &Registers) {
        let (root, fpu_trap) = (self.kernel.cpu().root, self.kernel.cpu().fpu_trap);
        let root = (root != 0).then_some(root);
        let core = self.kernel.machine.core_mut();
        if core.root != root {
            core.load(root);
        }
        core.fpu_trap = fpu_trap;
        let Some(next) = self.kernel.current() else { panic!("the fast path went to nobody") };
        if next != caller && matches!(self.thread(caller).state(), State::Waiting | State::Runnable) {
            self.complete(caller, before);
        }
        if registers.end == LEFT {
            self.leave_fast(caller, next, before, registers);
        } else if registers.end == RETURNED {
            self.settle_registers(next, registers);
        }
    }

    /// Of a thread that has waited or yielded only what the ABI preserves needs to be stored, besides the status. Nothing of the kernel's is.
    fn complete(&mut self, thread: Ref<Thread>, before: &Frame) {
        let yielded = self.thread(thread).state() == State::Runnable;
        let stored = self.thread(thread).frame;
        assert_eq!((stored.rsp, stored.rbp, stored.rip, stored.rflags), (before.rsp, before.rbp, before.rip, before.rflags));
        assert_eq!((stored.rcx, stored.r11), (stored.rip, stored.rflags), "SYSRET brings it back");
        assert_eq!((stored.r12, stored.r13, stored.r15), (before.r12, before.r13, before.r15), "an operation without a message preserves them");
        let mut rest = general(&stored);
        if yielded {
            assert_eq!(core::mem::replace(&mut rest[0], STALE), 0, "the status of a yield");
        }
        let known = rest.iter().zip(general(before)).all(|(stored, before)| *stored == STALE || *stored == before);
        assert!(known, "registers that are not the thread's own: {rest:x?}");
        let frame = self.frame(thread);
        set_general(frame, &general(before));
        if yielded {
            frame.rax = 0;
        }
    }

    fn leave_fast(&mut self, caller: Ref<Thread>, next: Ref<Thread>, before: &Frame, registers: &Registers) {
        let mut general = registers.general;
        if next == caller {
            let kept = [general[3] == before.rbx, general[14] == 0];
            assert!(kept == [true; 2] || general[3] == 0 && kept[1], "what the ABI gives up is not the kernel's");
            (general[3], general[14]) = (before.rbx, before.r14);
        } else if self.is_answer(caller, before, &general) && !self.thread(next).is_reflected() {
            // The ABI gives it up: it is what the server had there, or its own. Never the kernel's.
            let own = self.frame(next).r15;
            assert!([before.r15, own].contains(&general[15]), "r15 is {:#x}", general[15]);
            general[15] = own;
        }
        self.settle_registers(next, &Registers { general, ..*registers });
    }

    /// Whether what a thread has caused is no message to somebody who receives.
    fn is_answer(&mut self, cause: Ref<Thread>, before: &Frame, general: &[u64; 16]) -> bool {
        let is_call = !self.thread(cause).is_reflected() && Control(before.rax as u32).operation() == Some(Operation::Call);
        !is_call && matches!(Label((general[0] >> 32) as u32).message_kind(), Some(MessageKind::Call | MessageKind::Notification) | None)
    }

    fn settle_registers(&mut self, next: Ref<Thread>, registers: &Registers) {
        let thread = self.thread(next);
        let own = [thread.frame.fs_base, thread.frame.gs_base];
        assert!(!thread.has_bases() || own == self.kernel.cpu().loaded_bases, "it goes on with other bases than its own");
        let frame = self.frame(next);
        assert_eq!((frame.rip, frame.rflags), (registers.rip, registers.rflags), "it goes on elsewhere than the thread was");
        set_general(frame, &registers.general);
    }
}

/// As the entry code does it: a thread that goes on at once must find nothing left to do.
fn slow_call(kernel: &mut Kernel<FakeMachine>, thread: Ref<Thread>) {
    if kernel.thread(thread).is_reflected() {
        return kernel.system_call();
    }
    if kernel.operate(thread) {
        let before = kernel.cpus.clone();
        kernel.finish();
        assert!(same(&before, &kernel.cpus), "the trap was not at its end");
    }
}

fn general(frame: &Frame) -> [u64; 16] {
    let Frame { rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15, .. } = *frame;
    [rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15]
}

fn set_general(frame: &mut Frame, values: &[u64; 16]) {
    let f = frame;
    [f.rax, f.rcx, f.rdx, f.rbx, f.rsp, f.rbp, f.rsi, f.rdi, f.r8, f.r9, f.r10, f.r11, f.r12, f.r13, f.r14, f.r15] = *values;
}

fn registers(frame: &Frame) -> Registers {
    Registers { general: general(frame), rip: frame.rip, rflags: frame.rflags, end: SLOW }
}

/// What the slow path may rely on: all registers, but of a native thread not those that its ABI gives up.
fn kept(frame: &Frame, native: bool) -> ([u64; 16], u64, u64) {
    let mut values = general(frame);
    if native {
        (values[3], values[14]) = (0, 0);
    }
    (values, frame.rip, frame.rflags)
}
