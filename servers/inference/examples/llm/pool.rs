//! A team of the host's threads that spin for a while between two phases before they yield: a phase is often shorter than waking a thread.
#![allow(unsafe_code, reason = "threads that live on borrow the work of a call that waits for them")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use inference::team::Team;

/// Turns of a spinning thread before it yields.
const SPINS: u32 = 20_000;

/// The work of one phase; it lives on the stack of the call that waits for it.
type Work = *const (dyn Fn(usize) + Sync);

/// What the threads share. Counters stand on cache lines of their own.
#[derive(Default)]
struct Phase {
    number: Line,
    done: Line,
    work: std::cell::UnsafeCell<Option<Work>>,
    ends: AtomicBool,
}

#[derive(Default)]
#[repr(align(128))]
struct Line(AtomicUsize);

// SAFETY: `work` is written by the caller before it raises `number`, and read by the threads after they have seen that; the caller writes it again only
// after all of them have counted in `done`.
unsafe impl Sync for Phase {}
// SAFETY: as above; the pointer is only followed while the call that made it waits.
unsafe impl Send for Phase {}

/// The team.
pub(crate) struct Pool {
    phase: Arc<Phase>,
    others: Vec<JoinHandle<()>>,
}

fn wait(until: impl Fn() -> bool) {
    let mut spins = 0;
    while !until() {
        if spins < SPINS {
            spins += 1;
            std::hint::spin_loop();
        } else {
            std::thread::yield_now();
        }
    }
}

impl Pool {
    /// A team of `threads`, the caller among them.
    pub(crate) fn new(threads: usize) -> Self {
        let phase = Arc::new(Phase::default());
        let thread = |index: usize| {
            let phase = Arc::clone(&phase);
            std::thread::spawn(move || serve(&phase, index))
        };
        let others = (1..threads.max(1)).map(thread).collect();
        Self { phase, others }
    }

    fn start(&self) {
        self.phase.done.0.store(0, Ordering::Relaxed);
        self.phase.number.0.fetch_add(1, Ordering::Release);
    }
}

fn serve(phase: &Phase, index: usize) {
    for number in 1.. {
        wait(|| phase.number.0.load(Ordering::Acquire) == number);
        if phase.ends.load(Ordering::Relaxed) {
            return;
        }
        // SAFETY: the phase's number was raised after the work was written, and the call that wrote it waits until `done` has been counted.
        if let Some(work) = unsafe { *phase.work.get() } {
            // SAFETY: as above.
            unsafe { (*work)(index) };
        }
        phase.done.0.fetch_add(1, Ordering::Release);
    }
}

// SAFETY: thread `index` serves that number alone, the caller 0; `run` waits until all have counted in `done`, by release and acquire.
unsafe impl Team for Pool {
    fn threads(&self) -> usize {
        self.others.len() + 1
    }

    fn run(&self, work: &(dyn Fn(usize) + Sync)) {
        if self.others.is_empty() {
            return work(0);
        }
        // SAFETY: only the lifetime is forgotten; nobody follows the pointer after this call, which waits for all who do.
        let forgotten: Work = unsafe { std::mem::transmute::<*const (dyn Fn(usize) + Sync + '_), Work>(work) };
        // SAFETY: no thread reads it between two phases.
        unsafe { *self.phase.work.get() = Some(forgotten) };
        self.start();
        work(0);
        wait(|| self.phase.done.0.load(Ordering::Acquire) == self.others.len());
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.phase.ends.store(true, Ordering::Relaxed);
        self.start();
        self.others.drain(..).for_each(|thread| drop(thread.join()));
    }
}
