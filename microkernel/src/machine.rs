//! The seam between the kernel and the hardware.
//!
//! Everything above this trait is the same code on the processor and in the tests, where a machine of plain memory stands in. The kernel
//! reaches physical memory only through it, as pages: by number, or by the opaque address that a [`crate::page::Ref`] holds.

use abi::TraceRecord;

use crate::page::PageInfo;

/// Number of a physical page: physical address divided by 4096.
pub type PageNumber = u32;

/// What one processor does for another, wherever that is outside the kernel: in user code, idle, or waiting to get in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// Forget all translations of the loaded space.
    Forget,
    /// Load the kernel's own top-level table.
    Unload,
    /// Store the FPU's state at an address that [`Machine::page_address`] covers.
    StoreFpu(u64),
}

/// What the kernel needs of a machine. Methods never fail: what they are given has been checked.
pub trait Machine {
    /// Pages that have a [`PageInfo`]: every valid [`PageNumber`] is below this.
    fn page_count(&self) -> PageNumber;
    /// The record of a page; `None` past the end.
    fn page_info(&mut self, page: PageNumber) -> Option<&mut PageInfo>;
    /// The address through which a page's bytes are reached: never 0, a multiple of 4096, and the same for the life of the machine.
    fn page_address(&self, page: PageNumber) -> u64;
    /// The page at an address that [`Machine::page_address`] gave.
    fn page_of(&self, address: u64) -> PageNumber;
    /// A pointer to the bytes at such an address, valid for the rest of its page.
    fn resolve(&mut self, address: u64) -> *mut u8;

    /// Copies the kernel's half of the address space into a new top-level table.
    fn fill_kernel_half(&mut self, root: PageNumber);
    /// Loads a top-level table; `None` loads the kernel's own, which has no user half.
    fn load_root(&mut self, root: Option<PageNumber>);
    /// Forgets the translation of one address in the loaded space.
    fn flush(&mut self, address: u64);

    /// Whether an interrupt waits to be taken. This is the preemption point: between two of them, or the ends of a trap, an operation does at most
    /// [`abi::BUDGET_PAGES`] entries or a page of bytes, and where the answer is yes it ends with its progress kept. It is yes also when another
    /// processor waits to get into the kernel.
    fn interrupted(&mut self) -> bool;
    /// Is told what was zeroed, copied or looked through in one piece, before it is. Only a machine that measures work wants to know.
    fn touched(&mut self, _bytes: usize) {}

    /// The processor that is in the kernel, below [`crate::endpoint::MAX_CPUS`].
    fn processor(&self) -> usize;
    /// Interrupts another processor: [`crate::kernel::Kernel::take_ipi`] runs there before any more user code.
    fn send_ipi(&mut self, processor: usize);
    /// Lets another processor do a duty, and returns when it is done.
    fn delegate(&mut self, processor: usize, duty: Duty);

    /// The time-stamp counter.
    fn now(&mut self) -> u64;
    /// Asks for a timer interrupt at an absolute time-stamp value, or for none.
    fn set_timer(&mut self, at: Option<u64>);

    /// Masks or unmasks an interrupt line.
    fn set_line(&mut self, line: u32, enabled: bool);
    /// How many interrupt lines there are.
    fn lines(&self) -> u32;
    /// Reads an I/O port, `width` being 1, 2 or 4 bytes.
    fn port_in(&mut self, port: u16, width: u8) -> u32;
    /// Writes an I/O port.
    fn port_out(&mut self, port: u16, width: u8, value: u32);
    /// Where the kernel records what threads do: at least one place.
    fn trace_ring(&mut self) -> &mut [TraceRecord];
    /// Appends to the system's log.
    fn log(&mut self, bytes: &[u8]);
    /// The first process cannot go on: vector, error code, address and instruction of its exception. The real machine ends here.
    fn first_process_lost(&mut self, fault: [u64; 4]);

    /// Stores the FPU state at an address that [`Machine::page_address`] covers, aligned to 64.
    fn fpu_save(&mut self, address: u64);
    /// Loads the FPU state from there, or the initial state when there is none. A state that the processor refuses loads as the initial one.
    fn fpu_restore(&mut self, address: Option<u64>);
    /// Sets or clears CR0.TS: while set, an FPU instruction faults.
    fn set_fpu_trap(&mut self, trap: bool);
}
