//! Norms, activations and rotations: what is done to each number of a column, written so that the compiler makes vectors of it.
//!
//! Sums run in eight lanes whatever the processor, so that their bits do not depend on it.

use crate::config::Pairs;

/// Sums are kept in this many lanes.
const LANES: usize = 8;
/// 1 / ln 2.
const LOG2_E: f32 = core::f32::consts::LOG2_E;
/// ln 2 in two pieces, of which the first has so few bits that products with small integers are exact.
const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
/// Adding it leaves no fraction; its low bits then hold the integer.
const NO_FRACTION: f32 = 12_582_912.0;

/// e to the power of `x`, within 2 units in the last place; `x` is cut to where the result is a normal number.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    let x = x.clamp(-87.0, 88.0);
    let shifted = x * LOG2_E + NO_FRACTION;
    let whole = shifted - NO_FRACTION;
    let rest = x - whole * LN_2[0] - whole * LN_2[1];
    // A polynomial for e^rest on [-ln 2 / 2, ln 2 / 2], by its Taylor series: the next term is below 2^-25.
    let series = [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0];
    let power = series.into_iter().fold(1.0 / 5040.0, |sum, factor| sum * rest + factor);
    let exponent = shifted.to_bits().wrapping_sub(NO_FRACTION.to_bits()).wrapping_shl(23);
    f32::from_bits(power.to_bits().wrapping_add(exponent))
}

/// The sum of products of two equally long columns.
#[inline(always)]
pub(crate) fn dot(left: &[f32], right: &[f32]) -> f32 {
    let ((left, left_rest), (right, right_rest)) = (left.as_chunks::<LANES>(), right.as_chunks::<LANES>());
    let mut sums = [0.0_f32; LANES];
    for (left, right) in left.iter().zip(right) {
        for lane in 0..LANES {
            sums[lane] += left[lane] * right[lane];
        }
    }
    let rest: f32 = left_rest.iter().zip(right_rest).map(|(left, right)| left * right).sum();
    let halves: [f32; 4] = core::array::from_fn(|lane| sums[lane] + sums[lane + 4]);
    (halves[0] + halves[2]) + (halves[1] + halves[3]) + rest
}

/// Divides `input` by the root of its mean square, and multiplies by `weights`.
pub(crate) fn norm(input: &[f32], weights: &[f32], epsilon: f32, output: &mut [f32]) {
    let scale = 1.0 / libm::sqrtf(dot(input, input) / input.len() as f32 + epsilon);
    for ((output, input), weight) in output.iter_mut().zip(input).zip(weights) {
        *output = input * scale * weight;
    }
}

/// `gate / (1 + e^-gate) * up`.
pub(crate) fn gated(gate: [f32; 8], up: [f32; 8]) -> [f32; 8] {
    core::array::from_fn(|lane| gate[lane] / (1.0 + exp(-gate[lane])) * up[lane])
}

/// Turns the pairs of one head by the angles whose sines and cosines these are.
pub(crate) fn turn(pairs: Pairs, angles: &[(f32, f32)], head: &mut [f32]) {
    for (pair, (sine, cosine)) in angles.iter().enumerate() {
        let (first, second) = match pairs {
            Pairs::Neighbours => (2 * pair, 2 * pair + 1),
            Pairs::Halves => (pair, pair + angles.len()),
        };
        let (a, b) = (head[first], head[second]);
        (head[first], head[second]) = (a * cosine - b * sine, a * sine + b * cosine);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_are_those_of_the_library() {
        for step in -8700..8800 {
            let x = step as f32 * 0.01;
            let expected = libm::exp(f64::from(x));
            assert!((f64::from(exp(x)) / expected - 1.0).abs() < 4e-7, "{x}");
        }
        assert_eq!((exp(0.0), exp(-1e9), exp(-87.0)), (1.0, exp(-87.0), exp(-87.0)));
    }
}
