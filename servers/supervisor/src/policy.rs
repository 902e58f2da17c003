//! When to start the next instance of a service, and when to give up on it.
//!
//! A service's [`Policy`] comes from the manifest, where its values are argued. What does not differ from service to service is a constant here.

use protocols::manifest::{Policy, Restart};

/// Deaths in a row without having come up: state that cannot be validated today cannot be validated at the third attempt either.
pub const STILLBORN: u32 = 3;
/// Deaths of one request: at this one it is refused. Two, because one death may be bad luck (a flipped bit, a race that the re-run does not meet), and
/// a third attempt would make everybody wait once more for a server that is known to die of it.
pub const ATTEMPTS: u32 = 2;

/// An instance that was up and lived so many milliseconds had no part in a loop: it has answered thousands of requests, so whatever it died of does not
/// stop the next one either, and callers would wait for nothing. A restart takes a fiftieth of this at most, so even a server that dies each time it
/// gets here serves.
pub const STEADY_MS: u64 = 500;

/// What a service's deaths come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// Start the next instance after so many milliseconds.
    RestartAfter(u32),
    /// Close the endpoint.
    GiveUp,
}

/// The deaths of one service.
#[derive(Clone, Copy, Debug, Default)]
pub struct Deaths {
    total: u32,
    stillborn: u32,
    window_start: u64,
    in_window: u32,
    /// Of those in the window the last in a row of which each came soon after a restart, and the one before them.
    in_a_row: u32,
}

impl Deaths {
    /// All there were.
    #[must_use]
    pub const fn total(&self) -> u32 {
        self.total
    }

    /// An instance came up.
    pub fn came_up(&mut self) {
        self.stillborn = 0;
    }

    /// Somebody looked into it and wants another try: what was before does not count.
    pub fn forgive(&mut self) {
        *self = Self { total: self.total, ..Self::default() };
    }

    /// An instance died at `now_ms`, so many milliseconds after its start if it was up.
    pub fn died(&mut self, policy: &Policy, now_ms: u64, lived_ms: Option<u64>) -> Verdict {
        if self.in_window == 0 || now_ms.saturating_sub(self.window_start) >= u64::from(policy.per_ms) {
            self.window_start = now_ms;
            self.in_window = 0;
            self.in_a_row = 0;
        }
        let is_steady = lived_ms.is_some_and(|lived_ms| lived_ms >= STEADY_MS);
        self.in_a_row = if is_steady { 1 } else { self.in_a_row.saturating_add(1) };
        self.total = self.total.saturating_add(1);
        self.in_window = self.in_window.saturating_add(1);
        self.stillborn = if lived_ms.is_some() { 0 } else { self.stillborn.saturating_add(1) };
        if policy.restart == Restart::Never || self.stillborn >= STILLBORN || self.in_window > policy.burst {
            return Verdict::GiveUp;
        }
        Verdict::RestartAfter(self.pause_ms(policy))
    }

    /// None for the first death in a row, then doubling.
    fn pause_ms(&self, policy: &Policy) -> u32 {
        match self.in_a_row.checked_sub(2) {
            None => 0,
            Some(doublings) => {
                let factor = 1u32.checked_shl(doublings).unwrap_or(u32::MAX);
                policy.backoff_ms.saturating_mul(factor).min(policy.backoff_most_ms)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Deaths, STEADY_MS, STILLBORN, Verdict};
    use protocols::manifest::{OnGivingUp, Policy, Restart};

    const POLICY: Policy = Policy {
        restart: Restart::Always,
        backoff_ms: 10,
        backoff_most_ms: 100,
        burst: 8,
        per_ms: 1000,
        watchdog_ms: 5000,
        helper_watchdog_ms: 0,
        on_giving_up: OnGivingUp::Close,
    };

    /// The life of an instance that died soon after it was up.
    const SOON: Option<u64> = Some(STEADY_MS - 1);

    #[test]
    fn first_restart_is_immediate_and_pauses_double_up_to_the_longest() {
        let mut deaths = Deaths::default();
        let pauses = [0, 10, 20, 40, 80, 100, 100, 100];
        for (now, pause) in (0..).zip(pauses) {
            assert_eq!(deaths.died(&POLICY, now, SOON), Verdict::RestartAfter(pause));
        }
        assert_eq!(deaths.died(&POLICY, 9, SOON), Verdict::GiveUp, "more than the burst");
    }

    #[test]
    fn deaths_far_apart_never_add_up() {
        let mut deaths = Deaths::default();
        for second in 0..1000 {
            assert_eq!(deaths.died(&POLICY, second * 1001, SOON), Verdict::RestartAfter(0));
        }
        assert_eq!(deaths.total(), 1000);
    }

    #[test]
    fn server_that_is_killed_every_second_is_never_put_off() {
        let shipped = Policy { backoff_ms: 10, backoff_most_ms: 10_000, burst: 10, per_ms: 8000, ..POLICY };
        let mut deaths = Deaths::default();
        for second in 0..60 {
            assert_eq!(deaths.died(&shipped, second * 1000, Some(996)), Verdict::RestartAfter(0), "{second}");
        }
        let pauses: Vec<_> = [SOON, SOON, Some(STEADY_MS), SOON].map(|lived_ms| deaths.died(&shipped, 59_500, lived_ms)).into();
        assert_eq!(pauses, [10, 20, 0, 10].map(Verdict::RestartAfter));
    }

    #[test]
    fn steady_lives_count_towards_the_burst() {
        let mut deaths = Deaths::default();
        assert_eq!((0..POLICY.burst).map(|_| deaths.died(&POLICY, 5, Some(STEADY_MS))).last(), Some(Verdict::RestartAfter(0)));
        assert_eq!(deaths.died(&POLICY, 5, Some(STEADY_MS)), Verdict::GiveUp);
    }

    #[test]
    fn very_many_doublings_are_the_longest_pause() {
        let patient = Policy { burst: u32::MAX, ..POLICY };
        let mut deaths = Deaths::default();
        let last = (0..100).map(|_| deaths.died(&patient, 5, SOON)).last();
        assert_eq!(last, Some(Verdict::RestartAfter(100)));
    }

    #[test]
    fn instance_that_never_comes_up_is_given_up() {
        let mut deaths = Deaths::default();
        let verdicts: Vec<_> = (0..STILLBORN).map(|_| deaths.died(&POLICY, 5, None)).collect();
        assert_eq!(verdicts, [Verdict::RestartAfter(0), Verdict::RestartAfter(10), Verdict::GiveUp]);
        deaths.came_up();
        assert_ne!(deaths.died(&POLICY, 6, None), Verdict::GiveUp);
    }

    #[test]
    fn service_that_is_never_restarted_is_given_up_at_once() {
        let never = Policy { restart: Restart::Never, ..POLICY };
        assert_eq!(Deaths::default().died(&never, 5, SOON), Verdict::GiveUp);
    }

    #[test]
    fn forgiven_deaths_do_not_count_but_are_remembered() {
        let mut deaths = Deaths::default();
        while deaths.died(&POLICY, 5, SOON) != Verdict::GiveUp {}
        deaths.forgive();
        assert_eq!(deaths.died(&POLICY, 6, SOON), Verdict::RestartAfter(0));
        assert_eq!(deaths.total(), POLICY.burst + 2);
    }
}
