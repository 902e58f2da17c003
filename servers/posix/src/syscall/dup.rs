//! `dup`, `dup2`, `dup3`.

use crate::call::{Call, SysResult};
use crate::errno::Errno;
use crate::saved::DESCRIPTORS;

const O_CLOEXEC: u64 = 0o2_000_000;

/// The same file under the lowest free descriptor.
pub fn sys_dup(call: &mut Call<'_, '_>) -> SysResult {
    let (index, _) = call.posix.place_of(call.process, call.arguments[0])?;
    let free = call.posix.free_descriptor(call.process, 0)?;
    call.posix.hold_file(index);
    call.posix.install(call.process, free, index, false);
    Ok(free as u64)
}

/// The same file under a given descriptor.
pub fn sys_dup2(call: &mut Call<'_, '_>) -> SysResult {
    let [old, new, ..] = call.arguments;
    if old as u32 == new as u32 {
        call.posix.place_of(call.process, old)?;
        return Ok(new);
    }
    replace(call, old, new, false)
}

/// Likewise, perhaps closed by exec.
pub fn sys_dup3(call: &mut Call<'_, '_>) -> SysResult {
    let [old, new, flags, ..] = call.arguments;
    if old as u32 == new as u32 || flags & !O_CLOEXEC != 0 {
        return Err(Errno::EINVAL.into());
    }
    replace(call, old, new, flags != 0)
}

fn replace(call: &mut Call<'_, '_>, old: u64, new: u64, close_on_exec: bool) -> SysResult {
    let (index, _) = call.posix.place_of(call.process, old)?;
    let number = new as u32 as usize;
    if number >= (call.me().descriptor_limit as usize).min(DESCRIPTORS) {
        return Err(Errno::EBADF.into());
    }
    call.posix.hold_file(index);
    // Nothing to close is fine.
    let _was_free = call.posix.close(call.process, new);
    call.posix.install(call.process, number, index, close_on_exec);
    Ok(number as u64)
}
