//! The kernel's state and its one entry: a trap comes in, and afterwards [`Kernel::current`] says what runs.
//!
//! Nothing here waits: an operation ends, or leaves its progress with the caller, or parks the calling thread on a queue. So one stack for a
//! processor is enough, and the lock around [`Kernel`] is held from entry to exit.

use crate::interrupt::Line;
use crate::machine::Machine;
use crate::notification::Deadlines;
use crate::page::Ref;
use crate::schedule::RunQueue;
use crate::space::AddressSpace;
use crate::thread::Thread;
use crate::trace::Trace;

/// Interrupt lines that can be bound.
pub const MAX_LINES: usize = 24;

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
    /// Where the records of the pages lie, and where page 0 is mapped: for the fast path alone.
    pub(crate) infos: u64,
    pub(crate) direct_map: u64,
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
    /// Threads that could run.
    pub(crate) queue: RunQueue,
    pub(crate) deadlines: Deadlines,
    /// What stands for the processor in tests of the fast path.
    #[cfg(not(target_os = "none"))]
    pub(crate) host: crate::fastpath::host::Seam,
}

/// All of the kernel's state that is not in pages.
#[derive(Clone, Debug, Hash)]
pub struct Kernel<M> {
    /// The hardware.
    pub machine: M,
    /// The last epoch given out.
    pub(crate) epoch: u64,
    pub(crate) cpu: Cpu,
    pub(crate) lines: [Line; MAX_LINES],
    pub(crate) trace: Trace,
    /// The space of the first process: everything depends on its threads.
    pub(crate) first_space: Ref<AddressSpace>,
}

impl<M: Machine> Kernel<M> {
    /// A kernel on a machine whose pages are all unused.
    pub fn new(machine: M) -> Self {
        Self {
            machine,
            epoch: 0,
            cpu: Cpu {
                current: Ref::NONE,
                user_rsp: 0,
                stack: 0,
                payer: Ref::NONE,
                charged_at: 0,
                slice_end: 0,
                timer: NO_TIMER,
                ticket: 0,
                infos: 0,
                direct_map: 0,
                roots_loaded: 0,
                loaded_bases: [0; 2],
                fpu_owner: Ref::NONE,
                root: 0,
                fpu_trap: true,
                expired: false,
                reschedule: false,
                queue: RunQueue::new(),
                deadlines: Deadlines::new(),
                #[cfg(not(target_os = "none"))]
                host: crate::fastpath::host::Seam::default(),
            },
            lines: [Line::FREE; MAX_LINES],
            trace: Trace::default(),
            first_space: Ref::NONE,
        }
    }

    /// A new epoch: everything older that is compared with it is dead.
    pub(crate) fn next_epoch(&mut self) -> u64 {
        self.epoch += 1;
        self.epoch
    }

    /// How often a top-level table was loaded: what the processor pays for by misses in its TLB.
    pub fn roots_loaded(&self) -> u64 {
        self.cpu.roots_loaded
    }

    /// The thread that runs when the trap ends; `None` is idle.
    pub fn current(&self) -> Option<Ref<Thread>> {
        self.cpu.current.some()
    }
}
