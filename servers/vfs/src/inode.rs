//! Inodes: what is known about a file besides its data and its names.
//!
//! An inode is read and written as a whole; within a transaction the saved array is the only copy that counts, so whoever changes one reads it,
//! changes its copy and puts it back before anybody else reads it.
//!
//! Life: made with a name, or with none yet; unlinked when its last name goes; *doomed* when it has neither names nor opens; its pages are then
//! freed in steps ([`crate::settle`]) and the slot is free, with a new generation.

use libsys::saved::Transaction;
use protocols::vfs::{Attributes, Error, FileId, Kind, Opened, Time};

use crate::saved::{INODES, Slots, State};

/// Services that may hold files open: those whose number is [`FIRST_OPENER`] or up to six more.
pub const OPENERS: usize = 7;
/// The lowest number of a service above vfs (inference).
pub const FIRST_OPENER: u8 = 8;
/// Most names of a file.
pub const MAX_LINKS: u32 = 65_000;
/// What a name counts for in a directory's size, `.` and `..` too: Linux's tmpfs has no better figure either, and programs read "not empty" out of it.
const ENTRY_SIZE: u64 = 20;
/// Flag: the directory is one that a caller answers for.
pub const MOUNT: u8 = 1;

/// Flag: the file was made without a name and may get one.
pub const LINKABLE: u8 = 2;
/// Flag: there may be pages beyond the end.
pub const PREALLOCATED: u8 = 4;

libsys::plain! {
    /// A file. All links are slots of other arrays, 0 for none.
    pub struct Inode {
        /// Length in bytes; of a symbolic link: of what it says.
        pub size: u64,
        /// Times: seconds, then nanoseconds further down.
        pub accessed_seconds: i64,
        /// Last change of data.
        pub modified_seconds: i64,
        /// Last change of any kind.
        pub changed_seconds: i64,
        /// Directory: the last number given to an entry. Lost path: its length.
        pub sequence: u64,
        /// Nanoseconds of the last read.
        pub accessed_nanoseconds: u32,
        /// Nanoseconds of the last change of data.
        pub modified_nanoseconds: u32,
        /// Nanoseconds of the last change.
        pub changed_nanoseconds: u32,
        /// Tells the files of this slot apart.
        pub generation: u32,
        /// Names; a directory: 2 and its subdirectories, or 0 when it was removed.
        pub links: u32,
        /// Owner.
        pub uid: u32,
        /// Group.
        pub gid: u32,
        /// Linux's device number.
        pub device: u32,
        /// Data pages.
        pub pages: u32,
        /// Top of the page index.
        pub index: u32,
        /// Directory: the one that it is in.
        pub parent: u32,
        /// Directory: its first entry.
        pub first: u32,
        /// Directory: its last entry.
        pub last: u32,
        /// Directory: how many entries.
        pub entries: u32,
        /// One entry that names this file, if known; a directory's only one.
        pub name: u32,
        /// Symbolic link: the text that it says. What lost its last name while it was open: the path that it had then, or 0.
        pub target: u32,
        /// Link of the list it is on: free slots, or doomed files.
        pub next: u32,
        /// How often each service has it open.
        pub opens: [u32; OPENERS],
        /// The twelve permission bits.
        pub permissions: u16,
        /// A [`Kind`], or 0 for a free slot.
        pub kind: u8,
        /// Levels of the page index.
        pub height: u8,
        /// [`MOUNT`].
        pub flags: u8,
        /// No padding is left to chance.
        pub reserved: [u8; 3],
    }
}

impl Inode {
    /// What it is.
    ///
    /// # Errors
    /// [`Error::Damaged`] for a free slot.
    pub fn kind(&self) -> Result<Kind, Error> {
        Kind::from_number(self.kind).ok_or(Error::Damaged)
    }

    /// Whether it is of a kind.
    #[must_use]
    pub const fn is(&self, kind: Kind) -> bool {
        self.kind == kind as u8
    }

    /// Bytes of the text at [`Inode::target`].
    #[must_use]
    pub const fn text_length(&self) -> usize {
        if self.is(Kind::Symlink) { self.size as usize } else { self.sequence as usize }
    }

    /// Whether [`Inode::target`] is the path that it had.
    #[must_use]
    pub const fn has_lost_path(&self) -> bool {
        self.target != 0 && !self.is(Kind::Symlink)
    }

    /// Whether anybody has it open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.opens.iter().any(|count| *count != 0)
    }

    /// Sets the time of the last read.
    pub const fn set_accessed(&mut self, time: Time) {
        (self.accessed_seconds, self.accessed_nanoseconds) = (time.seconds, time.nanoseconds);
    }

    /// Sets the time of the last change of data.
    pub const fn set_modified(&mut self, time: Time) {
        (self.modified_seconds, self.modified_nanoseconds) = (time.seconds, time.nanoseconds);
    }

    /// Sets the time of the last change of any kind.
    pub const fn set_changed(&mut self, time: Time) {
        (self.changed_seconds, self.changed_nanoseconds) = (time.seconds, time.nanoseconds);
    }

    /// Its data changed.
    pub const fn touch(&mut self, now: Time) {
        self.set_modified(now);
        self.set_changed(now);
    }

    /// Time of the last read.
    #[must_use]
    pub const fn accessed(&self) -> Time {
        Time { seconds: self.accessed_seconds, nanoseconds: self.accessed_nanoseconds }
    }

    /// Time of the last change of data.
    #[must_use]
    pub const fn modified(&self) -> Time {
        Time { seconds: self.modified_seconds, nanoseconds: self.modified_nanoseconds }
    }

    /// Time of the last change of any kind.
    #[must_use]
    pub const fn changed(&self) -> Time {
        Time { seconds: self.changed_seconds, nanoseconds: self.changed_nanoseconds }
    }

    /// What `stat` tells; `number` is its slot.
    ///
    /// # Errors
    /// [`Error::Damaged`] for a free slot.
    pub fn attributes(&self, number: u32) -> Result<Attributes, Error> {
        Ok(Attributes {
            file: FileId { inode: number, generation: self.generation },
            kind: self.kind()?,
            permissions: self.permissions,
            links: self.links,
            uid: self.uid,
            gid: self.gid,
            device: self.device,
            size: if self.is(Kind::Directory) { (u64::from(self.entries) + 2) * ENTRY_SIZE } else { self.size },
            pages: u64::from(self.pages),
            accessed: self.accessed(),
            modified: self.modified(),
            changed: self.changed(),
        })
    }

    /// What an open tells.
    ///
    /// # Errors
    /// [`Error::Damaged`] for a free slot.
    pub fn opened(&self, number: u32, created: bool) -> Result<Opened, Error> {
        Ok(Opened {
            file: FileId { inode: number, generation: self.generation },
            kind: self.kind()?,
            permissions: self.permissions,
            uid: self.uid,
            gid: self.gid,
            device: self.device,
            size: self.size,
            created,
        })
    }
}

impl State {
    /// An inode in use.
    ///
    /// # Errors
    /// [`Error::Damaged`] for a free slot or none.
    #[inline]
    pub fn inode(&self, number: u32) -> Result<Inode, Error> {
        let inode = self.inodes.get_checked(number)?;
        if number == 0 || inode.kind == 0 { Err(Error::Damaged) } else { Ok(inode) }
    }

    /// The slot of a file that a caller names, if it still is that file.
    ///
    /// # Errors
    /// [`Error::Stale`].
    #[inline]
    pub fn find(&self, file: FileId) -> Result<(u32, Inode), Error> {
        match self.inode(file.inode) {
            Ok(inode) if inode.generation == file.generation => Ok((file.inode, inode)),
            _ => Err(Error::Stale),
        }
    }

    /// Puts an inode back.
    ///
    /// # Errors
    /// [`Error::Damaged`] for a slot that is none.
    #[inline]
    pub fn put_inode(&self, tx: &Transaction<'_>, number: u32, inode: &Inode) -> Result<(), Error> {
        self.inodes.set_checked(tx, number, *inode)
    }

    /// Reads an inode, has it changed, puts it back.
    ///
    /// # Errors
    /// [`Error::Damaged`] for a free slot or none.
    pub fn change_inode(&self, tx: &Transaction<'_>, number: u32, change: impl FnOnce(&mut Inode)) -> Result<(), Error> {
        let mut inode = self.inode(number)?;
        change(&mut inode);
        self.put_inode(tx, number, &inode)
    }

    /// Takes a free slot and fills it with `inode`, of the slot's next generation.
    ///
    /// # Errors
    /// [`Error::NoSpace`].
    pub fn make_inode(&self, tx: &Transaction<'_>, inode: &Inode) -> Result<(u32, Inode), Error> {
        let number = self.inode_pool.take(tx, INODES, |slot| self.inodes.get_checked(slot).map(|free| free.next))?;
        let generation = self.inodes.get_checked(number)?.generation.wrapping_add(1).max(1);
        let made = Inode { generation, next: 0, ..*inode };
        self.put_inode(tx, number, &made)?;
        Ok((number, made))
    }

    /// Frees the slot of a file that has neither names nor opens nor pages.
    ///
    /// # Errors
    /// [`Error::Damaged`] for a slot that is none.
    pub fn free_inode(&self, tx: &Transaction<'_>, number: u32) -> Result<(), Error> {
        let generation = self.inode(number)?.generation;
        let next = self.inode_pool.give(tx, number);
        self.put_inode(tx, number, &Inode { generation, next, ..Inode::default() })
    }

    /// Puts a file that has neither names nor opens on the list of those whose pages are freed next.
    ///
    /// # Errors
    /// [`Error::Damaged`] for a slot that is none.
    pub fn doom_if_unused(&self, tx: &Transaction<'_>, number: u32) -> Result<(), Error> {
        let mut inode = self.inode(number)?;
        if inode.links == 0 && !inode.is_open() {
            inode.next = self.doomed.get();
            self.doomed.set(tx, number);
            self.put_inode(tx, number, &inode)?;
        }
        Ok(())
    }
}
