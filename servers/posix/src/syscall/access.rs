//! `access`, `faccessat`, `faccessat2`.

use crate::call::{Call, SysResult};
use crate::errno::Errno;
use crate::proc::Entry;

const AT_SYMLINK_NOFOLLOW: u64 = 0x100;
const AT_EACCESS: u64 = 0x200;
const AT_EMPTY_PATH: u64 = 0x1000;

/// Whether the real user may use a path.
pub fn sys_access(call: &mut Call<'_, '_>) -> SysResult {
    check(call, -100i64 as u64, 0, call.arguments[1], 0)
}

/// Likewise, seen from a directory.
pub fn sys_faccessat(call: &mut Call<'_, '_>) -> SysResult {
    check(call, call.arguments[0], 1, call.arguments[2], 0)
}

/// Likewise, with flags.
pub fn sys_faccessat2(call: &mut Call<'_, '_>) -> SysResult {
    check(call, call.arguments[0], 1, call.arguments[2], call.arguments[3])
}

fn check(call: &mut Call<'_, '_>, directory: u64, argument: usize, wanted: u64, flags: u64) -> SysResult {
    if wanted & !7 != 0 || flags & !(AT_SYMLINK_NOFOLLOW | AT_EACCESS | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let path = call.read_path(call.arguments[argument])?;
    if path.is_empty() && flags & AT_EMPTY_PATH == 0 {
        return Err(Errno::ENOENT.into());
    }
    let start = call.start_of(directory, &path)?;
    let me = call.me();
    let number = call.ask();
    call.at(
        start,
        &path,
        flags & AT_SYMLINK_NOFOLLOW == 0,
        |call, at, actor| {
            let mut actor = actor.clone();
            if flags & AT_EACCESS == 0 {
                (actor.uid, actor.gid) = (me.uid[0], me.gid[0]);
            }
            call.posix.vfs_to_ask().access(number, at, &actor, wanted as u8)
        },
        |call, entry| {
            let allowed = match entry {
                Entry::Devpts(place) => call.allowed_in_devpts(place, if flags & AT_EACCESS == 0 { 0 } else { 3 }),
                _ => call.allowed_in_proc(entry, me.uid[usize::from(flags & AT_EACCESS != 0)]).into(),
            };
            if wanted & !allowed == 0 { Ok(()) } else { Err(Errno::EACCES.into()) }
        },
    )?;
    Ok(0)
}
