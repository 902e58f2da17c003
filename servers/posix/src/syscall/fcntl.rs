//! `fcntl`. Record locks are granted without a table: they exclude nobody, as on a file system mounted without them.

use crate::call::{Call, SysResult};
use crate::errno::Errno;
use crate::fd::{APPEND, NONBLOCK};
use crate::saved::DESCRIPTORS;

const F_DUPFD: u64 = 0;
const F_GETFD: u64 = 1;
const F_SETFD: u64 = 2;
const F_GETFL: u64 = 3;
const F_SETFL: u64 = 4;
const F_GETLK: u64 = 5;
const F_SETLK: u64 = 6;
const F_SETLKW: u64 = 7;
const F_SETOWN: u64 = 8;
const F_GETOWN: u64 = 9;
const F_DUPFD_CLOEXEC: u64 = 1030;
const F_SETPIPE_SZ: u64 = 1031;
const F_GETPIPE_SZ: u64 = 1032;
const F_UNLCK: u16 = 2;
/// Flags that may change: append, async, direct, no access time, nonblock.
const CHANGEABLE: u32 = APPEND | NONBLOCK | 0o20000 | 0o40000 | 0o1_000_000;

/// Asks about or changes a descriptor or its file.
pub fn sys_fcntl(call: &mut Call<'_, '_>) -> SysResult {
    let [descriptor, command, argument, ..] = call.arguments;
    let (index, file) = call.posix.file_of(call.process, descriptor)?;
    let number = descriptor as u32 as usize;
    match command {
        F_DUPFD | F_DUPFD_CLOEXEC => {
            if argument >= u64::from(call.me().descriptor_limit).min(DESCRIPTORS as u64) {
                return Err(Errno::EINVAL.into());
            }
            let free = call.posix.free_descriptor(call.process, argument as usize)?;
            call.posix.hold_file(index);
            call.posix.install(call.process, free, index, command == F_DUPFD_CLOEXEC);
            Ok(free as u64)
        }
        F_GETFD => Ok(u64::from(call.posix.store.descriptor(call.process, number).close_on_exec)),
        F_SETFD => {
            call.posix.install(call.process, number, index, argument & 1 != 0);
            Ok(0)
        }
        // O_LARGEFILE is always shown on x86_64's 64-bit side as 0.
        F_GETFL => Ok(u64::from(file.flags)),
        F_SETFL => {
            call.posix.store.edit_file(index, |file| file.flags = file.flags & !CHANGEABLE | argument as u32 & CHANGEABLE);
            Ok(0)
        }
        F_GETLK => {
            call.write(argument, &F_UNLCK.to_le_bytes())?;
            Ok(0)
        }
        F_SETLK | F_SETLKW => {
            call.read_words::<4>(argument)?;
            Ok(0)
        }
        F_SETOWN | F_GETOWN => Ok(0),
        F_SETPIPE_SZ | F_GETPIPE_SZ if file.kind == crate::fd::kind::PIPE => Ok(u64::from(call.posix.store.pipe(file.object as usize).capacity)),
        _ => Err(Errno::EINVAL.into()),
    }
}
