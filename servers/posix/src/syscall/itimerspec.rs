//! `struct itimerspec`, by which `timer_settime` and `timerfd_settime` are told when a timer goes off, and tell how it was set.

use crate::call::{Call, Stop};
use crate::errno::Errno;

const NS: u64 = 1_000_000_000;

/// When a timer goes off first, which is a moment or a while, and how long from one time to the next (ns); 0 is never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) first: u64,
    pub(super) interval: u64,
}

impl Setting {
    /// The moment of the first time, 0 for never.
    pub(super) const fn moment(self, is_absolute: bool, now: u64) -> u64 {
        if is_absolute || self.first == 0 { self.first } else { now.saturating_add(self.first) }
    }
}

impl Call<'_, '_> {
    /// The setting at an address.
    ///
    /// # Errors
    /// `EFAULT`; `EINVAL` for a negative time and for nanoseconds that make a second.
    pub(super) fn read_setting(&mut self, address: u64) -> Result<Setting, Stop> {
        let [seconds, nano, first_seconds, first_nano]: [u64; 4] = self.read_words(address)?;
        if seconds.max(first_seconds) > i64::MAX as u64 || nano.max(first_nano) >= NS {
            return Err(Errno::EINVAL.into());
        }
        let ns = |seconds: u64, nano: u64| seconds.saturating_mul(NS).saturating_add(nano);
        Ok(Setting { first: ns(first_seconds, first_nano), interval: ns(seconds, nano) })
    }

    /// Tells a setting.
    ///
    /// # Errors
    /// `EFAULT`.
    pub(super) fn write_setting(&mut self, to: u64, setting: Setting) -> Result<(), Stop> {
        let Setting { first, interval } = setting;
        self.write_words(to, &[interval / NS, interval % NS, first / NS, first % NS])
    }
}
