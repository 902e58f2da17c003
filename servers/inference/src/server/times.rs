//! How long tokens took, as counts by length: what a percentile needs, in a few hundred bytes, however many there were.
//!
//! Eight lengths to each power of two, so a percentile is at most an eighth too long, and never too short.

use core::ops::Range;

/// Bits of a length that tell apart those with the same power of two.
const FINE_BITS: u32 = 3;
/// Powers of two that are told apart: from a microsecond to nine minutes.
const POWERS: Range<u32> = 10..39;
/// How many lengths are told apart.
pub const LENGTHS: usize = ((POWERS.end - POWERS.start) << FINE_BITS) as usize;

/// Which length a time (ns) counts as.
#[must_use]
pub fn length_of(ns: u64) -> usize {
    let Some(power) = ns.checked_ilog2().filter(|power| *power >= POWERS.start) else { return 0 };
    let fine = (ns >> (power - FINE_BITS)) & ((1 << FINE_BITS) - 1);
    LENGTHS.min((((power - POWERS.start) as usize) << FINE_BITS) + fine as usize + 1) - 1
}

/// The longest time (ns) that counts as a length.
fn longest(length: usize) -> u64 {
    let (power, fine) = (POWERS.start + (length as u32 >> FINE_BITS), (length as u64) & ((1 << FINE_BITS) - 1));
    (1 << power) + ((fine + 1) << (power - FINE_BITS)) - 1
}

/// Within how long (ns) so many of a hundred were done; 0 if there were none.
pub fn percentile(counts: impl Iterator<Item = u32> + Clone, percent: u64) -> u64 {
    let all: u64 = counts.clone().map(u64::from).sum();
    let wanted = (all * percent).div_ceil(100);
    if wanted == 0 {
        return 0;
    }
    let mut seen = 0;
    counts
        .enumerate()
        .find(|(_, count)| {
            seen += u64::from(*count);
            seen >= wanted
        })
        .map_or(0, |(length, _)| longest(length))
}

#[cfg(test)]
mod tests {
    use super::{LENGTHS, length_of, longest, percentile};

    #[test]
    fn each_time_counts_as_a_length_that_is_hardly_longer() {
        for ns in (0..40).flat_map(|power| [1u64 << power, (1 << power) + (1 << power) / 3, (2 << power) - 1]) {
            let (length, most) = (length_of(ns), longest(length_of(ns)));
            assert!(length < LENGTHS && (most >= ns || length == LENGTHS - 1), "{ns}: {length}, {most}");
            assert!(!(1 << 10..1 << 39).contains(&ns) || most - ns <= ns / 8, "{ns}: {most}");
            assert!(length == 0 || longest(length - 1) < ns, "{ns}: {length}");
        }
        assert_eq!([length_of(0), length_of(u64::MAX)], [0, LENGTHS - 1]);
    }

    #[test]
    fn percentiles_are_of_what_was_counted() {
        let mut counts = [0u32; LENGTHS];
        assert_eq!(percentile(counts.iter().copied(), 50), 0);
        (1..=100u64).for_each(|ms| counts[length_of(ms * 1_000_000)] += 1);
        for (percent, ns) in [(50, 50_000_000), (99, 99_000_000), (100, 100_000_000)] {
            let found = percentile(counts.iter().copied(), percent);
            assert!((ns..=ns * 9 / 8).contains(&found), "{percent}: {found}");
        }
    }
}
