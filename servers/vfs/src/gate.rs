//! The gate that every request passes: who asks, was it done before, the attempt, the commit, the work left over.
//!
//! [`Vfs::new`] is start and restart alike: it makes the root if there is none, checks what a predecessor left, finishes what it left undone, and unpacks
//! the root file system unless that was done.

use alloc::vec::Vec;

use libsys::lane::Verdict;
use libsys::saved::{Area, Opened, Transaction};
use protocols::serve::{Answer, Caller, Serve};
use protocols::service::Badge;
use protocols::vfs::{self, Error, Kind, ROOT, Reply, Request, Service, Within, WriteAt};
use protocols::wire;

use crate::attempt::{Attempt, Lent};
use crate::check::{Damage, check};
use crate::data::pages_wanted;
use crate::fail::Points;
use crate::host::Host;
use crate::inode::{Inode, OPENERS};
use crate::open::opener;
use crate::ready::Readiness;
use crate::saved::State;
use crate::settle::{give_back, settle};
use crate::unpack::{UnpackError, unpack};

/// Permission bits of the root directory, unless the archive says otherwise.
const ROOT_PERMISSIONS: u16 = 0o755;
/// Files looked at in one transaction when a service forgets all its opens.
const CLOSED_AT_ONCE: u32 = 256;

/// Why vfs cannot serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartError {
    /// What a predecessor left contradicts itself.
    Damaged(Damage),
    /// The root file system cannot be unpacked.
    Unpack(UnpackError),
    /// The saved state cannot be changed.
    State(Error),
}

impl core::fmt::Display for StartError {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Damaged(damage) => write!(formatter, "the saved state is damaged: {damage}"),
            Self::Unpack(error) => write!(formatter, "the root file system cannot be unpacked: {error}"),
            Self::State(error) => write!(formatter, "the saved state cannot be changed: {error}"),
        }
    }
}

/// The server.
pub struct Vfs<H> {
    area: &'static Area<State>,
    host: H,
    ready: Readiness,
}

impl<H: Host> Vfs<H> {
    /// Starts, or goes on where a predecessor died. `archive` is the root file system, a cpio archive; empty: none.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn new(area: &'static Area<State>, opened: Opened, host: H, ready: Readiness, archive: &[u8]) -> Result<Self, StartError> {
        let mut vfs = Self { area, host, ready };
        vfs.make_root().map_err(StartError::State)?;
        settle(area, &mut vfs.host).map_err(StartError::State)?;
        if opened != Opened::Fresh {
            check(area.state()).map_err(StartError::Damaged)?;
        }
        if area.state().unpacked.get() == 0 {
            unpack(&mut vfs, archive).map_err(StartError::Unpack)?;
        }
        Ok(vfs)
    }

    /// What survives.
    #[must_use]
    pub const fn state(&self) -> &'static State {
        self.area.state()
    }

    /// Tells every service above that it may ask again.
    pub fn signal_all(&mut self) {
        for service in (0..=u8::MAX).filter(|service| opener(*service).is_ok()) {
            self.host.signal_ready(service);
        }
    }

    fn make_root(&mut self) -> Result<(), Error> {
        if self.state().inode_pool.live() != 0 {
            return Ok(());
        }
        let mut root = Inode { kind: Kind::Directory as u8, permissions: ROOT_PERMISSIONS, links: 2, ..Inode::default() };
        root.set_accessed(self.host.now());
        root.touch(self.host.now());
        let tx = self.area.begin();
        let (number, made) = self.state().make_inode(&tx, &Inode { parent: ROOT.inode, ..root })?;
        if (number, made.generation) != (ROOT.inode, ROOT.generation) {
            return Err(Error::Damaged);
        }
        tx.commit();
        Ok(())
    }

    /// Runs `work`, which takes at most `wanted` pages, in one transaction on vfs's own account. What is needed is there.
    ///
    /// # Errors
    /// Of `work`.
    pub(crate) fn transact<T>(&mut self, wanted: u32, work: impl FnOnce(&mut Attempt<'_, H>) -> Result<T, Error>) -> Result<T, Error> {
        let room = if wanted == 0 { 0 } else { self.host.room(wanted) };
        let tx = self.area.begin();
        let now = self.host.now();
        let ready = &mut Readiness::default();
        let opener = OPENERS;
        let result = work(&mut Attempt {
            state: self.area.state(),
            tx: &tx,
            host: &mut self.host,
            ready,
            now,
            opener,
            room,
            rest: Vec::new(),
            within: Within::default(),
        })?;
        tx.commit();
        settle(self.area, &mut self.host)?;
        Ok(result)
    }

    fn attempt(&mut self, caller: &mut dyn Caller, request: &Request<'_>, opener: usize, points: Points) -> Result<Reply, Error> {
        debug_assert_eq!(points.are_there(), request.is_numbered(), "what is done once has failpoints: {request:?}");
        points.intent();
        let wanted = pages_wanted(request);
        let room = if wanted == 0 { 0 } else { self.host.room(wanted) };
        let tx = self.area.begin();
        let now = self.host.now();
        let (state, host, ready) = (self.area.state(), &mut self.host, &mut self.ready);
        let mut attempt = Attempt { state, tx: &tx, host, ready, now, opener, room, rest: Vec::new(), within: Within::default() };
        let reply = run(&mut attempt, caller, request)?;
        assert!(is_possible(request, &reply), "{reply:?} is no answer to {request:?}");
        points.effect();
        if request.is_numbered() {
            record(state, &tx, caller, &reply)?;
        }
        points.record();
        tx.commit();
        settle(self.area, &mut self.host)?;
        points.reply();
        Ok(reply)
    }

    fn close_all(&mut self, opener: usize) -> Result<Reply, Error> {
        let highest = self.state().inode_pool.highest();
        for first in (1..=highest).step_by(CLOSED_AT_ONCE as usize) {
            self.transact(0, |attempt| {
                attempt.opener = opener;
                attempt.close_some(first, CLOSED_AT_ONCE)
            })?;
        }
        Ok(Reply::Done)
    }
}

impl<H: Host> Service for Vfs<H> {
    fn answer(&mut self, caller: &mut dyn Caller, request: &Request<'_>) -> Result<Reply, Error> {
        let service = Badge::from_word(caller.badge()).service;
        let opener = opener(service)?;
        if request.is_numbered() {
            match self.state().results.check(caller.number()) {
                Verdict::Fresh => {}
                Verdict::Done(result) => return wire::decode(&result).map_err(|_| Error::Damaged),
                Verdict::Stale => return Err(Error::Outdated),
            }
        }
        if let Request::CloseAll = request {
            return self.close_all(opener);
        }
        let points = Points::of(request);
        let result = match self.attempt(caller, request, opener, points) {
            // Free pages that programs still share become usable when their memory is given back.
            Err(Error::NoSpace) if give_back(self.area, &mut self.host) => self.attempt(caller, request, opener, points),
            result => result,
        };
        if let Err(Error::Pending(_)) = result {
            // What is missing is there at the next attempt: nothing really had to be fetched.
            self.host.signal_ready(service);
        }
        result
    }
}

impl<H: Host> Serve for Vfs<H> {
    fn serve(&mut self, caller: &mut dyn Caller, request: &[u8], reply: &mut [u8]) -> Answer {
        vfs::serve(self, caller, request, reply)
    }
}

impl<H: Host> libsys::serve::Server for Vfs<H> {}

fn record(state: &State, tx: &Transaction<'_>, caller: &dyn Caller, reply: &Reply) -> Result<(), Error> {
    let mut bytes = [0; libsys::lane::MAX_RESULT];
    let length = wire::encode(reply, &mut bytes).map_err(|_| Error::Damaged)?;
    let bytes = bytes.get(..length).ok_or(Error::Damaged)?;
    state.results.record(tx, caller.number(), bytes).map_err(|_| Error::NoSpace)
}

/// Whether an answer can be one to this request. What is recorded is answered for ever, so an instance that is not what its source says must end before.
fn is_possible(request: &Request<'_>, reply: &Reply) -> bool {
    match (request, reply) {
        (Request::Read { length, .. }, Reply::Count(count)) => count <= length,
        (Request::Write { at, length, .. }, Reply::Written { count, end }) => {
            count <= length && !matches!(at, WriteAt::Offset(offset) if *end != offset.saturating_add(u64::from(*count)))
        }
        _ => true,
    }
}

/// Which function does what.
fn run<H: Host>(attempt: &mut Attempt<'_, H>, caller: &mut dyn Caller, request: &Request<'_>) -> Result<Reply, Error> {
    match request {
        Request::Open { at, actor, flags, permissions } => attempt.open(at, actor, *flags, *permissions),
        Request::OpenWithin { at, actor, flags, permissions, within } => attempt.open_within(at, actor, *flags, *permissions, *within),
        Request::Allocate { file, first, count } => attempt.allocate(*file, *first, *count),
        Request::Punch { file, offset, length, privileged } => attempt.punch(*file, *offset, *length, *privileged),
        Request::Seek { file, offset, hole } => attempt.seek(*file, *offset, *hole),
        Request::TakeBack { lane, after } => attempt.take_back(caller.number().service(), *lane, *after),
        Request::Hold(file) => attempt.hold(*file),
        Request::Close(file) => attempt.close(*file),
        Request::CloseAll | Request::Sync => Ok(Reply::Done),
        Request::Read { file, offset, length } => attempt.read(caller, *file, *offset, *length),
        Request::Write { file, at, length, privileged } => attempt.write(&mut Lent(caller), *file, *at, *length, *privileged),
        Request::Truncate { at, actor, size } => attempt.truncate(at, actor, *size),
        Request::Stat { at, actor } => attempt.stat(at, actor),
        Request::SetAttributes { at, actor, change } => attempt.set_attributes(at, actor, change),
        Request::MakeDirectory { at, actor, permissions } => attempt.make_directory(at, actor, *permissions),
        Request::RemoveDirectory { at, actor } => attempt.remove_directory(at, actor),
        Request::Unlink { at, actor } => attempt.unlink(at, actor),
        Request::Rename { from, to, actor, mode } => attempt.rename(from, to, actor, *mode),
        Request::Link { from, to, actor } => attempt.link(from, to, actor),
        Request::MakeSymlink { at, actor, target } => attempt.make_symlink(at, actor, target),
        Request::ReadSymlink { at, actor, length } => attempt.read_symlink(caller, at, actor, *length),
        Request::MakeNode { at, actor, node } => attempt.make_node(at, actor, *node),
        Request::ReadDirectory { directory, cookie, length } => attempt.read_directory(caller, *directory, *cookie, *length),
        Request::Capacity => Ok(attempt.capacity()),
        Request::Access { at, actor, wanted } => attempt.access(at, actor, *wanted),
        Request::MapPages { file, first, count, write } => attempt.map_pages(*file, *first, *count, *write),
        Request::Locate { file, first, count } => attempt.locate(*file, *first, *count),
        Request::PathOf { file, root, length } => attempt.path_of(caller, *file, *root, *length),
        Request::SetMount { directory, mounted } => attempt.set_mount(*directory, *mounted),
        Request::Resolve { at, actor, length } => attempt.resolve(caller, at, actor, *length),
    }
}

#[cfg(test)]
mod tests {
    use super::is_possible;
    use protocols::vfs::{ROOT, Reply, Request, WriteAt};

    #[test]
    fn no_more_is_transferred_than_was_asked_for_and_nowhere_else() {
        let read = Request::Read { file: ROOT, offset: 0, length: 8 };
        assert!([0, 7, 8].into_iter().all(|count| is_possible(&read, &Reply::Count(count))));
        assert!(!is_possible(&read, &Reply::Count(9)));
        let write = |at, count, end| is_possible(&Request::Write { file: ROOT, at, length: 8, privileged: false }, &Reply::Written { count, end });
        assert!(write(WriteAt::Offset(3), 8, 11) && write(WriteAt::End, 8, 100));
        assert!(!write(WriteAt::Offset(3), 8, 10) && !write(WriteAt::Offset(3), 9, 12) && !write(WriteAt::End, 9, 100));
    }
}
