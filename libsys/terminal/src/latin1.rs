//! Letters as Linux's own character table has them (`lib/ctype.c`): ISO 8859-1, whatever the terminal shows.
//!
//! It matters for IUCLC and OLCUC, and for what word erase takes for a word; `is_control` needs no table, because only ASCII has control characters there.

const MULTIPLICATION: u8 = 0xd7;
const DIVISION: u8 = 0xf7;
/// Distance of a small letter from its capital, in both halves of the table.
const SMALL: u8 = 0x20;

const fn is_capital(byte: u8) -> bool {
    matches!(byte, b'A'..=b'Z' | 0xc0..=0xde) && byte != MULTIPLICATION
}

/// The table counts the two small letters without a capital (0xdf, 0xff) too.
const fn is_small(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | 0xdf..=0xff) && byte != DIVISION
}

/// A letter or digit.
pub(super) const fn is_alphanumeric(byte: u8) -> bool {
    byte.is_ascii_digit() || is_capital(byte) || is_small(byte)
}

/// A capital as small letter.
pub(super) const fn lower(byte: u8) -> u8 {
    if is_capital(byte) { byte + SMALL } else { byte }
}

/// A small letter as capital.
pub(super) const fn upper(byte: u8) -> u8 {
    if is_small(byte) { byte - SMALL } else { byte }
}

#[cfg(test)]
mod tests {
    use super::{is_alphanumeric, lower, upper};

    #[test]
    fn letters_of_both_halves_change_case() {
        assert_eq!((lower(b'Q'), upper(b'q')), (b'q', b'Q'));
        assert_eq!((lower(0xc4), upper(0xe4)), (0xe4, 0xc4));
    }

    #[test]
    fn what_is_no_letter_stays() {
        for byte in [b'@', b'[', b'`', b'{', b'5', 0xd7, 0xf7, 0x80, 0xbf] {
            assert_eq!((lower(byte), upper(byte)), (byte, byte));
        }
        assert!(is_alphanumeric(b'5') && is_alphanumeric(0xe9) && !is_alphanumeric(0xd7) && !is_alphanumeric(b'_'));
    }
}
