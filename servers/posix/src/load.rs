//! Load averages: how many threads ran or wanted to, over 1, 5 and 15 minutes.
//!
//! Linux takes a sample every five seconds and folds it into three exponential averages (`kernel/sched/loadavg.c`). Here nothing wakes to take one: between two
//! changes of the number of active threads all samples are alike, and any number of them is folded in at once when the number changes, or when somebody asks.
//! The result is what Linux makes of samples that it missed while its processors slept. The number is saved with each change, as one word, and the averages
//! when samples were folded in, so that a quiet hour counts as one even if nobody lived through it.

use crate::saved::{Lane, Load};
use crate::server::Posix;
use crate::wait::Wait;

/// Fraction bits of an average (Linux: `FSHIFT`).
pub const FRACTION_BITS: u32 = 11;
const ONE: u64 = 1 << FRACTION_BITS;
/// What is left of an average after one sample: e to the power of -5/60, -5/300, -5/900.
const DECAYS: [u64; 3] = [1884, 2014, 2037];
/// From one sample to the next.
const PERIOD_NS: u64 = 5_000_000_000;

impl Load {
    /// The load at a time, if the number of active threads has not changed since.
    #[must_use]
    pub fn at(self, now: u64) -> Self {
        let samples = now.saturating_sub(self.sampled_ns) / PERIOD_NS;
        if samples == 0 {
            return self;
        }
        let mut averages = self.averages;
        for (average, decay) in averages.iter_mut().zip(DECAYS) {
            *average = fold(*average, power(decay, samples), self.active.saturating_mul(ONE));
        }
        Self { averages, sampled_ns: self.sampled_ns + samples * PERIOD_NS, ..self }
    }
}

/// An average after samples of `active`, of which `decay` is left. Rounded up while it grows, so that it arrives.
const fn fold(average: u64, decay: u64, active: u64) -> u64 {
    let sum = average.saturating_mul(decay).saturating_add(active.saturating_mul(ONE - decay));
    let rounding = if active >= average { ONE - 1 } else { 0 };
    sum.saturating_add(rounding) / ONE
}

/// A fraction to the power of `exponent`, rounded at each step as Linux does.
const fn power(mut fraction: u64, mut exponent: u64) -> u64 {
    let mut result = ONE;
    while exponent != 0 {
        if exponent & 1 != 0 {
            result = (result * fraction + ONE / 2) / ONE;
        }
        fraction = (fraction * fraction + ONE / 2) / ONE;
        exponent >>= 1;
    }
    result
}

impl Posix<'_> {
    /// Whether a thread runs, or would if it had a processor.
    #[must_use]
    pub fn lane_runs(&self, lane: Lane) -> bool {
        self.hands.wait_of(lane).is_none() && self.store.thread(lane).held == 0
    }

    /// Whether a thread waits for what is never long in coming (Linux: uninterruptible).
    #[must_use]
    pub fn is_uninterruptible(&self, lane: Lane) -> bool {
        self.hands.wait_of(lane).is_some_and(Wait::is_short)
    }

    /// How many threads run.
    #[must_use]
    pub fn running(&self) -> usize {
        self.lanes.iter().filter(|lane| self.lane_runs(**lane)).count()
    }

    /// The averages now.
    pub fn load_averages(&mut self) -> [u64; 3] {
        self.load.at(self.kernel.now_ns()).averages
    }

    /// Notes a change of the number of active threads: between two of them all samples are alike.
    pub(crate) fn update_load(&mut self) {
        let active = self.active();
        if active == self.load.active {
            return;
        }
        let now = self.kernel.now_ns();
        if now.saturating_sub(self.load.sampled_ns) < PERIOD_NS {
            self.load.active = active;
            self.store.set_active(active);
        } else {
            self.load = Load { active, ..self.load.at(now) };
            self.store.set_load(self.load);
            self.store.commit();
        }
    }

    /// How many threads run, or wait for what is never long in coming. Counted at each wait and not by a look at all threads: this runs at nearly every message.
    fn active(&self) -> u64 {
        let held = self.held.iter().filter(|lane| self.hands.wait_of(**lane).is_none()).count();
        let active = self.lanes.len() - self.hands.asleep() - held;
        debug_assert_eq!(active, self.lanes.iter().filter(|lane| self.lane_runs(**lane) || self.is_uninterruptible(**lane)).count());
        active as u64
    }
}

#[cfg(test)]
mod tests {
    use super::{DECAYS, Load, ONE, PERIOD_NS, fold};

    #[test]
    fn many_samples_at_once_are_nearly_what_they_are_one_by_one() {
        for active in [0, 1, 3, 100] {
            let start = Load { averages: [5 * ONE, 200, 0], sampled_ns: 0, active };
            let together = start.at(60 * PERIOD_NS);
            let mut averages = start.averages;
            for (average, decay) in averages.iter_mut().zip(DECAYS) {
                for _ in 0..60 {
                    *average = fold(*average, decay, active * ONE);
                }
            }
            let apart = averages.iter().zip(together.averages).map(|(one, other)| one.abs_diff(other)).max().unwrap();
            assert!(apart <= ONE / 100 * active.max(1) + 16, "{active}: {averages:?} {together:?}");
        }
    }

    #[test]
    fn a_minute_of_one_thread_is_a_load_of_two_thirds() {
        let load = Load { active: 1, ..Load::default() }.at(12 * PERIOD_NS);
        assert!((63..=65).contains(&(load.averages[0] * 100 / ONE)), "{load:?}");
        assert!((17..=19).contains(&(load.averages[1] * 100 / ONE)), "{load:?}");
        assert_eq!(load.at(12 * PERIOD_NS + PERIOD_NS - 1), load, "no sample is due yet");
    }

    #[test]
    fn an_idle_day_leaves_nothing_and_a_busy_one_arrives() {
        const DAY: u64 = 86_400_000_000_000;
        assert_eq!(Load { averages: [9 * ONE; 3], ..Load::default() }.at(DAY).averages, [0; 3]);
        assert_eq!(Load { active: 2, ..Load::default() }.at(DAY).averages, [2 * ONE; 3]);
    }
}
