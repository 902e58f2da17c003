//! Paths that leave vfs: what lies under a directory that posix answers for.
//!
//! vfs walks; where a walk enters /proc or /dev/pts it says so and tells the rest of the path, which [`crate::proc`] walks. That walk may come back: `/proc/self/cwd/x` goes on
//! in vfs. Each round trip is bounded, as links are.

use alloc::vec;
use alloc::vec::Vec;

use abi::RequestNumber;
use protocols::call::CallError;
use protocols::vfs::{self, Actor, At, FileId, MAX_PATH};

use crate::call::{ASK, Call, Stop, vfs_stop};
use crate::devpts;
use crate::errno::Errno;
use crate::fd::{FOREIGN, kind};
use crate::proc::{self, Entry, Walked};
use crate::saved::Process;
use crate::server::Posix;

/// `AT_FDCWD`.
const CURRENT_DIRECTORY: u32 = -100i32 as u32;

/// Where a path leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// To a place in vfs.
    Vfs {
        /// Where to start.
        start: FileId,
        /// The rest of the path.
        rest: Vec<u8>,
    },
    /// To something under /proc.
    Proc(Entry),
}

impl Process {
    /// On whose behalf vfs walks.
    #[must_use]
    pub fn actor(&self, root: FileId) -> Actor {
        let count = (self.group_count as usize).min(self.groups.len());
        let groups = self.groups.iter().copied().take(count).collect();
        Actor { uid: self.uid[3], gid: self.gid[3], groups, root }
    }
}

impl Posix<'_> {
    /// Where a path leads that vfs refused with [`vfs::Error::Elsewhere`]; any other refusal is passed on.
    ///
    /// # Errors
    /// The refusal, or that of the walk through /proc.
    pub fn leaves_vfs(
        &mut self,
        error: CallError<vfs::Error>,
        at: At<'_>,
        actor: &Actor,
        process: usize,
        number: RequestNumber,
    ) -> Result<Target, Stop> {
        let CallError::Service(vfs::Error::Elsewhere(_)) = error else { return Err(vfs_stop(error)) };
        let mut buffer = vec![1; MAX_PATH];
        let lease = self.kernel.lend_mut(&mut buffer);
        let resolved = self.vfs_to_ask().resolve(number.with_step(ASK), at, actor, MAX_PATH as u32, lease).map_err(vfs_stop)?;
        let Some((mount, length)) = resolved else { return Err(Errno::ENOENT.into()) };
        buffer.truncate(length as usize);
        let entered = if mount == self.store.globals().devpts.into() { Entry::Devpts(devpts::Place::Root) } else { Entry::Root };
        self.walk_proc(entered, &buffer, at.follow, process)
    }

    /// Walks a path from a place in /proc.
    ///
    /// # Errors
    /// `ENOENT`, `ENOTDIR`, `EACCES`.
    pub fn walk_proc(&mut self, from: Entry, rest: &[u8], follow: bool, process: usize) -> Result<Target, Stop> {
        match proc::walk(self, from, rest, follow, process)? {
            Walked::Entry(entry) => Ok(Target::Proc(entry)),
            Walked::Vfs { start, rest } => Ok(Target::Vfs { start, rest }),
        }
    }
}

impl Call<'_, '_> {
    /// The caller as vfs sees it.
    #[must_use]
    pub fn actor(&self) -> Actor {
        let me = self.me();
        let root = self.posix.node_id(me.root);
        me.actor(root)
    }

    /// Where a path that is relative to a descriptor starts.
    ///
    /// # Errors
    /// `EBADF`, `ENOTDIR`.
    pub fn start_of(&self, directory: u64, path: &[u8]) -> Result<FileId, Errno> {
        if path.first() == Some(&b'/') || directory as u32 == CURRENT_DIRECTORY {
            return Ok(self.posix.node_id(self.me().directory));
        }
        let (_, file) = self.posix.place_of(self.process, directory)?;
        match file.kind {
            kind::PROC => Ok(Entry::from_file(&file).to_id()),
            _ if file.node != 0 => {
                if !path.is_empty() && file.kind != kind::DIRECTORY && file.kind != kind::PLACE {
                    return Err(Errno::ENOTDIR);
                }
                Ok(self.posix.node_id(file.node))
            }
            _ => Err(Errno::ENOTDIR),
        }
    }

    /// Does something at a place: in vfs, or, where the path leads there, in /proc.
    ///
    /// # Errors
    /// What either says.
    pub fn at<T>(
        &mut self,
        start: FileId,
        path: &[u8],
        follow: bool,
        in_vfs: impl Fn(&mut Self, At<'_>, &Actor) -> Result<T, CallError<vfs::Error>>,
        in_proc: impl Fn(&mut Self, Entry) -> Result<T, Stop>,
    ) -> Result<T, Stop> {
        let actor = self.actor();
        if path.len() > MAX_PATH {
            return Err(Errno::ENAMETOOLONG.into());
        }
        let in_vfs_or_on = |call: &mut Self, at: At<'_>| match in_vfs(call, at, &actor) {
            Ok(value) => Ok(Ok(value)),
            Err(error) => call.posix.leaves_vfs(error, at, &actor, call.process, call.number).map(Err),
        };
        let mut tried = if start.inode & FOREIGN != 0 && path.first() != Some(&b'/') {
            Err(self.posix.walk_proc(Entry::from_id(start), path, follow, self.process)?)
        } else {
            let start = if start.inode & FOREIGN != 0 { vfs::ROOT } else { start };
            in_vfs_or_on(self, At { start, path, follow })?
        };
        for _ in 0..8 {
            tried = match tried {
                Ok(value) => return Ok(value),
                Err(Target::Proc(entry)) => return in_proc(self, entry),
                Err(Target::Vfs { start, rest }) => in_vfs_or_on(self, At { start, path: &rest, follow })?,
            }
        }
        Err(Errno::ELOOP.into())
    }

    /// As [`Call::at`], for what cannot be done in /proc.
    ///
    /// # Errors
    /// What vfs says; `EPERM` in /proc.
    pub fn at_vfs<T>(
        &mut self,
        start: FileId,
        path: &[u8],
        follow: bool,
        in_vfs: impl Fn(&mut Self, At<'_>, &Actor) -> Result<T, CallError<vfs::Error>>,
    ) -> Result<T, Stop> {
        self.at(start, path, follow, in_vfs, |_, _| Err(Errno::EPERM.into()))
    }

    /// A path argument that may not be empty.
    ///
    /// # Errors
    /// `ENOENT`, `EFAULT`, `ENAMETOOLONG`.
    pub fn path_argument(&mut self, index: usize) -> Result<Vec<u8>, Stop> {
        let path = self.read_path(self.arguments[index])?;
        if path.is_empty() { Err(Errno::ENOENT.into()) } else { Ok(path) }
    }
}
