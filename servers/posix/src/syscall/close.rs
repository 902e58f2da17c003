//! `close`, `close_range`.

use crate::call::{Call, SysResult};
use crate::errno::Errno;
use crate::saved::DESCRIPTORS;

const CLOSE_RANGE_CLOEXEC: u64 = 4;

/// Closes a descriptor.
pub fn sys_close(call: &mut Call<'_, '_>) -> SysResult {
    call.posix.close(call.process, call.arguments[0])?;
    Ok(0)
}

/// Closes, or marks to be closed by exec, all descriptors of a range.
pub fn sys_close_range(call: &mut Call<'_, '_>) -> SysResult {
    let [first, last, flags, ..] = call.arguments;
    if first as u32 > last as u32 || flags & !CLOSE_RANGE_CLOEXEC != 0 {
        return Err(Errno::EINVAL.into());
    }
    for number in (first as u32 as usize)..=(last as u32 as usize).min(DESCRIPTORS - 1) {
        let mut descriptor = call.posix.store.descriptor(call.process, number);
        if descriptor.file == 0 {
            continue;
        }
        if flags != 0 {
            descriptor.close_on_exec = 1;
            call.posix.store.set_descriptor(call.process, number, descriptor);
        } else {
            call.posix.close(call.process, number as u64)?;
        }
    }
    Ok(0)
}
