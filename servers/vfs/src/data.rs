//! The bytes of files: reading, writing, setting the length, and giving whole pages to be shared.

use core::ops::Range;

use protocols::serve::Caller;
use protocols::vfs::{Actor, At, Error, FileId, Kind, MAX_MAPPED, MAX_TRANSFER, Pages, Reply, Request, WriteAt};

use crate::attempt::{Attempt, Source, ZEROS};
use crate::host::{Host, PAGE};
use crate::index::MAX_FILE_PAGES;
use crate::inode::Inode;
use crate::permission::{WRITE, require, without_privilege};

/// Most bytes of a file.
pub const MAX_SIZE: u64 = MAX_FILE_PAGES * PAGE as u64;
/// Seconds after which a read updates the time of the last read in any case (Linux: `relatime`).
const DAY: i64 = 24 * 60 * 60;

/// Most pages that a request can take.
#[must_use]
pub fn pages_wanted(request: &Request<'_>) -> u32 {
    match request {
        // One more at each end, for bytes that are not whole pages.
        Request::Write { length, .. } => length.min(&MAX_TRANSFER).div_ceil(PAGE as u32) + 2,
        Request::MapPages { count, write: true, .. } => u32::from(*count),
        Request::Allocate { count, .. } => *count,
        _ => 0,
    }
}

/// A part of a transfer: within one page.
struct Piece {
    /// Page of the file.
    page: u64,
    /// Where in the page.
    start: usize,
    /// How many bytes.
    length: usize,
}

fn piece(offset: u64, left: u64) -> Piece {
    let start = (offset % PAGE as u64) as usize;
    let length = usize::try_from(left).unwrap_or(PAGE).min(PAGE - start);
    Piece { page: offset / PAGE as u64, start, length }
}

impl<H: Host> Attempt<'_, H> {
    /// A regular file that the caller names.
    ///
    /// # Errors
    /// [`Error::Stale`], [`Error::IsDirectory`], [`Error::Invalid`].
    pub fn find_file(&mut self, file: FileId) -> Result<(u32, Inode), Error> {
        let (number, inode) = self.find(file)?;
        match inode.kind()? {
            Kind::File => Ok((number, inode)),
            Kind::Directory => Err(Error::IsDirectory),
            _ => Err(Error::Invalid),
        }
    }

    /// [`protocols::vfs::Request::Read`].
    ///
    /// # Errors
    /// [`Error::Stale`], [`Error::IsDirectory`], [`Error::Invalid`]; of the lease, when no byte was copied.
    pub fn read(&mut self, caller: &mut dyn Caller, file: FileId, offset: u64, length: u32) -> Result<Reply, Error> {
        let (number, mut inode) = self.find_file(file)?;
        let wanted = u64::from(length.min(MAX_TRANSFER)).min(inode.size.saturating_sub(offset));
        let mut done = 0;
        while done < wanted {
            match self.read_piece(caller, number, &inode, offset + done, done, wanted - done) {
                Ok(length) => done += length,
                // A program's read of a file is not cut short (POSIX, `read`): what was copied is copied again.
                Err(error @ Error::Pending(_)) => return Err(error),
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        if length != 0 && self.is_stale(&inode) {
            inode.set_accessed(self.now);
            self.put(number, &inode)?;
        }
        Ok(Reply::Count(done as u32))
    }

    fn read_piece(&mut self, caller: &mut dyn Caller, number: u32, inode: &Inode, offset: u64, done: u64, left: u64) -> Result<u64, Error> {
        let Piece { page, start, length } = piece(offset, left);
        let bytes = match self.data_page(number, inode, page)? {
            Some(data) => self.host.page(data),
            None => &ZEROS,
        };
        caller.write(0, done, bytes.get(start..start + length).ok_or(Error::Damaged)?)?;
        Ok(length as u64)
    }

    /// Whether a read updates the time of the last read.
    pub const fn is_stale(&self, inode: &Inode) -> bool {
        inode.accessed_seconds <= inode.modified_seconds
            || inode.accessed_seconds <= inode.changed_seconds
            || self.now.seconds - inode.accessed_seconds >= DAY
    }

    /// [`protocols::vfs::Request::Write`].
    ///
    /// # Errors
    /// [`Error::Stale`], [`Error::IsDirectory`], [`Error::Invalid`], [`Error::NoSpace`], [`Error::TooLarge`]; of the lease.
    pub fn write(&mut self, source: &mut dyn Source, file: FileId, at: WriteAt, length: u32, privileged: bool) -> Result<Reply, Error> {
        let (number, mut inode) = self.find_file(file)?;
        let offset = match at {
            WriteAt::Offset(offset) => offset,
            WriteAt::End => inode.size,
        };
        let length = u64::from(length.min(MAX_TRANSFER)).min(MAX_SIZE.saturating_sub(offset));
        if length == 0 {
            return if offset >= MAX_SIZE { Err(Error::TooLarge) } else { Ok(Reply::Written { count: 0, end: offset }) };
        }
        if offset + length > inode.size {
            self.clear_tail(number, &inode)?;
        }
        let length = self.write_pieces(source, number, &mut inode, offset, length)?;
        inode.size = inode.size.max(offset + length);
        inode.touch(self.now);
        if !privileged {
            inode.permissions = without_privilege(inode.permissions);
        }
        self.put(number, &inode)?;
        Ok(Reply::Written { count: length as u32, end: offset + length })
    }

    /// Copies all, or as much as there is room for.
    fn write_pieces(&mut self, source: &mut dyn Source, number: u32, inode: &mut Inode, offset: u64, length: u64) -> Result<u64, Error> {
        let mut done = 0;
        while done < length {
            let Piece { page, start, length } = piece(offset + done, length - done);
            if done > 0 && self.is_full() && self.data_page(number, inode, page)?.is_none() {
                return Ok(done);
            }
            let data = self.filled_page(number, inode, page)?;
            source.copy(done, self.host.page_mut(data).get_mut(start..start + length).ok_or(Error::Damaged)?)?;
            done += length as u64;
        }
        Ok(done)
    }

    fn is_full(&self) -> bool {
        self.room == 0 || self.state.pages.used_count() >= self.host.page_count()
    }

    /// [`protocols::vfs::Request::Truncate`].
    ///
    /// # Errors
    /// As the manual page of `truncate` says.
    pub fn truncate(&mut self, at: &At<'_>, actor: &Actor, size: u64) -> Result<Reply, Error> {
        let (number, mut inode) = self.walk_to_file(at, actor)?;
        match inode.kind()? {
            Kind::File => {}
            Kind::Directory => return Err(Error::IsDirectory),
            _ => return Err(Error::Invalid),
        }
        if !at.path.is_empty() {
            require(&inode, actor, WRITE)?;
        }
        if actor.uid != 0 {
            inode.permissions = without_privilege(inode.permissions);
        }
        self.set_size(number, &mut inode, size)?;
        self.put(number, &inode)?;
        Ok(Reply::Done)
    }

    /// Sets the length; pages that are too many are freed after the commit. The inode is changed, not put back.
    ///
    /// # Errors
    /// [`Error::TooLarge`].
    pub fn set_size(&mut self, number: u32, inode: &mut Inode, size: u64) -> Result<(), Error> {
        if size > MAX_SIZE {
            return Err(Error::TooLarge);
        }
        if size > inode.size {
            self.clear_tail(number, inode)?;
        } else if inode.index != 0 {
            self.state.cut.set(self.tx, number);
        }
        inode.size = size;
        inode.touch(self.now);
        Ok(())
    }

    /// [`protocols::vfs::Request::Locate`].
    ///
    /// # Errors
    /// [`Error::Stale`], [`Error::IsDirectory`], [`Error::Invalid`].
    pub fn locate(&mut self, file: FileId, first: u64, count: u8) -> Result<Reply, Error> {
        let (number, inode) = self.find_file(file)?;
        let mut pages = Pages::default();
        for page in pages_asked_for(&inode, first, count)? {
            if !pages.push(self.data_page(number, &inode, page)?) {
                return Err(Error::Invalid);
            }
        }
        Ok(Reply::Located { size: inode.size, pages })
    }

    /// [`protocols::vfs::Request::MapPages`].
    ///
    /// # Errors
    /// [`Error::Stale`], [`Error::IsDirectory`], [`Error::Invalid`], [`Error::NoSpace`].
    pub fn map_pages(&mut self, file: FileId, first: u64, count: u8, write: bool) -> Result<Reply, Error> {
        let (number, mut inode) = self.find_file(file)?;
        let mut pages = Pages::default();
        for page in pages_asked_for(&inode, first, count)? {
            let data = if write { Some(self.filled_page(number, &mut inode, page)?) } else { self.data_page(number, &inode, page)? };
            if let Some(data) = data {
                self.state.pages.lend(self.tx, data);
            }
            if !pages.push(data) {
                return Err(Error::Invalid);
            }
        }
        if write && !pages.is_empty() {
            inode.touch(self.now);
            self.put(number, &inode)?;
        }
        Ok(Reply::Mapped(pages))
    }
}

/// Pages of a file from the first one asked for to its end.
fn pages_asked_for(inode: &Inode, first: u64, count: u8) -> Result<Range<u64>, Error> {
    if count == 0 || usize::from(count) > MAX_MAPPED {
        return Err(Error::Invalid);
    }
    Ok(first..first.saturating_add(u64::from(count)).min(inode.size.div_ceil(PAGE as u64)))
}
