//! `timerfd_create`, `timerfd_settime`, `timerfd_gettime`.

use crate::call::{Call, Stop, SysResult};
use crate::errno::Errno;
use crate::fd::{NONBLOCK, READ_WRITE, kind};
use crate::saved::File;
use crate::syscall::itimerspec::Setting;
use crate::timerfd::WALL;

const TFD_CLOEXEC: u64 = 0o2_000_000;
const TFD_TIMER_ABSTIME: u64 = 1;
const TFD_TIMER_CANCEL_ON_SET: u64 = 2;
/// `CLOCK_REALTIME` and `CLOCK_REALTIME_ALARM`.
const WALL_CLOCKS: [u64; 2] = [0, 8];
/// `CLOCK_MONOTONIC`, `CLOCK_BOOTTIME`, `CLOCK_BOOTTIME_ALARM`.
const OTHER_CLOCKS: [u64; 3] = [1, 7, 9];

/// Makes a timer that does not run.
pub fn sys_timerfd_create(call: &mut Call<'_, '_>) -> SysResult {
    let [clock, flags, ..] = call.arguments;
    let known = WALL_CLOCKS.contains(&clock) || OTHER_CLOCKS.contains(&clock);
    if !known || flags & !(TFD_CLOEXEC | u64::from(NONBLOCK)) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let file = File { kind: kind::TIMER, flags: READ_WRITE | flags as u32 & NONBLOCK, object: clock as u32, ..File::default() };
    Ok(call.posix.open_file(call.process, file, flags & TFD_CLOEXEC != 0)? as u64)
}

fn timer_argument(call: &Call<'_, '_>) -> Result<(usize, File), Errno> {
    let (index, file) = call.posix.file_of(call.process, call.arguments[0])?;
    if file.kind == kind::TIMER { Ok((index, file)) } else { Err(Errno::EINVAL) }
}

/// Tells the interval, and how long to go.
fn tell(call: &mut Call<'_, '_>, timer: &File, to: u64) -> Result<(), Stop> {
    let now = call.posix.timer_now(timer);
    let left = match timer.offset {
        0 => 0,
        at if at > now => at - now,
        at => timer.detail.saturating_sub((now - at).checked_rem(timer.detail).unwrap_or(0)),
    };
    call.write_setting(to, Setting { first: left, interval: timer.detail })
}

/// How a timer is set.
pub fn sys_timerfd_gettime(call: &mut Call<'_, '_>) -> SysResult {
    let (_, timer) = timer_argument(call)?;
    tell(call, &timer, call.arguments[1])?;
    Ok(0)
}

/// Sets a timer.
pub fn sys_timerfd_settime(call: &mut Call<'_, '_>) -> SysResult {
    let [_, flags, new, old, ..] = call.arguments;
    let setting = call.read_setting(new)?;
    if flags & !(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let (index, timer) = timer_argument(call)?;
    if old != 0 {
        tell(call, &timer, old)?;
    }
    let clock = timer.object & !WALL;
    let absolute = flags & TFD_TIMER_ABSTIME != 0;
    let object = if absolute && WALL_CLOCKS.contains(&u64::from(clock)) { clock | WALL } else { clock };
    let next = setting.moment(absolute, call.posix.kernel.now_ns());
    call.posix.store.edit_file(index, |file| (file.object, file.offset, file.detail) = (object, next, setting.interval));
    call.posix.timer_set(index);
    Ok(0)
}
