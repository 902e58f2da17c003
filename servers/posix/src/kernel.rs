//! The seam between posix and everything below it: kernel operations, the clock, and the way to the other servers.
//!
//! All logic is written against [`Kernel`], so that it runs on the host over a fake machine; `native.rs` is the thin other side. Handles are vault
//! slots unless said otherwise, ranges are in pages and loop in the caller: each operation returns how many pages it did.

use abi::{Error, Frame, Lease, ObjectKind, ReplyKind, RequestNumber, ThreadSetting};
use protocols::call::Carrier;
use protocols::service::Service;

use crate::saved::Lane;

/// What a stopped thread was doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Was {
    /// Stopped already.
    Stopped,
    /// Running its own code.
    Running,
    /// In a call or a fault, which is given up and done again when it is started.
    Calling,
}

/// What a thread does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// Stopped.
    Stopped,
    /// Running its own code, or could.
    Running,
    /// Its call or fault waits to be received, or for an answer.
    Calling,
}

/// Ticks of a thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ticks {
    /// In its own code.
    pub user: u64,
    /// Servers on its behalf.
    pub system: u64,
    /// System calls that it made.
    pub calls: u64,
}

/// Why bytes were not copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyFault {
    /// This page must be made ready first.
    NeedsPage {
        /// Address in the space.
        address: u64,
        /// For writing.
        write: bool,
    },
    /// Cannot be done at all.
    Refused(Error),
}

/// A source of pages: a page of the bought memory in a vault slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// Vault slot of the chunk.
    pub chunk: u32,
    /// Page in it.
    pub page: u64,
    /// How many.
    pub pages: u64,
}

/// What the processor offers to programs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Processor {
    /// Its time-stamp counter runs at one rate, whatever the processor does.
    pub counts_steadily: bool,
    /// `RDTSCP` tells which processor it is.
    pub names_itself: bool,
}

/// What an area's pages may be shared from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The AddressSpace in a vault slot.
    Space(u32),
    /// The page cache of vfs.
    PageCache,
}

/// See the module.
pub trait Kernel {
    /// Whether a vault slot holds a valid capability, and of how many pages if it is Memory.
    fn describe(&mut self, slot: u32) -> Option<(ObjectKind, u64)>;
    /// Empties a vault slot (not one of owned memory).
    fn delete(&mut self, slot: u32);
    /// Bit `i` says whether page `page + i` of a chunk is free.
    fn free_pages(&mut self, chunk: u32, page: u64) -> Result<u64, Error>;
    /// Makes a kernel object of a page.
    fn retype(&mut self, source: Source, kind: ObjectKind, slot: u32) -> Result<(), Error>;
    /// Destroys what lies in a page; it is memory again.
    fn reclaim(&mut self, source: Source) -> Result<(), Error>;

    /// Maps pages.
    fn map(&mut self, space: u32, address: u64, source: Source, flags: u64) -> Result<u64, Error>;
    /// Unmaps.
    fn unmap(&mut self, space: u32, address: u64, pages: u64) -> Result<u64, Error>;
    /// Changes protection.
    fn protect(&mut self, space: u32, address: u64, pages: u64, flags: u64) -> Result<u64, Error>;
    /// Maps another space's pages.
    fn share(&mut self, space: u32, address: u64, origin: Origin, from: u64, pages: u64, flags: u64) -> Result<u64, Error>;
    /// The same, copy-on-write.
    fn clone_pages(&mut self, space: u32, address: u64, from_space: u32, from: u64, pages: u64, flags: u64) -> Result<u64, Error>;
    /// Ends copy-on-write of one page; whether the source's page was used.
    fn unshare(&mut self, space: u32, address: u64, source: Source) -> Result<bool, Error>;
    /// What is mapped: a word a page, as [`abi::Operation::List`].
    fn list(&mut self, space: u32, address: u64, pages: &mut [u64]) -> Result<usize, Error>;
    /// Gives a space pages for its tables.
    fn add_tables(&mut self, space: u32, source: Source) -> Result<(), Error>;
    /// Makes this server the pager of a space.
    fn set_pager(&mut self, space: u32) -> Result<(), Error>;
    /// One step of taking a space apart; whether more is left.
    fn dismantle(&mut self, space: u32) -> Result<bool, Error>;
    /// Copies from a space; how many bytes.
    fn copy_from(&mut self, space: u32, address: u64, to: &mut [u8]) -> Result<usize, CopyFault>;
    /// Copies to a space; how many bytes.
    fn copy_to(&mut self, space: u32, address: u64, from: &[u8]) -> Result<usize, CopyFault>;
    /// Copies to a space from the page cache of vfs; how many bytes. [`Error::LocalFault`]: that has no page there.
    fn copy_cached(&mut self, space: u32, address: u64, from: u64, bytes: usize) -> Result<usize, CopyFault>;
    /// Copies to a space from another one; how many bytes. [`Error::LocalFault`]: a page of the other one is missing.
    fn copy_across(&mut self, space: u32, address: u64, source: u32, from: u64, bytes: usize) -> Result<usize, CopyFault>;
    /// Replaces a word of a space if it is the expected one, in one step for whoever else uses it; the word that was there.
    fn exchange(&mut self, space: u32, address: u64, expected: u32, new: u32) -> Result<u32, CopyFault>;

    /// Sets up a fresh thread for a lane: reflected, with FPU, faults and calls come here under the lane's badge.
    fn thread_init(&mut self, thread: u32, lane: Lane) -> Result<(), Error>;
    /// One setting of a thread.
    fn thread_configure(&mut self, thread: u32, setting: ThreadSetting, value: u64) -> Result<(), Error>;
    /// Sets the space of a stopped thread.
    fn thread_space(&mut self, thread: u32, space: u32) -> Result<(), Error>;
    /// Makes it runnable.
    fn thread_start(&mut self, thread: u32) -> Result<(), Error>;
    /// Stops it.
    fn thread_stop(&mut self, thread: u32) -> Result<Was, Error>;
    /// Its registers, while it is stopped or waits for an answer.
    fn get_frame(&mut self, thread: u32) -> Result<Frame, Error>;
    /// Sets them.
    fn set_frame(&mut self, thread: u32, frame: &Frame) -> Result<(), Error>;
    /// Its ticks and what it does.
    fn thread_state(&mut self, thread: u32) -> Result<(Ticks, Doing), Error>;

    /// Answers the call, fault or exception that a lane waits in, by the Reply in an own slot; one that is gone is no error.
    fn reply(&mut self, lane: Lane, slot: u32, kind: ReplyKind, value: u64);

    /// What is done from here on is done for the lane whose Reply was kept in an own slot: it is to blame if we die of it.
    fn take_up(&mut self, slot: u32);

    /// Ends this instance if its own code is not what it was when it began: see [`libsys::text`]. Where there is no code of its own there is nothing to look at.
    fn check_code(&self) {}

    /// Nanoseconds since the machine started.
    fn now_ns(&mut self) -> u64;
    /// Unix time in nanoseconds at the start of the machine.
    fn wall_base_ns(&mut self) -> u64;
    /// Ticks of [`Ticks`] in a second.
    fn ticks_per_second(&self) -> u64;
    /// What the processor offers to programs.
    fn processor(&self) -> Processor;
    /// How many processors there are for programs.
    fn processors(&self) -> usize {
        1
    }
    /// A leaf of CPUID, its first subleaf: EAX, EBX, ECX, EDX.
    fn cpuid(&self, leaf: u32) -> [u32; 4];
    /// Asks for a notification when [`Kernel::now_ns`] has passed `at_ns`, or for none.
    fn set_deadline(&mut self, at_ns: Option<u64>);
    /// Some bits that are hard to foresee.
    fn entropy(&mut self) -> u64;
    /// A word of the processor's random number generator, if it has one.
    fn hardware_random(&mut self) -> Option<u64>;
    /// A line for the system's log.
    fn log(&mut self, line: &str);

    /// One attempt to call another server.
    fn attempt(&mut self, service: Service, number: RequestNumber, message: &[u8], leases: &[Lease], reply: &mut [u8]) -> Result<usize, Error>;
    /// A number for a call that belongs to no request.
    fn own_number(&mut self) -> RequestNumber;
    /// Lends bytes for a call: a server may read them.
    fn lend(&mut self, bytes: &[u8]) -> Lease;
    /// Lends a buffer for a call: a server may fill it.
    fn lend_mut(&mut self, bytes: &mut [u8]) -> Lease;
    /// Asks memory for `pages` contiguous pages in a vault slot; whether they are there.
    fn buy(&mut self, pages: u32, slot: u32) -> bool;
    /// Gives the memory in a vault slot back; whether memory has it.
    fn give_back(&mut self, slot: u32) -> bool;
}

/// Carries messages to one service.
pub struct Port<'a> {
    /// Through whom.
    pub kernel: &'a mut dyn Kernel,
    /// To whom.
    pub service: Service,
}

impl Carrier for Port<'_> {
    fn attempt(&mut self, number: RequestNumber, message: &[u8], leases: &[Lease], _caps: &[u32], reply: &mut [u8]) -> Result<usize, Error> {
        self.kernel.attempt(self.service, number, message, leases, reply)
    }
}
