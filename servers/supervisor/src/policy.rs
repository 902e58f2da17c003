//! When to give up on a service.
//!
//! A restart is always immediate: callers wait for it, and the state that a server restarts from is the one that it committed. What must end is
//! a loop. Two things tell a loop from bad luck, each a constant with its argument.

/// Deaths in a row without having come up: state that cannot be validated today cannot be validated at the third attempt either.
pub const STILLBORN: u32 = 3;
/// Deaths within [`PER_SECONDS`]. A test that kills a service at each of its failpoints comes to some twenty deaths spread over its run; a loop of
/// crash and restart makes several hundred a second.
pub const BURST: u32 = 32;
/// The window of [`BURST`].
pub const PER_SECONDS: u64 = 10;

/// Deaths of one request: at this one it is refused. Two, because one death may be bad luck (a flipped bit, a race that the re-run does not meet), and
/// a third attempt would make everybody wait once more for a server that is known to die of it.
pub const ATTEMPTS: u32 = 2;

/// What a service's deaths come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// Start the next instance.
    Restart,
    /// Close the endpoint.
    GiveUp,
}

/// The deaths of one service, as far as they still count.
#[derive(Clone, Copy, Debug, Default)]
pub struct Deaths {
    stillborn: u32,
    window_start: u64,
    in_window: u32,
}

impl Deaths {
    /// An instance came up.
    pub fn came_up(&mut self) {
        self.stillborn = 0;
    }

    /// An instance died at `now`; `window` is [`PER_SECONDS`] in the same ticks.
    pub fn died(&mut self, now: u64, window: u64, was_up: bool) -> Verdict {
        if now.saturating_sub(self.window_start) > window {
            self.window_start = now;
            self.in_window = 0;
        }
        self.in_window = self.in_window.saturating_add(1);
        self.stillborn = if was_up { 0 } else { self.stillborn.saturating_add(1) };
        if self.stillborn >= STILLBORN || self.in_window > BURST { Verdict::GiveUp } else { Verdict::Restart }
    }
}

#[cfg(test)]
mod tests {
    use super::{BURST, Deaths, STILLBORN, Verdict};

    #[test]
    fn deaths_far_apart_never_add_up() {
        let mut deaths = Deaths::default();
        for second in 0..1000 {
            assert_eq!(deaths.died(second * 20, 10, true), Verdict::Restart);
        }
    }

    #[test]
    fn burst_is_given_up() {
        let mut deaths = Deaths::default();
        let verdicts: Vec<_> = (0..=BURST).map(|_| deaths.died(5, 10, true)).collect();
        assert_eq!(verdicts.iter().position(|verdict| *verdict == Verdict::GiveUp), Some(BURST as usize));
    }

    #[test]
    fn instance_that_never_comes_up_is_given_up() {
        let mut deaths = Deaths::default();
        let verdicts: Vec<_> = (0..STILLBORN).map(|_| deaths.died(5, 10, false)).collect();
        assert_eq!(verdicts, [Verdict::Restart, Verdict::Restart, Verdict::GiveUp]);
        deaths.came_up();
        assert_eq!(deaths.died(6, 10, false), Verdict::Restart);
    }
}
