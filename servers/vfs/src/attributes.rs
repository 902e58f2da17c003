//! What is known about files and what owners may set; totals.

use protocols::vfs::{Actor, At, Change, Error, FileId, Kind, Reply, SetTime, Time, Totals};

use crate::attempt::Attempt;
use crate::host::Host;
use crate::inode::{Inode, MOUNT};
use crate::permission::{SET_GROUP, WRITE, allows, in_group, owns, without_privilege};
use crate::saved::INODES;

const NANOSECONDS: u32 = 1_000_000_000;

impl<H: Host> Attempt<'_, H> {
    /// [`protocols::vfs::Request::Stat`].
    ///
    /// # Errors
    /// Those of path resolution.
    pub fn stat(&mut self, at: &At<'_>, actor: &Actor) -> Result<Reply, Error> {
        let (number, inode) = self.walk_to_file(at, actor)?;
        inode.attributes(number).map(Reply::Attributes)
    }

    /// [`protocols::vfs::Request::Access`].
    ///
    /// # Errors
    /// Those of path resolution, [`Error::Denied`].
    pub fn access(&mut self, at: &At<'_>, actor: &Actor, wanted: u8) -> Result<Reply, Error> {
        let (_, inode) = self.walk_to_file(at, actor)?;
        if allows(&inode, actor, wanted) { Ok(Reply::Done) } else { Err(Error::Denied) }
    }

    /// [`protocols::vfs::Request::Capacity`].
    #[must_use]
    pub fn capacity(&self) -> Reply {
        let pages = self.host.page_count();
        let files = INODES as u32 - 1;
        Reply::Capacity(Totals {
            pages: u64::from(pages),
            pages_free: u64::from(pages.saturating_sub(self.state.pages.used_count())),
            files: u64::from(files),
            files_free: u64::from(files.saturating_sub(self.state.inode_pool.live())),
        })
    }

    /// [`protocols::vfs::Request::SetAttributes`].
    ///
    /// # Errors
    /// As the manual pages of `chmod`, `chown` and `utimensat` say.
    pub fn set_attributes(&mut self, at: &At<'_>, actor: &Actor, change: &Change) -> Result<Reply, Error> {
        let (number, mut inode) = self.walk_to_file(at, actor)?;
        self.set_times(&mut inode, actor, change)?;
        set_owner(&mut inode, actor, change)?;
        set_permissions(&mut inode, actor, change)?;
        inode.set_changed(self.now);
        self.put(number, &inode)?;
        Ok(Reply::Done)
    }

    fn set_times(&self, inode: &mut Inode, actor: &Actor, change: &Change) -> Result<(), Error> {
        let times = [change.accessed, change.modified];
        if times == [None, None] || owns(inode, actor) {
            // Nothing to ask.
        } else if times != [Some(SetTime::Now); 2] {
            return Err(Error::NotPermitted);
        } else if !allows(inode, actor, WRITE) {
            return Err(Error::Denied);
        }
        if let Some(time) = change.accessed {
            inode.set_accessed(self.time(time)?);
        }
        if let Some(time) = change.modified {
            inode.set_modified(self.time(time)?);
        }
        Ok(())
    }

    const fn time(&self, time: SetTime) -> Result<Time, Error> {
        match time {
            SetTime::Now => Ok(self.now),
            SetTime::To(time) if time.nanoseconds < NANOSECONDS => Ok(time),
            SetTime::To(_) => Err(Error::Invalid),
        }
    }

    /// [`protocols::vfs::Request::SetMount`].
    ///
    /// # Errors
    /// [`Error::Stale`], [`Error::NotDirectory`].
    pub fn set_mount(&mut self, directory: FileId, mounted: bool) -> Result<Reply, Error> {
        let (number, mut inode) = self.find(directory)?;
        if !inode.is(Kind::Directory) {
            return Err(Error::NotDirectory);
        }
        inode.flags = if mounted { inode.flags | MOUNT } else { inode.flags & !MOUNT };
        self.put(number, &inode)?;
        Ok(Reply::Done)
    }
}

fn set_owner(inode: &mut Inode, actor: &Actor, change: &Change) -> Result<(), Error> {
    if change.uid.is_none() && change.gid.is_none() {
        return Ok(());
    }
    let gives_away = change.uid.is_some_and(|uid| uid != inode.uid);
    let foreign_group = change.gid.is_some_and(|gid| gid != inode.gid && !in_group(actor, gid));
    if actor.uid != 0 && (!owns(inode, actor) || gives_away || foreign_group) {
        return Err(Error::NotPermitted);
    }
    inode.uid = change.uid.unwrap_or(inode.uid);
    inode.gid = change.gid.unwrap_or(inode.gid);
    if !inode.is(Kind::Directory) {
        inode.permissions = without_privilege(inode.permissions);
    }
    Ok(())
}

fn set_permissions(inode: &mut Inode, actor: &Actor, change: &Change) -> Result<(), Error> {
    let Some(permissions) = change.permissions else { return Ok(()) };
    if !owns(inode, actor) {
        return Err(Error::NotPermitted);
    }
    if inode.is(Kind::Symlink) {
        return Err(Error::Unsupported);
    }
    let foreign_group = actor.uid != 0 && !in_group(actor, inode.gid);
    inode.permissions = permissions & if foreign_group { 0o7777 & !SET_GROUP } else { 0o7777 };
    Ok(())
}
