//! `readlink`, `readlinkat`.

use alloc::format;
use alloc::vec::Vec;

use protocols::vfs::{At, FileId, LOST, MAX_PATH};

use crate::call::{Call, Stop, SysResult, vfs_stop};
use crate::errno::Errno;
use crate::fd::FOREIGN;
use crate::proc::Entry;
use crate::syscall::memfd_create::shown_name;

/// What a link says.
pub fn sys_readlink(call: &mut Call<'_, '_>) -> SysResult {
    let [_, to, length, ..] = call.arguments;
    let path = call.path_argument(0)?;
    read(call, -100i64 as u64, &path, to, length)
}

/// What a link seen from a directory says; an empty path is the link that the descriptor is of.
pub fn sys_readlinkat(call: &mut Call<'_, '_>) -> SysResult {
    let [directory, path, to, length, ..] = call.arguments;
    let path = call.read_path(path)?;
    read(call, directory, &path, to, length)
}

/// Where a link's text is.
enum Found {
    InBuffer(u32),
    Text(Vec<u8>),
}

fn read(call: &mut Call<'_, '_>, directory: u64, path: &[u8], to: u64, length: u64) -> SysResult {
    if length as i32 <= 0 {
        return Err(Errno::EINVAL.into());
    }
    let start = call.start_of(directory, path)?;
    let number = call.ask();
    let mut buffer = alloc::vec![1; MAX_PATH];
    let lease = call.posix.kernel.lend_mut(&mut buffer);
    let found = call.at(
        start,
        path,
        false,
        |call, at, actor| call.posix.vfs_to_ask().read_symlink(number, at, actor, MAX_PATH as u32, lease).map(Found::InBuffer),
        |call, entry| call.proc_link(entry).map(Found::Text),
    )?;
    let target = match found {
        Found::Text(target) => target,
        Found::InBuffer(count) => {
            buffer.truncate(count as usize);
            buffer
        }
    };
    let length = target.len().min(length as usize);
    call.write(to, target.get(..length).unwrap_or_default())?;
    Ok(length as u64)
}

impl Call<'_, '_> {
    /// The path of a file or directory as it is shown: one without a name as Linux does (proc(5)). Programs look for themselves under it, and count on its slash.
    ///
    /// # Errors
    /// What vfs says.
    pub fn path_of(&mut self, id: FileId) -> Result<Vec<u8>, Stop> {
        let path = match self.path_or_lost(id) {
            Err(Stop::Errno(Errno::ENOENT)) => format!("{}/#{}", char::from(LOST), id.inode).into_bytes(),
            other => other?,
        };
        match path.split_first() {
            Some((&LOST, lost)) => Ok([&shown_name(lost), b" (deleted)".as_slice()].concat()),
            _ => Ok(path),
        }
    }

    /// The path of a file or directory, or [`LOST`] and the one that it had.
    ///
    /// # Errors
    /// What vfs says; `ENOENT` for one that never had a name.
    pub fn path_or_lost(&mut self, id: FileId) -> Result<Vec<u8>, Stop> {
        if id.inode & FOREIGN != 0 {
            return Ok(crate::proc::path_of(Entry::from_id(id)));
        }
        let root = self.posix.node_id(self.me().root);
        let number = self.ask();
        let mut buffer = alloc::vec![1; 4096];
        let lease = self.posix.kernel.lend_mut(&mut buffer);
        let count = self.posix.vfs_to_ask().path_of(number, id, root, 4096, lease).map_err(vfs_stop)?;
        buffer.truncate(count as usize);
        Ok(buffer)
    }

    /// Whether a place is there.
    ///
    /// # Errors
    /// What vfs says.
    pub fn check_place(&mut self, at: At<'_>) -> Result<(), Stop> {
        let (number, actor) = (self.ask(), self.actor());
        self.posix.vfs_to_ask().access(number, at, &actor, 0).map_err(vfs_stop)
    }
}
