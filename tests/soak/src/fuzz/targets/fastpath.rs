//! The kernel's fast path: programs that mostly talk, on a world that tries it first and on one that never does, must leave the same state behind
//! after every step.
//!
//! Eight bytes are a step's seed, as for the kernel itself (`microkernel/tests/fastpath`).

use std::cell::RefCell;

use microkernel::fake::World;

use crate::dice::Dice;
use crate::play::Tally;
use crate::talk::Opening;

const SEED_BYTES: usize = 8;
/// Programs to start from, and their steps.
const PROGRAMS: u64 = 8;
const STEPS: usize = 40;

thread_local! {
    /// The openings on one processor and on two, and the world that has the fast path: it lies at a fixed place, so there is only one.
    static WORLDS: RefCell<([Opening; 2], World)> = RefCell::new(worlds());
}

fn worlds() -> ([Opening; 2], World) {
    let mut openings = [1, 2].map(Opening::new);
    openings.iter_mut().for_each(|opening| opening.world.leave_unchecked());
    let mut fast = openings[0].world.clone();
    fast.use_fast_path();
    (openings, fast)
}

pub(super) fn run(bytes: &[u8]) {
    WORLDS.with_borrow_mut(|(openings, fast)| {
        let first = bytes.first().copied().unwrap_or_default();
        let opening = &openings[usize::from(first % 2)];
        fast.return_to(&opening.world);
        let mut slow = opening.world.clone();
        let mut tallies = [Tally::default(), Tally::default()];
        let steps = bytes.len() / SEED_BYTES;
        for (step, seed) in bytes.as_chunks::<SEED_BYTES>().0.iter().enumerate() {
            let [first, second] = &mut tallies;
            fast.waits = seed[1] % 2 == 1;
            opening.step(fast, u64::from_le_bytes(*seed), first);
            opening.step(&mut slow, u64::from_le_bytes(*seed), second);
            if let Err(difference) = fast.compare(&mut slow, step + 1 == steps) {
                panic!("step {step}: {difference}");
            }
        }
    });
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let program = |seed| {
        let mut dice = Dice::new(seed);
        (0..STEPS).flat_map(|_| dice.next().to_le_bytes()).collect()
    };
    (0..PROGRAMS).map(program).collect()
}
