//! `kill`, `tkill`, `tgkill`, `rt_sigqueueinfo`, `rt_tgsigqueueinfo`.

use alloc::vec::Vec;

use crate::call::{Call, Stop, SysResult};
use crate::errno::Errno;
use crate::saved::{Lane, Origin, ProcessIndex};
use crate::signal::{self, SI_TKILL, SI_USER, SIGCONT};

fn origin(call: &Call<'_, '_>, code: u32) -> Origin {
    let me = call.me();
    Origin { code, pid: me.pid, uid: me.uid[0], ..Origin::default() }
}

fn may_send(call: &Call<'_, '_>, to: ProcessIndex, signal: usize) -> bool {
    let (me, other) = (call.me(), call.posix.store.process(to));
    let same = [me.uid[0], me.uid[1]].iter().any(|uid| *uid == other.uid[0] || *uid == other.uid[2]);
    me.uid[1] == 0 || same || signal == SIGCONT && me.session == other.session
}

/// Sends to all processes that count, of which there must be one before anybody asks whether there is such a signal. Gives how many were sent it.
fn send_all(call: &mut Call<'_, '_>, signal: u64, counts: impl Fn(&crate::saved::Process) -> bool) -> Result<usize, Errno> {
    let members: Vec<_> = call.posix.processes.iter().copied().filter(|process| counts(&call.posix.store.process(*process))).collect();
    if members.is_empty() {
        return Err(Errno::ESRCH);
    }
    let signal = signal::number(signal)?;
    let origin = origin(call, SI_USER);
    let allowed: Vec<_> = members.into_iter().filter(|process| may_send(call, *process, signal)).collect();
    for process in &allowed {
        call.posix.send(*process, signal, origin);
    }
    Ok(allowed.len())
}

/// Sends a signal to a process, a group or all.
pub fn sys_kill(call: &mut Call<'_, '_>) -> SysResult {
    let [pid, signal, ..] = call.arguments;
    let me = call.me();
    let sent = match pid as i32 {
        0 => send_all(call, signal, |process| process.group == me.group),
        // Whoever may not be sent it is passed over in silence.
        -1 => send_all(call, signal, |process| process.pid != me.pid).map(|sent| sent.max(1)),
        i32::MIN => Err(Errno::ESRCH),
        group if group < 0 => send_all(call, signal, |process| process.group == group.unsigned_abs()),
        pid => send_all(call, signal, |process| process.pid == pid as u32),
    }?;
    if sent == 0 { Err(Errno::EPERM.into()) } else { Ok(0) }
}

/// A thread, of a process if one is named.
fn lane_argument(call: &Call<'_, '_>, group: Option<u64>, tid: u64) -> Result<Lane, Errno> {
    if tid as i32 <= 0 || group.is_some_and(|group| group as i32 <= 0) {
        return Err(Errno::EINVAL);
    }
    let matches = |lane: &Lane| {
        let thread = call.posix.store.thread(*lane);
        let pid = call.posix.store.process(thread.process as usize).pid;
        thread.tid == tid as u32 && group.is_none_or(|group| group as u32 == pid)
    };
    call.posix.lanes.iter().copied().find(matches).ok_or(Errno::ESRCH)
}

fn send_lane(call: &mut Call<'_, '_>, group: Option<u64>, tid: u64, signal: u64, origin: Origin) -> SysResult {
    let lane = lane_argument(call, group, tid)?;
    let signal = signal::number(signal)?;
    let process = call.posix.store.thread(lane).process as usize;
    if !may_send(call, process, signal) {
        return Err(Errno::EPERM.into());
    }
    call.posix.try_send_thread(lane, signal, origin)?;
    Ok(0)
}

/// Sends a signal to a thread.
pub fn sys_tkill(call: &mut Call<'_, '_>) -> SysResult {
    let origin = origin(call, SI_TKILL);
    send_lane(call, None, call.arguments[0], call.arguments[1], origin)
}

/// Sends a signal to a thread of a process.
pub fn sys_tgkill(call: &mut Call<'_, '_>) -> SysResult {
    let origin = origin(call, SI_TKILL);
    send_lane(call, Some(call.arguments[0]), call.arguments[1], call.arguments[2], origin)
}

/// What a program says of a signal that it sends. Only to itself may it say what a kernel says.
fn said(call: &mut Call<'_, '_>, info: u64, to: u64) -> Result<Origin, Stop> {
    let [_, code, sender, value] = call.read_words(info)?;
    let code = code as u32;
    if (code.cast_signed() >= 0 || code == SI_TKILL) && to as u32 != call.me().pid {
        return Err(Errno::EPERM.into());
    }
    Ok(Origin { code, pid: sender as u32, uid: (sender >> 32) as u32, value, ..Origin::default() })
}

/// As [`said`], of one that must also say which signal it is.
pub(super) fn said_of(call: &mut Call<'_, '_>, info: u64, signal: u64, to: u64) -> Result<Origin, Stop> {
    let number = u32::from_le_bytes(call.read_bytes(info)?);
    // All of it is looked at before any of it.
    let origin = said(call, info, to);
    if number != signal as u32 && !matches!(origin, Err(Stop::Errno(Errno::EFAULT))) { Err(Errno::EINVAL.into()) } else { origin }
}

/// What `kill` says of the caller.
pub(super) fn sent_by(call: &Call<'_, '_>) -> Origin {
    origin(call, SI_USER)
}

/// Sends to one process, if the caller may.
pub(super) fn send_process(call: &mut Call<'_, '_>, process: ProcessIndex, signal: usize, origin: Origin) -> SysResult {
    if !may_send(call, process, signal) {
        return Err(Errno::EPERM.into());
    }
    call.posix.try_send(process, signal, origin)?;
    Ok(0)
}

/// Sends a signal with a value to a process.
pub fn sys_rt_sigqueueinfo(call: &mut Call<'_, '_>) -> SysResult {
    let [pid, signal, info, ..] = call.arguments;
    let origin = said(call, info, pid)?;
    let process = call.posix.find_pid(pid as u32).filter(|_| pid as u32 != 0).ok_or(Errno::ESRCH)?;
    let signal = signal::number(signal)?;
    send_process(call, process, signal, origin)
}

/// Likewise, to a thread of a process.
pub fn sys_rt_tgsigqueueinfo(call: &mut Call<'_, '_>) -> SysResult {
    let [group, tid, signal, info, ..] = call.arguments;
    let origin = said(call, info, tid)?;
    send_lane(call, Some(group), tid, signal, origin)
}
