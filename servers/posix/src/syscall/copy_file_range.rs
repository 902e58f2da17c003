//! `copy_file_range`: from file to file in the program's place, through the transfer buffer.

use crate::call::{ASK, Call, SysResult, vfs_stop};
use crate::errno::Errno;
use crate::fd::{APPEND, kind};
use crate::io::Data;
use crate::server::BUFFER_BYTES;

/// Copies a part of a file; as much as the buffer holds, which a caller must expect anyway.
pub fn sys_copy_file_range(call: &mut Call<'_, '_>) -> SysResult {
    let [from, from_at, to, to_at, length, flags] = call.arguments;
    let (index, file) = call.posix.file_of(call.process, from)?;
    let (out_index, out) = call.posix.file_of(call.process, to)?;
    let start = if from_at == 0 { file.offset } else { call.read_u64(from_at)? };
    let out_start = if to_at == 0 { out.offset } else { call.read_u64(to_at)? };
    if flags != 0 {
        return Err(Errno::EINVAL.into());
    }
    if file.kind == kind::DIRECTORY || out.kind == kind::DIRECTORY {
        return Err(Errno::EISDIR.into());
    }
    if file.kind != kind::REGULAR || out.kind != kind::REGULAR {
        return Err(Errno::EINVAL.into());
    }
    if !file.reads() || !out.writes() || out.flags & APPEND != 0 {
        return Err(Errno::EBADF.into());
    }
    // Linux looks at the sums before it shortens the length to what there is.
    if start.checked_add(length).is_none() || out_start.checked_add(length).is_none() {
        return Err(Errno::EOVERFLOW.into());
    }
    let size = call.stat_file(index, &file)?.size;
    let length = length.min(size.saturating_sub(start));
    if start.checked_add(length).is_none_or(|end| end > i64::MAX as u64) || out_start.checked_add(length).is_none_or(|end| end > i64::MAX as u64) {
        return Err(Errno::EOVERFLOW.into());
    }
    if file.node == out.node && start < out_start + length && out_start < start + length {
        return Err(Errno::EINVAL.into());
    }
    let (id, number) = (call.posix.node_id(file.node), call.number.with_step(ASK));
    let bytes = call.with_buffer((length as usize).min(BUFFER_BYTES), |call, buffer| {
        let lease = call.posix.kernel.lend_mut(buffer);
        let count = call.posix.vfs_to_read().read(number, id, start, buffer.len() as u32, lease).map_err(vfs_stop)?;
        Ok(buffer.get(..count as usize).unwrap_or_default().to_vec())
    })?;
    let copied = call.write_to(out_index, &out, Some(out_start), Data::Bytes(&bytes))?;
    move_on(call, index, from_at, start + copied)?;
    move_on(call, out_index, to_at, out_start + copied)?;
    Ok(copied)
}

fn move_on(call: &mut Call<'_, '_>, index: usize, address: u64, to: u64) -> Result<(), crate::call::Stop> {
    if address != 0 {
        return call.write_words(address, &[to]);
    }
    call.posix.store.edit_file(index, |file| file.offset = to);
    Ok(())
}
