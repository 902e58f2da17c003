//! Faults and reflected calls: traps of a thread that become calls on its behalf.
//!
//! A page fault goes to the space's pager; what the pager declines, and every other exception, to the thread's fault endpoint. A thread for
//! which nobody is there to ask stops; if it is one of the first process, so does the machine. A reflected call takes the next request number of its lane, unless the last one is delivered again.

use abi::{FaultAccess, Label, ObjectKind, RequestNumber, TraceKind};

use crate::endpoint::Endpoint;
use crate::kernel::{Cpu, Kernel};
use crate::machine::{Duty, Machine};
use crate::page::Ref;
use crate::thread::{CallKind, Port, State, Thread, odd};

/// Vector of a page fault.
pub const PAGE_FAULT: u64 = 14;
/// Vector of "device not available": an FPU instruction while CR0.TS is set.
const DEVICE_NOT_AVAILABLE: u64 = 7;
/// Vectors of exceptions that come after their instruction (traps: SDM vol. 3, table 6-1): single steps and breakpoints. Overflow is none in 64-bit mode.
pub(crate) const TRAPS: [u64; 2] = [1, 3];
/// Page fault error code bits (SDM vol. 3, 4.7).
const CODE_PRESENT: u64 = 1;
const CODE_WRITE: u64 = 2;
const CODE_FETCH: u64 = 16;

impl<M: Machine> Kernel<M> {
    fn live_port(&mut self, port: Port<Endpoint>) -> Option<Ref<Endpoint>> {
        let endpoint = port.object.some()?;
        let page = self.machine.page_of(endpoint.address());
        self.is_live(page, port.epoch, ObjectKind::Endpoint as u8).then_some(endpoint)
    }

    /// The current thread trapped into an exception: `vector`, the processor's error code, and the faulting address.
    pub fn exception(&mut self, vector: u64, code: u64, address: u64) {
        let Some(thread) = self.cpu().current.some() else { return };
        if vector == DEVICE_NOT_AVAILABLE && self.thread(thread).has_fpu() {
            return self.switch_fpu(thread);
        }
        if self.thread(thread).odd & odd::TRACED != 0 {
            self.trace_thread(thread, TraceKind::Exception, vector | code << 8, address);
        }
        let rip = self.thread(thread).frame.rip;
        self.leave_current();
        if !self.thread(thread).faulted_at(address, rip) {
            self.thread(thread).set_attempts(0);
        }
        if vector == PAGE_FAULT {
            let access = fault_access(code);
            let space = self.thread(thread).space;
            let pager = self.space(space).pager;
            self.thread(thread).fault = [address, access, rip, code];
            match self.live_port(pager) {
                Some(pager) => self.fault_call(thread, pager, CallKind::PageFault),
                None => self.raise_to_fault_endpoint(thread),
            }
        } else {
            self.thread(thread).fault = [vector, code, address, rip];
            self.raise_exception(thread);
        }
    }

    /// A page fault that nobody handled becomes an exception.
    pub(crate) fn raise_to_fault_endpoint(&mut self, thread: Ref<Thread>) {
        let entry = self.thread(thread);
        let [address, _, rip, code] = entry.fault;
        entry.fault = [PAGE_FAULT, code, address, rip];
        self.raise_exception(thread);
    }

    pub(crate) fn raise_exception(&mut self, thread: Ref<Thread>) {
        let port = self.thread(thread).fault_endpoint;
        match self.live_port(port) {
            Some(endpoint) => self.fault_call(thread, endpoint, CallKind::Exception),
            None => self.end_in_fault(thread),
        }
    }

    /// Nobody is there to ask what becomes of a thread.
    fn end_in_fault(&mut self, thread: Ref<Thread>) {
        let entry = self.thread(thread);
        entry.state = State::Stopped as u8;
        let (space, fault) = (entry.space, entry.fault);
        if space == self.first_space {
            self.machine.first_process_lost(fault);
        }
    }

    fn fault_call(&mut self, thread: Ref<Thread>, endpoint: Ref<Endpoint>, kind: CallKind) {
        let entry = self.thread(thread);
        entry.call_kind = kind as u8;
        entry.lease_count = 0;
        self.send(thread, endpoint);
    }

    /// The current thread runs Linux code and executed `syscall`.
    pub(crate) fn reflect(&mut self, thread: Ref<Thread>) {
        if self.thread(thread).odd & odd::TRACED != 0 {
            self.trace_call(thread);
        }
        let port = self.thread(thread).personality;
        self.leave_current();
        let Some(endpoint) = self.live_port(port) else {
            self.thread(thread).state = State::Stopped as u8;
            return;
        };
        let entry = self.thread(thread);
        if entry.redeliver == 0 {
            entry.request = RequestNumber(entry.request).next().0;
            entry.set_attempts(0);
        }
        entry.redeliver = 0;
        entry.call_kind = CallKind::Reflected as u8;
        entry.label = Label::default().0;
        entry.lease_count = 0;
        entry.calls = entry.calls.wrapping_add(1);
        self.send(thread, endpoint);
    }

    /// Gives the FPU to a thread: the owner's registers are stored, the new one's loaded.
    fn switch_fpu(&mut self, thread: Ref<Thread>) {
        self.machine.set_fpu_trap(false);
        self.cpu().fpu_trap = false;
        if let Some(owner) = self.cpu().fpu_owner.some() {
            self.store_fpu(owner);
        }
        let used = self.thread(thread).fpu_used != 0;
        let area = xsave_address(thread);
        self.machine.fpu_restore(used.then_some(area));
        self.thread(thread).fpu_used = 1;
        self.cpu().fpu_owner = thread;
    }

    fn store_fpu(&mut self, owner: Ref<Thread>) {
        self.machine.fpu_save(xsave_address(owner));
    }

    /// Brings a thread's stored FPU state up to date, from whichever processor has it: only its own can.
    pub(crate) fn save_fpu(&mut self, thread: Ref<Thread>) {
        let processor = usize::from(self.thread(thread).cpu);
        let &mut Cpu { fpu_owner, fpu_trap, .. } = self.cpu_at(processor);
        if fpu_owner != thread {
            return;
        }
        if processor == self.machine.processor() {
            self.machine.set_fpu_trap(false);
            self.store_fpu(thread);
            self.machine.set_fpu_trap(fpu_trap);
        } else {
            self.machine.delegate(processor, Duty::StoreFpu(xsave_address(thread)));
        }
    }

    /// A thread's state in the FPU is no longer wanted: it was stored, or will be replaced.
    pub(crate) fn drop_fpu(&mut self, thread: Ref<Thread>) {
        if self.cpu_of(thread).fpu_owner == thread {
            self.save_fpu(thread);
            self.cpu_of(thread).fpu_owner = Ref::NONE;
        }
    }
}

fn xsave_address(thread: Ref<Thread>) -> u64 {
    thread.address().wrapping_add(core::mem::offset_of!(abi::Frame, xsave) as u64)
}

fn fault_access(code: u64) -> u64 {
    let bit = |mask: u64, flag: u64| if code & mask != 0 { flag } else { 0 };
    bit(CODE_WRITE, FaultAccess::WRITE) | bit(CODE_FETCH, FaultAccess::EXECUTE) | bit(CODE_PRESENT, FaultAccess::PRESENT)
}
