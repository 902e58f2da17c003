//! Keys and values of the tokens that a session has seen: as halves, or in eight bits with a half as the scale of each 32 (Q8_0's layout, in two arrays).
//!
//! A slot is one position of one head. It is written from its own numbers alone, so that what is kept does not depend on which tokens came together.
//! Reading widens to `f32`; attention does not know which of the two it was.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use crate::half::{from_f16, to_f16};
use crate::quant::SMALL_BLOCK;
use crate::shared::Shared;

/// The largest half.
const MOST_SCALE: f32 = 65504.0;
/// The largest code.
const MOST_CODE: f32 = 127.0;

/// How keys and values are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// As halves.
    #[default]
    F16,
    /// In eight bits, with a scale for each 32 of a head.
    Q8_0,
}

impl Precision {
    /// Codes and halves of a slot.
    const fn of_slot(self, head: usize) -> (usize, usize) {
        match self {
            Self::F16 => (0, head),
            Self::Q8_0 => (head, head.div_ceil(SMALL_BLOCK)),
        }
    }
}

/// The slots of a session.
#[derive(Debug)]
pub(crate) struct Kept {
    precision: Precision,
    head: usize,
    codes: Vec<i8>,
    /// The numbers, or the scales.
    halves: Vec<u16>,
}

/// The same, for the threads of a team.
pub(crate) struct SharedKept<'a> {
    precision: Precision,
    head: usize,
    codes: Shared<'a, i8>,
    halves: Shared<'a, u16>,
}

/// Slots of one thread.
pub(crate) struct Slots<'a> {
    precision: Precision,
    head: usize,
    codes: &'a mut [i8],
    halves: &'a mut [u16],
}

fn scaled(range: &Range<usize>, by: usize) -> Range<usize> {
    range.start * by..range.end * by
}

impl Kept {
    /// `slots` slots for heads of `head` numbers.
    pub(crate) fn new(precision: Precision, head: usize, slots: usize) -> Self {
        let (codes, halves) = precision.of_slot(head);
        Self { precision, head, codes: vec![0; codes * slots], halves: vec![0; halves * slots] }
    }

    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&*self.codes) + size_of_val(&*self.halves)
    }

    pub(crate) fn share(&mut self) -> SharedKept<'_> {
        SharedKept { precision: self.precision, head: self.head, codes: Shared::new(&mut self.codes), halves: Shared::new(&mut self.halves) }
    }
}

impl SharedKept<'_> {
    /// Some of the slots.
    ///
    /// # Safety
    /// While they live, no thread has others that overlap them.
    #[allow(unsafe_code, reason = "hands the caller's promise on")]
    pub(crate) unsafe fn part(&self, slots: &Range<usize>) -> Slots<'_> {
        let (codes, halves) = self.precision.of_slot(self.head);
        // SAFETY: slots that do not overlap have places that do not overlap, and the first is the caller's promise.
        let (codes, halves) = unsafe { (self.codes.part(scaled(slots, codes)), self.halves.part(scaled(slots, halves))) };
        Slots { precision: self.precision, head: self.head, codes, halves }
    }
}

impl Slots<'_> {
    /// Keeps the `numbers` of one head in slot `slot`.
    pub(crate) fn keep(&mut self, slot: usize, numbers: &[f32]) {
        let (codes, halves) = self.precision.of_slot(self.head);
        let codes = &mut self.codes[slot * codes..(slot + 1) * codes];
        let halves = &mut self.halves[slot * halves..(slot + 1) * halves];
        match self.precision {
            Precision::F16 => halves.iter_mut().zip(numbers).for_each(|(half, number)| *half = to_f16(*number)),
            Precision::Q8_0 => {
                for ((numbers, codes), scale) in numbers.chunks(SMALL_BLOCK).zip(codes.chunks_mut(SMALL_BLOCK)).zip(halves) {
                    *scale = encode(numbers, codes);
                }
            }
        }
    }

    /// Moves some slots to where they begin at `to`, as they are.
    pub(crate) fn shift(&mut self, slots: &Range<usize>, to: usize) {
        let (codes, halves) = self.precision.of_slot(self.head);
        self.codes.copy_within(scaled(slots, codes), to * codes);
        self.halves.copy_within(scaled(slots, halves), to * halves);
    }

    /// The numbers of some slots; `widen` is the way for halves.
    #[inline(always)]
    pub(crate) fn read(&self, slots: &Range<usize>, to: &mut [f32], widen: impl Fn(&[u16], &mut [f32])) {
        let (codes, halves) = self.precision.of_slot(self.head);
        let (codes, halves) = (&self.codes[scaled(slots, codes)], &self.halves[scaled(slots, halves)]);
        match self.precision {
            Precision::F16 => widen(halves, to),
            Precision::Q8_0 => {
                let scales = halves.chunks_exact(self.head.div_ceil(SMALL_BLOCK));
                for ((codes, scales), to) in codes.chunks_exact(self.head).zip(scales).zip(to.chunks_exact_mut(self.head)) {
                    for ((codes, scale), to) in codes.chunks(SMALL_BLOCK).zip(scales).zip(to.chunks_mut(SMALL_BLOCK)) {
                        let scale = from_f16(*scale);
                        to.iter_mut().zip(codes).for_each(|(to, code)| *to = f32::from(*code) * scale);
                    }
                }
            }
        }
    }
}

/// Writes the codes of `numbers`, and returns their scale. Codes are counted in the scale as it is kept, not as it was before it became a half.
fn encode(numbers: &[f32], codes: &mut [i8]) -> u16 {
    let most = numbers.iter().fold(0.0_f32, |most, number| most.max(number.abs()));
    let scale = to_f16((most / MOST_CODE).min(MOST_SCALE));
    let inverse = if scale == 0 { 0.0 } else { 1.0 / from_f16(scale) };
    for (code, number) in codes.iter_mut().zip(numbers) {
        *code = libm::rintf((number * inverse).clamp(-MOST_CODE, MOST_CODE)) as i8;
    }
    scale
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What comes back of the numbers of one head, in the second of three slots.
    #[allow(unsafe_code, reason = "one part at a time")]
    fn again(precision: Precision, numbers: &[f32]) -> Vec<f32> {
        let mut kept = Kept::new(precision, numbers.len(), 3);
        let shared = kept.share();
        // SAFETY: there is one thread, with one part.
        let mut slots = unsafe { shared.part(&(0..3)) };
        slots.keep(0, &vec![9.0; numbers.len()]);
        slots.keep(2, &vec![-9.0; numbers.len()]);
        slots.keep(1, numbers);
        let mut to = vec![0.0; numbers.len()];
        slots.read(&(1..2), &mut to, |from, to| from.iter().zip(to).for_each(|(from, to)| *to = from_f16(*from)));
        to
    }

    #[test]
    fn each_32_have_a_scale_of_their_own() {
        let mut numbers = [0.0_f32; 40];
        (numbers[3], numbers[4], numbers[5]) = (127.0, -63.6, 0.4);
        (numbers[32], numbers[39]) = (-0.25, 0.125);
        let mut expected = numbers;
        (expected[4], expected[5]) = (-64.0, 0.0);
        let seen = again(Precision::Q8_0, &numbers);
        assert_eq!(seen[..32], expected[..32]);
        assert!((seen[32] + 0.25).abs() < 2e-4 && (seen[39] - 0.125).abs() < 1e-3, "the scale is a half of 0.25 / 127");
        assert_eq!(again(Precision::Q8_0, &[0.0; 8]), [0.0; 8]);
        assert_eq!(again(Precision::Q8_0, &[1e-9; 8]), [0.0; 8], "below the least scale");
        assert_eq!(again(Precision::Q8_0, &[1e30, -1e30]), [MOST_SCALE * 127.0, MOST_SCALE * -127.0]);
    }

    #[test]
    fn eight_bits_take_little_more_than_half_the_room() {
        let bytes = |precision| Kept::new(precision, 128, 10).bytes();
        assert_eq!((bytes(Precision::F16), bytes(Precision::Q8_0)), (2560, 1360));
    }

    proptest! {
        /// Half a step, and what the scale loses by being a half.
        #[test]
        fn numbers_come_back_nearly(numbers in prop::collection::vec(-100.0_f32..100.0, 1..130)) {
            for (part, seen) in numbers.chunks(SMALL_BLOCK).zip(again(Precision::Q8_0, &numbers).chunks(SMALL_BLOCK)) {
                let most = part.iter().fold(0.0_f32, |most, number| most.max(number.abs()));
                for (number, seen) in part.iter().zip(seen) {
                    prop_assert!((number - seen).abs() <= most / 127.0 * 0.502 + most / 2048.0, "{} became {}", number, seen);
                }
            }
            for (number, seen) in numbers.iter().zip(again(Precision::F16, &numbers)) {
                prop_assert!((number - seen).abs() <= number.abs() / 2048.0 + 1e-7);
            }
        }
    }
}
