//! `fork`, `vfork`, `clone`, `clone3`.

use abi::FaultAccess;

use alloc::vec;

use crate::call::{Call, Stop, SysResult};
use crate::errno::Errno;
use crate::fault::Refused;
use crate::fork::Birth;
use crate::signal::SIGCHLD;
use crate::wait::{Event, Wait};

const CSIGNAL: u64 = 0xff;
const CLONE_VM: u64 = 0x100;
const CLONE_FS: u64 = 0x200;
const CLONE_FILES: u64 = 0x400;
const CLONE_SIGHAND: u64 = 0x800;
const CLONE_VFORK: u64 = 0x4000;
const CLONE_PARENT: u64 = 0x8000;
const CLONE_THREAD: u64 = 0x1_0000;
const CLONE_SYSVSEM: u64 = 0x4_0000;
const CLONE_SETTLS: u64 = 0x8_0000;
const CLONE_PARENT_SETTID: u64 = 0x10_0000;
const CLONE_CHILD_CLEARTID: u64 = 0x20_0000;
const CLONE_DETACHED: u64 = 0x40_0000;
const CLONE_CHILD_SETTID: u64 = 0x100_0000;
const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;
const THREAD_FLAGS: u64 = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND;
const KNOWN: u64 = CSIGNAL
    | THREAD_FLAGS
    | CLONE_VFORK
    | CLONE_PARENT
    | CLONE_THREAD
    | CLONE_SYSVSEM
    | CLONE_SETTLS
    | CLONE_PARENT_SETTID
    | CLONE_CHILD_CLEARTID
    | CLONE_DETACHED
    | CLONE_CHILD_SETTID
    | CLONE_CLEAR_SIGHAND;

/// What is asked for.
#[derive(Clone, Copy, Debug, Default)]
struct Wanted {
    flags: u64,
    exit_signal: u64,
    stack: u64,
    parent_tid: u64,
    child_tid: u64,
    thread_pointer: u64,
}

/// Makes a child.
pub fn sys_fork(call: &mut Call<'_, '_>) -> SysResult {
    make(call, Wanted { exit_signal: SIGCHLD as u64, ..Wanted::default() })
}

/// Makes a child that borrows the memory, and waits until it gives it back.
pub fn sys_vfork(call: &mut Call<'_, '_>) -> SysResult {
    make(call, Wanted { flags: CLONE_VM | CLONE_VFORK, exit_signal: SIGCHLD as u64, ..Wanted::default() })
}

/// Makes a child or a thread.
pub fn sys_clone(call: &mut Call<'_, '_>) -> SysResult {
    let [flags, stack, parent_tid, child_tid, thread_pointer, _] = call.arguments;
    let exit_signal = flags & CSIGNAL;
    make(call, Wanted { flags: flags & !CSIGNAL & 0xffff_ffff, exit_signal, stack, parent_tid, child_tid, thread_pointer })
}

/// Makes a child or a thread, with its arguments in a structure.
pub fn sys_clone3(call: &mut Call<'_, '_>) -> SysResult {
    let [address, size, ..] = call.arguments;
    if size > 4096 {
        return Err(Errno::E2BIG.into());
    }
    if size < 64 || size % 8 != 0 {
        return Err(Errno::EINVAL.into());
    }
    let [flags, _pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, thread_pointer] = call.read_words(address)?;
    let mut unknown = vec![0; size as usize - 64];
    call.read(address + 64, &mut unknown)?;
    if unknown.iter().any(|byte| *byte != 0) {
        return Err(Errno::EINVAL.into());
    }
    if flags & CSIGNAL != 0 || (stack == 0) != (stack_size == 0) {
        return Err(Errno::EINVAL.into());
    }
    let stack = stack.checked_add(stack_size).ok_or(Errno::EINVAL)?;
    make(call, Wanted { flags, exit_signal, stack, parent_tid, child_tid, thread_pointer })
}

fn make(call: &mut Call<'_, '_>, wanted: Wanted) -> SysResult {
    let Wanted { flags, .. } = wanted;
    // A vfork that was recorded goes on waiting for its child.
    if call.progress() != 0 {
        return wait_for_child(call);
    }
    let thread = flags & CLONE_THREAD != 0;
    let shares = flags & (CLONE_FILES | CLONE_FS | CLONE_SIGHAND) != 0;
    if flags & !KNOWN != 0 || wanted.exit_signal > 64 || thread && flags & THREAD_FLAGS != THREAD_FLAGS {
        return Err(Errno::EINVAL.into());
    }
    // Descriptors and handlers belong to processes here: only threads share them.
    if !thread && shares && flags & CLONE_VFORK == 0 {
        return Err(Errno::EINVAL.into());
    }
    if flags & CLONE_VM == 0 && flags & CLONE_SIGHAND != 0 || wanted.stack >= 1 << 47 {
        return Err(Errno::EINVAL.into());
    }
    if flags & CLONE_SETTLS != 0 && wanted.thread_pointer >= abi::USER_END {
        return Err(Errno::EPERM.into());
    }
    // What was sent to a group before is not escaped by a child that is made afterwards: it would have the signal no more.
    if call.posix.has_deliverable(call.lane) {
        return Err(Stop::Anew);
    }
    check_limit(call)?;
    call.posix.check_room_for_task(call.process)?;
    let birth = Birth {
        thread,
        shares_memory: flags & CLONE_VM != 0,
        waits: flags & CLONE_VFORK != 0,
        exit_signal: if thread { 0 } else { wanted.exit_signal as u32 },
        stack: wanted.stack,
        thread_pointer: (flags & CLONE_SETTLS != 0).then_some(wanted.thread_pointer),
        clear_tid: if flags & CLONE_CHILD_CLEARTID != 0 { wanted.child_tid } else { 0 },
        sibling: flags & CLONE_PARENT != 0,
        clears_handlers: flags & CLONE_CLEAR_SIGHAND != 0,
    };
    for (flag, address) in [(CLONE_PARENT_SETTID, wanted.parent_tid), (CLONE_CHILD_SETTID, wanted.child_tid)] {
        if flags & flag != 0 {
            fetch_page(call, address)?;
        }
    }
    let lane = call.posix.give_birth(call.lane, &birth)?;
    let tid = call.posix.store.thread(lane).tid;
    if flags & CLONE_PARENT_SETTID != 0 {
        // As on Linux, a bad address changes nothing about the child.
        let _written = call.write_u32(wanted.parent_tid, tid);
    }
    if flags & CLONE_CHILD_SETTID != 0 {
        let process = call.posix.store.thread(lane).process as usize;
        let map = call.posix.store.process(process).map as usize;
        let _written = call.posix.write_guest(map, wanted.child_tid, &tid.to_le_bytes(), call.number);
    }
    if birth.waits {
        call.set_progress(u64::from(tid));
        return wait_for_child(call);
    }
    Ok(u64::from(tid))
}

/// Makes the page present where a thread id goes: after the birth there is no waiting for it. A bad address is told by nobody, as on Linux.
fn fetch_page(call: &mut Call<'_, '_>, address: u64) -> Result<(), Stop> {
    match call.posix.fault(call.map, address, FaultAccess::WRITE | FaultAccess::PRESENT, call.number) {
        Err(Refused::Wait(wait)) => Err(Stop::Wait(wait)),
        _ => Ok(()),
    }
}

/// `RLIMIT_NPROC`.
fn check_limit(call: &Call<'_, '_>) -> Result<(), Errno> {
    let me = call.me();
    let mine = call.posix.lanes.iter().filter(|lane| {
        let process = call.posix.store.thread(**lane).process as usize;
        call.posix.store.process(process).uid[0] == me.uid[0]
    });
    if mine.count() as u64 >= me.limits[12] { Err(Errno::EAGAIN) } else { Ok(()) }
}

/// Only a kill ends this wait early; the child goes on without its parent then.
fn wait_for_child(call: &mut Call<'_, '_>) -> SysResult {
    let pid = call.progress();
    let waits = call.posix.find_pid(pid as u32).is_some_and(|child| call.posix.store.process(child).vfork_lane as usize == call.lane + 1);
    if waits {
        return if call.posix.has_fatal(call.lane) { Err(Stop::Interrupted { restart: true }) } else { Err(Stop::Wait(Wait::on(Event::Lane))) };
    }
    Ok(pid)
}
