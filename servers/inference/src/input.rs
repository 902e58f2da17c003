//! What a matrix is multiplied by: a column of numbers, and the same in eight bits for quantised matrices.
//!
//! Each 32 neighbours have a scale of their own (llama.cpp's K types share one among 256, at the cost of half as much error again). The sums go with
//! the matrices' minima, those of halves with types that have a scale for 16.

use alloc::vec;
use alloc::vec::Vec;

use crate::quant::SMALL_BLOCK;

/// 32 numbers in eight bits.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(C)]
pub struct Block {
    /// What a code of one is worth.
    pub scale: f32,
    /// The sum of the 32 numbers.
    pub sum: f32,
    /// The sums of the first and of the last 16.
    pub halves: [f32; 2],
    /// The codes, from -127 to 127.
    pub codes: [i8; SMALL_BLOCK],
}

/// Columns of numbers.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// Numbers of a column.
    pub(crate) length: usize,
    pub(crate) numbers: Vec<f32>,
    pub(crate) blocks: Vec<Block>,
}

impl Inputs {
    /// Room for `columns` columns of `length` numbers.
    #[must_use]
    pub fn new(length: usize, columns: usize) -> Self {
        Self { length, numbers: vec![0.0; length * columns], blocks: vec![Block::default(); length / SMALL_BLOCK * columns] }
    }

    /// Columns of `length` of the `numbers`.
    #[must_use]
    pub fn of(length: usize, numbers: &[f32]) -> Self {
        let mut inputs = Self::new(length, numbers.len() / length);
        inputs.numbers.copy_from_slice(numbers);
        (0..numbers.len() / length).for_each(|column| inputs.quantise(column));
        inputs
    }

    /// Makes columns of `length` numbers of the same room; what was in it means nothing then.
    pub(crate) fn reshape(&mut self, length: usize) {
        assert!(length > 0 && length <= self.numbers.len(), "columns that there is room for");
        self.length = length;
    }

    /// Writes column `index` in eight bits.
    fn quantise(&mut self, index: usize) {
        let count = self.length / SMALL_BLOCK;
        quantise(&self.numbers[index * self.length..(index + 1) * self.length], &mut self.blocks[index * count..(index + 1) * count]);
    }

    pub(crate) fn column(&self, index: usize) -> &[f32] {
        &self.numbers[index * self.length..(index + 1) * self.length]
    }

    pub(crate) fn column_blocks(&self, index: usize) -> &[Block] {
        let count = self.length / SMALL_BLOCK;
        &self.blocks[index * count..(index + 1) * count]
    }
}

/// Writes `numbers` in eight bits.
pub fn quantise(numbers: &[f32], blocks: &mut [Block]) {
    for (numbers, block) in numbers.as_chunks::<SMALL_BLOCK>().0.iter().zip(blocks) {
        *block = quantised(numbers);
    }
}

/// Rounding by adding a number so large that no fraction is left: to the nearest, the even one of two.
const NO_FRACTION: f32 = 12_582_912.0;

fn quantised(numbers: &[f32; SMALL_BLOCK]) -> Block {
    let most = numbers.iter().fold(0.0_f32, |most, number| most.max(number.abs()));
    if most < f32::MIN_POSITIVE * 256.0 {
        return Block::default();
    }
    let (scale, inverse) = (most / 127.0, 127.0 / most);
    let codes = numbers.map(|number| ((number * inverse + NO_FRACTION) - NO_FRACTION) as i8);
    let sum = |codes: &[i8]| codes.iter().map(|code| i32::from(*code)).sum::<i32>();
    let halves = [sum(&codes[..16]), sum(&codes[16..])];
    Block { scale, sum: scale * (halves[0] + halves[1]) as f32, halves: halves.map(|half| scale * half as f32), codes }
}
