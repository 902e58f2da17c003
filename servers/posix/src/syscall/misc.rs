//! Calls of a few lines: random bytes, lists of robust futexes, advice.

use libsys::field;

use crate::call::{Call, SysResult};
use crate::errno::Errno;
use crate::fd::{NONBLOCK, READ_WRITE, kind};
use crate::saved::{File, Lane, Thread};
use crate::server::BUFFER_BYTES;

const GRND_KNOWN: u64 = 7;
const O_CLOEXEC: u64 = 0o2_000_000;
const EFD_SEMAPHORE: u64 = 1;

/// Random bytes.
pub fn sys_getrandom(call: &mut Call<'_, '_>) -> SysResult {
    let [to, length, flags, ..] = call.arguments;
    if flags & !GRND_KNOWN != 0 || flags & 6 == 6 {
        return Err(Errno::EINVAL.into());
    }
    let length = usize::try_from(length).unwrap_or(usize::MAX).min(BUFFER_BYTES);
    call.with_buffer(length, |call, buffer| {
        call.posix.fill_random(buffer);
        call.write_some(to, buffer).map(|count| count as u64)
    })
}

/// Lets others run: the call itself does.
pub fn sys_sched_yield(_call: &mut Call<'_, '_>) -> SysResult {
    Ok(0)
}

impl Call<'_, '_> {
    /// The thread of a number; 0 is the caller.
    ///
    /// # Errors
    /// `ESRCH`.
    pub fn thread_argument(&self, tid: u32) -> Result<Lane, Errno> {
        let wanted = |lane: &Lane| self.posix.store.thread(*lane).tid == tid;
        if tid == 0 { Ok(self.lane) } else { self.posix.lanes.iter().copied().find(wanted).ok_or(Errno::ESRCH) }
    }
}

/// Barriers for all threads of a process at once: none is offered, and who asks first, as one should, does without.
pub fn sys_membarrier(call: &mut Call<'_, '_>) -> SysResult {
    const QUERY: u64 = 0;
    let [command, flags, ..] = call.arguments;
    if command == QUERY && flags == 0 { Ok(0) } else { Err(Errno::EINVAL.into()) }
}

/// Head of the list of robust futexes.
pub fn sys_set_robust_list(call: &mut Call<'_, '_>) -> SysResult {
    let [head, length, ..] = call.arguments;
    if length != 24 {
        return Err(Errno::EINVAL.into());
    }
    call.posix.store.set_thread_field(call.lane, field!(Thread, robust), head);
    Ok(0)
}

/// The same of a thread, and its length.
pub fn sys_get_robust_list(call: &mut Call<'_, '_>) -> SysResult {
    let [pid, head, length, ..] = call.arguments;
    let lane = call.thread_argument(pid as u32)?;
    call.write_words(length, &[24])?;
    call.write_words(head, &[call.posix.store.thread(lane).robust])?;
    Ok(0)
}

/// Advice about a file's use: nothing to be done.
pub fn sys_fadvise64(call: &mut Call<'_, '_>) -> SysResult {
    let [descriptor, _, length, advice, ..] = call.arguments;
    let (_, file) = call.posix.file_of(call.process, descriptor)?;
    if file.kind == kind::PIPE {
        return Err(Errno::ESPIPE.into());
    }
    if advice as u32 > 5 || length > i64::MAX as u64 { Err(Errno::EINVAL.into()) } else { Ok(0) }
}

/// An event counter.
pub fn sys_eventfd2(call: &mut Call<'_, '_>) -> SysResult {
    let [initial, flags, ..] = call.arguments;
    event_counter(call, initial, flags)
}

fn event_counter(call: &mut Call<'_, '_>, initial: u64, flags: u64) -> SysResult {
    if flags & !(O_CLOEXEC | u64::from(NONBLOCK) | EFD_SEMAPHORE) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let file = File {
        kind: kind::EVENT,
        flags: READ_WRITE | flags as u32 & NONBLOCK,
        object: (flags & EFD_SEMAPHORE) as u32,
        offset: initial & 0xffff_ffff,
        ..File::default()
    };
    Ok(call.posix.open_file(call.process, file, flags & O_CLOEXEC != 0)? as u64)
}

/// An event counter without flags.
pub fn sys_eventfd(call: &mut Call<'_, '_>) -> SysResult {
    event_counter(call, call.arguments[0], 0)
}

/// Restartable sequences are not offered; the C library does without.
pub fn sys_rseq(_call: &mut Call<'_, '_>) -> SysResult {
    Err(Errno::ENOSYS.into())
}
