//! `prlimit64`, `getrlimit`, `setrlimit`, `getpriority`, `setpriority`.

use crate::call::{Call, Stop, SysResult};
use crate::errno::Errno;
use crate::saved::{DESCRIPTORS, Process, ProcessIndex};

const RESOURCES: u64 = 16;
const NOFILE: usize = 7;
/// Where the soft `RLIMIT_NICE` stands among the limits.
const LIMIT_NICE: usize = 26;

fn get(call: &Call<'_, '_>, process: ProcessIndex, resource: u64) -> Result<[u64; 2], Errno> {
    if resource >= RESOURCES {
        return Err(Errno::EINVAL);
    }
    let limits = call.posix.store.process(process).limits;
    Ok([limits[resource as usize * 2], limits[resource as usize * 2 + 1]])
}

fn set(call: &mut Call<'_, '_>, process: ProcessIndex, resource: u64, new: [u64; 2]) -> Result<(), Stop> {
    let [_, hard] = get(call, process, resource)?;
    if new[0] > new[1] {
        return Err(Errno::EINVAL.into());
    }
    let too_many = resource as usize == NOFILE && new[1] > DESCRIPTORS as u64;
    if new[1] > hard && call.me().uid[1] != 0 || too_many {
        return Err(Errno::EPERM.into());
    }
    let index = resource as usize * 2;
    call.posix.store.edit_process(process, |process| {
        (process.limits[index], process.limits[index + 1]) = (new[0], new[1]);
        if resource as usize == NOFILE {
            process.descriptor_limit = new[0] as u32;
        }
    });
    call.posix.watch_processor_time(process);
    Ok(())
}

/// Whether one process may ask and set another's limits (prlimit(2)): root, and who is wholly of one user and group with it.
fn may_limit(me: &Process, other: &Process) -> bool {
    let is_one = |mine: u32, theirs: &[u32]| theirs.iter().take(3).all(|id| *id == mine);
    me.uid[1] == 0 || is_one(me.uid[0], &other.uid) && is_one(me.gid[0], &other.gid)
}

/// Asks and sets a limit of a process.
pub fn sys_prlimit64(call: &mut Call<'_, '_>) -> SysResult {
    let [pid, resource, new, old, ..] = call.arguments;
    let process = if pid as u32 == 0 { call.process } else { call.posix.find_pid(pid as u32).ok_or(Errno::ESRCH)? };
    if process != call.process && !may_limit(&call.me(), &call.posix.store.process(process)) {
        return Err(Errno::EPERM.into());
    }
    let before = get(call, process, resource & 0xffff_ffff)?;
    if new != 0 {
        let limits = call.read_words(new)?;
        set(call, process, resource, limits)?;
    }
    if old != 0 {
        call.write_words(old, &before)?;
    }
    Ok(0)
}

/// Asks a limit.
pub fn sys_getrlimit(call: &mut Call<'_, '_>) -> SysResult {
    let limits = get(call, call.process, call.arguments[0] & 0xffff_ffff)?;
    call.write_words(call.arguments[1], &limits)?;
    Ok(0)
}

/// Sets a limit.
pub fn sys_setrlimit(call: &mut Call<'_, '_>) -> SysResult {
    let limits = call.read_words(call.arguments[1])?;
    set(call, call.process, call.arguments[0] & 0xffff_ffff, limits)?;
    Ok(0)
}

fn whose(call: &Call<'_, '_>) -> Result<alloc::vec::Vec<ProcessIndex>, Errno> {
    let [which, who, ..] = call.arguments;
    let (me, who) = (call.me(), who as u32);
    let found: alloc::vec::Vec<_> = call
        .posix
        .processes
        .iter()
        .copied()
        .filter(|process| {
            let record = call.posix.store.process(*process);
            match which {
                0 => record.pid == if who == 0 { me.pid } else { who },
                1 => record.group == if who == 0 { me.group } else { who },
                _ => record.uid[0] == if who == 0 { me.uid[0] } else { who },
            }
        })
        .collect();
    if which > 2 {
        Err(Errno::EINVAL)
    } else if found.is_empty() {
        Err(Errno::ESRCH)
    } else {
        Ok(found)
    }
}

/// The best nice value of some processes, as 20 minus it.
pub fn sys_getpriority(call: &mut Call<'_, '_>) -> SysResult {
    let nice = whose(call)?.iter().map(|process| call.posix.store.process(*process).nice).min().unwrap_or(20);
    Ok(u64::from(40 - nice))
}

impl Call<'_, '_> {
    /// Whether the caller's effective user has a process, or is its effective user.
    #[must_use]
    pub fn owns(&self, process: &Process) -> bool {
        let user = self.me().uid[1];
        user == process.uid[0] || user == process.uid[1]
    }
}

/// Whether `RLIMIT_NICE` allows a process a nice value, 20 more than it is.
#[must_use]
pub const fn may_be_as_nice(process: &Process, nice: u32) -> bool {
    40 - nice as u64 <= process.limits[LIMIT_NICE]
}

/// Sets the nice value of some processes; one that may not be set keeps the others from nothing (Linux: `set_one_prio`).
pub fn sys_setpriority(call: &mut Call<'_, '_>) -> SysResult {
    let nice = ((call.arguments[2] as i32).clamp(-20, 19) + 20) as u32;
    let is_root = call.me().uid[1] == 0;
    let mut result = Ok(0);
    for process in whose(call)? {
        let record = call.posix.store.process(process);
        if !is_root && !call.owns(&record) {
            result = Err(Errno::EPERM.into());
        } else if !is_root && nice < record.nice && !may_be_as_nice(&record, nice) {
            result = Err(Errno::EACCES.into());
        } else {
            call.posix.store.edit_process(process, |process| process.nice = nice);
        }
    }
    result
}
