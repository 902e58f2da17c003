//! Ranges of characters as sequences of byte ranges, of which each matches as a product: the way of all automata over UTF-8 (Ken Thompson's
//! encoding, RFC 3629; the cutting is that of Cox's RE2).

use alloc::vec::Vec;

/// The last character of each length in bytes but the longest.
const LAST: [u32; 3] = [0x7f, 0x7ff, 0xffff];
/// What lies between two planes of characters and is none.
const SURROGATES: (u32, u32) = (0xd800, 0xdfff);
/// The last character.
const MOST: u32 = 0x10_ffff;

/// Ordered, disjoint, without surrogates; with `negated` everything else instead.
pub(super) fn normal(ranges: &[(u32, u32)], negated: bool) -> Vec<(u32, u32)> {
    let mut sorted = ranges.to_vec();
    sorted.sort_unstable();
    let mut kept = Vec::new();
    let mut next = 0;
    let mut free = Vec::new();
    for (low, high) in sorted {
        if low > next {
            free.push((next, low - 1));
        }
        if high >= next {
            kept.push((low.max(next), high));
            next = high + 1;
        }
    }
    if next <= MOST {
        free.push((next, MOST));
    }
    let around = |(low, high): (u32, u32)| [(low, high.min(SURROGATES.0 - 1)), (low.max(SURROGATES.1 + 1), high)];
    let chosen = if negated { free } else { kept };
    chosen.into_iter().flat_map(around).filter(|(low, high)| low <= high).collect()
}

/// The first and last byte at each place, for each part of a range that is the product of such.
pub(super) fn sequences(low: u32, high: u32) -> Vec<Vec<(u8, u8)>> {
    let (mut todo, mut done) = (alloc::vec![(low, high)], Vec::new());
    while let Some((low, high)) = todo.pop() {
        match cut(low, high) {
            Some(at) => todo.extend([(at + 1, high), (low, at)]),
            None => done.push(encode(low).into_iter().zip(encode(high)).collect()),
        }
    }
    done
}

/// Where a range must be cut to become a product: after the character that this returns.
fn cut(low: u32, high: u32) -> Option<u32> {
    if let Some(last) = LAST.into_iter().find(|last| low <= *last && *last < high) {
        return Some(last);
    }
    // Within one length: as far as the bytes before differ, those after must run from the first to the last.
    let differing = [6, 12, 18].into_iter().map(|bits| (1_u32 << bits) - 1).filter(|mask| high > LAST[0] && low & !mask != high & !mask);
    for mask in differing {
        if low & mask != 0 {
            return Some(low | mask);
        }
        if high & mask != mask {
            return Some((high & !mask) - 1);
        }
    }
    None
}

fn encode(character: u32) -> Vec<u8> {
    let mut bytes = [0; 4];
    char::from_u32(character).map_or_else(Vec::new, |character| character.encode_utf8(&mut bytes).as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_ordered_and_disjoint() {
        assert_eq!(normal(&[(5, 9), (1, 3), (2, 6)], false), [(1, 3), (4, 6), (7, 9)]);
        assert_eq!(normal(&[(0, 0x60), (0x62, MOST)], true), [(0x61, 0x61)]);
        assert_eq!(normal(&[], true), [(0, 0xd7ff), (0xe000, MOST)]);
        assert_eq!(normal(&[(0, MOST)], true), []);
    }

    /// Every character is matched by exactly as many sequences as it should be.
    #[test]
    fn a_range_has_its_characters_and_no_others() {
        for (low, high) in [(0, 0), (0x41, 0x5a), (0x70, 0x90), (0x7ff, 0x801), (0xe9, 0x3abc), (0x1234, 0x1_2345), (0, 0xd7ff), (0xe000, MOST)] {
            let sequences = sequences(low, high);
            for character in 0..=MOST {
                let bytes = encode(character);
                let fits = |sequence: &&Vec<(u8, u8)>| {
                    sequence.len() == bytes.len() && sequence.iter().zip(&bytes).all(|((first, last), byte)| (first..=last).contains(&byte))
                };
                let expected = usize::from(!bytes.is_empty() && (low..=high).contains(&character));
                assert_eq!(sequences.iter().filter(fits).count(), expected, "{character:x} in {low:x}..={high:x}");
            }
        }
    }
}
