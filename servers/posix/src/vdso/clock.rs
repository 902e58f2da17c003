//! The clock's parameters: how ticks become nanoseconds, and the page that says so to programs.
//!
//! The page has a sequence word before everything else: odd while the rest is being changed, another one afterwards (a seqlock; Linux's
//! `vdso_data`). A reader takes the word, the rest and the word again, and believes what it read between two equal even ones.

/// Nanoseconds in a second.
const NS: u128 = 1_000_000_000;

/// Ticks to nanoseconds by one multiplication: `ns = ticks * multiplier >> shift`. Off by less than one part in 2^63 from the exact quotient.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rate {
    /// Nanoseconds in a tick, scaled by `2^shift`.
    pub multiplier: u64,
    /// At most 63: what one instruction shifts by.
    pub shift: u32,
}

impl Rate {
    /// For a counter of some frequency; one of frequency 0 stands still.
    #[must_use]
    pub fn new(hz: u64) -> Self {
        let scaled = |shift: u32| (NS << shift).checked_div(u128::from(hz)).and_then(|scaled| u64::try_from(scaled).ok());
        let best = (0..64).rev().find_map(|shift| scaled(shift).map(|multiplier| Self { multiplier, shift }));
        best.unwrap_or_default()
    }

    /// Nanoseconds of a count of ticks, rounded down.
    #[must_use]
    pub fn ns(self, ticks: u64) -> u64 {
        ((u128::from(ticks) * u128::from(self.multiplier)) >> self.shift) as u64
    }
}

/// Offset of the sequence word, a `u32`.
pub const SEQUENCE: u64 = 0;
/// Offset of what follows it.
pub const BODY_OFFSET: u64 = 4;
/// Offset of a `u32`: 1 if programs may read the time-stamp counter for the clock, 0 if they must call.
pub const COUNTER: u64 = 4;
/// Offset of the ticks at which the clock showed [`BASE_NS`].
pub const BASE_TICKS: u64 = 8;
/// Offset of [`Rate::multiplier`].
pub const MULTIPLIER: u64 = 16;
/// Offset of [`Rate::shift`], a `u32`.
pub const SHIFT: u64 = 24;
/// Offset of a `u32`: 1 if the processor names itself to programs (`RDTSCP`).
pub const PROCESSOR: u64 = 28;
/// Offset of the nanoseconds at [`BASE_TICKS`].
pub const BASE_NS: u64 = 32;
/// Offset of the nanoseconds that the wall clock is ahead of the monotonic one.
pub const WALL_OFFSET: u64 = 40;
/// Bytes of all that.
pub const BYTES: u64 = 48;

/// What the page says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockPage {
    /// The counter can be used.
    pub counter: bool,
    /// The processor names itself.
    pub processor: bool,
    /// How fast the counter runs. The clock shows 0 when it does.
    pub rate: Rate,
    /// What the wall clock is ahead by.
    pub wall_offset_ns: u64,
}

impl ClockPage {
    /// The bytes from [`BODY_OFFSET`] on.
    #[must_use]
    pub fn body(&self) -> [u8; (BYTES - BODY_OFFSET) as usize] {
        let mut bytes = [0; (BYTES - BODY_OFFSET) as usize];
        let mut put = |offset: u64, value: &[u8]| {
            let start = (offset - BODY_OFFSET) as usize;
            if let Some(place) = bytes.get_mut(start..start + value.len()) {
                place.copy_from_slice(value);
            }
        };
        put(COUNTER, &u32::from(self.counter).to_le_bytes());
        put(BASE_TICKS, &0u64.to_le_bytes());
        put(MULTIPLIER, &self.rate.multiplier.to_le_bytes());
        put(SHIFT, &self.rate.shift.to_le_bytes());
        put(PROCESSOR, &u32::from(self.processor).to_le_bytes());
        put(BASE_NS, &0u64.to_le_bytes());
        put(WALL_OFFSET, &self.wall_offset_ns.to_le_bytes());
        bytes
    }
}

/// The sequence words of a change and after it.
#[must_use]
pub const fn next_sequences(last: u32) -> [u32; 2] {
    let changing = last.wrapping_add(1) | 1;
    [changing, changing.wrapping_add(1)]
}

#[cfg(test)]
mod tests {
    use super::{Rate, next_sequences};

    #[test]
    fn rate_is_the_quotient_to_the_last_nanosecond_of_decades() {
        for hz in [1, 1000, 1_193_182, 999_999_937, 1_000_000_000, 2_999_999_999, 5_700_000_001, u64::MAX / 3] {
            let rate = Rate::new(hz);
            for seconds in [0u64, 1, 60, 86_400, 3_000_000_000] {
                let Some(ticks) = seconds.checked_mul(hz).and_then(|ticks| ticks.checked_add(hz / 3)) else { continue };
                let exact = u128::from(ticks) * super::NS / u128::from(hz);
                let Ok(exact) = u64::try_from(exact) else { continue };
                assert!(rate.ns(ticks) == exact || rate.ns(ticks) + 1 == exact, "{hz} Hz, {ticks} ticks: {} for {exact}", rate.ns(ticks));
            }
        }
        assert_eq!(Rate::new(0).ns(u64::MAX), 0, "a counter that does not run");
    }

    #[test]
    fn rate_is_monotonic() {
        let rate = Rate::new(2_999_999_999);
        assert!((1 << 40..(1 << 40) + 10_000).map(|ticks| rate.ns(ticks)).is_sorted());
    }

    #[test]
    fn sequence_is_odd_while_it_changes_whatever_was_left_behind() {
        for last in [0, 1, 2, 3, u32::MAX - 1, u32::MAX] {
            let [changing, done] = next_sequences(last);
            assert!(changing % 2 == 1 && done % 2 == 0 && done != last, "{last}: {changing} {done}");
        }
    }
}
