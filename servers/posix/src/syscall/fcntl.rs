//! `fcntl`, but for its locks. There is no `SIGIO`: what would send it refuses `O_ASYNC`.

use crate::call::{Call, SysResult};
use crate::errno::Errno;
use crate::fd::{APPEND, NONBLOCK, kind};
use crate::saved::{DESCRIPTORS, File};
use crate::store::Store;
use crate::syscall::lock;
use crate::wait::Event;

const F_DUPFD: u64 = 0;
const F_GETFD: u64 = 1;
const F_SETFD: u64 = 2;
const F_GETFL: u64 = 3;
const F_SETFL: u64 = 4;
const F_SETOWN: u64 = 8;
const F_GETOWN: u64 = 9;
const F_SETOWN_EX: u64 = 15;
const F_GETOWN_EX: u64 = 16;
const F_OWNER_PID: u32 = 1;
const F_OWNER_PGRP: u32 = 2;
const F_DUPFD_CLOEXEC: u64 = 1030;
const F_SETPIPE_SZ: u64 = 1031;
const F_GETPIPE_SZ: u64 = 1032;
const O_ASYNC: u32 = 0o20000;
/// Flags that may change: append, async, direct, no access time, nonblock.
const CHANGEABLE: u32 = APPEND | NONBLOCK | O_ASYNC | 0o40000 | 0o1_000_000;
/// Fewest bytes of a pipe.
const PAGE: u64 = 4096;

/// Asks about or changes a descriptor or its file.
pub fn sys_fcntl(call: &mut Call<'_, '_>) -> SysResult {
    let [descriptor, command, argument, ..] = call.arguments;
    let (index, file) = call.posix.place_of(call.process, descriptor)?;
    let number = descriptor as u32 as usize;
    if file.kind == kind::PLACE && !matches!(command, F_DUPFD | F_DUPFD_CLOEXEC | F_GETFD | F_SETFD | F_GETFL) {
        return Err(Errno::EBADF.into());
    }
    if let Some(result) = lock::fcntl(call, index, &file) {
        return result;
    }
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
            if argument as u32 & O_ASYNC != 0 && matches!(file.kind, kind::PIPE | kind::SOCKET | kind::TERMINAL | kind::MASTER | kind::LLM) {
                return Err(Errno::EINVAL.into());
            }
            call.posix.store.edit_file(index, |file| file.flags = file.flags & !CHANGEABLE | argument as u32 & CHANGEABLE);
            Ok(0)
        }
        F_SETOWN => set_owner(call, index, argument as u32 as i32),
        F_GETOWN => Ok(i64::from(file.owner) as u64),
        F_SETOWN_EX => {
            let [kind, number] = call.read_words::<1>(argument).map(|[word]| [word as u32, (word >> 32) as u32])?;
            let number = number.cast_signed();
            match kind {
                F_OWNER_PID => set_owner(call, index, number),
                F_OWNER_PGRP => set_owner(call, index, number.checked_neg().ok_or(Errno::EINVAL)?),
                // A thread's: there is no `SIGIO` that it would get.
                _ => Err(Errno::EINVAL.into()),
            }
        }
        F_GETOWN_EX => {
            let kind = if file.owner < 0 { F_OWNER_PGRP } else { F_OWNER_PID };
            call.write_words(argument, &[u64::from(kind) | u64::from(file.owner.unsigned_abs()) << 32])?;
            Ok(0)
        }
        F_GETPIPE_SZ if file.kind == kind::PIPE => Ok(u64::from(call.posix.store.pipe(file.object as usize).capacity)),
        F_SETPIPE_SZ if file.kind == kind::PIPE => set_pipe_size(call, &file, argument),
        F_SETPIPE_SZ | F_GETPIPE_SZ => Err(Errno::EBADF.into()),
        _ => Err(Errno::EINVAL.into()),
    }
}

/// Whom a file's signals are for: a process, a group as a negative number, or nobody.
fn set_owner(call: &mut Call<'_, '_>, index: usize, owner: i32) -> SysResult {
    let number = owner.checked_abs().ok_or(Errno::EINVAL)?.cast_unsigned();
    let is_owner = |process: &usize| {
        let record = call.posix.store.process(*process);
        if owner > 0 { record.pid == number } else { record.group == number }
    };
    if owner != 0 && !call.posix.processes.iter().any(is_owner) {
        return Err(Errno::ESRCH.into());
    }
    call.posix.store.edit_file(index, |file| file.owner = owner);
    Ok(0)
}

/// Sets how many bytes a pipe can hold: a power of two of at least a page, and no more than there is room for.
fn set_pipe_size(call: &mut Call<'_, '_>, file: &File, wanted: u64) -> SysResult {
    let (pipe, wanted) = (file.object, wanted as u32);
    if i32::try_from(wanted).is_err() {
        return Err(Errno::EINVAL.into());
    }
    let size = u64::from(wanted.next_power_of_two()).max(PAGE);
    let record = call.posix.store.pipe(pipe as usize);
    let (_, room) = Store::pipe_place(pipe as usize);
    if size > room as u64 {
        return Err(Errno::EPERM.into());
    }
    if record.tail.wrapping_sub(record.head) > size {
        return Err(Errno::EBUSY.into());
    }
    call.posix.store.edit_pipe(pipe as usize, |pipe| pipe.capacity = size as u32);
    call.posix.wake(Event::Pipe(pipe));
    Ok(size)
}
