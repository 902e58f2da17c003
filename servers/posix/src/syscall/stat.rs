//! `stat`, `lstat`, `fstat`, `newfstatat`, `statx`.

use crate::call::{Call, Stop, SysResult};
use crate::errno::Errno;
use crate::stat::Stat;

const AT_SYMLINK_NOFOLLOW: u64 = 0x100;
const AT_NO_AUTOMOUNT: u64 = 0x800;
const AT_EMPTY_PATH: u64 = 0x1000;
/// `AT_STATX_FORCE_SYNC | AT_STATX_DONT_SYNC`.
const AT_STATX_SYNC: u64 = 0x6000;
const STATX_RESERVED: u64 = 0x8000_0000;
const CURRENT: u64 = -100i64 as u64;

/// Describes a path.
pub fn sys_stat(call: &mut Call<'_, '_>) -> SysResult {
    let stat = by_path(call, CURRENT, 0, 0)?;
    call.write(call.arguments[1], &stat.encode())?;
    Ok(0)
}

/// Describes a path, a link itself.
pub fn sys_lstat(call: &mut Call<'_, '_>) -> SysResult {
    let stat = by_path(call, CURRENT, 0, AT_SYMLINK_NOFOLLOW)?;
    call.write(call.arguments[1], &stat.encode())?;
    Ok(0)
}

/// Describes an open file.
pub fn sys_fstat(call: &mut Call<'_, '_>) -> SysResult {
    let (index, file) = call.posix.place_of(call.process, call.arguments[0])?;
    let stat = call.stat_file(index, &file)?;
    call.write(call.arguments[1], &stat.encode())?;
    Ok(0)
}

/// Describes a path seen from a directory, or the open file itself.
pub fn sys_newfstatat(call: &mut Call<'_, '_>) -> SysResult {
    let [directory, _, to, flags, ..] = call.arguments;
    if flags & !(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let stat = by_path(call, directory, 1, flags)?;
    call.write(to, &stat.encode())?;
    Ok(0)
}

/// Describes, extensibly.
pub fn sys_statx(call: &mut Call<'_, '_>) -> SysResult {
    let [directory, _, flags, mask, to, _] = call.arguments;
    let known = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC;
    // To ask the server always and to ask it never, at once.
    let contradicts = flags & AT_STATX_SYNC == AT_STATX_SYNC;
    if flags & !known != 0 || mask & STATX_RESERVED != 0 || contradicts {
        return Err(Errno::EINVAL.into());
    }
    let stat = by_path(call, directory, 1, flags)?;
    call.write(to, &stat.encode_extended())?;
    Ok(0)
}

fn by_path(call: &mut Call<'_, '_>, directory: u64, argument: usize, flags: u64) -> Result<Stat, Stop> {
    let path = call.read_path(call.arguments[argument])?;
    if path.is_empty() {
        if flags & AT_EMPTY_PATH == 0 {
            return Err(Errno::ENOENT.into());
        }
        if directory as u32 != CURRENT as u32 {
            let (index, file) = call.posix.place_of(call.process, directory)?;
            return call.stat_file(index, &file);
        }
    }
    let start = call.start_of(directory, &path)?;
    call.stat_at(start, &path, flags & AT_SYMLINK_NOFOLLOW == 0)
}
