//! Where programs run: the policy that the kernel leaves to this server.
//!
//! Servers go where their callers are, so a call is as cheap from every processor. Programs are spread over all of them by their lanes, of which the lowest
//! free one is taken first; the option `place=first` keeps them on the first processor. So the place of a thread is known from its lane
//! alone, nothing about it has to outlive a death of this server, and as many threads as there are processors have one each.

use crate::saved::Lane;

/// The processor that the thread of a lane runs on, of so many.
#[must_use]
pub const fn processor_of(lane: Lane, processors: usize) -> usize {
    match lane.checked_rem(processors) {
        Some(processor) => processor,
        None => 0,
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

#[cfg(test)]
mod tests {
    use super::{all, processor_of};

    #[test]
    fn neighbouring_lanes_have_processors_of_their_own() {
        assert_eq!([0, 1, 2, 3, 4].map(|lane| processor_of(lane, 4)), [0, 1, 2, 3, 0]);
        assert_eq!([processor_of(5, 1), processor_of(5, 0)], [0, 0]);
    }

    #[test]
    fn set_has_a_bit_for_each_processor() {
        assert_eq!([all(1), all(2), all(8), all(64)], [1, 3, 255, u64::MAX]);
    }
}
