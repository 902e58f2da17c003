//! Clocks and sleeping.

use crate::call::{Call, Stop, SysResult};
use crate::errno::Errno;
use crate::saved::Lane;
use crate::wait::{Event, Wait};

const NS: u64 = 1_000_000_000;
const CLOCK_REALTIME: u64 = 0;
const CLOCK_MONOTONIC: u64 = 1;
const CLOCK_PROCESS: u64 = 2;
const CLOCK_THREAD: u64 = 3;
const CLOCK_MONOTONIC_RAW: u64 = 4;
const CLOCK_REALTIME_COARSE: u64 = 5;
const CLOCK_MONOTONIC_COARSE: u64 = 6;
const CLOCK_BOOTTIME: u64 = 7;
/// International atomic time: as on Linux, the time of day until somebody tells the difference.
const CLOCK_TAI: u64 = 11;
const TIMER_ABSTIME: u64 = 1;

/// A clock of the processor time of some thread or process. Linux packs it into a negative number (`include/linux/posix-timers.h`).
struct ProcessorClock {
    /// Of the thread or process; 0 is the caller.
    number: u32,
    is_thread: bool,
    counts_system: bool,
}

impl ProcessorClock {
    fn of(clock: u64) -> Option<Self> {
        const THREAD: i32 = 4;
        const USER: i32 = 1;
        let clock = clock as i32;
        let kind = clock & 3;
        // The last kind is that of devices.
        (clock < 0 && kind != 3).then_some(Self { number: !(clock >> 3) as u32, is_thread: clock & THREAD != 0, counts_system: kind != USER })
    }
}

impl Call<'_, '_> {
    /// What a clock shows (ns).
    ///
    /// # Errors
    /// `EINVAL`.
    pub fn clock(&mut self, clock: u64) -> Result<u64, Errno> {
        match clock {
            CLOCK_REALTIME | CLOCK_REALTIME_COARSE | CLOCK_TAI => Ok(self.posix.wall_ns()),
            CLOCK_MONOTONIC | CLOCK_MONOTONIC_RAW | CLOCK_MONOTONIC_COARSE | CLOCK_BOOTTIME => Ok(self.posix.kernel.now_ns()),
            CLOCK_THREAD => {
                let [user, system] = self.thread_ticks();
                Ok(ticks_to_ns(user + system, self.posix.kernel.ticks_per_second()))
            }
            CLOCK_PROCESS => {
                let [user, system] = self.posix.process_ticks(self.process);
                Ok(ticks_to_ns(user + system, self.posix.kernel.ticks_per_second()))
            }
            _ => self.processor_time(ProcessorClock::of(clock).ok_or(Errno::EINVAL)?),
        }
    }

    fn processor_time(&mut self, clock: ProcessorClock) -> Result<u64, Errno> {
        let [user, system] = if clock.is_thread {
            let lane = self.thread_argument(clock.number).map_err(|_| Errno::EINVAL)?;
            if self.posix.store.thread(lane).process as usize != self.process {
                return Err(Errno::EINVAL);
            }
            self.ticks_of(lane)
        } else {
            let process = if clock.number == 0 { Some(self.process) } else { self.posix.find_pid(clock.number) };
            self.posix.process_ticks(process.ok_or(Errno::EINVAL)?)
        };
        let ticks = if clock.counts_system { user + system } else { user };
        Ok(ticks_to_ns(ticks, self.posix.kernel.ticks_per_second()))
    }

    /// Ticks of the calling thread: own, and on its behalf.
    fn thread_ticks(&mut self) -> [u64; 2] {
        self.ticks_of(self.lane)
    }

    fn ticks_of(&mut self, lane: Lane) -> [u64; 2] {
        let state = self.posix.kernel.thread_state(crate::saved::slot::thread(lane));
        state.map_or([0; 2], |(ticks, _)| [ticks.user, ticks.system])
    }

    /// A `timespec`.
    ///
    /// # Errors
    /// `EINVAL`, `EFAULT`.
    pub fn read_timespec(&mut self, address: u64) -> Result<u64, Stop> {
        let [seconds, nanoseconds] = self.read_words(address)?;
        if seconds > i64::MAX as u64 || nanoseconds >= NS {
            return Err(Errno::EINVAL.into());
        }
        Ok(seconds.saturating_mul(NS).saturating_add(nanoseconds))
    }

    /// The deadline of a relative timeout argument; none for a null pointer.
    ///
    /// # Errors
    /// `EINVAL`, `EFAULT`.
    pub fn timeout_argument(&mut self, address: u64) -> Result<Option<u64>, Stop> {
        if address == 0 {
            return Ok(None);
        }
        let relative = self.read_timespec(address)?;
        Ok(Some(self.deadline_after(relative)))
    }

    /// Whether a deadline has passed; none never does.
    pub fn has_passed(&mut self, deadline: Option<u64>) -> bool {
        deadline.is_some_and(|deadline| deadline <= self.posix.kernel.now_ns())
    }

    /// A wait with a deadline that may be none.
    #[must_use]
    pub fn until(&self, event: Event, deadline: Option<u64>) -> Wait {
        Wait::on(event).until(deadline.unwrap_or(0))
    }

    /// `struct rusage`: times, and zeros for what is not counted.
    ///
    /// # Errors
    /// `EFAULT`.
    pub fn write_usage(&mut self, address: u64, ticks: [u64; 2]) -> Result<(), Stop> {
        let hz = self.posix.kernel.ticks_per_second();
        let [user, system] = ticks.map(|ticks| ticks_to_ns(ticks, hz));
        let mut words = [0; 18];
        (words[0], words[1]) = (user / NS, user % NS / 1000);
        (words[2], words[3]) = (system / NS, system % NS / 1000);
        self.write_words(address, &words)
    }
}

/// Ticks of the processor as nanoseconds.
#[must_use]
pub fn ticks_to_ns(ticks: u64, hz: u64) -> u64 {
    (u128::from(ticks) * u128::from(NS)).checked_div(u128::from(hz)).map_or(0, |ns| u64::try_from(ns).unwrap_or(u64::MAX))
}

/// What a clock shows.
pub fn sys_clock_gettime(call: &mut Call<'_, '_>) -> SysResult {
    let [clock, to, ..] = call.arguments;
    let now = call.clock(clock)?;
    call.write_words(to, &[now / NS, now % NS])?;
    Ok(0)
}

/// How fine a clock is.
pub fn sys_clock_getres(call: &mut Call<'_, '_>) -> SysResult {
    let [clock, to, ..] = call.arguments;
    call.clock(clock)?;
    if to != 0 {
        call.write_words(to, &[0, 1])?;
    }
    Ok(0)
}

/// Sets the wall clock.
pub fn sys_clock_settime(call: &mut Call<'_, '_>) -> SysResult {
    let [clock, from, ..] = call.arguments;
    if clock != CLOCK_REALTIME {
        return Err(Errno::EINVAL.into());
    }
    let wanted = call.read_timespec(from)?;
    set_wall(call, wanted)
}

fn set_wall(call: &mut Call<'_, '_>, wanted: u64) -> SysResult {
    if call.me().uid[1] != 0 {
        return Err(Errno::EPERM.into());
    }
    let base = call.posix.kernel.wall_base_ns().wrapping_add(call.posix.kernel.now_ns());
    call.posix.store.edit_globals(|globals| globals.clock_offset_ns = wanted.wrapping_sub(base));
    if call.posix.has_vdso {
        call.posix.write_clock_page()?;
    }
    Ok(0)
}

/// The wall clock in microseconds.
pub fn sys_gettimeofday(call: &mut Call<'_, '_>) -> SysResult {
    let [to, zone, ..] = call.arguments;
    let now = call.posix.wall_ns();
    if to != 0 {
        call.write_words(to, &[now / NS, now % NS / 1000])?;
    }
    if zone != 0 {
        call.write_words(zone, &[0])?;
    }
    Ok(0)
}

/// Sets the wall clock in microseconds.
pub fn sys_settimeofday(call: &mut Call<'_, '_>) -> SysResult {
    let [from, zone, ..] = call.arguments;
    let time = if from == 0 { None } else { Some(call.read_words(from)?) };
    if zone != 0 {
        let _no_zone_is_kept = call.read_u64(zone)?;
    }
    let Some([seconds, microseconds]) = time else { return Ok(0) };
    if seconds > i64::MAX as u64 || microseconds >= 1_000_000 {
        return Err(Errno::EINVAL.into());
    }
    set_wall(call, seconds.saturating_mul(NS) + microseconds * 1000)
}

/// The wall clock in seconds.
pub fn sys_time(call: &mut Call<'_, '_>) -> SysResult {
    let now = call.posix.wall_ns() / NS;
    if call.arguments[0] != 0 {
        call.write_words(call.arguments[0], &[now])?;
    }
    Ok(now)
}

/// Processor time of the process and its children, in hundredths.
pub fn sys_times(call: &mut Call<'_, '_>) -> SysResult {
    let hundredth = (call.posix.kernel.ticks_per_second() / 100).max(1);
    let own = call.posix.process_ticks(call.process);
    let children = call.me().child_ticks;
    if call.arguments[0] != 0 {
        let words = [own[0], own[1], children[0], children[1]].map(|ticks| ticks / hundredth);
        call.write_words(call.arguments[0], &words)?;
    }
    Ok(call.posix.kernel.now_ns() / 10_000_000)
}

/// Resources used.
pub fn sys_getrusage(call: &mut Call<'_, '_>) -> SysResult {
    let [who, to, ..] = call.arguments;
    let ticks = match who as i32 {
        0 => call.posix.process_ticks(call.process),
        1 => call.thread_ticks(),
        -1 => call.me().child_ticks,
        _ => return Err(Errno::EINVAL.into()),
    };
    call.write_usage(to, ticks)?;
    Ok(0)
}

fn sleep(call: &mut Call<'_, '_>, deadline: u64, remaining: u64) -> SysResult {
    if call.has_passed(Some(deadline)) {
        return Ok(0);
    }
    let result = call.wait(Wait::on(Event::Time).until(deadline), false);
    if remaining != 0 && matches!(result, Err(Stop::Interrupted { .. })) {
        let left = deadline.saturating_sub(call.posix.kernel.now_ns());
        call.write_words(remaining, &[left / NS, left % NS])?;
    }
    result
}

/// Sleeps.
pub fn sys_nanosleep(call: &mut Call<'_, '_>) -> SysResult {
    let [time, remaining, ..] = call.arguments;
    let relative = call.read_timespec(time)?;
    let deadline = call.deadline_after(relative);
    sleep(call, deadline, remaining)
}

/// Sleeps by a clock.
pub fn sys_clock_nanosleep(call: &mut Call<'_, '_>) -> SysResult {
    let [clock, flags, time, remaining, ..] = call.arguments;
    const DEVICE: i32 = 3;
    let is_device = (clock as i32) < 0 && clock as i32 & 7 == DEVICE;
    if is_device || matches!(clock, CLOCK_THREAD | CLOCK_MONOTONIC_RAW | CLOCK_REALTIME_COARSE | CLOCK_MONOTONIC_COARSE) {
        return Err(Errno::EOPNOTSUPP.into());
    }
    let now = call.clock(clock)?;
    if ProcessorClock::of(clock).is_some_and(|clock| clock.is_thread) {
        return Err(Errno::EINVAL.into());
    }
    let wanted = call.read_timespec(time)?;
    if flags & TIMER_ABSTIME == 0 {
        let deadline = call.deadline_after(wanted);
        return sleep(call, deadline, remaining);
    }
    let monotonic = call.posix.kernel.now_ns();
    sleep(call, monotonic.saturating_add(wanted.saturating_sub(now)), 0)
}
