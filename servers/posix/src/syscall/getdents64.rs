//! `getdents64`.

use crate::call::{Call, SysResult, vfs_stop};
use crate::errno::Errno;
use crate::fd::kind;
use crate::proc::Entry;

/// Lists a directory.
pub fn sys_getdents64(call: &mut Call<'_, '_>) -> SysResult {
    let [descriptor, address, length, ..] = call.arguments;
    let (index, file) = call.posix.file_of(call.process, descriptor)?;
    // Linux counts the room in a signed word of 32 bits.
    let room = usize::try_from(length as i32).map_err(|_| Errno::EINVAL)?.min(32 * 1024);
    let (count, next) = match file.kind {
        kind::DIRECTORY => {
            let (id, number) = (call.posix.node_id(file.node), call.ask());
            call.with_buffer(room, |call, buffer| {
                let lease = call.posix.kernel.lend_mut(buffer);
                let length = buffer.len() as u32;
                let (count, next) = call.posix.vfs_to_read().read_directory(number, id, file.offset, length, lease).map_err(vfs_stop)?;
                call.write(address, buffer.get(..count as usize).unwrap_or_default())?;
                Ok((u64::from(count), next))
            })?
        }
        kind::PROC if Entry::from_file(&file).is_directory() => {
            let (bytes, next) = call.list_proc(Entry::from_file(&file), file.offset, room);
            if bytes.is_empty() && next == file.offset && room < 32 {
                return Err(Errno::EINVAL.into());
            }
            call.write(address, &bytes)?;
            (bytes.len() as u64, next)
        }
        _ => return Err(Errno::ENOTDIR.into()),
    };
    call.posix.store.edit_file(index, |file| file.offset = next);
    Ok(count)
}
