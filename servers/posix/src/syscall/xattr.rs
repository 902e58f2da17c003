//! Extended attributes, as a file system without any has them: nothing is kept, so nothing is listed.
//!
//! `user.` names are refused as Linux 6.1's tmpfs does. It keeps `trusted.` and `security.` names; here setting one is refused in the same way, and none is there.

use alloc::vec::Vec;

use crate::call::{Call, Stop, SysResult};
use crate::errno::Errno;

const CURRENT: u64 = -100i64 as u64;
/// Most bytes of a name (`XATTR_NAME_MAX`) and of a value (`XATTR_SIZE_MAX`).
const MAX_NAME: usize = 255;
const MAX_VALUE: u64 = 65536;
/// `XATTR_CREATE | XATTR_REPLACE`.
const FLAGS: u64 = 3;

/// What a call names: the file must be there.
fn check_path(call: &mut Call<'_, '_>, follow: bool) -> Result<(), Stop> {
    let path = call.path_argument(0)?;
    let start = call.start_of(CURRENT, &path)?;
    call.stat_at(start, &path, follow).map(drop)
}

fn check_descriptor(call: &mut Call<'_, '_>) -> Result<(), Stop> {
    call.posix.file_of(call.process, call.arguments[0])?;
    Ok(())
}

fn name(call: &mut Call<'_, '_>) -> Result<Vec<u8>, Stop> {
    let name = call.read_path(call.arguments[1]).map_err(|stop| if stop == Errno::ENAMETOOLONG.into() { Errno::ERANGE.into() } else { stop })?;
    if name.is_empty() || name.len() > MAX_NAME { Err(Errno::ERANGE.into()) } else { Ok(name) }
}

/// Whether a name is of a kind that files here could have.
fn is_possible(name: &[u8]) -> bool {
    [b"trusted.".as_slice(), b"security."].iter().any(|prefix| name.starts_with(prefix))
}

fn set(call: &mut Call<'_, '_>, check: impl FnOnce(&mut Call<'_, '_>) -> Result<(), Stop>) -> SysResult {
    let [_, _, value, size, flags, _] = call.arguments;
    if flags & !FLAGS != 0 {
        return Err(Errno::EINVAL.into());
    }
    name(call)?;
    if size > MAX_VALUE {
        return Err(Errno::E2BIG.into());
    }
    let mut bytes = alloc::vec![0; size as usize];
    call.read(value, &mut bytes)?;
    check(call)?;
    Err(Errno::EOPNOTSUPP.into())
}

fn missing(call: &mut Call<'_, '_>, check: impl FnOnce(&mut Call<'_, '_>) -> Result<(), Stop>) -> SysResult {
    let name = name(call)?;
    check(call)?;
    Err(if is_possible(&name) { Errno::ENODATA } else { Errno::EOPNOTSUPP }.into())
}

fn list(call: &mut Call<'_, '_>, check: impl FnOnce(&mut Call<'_, '_>) -> Result<(), Stop>) -> SysResult {
    check(call)?;
    Ok(0)
}

/// Sets an attribute.
pub fn sys_setxattr(call: &mut Call<'_, '_>) -> SysResult {
    set(call, |call| check_path(call, true))
}

/// Likewise of a link itself.
pub fn sys_lsetxattr(call: &mut Call<'_, '_>) -> SysResult {
    set(call, |call| check_path(call, false))
}

/// Likewise of an open file.
pub fn sys_fsetxattr(call: &mut Call<'_, '_>) -> SysResult {
    set(call, check_descriptor)
}

/// Tells an attribute.
pub fn sys_getxattr(call: &mut Call<'_, '_>) -> SysResult {
    missing(call, |call| check_path(call, true))
}

/// Likewise of a link itself.
pub fn sys_lgetxattr(call: &mut Call<'_, '_>) -> SysResult {
    missing(call, |call| check_path(call, false))
}

/// Likewise of an open file.
pub fn sys_fgetxattr(call: &mut Call<'_, '_>) -> SysResult {
    missing(call, check_descriptor)
}

/// Lists attributes.
pub fn sys_listxattr(call: &mut Call<'_, '_>) -> SysResult {
    list(call, |call| check_path(call, true))
}

/// Likewise of a link itself.
pub fn sys_llistxattr(call: &mut Call<'_, '_>) -> SysResult {
    list(call, |call| check_path(call, false))
}

/// Likewise of an open file.
pub fn sys_flistxattr(call: &mut Call<'_, '_>) -> SysResult {
    list(call, check_descriptor)
}

/// Removes an attribute.
pub fn sys_removexattr(call: &mut Call<'_, '_>) -> SysResult {
    missing(call, |call| check_path(call, true))
}

/// Likewise of a link itself.
pub fn sys_lremovexattr(call: &mut Call<'_, '_>) -> SysResult {
    missing(call, |call| check_path(call, false))
}

/// Likewise of an open file.
pub fn sys_fremovexattr(call: &mut Call<'_, '_>) -> SysResult {
    missing(call, check_descriptor)
}
