//! `sendfile`: a loop in the program's place, through the transfer buffer.

use crate::call::{ASK, Call, SysResult, vfs_stop};
use crate::errno::Errno;
use crate::fd::kind;
use crate::io::Data;
use crate::server::BUFFER_BYTES;

/// Copies from one file to another.
pub fn sys_sendfile(call: &mut Call<'_, '_>) -> SysResult {
    let [out, from, offset_address, count, ..] = call.arguments;
    let (out_index, out_file) = call.posix.file_of(call.process, out)?;
    let (index, file) = call.posix.file_of(call.process, from)?;
    if !file.reads() || !out_file.writes() {
        return Err(Errno::EBADF.into());
    }
    if file.kind != kind::REGULAR {
        return Err(Errno::EINVAL.into());
    }
    if count > i64::MAX as u64 {
        return Err(Errno::EINVAL.into());
    }
    let offset = if offset_address == 0 { file.offset } else { call.read_u64(offset_address)? };
    let length = (count as usize).min(BUFFER_BYTES);
    let (id, number) = (call.posix.node_id(file.node), call.number.with_step(ASK));
    let bytes = call.with_buffer(length, |call, buffer| {
        let lease = call.posix.kernel.lend_mut(buffer);
        let length = buffer.len() as u32;
        let count = call.posix.vfs_to_read().read(number, id, offset, length, lease).map_err(vfs_stop)?;
        Ok(buffer.get(..count as usize).unwrap_or_default().to_vec())
    })?;
    let written = call.write_to(out_index, &out_file, None, Data::Bytes(&bytes))?;
    if offset_address == 0 {
        call.posix.store.edit_file(index, |file| file.offset = offset + written);
    } else {
        call.write_words(offset_address, &[offset + written])?;
    }
    Ok(written)
}
