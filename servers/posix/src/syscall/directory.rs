//! `chdir`, `fchdir`, `getcwd`, `chroot`.

use protocols::vfs::{At, FileId, OpenFlags};

use crate::call::{Call, Stop, SysResult, vfs_stop};
use crate::errno::Errno;
use crate::fd::kind;
use crate::stat::mode;

/// Enters a directory.
pub fn sys_chdir(call: &mut Call<'_, '_>) -> SysResult {
    let node = open_directory(call)?;
    let old = call.me().directory;
    call.posix.store.edit_process(call.process, |process| process.directory = node as u32);
    call.posix.release_node(old as usize);
    Ok(0)
}

/// Makes a directory the root.
pub fn sys_chroot(call: &mut Call<'_, '_>) -> SysResult {
    if call.me().uid[1] != 0 {
        return Err(Errno::EPERM.into());
    }
    let node = open_directory(call)?;
    let old = call.me().root;
    call.posix.store.edit_process(call.process, |process| process.root = node as u32);
    call.posix.release_node(old as usize);
    Ok(0)
}

fn open_directory(call: &mut Call<'_, '_>) -> Result<usize, Stop> {
    let path = call.path_argument(0)?;
    let start = call.start_of(-100i64 as u64, &path)?;
    let flags = OpenFlags::PLACE.with(OpenFlags::DIRECTORY);
    let (number, check) = (call.effect(), call.ask());
    let id: FileId = call.at(
        start,
        &path,
        true,
        |call, at, actor| {
            // The right to search it is what counts.
            call.posix.vfs_to_ask().access(check, at, actor, 1)?;
            call.vfs().open(number, at, actor, flags, 0).map(|opened| opened.file)
        },
        |_, entry| if entry.is_directory() { Ok(entry.to_id()) } else { Err(Errno::ENOTDIR.into()) },
    )?;
    Ok(call.posix.node_opened(id, mode::DIRECTORY, 0)?)
}

/// Enters an open directory.
pub fn sys_fchdir(call: &mut Call<'_, '_>) -> SysResult {
    let (_, file) = call.posix.place_of(call.process, call.arguments[0])?;
    let node = match file.kind {
        kind::DIRECTORY | kind::PLACE if call.posix.store.node(file.node as usize).mode & mode::KINDS == mode::DIRECTORY => {
            let (check, id, actor) = (call.ask(), call.posix.node_id(file.node), call.actor());
            // The right to search it is what counts.
            call.posix.vfs_to_ask().access(check, At::file(id), &actor, 1).map_err(vfs_stop)?;
            call.posix.hold_node(file.node as usize);
            file.node as usize
        }
        kind::PROC if crate::proc::Entry::from_file(&file).is_directory() => {
            call.posix.node_opened(crate::proc::Entry::from_file(&file).to_id(), mode::DIRECTORY, 0)?
        }
        _ => return Err(Errno::ENOTDIR.into()),
    };
    let old = call.me().directory;
    call.posix.store.edit_process(call.process, |process| process.directory = node as u32);
    call.posix.release_node(old as usize);
    Ok(0)
}

/// The path of the working directory.
pub fn sys_getcwd(call: &mut Call<'_, '_>) -> SysResult {
    let [to, length, ..] = call.arguments;
    let id = call.posix.node_id(call.me().directory);
    let mut path = call.path_or_lost(id)?;
    if path.first() != Some(&b'/') {
        return Err(Errno::ENOENT.into());
    }
    path.push(0);
    if path.len() as u64 > length {
        return Err(Errno::ERANGE.into());
    }
    call.write(to, &path)?;
    Ok(path.len() as u64)
}
