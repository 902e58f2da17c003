//! Marks for whoever traces a program that repeats an operation (`cargo xtask bench --phases`).
//!
//! Each is the address behind it and eight letters, in a section that no image has: a round's cost no instruction.
#![allow(unsafe_code, reason = "assembly without an instruction")]

macro_rules! mark {
    ($letters:literal, $instruction:literal) => {
        // SAFETY: nothing is executed, or what does nothing.
        unsafe {
            core::arch::asm!(
                ".pushsection .marks,\"\",@progbits",
                ".quad 99f",
                concat!(".ascii \"", $letters, "\""),
                ".popsection",
                "99:",
                $instruction,
                options(nostack, preserves_flags)
            )
        }
    };
}

/// The operation begins.
#[inline(always)]
pub fn round() {
    mark!("round   ", "");
}

/// It has ended.
#[inline(always)]
pub fn end() {
    mark!("end     ", "");
}

/// Rounds from here on are of the operation that is traced. An instruction, so that the place is nobody else's.
#[inline(always)]
pub fn on() {
    mark!("on      ", "nop");
}

/// They are not.
#[inline(always)]
pub fn off() {
    mark!("off     ", "nop");
}
