//! What vfs needs from the machine: pages, the time, a way to say that something is ready.
//!
//! The logic knows the machine only through [`Host`], so that tests run it over plain vectors and a clock of their own.

use protocols::vfs::Time;

/// Bytes of a page.
pub const PAGE: usize = abi::PAGE_SIZE as usize;

/// The bytes of one page.
pub type Page = [u8; PAGE];

/// The machine under vfs.
pub trait Host {
    /// How many pages there are for data.
    fn page_count(&self) -> u32;

    /// How many pages may be taken now without using up the memory that others need, at most `wanted`. Asked before a transaction, because the answer may
    /// take a call.
    fn room(&mut self, wanted: u32) -> u32;

    /// One of them, to be read. One that was never taken is never asked for.
    fn page(&mut self, page: u32) -> &Page;

    /// One of them, to be written. Asked for only then: a page that programs share copy-on-write is copied for it.
    fn page_mut(&mut self, page: u32) -> &mut Page;

    /// Gives the memory behind pages that hold nothing back to the system; they read as zeros from then on. Whoever still shares one keeps the old
    /// memory to itself. `false`: it could not be done now.
    fn discard(&mut self, first: u32, count: u32) -> bool;

    /// The present.
    fn now(&self) -> Time;

    /// Tells a service to ask again what was answered with `Pending`.
    fn signal_ready(&mut self, service: u8);
}
