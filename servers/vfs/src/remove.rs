//! Names that go. A file goes with its last name and its last close; its pages are freed after the commit.

use protocols::vfs::{Actor, At, Error, Kind, ROOT, Reply};

use crate::attempt::Attempt;
use crate::host::Host;
use crate::inode::{Inode, MOUNT};
use crate::list::Path;
use crate::permission::require_removal;
use crate::walk::{Last, Mode, Place};

impl<H: Host> Attempt<'_, H> {
    /// [`protocols::vfs::Request::Unlink`].
    ///
    /// # Errors
    /// As the manual page of `unlink` says.
    pub fn unlink(&mut self, at: &At<'_>, actor: &Actor) -> Result<Reply, Error> {
        let place = self.walk(at, actor, Mode::Name)?;
        if place.last != Last::Name {
            return Err(Error::IsDirectory);
        }
        let victim = self.removable(&place, actor)?;
        if victim.is(Kind::Directory) {
            return Err(Error::IsDirectory);
        }
        self.remove_name(&place)?;
        Ok(Reply::Done)
    }

    /// [`protocols::vfs::Request::RemoveDirectory`].
    ///
    /// # Errors
    /// As the manual page of `rmdir` says.
    pub fn remove_directory(&mut self, at: &At<'_>, actor: &Actor) -> Result<Reply, Error> {
        let place = self.walk(at, actor, Mode::Name)?;
        match place.last {
            Last::Name => {}
            Last::Dot => return Err(Error::Invalid),
            Last::DotDot => return Err(Error::NotEmpty),
            Last::Start => return Err(Error::Busy),
        }
        let victim = self.removable(&place, actor)?;
        if !victim.is(Kind::Directory) {
            return Err(Error::NotDirectory);
        }
        if victim.flags & MOUNT != 0 || place.found == actor.root.inode {
            return Err(Error::Busy);
        }
        if victim.entries != 0 {
            return Err(Error::NotEmpty);
        }
        self.remove_name(&place)?;
        Ok(Reply::Done)
    }

    /// The file of a name that the actor may remove.
    fn removable(&mut self, place: &Place, actor: &Actor) -> Result<Inode, Error> {
        if place.found == 0 {
            return Err(Error::NotFound);
        }
        let victim = self.inode(place.found)?;
        let directory = self.inode(place.directory)?;
        require_removal(&directory, &victim, actor)?;
        Ok(victim)
    }

    /// Removes a name and counts the file's names; an empty directory goes with its only one.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    pub fn remove_name(&mut self, place: &Place) -> Result<(), Error> {
        self.state.remove_entry(self.tx, place.entry)?;
        let now = self.now;
        self.state.change_inode(self.tx, place.directory, |directory| directory.touch(now))?;
        self.drop_link(place)
    }

    /// The file at a place has lost its name there.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    pub fn drop_link(&mut self, place: &Place) -> Result<(), Error> {
        let (number, directory) = (place.found, place.directory);
        let mut inode = self.state.inode(number)?;
        if inode.is(Kind::Directory) {
            (inode.links, inode.parent) = (0, 0);
            self.state.change_inode(self.tx, directory, |directory| directory.links = directory.links.saturating_sub(1))?;
        } else {
            inode.links = inode.links.saturating_sub(1);
        }
        if inode.name == place.entry {
            inode.name = 0;
        }
        if inode.links == 0 && inode.is_open() && !inode.is(Kind::Symlink) {
            self.keep_path(&mut inode, place)?;
        }
        inode.set_changed(self.now);
        self.put(number, &inode)?;
        self.state.doom_if_unused(self.tx, number)
    }

    /// Keeps the path of a file that goes on without a name, to be shown: programs look for themselves under it (proc(5), `/proc/PID/exe`). There is none if it is
    /// too long or texts are scarce.
    fn keep_path(&mut self, inode: &mut Inode, place: &Place) -> Result<(), Error> {
        let mut path = Path::default();
        let fits = path.prepend(&place.name).and_then(|()| path.prepend(b"/")).and_then(|()| self.climb(place.directory, ROOT.inode, &mut path));
        match fits {
            Ok(()) if self.state.has_room_for_text(path.bytes().len()) => {
                inode.sequence = path.bytes().len() as u64;
                inode.target = self.state.make_text(self.tx, path.bytes())?;
                Ok(())
            }
            Ok(()) | Err(Error::NameTooLong | Error::NotFound) => {
                (inode.target, inode.sequence) = (0, 0);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}
