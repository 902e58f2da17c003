//! The kernel's state and its one entry: a trap comes in, and afterwards [`Kernel::current`] says what runs.
//!
//! Nothing here waits: an operation ends, or leaves its progress with the caller, or parks the calling thread on a queue. So one stack for a
//! processor is enough, and the lock around [`Kernel`] is held from entry to exit.

use core::hash::{Hash, Hasher};

use crate::endpoint::MAX_CPUS;
use crate::interrupt::Line;
use crate::machine::Machine;
use crate::notification::Deadlines;
use crate::page::Ref;
use crate::schedule::RunQueue;
use crate::space::AddressSpace;
use crate::thread::Thread;
use crate::trace::Trace;
use crate::wrap;

/// Interrupt lines that can be bound.
pub const MAX_LINES: usize = 24;

/// Where a processor's number begins in its tickets.
const TICKET_BITS: u32 = 56;

/// [`Cpu::timer`] when it is not set.
pub(crate) const NO_TIMER: u64 = u64::MAX;

/// What belongs to one processor. `gs` points here in ring 0, so the entry code and the fast path find everything at fixed offsets.
#[derive(Clone, Debug, Hash)]
#[repr(C)]
pub struct Cpu {
    /// The thread that runs, or none: idle. Its frame comes first in it.
    pub(crate) current: Ref<Thread>,
    /// Where the entry code keeps the user's stack pointer for a moment.
    pub(crate) user_rsp: u64,
    /// Top of the kernel stack.
    pub(crate) stack: u64,
    /// The thread on whose slice and account the current one runs.
    pub(crate) payer: Ref<Thread>,
    /// Since when the present stretch is not charged yet.
    pub(crate) charged_at: u64,
    /// When the payer's slice ends.
    pub(crate) slice_end: u64,
    /// What the timer is set to, or [`NO_TIMER`].
    pub(crate) timer: u64,
    /// The last ticket given out here: one for each delivery. They begin with the processor's number, so that each names its delivery in the
    /// whole system.
    pub(crate) ticket: u64,
    /// Which processor this is.
    pub(crate) index: u64,
    /// How far in an endpoint its list of receivers is from the first one.
    pub(crate) list: u64,
    /// Where the records of the pages lie, and where page 0 is mapped: for the fast path alone.
    pub(crate) infos: u64,
    pub(crate) direct_map: u64,
    /// Where the kernel's own top-level table lies, which is loaded for a space that has none.
    pub(crate) kernel_root: u64,
    /// How often a top-level table was loaded.
    pub(crate) roots_loaded: u64,
    /// The bases of FS and GS in the processor's registers.
    pub(crate) loaded_bases: [u64; 2],
    /// Whose registers the FPU holds.
    pub(crate) fpu_owner: Ref<Thread>,
    /// The top-level table that is loaded, 0 for the kernel's own.
    pub(crate) root: u32,
    /// What CR0.TS is.
    pub(crate) fpu_trap: bool,
    /// The payer's slice ended while somebody worked for it.
    pub(crate) expired: bool,
    /// The run queue or a deadline changed: decide anew and set the timer.
    pub(crate) reschedule: bool,
    /// The thread that another processor wants stopped, if it is the one that runs here when this one is interrupted.
    pub(crate) halt: Ref<Thread>,
    /// Threads that could run.
    pub(crate) queue: RunQueue,
    pub(crate) deadlines: Deadlines,
    /// What stands for the processor in tests of the fast path.
    #[cfg(not(target_os = "none"))]
    pub(crate) host: crate::fastpath::host::Seam,
}

impl Cpu {
    fn new(index: usize) -> Self {
        Self {
            current: Ref::NONE,
            user_rsp: 0,
            stack: 0,
            payer: Ref::NONE,
            charged_at: 0,
            slice_end: 0,
            timer: NO_TIMER,
            ticket: (index as u64) << TICKET_BITS,
            index: index as u64,
            list: (index * size_of::<Ref<Thread>>()) as u64,
            infos: 0,
            direct_map: 0,
            kernel_root: 0,
            roots_loaded: 0,
            loaded_bases: [0; 2],
            fpu_owner: Ref::NONE,
            root: 0,
            fpu_trap: true,
            expired: false,
            reschedule: false,
            halt: Ref::NONE,
            queue: RunQueue::new(),
            deadlines: Deadlines::new(),
            #[cfg(not(target_os = "none"))]
            host: crate::fastpath::host::Seam::default(),
        }
    }

    /// Nothing runs there.
    pub(crate) fn is_idle(&self) -> bool {
        self.current.some().is_none()
    }
}

/// The records of all processors, of which the first few are in use. The others are as they were made.
#[derive(Clone, Debug)]
pub(crate) struct Cpus {
    all: [Cpu; MAX_CPUS],
    used: usize,
}

impl Cpus {
    /// Those in use.
    pub(crate) fn used(&self) -> &[Cpu] {
        self.all.get(..self.used).unwrap_or(&self.all)
    }

    /// Those in use.
    pub(crate) fn used_mut(&mut self) -> &mut [Cpu] {
        let Self { all, used } = self;
        match all.split_at_mut_checked(*used) {
            Some((used, _)) => used,
            None => &mut [],
        }
    }
}

impl Hash for Cpus {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.used().hash(state);
    }
}

/// All of the kernel's state that is not in pages.
#[derive(Clone, Debug, Hash)]
pub struct Kernel<M> {
    /// The hardware.
    pub machine: M,
    /// The last epoch given out.
    pub(crate) epoch: u64,
    pub(crate) cpus: Cpus,
    /// Other processors that may know translations which this trap has ended, as bits.
    pub(crate) stale: u8,
    pub(crate) lines: [Line; MAX_LINES],
    pub(crate) trace: Trace,
    /// The space of the first process: everything depends on its threads.
    pub(crate) first_space: Ref<AddressSpace>,
}

impl<M: Machine> Kernel<M> {
    /// A kernel on a machine whose pages are all unused, with one processor.
    pub fn new(machine: M) -> Self {
        Self {
            machine,
            epoch: 0,
            cpus: Cpus { all: core::array::from_fn(Cpu::new), used: 1 },
            stale: 0,
            lines: [Line::FREE; MAX_LINES],
            trace: Trace::default(),
            first_space: Ref::NONE,
        }
    }

    /// How many processors threads may run on from now on: at least one, at most [`MAX_CPUS`], and never fewer than before.
    pub fn use_processors(&mut self, count: usize) {
        self.cpus.used = count.clamp(self.cpus.used, MAX_CPUS);
    }

    /// How many processors threads may run on.
    pub fn processors(&self) -> usize {
        self.cpus.used
    }

    /// The record of the processor that is in the kernel.
    #[inline]
    pub(crate) fn cpu(&mut self) -> &mut Cpu {
        let here = self.machine.processor();
        self.cpu_at(here)
    }

    /// The record of a processor.
    #[inline]
    pub(crate) fn cpu_at(&mut self, index: usize) -> &mut Cpu {
        wrap::at_mut(&mut self.cpus.all, index)
    }

    /// The record of the processor that a thread belongs to.
    #[inline]
    pub(crate) fn cpu_of(&mut self, thread: Ref<Thread>) -> &mut Cpu {
        let index = usize::from(self.thread(thread).cpu);
        self.cpu_at(index)
    }

    /// A new epoch: everything older that is compared with it is dead.
    pub(crate) fn next_epoch(&mut self) -> u64 {
        self.epoch += 1;
        self.epoch
    }

    /// How often a top-level table was loaded: what the processors pay for by misses in their TLBs.
    pub fn roots_loaded(&self) -> u64 {
        self.cpus.used().iter().map(|cpu| cpu.roots_loaded).sum()
    }

    /// The thread that runs here when the trap ends; `None` is idle.
    pub fn current(&self) -> Option<Ref<Thread>> {
        self.current_at(self.machine.processor())
    }

    /// The thread that runs on a processor.
    pub fn current_at(&self, processor: usize) -> Option<Ref<Thread>> {
        wrap::at(&self.cpus.all, processor).current.some()
    }
}
