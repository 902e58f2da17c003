//! `fallocate`: as tmpfs has it.

use protocols::vfs::{At, FileId, MAX_ALLOCATED};

use super::attributes::size;
use crate::call::{Call, SysResult, vfs_stop};
use crate::cut::Dropped;
use crate::errno::Errno;
use crate::fd::kind;
use crate::vma::PAGE;

const KEEP_SIZE: u64 = 1;
const PUNCH_HOLE: u64 = 2;
/// Where the soft RLIMIT_FSIZE stands among the limits.
const LIMIT_FILE_SIZE: usize = 2;
/// Linux's largest offset in a file.
const MAX_BYTES: u64 = i64::MAX as u64;

/// Gives a range of a file its pages, or takes them away.
pub fn sys_fallocate(call: &mut Call<'_, '_>) -> SysResult {
    let [descriptor, mode, offset, length, ..] = call.arguments;
    let (_, file) = call.posix.file_of(call.process, descriptor)?;
    let (offset, length) = (size(offset)?, size(length)?);
    if length == 0 {
        return Err(Errno::EINVAL.into());
    }
    if !matches!(mode, 0 | KEEP_SIZE) && mode != KEEP_SIZE | PUNCH_HOLE {
        return Err(Errno::EOPNOTSUPP.into());
    }
    if !file.writes() {
        return Err(Errno::EBADF.into());
    }
    match file.kind {
        kind::REGULAR => {}
        kind::PIPE => return Err(Errno::ESPIPE.into()),
        _ => return Err(Errno::ENODEV.into()),
    }
    let end = offset.checked_add(length).filter(|end| *end <= MAX_BYTES).ok_or(Errno::EFBIG)?;
    let id = call.posix.node_id(file.node);
    if mode & PUNCH_HOLE != 0 {
        return punch(call, id, offset, length);
    }
    allocate(call, id, offset, end, mode == 0)
}

fn punch(call: &mut Call<'_, '_>, id: FileId, offset: u64, length: u64) -> SysResult {
    let (number, privileged) = (call.effect(), call.me().uid[1] == 0);
    call.posix.vfs_to_change().punch(number, id, offset, length, privileged).map_err(vfs_stop)?;
    call.posix.drop_pages(id, Dropped::Hole(offset, offset + length));
    Ok(0)
}

fn allocate(call: &mut Call<'_, '_>, id: FileId, offset: u64, end: u64, grows: bool) -> SysResult {
    let (ask, actor) = (call.ask(), call.actor());
    let before = call.posix.vfs_to_ask().stat(ask, At::file(id), &actor).map_err(vfs_stop)?.size;
    let grows = grows && end > before;
    if grows && end > call.me().limits[LIMIT_FILE_SIZE] {
        return Err(Errno::EFBIG.into());
    }
    let mut done = call.progress();
    while let Some(left) = end.div_ceil(PAGE).checked_sub(offset / PAGE + done).filter(|left| *left > 0) {
        let count = left.min(u64::from(MAX_ALLOCATED));
        if let Err(error) = call.posix.vfs_to_change().allocate(ask, id, offset / PAGE + done, count as u32) {
            return Err(call.stop_at(vfs_stop(error), done, |_| ()));
        }
        done += count;
    }
    if grows {
        let number = call.effect();
        call.posix.vfs_to_change().truncate(number, At::file(id), &actor, end).map_err(vfs_stop)?;
    }
    Ok(0)
}
