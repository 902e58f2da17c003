//! What processors do to each other: one lock, and a word of duties for each processor.
//!
//! Who waits for the lock does what others want of this processor meanwhile: the one that has it may be waiting for exactly that. A duty looks at nothing that
//! the lock guards; only who has the lock gives one, so a processor has one at a time, and none while it gives one. These are the only places where
//! processors meet without the lock, so `tests/smp` runs them in every order, with every value that the memory model allows; for that the words are a trait's.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// A word that processors share.
pub trait Word<T> {
    /// Its value.
    fn load(&self, order: Ordering) -> T;
    /// Changes it.
    fn store(&self, value: T, order: Ordering);
    /// Changes it; what it was.
    fn swap(&self, value: T, order: Ordering) -> T;
    /// Adds to it, counting around.
    fn add(&self, value: T, order: Ordering);
    /// What who looks again and again does in between.
    fn pause();
    /// How often who lets go of the lock looks at most whether another one has taken it.
    const PATIENCE: u32;
}

macro_rules! word {
    ($atomic:ty, $value:ty) => {
        impl Word<$value> for $atomic {
            #[inline(always)]
            fn load(&self, order: Ordering) -> $value {
                self.load(order)
            }

            #[inline(always)]
            fn store(&self, value: $value, order: Ordering) {
                self.store(value, order);
            }

            #[inline(always)]
            fn swap(&self, value: $value, order: Ordering) -> $value {
                self.swap(value, order)
            }

            #[inline(always)]
            fn add(&self, value: $value, order: Ordering) {
                self.fetch_add(value, order);
            }

            #[inline(always)]
            fn pause() {
                core::hint::spin_loop();
            }

            const PATIENCE: u32 = 256;
        }
    };
}

word!(AtomicU32, u32);
word!(AtomicU64, u64);

/// Takes the lock, whose word is 0 while nobody has it; `waiting` counts who waits. Does `meanwhile` again and again until then.
pub fn take<W: Word<u32>>(lock: &W, waiting: &W, mut meanwhile: impl FnMut()) {
    if lock.swap(1, Ordering::Acquire) == 0 {
        return;
    }
    waiting.add(1, Ordering::Relaxed);
    while lock.load(Ordering::Relaxed) != 0 || lock.swap(1, Ordering::Acquire) != 0 {
        meanwhile();
        W::pause();
    }
    waiting.add(1u32.wrapping_neg(), Ordering::Relaxed);
}

/// Lets go of the lock.
#[inline(always)]
pub fn release(lock: &impl Word<u32>) {
    lock.store(0, Ordering::Release);
}

/// Whether somebody waits for the lock.
#[inline(always)]
pub fn is_waited_for(waiting: &impl Word<u32>) -> bool {
    waiting.load(Ordering::Relaxed) != 0
}

/// Who waits takes the lock, which was let go of, before this processor can be back for it: an operation that waits for another processor is made again and
/// again, and would keep that one out.
pub fn give_way<W: Word<u32>>(lock: &W, waiting: &W, mut meanwhile: impl FnMut()) {
    for _ in 0..W::PATIENCE {
        if !is_waited_for(waiting) || lock.load(Ordering::Relaxed) != 0 {
            return;
        }
        meanwhile();
        W::pause();
    }
}

/// Gives a processor, whose word this is, a duty, which is no 0; only for who has the lock. The processor is to be interrupted then.
pub fn post(word: &impl Word<u64>, duty: u64) {
    word.store(duty, Ordering::Release);
}

/// Waits until the duty is done: what its processor did for it has happened before, and what it read before it did.
pub fn await_done<W: Word<u64>>(word: &W) {
    while word.load(Ordering::Acquire) != 0 {
        W::pause();
    }
}

/// Does the duty that this processor was given, if any.
pub fn perform(word: &impl Word<u64>, act: impl FnOnce(u64)) {
    let duty = word.load(Ordering::Acquire);
    if duty != 0 {
        act(duty);
        word.store(0, Ordering::Release);
    }
}
