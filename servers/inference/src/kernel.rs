//! A panel times some columns: the one operation that nearly all time goes into, for this processor.
//!
//! **Each element of a product is summed in an order that depends on the number of columns of the matrix alone**: one accumulator goes through the groups
//! in order, whatever the batch and the threads. Eight-bit sums within 32 columns are integers and exact. So a token's logits have the same bits however
//! the prompt was cut.
//!
//! [`portable`] is the same arithmetic for any processor and the oracle of [`avx2`]; without AVX2 it is what runs.

pub mod avx2;
pub mod portable;

use crate::input::Inputs;
use crate::packed::{PANEL, Packed};

/// Columns that a kernel takes at once.
pub const TILE: usize = 4;

/// The instructions to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Processor {
    /// Any processor.
    Portable,
    /// AVX2, FMA and F16C.
    Avx2(avx2::Proof),
}

impl Processor {
    /// The best that this machine has.
    #[must_use]
    pub fn detect() -> Self {
        avx2::Proof::find().map_or(Self::Portable, Self::Avx2)
    }

    /// What it is called where people read it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2(_) => "avx2",
        }
    }

    /// Panel `panel` of `matrix` times columns `first..first + out.len()` of `inputs`, at most [`TILE`] of them.
    pub fn panel(self, matrix: &Packed, panel: usize, inputs: &Inputs, first: usize, out: &mut [[f32; PANEL]]) {
        assert!(matrix.columns == inputs.length && (1..=TILE).contains(&out.len()), "a product's shapes");
        match self {
            Self::Portable => portable::panel(matrix, panel, inputs, first, out),
            Self::Avx2(proof) => avx2::panel(proof, matrix, panel, inputs, first, out),
        }
    }
}
