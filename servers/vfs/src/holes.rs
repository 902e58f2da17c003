//! Holes of files: filled before anything is written, made again, and looked for.

use protocols::vfs::{Error, FileId, MAX_ALLOCATED, Reply};

use crate::attempt::Attempt;
use crate::data::MAX_SIZE;
use crate::host::{Host, PAGE};
use crate::index::MAX_FILE_PAGES;
use crate::inode::{Inode, PREALLOCATED};
use crate::permission::without_privilege;
use crate::saved::Hole;

impl<H: Host> Attempt<'_, H> {
    /// [`protocols::vfs::Request::Allocate`].
    ///
    /// # Errors
    /// [`Error::Stale`], [`Error::IsDirectory`], [`Error::Invalid`], [`Error::TooLarge`], [`Error::NoSpace`].
    pub fn allocate(&mut self, file: FileId, first: u64, count: u32) -> Result<Reply, Error> {
        let (number, mut inode) = self.find_file(file)?;
        if count > MAX_ALLOCATED {
            return Err(Error::Invalid);
        }
        let end = first.saturating_add(u64::from(count));
        if end > MAX_FILE_PAGES {
            return Err(Error::TooLarge);
        }
        self.data_pages(number, first..end)?;
        for page in first..end {
            self.filled_page(number, &mut inode, page)?;
        }
        if end > inode.size.div_ceil(PAGE as u64) {
            inode.flags |= PREALLOCATED;
        }
        self.put(number, &inode)?;
        Ok(Reply::Done)
    }

    /// [`protocols::vfs::Request::Punch`]. The bytes at both ends are cleared here, whole pages are freed after the commit.
    ///
    /// # Errors
    /// [`Error::Stale`], [`Error::IsDirectory`], [`Error::Invalid`].
    pub fn punch(&mut self, file: FileId, offset: u64, length: u64, privileged: bool) -> Result<Reply, Error> {
        const BYTES: u64 = PAGE as u64;
        let (number, mut inode) = self.find_file(file)?;
        let end = offset.checked_add(length).filter(|_| length != 0).ok_or(Error::Invalid)?.min(MAX_SIZE);
        let (first, last) = (offset.div_ceil(BYTES), end / BYTES);
        if !offset.is_multiple_of(BYTES) {
            self.clear(number, &inode, offset / BYTES, (offset % BYTES) as usize..(end - offset / BYTES * BYTES).min(BYTES) as usize)?;
        }
        if !end.is_multiple_of(BYTES) && last >= first {
            self.clear(number, &inode, last, 0..(end % BYTES) as usize)?;
        }
        if first < last && inode.index != 0 {
            self.state.hole.set(self.tx, Hole { file: number, reserved: 0, first, end: last });
        }
        inode.touch(self.now);
        if !privileged {
            inode.permissions = without_privilege(inode.permissions);
        }
        self.put(number, &inode)?;
        Ok(Reply::Done)
    }

    fn clear(&mut self, number: u32, inode: &Inode, page: u64, bytes: core::ops::Range<usize>) -> Result<(), Error> {
        if let Some(data) = self.data_page(number, inode, page)? {
            self.host.page_mut(data).get_mut(bytes).ok_or(Error::Damaged)?.fill(0);
        }
        Ok(())
    }

    /// [`protocols::vfs::Request::Seek`].
    ///
    /// # Errors
    /// [`Error::Stale`], [`Error::IsDirectory`], [`Error::Invalid`].
    pub fn seek(&mut self, file: FileId, offset: u64, hole: bool) -> Result<Reply, Error> {
        let (_, inode) = self.find_file(file)?;
        if offset >= inode.size {
            return Ok(Reply::Found(None));
        }
        let from = offset / PAGE as u64;
        let found = if hole {
            let end = inode.size.div_ceil(PAGE as u64);
            let mut page = from;
            while page < end && self.state.page_of(&inode, page)?.is_some() {
                page += 1;
            }
            Some(page)
        } else {
            self.state.next_page(&inode, from)?
        };
        let place = found.map(|page| offset.max(page * PAGE as u64));
        Ok(Reply::Found(if hole { place.map(|place| place.min(inode.size)) } else { place.filter(|place| *place < inode.size) }))
    }
}
