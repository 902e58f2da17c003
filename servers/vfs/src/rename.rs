//! Renaming: one name takes the place of another, or two change places, in one transaction.

use protocols::vfs::{Actor, At, Error, Kind, RenameMode, Reply};

use crate::attempt::Attempt;
use crate::host::Host;
use crate::inode::{Inode, MAX_LINKS, MOUNT};
use crate::permission::{EXECUTE, WRITE, require, require_removal};
use crate::walk::{Last, Mode, Place};

impl<H: Host> Attempt<'_, H> {
    /// [`protocols::vfs::Request::Rename`].
    ///
    /// # Errors
    /// As the manual page of `rename` says.
    pub fn rename(&mut self, from: &At<'_>, to: &At<'_>, actor: &Actor, mode: RenameMode) -> Result<Reply, Error> {
        let old = self.walk(from, actor, Mode::Name)?;
        let new = self.walk(to, actor, Mode::Name)?;
        if old.last != Last::Name || new.last != Last::Name {
            return Err(if mode == RenameMode::NoReplace && new.last != Last::Name { Error::Exists } else { Error::Busy });
        }
        if old.found == 0 {
            return Err(Error::NotFound);
        }
        match (mode, new.found) {
            (RenameMode::NoReplace, 1..) => return Err(Error::Exists),
            (RenameMode::Exchange, 0) => return Err(Error::NotFound),
            _ => {}
        }
        let source = self.inode(old.found)?;
        let target = if new.found == 0 { None } else { Some(self.inode(new.found)?) };
        if !source.is(Kind::Directory) && new.slash && mode != RenameMode::Exchange {
            return Err(Error::NotDirectory);
        }
        self.forbid_loops(&old, &new, &source, target.as_ref(), mode)?;
        if old.found == new.found {
            return Ok(Reply::Done);
        }
        self.check_directories(&old, &new, actor, &source, target.as_ref())?;
        match target {
            Some(target) if mode == RenameMode::Exchange => self.exchange(&old, &new, &source, &target)?,
            Some(target) => self.replace(&old, &new, actor, &source, &target)?,
            None => self.move_name(&old, &new, &source)?,
        }
        Ok(Reply::Done)
    }

    /// A directory never becomes its own ancestor, and one on the way to the source is not empty.
    fn forbid_loops(&mut self, old: &Place, new: &Place, source: &Inode, target: Option<&Inode>, mode: RenameMode) -> Result<(), Error> {
        if source.is(Kind::Directory) && self.is_within(new.directory, old.found)? {
            return Err(Error::Invalid);
        }
        if target.is_some_and(|target| target.is(Kind::Directory)) && self.is_within(old.directory, new.found)? {
            return Err(if mode == RenameMode::Exchange { Error::Invalid } else { Error::NotEmpty });
        }
        let mounts = [Some(source), target].into_iter().flatten().any(|inode| inode.flags & MOUNT != 0);
        if mounts { Err(Error::Busy) } else { Ok(()) }
    }

    /// Whether `directory` is `ancestor` or lies below it.
    fn is_within(&mut self, directory: u32, ancestor: u32) -> Result<bool, Error> {
        let mut current = directory;
        for _ in 0..=self.state.inode_pool.live() {
            if current == ancestor {
                return Ok(true);
            }
            let parent = self.inode(current)?.parent;
            if parent == 0 || parent == current {
                return Ok(false);
            }
            current = parent;
        }
        Err(Error::Damaged)
    }

    fn check_directories(&mut self, old: &Place, new: &Place, actor: &Actor, source: &Inode, target: Option<&Inode>) -> Result<(), Error> {
        let (old_directory, new_directory) = (self.inode(old.directory)?, self.inode(new.directory)?);
        require_removal(&old_directory, source, actor)?;
        match target {
            Some(target) => require_removal(&new_directory, target, actor)?,
            None => require(&new_directory, actor, WRITE | EXECUTE)?,
        }
        if new_directory.links == 0 {
            return Err(Error::NotFound);
        }
        if old.directory != new.directory {
            for moved in [Some(source), target].into_iter().flatten().filter(|inode| inode.is(Kind::Directory)) {
                require(moved, actor, WRITE)?;
            }
            if source.is(Kind::Directory) && target.is_none() && new_directory.links >= MAX_LINKS {
                return Err(Error::TooManyLinks);
            }
        }
        Ok(())
    }

    fn exchange(&mut self, old: &Place, new: &Place, source: &Inode, target: &Inode) -> Result<(), Error> {
        self.state.point_entry(self.tx, new.entry, old.found, source.kind)?;
        self.state.point_entry(self.tx, old.entry, new.found, target.kind)?;
        self.moved(old.found, source, old, new)?;
        self.moved(new.found, target, new, old)?;
        self.touch_both(old, new)
    }

    fn replace(&mut self, old: &Place, new: &Place, actor: &Actor, source: &Inode, target: &Inode) -> Result<(), Error> {
        match (source.is(Kind::Directory), target.is(Kind::Directory)) {
            (true, false) => return Err(Error::NotDirectory),
            (false, true) => return Err(Error::IsDirectory),
            (true, true) if target.entries != 0 => return Err(Error::NotEmpty),
            (true, true) if new.found == actor.root.inode => return Err(Error::Busy),
            _ => {}
        }
        self.state.point_entry(self.tx, new.entry, old.found, source.kind)?;
        self.state.remove_entry(self.tx, old.entry)?;
        self.drop_link(new)?;
        self.moved(old.found, source, old, new)?;
        self.touch_both(old, new)
    }

    fn move_name(&mut self, old: &Place, new: &Place, source: &Inode) -> Result<(), Error> {
        let entry = self.state.add_entry(self.tx, new.directory, &new.name, old.found, source.kind()?)?;
        self.state.remove_entry(self.tx, old.entry)?;
        self.moved(old.found, source, old, &Place { entry, ..new.clone() })?;
        self.touch_both(old, new)
    }

    /// The file has its name at `to` instead of `from`.
    fn moved(&mut self, number: u32, inode: &Inode, from: &Place, to: &Place) -> Result<(), Error> {
        if inode.is(Kind::Directory) && from.directory != to.directory {
            self.state.change_inode(self.tx, from.directory, |directory| directory.links = directory.links.saturating_sub(1))?;
            self.state.change_inode(self.tx, to.directory, |directory| directory.links += 1)?;
        }
        let now = self.now;
        self.state.change_inode(self.tx, number, |inode| {
            inode.name = to.entry;
            if inode.is(Kind::Directory) {
                inode.parent = to.directory;
            }
            inode.set_changed(now);
        })
    }

    fn touch_both(&self, old: &Place, new: &Place) -> Result<(), Error> {
        let now = self.now;
        self.state.change_inode(self.tx, old.directory, |directory| directory.touch(now))?;
        self.state.change_inode(self.tx, new.directory, |directory| directory.touch(now))
    }
}
