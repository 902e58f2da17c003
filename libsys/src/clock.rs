//! Time, without asking anybody: the time-stamp counter, and what the start information says about it.
#![allow(unsafe_code, reason = "reads the time-stamp counter")]

use crate::start;

const NS_PER_SECOND: u128 = 1_000_000_000;

/// The time-stamp counter; deadlines are given in it.
#[must_use]
pub fn now_ticks() -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86_64 processor has the instruction, and the kernel leaves it to ring 3.
    return unsafe { core::arch::x86_64::_rdtsc() };
    #[cfg(not(target_arch = "x86_64"))]
    return 0;
}

/// Nanoseconds since the counter was 0: monotonic, about the machine's start.
#[must_use]
pub fn now_ns() -> u64 {
    ticks_to_ns(now_ticks(), start::info().tsc_hz)
}

/// Nanoseconds since the Unix epoch.
#[must_use]
pub fn wall_ns() -> u64 {
    start::info().wall_base_ns.saturating_add(now_ns())
}

/// The counter's value at a time of [`now_ns`]'s clock.
#[must_use]
pub fn ticks_at(ns: u64) -> u64 {
    ns_to_ticks(ns, start::info().tsc_hz)
}

/// Converts a count of ticks, rounding down; a counter of frequency 0 stands still.
#[must_use]
pub fn ticks_to_ns(ticks: u64, tsc_hz: u64) -> u64 {
    scale(ticks, NS_PER_SECOND, u128::from(tsc_hz))
}

/// Converts nanoseconds, rounding up, so that a deadline is never early.
#[must_use]
pub fn ns_to_ticks(ns: u64, tsc_hz: u64) -> u64 {
    scale(ns, u128::from(tsc_hz), NS_PER_SECOND).saturating_add(1)
}

fn scale(value: u64, by: u128, over: u128) -> u64 {
    let scaled = (u128::from(value) * by).checked_div(over).unwrap_or(0);
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{ns_to_ticks, ticks_to_ns};

    #[test]
    fn conversion_does_not_overflow_or_divide_by_zero() {
        assert_eq!(ticks_to_ns(u64::MAX, 1), u64::MAX);
        assert_eq!(ticks_to_ns(7, 0), 0);
        assert_eq!(ticks_to_ns(3_000_000_000, 3_000_000_000), 1_000_000_000);
    }

    #[test]
    fn deadline_is_never_before_the_time_asked_for() {
        for ns in [0, 1, 999, 1_000_000_007] {
            assert!(ticks_to_ns(ns_to_ticks(ns, 2_999_999_999), 2_999_999_999) >= ns);
        }
    }
}
