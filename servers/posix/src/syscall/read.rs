//! `read`, `pread64`.

use crate::call::{Call, SysResult};
use crate::errno::Errno;

/// Reads at the file's offset.
pub fn sys_read(call: &mut Call<'_, '_>) -> SysResult {
    let [descriptor, address, length, ..] = call.arguments;
    let (index, file) = call.posix.file_of(call.process, descriptor)?;
    let to = call.buffer_argument(address, length)?;
    call.read_on(index, &file, to)
}

/// Reads at an offset of the caller's.
pub fn sys_pread64(call: &mut Call<'_, '_>) -> SysResult {
    let [descriptor, address, length, offset, ..] = call.arguments;
    let (index, file) = call.posix.file_of(call.process, descriptor)?;
    if offset > i64::MAX as u64 {
        return Err(Errno::EINVAL.into());
    }
    let to = call.buffer_argument(address, length)?;
    call.offset_argument(offset, length)?;
    call.read_from(index, &file, Some(offset), to)
}
