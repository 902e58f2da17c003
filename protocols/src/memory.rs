//! Buying memory, and the regions that survive their owner's instances.
//!
//! Memory's page tables are the truth, so each request here is idempotent: the slot that a purchase fills, or empties when it is given back, is
//! its own duplicate check. A capability to owned memory never travels in a message; it is moved into or out of the buyer's vault, in
//! the slot that the request names.
//!
//! A region is named by its service; offset `n` of it is address `n` of its AddressSpace. Absent on purpose: page faults. They reach memory as
//! fault messages of the kernel, not as requests.

use serde::{Deserialize, Serialize};

use crate::call::{self, CallError, Carrier};
use crate::serve::{self, Answer, Caller};
use crate::service::Badge;
use abi::RequestNumber;

/// Where the supervisor puts things into memory's vault.
pub mod vault {
    /// Owned Memory, at the first boot.
    pub const PIECES: core::ops::Range<u32> = 4..64;
    /// `SPACES + service`: the address space of the service's current instance, under its number as badge; before the instance starts.
    pub const SPACES: u32 = 64;
    /// `BUYERS + service`: the vault of a service that may buy memory, at the first boot.
    pub const BUYERS: u32 = 96;
    /// First slot that is memory's own.
    pub const OWN: u32 = 128;
}

/// A request to memory. Append only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Moves owned Memory of exactly `pages` contiguous pages into `slot` of the caller's vault. A filled slot was filled by this request before.
    /// For services that the manifest gives a quota. Idempotent.
    Buy {
        /// How many pages.
        pages: u32,
        /// Slot of the caller's vault.
        slot: u32,
    },
    /// Takes the owned Memory in `slot` of the caller's vault back. Its pages are given out again when nothing maps them any more. An empty slot was
    /// emptied by this request before. Idempotent.
    Return {
        /// Slot of the caller's vault.
        slot: u32,
    },
    /// The reply carries a capability (SHARE, CLONE, LIST) to the AddressSpace that is `service`'s region. Idempotent.
    Region {
        /// The service's number.
        service: u8,
    },
    /// Pages of the caller's own region become unmapped: they read as zero again. Idempotent.
    Discard {
        /// First page, counted from the start of the region.
        offset_pages: u32,
        /// How many pages.
        pages: u32,
    },
    /// Totals. Idempotent.
    Usage,
    /// From now on faults in each whole 2 MiB of this range of the caller's window bring a page of that size, where nothing lies yet and memory has one. No
    /// pages: not any more, for the range that begins there. A range of the heap is forgotten with the instance. Idempotent.
    Huge {
        /// Which window.
        window: Window,
        /// First page within it.
        offset_pages: u32,
        /// How many pages.
        pages: u32,
    },
    /// Moves pages of regions out of the way of one more 2 MiB page, if that can be done: a bounded step of work, so who wants more asks again. Idempotent.
    Compact,
    /// What one service has. Idempotent.
    ServiceUsage {
        /// The service's number.
        service: u8,
    },
}

/// A window of a native server's address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Window {
    /// The instance's heap.
    Heap,
    /// The service's region.
    Region,
}

/// A reply of memory. Append only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// It was done.
    Done,
    /// The region's capability is in the message.
    Region,
    /// Totals.
    Usage(Usage),
    /// How many 2 MiB pages could be made of free memory now.
    Whole(u64),
    /// What one service has.
    ServiceUsage(ServiceUsage),
}

/// What a service has, in pages, and what it may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceUsage {
    /// In the heap of its instance, and its quota for that.
    pub heap: (u64, u64),
    /// In its saved state, likewise.
    pub saved: (u64, u64),
    /// In its region, likewise.
    pub region: (u64, u64),
    /// Bought for its vault.
    pub bought: u64,
    /// How often this instance of memory had nothing for it.
    pub refused: u64,
}

/// Totals in pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// All pages that memory was ever given, those sold included.
    pub total: u64,
    /// Pages that nothing uses.
    pub free: u64,
    /// Pages that were sold.
    pub sold: u64,
}

/// Why memory refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Error {
    /// The message is not a request.
    Malformed,
    /// The caller is not declared for this.
    NotAllowed,
    /// Not enough contiguous free pages.
    OutOfMemory,
    /// The slot cannot hold this, or holds something else than owned Memory.
    InvalidSlot,
    /// The range is empty or leaves the region.
    InvalidRange,
    /// Memory is in too many pieces to take another.
    TooFragmented,
    /// There is no such service or it has no region.
    NoRegion,
    /// 2 MiB pages are wanted in too many ranges.
    TooManyRanges,
    /// The caller would hold more bought memory than the manifest allows it.
    QuotaExceeded,
}

/// Calls memory.
#[derive(Debug)]
pub struct Client<C>(pub C);

impl<C: Carrier> Client<C> {
    fn done(&mut self, number: RequestNumber, request: Request) -> Result<(), CallError<Error>> {
        match call::call(&mut self.0, number, &request, &[], &[])? {
            Reply::Done => Ok(()),
            _ => Err(CallError::Malformed),
        }
    }

    /// Buys `pages` contiguous pages into `slot` of the own vault.
    ///
    /// # Errors
    /// [`Error::NotAllowed`], [`Error::OutOfMemory`], [`Error::QuotaExceeded`], [`Error::InvalidSlot`].
    pub fn buy(&mut self, number: RequestNumber, pages: u32, slot: u32) -> Result<(), CallError<Error>> {
        self.done(number, Request::Buy { pages, slot })
    }

    /// Gives the memory in `slot` of the own vault back.
    ///
    /// # Errors
    /// [`Error::NotAllowed`], [`Error::InvalidSlot`], [`Error::TooFragmented`].
    pub fn give_back(&mut self, number: RequestNumber, slot: u32) -> Result<(), CallError<Error>> {
        self.done(number, Request::Return { slot })
    }

    /// Asks for the region of `service`; its capability lies in the first receive slot.
    ///
    /// # Errors
    /// [`Error::NoRegion`], [`Error::OutOfMemory`].
    pub fn region(&mut self, number: RequestNumber, service: u8) -> Result<(), CallError<Error>> {
        match call::call(&mut self.0, number, &Request::Region { service }, &[], &[])? {
            Reply::Region => Ok(()),
            _ => Err(CallError::Malformed),
        }
    }

    /// Drops pages of the own region.
    ///
    /// # Errors
    /// [`Error::NoRegion`], [`Error::InvalidRange`].
    pub fn discard(&mut self, number: RequestNumber, offset_pages: u32, pages: u32) -> Result<(), CallError<Error>> {
        self.done(number, Request::Discard { offset_pages, pages })
    }

    /// Asks for the totals.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn usage(&mut self, number: RequestNumber) -> Result<Usage, CallError<Error>> {
        match call::call(&mut self.0, number, &Request::Usage, &[], &[])? {
            Reply::Usage(usage) => Ok(usage),
            _ => Err(CallError::Malformed),
        }
    }

    /// Asks for 2 MiB pages in a range of an own window. How many there could be now.
    ///
    /// # Errors
    /// [`Error::InvalidRange`], [`Error::TooManyRanges`], [`Error::NotAllowed`] for a window that the service has not.
    pub fn huge(&mut self, number: RequestNumber, window: Window, offset_pages: u32, pages: u32) -> Result<u64, CallError<Error>> {
        self.whole(number, Request::Huge { window, offset_pages, pages })
    }

    /// Makes room for one more 2 MiB page, if that can be done. How many there could be now.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn compact(&mut self, number: RequestNumber) -> Result<u64, CallError<Error>> {
        self.whole(number, Request::Compact)
    }

    fn whole(&mut self, number: RequestNumber, request: Request) -> Result<u64, CallError<Error>> {
        match call::call(&mut self.0, number, &request, &[], &[])? {
            Reply::Whole(whole) => Ok(whole),
            _ => Err(CallError::Malformed),
        }
    }

    /// Asks what one service has.
    ///
    /// # Errors
    /// [`Error::NotAllowed`] for a service that memory does not page for.
    pub fn service_usage(&mut self, number: RequestNumber, service: u8) -> Result<ServiceUsage, CallError<Error>> {
        match call::call(&mut self.0, number, &Request::ServiceUsage { service }, &[], &[])? {
            Reply::ServiceUsage(usage) => Ok(usage),
            _ => Err(CallError::Malformed),
        }
    }
}

/// Memory's side. `from` is the badge of the caller.
pub trait Service {
    /// See [`Request::Buy`].
    ///
    /// # Errors
    /// As [`Client::buy`].
    fn buy(&mut self, from: Badge, pages: u32, slot: u32) -> Result<(), Error>;

    /// See [`Request::Return`].
    ///
    /// # Errors
    /// As [`Client::give_back`].
    fn give_back(&mut self, from: Badge, slot: u32) -> Result<(), Error>;

    /// See [`Request::Region`]. Returns the handle whose capability is copied to the caller.
    ///
    /// # Errors
    /// As [`Client::region`].
    fn region(&mut self, from: Badge, service: u8) -> Result<u32, Error>;

    /// See [`Request::Discard`].
    ///
    /// # Errors
    /// As [`Client::discard`].
    fn discard(&mut self, from: Badge, offset_pages: u32, pages: u32) -> Result<(), Error>;

    /// See [`Request::Usage`].
    fn usage(&mut self) -> Usage;

    /// See [`Request::Huge`].
    ///
    /// # Errors
    /// As [`Client::huge`].
    fn huge(&mut self, from: Badge, window: Window, offset_pages: u32, pages: u32) -> Result<u64, Error>;

    /// See [`Request::Compact`].
    fn compact(&mut self) -> u64;

    /// See [`Request::ServiceUsage`].
    ///
    /// # Errors
    /// As [`Client::service_usage`].
    fn service_usage(&mut self, service: u8) -> Result<ServiceUsage, Error>;
}

/// Answers one request.
pub fn serve(service: &mut (impl Service + ?Sized), caller: &mut dyn Caller, request: &[u8], reply: &mut [u8]) -> Answer {
    let from = Badge::from_word(caller.badge());
    let mut capability = None;
    let answer = serve::dispatch(request, reply, Error::Malformed, |request: &Request| match *request {
        Request::Buy { pages, slot } => service.buy(from, pages, slot).map(|()| Reply::Done),
        Request::Return { slot } => service.give_back(from, slot).map(|()| Reply::Done),
        Request::Region { service: id } => service.region(from, id).map(|handle| {
            capability = Some(handle);
            Reply::Region
        }),
        Request::Discard { offset_pages, pages } => service.discard(from, offset_pages, pages).map(|()| Reply::Done),
        Request::Usage => Ok(Reply::Usage(service.usage())),
        Request::Huge { window, offset_pages, pages } => service.huge(from, window, offset_pages, pages).map(Reply::Whole),
        Request::Compact => Ok(Reply::Whole(service.compact())),
        Request::ServiceUsage { service: id } => service.service_usage(id).map(Reply::ServiceUsage),
    });
    match capability {
        Some(handle) => answer.with_cap(handle),
        None => answer,
    }
}
