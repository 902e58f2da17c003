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

/// Interrupt lines that can be bound.
pub const MAX_LINES: usize = 24;

/// What belongs to one processor.
#[derive(Clone, Debug, Hash)]
pub struct Cpu {
    /// The thread that runs, or none: idle.
    pub(crate) current: Ref<Thread>,
    /// Threads that could run.
    pub(crate) queue: RunQueue,
    /// The thread on whose slice and account the current one runs.
    pub(crate) payer: Ref<Thread>,
    /// Since when the present stretch is not charged yet.
    pub(crate) charged_at: u64,
    /// When the payer's slice ends.
    pub(crate) slice_end: u64,
    /// The payer's slice ended while somebody worked for it.
    pub(crate) expired: bool,
    /// The run queue or a deadline changed: decide anew and set the timer.
    pub(crate) reschedule: bool,
    /// Whose registers the FPU holds.
    pub(crate) fpu_owner: Ref<Thread>,
    /// What CR0.TS is.
    pub(crate) fpu_trap: bool,
    /// The top-level table that is loaded, 0 for the kernel's own.
    pub(crate) root: u32,
    /// What the timer is set to.
    pub(crate) timer: Option<u64>,
    pub(crate) deadlines: Deadlines,
}

/// Counts of what happened, for benchmarks and tests.
#[derive(Clone, Copy, Debug, Default, Hash)]
pub struct Counts {
    /// Top-level tables loaded.
    pub roots_loaded: u64,
    /// Messages delivered.
    pub deliveries: u64,
}

/// All of the kernel's state that is not in pages.
#[derive(Clone, Debug, Hash)]
pub struct Kernel<M> {
    /// The hardware.
    pub machine: M,
    /// The last epoch given out.
    pub(crate) epoch: u64,
    /// The last ticket given out: one for each delivery, so that it names the delivery in the whole system.
    pub(crate) ticket: u64,
    pub(crate) cpu: Cpu,
    pub(crate) lines: [Line; MAX_LINES],
    /// The space of the first process: everything depends on its threads.
    pub(crate) first_space: Ref<AddressSpace>,
    /// What happened.
    pub counts: Counts,
}

impl<M: Machine> Kernel<M> {
    /// A kernel on a machine whose pages are all unused.
    pub fn new(machine: M) -> Self {
        Self {
            machine,
            epoch: 0,
            ticket: 0,
            cpu: Cpu {
                current: Ref::NONE,
                queue: RunQueue::new(),
                payer: Ref::NONE,
                charged_at: 0,
                slice_end: 0,
                expired: false,
                reschedule: false,
                fpu_owner: Ref::NONE,
                fpu_trap: true,
                root: 0,
                timer: None,
                deadlines: Deadlines::new(),
            },
            lines: [Line::FREE; MAX_LINES],
            first_space: Ref::NONE,
            counts: Counts::default(),
        }
    }

    /// A new epoch: everything older that is compared with it is dead.
    pub(crate) fn next_epoch(&mut self) -> u64 {
        self.epoch += 1;
        self.epoch
    }

    /// The thread that runs when the trap ends; `None` is idle.
    pub fn current(&self) -> Option<Ref<Thread>> {
        self.cpu.current.some()
    }
}
