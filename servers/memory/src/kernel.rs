//! The kernel operations that memory uses, as a trait, so that all its logic runs on the host.
//!
//! Everything that memory works on lies in its vault, because that outlives the instance: the free pages themselves, the regions, the spaces of
//! the servers that it pages for, and the vaults of its buyers. So the trait speaks of vault slots, not of handles.

use abi::{Error, ObjectKind};

/// Where things lie in memory's vault: what the supervisor put there ([`protocols::memory::vault`]), and memory's own.
pub mod slot {
    pub use protocols::memory::vault::{BUYERS, PIECES, SPACES};

    /// `REGION + service`: the service's region.
    pub const REGION: u32 = protocols::memory::vault::OWN;
    /// `LENT + service`: the region with the rights that others get.
    pub const LENT: u32 = REGION + SERVICES as u32;
    /// `SAVED + service`: the region behind the service's saved state.
    pub const SAVED: u32 = LENT + SERVICES as u32;
    /// Service numbers are below this.
    pub const SERVICES: u8 = 32;
}

/// What lies in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Described {
    /// Kind of object; [`ObjectKind::Empty`] for none and for one that was revoked.
    pub kind: ObjectKind,
    /// First page of a Memory.
    pub first: u64,
    /// Pages of a Memory.
    pub pages: u64,
    /// Badge of the capability.
    pub badge: u64,
}

/// A table that capabilities move to and from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Memory's own vault.
    Own,
    /// The vault of the buyer with this service number.
    Buyer(u8),
}

/// The operations. Ranges may be done in part: each returns how many pages were.
pub trait Kernel {
    /// What lies in a slot.
    ///
    /// # Errors
    /// The kernel's, for a slot or table that does not exist.
    fn describe(&mut self, table: Table, slot: u32) -> Result<Described, Error>;
    /// Which of the 64 pages from `page` on are free.
    ///
    /// # Errors
    /// The kernel's.
    fn free_pages(&mut self, piece: u32, page: u64) -> Result<u64, Error>;
    /// Cuts the piece: its pages from `page` on move to the slot.
    ///
    /// # Errors
    /// The kernel's.
    fn split(&mut self, piece: u32, page: u64, table: Table, slot: u32) -> Result<(), Error>;
    /// Joins `next`, which begins where `piece` ends, to it.
    ///
    /// # Errors
    /// The kernel's.
    fn merge(&mut self, piece: u32, next: u32) -> Result<(), Error>;
    /// Moves a capability.
    ///
    /// # Errors
    /// The kernel's.
    fn relocate(&mut self, from: Table, from_slot: u32, to: Table, to_slot: u32) -> Result<(), Error>;
    /// Makes a region of a free page.
    ///
    /// # Errors
    /// The kernel's.
    fn make_region(&mut self, piece: u32, page: u64, slot: u32) -> Result<(), Error>;
    /// Puts a capability to `region` with fewer rights into `slot`.
    ///
    /// # Errors
    /// The kernel's.
    fn lend_region(&mut self, region: u32, slot: u32, rights: u8) -> Result<(), Error>;
    /// Gives a space a page for its tables.
    ///
    /// # Errors
    /// The kernel's.
    fn add_table(&mut self, space: u32, piece: u32, page: u64) -> Result<(), Error>;
    /// Maps free pages, zeroed, readable and writable.
    ///
    /// # Errors
    /// The kernel's.
    fn map_zeroed(&mut self, space: u32, address: u64, piece: u32, page: u64, pages: u64) -> Result<u64, Error>;
    /// Maps a free block, zeroed, readable and writable, as one 2 MiB page.
    ///
    /// # Errors
    /// The kernel's; [`Error::AlreadyMapped`] also for a place that has a table of small pages, even an empty one.
    fn map_huge(&mut self, space: u32, address: u64, piece: u32, page: u64) -> Result<(), Error>;
    /// What is mapped from `address` on: a word a page, 0 or its number shifted by 12 with [`abi::MapFlags`].
    ///
    /// # Errors
    /// The kernel's.
    fn list(&mut self, space: u32, address: u64, words: &mut [u64]) -> Result<usize, Error>;
    /// Unmaps a range.
    ///
    /// # Errors
    /// The kernel's.
    fn unmap(&mut self, space: u32, address: u64, pages: u64) -> Result<u64, Error>;
    /// Maps, readable and writable, what `source` has at `source_address`, where nothing is mapped yet.
    ///
    /// # Errors
    /// The kernel's; [`Error::MissingRight`] for a first page that is copy-on-write in the source.
    fn share(&mut self, space: u32, address: u64, source: u32, source_address: u64, pages: u64) -> Result<u64, Error>;
    /// Ends copy-on-write for a page of `space`, with the free page if a copy is due. A page that is not copy-on-write is always copied: so it moves.
    ///
    /// # Errors
    /// The kernel's.
    fn unshare(&mut self, space: u32, address: u64, piece: u32, page: u64) -> Result<(), Error>;
}

impl<K: Kernel + ?Sized> Kernel for &mut K {
    fn describe(&mut self, table: Table, slot: u32) -> Result<Described, Error> {
        (**self).describe(table, slot)
    }

    fn free_pages(&mut self, piece: u32, page: u64) -> Result<u64, Error> {
        (**self).free_pages(piece, page)
    }

    fn split(&mut self, piece: u32, page: u64, table: Table, slot: u32) -> Result<(), Error> {
        (**self).split(piece, page, table, slot)
    }

    fn merge(&mut self, piece: u32, next: u32) -> Result<(), Error> {
        (**self).merge(piece, next)
    }

    fn relocate(&mut self, from: Table, from_slot: u32, to: Table, to_slot: u32) -> Result<(), Error> {
        (**self).relocate(from, from_slot, to, to_slot)
    }

    fn make_region(&mut self, piece: u32, page: u64, slot: u32) -> Result<(), Error> {
        (**self).make_region(piece, page, slot)
    }

    fn lend_region(&mut self, region: u32, slot: u32, rights: u8) -> Result<(), Error> {
        (**self).lend_region(region, slot, rights)
    }

    fn add_table(&mut self, space: u32, piece: u32, page: u64) -> Result<(), Error> {
        (**self).add_table(space, piece, page)
    }

    fn map_zeroed(&mut self, space: u32, address: u64, piece: u32, page: u64, pages: u64) -> Result<u64, Error> {
        (**self).map_zeroed(space, address, piece, page, pages)
    }

    fn map_huge(&mut self, space: u32, address: u64, piece: u32, page: u64) -> Result<(), Error> {
        (**self).map_huge(space, address, piece, page)
    }

    fn list(&mut self, space: u32, address: u64, words: &mut [u64]) -> Result<usize, Error> {
        (**self).list(space, address, words)
    }

    fn unmap(&mut self, space: u32, address: u64, pages: u64) -> Result<u64, Error> {
        (**self).unmap(space, address, pages)
    }

    fn share(&mut self, space: u32, address: u64, source: u32, source_address: u64, pages: u64) -> Result<u64, Error> {
        (**self).share(space, address, source, source_address, pages)
    }

    fn unshare(&mut self, space: u32, address: u64, piece: u32, page: u64) -> Result<(), Error> {
        (**self).unshare(space, address, piece, page)
    }
}
