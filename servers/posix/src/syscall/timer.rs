//! `timer_create`, `timer_settime`, `timer_gettime`, `timer_getoverrun`, `timer_delete`.

use crate::call::{Call, Stop, SysResult};
use crate::errno::Errno;
use crate::saved::{SIGNALS, TIMERS, Timer};
use crate::signal::SIGALRM;
use crate::syscall::itimerspec::Setting;

/// `SIGEV_SIGNAL`.
const SIGNAL: u32 = 0;
/// `SIGEV_NONE`.
pub const NOBODY: u32 = 1;
/// `SIGEV_THREAD`: what the C library makes of it is its own.
const LIBRARY: u32 = 2;
/// `SIGEV_THREAD_ID`.
pub const THREAD: u32 = 4;
const TIMER_ABSTIME: u64 = 1;
/// `CLOCK_REALTIME` and `CLOCK_TAI`.
const WALL_CLOCKS: [u64; 2] = [0, 11];
/// `CLOCK_MONOTONIC` and `CLOCK_BOOTTIME`.
const OTHER_CLOCKS: [u64; 2] = [1, 7];

/// Why a clock has no timers: there is no such clock, or it is one of the processor's time, a raw or coarse one, or one that would wake the machine.
fn without_timers(call: &mut Call<'_, '_>, clock: u64) -> Errno {
    const WAKING: [u64; 2] = [8, 9];
    if WAKING.contains(&clock) || call.clock(clock).is_ok() { Errno::EOPNOTSUPP } else { Errno::EINVAL }
}

/// What a timer with a number does when it goes off: as `struct sigevent` says, or by default.
fn notification(call: &Call<'_, '_>, event: Option<[u64; 8]>, number: u32) -> Result<Timer, Errno> {
    let Some([value, words, thread, ..]) = event else {
        return Ok(Timer { notify: SIGNAL, signal: SIGALRM as u32, value: u64::from(number), ..Timer::default() });
    };
    let (signal, notify, thread) = (words as u32, (words >> 32) as u32, thread as u32);
    let is_signal = (1..=SIGNALS as u32).contains(&signal);
    let is_right = match notify {
        NOBODY => true,
        SIGNAL | LIBRARY => is_signal,
        THREAD => is_signal && call.posix.find_thread(call.process, thread).is_some(),
        _ => false,
    };
    if is_right { Ok(Timer { notify, signal, thread, value, ..Timer::default() }) } else { Err(Errno::EINVAL) }
}

/// Makes a timer that does not run. One that cannot be made after all has had its number, as on Linux.
pub fn sys_timer_create(call: &mut Call<'_, '_>) -> SysResult {
    let [clock, event, to, ..] = call.arguments;
    let event = if event == 0 { None } else { Some(call.read_words(event)?) };
    if !WALL_CLOCKS.contains(&clock) && !OTHER_CLOCKS.contains(&clock) {
        return Err(without_timers(call, clock).into());
    }
    let number = call.me().next_timer as u32 & i32::MAX as u32;
    call.posix.store.edit_process(call.process, |process| process.next_timer = u64::from(number) + 1);
    let timer = notification(call, event, number)?;
    call.write_u32(to, number)?;
    let free = (0..TIMERS).find(|index| call.posix.store.timer(*index).process == 0).ok_or(Errno::EAGAIN)?;
    call.posix.store.set_timer(free, Timer { process: call.process as u32, number, clock: clock as u32, ..timer });
    if !call.posix.posix_timers.contains(&free) {
        call.posix.posix_timers.push(free);
    }
    Ok(0)
}

fn timer_argument(call: &Call<'_, '_>) -> Result<(usize, Timer), Errno> {
    call.posix.posix_timer(call.process, call.arguments[0] as u32).ok_or(Errno::EINVAL)
}

/// Tells the interval, and how long to go.
fn tell(call: &mut Call<'_, '_>, timer: &Timer, to: u64) -> Result<(), Stop> {
    let now = call.posix.posix_timer_now(timer);
    let left = match timer.next {
        0 => 0,
        next if next > now => next - now,
        _ if timer.interval != 0 => timer.forwarded(now).1 - now,
        // One that is about to go off is not one that is off.
        _ if timer.is_told == 0 && timer.notify != NOBODY => 1,
        _ => 0,
    };
    call.write_setting(to, Setting { first: left, interval: timer.interval })
}

/// How a timer is set.
pub fn sys_timer_gettime(call: &mut Call<'_, '_>) -> SysResult {
    let (_, timer) = timer_argument(call)?;
    tell(call, &timer, call.arguments[1])?;
    Ok(0)
}

/// Sets a timer.
pub fn sys_timer_settime(call: &mut Call<'_, '_>) -> SysResult {
    let [_, flags, new, old, ..] = call.arguments;
    if new == 0 {
        return Err(Errno::EINVAL.into());
    }
    let setting = call.read_setting(new)?;
    let (index, timer) = timer_argument(call)?;
    if old != 0 {
        tell(call, &timer, old)?;
    }
    let is_absolute = flags & TIMER_ABSTIME != 0;
    let is_wall = is_absolute && WALL_CLOCKS.contains(&u64::from(timer.clock));
    let next = setting.moment(is_absolute, call.posix.kernel.now_ns());
    call.posix.store.set_timer(index, Timer { is_wall: u32::from(is_wall), is_told: 0, next, interval: setting.interval, overrun: 0, ..timer });
    Ok(0)
}

/// How often a timer went off unheard before its signal was last taken.
pub fn sys_timer_getoverrun(call: &mut Call<'_, '_>) -> SysResult {
    Ok(timer_argument(call)?.1.overrun)
}

/// Ends a timer. Its signal, if one waits, stays.
pub fn sys_timer_delete(call: &mut Call<'_, '_>) -> SysResult {
    let (index, _) = timer_argument(call)?;
    call.posix.delete_posix_timer(index);
    Ok(0)
}
