//! Numbers of 16 bits: IEEE half precision and the upper half of an `f32`.

/// The value of an IEEE half (1 sign, 5 exponent, 10 fraction bits).
#[must_use]
pub fn from_f16(bits: u16) -> f32 {
    let sign = u32::from(bits & 0x8000) << 16;
    let rest = u32::from(bits & 0x7fff) << 13;
    // The exponents' biases differ by 112. Scaling does the right thing for subnormal halves, which are normal as f32.
    let scaled = f32::from_bits(rest) * f32::from_bits((254 - 15) << 23);
    let magnitude = if bits & 0x7c00 == 0x7c00 { rest | 0x7f80_0000 } else { scaled.to_bits() };
    f32::from_bits(sign | magnitude)
}

/// The IEEE half nearest to `value`, the even one of two; what is too large becomes infinite.
#[must_use]
pub fn to_f16(value: f32) -> u16 {
    let bits = value.to_bits();
    let sign = (bits >> 16) as u16 & 0x8000;
    let magnitude = bits & 0x7fff_ffff;
    let half = if magnitude > 0x7f80_0000 {
        0x7e00
    } else if magnitude >= 0x4780_0000 {
        0x7c00
    } else if magnitude < 0x3880_0000 {
        // Below 2^-14 a half counts in units of 2^-24, which is what adding 0.5 leaves in the low bits of the sum.
        (f32::from_bits(magnitude) + 0.5).to_bits().wrapping_sub(0.5_f32.to_bits()) as u16
    } else {
        // Half of the last kept bit, less one when that is even, then the carry goes wherever it must.
        let odd = magnitude >> 13 & 1;
        ((magnitude + 0xfff + odd - (112 << 23)) >> 13) as u16
    };
    sign | half
}

/// The value whose upper half is `bits`.
#[must_use]
pub fn from_bf16(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_halves_have_their_values() {
        let known = [(0x0000, 0.0), (0x3c00, 1.0), (0xc000, -2.0), (0x7bff, 65504.0), (0x0400, 6.103_515_6e-5), (0x0001, 5.960_464_5e-8)];
        for (bits, value) in known {
            assert_eq!(from_f16(bits), value);
        }
        assert_eq!(from_f16(0xfc00), f32::NEG_INFINITY);
        assert!(from_f16(0x7e01).is_nan());
        assert_eq!(from_bf16(0xc040), -3.0);
    }

    #[test]
    fn every_half_survives_the_way_there_and_back() {
        for bits in 0..=u16::MAX {
            let value = from_f16(bits);
            assert!(value.is_nan() && from_f16(to_f16(value)).is_nan() || to_f16(value) == bits, "{bits:#x}");
        }
    }

    #[test]
    fn what_lies_between_goes_to_the_nearest_and_then_to_the_even() {
        for low in 0..0x7bff_u16 {
            let (below, above) = (from_f16(low), from_f16(low + 1));
            let middle = f64::midpoint(below.into(), above.into()) as f32;
            assert_eq!(to_f16(middle), low + (low & 1), "{low:#x}");
            assert_eq!(to_f16(f32::from_bits(middle.to_bits() + 1)), low + 1);
            assert_eq!(to_f16(f32::from_bits(middle.to_bits() - 1)), low);
        }
        assert_eq!(to_f16(65520.0), 0x7c00);
        assert_eq!(to_f16(-1e9), 0xfc00);
    }
}
