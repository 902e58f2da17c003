//! Indices that wrap around: whatever a number is, it means an element, so that no access to a fixed array can end in a panic.
//!
//! The invariants keep all these indices below the length (a processor, an entry of a table, a priority), and the tests recount what an index that is
//! not would have changed. The remainder is one instruction, or none where the compiler sees the bound. Everything else is asked for by `get`.

/// The element at an index, counted around.
#[inline]
#[allow(clippy::indexing_slicing, reason = "the remainder is below the length")]
pub(crate) const fn at<T, const N: usize>(array: &[T; N], index: usize) -> &T {
    &array[index % N]
}

/// The element at an index, counted around, to change.
#[inline]
#[allow(clippy::indexing_slicing, reason = "the remainder is below the length")]
pub(crate) const fn at_mut<T, const N: usize>(array: &mut [T; N], index: usize) -> &mut T {
    &mut array[index % N]
}
