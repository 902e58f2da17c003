//! New names: for new files of every kind, and for old ones.

use protocols::vfs::{Actor, At, Error, FileId, Kind, MAX_PATH, Node, Reply};

use crate::attempt::Attempt;
use crate::host::Host;
use crate::inode::{Inode, LINKABLE, MAX_LINKS};
use crate::permission::{EXECUTE, WRITE, require};
use crate::walk::{Last, Mode, Place};

impl<H: Host> Attempt<'_, H> {
    /// The directory of a name that is to be added, if the actor may.
    fn directory_for(&mut self, place: &Place, actor: &Actor) -> Result<Inode, Error> {
        if place.found != 0 || place.last != Last::Name {
            return Err(Error::Exists);
        }
        let directory = self.inode(place.directory)?;
        if directory.links == 0 {
            return Err(Error::NotFound);
        }
        require(&directory, actor, WRITE | EXECUTE)?;
        Ok(directory)
    }

    /// Adds the name of `place` for the file `number`.
    ///
    /// # Errors
    /// [`Error::NoSpace`].
    pub fn add_name(&mut self, place: &Place, number: u32, kind: Kind) -> Result<(), Error> {
        let slot = self.state.add_entry(self.tx, place.directory, &place.name, number, kind)?;
        let now = self.now;
        self.state.change_inode(self.tx, place.directory, |directory| directory.touch(now))?;
        self.state.change_inode(self.tx, number, |inode| {
            inode.name = slot;
            if kind == Kind::Directory {
                inode.parent = place.directory;
            }
        })
    }

    /// Makes a file of any kind but a directory, with its name.
    ///
    /// # Errors
    /// [`Error::Exists`], [`Error::NotFound`] in a removed directory, [`Error::Denied`], [`Error::NoSpace`].
    pub fn make_named(&mut self, place: &Place, actor: &Actor, kind: Kind, permissions: u16) -> Result<(u32, Inode), Error> {
        let directory = self.directory_for(place, actor)?;
        let (number, mut inode) = self.make_inode(&directory, actor, kind, permissions)?;
        inode.links = 1;
        self.put(number, &inode)?;
        self.add_name(place, number, kind)?;
        Ok((number, self.state.inode(number)?))
    }

    /// [`protocols::vfs::Request::MakeDirectory`].
    ///
    /// # Errors
    /// As the manual page of `mkdir` says.
    pub fn make_directory(&mut self, at: &At<'_>, actor: &Actor, permissions: u16) -> Result<Reply, Error> {
        let place = self.walk(at, actor, Mode::Name)?;
        let directory = self.directory_for(&place, actor)?;
        if directory.links >= MAX_LINKS {
            return Err(Error::TooManyLinks);
        }
        let (number, mut inode) = self.make_inode(&directory, actor, Kind::Directory, permissions)?;
        inode.links = 2;
        self.put(number, &inode)?;
        self.add_name(&place, number, Kind::Directory)?;
        self.state.change_inode(self.tx, place.directory, |directory| directory.links += 1)?;
        Ok(made(number, &inode))
    }

    /// [`protocols::vfs::Request::MakeNode`].
    ///
    /// # Errors
    /// As the manual page of `mknod` says.
    pub fn make_node(&mut self, at: &At<'_>, actor: &Actor, node: Node) -> Result<Reply, Error> {
        let device = matches!(node.kind, Kind::CharacterDevice | Kind::BlockDevice);
        if matches!(node.kind, Kind::Directory | Kind::Symlink) {
            return Err(Error::Invalid);
        }
        if device && actor.uid != 0 {
            return Err(Error::NotPermitted);
        }
        let place = self.walk(at, actor, Mode::Name)?;
        if place.found == 0 && place.slash {
            return Err(Error::NotFound);
        }
        let (number, mut inode) = self.make_named(&place, actor, node.kind, node.permissions)?;
        inode.device = if device { node.device } else { 0 };
        self.put(number, &inode)?;
        Ok(made(number, &inode))
    }

    /// [`protocols::vfs::Request::MakeSymlink`].
    ///
    /// # Errors
    /// As the manual page of `symlink` says.
    pub fn make_symlink(&mut self, at: &At<'_>, actor: &Actor, target: &[u8]) -> Result<Reply, Error> {
        if target.is_empty() {
            return Err(Error::NotFound);
        }
        if target.len() > MAX_PATH {
            return Err(Error::NameTooLong);
        }
        if target.contains(&0) {
            return Err(Error::Invalid);
        }
        let place = self.walk(at, actor, Mode::Name)?;
        if place.found == 0 && place.slash {
            return Err(Error::NotFound);
        }
        let (number, mut inode) = self.make_named(&place, actor, Kind::Symlink, 0o777)?;
        inode.size = target.len() as u64;
        inode.target = self.state.make_text(self.tx, target)?;
        self.put(number, &inode)?;
        Ok(made(number, &inode))
    }

    /// [`protocols::vfs::Request::Link`].
    ///
    /// # Errors
    /// As the manual page of `link` says.
    pub fn link(&mut self, from: &At<'_>, to: &At<'_>, actor: &Actor) -> Result<Reply, Error> {
        let (number, inode) = self.walk_to_file(from, actor)?;
        let place = self.walk(to, actor, Mode::Name)?;
        if place.found == 0 && place.slash {
            return Err(Error::NotFound);
        }
        self.directory_for(&place, actor)?;
        if inode.is(Kind::Directory) {
            return Err(Error::NotPermitted);
        }
        match inode.links {
            0 if inode.flags & LINKABLE == 0 => return Err(Error::NotFound),
            MAX_LINKS.. => return Err(Error::TooManyLinks),
            _ => {}
        }
        let now = self.now;
        self.state.change_inode(self.tx, number, |inode| {
            inode.links += 1;
            inode.flags &= !LINKABLE;
            inode.set_changed(now);
        })?;
        self.add_name(&place, number, inode.kind()?)?;
        Ok(Reply::Done)
    }
}

const fn made(number: u32, inode: &Inode) -> Reply {
    Reply::Made(FileId { inode: number, generation: inode.generation })
}
