//! `sched_setparam`, `sched_getparam`, `sched_setscheduler`, `sched_getscheduler`, `sched_get_priority_max`, `sched_get_priority_min`, `sched_rr_get_interval`.
//!
//! A policy is a level of the kernel's, which never runs a thread while one of a higher level can, and a slice of time: idle threads stand below everybody else's,
//! and real-time threads above, those of a few priorities sharing a level ([`level`]). All below posix itself, so that whoever is starved can still be killed.
//! A level is set before its record is committed: a call that is delivered again sets it again. A thread is made on its parent's level and with its slice.
//! Other than on Linux: threads of `SCHED_FIFO` take turns with others of their level, though seldom; nothing keeps real-time threads from taking all time; nice
//! values of programs on one level count for nothing.

use abi::ThreadSetting;

use crate::call::{Call, SysResult};
use crate::errno::Errno;
use crate::saved::{Lane, Thread, slot};
use crate::server::Posix;
use crate::space::kernel_errno;
use crate::syscall::limits::may_be_as_nice;
use crate::syscall::time::ticks_to_ns;

/// `SCHED_RESET_ON_FORK`: children begin as everybody does.
pub const RESET_ON_FORK: u32 = 0x4000_0000;
const NORMAL: u32 = 0;
const FIFO: u32 = 1;
const ROUND_ROBIN: u32 = 2;
const BATCH: u32 = 3;
const IDLE: u32 = 5;
/// It cannot be had by these calls, because it has more parameters.
const DEADLINE: u32 = 6;
/// Highest priority of a real-time thread.
const HIGHEST: u32 = 99;
/// Where the soft `RLIMIT_RTPRIO` stands among the limits.
const LIMIT_PRIORITY: usize = 28;
/// Level of programs; the manifest's text says so too.
pub const PROGRAM_LEVEL: u64 = 8;
/// Levels above it and below posix's own, for real-time threads.
const REAL_TIME_LEVELS: u64 = 7;
const MS: u64 = 1_000_000;
/// Slice of `SCHED_FIFO`; Linux has none, and says 0.
const FIFO_SLICE_MS: u64 = 1000;
/// Slice of `SCHED_RR` (Linux: `RR_TIMESLICE`).
const ROUND_ROBIN_SLICE_MS: u64 = 100;
/// Slice of all others in ticks of the processor's counter, the kernel's default.
const SLICE_TICKS: u64 = 40_000_000;

/// Whether threads of a policy have a priority of their own.
#[must_use]
pub const fn is_real_time(policy: u32) -> bool {
    matches!(policy & !RESET_ON_FORK, FIFO | ROUND_ROBIN)
}

/// The policy and priority that a thread hands on to its child.
#[must_use]
pub const fn inherited(parent: &Thread) -> (u32, u32) {
    if parent.policy & RESET_ON_FORK == 0 { (parent.policy, parent.static_priority) } else { (NORMAL, 0) }
}

/// The kernel's level of a policy and priority.
#[must_use]
pub const fn level(policy: u32, priority: u32) -> u64 {
    match policy & !RESET_ON_FORK {
        IDLE => PROGRAM_LEVEL - 1,
        FIFO | ROUND_ROBIN => PROGRAM_LEVEL + 1 + (priority as u64).saturating_sub(1) * REAL_TIME_LEVELS / HIGHEST as u64,
        _ => PROGRAM_LEVEL,
    }
}

impl Posix<'_> {
    /// Has a thread run as its policy and priority say.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn apply_policy(&mut self, lane: Lane, policy: u32, priority: u32) -> Result<(), Errno> {
        let handle = slot::thread(lane);
        let per_ms = self.kernel.ticks_per_second() / 1000;
        let slice = match policy & !RESET_ON_FORK {
            FIFO => FIFO_SLICE_MS * per_ms,
            ROUND_ROBIN => ROUND_ROBIN_SLICE_MS * per_ms,
            _ => SLICE_TICKS,
        };
        self.kernel.thread_configure(handle, ThreadSetting::Priority, level(policy, priority)).map_err(kernel_errno)?;
        self.kernel.thread_configure(handle, ThreadSetting::Slice, slice.max(1)).map_err(kernel_errno)
    }
}

/// The thread of the first argument.
fn thread_argument(call: &Call<'_, '_>) -> Result<Lane, Errno> {
    let tid = call.arguments[0] as u32;
    if tid.cast_signed() < 0 { Err(Errno::EINVAL) } else { call.thread_argument(tid) }
}

/// Whether the caller may have a thread scheduled so (Linux: `user_check_sched_setscheduler`).
fn check_rights(call: &Call<'_, '_>, lane: Lane, policy: u32, priority: u32) -> Result<(), Errno> {
    let thread = call.posix.store.thread(lane);
    let owner = call.posix.store.process(thread.process as usize);
    let (wanted, now) = (policy & !RESET_ON_FORK, thread.policy & !RESET_ON_FORK);
    let limit = owner.limits[LIMIT_PRIORITY];
    let exceeds = is_real_time(wanted) && (wanted != now && limit == 0 || priority > thread.static_priority && u64::from(priority) > limit);
    let leaves_idle = now == IDLE && wanted != IDLE && !may_be_as_nice(&owner, owner.nice);
    let forgets = thread.policy & !policy & RESET_ON_FORK != 0;
    let is_refused = exceeds || leaves_idle || forgets || !call.owns(&owner);
    if is_refused && call.me().uid[1] != 0 { Err(Errno::EPERM) } else { Ok(()) }
}

fn set(call: &mut Call<'_, '_>, policy: Option<u32>, parameter: u64) -> SysResult {
    if parameter == 0 || (call.arguments[0] as i32) < 0 {
        return Err(Errno::EINVAL.into());
    }
    let priority = u32::from_le_bytes(call.read_bytes(parameter)?);
    let lane = thread_argument(call)?;
    let policy = policy.unwrap_or_else(|| call.posix.store.thread(lane).policy);
    let is_known = matches!(policy & !RESET_ON_FORK, NORMAL | FIFO | ROUND_ROBIN | BATCH | IDLE);
    if !is_known || priority > HIGHEST || is_real_time(policy) != (priority != 0) {
        return Err(Errno::EINVAL.into());
    }
    check_rights(call, lane, policy, priority)?;
    call.posix.apply_policy(lane, policy, priority)?;
    call.posix.store.edit_thread(lane, |thread| (thread.policy, thread.static_priority) = (policy, priority));
    Ok(0)
}

/// Sets the priority of a thread.
pub fn sys_sched_setparam(call: &mut Call<'_, '_>) -> SysResult {
    set(call, None, call.arguments[1])
}

/// Asks it.
pub fn sys_sched_getparam(call: &mut Call<'_, '_>) -> SysResult {
    let to = call.arguments[1];
    if to == 0 {
        return Err(Errno::EINVAL.into());
    }
    let lane = thread_argument(call)?;
    call.write_u32(to, call.posix.store.thread(lane).static_priority)?;
    Ok(0)
}

/// Sets the policy and priority of a thread.
pub fn sys_sched_setscheduler(call: &mut Call<'_, '_>) -> SysResult {
    let [_, policy, parameter, ..] = call.arguments;
    let policy = policy as u32;
    if policy.cast_signed() < 0 { Err(Errno::EINVAL.into()) } else { set(call, Some(policy), parameter) }
}

/// Asks the policy.
pub fn sys_sched_getscheduler(call: &mut Call<'_, '_>) -> SysResult {
    let lane = thread_argument(call)?;
    Ok(u64::from(call.posix.store.thread(lane).policy))
}

/// The highest priority of a policy.
pub fn sys_sched_get_priority_max(call: &mut Call<'_, '_>) -> SysResult {
    priority_bound(call, u64::from(HIGHEST))
}

/// The lowest.
pub fn sys_sched_get_priority_min(call: &mut Call<'_, '_>) -> SysResult {
    priority_bound(call, 1)
}

fn priority_bound(call: &Call<'_, '_>, of_real_time: u64) -> SysResult {
    match call.arguments[0] as u32 {
        FIFO | ROUND_ROBIN => Ok(of_real_time),
        NORMAL | BATCH | IDLE | DEADLINE => Ok(0),
        _ => Err(Errno::EINVAL.into()),
    }
}

/// How long a thread runs before another one of its priority does.
pub fn sys_sched_rr_get_interval(call: &mut Call<'_, '_>) -> SysResult {
    let lane = thread_argument(call)?;
    let slice = match call.posix.store.thread(lane).policy & !RESET_ON_FORK {
        FIFO => 0,
        ROUND_ROBIN => ROUND_ROBIN_SLICE_MS * MS,
        _ => ticks_to_ns(SLICE_TICKS, call.posix.kernel.ticks_per_second()),
    };
    call.write_words(call.arguments[1], &[0, slice])?;
    Ok(0)
}
