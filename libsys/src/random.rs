//! Bits that nobody can foresee, from the processor.
#![allow(unsafe_code, reason = "an instruction without a safe intrinsic on this target")]

/// How often the processor is asked before it counts as unable (SDM vol. 1, 7.3.17.1).
const ATTEMPTS: u32 = 10;

/// A word of the processor's random number generator; none where it has none, or where it fails for good.
#[must_use]
pub fn hardware() -> Option<u64> {
    #[cfg(target_arch = "x86_64")]
    if core::arch::x86_64::__cpuid(1).ecx >> 30 & 1 != 0 {
        return (0..ATTEMPTS).find_map(|_| step());
    }
    None
}

#[cfg(target_arch = "x86_64")]
fn step() -> Option<u64> {
    let (word, done): (u64, u8);
    // SAFETY: CPUID says that the instruction is there; it touches the register and the flags alone.
    unsafe { core::arch::asm!("rdrand {word}", "setc {done}", word = out(reg) word, done = out(reg_byte) done, options(nomem, nostack)) };
    (done != 0).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::hardware;

    #[test]
    fn words_of_the_processor_differ() {
        if let Some(first) = hardware() {
            assert!((0..4).any(|_| hardware().is_some_and(|word| word != first)));
        }
    }
}
