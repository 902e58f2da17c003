//! The client: a method for each request, which checks that the reply is of the kind that belongs to it.

use abi::{Lease, RequestNumber};

use super::{
    Actor, At, Attributes, Change, Error, FileId, MAX_REPLY, Node, OpenFlags, Opened, Pages, RenameMode, Reply, Request, Totals, Within, WriteAt,
};
use crate::call::{CallError, Carrier, call_within};

/// What every method returns.
pub type Outcome<T> = Result<T, CallError<Error>>;

/// Calls vfs.
#[derive(Debug)]
pub struct Client<C>(pub C);

impl<C: Carrier> Client<C> {
    /// Asks, and picks what it wanted out of the reply, which is too long to be handed around.
    fn ask<T>(&mut self, number: RequestNumber, request: &Request<'_>, leases: &[Lease], pick: impl FnOnce(&Reply) -> Option<T>) -> Outcome<T> {
        call_within::<MAX_REPLY, _, _, _, _>(&mut self.0, number, request, leases, &[], pick)
    }

    fn done(&mut self, number: RequestNumber, request: &Request<'_>) -> Outcome<()> {
        self.ask(number, request, &[], |reply| match *reply {
            Reply::Done => Some(()),
            _ => None,
        })
    }

    fn made(&mut self, number: RequestNumber, request: &Request<'_>) -> Outcome<FileId> {
        self.ask(number, request, &[], |reply| match *reply {
            Reply::Made(file) => Some(file),
            _ => None,
        })
    }

    fn count(&mut self, number: RequestNumber, request: &Request<'_>, lease: Lease) -> Outcome<u32> {
        self.ask(number, request, &[lease], |reply| match *reply {
            Reply::Count(count) => Some(count),
            _ => None,
        })
    }

    /// [`Request::Open`].
    ///
    /// # Errors
    /// [`Error`].
    pub fn open(&mut self, number: RequestNumber, at: At<'_>, actor: &Actor, flags: OpenFlags, permissions: u16) -> Outcome<Opened> {
        self.ask(number, &Request::Open { at, actor: actor.clone(), flags, permissions }, &[], |reply| match *reply {
            Reply::Opened(opened) => Some(opened),
            _ => None,
        })
    }

    /// [`Request::Hold`].
    ///
    /// # Errors
    /// [`Error`].
    pub fn hold(&mut self, number: RequestNumber, file: FileId) -> Outcome<()> {
        self.done(number, &Request::Hold(file))
    }

    /// [`Request::Close`].
    ///
    /// # Errors
    /// [`Error`].
    pub fn close(&mut self, number: RequestNumber, file: FileId) -> Outcome<()> {
        self.done(number, &Request::Close(file))
    }

    /// [`Request::CloseAll`].
    ///
    /// # Errors
    /// [`Error`].
    pub fn close_all(&mut self, number: RequestNumber) -> Outcome<()> {
        self.done(number, &Request::CloseAll)
    }

    /// [`Request::Read`] into `lease`; the bytes read.
    ///
    /// # Errors
    /// [`Error`].
    pub fn read(&mut self, number: RequestNumber, file: FileId, offset: u64, length: u32, lease: Lease) -> Outcome<u32> {
        self.count(number, &Request::Read { file, offset, length }, lease)
    }

    /// [`Request::Write`] from `lease`; the bytes written and the offset after them.
    ///
    /// # Errors
    /// [`Error`].
    pub fn write(&mut self, number: RequestNumber, file: FileId, at: WriteAt, length: u32, privileged: bool, lease: Lease) -> Outcome<(u32, u64)> {
        self.ask(number, &Request::Write { file, at, length, privileged }, &[lease], |reply| match *reply {
            Reply::Written { count, end } => Some((count, end)),
            _ => None,
        })
    }

    /// [`Request::Truncate`].
    ///
    /// # Errors
    /// [`Error`].
    pub fn truncate(&mut self, number: RequestNumber, at: At<'_>, actor: &Actor, size: u64) -> Outcome<()> {
        self.done(number, &Request::Truncate { at, actor: actor.clone(), size })
    }

    /// [`Request::Stat`].
    ///
    /// # Errors
    /// [`Error`].
    pub fn stat(&mut self, number: RequestNumber, at: At<'_>, actor: &Actor) -> Outcome<Attributes> {
        self.ask(number, &Request::Stat { at, actor: actor.clone() }, &[], |reply| match *reply {
            Reply::Attributes(attributes) => Some(attributes),
            _ => None,
        })
    }

    /// [`Request::SetAttributes`].
    ///
    /// # Errors
    /// [`Error`].
    pub fn set_attributes(&mut self, number: RequestNumber, at: At<'_>, actor: &Actor, change: Change) -> Outcome<()> {
        self.done(number, &Request::SetAttributes { at, actor: actor.clone(), change })
    }

    /// [`Request::MakeDirectory`].
    ///
    /// # Errors
    /// [`Error`].
    pub fn make_directory(&mut self, number: RequestNumber, at: At<'_>, actor: &Actor, permissions: u16) -> Outcome<FileId> {
        self.made(number, &Request::MakeDirectory { at, actor: actor.clone(), permissions })
    }

    /// [`Request::RemoveDirectory`].
    ///
    /// # Errors
    /// [`Error`].
    pub fn remove_directory(&mut self, number: RequestNumber, at: At<'_>, actor: &Actor) -> Outcome<()> {
        self.done(number, &Request::RemoveDirectory { at, actor: actor.clone() })
    }

    /// [`Request::Unlink`].
    ///
    /// # Errors
    /// [`Error`].
    pub fn unlink(&mut self, number: RequestNumber, at: At<'_>, actor: &Actor) -> Outcome<()> {
        self.done(number, &Request::Unlink { at, actor: actor.clone() })
    }

    /// [`Request::Rename`].
    ///
    /// # Errors
    /// [`Error`].
    pub fn rename(&mut self, number: RequestNumber, from: At<'_>, to: At<'_>, actor: &Actor, mode: RenameMode) -> Outcome<()> {
        self.done(number, &Request::Rename { from, to, actor: actor.clone(), mode })
    }

    /// [`Request::Link`].
    ///
    /// # Errors
    /// [`Error`].
    pub fn link(&mut self, number: RequestNumber, from: At<'_>, to: At<'_>, actor: &Actor) -> Outcome<()> {
        self.done(number, &Request::Link { from, to, actor: actor.clone() })
    }

    /// [`Request::MakeSymlink`].
    ///
    /// # Errors
    /// [`Error`].
    pub fn make_symlink(&mut self, number: RequestNumber, at: At<'_>, actor: &Actor, target: &[u8]) -> Outcome<FileId> {
        self.made(number, &Request::MakeSymlink { at, actor: actor.clone(), target })
    }

    /// [`Request::ReadSymlink`] into `lease`; the bytes copied.
    ///
    /// # Errors
    /// [`Error`].
    pub fn read_symlink(&mut self, number: RequestNumber, at: At<'_>, actor: &Actor, length: u32, lease: Lease) -> Outcome<u32> {
        self.count(number, &Request::ReadSymlink { at, actor: actor.clone(), length }, lease)
    }

    /// [`Request::MakeNode`].
    ///
    /// # Errors
    /// [`Error`].
    pub fn make_node(&mut self, number: RequestNumber, at: At<'_>, actor: &Actor, node: Node) -> Outcome<FileId> {
        self.made(number, &Request::MakeNode { at, actor: actor.clone(), node })
    }

    /// [`Request::ReadDirectory`] into `lease`; the bytes of records and the cookie to go on with.
    ///
    /// # Errors
    /// [`Error`].
    pub fn read_directory(&mut self, number: RequestNumber, directory: FileId, cookie: u64, length: u32, lease: Lease) -> Outcome<(u32, u64)> {
        self.ask(number, &Request::ReadDirectory { directory, cookie, length }, &[lease], |reply| match *reply {
            Reply::Listed { count, next } => Some((count, next)),
            _ => None,
        })
    }

    /// [`Request::Capacity`].
    ///
    /// # Errors
    /// [`Error`].
    pub fn capacity(&mut self, number: RequestNumber) -> Outcome<Totals> {
        self.ask(number, &Request::Capacity, &[], |reply| match *reply {
            Reply::Capacity(totals) => Some(totals),
            _ => None,
        })
    }

    /// [`Request::Access`].
    ///
    /// # Errors
    /// [`Error`].
    pub fn access(&mut self, number: RequestNumber, at: At<'_>, actor: &Actor, wanted: u8) -> Outcome<()> {
        self.done(number, &Request::Access { at, actor: actor.clone(), wanted })
    }

    /// [`Request::MapPages`].
    ///
    /// # Errors
    /// [`Error`].
    pub fn map_pages(&mut self, number: RequestNumber, file: FileId, first: u64, count: u8, write: bool) -> Outcome<Pages> {
        self.ask(number, &Request::MapPages { file, first, count, write }, &[], |reply| match reply {
            Reply::Mapped(pages) => Some(pages.clone()),
            _ => None,
        })
    }

    /// [`Request::Locate`]; the file's length and its pages.
    ///
    /// # Errors
    /// [`Error`].
    pub fn locate(&mut self, number: RequestNumber, file: FileId, first: u64, count: u8) -> Outcome<(u64, Pages)> {
        self.ask(number, &Request::Locate { file, first, count }, &[], |reply| match reply {
            Reply::Located { size, pages } => Some((*size, pages.clone())),
            _ => None,
        })
    }

    /// [`Request::PathOf`] into `lease`; the bytes copied.
    ///
    /// # Errors
    /// [`Error`].
    pub fn path_of(&mut self, number: RequestNumber, file: FileId, root: FileId, length: u32, lease: Lease) -> Outcome<u32> {
        self.count(number, &Request::PathOf { file, root, length }, lease)
    }

    /// [`Request::Sync`].
    ///
    /// # Errors
    /// [`Error`].
    pub fn sync(&mut self, number: RequestNumber) -> Outcome<()> {
        self.done(number, &Request::Sync)
    }

    /// [`Request::SetMount`].
    ///
    /// # Errors
    /// [`Error`].
    pub fn set_mount(&mut self, number: RequestNumber, directory: FileId, mounted: bool) -> Outcome<()> {
        self.done(number, &Request::SetMount { directory, mounted })
    }

    /// [`Request::Resolve`] into `lease`: the mount that the walk entered and the bytes of the remaining path, if it entered one.
    ///
    /// # Errors
    /// [`Error`].
    pub fn resolve(&mut self, number: RequestNumber, at: At<'_>, actor: &Actor, length: u32, lease: Lease) -> Outcome<Option<(FileId, u32)>> {
        self.ask(number, &Request::Resolve { at, actor: actor.clone(), length }, &[lease], |reply| match *reply {
            Reply::Elsewhere { mount, count } => Some(Some((mount, count))),
            Reply::Done => Some(None),
            _ => None,
        })
    }

    /// [`Request::Allocate`].
    ///
    /// # Errors
    /// [`Error`].
    pub fn allocate(&mut self, number: RequestNumber, file: FileId, first: u64, count: u32) -> Outcome<()> {
        self.done(number, &Request::Allocate { file, first, count })
    }

    /// [`Request::Punch`].
    ///
    /// # Errors
    /// [`Error`].
    pub fn punch(&mut self, number: RequestNumber, file: FileId, offset: u64, length: u64, privileged: bool) -> Outcome<()> {
        self.done(number, &Request::Punch { file, offset, length, privileged })
    }

    /// [`Request::Seek`].
    ///
    /// # Errors
    /// [`Error`].
    pub fn seek(&mut self, number: RequestNumber, file: FileId, offset: u64, hole: bool) -> Outcome<Option<u64>> {
        self.ask(number, &Request::Seek { file, offset, hole }, &[], |reply| match *reply {
            Reply::Found(place) => Some(place),
            _ => None,
        })
    }

    /// [`Request::OpenWithin`].
    ///
    /// # Errors
    /// [`Error`].
    pub fn open_within(
        &mut self,
        number: RequestNumber,
        at: At<'_>,
        actor: &Actor,
        flags: OpenFlags,
        permissions: u16,
        within: Within,
    ) -> Outcome<Opened> {
        self.ask(number, &Request::OpenWithin { at, actor: actor.clone(), flags, permissions, within }, &[], |reply| match *reply {
            Reply::Opened(opened) => Some(opened),
            _ => None,
        })
    }

    /// [`Request::TakeBack`].
    ///
    /// # Errors
    /// [`Error`].
    pub fn take_back(&mut self, number: RequestNumber, lane: u16, after: u64) -> Outcome<()> {
        self.done(number, &Request::TakeBack { lane, after })
    }
}
