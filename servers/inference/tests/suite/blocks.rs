//! Every type of weights against values that are known.

use inference::dequantise::dequantise;
use inference::half::to_f16;
use inference::quant::Kind;

use super::vectors;

fn weights(kind: Kind, row: &[u8], count: usize) -> Vec<f32> {
    let mut weights = vec![f32::NAN; count];
    dequantise(kind, row, &mut weights);
    weights
}

fn half(value: f32) -> [u8; 2] {
    to_f16(value).to_le_bytes()
}

/// A quantised block of the reference data and its exact weights, for every type that is there.
#[test]
fn reference_blocks_have_their_exact_weights() {
    for kind in [Kind::F16, Kind::Q8_0, Kind::Q4_0, Kind::Q5_0, Kind::Q5_1, Kind::Q4_K, Kind::Q5_K, Kind::Q6_K] {
        let Some(raw) = vectors::bytes(&format!("vectors/blocks/{}.raw", kind.name())) else { return };
        let expected = vectors::floats(&vectors::bytes(&format!("vectors/blocks/{}.f32", kind.name())).expect("there with the other"));
        assert_eq!(weights(kind, &raw, expected.len()), expected, "{kind:?}");
    }
}

#[test]
fn plain_numbers_are_themselves() {
    assert_eq!(weights(Kind::F32, &[0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0], 2), [1.0, -2.0]);
    assert_eq!(weights(Kind::F16, &[0, 0x3c, 0, 0xc0], 2), [1.0, -2.0]);
    assert_eq!(weights(Kind::BF16, &[0x80, 0x3f, 0, 0xc0], 2), [1.0, -2.0]);
}

#[test]
fn eight_bits_are_signed() {
    let block: Vec<u8> = half(0.5).into_iter().chain((0..32).map(|index: u8| (index * 8).wrapping_sub(128))).collect();
    let expected: Vec<f32> = (0..32).map(|index| 0.5 * (index * 8 - 128) as f32).collect();
    assert_eq!(weights(Kind::Q8_0, &block, 32), expected);
}

/// Codes 0 to 15 in the lower halves and 15 to 0 in the upper ones.
fn four_bits() -> impl Iterator<Item = u8> {
    (0..16).map(|index: u8| index | (15 - index) << 4)
}

fn four_bit_code(index: i32) -> i32 {
    if index < 16 { index } else { 31 - index }
}

#[test]
fn four_bits_are_centred_or_have_a_minimum() {
    let block: Vec<u8> = half(0.25).into_iter().chain(four_bits()).collect();
    let expected: Vec<f32> = (0..32).map(|index| 0.25 * (four_bit_code(index) - 8) as f32).collect();
    assert_eq!(weights(Kind::Q4_0, &block, 32), expected);
    let block: Vec<u8> = half(0.25).into_iter().chain(half(-3.0)).chain(four_bits()).collect();
    let expected: Vec<f32> = (0..32).map(|index| 0.25 * four_bit_code(index) as f32 - 3.0).collect();
    assert_eq!(weights(Kind::Q4_1, &block, 32), expected);
}

#[test]
fn a_fifth_bit_comes_from_its_own_word() {
    let upper = 0x8001_0003_u32;
    let code = |index: i32| four_bit_code(index) + 16 * (upper >> index & 1) as i32;
    let block: Vec<u8> = half(0.25).into_iter().chain(upper.to_le_bytes()).chain(four_bits()).collect();
    let expected: Vec<f32> = (0..32).map(|index| 0.25 * (code(index) - 16) as f32).collect();
    assert_eq!(weights(Kind::Q5_0, &block, 32), expected);
    let block: Vec<u8> = half(0.25).into_iter().chain(half(1.5)).chain(upper.to_le_bytes()).chain(four_bits()).collect();
    let expected: Vec<f32> = (0..32).map(|index| 0.25 * code(index) as f32 + 1.5).collect();
    assert_eq!(weights(Kind::Q5_1, &block, 32), expected);
}

/// Scales 1 to 8 and minima 11 to 18, of which those of the last four parts lie in pieces.
fn k_scales() -> [u8; 12] {
    let mut packed = [0; 12];
    for part in 0..4_u8 {
        let (scale, minimum) = (part + 1, part + 11);
        let (late_scale, late_minimum) = (part + 5 + 32, part + 15 + 32);
        packed[usize::from(part)] = scale | late_scale >> 4 << 6;
        packed[usize::from(part) + 4] = minimum | late_minimum >> 4 << 6;
        packed[usize::from(part) + 8] = late_scale & 15 | late_minimum << 4;
    }
    packed
}

fn k_weight(part: usize, code: usize) -> f32 {
    let late = if part < 4 { 0 } else { 32 };
    0.5 * (part + 1 + late) as f32 * code as f32 - 0.25 * (part + 11 + late) as f32
}

#[test]
fn large_blocks_have_a_scale_and_a_minimum_for_each_part() {
    let head: Vec<u8> = half(0.5).into_iter().chain(half(0.25)).chain(k_scales()).collect();
    let halves: Vec<u8> = (0..128_usize).map(|index| ((index % 16) | ((index / 32 * 3 + 1) << 4)) as u8).collect();
    let code = |at: usize| if (at / 32).is_multiple_of(2) { at % 16 } else { at / 64 * 3 + 1 };
    let expected: Vec<f32> = (0..256).map(|at| k_weight(at / 32, code(at))).collect();
    assert_eq!(weights(Kind::Q4_K, &[&head[..], &halves].concat(), 256), expected);
    let upper: Vec<u8> = (0..32).map(|index| 1 << (index % 8)).collect();
    let expected: Vec<f32> = (0..256).map(|at| k_weight(at / 32, code(at) + if at % 8 == at / 32 { 16 } else { 0 })).collect();
    assert_eq!(weights(Kind::Q5_K, &[&head[..], &upper, &halves].concat(), 256), expected);
}

#[test]
fn six_bits_have_a_signed_scale_for_sixteen() {
    let low: Vec<u8> = (0..128_usize).map(|index| ((index % 16) | ((15 - index % 16) << 4)) as u8).collect();
    let scales: Vec<u8> = (0..16_i8).map(|index| (index - 8).cast_unsigned()).collect();
    let block = [&low[..], &[0b11_10_01_00; 64], &scales, &half(0.5)].concat();
    let expected = |at: usize| {
        let low = if (at / 64).is_multiple_of(2) { at % 16 } else { 15 - at % 16 } as i32;
        let high = (at / 32 % 4) as i32;
        0.5 * (at as f32 / 16.0 - 8.0).floor() * (low + 16 * high - 32) as f32
    };
    assert_eq!(weights(Kind::Q6_K, &block, 256), (0..256).map(expected).collect::<Vec<_>>());
}
