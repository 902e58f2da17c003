//! Values that the compiler must take as they come.
//!
//! A check against wrong bits compares what must be the same, and that is what a compiler leaves out. [`core::hint::black_box`] would make it forget all memory
//! besides; this costs no instruction.
#![allow(unsafe_code, reason = "assembly without an instruction")]

/// The same word, of which the compiler knows nothing.
#[inline(always)]
#[must_use]
pub fn opaque(word: usize) -> usize {
    let mut same = word;
    // SAFETY: no instruction, which changes nothing.
    unsafe { core::arch::asm!("/* {} */", inout(reg) same, options(pure, nomem, nostack, preserves_flags)) };
    same
}

/// Where the calling function's stack ends: the same wherever in that function, as long as it is not what a wrong bit made of it.
#[inline(always)]
#[must_use]
pub(crate) fn stack_pointer() -> usize {
    let here;
    // SAFETY: a register is read. Not `pure`: what is asked twice is to be looked at twice.
    unsafe { core::arch::asm!("mov {}, rsp", out(reg) here, options(nomem, nostack, preserves_flags)) };
    here
}

#[cfg(test)]
mod tests {
    use super::opaque;

    #[test]
    fn word_is_the_same() {
        assert!([0, 7, usize::MAX].into_iter().all(|word| opaque(word) == word));
    }
}
