//! The kernel: programs of system calls, faults and interrupts from several processes. `World` checks every invariant after every step.
//!
//! Eight bytes are a step's seed; what a step does follows from it and from the state that it meets (`microkernel/tests/random`).

use std::sync::LazyLock;

use microkernel::fake::World;

use crate::dice::Dice;
use crate::play::{Tally, opening, roomy_opening, spread_opening, step};

const SEED_BYTES: usize = 8;
/// Programs to start from, and their steps.
const PROGRAMS: u64 = 8;
const STEPS: usize = 40;

pub(super) fn run(bytes: &[u8]) {
    static OPENINGS: LazyLock<[World; 3]> = LazyLock::new(|| [opening(), spread_opening(3), roomy_opening()]);
    let first = bytes.first().copied().unwrap_or_default();
    // The last one is large, and so slow to copy.
    let opening = if first % 8 == 7 { 2 } else { usize::from(first % 2) };
    let mut world = OPENINGS[opening].clone();
    let mut tally = Tally::default();
    for seed in bytes.chunks_exact(SEED_BYTES).filter_map(|chunk| chunk.first_chunk()) {
        step(&mut world, u64::from_le_bytes(*seed), &mut tally);
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let program = |seed| {
        let mut dice = Dice::new(seed);
        (0..STEPS).flat_map(|_| dice.next().to_le_bytes()).collect()
    };
    (0..PROGRAMS).map(program).collect()
}
