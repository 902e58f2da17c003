//! What survives the death of an instance: all of the tree. The data pages lie in the region, which survives too.
//!
//! The structure is fixed and sparse: memory of zeros is a file system without a root, and what was never used takes no memory. Slot 0 of each array is
//! never used, so that 0 means none in every link. Only these types change when the layout does; the area then refuses the old state.

use libsys::lane::Lanes;
use libsys::saved::{Array, Cell, Plain, Transaction};
use protocols::vfs::Error;

use crate::directory::Entry;
use crate::index::WAYS;
use crate::inode::Inode;
use crate::pages::PageMap;
use crate::pool::Pool;
use crate::text::Chunk;

/// Slots for files; one less is the limit.
pub const INODES: usize = 16_384;
/// Slots for directory entries: with hard links there are more names than files.
pub const ENTRIES: usize = 24_576;
/// Buckets of the hash table of names.
pub const BUCKETS: usize = 16_384;
/// Slots for pieces of names and of what symbolic links say.
pub const CHUNKS: usize = 65_536;
/// Slots for nodes of page indexes.
pub const NODES: usize = 16_384;
/// Kept results of numbered requests: for 512 threads of Linux programs, 32 steps each.
pub const RESULTS: usize = 16_384;

libsys::plain! {
    /// Pages of a file that are to become a hole.
    pub struct Hole {
        /// The file; 0 for none.
        pub file: u32,
        /// No padding is left to chance.
        pub reserved: u32,
        /// The next page to look at.
        pub first: u64,
        /// The page behind the last one.
        pub end: u64,
    }
}

libsys::saved_state! {
    /// All of it.
    pub struct State: 2 {
        /// 1 when the root file system was unpacked.
        pub unpacked: Cell<u32>,
        /// A file whose pages beyond its end are to be freed.
        pub cut: Cell<u32>,
        /// A range of a file whose pages are to be freed.
        pub hole: Cell<Hole>,
        /// The first of the files that have neither names nor opens and are to be freed.
        pub doomed: Cell<u32>,
        /// Which inodes are free.
        pub inode_pool: Pool,
        /// Which entries are free.
        pub entry_pool: Pool,
        /// Which chunks are free.
        pub chunk_pool: Pool,
        /// Which nodes are free.
        pub node_pool: Pool,
        /// Which pages are free.
        pub pages: PageMap,
        /// What was done for whom.
        pub results: Lanes<RESULTS>,
        /// Files.
        pub inodes: Array<Inode, INODES>,
        /// Names.
        pub entries: Array<Entry, ENTRIES>,
        /// First entries of the hash table's chains.
        pub buckets: Array<u32, BUCKETS>,
        /// Pieces of text.
        pub chunks: Array<Chunk, CHUNKS>,
        /// Slots of the nodes of page indexes, [`WAYS`] each.
        pub slots: Array<u32, { NODES * WAYS }>,
    }
}

/// Access to a saved array by a number that may be damaged.
pub trait Slots<T> {
    /// The value of a slot.
    ///
    /// # Errors
    /// [`Error::Damaged`] for a slot that is none.
    fn get_checked(&self, slot: u32) -> Result<T, Error>;

    /// Sets the value of a slot.
    ///
    /// # Errors
    /// [`Error::Damaged`] for a slot that is none.
    fn set_checked(&self, tx: &Transaction<'_>, slot: u32, value: T) -> Result<(), Error>;
}

impl<T: Plain, const N: usize> Slots<T> for Array<T, N> {
    fn get_checked(&self, slot: u32) -> Result<T, Error> {
        self.get(slot as usize).map(Cell::get).ok_or(Error::Damaged)
    }

    fn set_checked(&self, tx: &Transaction<'_>, slot: u32, value: T) -> Result<(), Error> {
        self.get(slot as usize).map(|cell| cell.set(tx, value)).ok_or(Error::Damaged)
    }
}
