//! `lseek`.

use crate::call::{Call, SysResult};
use crate::errno::Errno;
use crate::fd::kind;

const SEEK_SET: u64 = 0;
const SEEK_CUR: u64 = 1;
const SEEK_END: u64 = 2;
const SEEK_DATA: u64 = 3;
const SEEK_HOLE: u64 = 4;

/// Moves a file's offset.
pub fn sys_lseek(call: &mut Call<'_, '_>) -> SysResult {
    let [descriptor, offset, whence, ..] = call.arguments;
    let (index, file) = call.posix.file_of(call.process, descriptor)?;
    if !matches!(file.kind, kind::REGULAR | kind::DIRECTORY | kind::PROC | kind::DEVICE) {
        return Err(Errno::ESPIPE.into());
    }
    if file.kind == kind::DEVICE {
        return Ok(0);
    }
    let size = if matches!(whence, SEEK_END | SEEK_DATA | SEEK_HOLE) { call.stat_file(index, &file)?.size } else { 0 };
    let base = match whence {
        SEEK_SET => 0,
        SEEK_CUR => file.offset,
        SEEK_END => size,
        // A file without known holes is data with one hole at its end.
        SEEK_DATA | SEEK_HOLE if offset >= size => return Err(Errno::ENXIO.into()),
        SEEK_DATA => 0,
        SEEK_HOLE => return seek(call, index, size),
        _ => return Err(Errno::EINVAL.into()),
    };
    let target = (base as i64).checked_add(offset as i64).ok_or(Errno::EOVERFLOW)?;
    seek(call, index, u64::try_from(target).map_err(|_| Errno::EINVAL)?)
}

fn seek(call: &mut Call<'_, '_>, index: usize, to: u64) -> SysResult {
    call.posix.store.edit_file(index, |file| file.offset = to);
    Ok(to)
}
