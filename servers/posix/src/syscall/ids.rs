//! Who a process is: numbers, groups, sessions, users.

use libsys::field;

use crate::call::{Call, Stop, SysResult};
use crate::errno::Errno;
use crate::saved::{Lane, Process, ProcessIndex, Thread, flag, state};
use crate::server::Posix;

const NO_CHANGE: u32 = u32::MAX;
/// Linux's numbers of the calls of [`identity`].
const GETPID: u64 = 39;
const GETUID: u64 = 102;
const GETGID: u64 = 104;
const GETEUID: u64 = 107;
const GETEGID: u64 = 108;
const GETPPID: u64 = 110;
const GETPGRP: u64 = 111;
const GETTID: u64 = 186;

impl Posix<'_> {
    /// The number of a process's parent: 1, which is posix itself, for one without.
    #[must_use]
    pub fn pid_of_parent(&self, process: ProcessIndex) -> u32 {
        match self.store.process(process).parent {
            0 => 1,
            parent => self.store.process(parent as usize).pid,
        }
    }
}

/// Whether a call only asks who its caller is.
#[inline(always)]
#[must_use]
pub const fn is_identity(call_number: u64) -> bool {
    matches!(call_number, GETPID | GETUID | GETGID | GETEUID | GETEGID | GETPPID | GETPGRP | GETTID)
}

/// What such a call says; nothing for another call.
#[inline(always)]
#[must_use]
pub fn identity(posix: &Posix<'_>, lane: Lane, call_number: u64) -> Option<u64> {
    let process = posix.store.thread(lane).process as usize;
    Some(u64::from(match call_number {
        GETPID => posix.store.process(process).pid,
        GETUID => posix.store.process(process).uid[0],
        GETGID => posix.store.process(process).gid[0],
        GETEUID => posix.store.process(process).uid[1],
        GETEGID => posix.store.process(process).gid[1],
        GETPPID => posix.pid_of_parent(process),
        GETPGRP => posix.store.process(process).group,
        GETTID => posix.store.thread(lane).tid,
        _ => return None,
    }))
}

/// Any call of [`identity`].
pub fn sys_identity(call: &mut Call<'_, '_>) -> SysResult {
    identity(call.posix, call.lane, call.call_number).ok_or(Errno::ENOSYS.into())
}

/// Address to clear at the thread's end.
pub fn sys_set_tid_address(call: &mut Call<'_, '_>) -> SysResult {
    let address = call.arguments[0];
    call.posix.store.set_thread_field(call.lane, field!(Thread, clear_tid), address);
    Ok(u64::from(call.posix.store.thread(call.lane).tid))
}

fn process_argument(call: &Call<'_, '_>, pid: u64) -> Result<ProcessIndex, Errno> {
    if pid as u32 == 0 { Ok(call.process) } else { call.posix.find_pid(pid as u32).ok_or(Errno::ESRCH) }
}

/// The process group of a process.
pub fn sys_getpgid(call: &mut Call<'_, '_>) -> SysResult {
    let process = process_argument(call, call.arguments[0])?;
    Ok(u64::from(call.posix.store.process(process).group))
}

/// The session of a process.
pub fn sys_getsid(call: &mut Call<'_, '_>) -> SysResult {
    let process = process_argument(call, call.arguments[0])?;
    Ok(u64::from(call.posix.store.process(process).session))
}

/// Moves a process to a group (POSIX, `setpgid`).
pub fn sys_setpgid(call: &mut Call<'_, '_>) -> SysResult {
    let [pid, group, ..] = call.arguments;
    if (group as i32) < 0 || group == 0 && (pid as i32) < 0 {
        return Err(Errno::EINVAL.into());
    }
    let target = process_argument(call, pid)?;
    let (me, record) = (call.me(), call.posix.store.process(target));
    if target != call.process {
        if record.parent as usize != call.process || record.state != state::LIVE {
            return Err(Errno::ESRCH.into());
        }
        if record.session != me.session {
            return Err(Errno::EPERM.into());
        }
        if record.flags & flag::EXECUTED != 0 {
            return Err(Errno::EACCES.into());
        }
    }
    let group = if group == 0 { record.pid } else { group as u32 };
    let exists = call.posix.processes.iter().any(|process| {
        let process = call.posix.store.process(*process);
        process.group == group && process.session == me.session
    });
    if record.pid == record.session || group != record.pid && !exists {
        return Err(Errno::EPERM.into());
    }
    call.posix.store.edit_process(target, |process| process.group = group);
    Ok(0)
}

/// Starts a session.
pub fn sys_setsid(call: &mut Call<'_, '_>) -> SysResult {
    let me = call.me();
    if call.posix.processes.iter().any(|process| call.posix.store.process(*process).group == me.pid) {
        return Err(Errno::EPERM.into());
    }
    call.posix.store.edit_process(call.process, |process| {
        (process.session, process.group) = (me.pid, me.pid);
        (process.terminal, process.hung_up_group) = (0, 0);
    });
    Ok(u64::from(me.pid))
}

/// Three identities to be set; whoever is not privileged may only permute those he has.
fn set_ids(now: [u32; 4], wanted: [u32; 3], privileged: bool) -> Result<[u32; 4], Errno> {
    let mut ids = now;
    for (index, id) in wanted.into_iter().enumerate().filter(|(_, id)| *id != NO_CHANGE) {
        if !privileged && !now[..3].contains(&id) {
            return Err(Errno::EPERM);
        }
        ids[index] = id;
    }
    ids[3] = ids[1];
    Ok(ids)
}

fn set_users(call: &mut Call<'_, '_>, wanted: [u32; 3]) -> SysResult {
    let me = call.me();
    let ids = set_ids(me.uid, wanted, me.uid[1] == 0)?;
    call.posix.store.edit_process(call.process, |process| process.uid = ids);
    Ok(0)
}

fn set_groups(call: &mut Call<'_, '_>, wanted: [u32; 3]) -> SysResult {
    let me = call.me();
    let ids = set_ids(me.gid, wanted, me.uid[1] == 0)?;
    call.posix.store.edit_process(call.process, |process| process.gid = ids);
    Ok(0)
}

/// One identity: for root all three, else the effective one.
fn single(call: &Call<'_, '_>, id: u64) -> Result<[u32; 3], Errno> {
    let id = id as u32;
    if id == NO_CHANGE {
        return Err(Errno::EINVAL);
    }
    Ok(if call.me().uid[1] == 0 { [id; 3] } else { [NO_CHANGE, id, NO_CHANGE] })
}

/// Sets the user.
pub fn sys_setuid(call: &mut Call<'_, '_>) -> SysResult {
    let wanted = single(call, call.arguments[0])?;
    set_users(call, wanted)
}

/// Sets the group.
pub fn sys_setgid(call: &mut Call<'_, '_>) -> SysResult {
    let wanted = single(call, call.arguments[0])?;
    set_groups(call, wanted)
}

/// Real and effective; the saved one follows when the real one is set or the effective one becomes another.
fn pair(now: [u32; 4], real: u64, effective: u64) -> [u32; 3] {
    let (real, effective) = (real as u32, effective as u32);
    let follows = real != NO_CHANGE || effective != NO_CHANGE && effective != now[0];
    let saved = if !follows {
        NO_CHANGE
    } else if effective == NO_CHANGE {
        now[1]
    } else {
        effective
    };
    [real, effective, saved]
}

/// Sets real and effective user.
pub fn sys_setreuid(call: &mut Call<'_, '_>) -> SysResult {
    let wanted = pair(call.me().uid, call.arguments[0], call.arguments[1]);
    set_users(call, wanted)
}

/// Sets real and effective group.
pub fn sys_setregid(call: &mut Call<'_, '_>) -> SysResult {
    let wanted = pair(call.me().gid, call.arguments[0], call.arguments[1]);
    set_groups(call, wanted)
}

/// Sets all three users.
pub fn sys_setresuid(call: &mut Call<'_, '_>) -> SysResult {
    let [a, b, c, ..] = call.arguments;
    set_users(call, [a as u32, b as u32, c as u32])
}

/// Sets all three groups.
pub fn sys_setresgid(call: &mut Call<'_, '_>) -> SysResult {
    let [a, b, c, ..] = call.arguments;
    set_groups(call, [a as u32, b as u32, c as u32])
}

fn write_three(call: &mut Call<'_, '_>, ids: [u32; 4]) -> SysResult {
    for (address, id) in call.arguments.into_iter().zip(ids).take(3) {
        call.write_u32(address, id)?;
    }
    Ok(0)
}

/// All three users.
pub fn sys_getresuid(call: &mut Call<'_, '_>) -> SysResult {
    write_three(call, call.me().uid)
}

/// All three groups.
pub fn sys_getresgid(call: &mut Call<'_, '_>) -> SysResult {
    write_three(call, call.me().gid)
}

/// The user for file access.
pub fn sys_setfsuid(call: &mut Call<'_, '_>) -> SysResult {
    let (me, id) = (call.me(), call.arguments[0] as u32);
    if id != NO_CHANGE && (me.uid[1] == 0 || me.uid.contains(&id)) {
        call.posix.store.edit_process(call.process, |process| process.uid[3] = id);
    }
    Ok(u64::from(me.uid[3]))
}

/// The group for file access.
pub fn sys_setfsgid(call: &mut Call<'_, '_>) -> SysResult {
    let (me, id) = (call.me(), call.arguments[0] as u32);
    if id != NO_CHANGE && (me.uid[1] == 0 || me.gid.contains(&id)) {
        call.posix.store.edit_process(call.process, |process| process.gid[3] = id);
    }
    Ok(u64::from(me.gid[3]))
}

/// Supplementary groups.
pub fn sys_getgroups(call: &mut Call<'_, '_>) -> SysResult {
    let [room, to, ..] = call.arguments;
    let me = call.me();
    let count = u64::from(me.group_count);
    if room as u32 == 0 {
        return Ok(count);
    }
    if (room as i32) < count as i32 {
        return Err(Errno::EINVAL.into());
    }
    let bytes: alloc::vec::Vec<u8> = me.groups.iter().take(count as usize).flat_map(|group| group.to_le_bytes()).collect();
    call.write(to, &bytes)?;
    Ok(count)
}

/// Sets them.
pub fn sys_setgroups(call: &mut Call<'_, '_>) -> SysResult {
    let [count, from, ..] = call.arguments;
    let me: Process = call.me();
    if me.uid[1] != 0 {
        return Err(Errno::EPERM.into());
    }
    if count as u32 as usize > me.groups.len() {
        return Err(Errno::EINVAL.into());
    }
    let mut groups = [0; 16];
    for (index, group) in groups.iter_mut().take(count as u32 as usize).enumerate() {
        *group = call.read_u32(from.checked_add(index as u64 * 4).ok_or(Stop::Errno(Errno::EFAULT))?)?;
    }
    // As Linux keeps them, which getgroups(2) shows.
    groups.get_mut(..count as u32 as usize).unwrap_or_default().sort_unstable();
    call.posix.store.edit_process(call.process, |process| (process.groups, process.group_count) = (groups, count as u32));
    Ok(0)
}
