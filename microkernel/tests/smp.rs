//! The lock, the duties and the stop of a thread on another processor, in every order that loom knows: each processor is a thread of it, whose accesses to shared
//! words are tried in every interleaving with so many preemptions, each load with every value that the C11 memory model allows it. Whoever waits for ever
//! is found by loom's bound of a run. What runs is the kernel's own code ([`microkernel::smp`], and for the stop all of it on the fake machine).
//!
//! Bounds and the number of runs are printed; `SYNOS_SMP_PREEMPTIONS` adds to the bounds, at some ten times the runs each. Seeded bugs, words with weaker orders
//! among them, must be found.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};

use abi::{Control, Label, Operation, Rights};
use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicU32, AtomicU64};
use loom::thread;
use microkernel::fake::World;
use microkernel::smp::{self, Word};

const FORGET: u64 = 1;
const STORE: u64 = 4096;
/// What a program's registers hold.
const REGISTERS: u64 = 0x1234;

/// What is wrong with the words or with who uses them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    None,
    /// What was done before a store need not have happened for who sees it.
    StoresOrderNothing,
    /// Nor for who loads it.
    LoadsOrderNothing,
    /// Who gets the lock need not see what was done under it.
    TakesOrderNothing,
    /// Who waits for the lock does nothing meanwhile.
    WaitsIdly,
    /// A duty is called done before it is done.
    DoneBefore,
    /// Nobody waits until a duty is done.
    Impatient,
}

/// A word that loom watches.
struct Watched<T>(T, Bug);

macro_rules! watched {
    ($atomic:ty, $value:ty) => {
        impl Word<$value> for Watched<$atomic> {
            fn load(&self, order: Ordering) -> $value {
                self.0.load(if self.1 == Bug::LoadsOrderNothing { Ordering::Relaxed } else { order })
            }

            fn store(&self, value: $value, order: Ordering) {
                self.0.store(value, if self.1 == Bug::StoresOrderNothing { Ordering::Relaxed } else { order });
            }

            /// One that would change nothing stores nothing: loom may order what it stored behind a plain store that came after it, such as that which
            /// lets go of the lock, and nobody would ever get it.
            fn swap(&self, value: $value, order: Ordering) -> $value {
                let order = if self.1 == Bug::TakesOrderNothing { Ordering::Relaxed } else { order };
                let differs = |old| (old != value).then_some(value);
                self.0.fetch_update(order, Ordering::Relaxed, differs).unwrap_or(value)
            }

            fn add(&self, value: $value, order: Ordering) {
                self.0.fetch_add(value, order);
            }

            fn pause() {
                thread::yield_now();
            }

            const PATIENCE: u32 = 2;
        }
    };
}

watched!(AtomicU32, u32);
watched!(AtomicU64, u64);

/// Memory that nothing orders but what is around it: loom sees accesses that could be at the same time.
struct Memory<T> {
    watched: UnsafeCell<()>,
    value: RefCell<T>,
}

impl<T> Memory<T> {
    fn new(value: T) -> Self {
        Self { watched: UnsafeCell::new(()), value: RefCell::new(value) }
    }

    fn read<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        self.watched.with(|_| look(&self.value.borrow()))
    }

    fn change<R>(&self, act: impl FnOnce(&mut T) -> R) -> R {
        self.watched.with_mut(|_| act(&mut self.value.borrow_mut()))
    }
}

/// What processors share.
struct Shared<K> {
    bug: Bug,
    lock: Watched<AtomicU32>,
    waiting: Watched<AtomicU32>,
    duties: Vec<Watched<AtomicU64>>,
    over: Watched<AtomicU32>,
    /// The second processor was interrupted.
    interrupt: Watched<AtomicU32>,
    /// Behind the lock.
    kernel: Memory<K>,
    /// A page that the first processor takes for something else.
    page: Memory<u64>,
    /// Where a duty stores registers.
    area: Memory<u64>,
}

/// A processor.
struct Processor<K> {
    shared: Rc<Shared<K>>,
    number: usize,
    /// It has a translation of the page.
    translates: bool,
}

impl<K> Processor<K> {
    fn perform(&mut self) {
        let Self { shared, number, translates } = self;
        let mut act = |duty| if duty == STORE { shared.area.change(|area| *area = REGISTERS) } else { *translates = false };
        let word = &shared.duties[*number];
        if shared.bug == Bug::DoneBefore {
            let duty = word.load(Ordering::Acquire);
            if duty != 0 {
                word.store(0, Ordering::Release);
                act(duty);
            }
        } else {
            smp::perform(word, act);
        }
    }

    fn delegate(&self, to: usize, duty: u64) {
        smp::post(&self.shared.duties[to], duty);
        if self.shared.bug != Bug::Impatient {
            smp::await_done(&self.shared.duties[to]);
        }
    }

    /// A trap: takes the lock, and does something to the kernel.
    fn trap<R>(&mut self, act: impl FnOnce(&mut Self, &mut K) -> R) -> R {
        let shared = Rc::clone(&self.shared);
        let idly = shared.bug == Bug::WaitsIdly;
        smp::take(&shared.lock, &shared.waiting, || {
            if !idly {
                self.perform()
            }
        });
        let result = shared.kernel.change(|kernel| act(self, kernel));
        smp::release(&shared.lock);
        smp::give_way(&shared.lock, &shared.waiting, || self.perform());
        result
    }

    /// User code that reads the page, as long as this processor knows where it lies.
    fn read_page(&self) {
        if self.translates {
            self.shared.page.read(|page| assert_eq!(*page, 0, "somebody else's bytes"));
        }
    }

    /// It has nothing to do but to be interrupted.
    fn idle(&mut self) {
        while self.shared.over.load(Ordering::Acquire) == 0 {
            self.perform();
            thread::yield_now();
        }
    }

    fn end(&self) {
        self.shared.over.store(1, Ordering::Release);
    }
}

/// Runs processors in every order with at most so many preemptions, or more if the environment says so, and prints how many orders there are.
fn explore<K: 'static>(
    what: &str,
    bug: Bug,
    preemptions: usize,
    kernel: impl Fn() -> K + Sync + Send + 'static,
    roles: &'static [fn(&mut Processor<K>)],
) {
    let more = std::env::var("SYNOS_SMP_PREEMPTIONS").ok().and_then(|more| more.parse().ok()).unwrap_or(0);
    let preemptions = preemptions + more;
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 20_000;
    let runs = std::sync::Arc::new(AtomicUsize::new(0));
    let counted = std::sync::Arc::clone(&runs);
    builder.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        let shared = Rc::new(Shared {
            bug,
            lock: Watched(AtomicU32::new(0), bug),
            waiting: Watched(AtomicU32::new(0), bug),
            duties: roles.iter().map(|_| Watched(AtomicU64::new(0), bug)).collect(),
            over: Watched(AtomicU32::new(0), Bug::None),
            interrupt: Watched(AtomicU32::new(0), Bug::None),
            kernel: Memory::new(kernel()),
            page: Memory::new(0),
            area: Memory::new(0),
        });
        let run = |number| {
            let mut processor = Processor { shared: Rc::clone(&shared), number, translates: true };
            thread::spawn(move || roles[number](&mut processor))
        };
        let processors: Vec<_> = (0..roles.len()).map(run).collect();
        drop(shared);
        processors.into_iter().for_each(|processor| processor.join().unwrap());
    });
    println!("{what}: {} processors, {preemptions} preemptions: {} runs", roles.len(), runs.load(Ordering::Relaxed));
}

/// Takes a page for something else, once every other processor has forgotten where it lies.
fn shoots_down(cpu: &mut Processor<u64>) {
    cpu.trap(|cpu, traps| {
        *traps += 1;
        (1..cpu.shared.duties.len()).for_each(|other| cpu.delegate(other, FORGET));
        cpu.shared.page.change(|page| *page = 7);
    });
    cpu.end();
}

/// A program that reads the page before and after an interrupt and a system call, if it still may.
fn reads(cpu: &mut Processor<u64>) {
    cpu.read_page();
    cpu.perform();
    cpu.read_page();
    cpu.trap(|_, traps| *traps += 1);
    cpu.read_page();
    cpu.idle();
}

/// Does nothing but enter the kernel.
fn enters(cpu: &mut Processor<u64>) {
    cpu.trap(|_, traps| *traps += 1);
    cpu.idle();
}

/// Wants the registers that are in the other processor.
fn fetches(cpu: &mut Processor<u64>) {
    cpu.trap(|cpu, traps| {
        *traps += 1;
        cpu.delegate(1, STORE);
        cpu.shared.area.read(|area| assert_eq!(*area, REGISTERS));
    });
    cpu.end();
}

/// Gives the other one a duty, which does the same.
fn delegates(cpu: &mut Processor<u64>) {
    cpu.trap(|cpu, traps| {
        *traps += 1;
        cpu.delegate(1 - cpu.number, FORGET);
        if *traps == 2 {
            cpu.end();
        }
    });
    cpu.idle();
    assert!(!cpu.translates, "it was told to forget");
}

/// Does something that wants more stack than loom's threads have.
fn with_room<R: Send>(act: impl FnOnce() -> R + Send) -> R {
    std::thread::scope(|scope| scope.spawn(act).join().unwrap())
}

/// A world of two processors, where root is about to stop a thread that runs on the other one.
fn before_a_stop() -> World {
    let mut world = World::with_processors(2);
    world.leave_unchecked();
    let process = world.spawn();
    world.place(process.handle, 1);
    assert_eq!(world.kernel.current_at(1), Some(process.thread));
    let notification = world.notification();
    world.give(&process, 20, notification, Rights::ALL);
    world.late = true;
    let root = world.root.thread;
    world.prepare_syscall(root, Control::new(Operation::ThreadStop, process.handle), Label::default(), &[], 0);
    world
}

/// Comes again to its system call until the thread stands.
fn stops(cpu: &mut Processor<Box<World>>) {
    let comes_again = |world: &mut World| {
        world.play_on(0);
        let root = world.root.thread;
        world.execute_syscall(root)
    };
    while cpu.trap(|_, world| with_room(|| comes_again(world))) {
        cpu.shared.interrupt.store(1, Ordering::Release);
        thread::yield_now();
    }
    let did = cpu.trap(|_, world| {
        assert_eq!(world.kernel.current_at(1), None);
        let root = world.root.thread;
        with_room(|| world.outcome(root).unwrap()[0])
    });
    assert!(matches!(did, 1 | 3), "it ran, or had begun to wait: {did}");
    cpu.end();
}

/// Its thread begins to wait for a notification, if it is not stopped before; then the processor is only interrupted.
fn is_stopped(cpu: &mut Processor<Box<World>>) {
    let begins = |world: &mut World| {
        world.play_on(1);
        if let Some(thread) = world.kernel.current_at(1) {
            world.begin(thread, 20, Operation::Wait, &[]);
        }
    };
    cpu.trap(|_, world| with_room(|| begins(world)));
    let is_interrupted = |world: &mut World| {
        world.play_on(1);
        world.deliver_ipis();
    };
    while cpu.shared.over.load(Ordering::Acquire) == 0 {
        if cpu.shared.interrupt.load(Ordering::Acquire) == 1 {
            cpu.shared.interrupt.store(0, Ordering::Relaxed);
            cpu.trap(|_, world| with_room(|| is_interrupted(world)));
        }
        thread::yield_now();
    }
}

/// Whether a bug is found.
fn finds(bug: Bug, roles: &'static [fn(&mut Processor<u64>)]) -> bool {
    catch_unwind(AssertUnwindSafe(|| explore("a seeded bug", bug, 3, || 0, roles))).is_err()
}

const SHOOT_DOWN: &[fn(&mut Processor<u64>)] = &[shoots_down, reads];
const FETCH: &[fn(&mut Processor<u64>)] = &[fetches, reads];

#[test]
fn nobody_reads_a_page_after_it_was_taken_for_something_else() {
    explore("shoot-down", Bug::None, 4, || 0, SHOOT_DOWN);
    explore("shoot-down", Bug::None, 0, || 0, &[shoots_down, enters, enters]);
}

#[test]
fn registers_that_another_processor_stores_are_there_when_it_says_so() {
    explore("registers", Bug::None, 4, || 0, FETCH);
}

#[test]
fn two_that_want_something_of_each_other_both_get_it() {
    explore("both", Bug::None, 3, || 0, &[delegates, delegates]);
}

#[test]
fn thread_on_another_processor_is_stopped_whatever_it_begins() {
    let world = before_a_stop();
    explore("stop", Bug::None, 0, move || with_room(|| Box::new(world.clone())), &[stops, is_stopped]);
}

#[test]
fn seeded_bugs_are_found() {
    for (bug, roles) in [
        (Bug::StoresOrderNothing, FETCH),
        (Bug::LoadsOrderNothing, FETCH),
        (Bug::TakesOrderNothing, SHOOT_DOWN),
        (Bug::WaitsIdly, SHOOT_DOWN),
        (Bug::DoneBefore, FETCH),
        (Bug::Impatient, SHOOT_DOWN),
    ] {
        assert!(finds(bug, roles), "{bug:?}");
    }
}
