//! `sync`, `fsync`, `fdatasync`, `syncfs`, `msync`.

use crate::call::{Call, SysResult, vfs_stop};
use crate::errno::Errno;
use crate::fd::kind;
use crate::vma::PAGE;

/// Makes everything written safe.
pub fn sys_sync(call: &mut Call<'_, '_>) -> SysResult {
    let number = call.ask();
    call.vfs().sync(number).map_err(vfs_stop)?;
    Ok(0)
}

/// Makes a file safe; all files are.
pub fn sys_fsync(call: &mut Call<'_, '_>) -> SysResult {
    let (_, file) = call.posix.file_of(call.process, call.arguments[0])?;
    if file.node == 0 || file.kind == kind::PIPE {
        return Err(Errno::EINVAL.into());
    }
    sys_sync(call)
}

/// Makes a shared mapping's file safe. Mapped pages are the file's pages, so there is nothing to copy back.
pub fn sys_msync(call: &mut Call<'_, '_>) -> SysResult {
    let [start, length, flags, ..] = call.arguments;
    // As Linux rounds: a length that is nearly all addresses becomes none.
    let length = length.wrapping_add(PAGE - 1) & !(PAGE - 1);
    if start % PAGE != 0 || flags & !7 != 0 || flags & 5 == 5 {
        return Err(Errno::EINVAL.into());
    }
    let end = start.checked_add(length).ok_or(Errno::ENOMEM)?;
    if !call.posix.store.areas(call.map).covers(start, end) {
        return Err(Errno::ENOMEM.into());
    }
    Ok(0)
}
