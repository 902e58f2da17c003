//! Making, removing and renaming: `mkdir`, `rmdir`, `unlink`, `link`, `symlink`, `rename`, `mknod`, and their `at` forms.

use alloc::vec::Vec;

use protocols::vfs::{FileId, Kind, Node, RenameMode};

use crate::call::{Call, Stop, SysResult};
use crate::errno::Errno;
use crate::proc::Entry;

const CURRENT: u64 = -100i64 as u64;
const AT_REMOVEDIR: u64 = 0x200;
const AT_SYMLINK_FOLLOW: u64 = 0x400;
const AT_EMPTY_PATH: u64 = 0x1000;

fn place(call: &mut Call<'_, '_>, directory: u64, argument: usize) -> Result<(FileId, Vec<u8>), Stop> {
    let path = call.path_argument(argument)?;
    let start = call.start_of(directory, &path)?;
    Ok((start, path))
}

fn make_directory(call: &mut Call<'_, '_>, directory: u64, argument: usize, mode: u64) -> SysResult {
    let (start, path) = place(call, directory, argument)?;
    let permissions = (mode as u32 & !call.me().umask & 0o1777) as u16;
    let number = call.effect();
    call.at_vfs(start, &path, false, |call, at, actor| call.vfs().make_directory(number, at, actor, permissions))?;
    Ok(0)
}

/// Makes a directory.
pub fn sys_mkdir(call: &mut Call<'_, '_>) -> SysResult {
    make_directory(call, CURRENT, 0, call.arguments[1])
}

/// Likewise, seen from a directory.
pub fn sys_mkdirat(call: &mut Call<'_, '_>) -> SysResult {
    make_directory(call, call.arguments[0], 1, call.arguments[2])
}

fn remove(call: &mut Call<'_, '_>, directory: u64, argument: usize, is_directory: bool) -> SysResult {
    let (start, path) = place(call, directory, argument)?;
    let number = call.effect();
    call.posix.close_lingering();
    call.at_vfs(start, &path, false, |call, at, actor| {
        let mut vfs = call.posix.vfs_to_change();
        if is_directory { vfs.remove_directory(number, at, actor) } else { vfs.unlink(number, at, actor) }
    })?;
    Ok(0)
}

/// Removes a directory.
pub fn sys_rmdir(call: &mut Call<'_, '_>) -> SysResult {
    remove(call, CURRENT, 0, true)
}

/// Removes a name.
pub fn sys_unlink(call: &mut Call<'_, '_>) -> SysResult {
    remove(call, CURRENT, 0, false)
}

/// Either, seen from a directory.
pub fn sys_unlinkat(call: &mut Call<'_, '_>) -> SysResult {
    let [directory, _, flags, ..] = call.arguments;
    if flags & !AT_REMOVEDIR != 0 {
        return Err(Errno::EINVAL.into());
    }
    remove(call, directory, 1, flags != 0)
}

fn link(call: &mut Call<'_, '_>, directories: [u64; 2], arguments: [usize; 2], flags: u64) -> SysResult {
    if flags & !(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let old_path = call.read_path(call.arguments[arguments[0]])?;
    if old_path.is_empty() && flags & AT_EMPTY_PATH == 0 {
        return Err(Errno::ENOENT.into());
    }
    if old_path.is_empty() && call.me().uid[1] != 0 {
        // Linux: `CAP_DAC_READ_SEARCH`.
        return Err(Errno::ENOENT.into());
    }
    let mut old_start = call.start_of(directories[0], &old_path)?;
    let mut old_path = old_path;
    if flags & AT_SYMLINK_FOLLOW != 0 {
        // It may lead through /proc/self/fd.
        (old_start, old_path) = (file_at(call, old_start, &old_path)?, Vec::new());
    }
    let (start, path) = place(call, directories[1], arguments[1])?;
    let number = call.effect();
    let from = protocols::vfs::At { start: old_start, path: &old_path, follow: flags & AT_SYMLINK_FOLLOW != 0 };
    call.at_vfs(start, &path, false, |call, at, actor| call.posix.vfs_to_change().link(number, from, at, actor))?;
    Ok(0)
}

/// The file that a path leads to, by way of /proc too.
fn file_at(call: &mut Call<'_, '_>, start: FileId, path: &[u8]) -> Result<FileId, Stop> {
    let number = call.ask();
    call.at(
        start,
        path,
        true,
        |call, at, actor| call.posix.vfs_to_ask().stat(number, at, actor).map(|attributes| attributes.file),
        |call, entry| match entry {
            Entry::Descriptor(pid, number) => {
                let process = call.posix.find_pid(pid).ok_or(Errno::ENOENT)?;
                let (_, file) = call.posix.place_of(process, u64::from(number)).map_err(|_| Errno::ENOENT)?;
                if file.node == 0 { Err(Errno::EXDEV.into()) } else { Ok(call.posix.node_id(file.node)) }
            }
            _ => Err(Errno::EXDEV.into()),
        },
    )
}

/// Gives a file one more name.
pub fn sys_link(call: &mut Call<'_, '_>) -> SysResult {
    link(call, [CURRENT; 2], [0, 1], 0)
}

/// Likewise, seen from directories.
pub fn sys_linkat(call: &mut Call<'_, '_>) -> SysResult {
    let [old, _, new, _, flags, _] = call.arguments;
    link(call, [old, new], [1, 3], flags)
}

fn symlink(call: &mut Call<'_, '_>, directory: u64, argument: usize) -> SysResult {
    let target = call.path_argument(0)?;
    let (start, path) = place(call, directory, argument)?;
    let number = call.effect();
    call.at_vfs(start, &path, false, |call, at, actor| call.vfs().make_symlink(number, at, actor, &target))?;
    Ok(0)
}

/// Makes a symbolic link.
pub fn sys_symlink(call: &mut Call<'_, '_>) -> SysResult {
    symlink(call, CURRENT, 1)
}

/// Likewise, seen from a directory.
pub fn sys_symlinkat(call: &mut Call<'_, '_>) -> SysResult {
    symlink(call, call.arguments[1], 2)
}

fn rename(call: &mut Call<'_, '_>, directories: [u64; 2], arguments: [usize; 2], flags: u64) -> SysResult {
    let mode = match flags {
        0 => RenameMode::Replace,
        1 => RenameMode::NoReplace,
        2 => RenameMode::Exchange,
        _ => return Err(Errno::EINVAL.into()),
    };
    let (old_start, old_path) = place(call, directories[0], arguments[0])?;
    let (start, path) = place(call, directories[1], arguments[1])?;
    let number = call.effect();
    call.posix.close_lingering();
    let from = protocols::vfs::At { start: old_start, path: &old_path, follow: false };
    call.at_vfs(start, &path, false, |call, at, actor| call.posix.vfs_to_change().rename(number, from, at, actor, mode))?;
    Ok(0)
}

/// Renames.
pub fn sys_rename(call: &mut Call<'_, '_>) -> SysResult {
    rename(call, [CURRENT; 2], [0, 1], 0)
}

/// Likewise, seen from directories.
pub fn sys_renameat(call: &mut Call<'_, '_>) -> SysResult {
    let [old, _, new, ..] = call.arguments;
    rename(call, [old, new], [1, 3], 0)
}

/// Likewise, with flags.
pub fn sys_renameat2(call: &mut Call<'_, '_>) -> SysResult {
    let [old, _, new, _, flags, _] = call.arguments;
    rename(call, [old, new], [1, 3], flags)
}

fn make_node(call: &mut Call<'_, '_>, directory: u64, argument: usize, mode: u64, device: u64) -> SysResult {
    let (start, path) = place(call, directory, argument)?;
    let kind = match mode as u32 >> 12 & 0xf {
        0 => Kind::File,
        number => Kind::from_number(number as u8).ok_or(Errno::EINVAL)?,
    };
    match kind {
        Kind::Directory => return Err(Errno::EPERM.into()),
        Kind::Symlink => return Err(Errno::EINVAL.into()),
        _ => {}
    }
    if matches!(kind, Kind::CharacterDevice | Kind::BlockDevice) && call.me().uid[1] != 0 {
        return Err(Errno::EPERM.into());
    }
    let permissions = (mode as u32 & !call.me().umask & 0o7777) as u16;
    let node = Node { kind, permissions, device: device as u32 };
    let number = call.effect();
    call.at_vfs(start, &path, false, |call, at, actor| call.vfs().make_node(number, at, actor, node))?;
    Ok(0)
}

/// Makes a FIFO, device node or file.
pub fn sys_mknod(call: &mut Call<'_, '_>) -> SysResult {
    make_node(call, CURRENT, 0, call.arguments[1], call.arguments[2])
}

/// Likewise, seen from a directory.
pub fn sys_mknodat(call: &mut Call<'_, '_>) -> SysResult {
    make_node(call, call.arguments[0], 1, call.arguments[2], call.arguments[3])
}
