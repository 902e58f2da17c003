//! Types of tensors, and how many bytes a block of each takes.
//!
//! The layouts are those of GGML (`ggml-common.h`): numbers are little-endian, a block holds 1, 32 or 256 neighbours of one row.

/// A type of tensors that the engine reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(non_camel_case_types, reason = "these are the names that everybody knows them by")]
#[allow(missing_docs, reason = "the names are all there is to say; the layouts are told in `dequantise`")]
pub enum Kind {
    F32,
    F16,
    BF16,
    Q8_0,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q4_K,
    Q5_K,
    Q6_K,
}

/// Weights in a block of the older quantised types.
pub const SMALL_BLOCK: usize = 32;
/// Weights in a block of the K types.
pub const LARGE_BLOCK: usize = 256;

/// The format's numbers of all types, those that are refused too, so that they can be refused by name.
const NAMES: [(u32, &str, Option<Kind>); 33] = [
    (0, "F32", Some(Kind::F32)),
    (1, "F16", Some(Kind::F16)),
    (2, "Q4_0", Some(Kind::Q4_0)),
    (3, "Q4_1", Some(Kind::Q4_1)),
    (6, "Q5_0", Some(Kind::Q5_0)),
    (7, "Q5_1", Some(Kind::Q5_1)),
    (8, "Q8_0", Some(Kind::Q8_0)),
    (9, "Q8_1", None),
    (10, "Q2_K", None),
    (11, "Q3_K", None),
    (12, "Q4_K", Some(Kind::Q4_K)),
    (13, "Q5_K", Some(Kind::Q5_K)),
    (14, "Q6_K", Some(Kind::Q6_K)),
    (15, "Q8_K", None),
    (16, "IQ2_XXS", None),
    (17, "IQ2_XS", None),
    (18, "IQ3_XXS", None),
    (19, "IQ1_S", None),
    (20, "IQ4_NL", None),
    (21, "IQ3_S", None),
    (22, "IQ2_S", None),
    (23, "IQ4_XS", None),
    (24, "I8", None),
    (25, "I16", None),
    (26, "I32", None),
    (27, "I64", None),
    (28, "F64", None),
    (29, "IQ1_M", None),
    (30, "BF16", Some(Kind::BF16)),
    (34, "TQ1_0", None),
    (35, "TQ2_0", None),
    (39, "MXFP4", None),
    (40, "NVFP4", None),
];

impl Kind {
    /// All types.
    pub const ALL: [Self; 11] =
        [Self::F32, Self::F16, Self::BF16, Self::Q8_0, Self::Q4_0, Self::Q4_1, Self::Q5_0, Self::Q5_1, Self::Q4_K, Self::Q5_K, Self::Q6_K];

    /// The type with the format's `number`; else its name, where the number has one.
    ///
    /// # Errors
    /// The engine does not read this type.
    pub fn of(number: u32) -> Result<Self, Option<&'static str>> {
        let known = NAMES.iter().find(|(known, _, _)| *known == number).ok_or(None)?;
        known.2.ok_or(Some(known.1))
    }

    /// The format's number.
    #[must_use]
    pub fn number(self) -> u32 {
        NAMES.iter().find(|(_, _, kind)| *kind == Some(self)).map_or(u32::MAX, |(number, _, _)| *number)
    }

    /// The format's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(_, _, kind)| *kind == Some(self)).map_or("", |(_, name, _)| name)
    }

    /// Weights in a block.
    #[must_use]
    pub const fn block(self) -> usize {
        match self {
            Self::F32 | Self::F16 | Self::BF16 => 1,
            Self::Q8_0 | Self::Q4_0 | Self::Q4_1 | Self::Q5_0 | Self::Q5_1 => SMALL_BLOCK,
            Self::Q4_K | Self::Q5_K | Self::Q6_K => LARGE_BLOCK,
        }
    }

    /// Bytes of a block.
    #[must_use]
    pub const fn block_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::BF16 => 2,
            Self::Q8_0 => 2 + 32,
            Self::Q4_0 => 2 + 16,
            Self::Q4_1 => 4 + 16,
            Self::Q5_0 => 2 + 4 + 16,
            Self::Q5_1 => 4 + 4 + 16,
            Self::Q4_K => 4 + 12 + 128,
            Self::Q5_K => 4 + 12 + 32 + 128,
            Self::Q6_K => 128 + 64 + 16 + 2,
        }
    }

    /// Bytes of `weights` neighbours, which fill whole blocks.
    #[must_use]
    pub const fn bytes(self, weights: usize) -> usize {
        weights / self.block() * self.block_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_lead_back_to_the_type() {
        for kind in Kind::ALL {
            assert_eq!(Kind::of(kind.number()), Ok(kind));
            assert_eq!(alloc::format!("{kind:?}"), kind.name());
        }
    }

    #[test]
    fn other_types_are_known_by_name() {
        assert_eq!(Kind::of(10), Err(Some("Q2_K")));
        assert_eq!(Kind::of(4), Err(None));
    }
}
