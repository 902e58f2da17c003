//! Where programs run: the policy that the kernel leaves to this server.
//!
//! Servers go where their callers are, so a call is as cheap from every processor. Programs are spread over those that they may use, all unless they say
//! otherwise, by their lanes, of which the lowest free one is taken first; the option `place=first` keeps them on the first processor. So the place of a thread
//! is known from its lane and its set alone, nothing else about it has to outlive a death of this server, and as many threads as there are processors have one each.

use alloc::string::String;
use core::fmt::Write as _;

use crate::saved::Lane;

/// The processor that runs the thread of a lane that may use those of a set, a bit for each; 0 for an empty one.
#[must_use]
pub const fn processor_of(lane: Lane, set: u64) -> usize {
    let Some(mut skipped) = lane.checked_rem(set.count_ones() as usize) else { return 0 };
    let mut rest = set;
    while skipped > 0 {
        rest &= rest - 1;
        skipped -= 1;
    }
    rest.trailing_zeros() as usize
}

/// The set that a thread may use which has asked for `affinity`; 0 asks for none in particular.
#[must_use]
pub const fn allowed(affinity: u64, processors: usize) -> u64 {
    match affinity & all(processors) {
        0 => all(processors),
        set => set,
    }
}

/// The set of all processors, as `sched_getaffinity(2)` has it: a bit for each.
#[must_use]
pub const fn all(processors: usize) -> u64 {
    match 1_u64.checked_shl(processors as u32) {
        Some(next) => next - 1,
        None => u64::MAX,
    }
}

/// A set as a list of ranges, as in `/proc/PID/status`.
#[must_use]
pub fn list(set: u64) -> String {
    let mut text = String::new();
    let has = |processor: u32| set.checked_shr(processor).is_some_and(|rest| rest & 1 != 0);
    for first in (0..u64::BITS).filter(|processor| has(*processor) && (*processor == 0 || !has(*processor - 1))) {
        let last = (first..u64::BITS).find(|processor| !has(*processor + 1)).unwrap_or(first);
        let comma = if text.is_empty() { "" } else { "," };
        let _infallible = if first == last { write!(text, "{comma}{first}") } else { write!(text, "{comma}{first}-{last}") };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{all, allowed, list, processor_of};

    #[test]
    fn neighbouring_lanes_have_processors_of_their_own() {
        assert_eq!([0, 1, 2, 3, 4].map(|lane| processor_of(lane, 0b1111)), [0, 1, 2, 3, 0]);
        assert_eq!([5, 6, 7, 8].map(|lane| processor_of(lane, 0b1010_0010)), [7, 1, 5, 7]);
        assert_eq!([processor_of(5, 1), processor_of(5, 0)], [0, 0]);
    }

    #[test]
    fn who_asks_for_none_that_there_is_may_use_all() {
        assert_eq!([allowed(0, 4), allowed(0b110, 4), allowed(0b110, 1)], [0b1111, 0b110, 1]);
    }

    #[test]
    fn list_has_ranges() {
        assert_eq!([1, 0b11, 0b1011_0110, u64::MAX].map(list), ["0", "0-1", "1-2,4-5,7", "0-63"]);
    }

    #[test]
    fn set_has_a_bit_for_each_processor() {
        assert_eq!([all(1), all(2), all(8), all(64)], [1, 3, 255, u64::MAX]);
    }
}
