//! What one owner has locked of a file, as ranges: what a change makes of them.

use alloc::vec::Vec;

/// The last byte that a file can have.
pub const LAST: u64 = i64::MAX as u64;

/// Bytes locked by one owner. Those of an owner never overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// First byte.
    pub first: u64,
    /// Last byte, at most [`LAST`].
    pub last: u64,
    /// Whether nobody else may even read-lock them.
    pub exclusive: bool,
}

impl Range {
    /// Whether both have a byte in common.
    #[must_use]
    pub const fn overlaps(&self, first: u64, last: u64) -> bool {
        self.first <= last && first <= self.last
    }
}

/// What is left of `own` when the bytes from `first` to `last` become `exclusive`, shared or, if `None`, unlocked; in order, neighbours of one kind joined.
#[must_use]
pub fn change(own: &[Range], first: u64, last: u64, exclusive: Option<bool>) -> Vec<Range> {
    let mut ranges = Vec::with_capacity(own.len() + 2);
    for range in own {
        if range.first < first {
            ranges.push(Range { last: range.last.min(first - 1), ..*range });
        }
        if range.last > last {
            ranges.push(Range { first: range.first.max(last + 1), ..*range });
        }
    }
    ranges.extend(exclusive.map(|exclusive| Range { first, last, exclusive }));
    ranges.sort_unstable_by_key(|range| range.first);
    ranges.dedup_by(|next, before| {
        let joins = next.exclusive == before.exclusive && next.first == before.last + 1;
        if joins {
            before.last = next.last;
        }
        joins
    });
    ranges
}

#[cfg(test)]
mod tests {
    use super::{LAST, Range, change};

    const BYTES: usize = 12;

    /// Ranges as the kind of each byte.
    fn bytes(ranges: &[Range]) -> [Option<bool>; BYTES] {
        core::array::from_fn(|byte| ranges.iter().find(|range| range.overlaps(byte as u64, byte as u64)).map(|range| range.exclusive))
    }

    #[test]
    fn ranges_say_of_each_byte_what_was_last_said_of_it() {
        let mut random = 1u64;
        let mut next = |below: usize| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) as usize % below
        };
        let (mut ranges, mut model) = (Vec::new(), [None; BYTES]);
        for round in 0..5000 {
            let (one, other) = (next(BYTES), next(BYTES));
            let (first, last) = (one.min(other), one.max(other));
            let to = [None, Some(false), Some(true)][next(3)];
            model[first..=last].fill(to);
            ranges = change(&ranges, first as u64, last as u64, to);
            assert_eq!(bytes(&ranges), model, "round {round}");
            let is_apart =
                |pair: &[Range]| pair[0].last < pair[1].first && (pair[0].exclusive != pair[1].exclusive || pair[0].last + 1 < pair[1].first);
            assert!(ranges.windows(2).all(is_apart), "round {round}: {ranges:?}");
        }
    }

    #[test]
    fn last_byte_of_all_files_can_be_locked_and_freed() {
        let all = change(&[], 0, LAST, Some(true));
        assert_eq!(change(&all, LAST, LAST, None), [Range { first: 0, last: LAST - 1, exclusive: true }]);
        assert!(change(&all, 0, LAST, None).is_empty());
    }
}
