//! Paths and files: the requests that vfs answers, its errors, its client.
//!
//! Three ideas shape every request:
//! - **A file is a [`FileId`]** (inode and generation), not a name in the server: it survives the death of either side, and a stale one is
//!   answered [`Error::Stale`]. vfs counts for each calling service how often it has a file open ([`Request::Open`], [`Request::Hold`],
//!   [`Request::Close`]), so that an unlinked file lives until its last close. Offsets, descriptors and access modes are the caller's.
//! - **A place is an [`At`]**: a directory to start from and a path. An empty path names the start itself, of whatever kind, so that one request
//!   serves `stat`, `fstat`, `fstatat` and `AT_EMPTY_PATH`. Whoever speaks for programs refuses empty paths where Linux does.
//! - **Data goes by lease 0**, never in the message, so that a reply always fits in registers or in a lane's 64 recorded bytes. A missing page of
//!   the lender is answered [`Error::NeedsPage`]; the caller makes it present and sends the request again under the same number.
//!
//! Any request but [`Request::Close`] may be answered [`Error::Pending`]: nothing was done, and the same number runs again when vfs signals.
//! Requests are *idempotent* (may run twice) or *numbered* (done once for their number, result kept with the effect); each says which.
//!
//! Absent on purpose: descriptors, access modes, umask (apply it before), pipes and devices behind their nodes, locks, `/proc`.

pub mod client;
mod error;
mod file;
mod pages;
mod record;

pub use client::Client;
pub use error::Error;
pub use file::{Actor, At, Attributes, Change, FileId, Kind, Node, OpenFlags, Opened, RenameMode, SetTime, Time, Totals, Within, WriteAt};
pub use pages::Pages;
pub use record::{RECORD_HEADER, Record, Records, encode_record, record_length};

use serde::{Deserialize, Serialize};

use crate::serve::{Answer, Caller, dispatch};

/// Bits that vfs sets in the notification of whoever is declared to call it. A restarted vfs sets all of them.
pub mod event {
    /// What an [`super::Error::Pending`] waited for is there.
    pub const READY: u64 = 1 << 16;
}

/// Most bytes of a path in a request, so that a request with two paths is one message. A caller splits longer ones at a slash.
pub const MAX_PATH: usize = 1600;
/// What a path starts with that a file had when it was removed: no path has a zero in it.
pub const LOST: u8 = 0;
/// Most bytes of one name.
pub const MAX_NAME: usize = 255;
/// Most symbolic links followed in one walk (Linux: `MAXSYMLINKS`).
pub const MAX_LINKS_FOLLOWED: u32 = 40;
/// Most supplementary groups that a request carries.
pub const MAX_GROUPS: usize = 16;
/// Most bytes that one [`Request::Read`] or [`Request::Write`] moves; more are cut to this.
pub const MAX_TRANSFER: u32 = 1024 * 1024;
/// Most bytes of a reply, errors included.
pub const MAX_REPLY: usize = 256;
/// Most pages of one [`Request::Allocate`].
pub const MAX_ALLOCATED: u32 = 256;
/// Most pages of one [`Request::MapPages`].
pub const MAX_MAPPED: usize = 32;
/// The root directory, always.
pub const ROOT: FileId = FileId { inode: 1, generation: 1 };

/// What may be asked. Bits of `wanted` and of permissions: 4 read, 2 write, 1 execute or search.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request<'a> {
    /// Numbered. Opens, with all that [`OpenFlags`] says. -> [`Reply::Opened`]
    Open {
        /// What.
        #[serde(borrow)]
        at: At<'a>,
        /// For whom.
        actor: Actor,
        /// How.
        flags: OpenFlags,
        /// Permission bits of a file that is made.
        permissions: u16,
    },
    /// Numbered. Counts one more open of a file that is open. -> [`Reply::Done`]
    Hold(FileId),
    /// Numbered. Counts one open less. -> [`Reply::Done`]
    Close(FileId),
    /// Idempotent. Forgets all opens of the calling service: for one that starts without saved state. -> [`Reply::Done`]
    CloseAll,
    /// Idempotent. Copies to lease 0; less at the end of the file, or where a page of the lease is missing. -> [`Reply::Count`]
    Read {
        /// Of what.
        file: FileId,
        /// From where.
        offset: u64,
        /// Bytes; at most [`MAX_TRANSFER`] are copied.
        length: u32,
    },
    /// Numbered. Copies from lease 0, all of it in one step, and clears the bits set-user-id and set-group-id unless the actor is root. -> [`Reply::Written`]
    Write {
        /// To what.
        file: FileId,
        /// Where to.
        at: WriteAt,
        /// Bytes; at most [`MAX_TRANSFER`] are copied.
        length: u32,
        /// Whether the writer is the superuser.
        privileged: bool,
    },
    /// Numbered. Sets the length. With an empty path no permission is checked: the caller's descriptor was. -> [`Reply::Done`]
    Truncate {
        /// What.
        #[serde(borrow)]
        at: At<'a>,
        /// For whom.
        actor: Actor,
        /// The new length.
        size: u64,
    },
    /// Idempotent. -> [`Reply::Attributes`]
    Stat {
        /// What.
        #[serde(borrow)]
        at: At<'a>,
        /// For whom.
        actor: Actor,
    },
    /// Numbered. -> [`Reply::Done`]
    SetAttributes {
        /// Of what.
        #[serde(borrow)]
        at: At<'a>,
        /// For whom.
        actor: Actor,
        /// What to set.
        change: Change,
    },
    /// Numbered. -> [`Reply::Made`]
    MakeDirectory {
        /// Where.
        #[serde(borrow)]
        at: At<'a>,
        /// For whom.
        actor: Actor,
        /// The twelve permission bits.
        permissions: u16,
    },
    /// Numbered. -> [`Reply::Done`]
    RemoveDirectory {
        /// What.
        #[serde(borrow)]
        at: At<'a>,
        /// For whom.
        actor: Actor,
    },
    /// Numbered. Removes a name of anything but a directory. -> [`Reply::Done`]
    Unlink {
        /// What.
        #[serde(borrow)]
        at: At<'a>,
        /// For whom.
        actor: Actor,
    },
    /// Numbered. The last part of either path is never followed. -> [`Reply::Done`]
    Rename {
        /// What.
        #[serde(borrow)]
        from: At<'a>,
        /// Where to.
        #[serde(borrow)]
        to: At<'a>,
        /// For whom.
        actor: Actor,
        /// What becomes of a file of the new name.
        mode: RenameMode,
    },
    /// Numbered. Gives a file one more name. -> [`Reply::Done`]
    Link {
        /// What.
        #[serde(borrow)]
        from: At<'a>,
        /// The new name.
        #[serde(borrow)]
        to: At<'a>,
        /// For whom.
        actor: Actor,
    },
    /// Numbered. -> [`Reply::Made`]
    MakeSymlink {
        /// Where.
        #[serde(borrow)]
        at: At<'a>,
        /// For whom.
        actor: Actor,
        /// What it says, 1 to [`MAX_PATH`] bytes.
        target: &'a [u8],
    },
    /// Idempotent. Copies what a symbolic link says to lease 0, as much as `length` allows. -> [`Reply::Count`]
    ReadSymlink {
        /// Which.
        #[serde(borrow)]
        at: At<'a>,
        /// For whom.
        actor: Actor,
        /// Size of the lease.
        length: u32,
    },
    /// Numbered. -> [`Reply::Made`]
    MakeNode {
        /// Where.
        #[serde(borrow)]
        at: At<'a>,
        /// For whom.
        actor: Actor,
        /// What.
        node: Node,
    },
    /// Idempotent. Copies whole records ([`encode_record`]) to lease 0. Entries that stay are seen once, whatever comes and goes meanwhile.
    /// [`Error::Invalid`] if the lease is too small for the next one. -> [`Reply::Listed`]
    ReadDirectory {
        /// Of what.
        directory: FileId,
        /// 0 for the start, else what a record or a reply said.
        cookie: u64,
        /// Size of the lease.
        length: u32,
    },
    /// Idempotent. -> [`Reply::Capacity`]
    Capacity,
    /// Idempotent. Whether the actor has all of `wanted` on it; 0 asks whether it is there. -> [`Reply::Done`]
    Access {
        /// What.
        #[serde(borrow)]
        at: At<'a>,
        /// For whom.
        actor: Actor,
        /// Permission bits.
        wanted: u8,
    },
    /// Idempotent. Where the pages of a file lie in vfs's REGION, to be shared into an address space; the caller holds the file open as long as they
    /// are. For writing, holes are filled and the file counts as modified. -> [`Reply::Mapped`]
    MapPages {
        /// Of what.
        file: FileId,
        /// The first page.
        first: u64,
        /// How many, 1 to [`MAX_MAPPED`].
        count: u8,
        /// Whether they will be written through the mapping.
        write: bool,
    },
    /// Idempotent. Copies the path of a file, seen from `root`, to lease 0. Of one that was removed while it was open: [`LOST`] and the path that it had, seen from the
    /// top, if that is known. [`Error::NotFound`] if it has no name there. -> [`Reply::Count`]
    PathOf {
        /// Of what.
        file: FileId,
        /// Where the path starts.
        root: FileId,
        /// Size of the lease; [`Error::Range`] if it is too small.
        length: u32,
    },
    /// Idempotent. Everything written is as safe as the file system makes it. -> [`Reply::Done`]
    Sync,
    /// Idempotent. Marks a directory as one that the caller answers for (`/proc`): walks that enter it by name stop with [`Error::Elsewhere`]. -> [`Reply::Done`]
    SetMount {
        /// Which directory.
        directory: FileId,
        /// Whether it is one.
        mounted: bool,
    },
    /// Idempotent. After [`Error::Elsewhere`]: walks the same place and copies the part of the path that is still to be walked from there to lease 0.
    /// -> [`Reply::Elsewhere`], or [`Reply::Done`] if the walk ends within vfs after all.
    Resolve {
        /// What.
        #[serde(borrow)]
        at: At<'a>,
        /// For whom.
        actor: Actor,
        /// Size of the lease; [`Error::Range`] if it is too small.
        length: u32,
    },
    /// Idempotent. Fills holes of a file with pages of zeros, beyond its end too; the length stays. -> [`Reply::Done`]
    Allocate {
        /// Of what.
        file: FileId,
        /// The first page.
        first: u64,
        /// How many, at most [`MAX_ALLOCATED`].
        count: u32,
    },
    /// Numbered. Makes a range of a file read as zeros, and gives its whole pages back; the length stays. -> [`Reply::Done`]
    Punch {
        /// In what.
        file: FileId,
        /// From where.
        offset: u64,
        /// Bytes, at least 1.
        length: u64,
        /// Whether the puncher is the superuser.
        privileged: bool,
    },
    /// Idempotent. The first byte from `offset` on that lies in a hole, or in data; the end of the file counts as a hole. -> [`Reply::Found`]
    Seek {
        /// In what.
        file: FileId,
        /// From where.
        offset: u64,
        /// Whether a hole is looked for.
        hole: bool,
    },
    /// Numbered. As [`Request::Open`], but the walk may not leave what [`Within`] says. -> [`Reply::Opened`]
    OpenWithin {
        /// What.
        #[serde(borrow)]
        at: At<'a>,
        /// For whom.
        actor: Actor,
        /// How.
        flags: OpenFlags,
        /// Permission bits of a file that is made.
        permissions: u16,
        /// Where the walk may lead.
        within: Within,
    },
    /// Idempotent. Takes back the opens that requests of a lane of the calling service made after the request `after`, and forgets their results: the thread
    /// that asked for them is gone and has not heard of them. -> [`Reply::Done`]
    TakeBack {
        /// The lane.
        lane: u16,
        /// The last request whose results the lane has used.
        after: u64,
    },
    /// Idempotent. Where a file's pages lie in REGION. The caller may copy from them until it asks for a change of the file or gives up its last open of it, and is told of
    /// no other's change: so this is for whoever hears of all of them. It may not map them: for that there is [`Request::MapPages`]. -> [`Reply::Located`]
    Locate {
        /// Of what.
        file: FileId,
        /// The first page.
        first: u64,
        /// How many, 1 to [`MAX_MAPPED`].
        count: u8,
    },
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// It is done.
    Done,
    /// It is open.
    Opened(Opened),
    /// It exists now.
    Made(FileId),
    /// So many bytes were copied to the lease.
    Count(u32),
    /// So many bytes were copied from the lease; the file offset after them.
    Written {
        /// Bytes.
        count: u32,
        /// The offset after the last one.
        end: u64,
    },
    /// What it is like.
    Attributes(Attributes),
    /// Directory records were copied.
    Listed {
        /// Bytes of records; 0 at the end.
        count: u32,
        /// Where to go on.
        next: u64,
    },
    /// Totals.
    Capacity(Totals),
    /// For each page asked for, up to the end of the file: its page in REGION, or nothing for a hole (all zeros).
    Mapped(Pages),
    /// The walk goes on in what the caller answers for.
    Elsewhere {
        /// The directory marked by [`Request::SetMount`].
        mount: FileId,
        /// Bytes of the remaining path, without leading slash; a trailing one is kept.
        count: u32,
    },
    /// A place in a file; nothing if there is none before its end.
    Found(Option<u64>),
    /// As [`Reply::Mapped`], and the file's length.
    Located {
        /// Bytes.
        size: u64,
        /// Its pages.
        pages: Pages,
    },
}

impl Request<'_> {
    /// Whether it is done once for its number.
    #[must_use]
    pub const fn is_numbered(&self) -> bool {
        matches!(
            self,
            Self::Open { .. }
                | Self::Hold(_)
                | Self::Close(_)
                | Self::Write { .. }
                | Self::Truncate { .. }
                | Self::SetAttributes { .. }
                | Self::MakeDirectory { .. }
                | Self::RemoveDirectory { .. }
                | Self::Unlink { .. }
                | Self::Rename { .. }
                | Self::Link { .. }
                | Self::MakeSymlink { .. }
                | Self::MakeNode { .. }
                | Self::Punch { .. }
                | Self::OpenWithin { .. }
        )
    }
}

/// The other side. One method, not one for each request: all requests pass the same gate (duplicate check, pending, commit) before they part.
pub trait Service {
    /// Answers one request of `caller`.
    ///
    /// # Errors
    /// [`Error`].
    fn answer(&mut self, caller: &mut dyn Caller, request: &Request<'_>) -> Result<Reply, Error>;
}

/// Decodes a request, has `service` answer it, encodes the result.
pub fn serve(service: &mut impl Service, caller: &mut dyn Caller, request: &[u8], reply: &mut [u8]) -> Answer {
    dispatch(request, reply, Error::Malformed, |request: &Request<'_>| service.answer(caller, request))
}
