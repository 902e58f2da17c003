//! A value that the compiler must take as it comes.
//!
//! A check against wrong bits compares what must be the same, and that is what a compiler leaves out. [`core::hint::black_box`] would make it forget all memory
//! besides; this costs no instruction.
#![allow(unsafe_code, reason = "assembly without an instruction")]

/// The same word, of which the compiler knows nothing.
#[inline(always)]
pub(crate) fn opaque(word: usize) -> usize {
    let mut same = word;
    // SAFETY: no instruction, which changes nothing.
    unsafe { core::arch::asm!("/* {} */", inout(reg) same, options(pure, nomem, nostack, preserves_flags)) };
    same
}

#[cfg(test)]
mod tests {
    use super::opaque;

    #[test]
    fn word_is_the_same() {
        assert!([0, 7, usize::MAX].into_iter().all(|word| opaque(word) == word));
    }
}
