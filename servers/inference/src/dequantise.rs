//! Weights as `f32`, from every type: the scalar oracle that all fast code is held against.
//!
//! A quantised weight is `scale * code - offset`. A block's codes are laid out here once (`codes`), 32 neighbours at a time, for this module and for
//! those that repack weights; what scale and offset are made of differs by type and stands in `steps`.

use crate::half::{from_bf16, from_f16};
use crate::quant::{Kind, SMALL_BLOCK};

/// Codes of 32 neighbours; those of Q8_0 are signed.
pub(crate) type Codes = [u8; SMALL_BLOCK];

/// How codes of 32 neighbours become weights: `scale * (code - centre) - offset`, with one scale for each half.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Steps {
    pub(crate) scales: [f32; 2],
    pub(crate) centre: u8,
    pub(crate) offset: f32,
}

/// Writes the weights of one row.
///
/// # Panics
/// `row` is not exactly the row that `weights` asks for: the file's reader has seen to that.
pub fn dequantise(kind: Kind, row: &[u8], weights: &mut [f32]) {
    assert_eq!(row.len(), kind.bytes(weights.len()), "a row of {kind:?}");
    match kind {
        Kind::F32 => each(row, weights, f32::from_le_bytes),
        Kind::F16 => each(row, weights, |bytes| from_f16(u16::from_le_bytes(bytes))),
        Kind::BF16 => each(row, weights, |bytes| from_bf16(u16::from_le_bytes(bytes))),
        quantised => {
            let blocks = row.chunks_exact(quantised.block_bytes());
            for (block, weights) in blocks.zip(weights.chunks_exact_mut(quantised.block())) {
                for (part, weights) in weights.chunks_exact_mut(SMALL_BLOCK).enumerate() {
                    expand(quantised, block, part, weights);
                }
            }
        }
    }
}

fn each<const N: usize>(row: &[u8], weights: &mut [f32], value: impl Fn([u8; N]) -> f32) {
    for (bytes, weight) in row.as_chunks().0.iter().zip(weights) {
        *weight = value(*bytes);
    }
}

fn expand(kind: Kind, block: &[u8], part: usize, weights: &mut [f32]) {
    let steps = steps(kind, block, part);
    let codes = codes(kind, block, part);
    for (index, (code, weight)) in codes.into_iter().zip(weights).enumerate() {
        let code = if kind == Kind::Q8_0 { i32::from(code.cast_signed()) } else { i32::from(code) - i32::from(steps.centre) };
        *weight = steps.scales[index / 16] * code as f32 - steps.offset;
    }
}

fn half_at(block: &[u8], at: usize) -> f32 {
    from_f16(u16::from_le_bytes([block[at], block[at + 1]]))
}

/// The six-bit scale and minimum of part `part` of a Q4_K or Q5_K block, whose twelve bytes `packed` are.
pub(crate) fn k_scale(packed: &[u8], part: usize) -> (u8, u8) {
    if part < 4 {
        (packed[part] & 63, packed[part + 4] & 63)
    } else {
        let (low, high) = (packed[part + 4], packed[part]);
        (low & 15 | packed[part - 4] >> 6 << 4, low >> 4 | high >> 6 << 4)
    }
}

/// How the codes of the 32 neighbours number `part` of a block become weights.
pub(crate) fn steps(kind: Kind, block: &[u8], part: usize) -> Steps {
    let even = |scale: f32, centre: u8, offset: f32| Steps { scales: [scale; 2], centre, offset };
    match kind {
        Kind::F32 | Kind::F16 | Kind::BF16 | Kind::Q8_0 => even(half_at(block, 0), 0, 0.0),
        Kind::Q4_0 => even(half_at(block, 0), 8, 0.0),
        Kind::Q5_0 => even(half_at(block, 0), 16, 0.0),
        Kind::Q4_1 | Kind::Q5_1 => even(half_at(block, 0), 0, -half_at(block, 2)),
        Kind::Q4_K | Kind::Q5_K => {
            let (scale, minimum) = k_scale(&block[4..16], part);
            even(half_at(block, 0) * f32::from(scale), 0, half_at(block, 2) * f32::from(minimum))
        }
        Kind::Q6_K => {
            let scale = |half: usize| half_at(block, 208) * f32::from(block[192 + part * 2 + half].cast_signed());
            Steps { scales: [scale(0), scale(1)], centre: 32, offset: 0.0 }
        }
    }
}

/// The codes of the 32 neighbours number `part` of a block.
pub(crate) fn codes(kind: Kind, block: &[u8], part: usize) -> Codes {
    match kind {
        Kind::F32 | Kind::F16 | Kind::BF16 => [0; SMALL_BLOCK],
        Kind::Q8_0 => core::array::from_fn(|index| block[2 + index]),
        Kind::Q4_0 => nibbles(&block[2..]),
        Kind::Q4_1 => nibbles(&block[4..]),
        Kind::Q5_0 => fifth_bits(nibbles(&block[6..]), &block[2..]),
        Kind::Q5_1 => fifth_bits(nibbles(&block[8..]), &block[4..]),
        Kind::Q4_K => half_bytes(&block[16..], part),
        Kind::Q5_K => {
            let low = half_bytes(&block[48..], part);
            core::array::from_fn(|index| low[index] | (block[16 + index] >> part & 1) << 4)
        }
        Kind::Q6_K => q6_codes(block, part),
    }
}

/// The lower halves of 16 bytes, then the upper ones.
fn nibbles(bytes: &[u8]) -> Codes {
    core::array::from_fn(|index| if index < 16 { bytes[index] & 15 } else { bytes[index - 16] >> 4 })
}

/// One bit for each code, in order, as bit 4 of it.
fn fifth_bits(codes: Codes, bits: &[u8]) -> Codes {
    core::array::from_fn(|index| codes[index] | (bits[index / 8] >> (index % 8) & 1) << 4)
}

/// Of 128 bytes: parts 0 and 1 are the lower and upper halves of the first 32, and so on.
fn half_bytes(bytes: &[u8], part: usize) -> Codes {
    core::array::from_fn(|index| bytes[part / 2 * 32 + index] >> (part % 2 * 4) & 15)
}

/// Four lower bits from the first 128 bytes, two upper ones from the 64 that follow; 128 weights share 64 and 32 bytes of them.
fn q6_codes(block: &[u8], part: usize) -> Codes {
    let (large, small) = (part / 4, part % 4);
    let (low, high) = (&block[large * 64 + small % 2 * 32..], &block[128 + large * 32..]);
    core::array::from_fn(|index| low[index] >> (small / 2 * 4) & 15 | (high[index] >> (small * 2) & 3) << 4)
}
