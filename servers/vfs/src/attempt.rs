//! One attempt at one request: what every operation works with.
//!
//! An operation runs from its start to its end within one transaction. It may stop at any point with an error, [`Error::Pending`] and
//! [`Error::NeedsPage`] included: the transaction is then dropped, and the next attempt starts from the same state. So nothing an operation does
//! outside the transaction may matter unless it commits: it writes data only to pages that the transaction took, to bytes that the request overwrites anyway, or
//! beyond the end of a file.

use alloc::vec::Vec;
use core::ops::Range;

use libsys::opaque::opaque;
use libsys::saved::Transaction;
use protocols::serve::Caller;
use protocols::vfs::{Actor, Error, FileId, Kind, Time, Within};

use crate::host::{Host, PAGE, Page};
use crate::inode::Inode;
use crate::permission::{SET_GROUP, in_group};
use crate::ready::Readiness;
use crate::saved::State;

/// What an operation works with.
pub struct Attempt<'a, H> {
    /// What survives.
    pub state: &'a State,
    /// What it changes it in.
    pub tx: &'a Transaction<'a>,
    /// The machine.
    pub host: &'a mut H,
    /// Whether what it needs is there.
    pub ready: &'a mut Readiness,
    /// The present.
    pub now: Time,
    /// Index of the calling service among those that may open files.
    pub opener: usize,
    /// How many pages it may take.
    pub room: u32,
    /// After [`Error::Elsewhere`]: the part of the path that was not walked.
    pub rest: Vec<u8>,
    /// Where walks may lead.
    pub within: Within,
}

impl<H: Host> Attempt<'_, H> {
    /// A file that the caller names.
    ///
    /// # Errors
    /// [`Error::Stale`], [`Error::Pending`].
    #[inline]
    pub fn find(&mut self, file: FileId) -> Result<(u32, Inode), Error> {
        self.ready.inode(file.inode)?;
        self.state.find(file)
    }

    /// An inode that another one or an entry names.
    ///
    /// # Errors
    /// [`Error::Damaged`], [`Error::Pending`].
    #[inline]
    pub fn inode(&mut self, number: u32) -> Result<Inode, Error> {
        self.ready.inode(number)?;
        self.state.inode(number)
    }

    /// The page of the region that holds a page of a file; nothing for a hole. **The one way to a file's data**: here an attempt stops when the page is
    /// not there yet. It is looked for twice: whoever finds another page passes its bytes on, and nobody could tell.
    ///
    /// # Errors
    /// [`Error::Pending`], [`Error::Damaged`].
    ///
    /// # Panics
    /// When not the same is found.
    pub fn data_page(&mut self, number: u32, inode: &Inode, page: u64) -> Result<Option<u32>, Error> {
        self.ready.data(number, page)?;
        let found = self.state.page_of(inode, page)?;
        let again = self.state.page_of(inode, opaque(page as usize) as u64)?;
        assert!(found == again, "page {page} of file {number} lies at {found:?} and at {again:?}");
        Ok(found)
    }

    /// Asks for all pages of a range at once, before any is looked at: what is missing is fetched together and costs one attempt.
    ///
    /// # Errors
    /// [`Error::Pending`], for the first that is missing.
    pub fn data_pages(&mut self, number: u32, pages: Range<u64>) -> Result<(), Error> {
        let mut there = Ok(());
        for page in pages {
            there = there.and(self.ready.data(number, page));
        }
        there
    }

    /// As [`Self::data_page`]; a hole is filled with a page of zeros. The inode is changed, not put back.
    ///
    /// # Errors
    /// [`Error::NoSpace`], [`Error::TooLarge`], [`Error::Pending`], [`Error::Damaged`].
    pub fn filled_page(&mut self, number: u32, inode: &mut Inode, page: u64) -> Result<u32, Error> {
        if let Some(data) = self.data_page(number, inode, page)? {
            return Ok(data);
        }
        self.room = self.room.checked_sub(1).ok_or(Error::NoSpace)?;
        let data = self.state.pages.allocate(self.tx, self.host.page_count())?;
        self.host.page_mut(data).fill(0);
        self.state.put_page(self.tx, inode, page, data)?;
        Ok(data)
    }

    /// Makes the bytes between a file's end and the end of its last page zero, before the file grows over them or after it was cut: a program that
    /// shares the page may have written there.
    ///
    /// # Errors
    /// [`Error::Pending`], [`Error::Damaged`].
    pub fn clear_tail(&mut self, number: u32, inode: &Inode) -> Result<(), Error> {
        let used = (inode.size % PAGE as u64) as usize;
        if used != 0
            && let Some(data) = self.data_page(number, inode, inode.size / PAGE as u64)?
            && let Some(tail) = self.host.page_mut(data).get_mut(used..)
        {
            tail.fill(0);
        }
        Ok(())
    }

    /// Puts an inode back.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    #[inline]
    pub fn put(&self, number: u32, inode: &Inode) -> Result<(), Error> {
        self.state.put_inode(self.tx, number, inode)
    }

    /// A new file without a name. In a directory with set-group-id it gets the directory's group.
    ///
    /// # Errors
    /// [`Error::NoSpace`].
    pub fn make_inode(&mut self, directory: &Inode, actor: &Actor, kind: Kind, permissions: u16) -> Result<(u32, Inode), Error> {
        let mut inode = Inode { kind: kind as u8, permissions: permissions & 0o7777, uid: actor.uid, gid: actor.gid, ..Inode::default() };
        if directory.permissions & SET_GROUP != 0 {
            inode.gid = directory.gid;
            if kind == Kind::Directory {
                inode.permissions |= SET_GROUP;
            } else if actor.uid != 0 && !in_group(actor, inode.gid) {
                inode.permissions &= !SET_GROUP;
            }
        }
        inode.set_accessed(self.now);
        inode.touch(self.now);
        self.state.make_inode(self.tx, &inode)
    }
}

/// Where the bytes of a write come from.
pub trait Source {
    /// Copies from offset `offset` on until `to` is full.
    ///
    /// # Errors
    /// Of a caller's lease.
    fn copy(&mut self, offset: u64, to: &mut [u8]) -> Result<(), Error>;
}

/// Lease 0 of a caller.
pub struct Lent<'a>(pub &'a mut dyn Caller);

impl Source for Lent<'_> {
    fn copy(&mut self, offset: u64, to: &mut [u8]) -> Result<(), Error> {
        Ok(self.0.read(0, offset, to)?)
    }
}

/// Bytes at hand.
impl Source for &[u8] {
    fn copy(&mut self, offset: u64, to: &mut [u8]) -> Result<(), Error> {
        let start = usize::try_from(offset).map_err(|_| Error::BadLease)?;
        let from = self.get(start..).and_then(|from| from.get(..to.len())).ok_or(Error::BadLease)?;
        to.copy_from_slice(from);
        Ok(())
    }
}

/// What holes read as.
pub static ZEROS: Page = [0; PAGE];
