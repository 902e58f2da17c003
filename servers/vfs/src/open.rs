//! Opening and closing: what keeps a file alive after its last name is gone.

use alloc::vec::Vec;

use abi::RequestNumber;
use protocols::vfs::{Actor, At, Error, FileId, Kind, OpenFlags, Opened, Reply, Within};
use protocols::wire;

use crate::attempt::Attempt;
use crate::host::Host;
use crate::inode::{FIRST_OPENER, Inode, LINKABLE, OPENERS};
use crate::permission::{EXECUTE, READ, WRITE, require};
use crate::walk::{Last, Mode, Place};

/// Index of a service among those that may open files.
///
/// # Errors
/// [`Error::NotServed`].
pub fn opener(service: u8) -> Result<usize, Error> {
    service.checked_sub(FIRST_OPENER).map(usize::from).filter(|index| *index < OPENERS).ok_or(Error::NotServed)
}

impl<H: Host> Attempt<'_, H> {
    /// [`protocols::vfs::Request::Open`].
    ///
    /// # Errors
    /// As the manual page of `open` says.
    pub fn open(&mut self, at: &At<'_>, actor: &Actor, flags: OpenFlags, permissions: u16) -> Result<Reply, Error> {
        let create = flags.contains(OpenFlags::CREATE);
        let exclusive = create && flags.contains(OpenFlags::EXCLUSIVE);
        if flags.contains(OpenFlags::TEMPORARY) {
            return self.open_temporary(at, actor, flags, permissions);
        }
        if create && flags.contains(OpenFlags::DIRECTORY) {
            return Err(Error::Invalid);
        }
        let mode = match (exclusive, at.follow) {
            (true, _) => Mode::Name,
            (false, true) => Mode::Follow,
            (false, false) => Mode::Keep,
        };
        let place = self.walk(at, actor, mode)?;
        let opened = if place.found == 0 {
            if !create {
                return Err(Error::NotFound);
            }
            self.create(&place, actor, permissions)?
        } else if exclusive {
            return Err(Error::Exists);
        } else {
            self.open_existing(&place, actor, flags)?
        };
        Ok(Reply::Opened(opened))
    }

    /// [`protocols::vfs::Request::OpenWithin`].
    ///
    /// # Errors
    /// As the manual page of `openat2` says.
    pub fn open_within(&mut self, at: &At<'_>, actor: &Actor, flags: OpenFlags, permissions: u16, within: Within) -> Result<Reply, Error> {
        self.within = within;
        self.open(at, actor, flags, permissions)
    }

    /// A file without a name: it is gone at its last close, unless it was linked.
    fn open_temporary(&mut self, at: &At<'_>, actor: &Actor, flags: OpenFlags, permissions: u16) -> Result<Reply, Error> {
        if !flags.contains(OpenFlags::WRITE) {
            return Err(Error::Invalid);
        }
        let (_, directory) = self.walk_to_file(at, actor)?;
        if !directory.is(Kind::Directory) {
            return Err(Error::NotDirectory);
        }
        require(&directory, actor, WRITE | EXECUTE)?;
        let (number, mut inode) = self.make_inode(&directory, actor, Kind::File, permissions)?;
        if !flags.contains(OpenFlags::EXCLUSIVE) {
            inode.flags |= LINKABLE;
        }
        self.count_open(&mut inode)?;
        self.put(number, &inode)?;
        Ok(Reply::Opened(inode.opened(number, true)?))
    }

    fn create(&mut self, place: &Place, actor: &Actor, permissions: u16) -> Result<Opened, Error> {
        if place.slash {
            return Err(Error::IsDirectory);
        }
        let (number, mut inode) = self.make_named(place, actor, Kind::File, permissions)?;
        self.count_open(&mut inode)?;
        self.put(number, &inode)?;
        inode.opened(number, true)
    }

    fn open_existing(&mut self, place: &Place, actor: &Actor, flags: OpenFlags) -> Result<Opened, Error> {
        let number = place.found;
        let mut inode = self.inode(number)?;
        check_kind(&inode, flags)?;
        if !flags.contains(OpenFlags::PLACE) {
            require(&inode, actor, wanted(flags))?;
            if flags.contains(OpenFlags::TRUNCATE) && inode.is(Kind::File) {
                self.set_size(number, &mut inode, 0)?;
            }
        }
        if inode.name == 0 && place.last == Last::Name {
            inode.name = place.entry;
        }
        self.count_open(&mut inode)?;
        self.put(number, &inode)?;
        inode.opened(number, false)
    }

    fn count_open(&self, inode: &mut Inode) -> Result<(), Error> {
        let count = inode.opens.get_mut(self.opener).ok_or(Error::NotServed)?;
        *count = count.checked_add(1).ok_or(Error::TooManyOpen)?;
        Ok(())
    }

    /// [`protocols::vfs::Request::Hold`].
    ///
    /// # Errors
    /// [`Error::Stale`], [`Error::Invalid`] for a file that the service does not have open.
    pub fn hold(&mut self, file: FileId) -> Result<Reply, Error> {
        let (number, mut inode) = self.find(file)?;
        if inode.opens.get(self.opener).is_none_or(|count| *count == 0) {
            return Err(Error::Invalid);
        }
        self.count_open(&mut inode)?;
        self.put(number, &inode)?;
        Ok(Reply::Done)
    }

    /// [`protocols::vfs::Request::Close`]. Never pending: whoever closes may be on its way out.
    ///
    /// # Errors
    /// [`Error::Stale`], [`Error::Invalid`] for a file that the service does not have open.
    pub fn close(&mut self, file: FileId) -> Result<Reply, Error> {
        let (number, mut inode) = self.state.find(file)?;
        let count = inode.opens.get_mut(self.opener).ok_or(Error::NotServed)?;
        *count = count.checked_sub(1).ok_or(Error::Invalid)?;
        self.put(number, &inode)?;
        self.state.doom_if_unused(self.tx, number)?;
        Ok(Reply::Done)
    }

    /// [`protocols::vfs::Request::TakeBack`].
    ///
    /// # Errors
    /// [`Error::Damaged`].
    pub fn take_back(&mut self, service: u8, lane: u16, after: u64) -> Result<Reply, Error> {
        let after = RequestNumber(after);
        let after = RequestNumber::new(service, lane, after.request(), after.step());
        let kept: Vec<_> = self.state.results.since(after).collect();
        for (number, result) in kept {
            if let Ok(Reply::Opened(opened)) = wire::decode(&result)
                && self.state.find(opened.file).is_ok()
            {
                self.close(opened.file)?;
                self.state.results.forget(self.tx, number);
            }
        }
        Ok(Reply::Done)
    }

    /// A part of [`protocols::vfs::Request::CloseAll`]: the files of the slots from `first` on, `count` of them.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    pub fn close_some(&mut self, first: u32, count: u32) -> Result<(), Error> {
        for number in first..first.saturating_add(count).min(self.state.inode_pool.highest() + 1) {
            let Ok(mut inode) = self.state.inode(number) else { continue };
            if let Some(count) = inode.opens.get_mut(self.opener).filter(|count| **count != 0) {
                *count = 0;
                self.put(number, &inode)?;
                self.state.doom_if_unused(self.tx, number)?;
            }
        }
        Ok(())
    }
}

fn check_kind(inode: &Inode, flags: OpenFlags) -> Result<(), Error> {
    let writes = flags.contains(OpenFlags::WRITE) || flags.contains(OpenFlags::TRUNCATE) || flags.contains(OpenFlags::CREATE);
    match inode.kind()? {
        Kind::Symlink if !flags.contains(OpenFlags::PLACE) => Err(Error::TooManyLinksFollowed),
        Kind::Directory if flags.contains(OpenFlags::EXECUTE) => Err(Error::Denied),
        Kind::Directory if writes => Err(Error::IsDirectory),
        Kind::Directory => Ok(()),
        _ if flags.contains(OpenFlags::DIRECTORY) => Err(Error::NotDirectory),
        kind if flags.contains(OpenFlags::EXECUTE) && kind != Kind::File => Err(Error::Denied),
        _ => Ok(()),
    }
}

fn wanted(flags: OpenFlags) -> u8 {
    let bit = |flag, permission| if flags.contains(flag) { permission } else { 0 };
    bit(OpenFlags::READ, READ) | bit(OpenFlags::WRITE, WRITE) | bit(OpenFlags::TRUNCATE, WRITE) | bit(OpenFlags::EXECUTE, EXECUTE)
}
