//! An allocation that fails, as it does when the heap of an instance is used up.
//!
//! A server has memory from two places. Pages of its heap come at first touch, so what fails there is the allocator of `libsys`, and that is what this does:
//! it sets the word that the allocator counts down ([`layout::REFUSAL`]), in a page that nobody but the instance and the supervisor can reach. Absent on purpose:
//! pages that are bought for programs. A purchase that is refused is an answer, not a fault, and programs are to hear of it.

use core::fmt;

use abi::Error;
use libsys::layout;

use super::plan::Dice;
use crate::kernel::Kernel;

/// The allocation that fails is at most this power of two away, chosen at random from below: that of the request in hand, or of one of the next hundreds.
const MOST_SHIFT: u64 = 8;

/// A failure that is armed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    space: u32,
    nth: u64,
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} allocations ahead", self.nth)
    }
}

/// Lets one of the next allocations of the instance in `space` fail.
///
/// # Errors
/// The kernel's.
pub(super) fn refuse(kernel: &mut impl Kernel, space: u32, dice: &mut Dice) -> Result<Refusal, Error> {
    let most = 1 << dice.below(MOST_SHIFT + 1);
    let nth = 1 + dice.below(most);
    kernel.copy_to(space, layout::REFUSAL, &nth.to_le_bytes())?;
    Ok(Refusal { space, nth })
}

impl Refusal {
    /// Lets all allocations succeed again; whether none has failed.
    pub(super) fn undo(&self, kernel: &mut impl Kernel) -> Result<bool, Error> {
        let mut left = [0; size_of::<u64>()];
        kernel.copy_from(self.space, layout::REFUSAL, &mut left)?;
        kernel.copy_to(self.space, layout::REFUSAL, &[0; size_of::<u64>()])?;
        Ok(left != [0; size_of::<u64>()])
    }
}
