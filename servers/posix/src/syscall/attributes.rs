//! Changing what `stat` tells: `chmod`, `chown`, `utimensat`, `truncate`, and their relatives.

use protocols::vfs::{At, Change, FileId, SetTime, Time};

use crate::call::{ASK, Call, Stop, SysResult, vfs_stop};
use crate::cut::Dropped;
use crate::errno::Errno;
use crate::fd::kind;

const CURRENT: u64 = -100i64 as u64;
const AT_SYMLINK_NOFOLLOW: u64 = 0x100;
const AT_EMPTY_PATH: u64 = 0x1000;
const UTIME_NOW: u64 = (1 << 30) - 1;
const UTIME_OMIT: u64 = (1 << 30) - 2;

fn change_file(call: &mut Call<'_, '_>, descriptor: u64, change: Change) -> SysResult {
    let (_, file) = call.posix.file_of(call.process, descriptor)?;
    let id = call.posix.node_id(file.node);
    if file.node == 0 && file.kind != kind::DIRECTORY {
        let place = crate::devpts::Place::of(&file).ok_or(Errno::EPERM)?;
        call.change_in_devpts(crate::proc::Entry::Devpts(place), change)?;
        return Ok(0);
    }
    let (number, actor) = (call.ask(), call.actor());
    call.posix.vfs_to_change().set_attributes(number, At::file(id), &actor, change).map_err(vfs_stop)?;
    Ok(0)
}

fn change_path(call: &mut Call<'_, '_>, directory: u64, argument: usize, flags: u64, change: Change) -> SysResult {
    if flags & !(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let path = call.read_path(call.arguments[argument])?;
    if path.is_empty() {
        return if flags & AT_EMPTY_PATH != 0 { change_file(call, directory, change) } else { Err(Errno::ENOENT.into()) };
    }
    let start = call.start_of(directory, &path)?;
    let number = call.ask();
    let follow = flags & AT_SYMLINK_NOFOLLOW == 0;
    call.at(
        start,
        &path,
        follow,
        |call, at, actor| call.posix.vfs_to_change().set_attributes(number, at, actor, change),
        |call, entry| call.change_in_devpts(entry, change),
    )?;
    Ok(0)
}

fn permissions(mode: u64) -> Change {
    Change { permissions: Some(mode as u16 & 0o7777), ..Change::default() }
}

/// Sets permissions.
pub fn sys_chmod(call: &mut Call<'_, '_>) -> SysResult {
    change_path(call, CURRENT, 0, 0, permissions(call.arguments[1]))
}

/// Likewise of an open file.
pub fn sys_fchmod(call: &mut Call<'_, '_>) -> SysResult {
    change_file(call, call.arguments[0], permissions(call.arguments[1]))
}

/// Likewise, seen from a directory.
pub fn sys_fchmodat(call: &mut Call<'_, '_>) -> SysResult {
    change_path(call, call.arguments[0], 1, 0, permissions(call.arguments[2]))
}

fn owners(uid: u64, gid: u64) -> Change {
    let id = |value: u64| (value as u32 != u32::MAX).then_some(value as u32);
    Change { uid: id(uid), gid: id(gid), ..Change::default() }
}

/// Sets owner and group.
pub fn sys_chown(call: &mut Call<'_, '_>) -> SysResult {
    change_path(call, CURRENT, 0, 0, owners(call.arguments[1], call.arguments[2]))
}

/// Likewise of a link itself.
pub fn sys_lchown(call: &mut Call<'_, '_>) -> SysResult {
    change_path(call, CURRENT, 0, AT_SYMLINK_NOFOLLOW, owners(call.arguments[1], call.arguments[2]))
}

/// Likewise of an open file.
pub fn sys_fchown(call: &mut Call<'_, '_>) -> SysResult {
    change_file(call, call.arguments[0], owners(call.arguments[1], call.arguments[2]))
}

/// Likewise, seen from a directory.
pub fn sys_fchownat(call: &mut Call<'_, '_>) -> SysResult {
    let [directory, _, uid, gid, flags, _] = call.arguments;
    change_path(call, directory, 1, flags, owners(uid, gid))
}

fn set_time(seconds: u64, nanoseconds: u64) -> Result<Option<SetTime>, Errno> {
    match nanoseconds {
        UTIME_NOW => Ok(Some(SetTime::Now)),
        UTIME_OMIT => Ok(None),
        _ if nanoseconds < 1_000_000_000 => Ok(Some(SetTime::To(Time { seconds: seconds as i64, nanoseconds: nanoseconds as u32 }))),
        _ => Err(Errno::EINVAL),
    }
}

fn times(accessed: Option<SetTime>, modified: Option<SetTime>) -> Change {
    Change { accessed, modified, ..Change::default() }
}

/// Sets times, to the nanosecond.
pub fn sys_utimensat(call: &mut Call<'_, '_>) -> SysResult {
    let [directory, path, at, flags, ..] = call.arguments;
    let change = if at == 0 {
        times(Some(SetTime::Now), Some(SetTime::Now))
    } else {
        let [a, b, c, d] = call.read_words(at)?;
        if [b, d] == [UTIME_OMIT; 2] {
            // Nothing is to be done, to whatever file.
            return Ok(0);
        }
        times(set_time(a, b)?, set_time(c, d)?)
    };
    if path == 0 {
        return change_file(call, directory, change);
    }
    change_path(call, directory, 1, flags, change)
}

/// Sets times, to the microsecond.
pub fn sys_utimes(call: &mut Call<'_, '_>) -> SysResult {
    let at = call.arguments[1];
    set_microseconds(call, CURRENT, 0, at)
}

/// Likewise, seen from a directory.
pub fn sys_futimesat(call: &mut Call<'_, '_>) -> SysResult {
    let [directory, path, at, ..] = call.arguments;
    if path != 0 {
        return set_microseconds(call, directory, 1, at);
    }
    let change = microseconds(call, at)?;
    change_file(call, directory, change)
}

fn set_microseconds(call: &mut Call<'_, '_>, directory: u64, argument: usize, at: u64) -> SysResult {
    let change = microseconds(call, at)?;
    change_path(call, directory, argument, 0, change)
}

fn microseconds(call: &mut Call<'_, '_>, at: u64) -> Result<Change, Stop> {
    let change = if at == 0 {
        times(Some(SetTime::Now), Some(SetTime::Now))
    } else {
        let [a, b, c, d] = call.read_words(at)?;
        if b >= 1_000_000 || d >= 1_000_000 {
            return Err(Errno::EINVAL.into());
        }
        times(set_time(a, b * 1000)?, set_time(c, d * 1000)?)
    };
    Ok(change)
}

/// Sets times, to the second.
pub fn sys_utime(call: &mut Call<'_, '_>) -> SysResult {
    let at = call.arguments[1];
    let change = if at == 0 {
        times(Some(SetTime::Now), Some(SetTime::Now))
    } else {
        let [a, b] = call.read_words(at)?;
        times(set_time(a, 0)?, set_time(b, 0)?)
    };
    change_path(call, CURRENT, 0, 0, change)
}

pub(super) fn size(value: u64) -> Result<u64, Errno> {
    if value > i64::MAX as u64 { Err(Errno::EINVAL) } else { Ok(value) }
}

/// Sets a file's length.
pub fn sys_truncate(call: &mut Call<'_, '_>) -> SysResult {
    let size = size(call.arguments[1])?;
    let path = call.path_argument(0)?;
    let start = call.start_of(CURRENT, &path)?;
    call.refuse_running(start, &path, true)?;
    let number = call.ask();
    let id = call.at_vfs(start, &path, true, |call, at, actor| {
        call.posix.vfs_to_change().truncate(number, at, actor, size)?;
        call.posix.vfs_to_ask().stat(number.with_step(ASK + 1), at, actor).map(|attributes| attributes.file)
    })?;
    call.posix.drop_pages(id, Dropped::From(size));
    Ok(0)
}

/// Sets an open file's length.
pub fn sys_ftruncate(call: &mut Call<'_, '_>) -> SysResult {
    let size = size(call.arguments[1])?;
    let id = writable(call, call.arguments[0])?;
    let (number, actor) = (call.ask(), call.actor());
    call.posix.vfs_to_change().truncate(number, At::file(id), &actor, size).map_err(vfs_stop)?;
    call.posix.drop_pages(id, Dropped::From(size));
    Ok(0)
}

fn writable(call: &mut Call<'_, '_>, descriptor: u64) -> Result<FileId, Stop> {
    let (_, file) = call.posix.file_of(call.process, descriptor)?;
    if file.kind != kind::REGULAR || !file.writes() {
        return Err(Errno::EINVAL.into());
    }
    Ok(call.posix.node_id(file.node))
}

/// Sets the file mode creation mask.
pub fn sys_umask(call: &mut Call<'_, '_>) -> SysResult {
    let old = call.me().umask;
    let mask = call.arguments[0] as u32 & 0o777;
    call.posix.store.edit_process(call.process, |process| process.umask = mask);
    Ok(u64::from(old))
}
