//! `write`, `pwrite64`.

use crate::call::{Call, SysResult};
use crate::errno::Errno;
use crate::io::Data;

/// Writes at the file's offset, or at its end.
pub fn sys_write(call: &mut Call<'_, '_>) -> SysResult {
    let [descriptor, address, length, ..] = call.arguments;
    let (index, file) = call.posix.file_of(call.process, descriptor)?;
    let from = call.buffer_argument(address, length)?;
    call.write_on(index, &file, Data::Program(from))
}

/// Writes at an offset of the caller's.
pub fn sys_pwrite64(call: &mut Call<'_, '_>) -> SysResult {
    let [descriptor, address, length, offset, ..] = call.arguments;
    let (index, file) = call.posix.file_of(call.process, descriptor)?;
    if offset > i64::MAX as u64 {
        return Err(Errno::EINVAL.into());
    }
    let from = call.buffer_argument(address, length)?;
    call.offset_argument(offset, length)?;
    call.write_to(index, &file, Some(offset), Data::Program(from))
}
