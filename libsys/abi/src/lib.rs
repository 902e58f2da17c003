//! The kernel's ABI: the one description of what crosses the line between ring 3 and ring 0.
//!
//! Kernel, runtime and image builder all build against this crate, so a number or an offset exists once. It has no dependencies and no code
//! beyond encoding. What it deliberately does not know: servers, protocols, Linux.
//!
//! # Registers
//! A native system call is one `syscall` instruction. It preserves **rsp and rbp only**; an operation that neither sends nor waits for a message, which
//! is any but `Call`, `ReplyReceive` and `Receive`, preserves r12, r13 and r15 as well.
//!
//! | register | in | out |
//! |---|---|---|
//! | `rax` | [`Control`] in the low half, [`Label`] in the high half | status in the low half (0 or a negated [`Error`]), [`Label`] in the high half |
//! | `rdi rsi rdx r8 r9 r10 r12 r13` | the eight message words, or an operation's arguments | the eight message words, or an operation's results |
//! | `r15` | request number of a call | that of the message received again; of a Linux call: [`call_sum`] |
//! | `r14` | | request number of the message received |
//! | `rbx` | | badge of the capability that the message came through |
//!
//! A message of up to 64 bytes travels in the message words; a longer one in the sender's and the receiver's [`MessagePage`].
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod boot;
mod control;
mod error;
mod frame;
mod message;
mod number;
mod rights;
mod trace;

pub use control::{Control, Operation};
pub use error::Error;
pub use frame::{FLAGS_FIXED, FLAGS_STEP, FLAGS_USER, Frame, XSAVE_BYTES};
pub use message::{
    FaultAccess, Label, Lease, MAX_CAPS, MAX_INLINE, MAX_LEASES, MAX_MESSAGE, MessageKind, MessagePage, ReplyKind, call_sum, copy_sum, result_of,
    result_words,
};
pub use number::RequestNumber;
pub use rights::{MapFlags, ObjectKind, Rights};
pub use trace::{ALL_PORTS, TRACE_RECORDS, TraceKind, TraceRecord};

/// Bytes in a page.
pub const PAGE_SIZE: u64 = boot::PAGE_SIZE;
/// First address that a user mapping may not reach: the last page of the lower half is never mappable, so that `syscall` at its end cannot
/// leave a non-canonical return address (Intel SDM vol. 2, SYSRET).
pub const USER_END: u64 = 0x0000_7fff_ffff_f000;
/// Most page-table entries or pages that one operation handles before it returns with its progress.
pub const BUDGET_PAGES: u64 = 512;
/// Bytes that one lease copy moves at most.
pub const COPY_BYTES: u64 = 4096;
/// Slots at the start of every capability table that hold its own header: handles below this are never valid.
pub const FIRST_HANDLE: u32 = 4;
/// Bytes of a slot.
pub const SLOT_BYTES: u64 = 32;
/// Slots in one page of a table.
pub const SLOTS_PER_PAGE: u32 = (PAGE_SIZE / SLOT_BYTES) as u32;
/// Set in a handle that names a slot of the vault instead of the instance's own table.
pub const VAULT: u32 = 1 << 23;
/// Mask of a handle's index.
pub const HANDLE_MASK: u32 = VAULT - 1;
/// As a table argument: the calling thread's own table.
pub const OWN_TABLE: u32 = 0;
/// Bit that a passed deadline sets in its notification's word.
pub const DEADLINE_BIT: u64 = 1 << 63;
/// How many priorities there are; 0 is the lowest.
pub const PRIORITIES: u8 = 32;
/// How often a lease may be lent on.
pub const LEASE_DEPTH: u32 = 4;

/// Processors that threads run on at most.
pub const MAX_PROCESSORS: u8 = 8;
/// For [`ThreadSetting::Processor`]: where the thread is, until it waits for a message and one comes from a caller on another processor, who has
/// nobody there. Then it goes to that one.
pub const ANY_PROCESSOR: u64 = u64::MAX;

/// A thread's scheduling class and kind, for [`ThreadSetting::Flags`].
pub mod thread_flags {
    /// The thread owns FPU state; without it an FPU instruction is an exception.
    pub const FPU: u64 = 1;
    /// Its `syscall` is a call to its personality endpoint with raw registers; it can name no capability.
    pub const REFLECT: u64 = 2;
}

/// What [`Operation::ThreadConfigure`] sets; the first argument. The second and third argument are given with each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum ThreadSetting {
    /// Handle of the address space that the thread runs in.
    Space = 0,
    /// Handle of the capability table that its handles index (its instance).
    Table = 1,
    /// Handle of the table that its handles with [`VAULT`] index.
    Vault = 2,
    /// Handle of the endpoint that gets its exceptions and the page faults that its pager declines.
    FaultEndpoint = 3,
    /// Handle of the endpoint that gets its reflected calls.
    Personality = 4,
    /// Handle of the Memory and index of the page in it that is its message page; the page stays pinned.
    MessagePage = 5,
    /// Priority, 0 to [`PRIORITIES`] - 1.
    Priority = 6,
    /// [`thread_flags`].
    Flags = 7,
    /// Badge under which its faults and reflected calls arrive.
    Badge = 8,
    /// First request number of its reflected calls: service and lane (see [`RequestNumber`]).
    Lane = 9,
    /// Length of its time slice in TSC ticks.
    Slice = 10,
    /// Number of the processor that it runs on, or [`ANY_PROCESSOR`]; while it is stopped or awaits a reply.
    Processor = 11,
}

impl ThreadSetting {
    /// Decodes an argument.
    #[must_use]
    pub const fn from_word(word: u64) -> Option<Self> {
        Some(match word {
            0 => Self::Space,
            1 => Self::Table,
            2 => Self::Vault,
            3 => Self::FaultEndpoint,
            4 => Self::Personality,
            5 => Self::MessagePage,
            6 => Self::Priority,
            7 => Self::Flags,
            8 => Self::Badge,
            9 => Self::Lane,
            10 => Self::Slice,
            11 => Self::Processor,
            _ => return None,
        })
    }
}

/// Receives calls, refuses them, or lets them queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum EndpointState {
    /// Calls are delivered.
    Open = 0,
    /// Callers queue: the window in which a server is restarted.
    Held = 1,
    /// Calls fail with [`Error::Closed`].
    Closed = 2,
}

impl EndpointState {
    /// Decodes an argument.
    #[must_use]
    pub const fn from_word(word: u64) -> Option<Self> {
        Some(match word {
            0 => Self::Open,
            1 => Self::Held,
            2 => Self::Closed,
            _ => return None,
        })
    }
}

/// What the kernel tells the first process; it lies at [`BOOT_INFO_ADDRESS`], readable, in native byte order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct BootInfo {
    /// Ticks of the time-stamp counter in a second.
    pub tsc_hz: u64,
    /// Bytes of the boot archive, which is mapped readable at [`ARCHIVE_ADDRESS`].
    pub archive_bytes: u64,
    /// How many owned Memory capabilities lie from [`boot_slot::FIRST_MEMORY`] on.
    pub memories: u64,
    /// Pages of each of them.
    pub memory_pages: [u64; 32],
    /// Physical address of the ACPI root pointer, or 0.
    pub rsdp: u64,
    /// All pages of RAM that the machine reported as usable.
    pub total_pages: u64,
    /// Processors that threads can be placed on.
    pub processors: u64,
}

/// Where the first process finds its [`BootInfo`].
pub const BOOT_INFO_ADDRESS: u64 = 0x7000_0000_0000;
/// Where the first process finds its message page.
pub const BOOT_MESSAGE_PAGE: u64 = 0x7000_0000_1000;
/// Top of the first process's stack.
pub const BOOT_STACK_TOP: u64 = 0x7000_0010_0000;
/// Pages of the first process's stack: what it needs when it is compiled without optimisation, which is some times as much.
pub const BOOT_STACK_PAGES: u64 = 64;
/// Where the first process finds the boot archive.
pub const ARCHIVE_ADDRESS: u64 = 0x7100_0000_0000;

/// The capabilities that the first process starts with.
pub mod boot_slot {
    /// Its own table.
    pub const TABLE: u32 = 4;
    /// Its own address space, with all rights.
    pub const SPACE: u32 = 5;
    /// Its own thread.
    pub const THREAD: u32 = 6;
    /// Every I/O port.
    pub const PORTS: u32 = 7;
    /// Every interrupt line.
    pub const IRQS: u32 = 8;
    /// The boot archive's pages, lent and read-only.
    pub const ARCHIVE: u32 = 9;
    /// The first of the owned Memory capabilities, largest first.
    pub const FIRST_MEMORY: u32 = 16;
    /// Slots of the table.
    pub const SLOTS: u32 = 4096;
}

#[cfg(test)]
mod tests;
