//! Whose each instruction is: all programs lie at the same addresses, so an address alone does not say.
//!
//! An instruction may be of each program whose file has its bytes at its address: often of one, and of few in any case. All that user code executes between two writes
//! of CR3 is one program's; what only one can have settles the rest, and that settles others. Instructions that no file has stay nobody's.

use super::image::Image;
use super::log::{Instruction, Trace};
use super::privileged;

/// Where the kernel's half of all address spaces begins.
pub(super) const KERNEL_HALF: u64 = 0xffff_8000_0000_0000;

pub(super) fn is_kernel(instruction: &Instruction) -> bool {
    instruction.address >= KERNEL_HALF
}

/// The program, by its place in `images`, of each instruction of user code.
pub(super) fn owners(trace: &Trace, images: &[Image]) -> Vec<Option<usize>> {
    let mut possible: Vec<u64> = trace.instructions.iter().map(|instruction| candidates(instruction, images)).collect();
    let switches = |index: &usize| {
        let instruction = trace.instructions.get(*index);
        instruction.is_some_and(|instruction| is_kernel(instruction) && privileged::kind(&instruction.bytes) == Some("CR3"))
    };
    let mut stints: Vec<Vec<usize>> = trace.executed.split(switches).map(<[usize]>::to_vec).collect();
    for stint in &mut stints {
        stint.sort_unstable();
        stint.dedup();
        stint.retain(|index| possible.get(*index).is_some_and(|set| *set != 0));
    }
    stints.sort_unstable();
    stints.dedup();
    let mut changed = true;
    while changed {
        changed = false;
        for stint in &stints {
            let common = stint.iter().filter_map(|index| possible.get(*index)).fold(u64::MAX, |common, set| common & set);
            for index in stint.iter().filter(|_| common != 0) {
                if let Some(set) = possible.get_mut(*index) {
                    changed |= *set != common;
                    *set = common;
                }
            }
        }
    }
    possible.into_iter().map(|set| (set != 0).then_some(set.trailing_zeros() as usize)).collect()
}

/// A bit for each image that may have the instruction; none of the kernel's, which lies in one place.
fn candidates(instruction: &Instruction, images: &[Image]) -> u64 {
    let of_user = !is_kernel(instruction);
    images
        .iter()
        .zip(0..u64::BITS)
        .filter(|(image, _)| of_user && image.has(instruction.address, &instruction.bytes))
        .fold(0, |set, (_, bit)| set | 1 << bit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::symbols::Symbols;

    const NOP: &[u8] = &[0x90];
    const RET: &[u8] = &[0xc3];
    const LOAD_ROOT: &[u8] = &[0x0f, 0x22, 0xd9];

    fn image(name: &str, bytes: &[u8]) -> Image {
        Image::new(name, vec![(0x1000, bytes.to_vec())], Symbols::read(&[]), vec![])
    }

    fn trace(instructions: &[(u64, &[u8])], executed: &[usize]) -> Trace {
        let instruction = |(address, bytes): &(u64, &[u8])| Instruction { address: *address, bytes: bytes.to_vec() };
        Trace { instructions: instructions.iter().map(instruction).collect(), executed: executed.to_vec() }
    }

    #[test]
    fn what_only_one_can_have_settles_what_runs_with_it_and_that_settles_the_rest() {
        // At 0x1000 both have a nop; at 0x1001 only the second, and at 0x1002 both.
        let images = [image("a", &[0x90, 0xc3, 0xc3]), image("b", &[0x90, 0x90, 0xc3])];
        let executed = [(0x1000, NOP), (KERNEL_HALF, LOAD_ROOT), (0x1001, NOP), (0x1002, RET), (0x1000, NOP), (0x1001, RET)];
        let trace = trace(&executed, &[0, 3, 1, 2, 3, 1, 4, 5, 1, 0]);
        assert_eq!(owners(&trace, &images), [Some(1), None, Some(1), Some(1), Some(0), Some(0)]);
    }

    #[test]
    fn what_no_file_has_is_nobodys_and_does_not_spoil_the_rest() {
        let images = [image("a", &[0x90]), image("b", &[0xc3])];
        let trace = trace(&[(0x7000, NOP), (0x1000, RET), (0x1000, NOP), (KERNEL_HALF + 0x1000, NOP)], &[0, 1, 2, 3]);
        // The last two are of two programs without a switch between them, which cannot be: neither is changed.
        assert_eq!(owners(&trace, &images), [None, Some(1), Some(0), None]);
    }
}
