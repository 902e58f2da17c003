//! `lseek`.

use crate::call::{Call, SysResult, vfs_stop};
use crate::errno::Errno;
use crate::fd::kind;
use crate::saved::File;

const SEEK_SET: u64 = 0;
const SEEK_CUR: u64 = 1;
const SEEK_END: u64 = 2;
const SEEK_DATA: u64 = 3;
const SEEK_HOLE: u64 = 4;

/// Moves a file's offset.
pub fn sys_lseek(call: &mut Call<'_, '_>) -> SysResult {
    let [descriptor, offset, whence, ..] = call.arguments;
    let (index, file) = call.posix.file_of(call.process, descriptor)?;
    // Files without an offset, which they do not mind.
    if matches!(file.kind, kind::EVENT | kind::EPOLL | kind::TIMER | kind::SIGNALS) {
        return Ok(0);
    }
    if !matches!(file.kind, kind::REGULAR | kind::DIRECTORY | kind::PROC | kind::DEVICE) {
        return Err(Errno::ESPIPE.into());
    }
    if file.kind == kind::DEVICE {
        return Ok(0);
    }
    if matches!(whence, SEEK_DATA | SEEK_HOLE) {
        return seek_data(call, index, &file, offset, whence == SEEK_HOLE);
    }
    let size = if whence == SEEK_END { call.stat_file(index, &file)?.size } else { 0 };
    let base = match whence {
        SEEK_SET => 0,
        SEEK_CUR => file.offset,
        SEEK_END => size,
        _ => return Err(Errno::EINVAL.into()),
    };
    let target = (base as i64).checked_add(offset as i64).ok_or(Errno::EOVERFLOW)?;
    seek(call, index, u64::try_from(target).map_err(|_| Errno::EINVAL)?)
}

/// To the next data or hole. What is not vfs's is data with one hole at its end.
fn seek_data(call: &mut Call<'_, '_>, index: usize, file: &File, offset: u64, hole: bool) -> SysResult {
    let to = if file.kind == kind::REGULAR {
        let (id, number) = (call.posix.node_id(file.node), call.ask());
        // A negative offset is beyond every file.
        call.posix.vfs_to_ask().seek(number, id, offset, hole).map_err(vfs_stop)?
    } else {
        let size = call.stat_file(index, file)?.size;
        (offset < size).then_some(if hole { size } else { offset })
    };
    seek(call, index, to.ok_or(Errno::ENXIO)?)
}

fn seek(call: &mut Call<'_, '_>, index: usize, to: u64) -> SysResult {
    call.posix.store.edit_file(index, |file| file.offset = to);
    Ok(to)
}
