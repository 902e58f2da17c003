//! The nouns of the protocol: files, places, actors, and what is known of them.

use heapless::Vec;
use serde::{Deserialize, Serialize};

use super::{MAX_GROUPS, ROOT};

/// Names a file for as long as it exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FileId {
    /// The inode's number; used again after the file is gone.
    pub inode: u32,
    /// Tells the users of one number apart.
    pub generation: u32,
}

/// What a file is. The values are Linux's `DT_` numbers; shifted by 12 they are the type bits of `st_mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum Kind {
    /// A named pipe; what flows through it is the caller's.
    Fifo = 1,
    /// A character device node.
    CharacterDevice = 2,
    /// A directory.
    Directory = 4,
    /// A block device node.
    BlockDevice = 6,
    /// A regular file.
    File = 8,
    /// A symbolic link.
    Symlink = 10,
    /// A socket's name.
    Socket = 12,
}

impl Kind {
    /// The kind with Linux's `DT_` number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Fifo,
            2 => Self::CharacterDevice,
            4 => Self::Directory,
            6 => Self::BlockDevice,
            8 => Self::File,
            10 => Self::Symlink,
            12 => Self::Socket,
            _ => return None,
        })
    }

    /// The type bits of `st_mode`.
    #[must_use]
    pub const fn mode_bits(self) -> u32 {
        (self as u32) << 12
    }
}

/// On whose behalf a path is walked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// File system user; 0 passes every permission check but execution of a file that nobody may execute.
    pub uid: u32,
    /// File system group.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32, MAX_GROUPS>,
    /// Where paths that begin with a slash start, and where `..` stays.
    pub root: FileId,
}

impl Actor {
    /// The superuser, with the real root directory.
    #[must_use]
    pub const fn superuser() -> Self {
        Self { uid: 0, gid: 0, groups: Vec::new(), root: ROOT }
    }
}

/// A place in the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct At<'a> {
    /// Where a path without leading slash starts.
    pub start: FileId,
    /// Up to [`super::MAX_PATH`] bytes without zeros. Empty: the start itself.
    pub path: &'a [u8],
    /// Whether a symbolic link as the last part is followed.
    pub follow: bool,
}

impl<'a> At<'a> {
    /// The place `path` seen from `start`, the last link followed.
    #[must_use]
    pub const fn new(start: FileId, path: &'a [u8]) -> Self {
        Self { start, path, follow: true }
    }

    /// As [`At::new`], but a symbolic link as the last part is itself the place.
    #[must_use]
    pub const fn no_follow(start: FileId, path: &'a [u8]) -> Self {
        Self { start, path, follow: false }
    }

    /// The file itself.
    #[must_use]
    pub const fn file(file: FileId) -> Self {
        Self { start: file, path: &[], follow: false }
    }
}

/// How to open: a set of the bits below.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenFlags(pub u16);

impl OpenFlags {
    /// Needs permission to read.
    pub const READ: Self = Self(1);
    /// Needs permission to write; refused for directories.
    pub const WRITE: Self = Self(2);
    /// Makes a regular file if there is none.
    pub const CREATE: Self = Self(4);
    /// With [`Self::CREATE`]: refuses an existing file, a symbolic link too.
    pub const EXCLUSIVE: Self = Self(8);
    /// Cuts an existing regular file to no length.
    pub const TRUNCATE: Self = Self(0x10);
    /// Refuses what is not a directory.
    pub const DIRECTORY: Self = Self(0x20);
    /// Opens the place only (`O_PATH`): no permission on the file itself is needed, a symbolic link opens too.
    pub const PLACE: Self = Self(0x40);
    /// Needs permission to execute; refuses what is not a regular file.
    pub const EXECUTE: Self = Self(0x80);
    /// A new file without a name in the directory that the path leads to (`O_TMPFILE`). With [`Self::EXCLUSIVE`] it never gets one.
    pub const TEMPORARY: Self = Self(0x100);

    /// Both sets.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all bits of `other` are in it.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// Where a walk may lead: a set of Linux's `RESOLVE_` bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Within(pub u8);

impl Within {
    /// Not into what the caller answers for: [`super::Error::CrossesMount`].
    pub const ONE_FILE_SYSTEM: Self = Self(1);
    /// Not through symbolic links: [`super::Error::TooManyLinksFollowed`].
    pub const NO_LINKS: Self = Self(4);
    /// Not out of the directory where it starts: [`super::Error::CrossesMount`].
    pub const BENEATH: Self = Self(8);

    /// Whether all bits of `other` are in it.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// A point in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Time {
    /// Seconds since 1970.
    pub seconds: i64,
    /// Nanoseconds, less than 1,000,000,000.
    pub nanoseconds: u32,
}

/// What a time is set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SetTime {
    /// The present: the right to write is enough, if all times set are this.
    Now,
    /// This time: for the owner only.
    To(Time),
}

/// What [`super::Request::SetAttributes`] changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The twelve permission bits.
    pub permissions: Option<u16>,
    /// The owner.
    pub uid: Option<u32>,
    /// The group.
    pub gid: Option<u32>,
    /// The time of the last access.
    pub accessed: Option<SetTime>,
    /// The time of the last change of data.
    pub modified: Option<SetTime>,
}

/// Where [`super::Request::Write`] writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WriteAt {
    /// From this offset on.
    Offset(u64),
    /// At the end, found and moved in one step (`O_APPEND`).
    End,
}

/// What [`super::Request::Rename`] does with a file of the new name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RenameMode {
    /// It goes.
    Replace,
    /// It makes the request fail with [`super::Error::Exists`].
    NoReplace,
    /// It gets the old name.
    Exchange,
}

/// What [`super::Request::MakeNode`] makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Anything but a directory or a symbolic link.
    pub kind: Kind,
    /// The twelve permission bits.
    pub permissions: u16,
    /// Linux's device number, for devices.
    pub device: u32,
}

/// What `stat` tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attributes {
    /// The file.
    pub file: FileId,
    /// What it is.
    pub kind: Kind,
    /// The twelve permission bits.
    pub permissions: u16,
    /// How many names it has; a directory: 2 and its subdirectories.
    pub links: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Linux's device number, of a device node.
    pub device: u32,
    /// Length in bytes.
    pub size: u64,
    /// Pages that it takes; `st_blocks` is eight times this.
    pub pages: u64,
    /// Last read, updated as Linux does by default (`relatime`).
    pub accessed: Time,
    /// Last change of data.
    pub modified: Time,
    /// Last change of any kind.
    pub changed: Time,
}

/// What an open tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// The file.
    pub file: FileId,
    /// What it is.
    pub kind: Kind,
    /// The twelve permission bits.
    pub permissions: u16,
    /// Owner, for set-user-id.
    pub uid: u32,
    /// Group, for set-group-id.
    pub gid: u32,
    /// Linux's device number, of a device node.
    pub device: u32,
    /// Length in bytes.
    pub size: u64,
    /// Whether this open made it.
    pub created: bool,
}

/// Totals, for `statfs`. Sizes in pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Pages for data.
    pub pages: u64,
    /// Of these free.
    pub pages_free: u64,
    /// Files.
    pub files: u64,
    /// Of these free.
    pub files_free: u64,
}
