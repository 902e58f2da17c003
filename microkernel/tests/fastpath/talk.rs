//! Steps that mostly call and answer, or signal and wait, among steps that do anything.

use abi::{Control, Label, ObjectKind, Operation, ThreadSetting};
use microkernel::fake::World;
use microkernel::page::Ref;
use microkernel::thread::Thread;

use crate::dice::Dice;
use crate::play::{self, Tally};

/// Steps out of a hundred that do anything.
const OTHER: u64 = 8;

/// Steps of a hundred talking ones that are about notifications.
const NOTIFY: u64 = 25;
/// The notifications that all processes hold.
const FIRST_NOTIFICATION: u32 = 13;
/// Endpoints that all processes hold, in slots 10 to 12: who serves which is settled by the place of a thread in this list.
const FIRST_ENDPOINT: u32 = 10;
const SERVES: [Option<u32>; 6] = [Some(0), Some(1), None, Some(0), Some(1), None];
const PROCESSES: usize = 3;
const PRIORITIES: [u64; 8] = [9, 10, 8, 9, 10, 8, 7, 7];

/// Two services of two threads each, two clients of both, two Linux programs of the first; and root, asleep.
pub(crate) struct Opening {
    pub(crate) world: World,
    natives: Vec<Ref<Thread>>,
}

impl Opening {
    pub(crate) fn new() -> Self {
        let mut world = play::opening();
        let held = world.handles(world.root.thread);
        let threads: Vec<(u32, Ref<Thread>)> =
            held.iter().filter(|(_, slot)| slot.kind() == ObjectKind::Thread).map(|(handle, slot)| (*handle, slot.reference())).collect();
        for ((handle, thread), (priority, slot)) in threads.iter().zip(PRIORITIES.into_iter().zip(20..)) {
            if !world.thread(*thread).is_reflected() {
                world.run(*thread, 0, Operation::SetReplySlot, &[slot]).unwrap();
            }
            world.configure(*handle, ThreadSetting::Priority, priority);
        }
        // Two threads of each process, process by process.
        let tables = held.iter().filter(|(_, slot)| slot.kind() == ObjectKind::CapTable).map(|(handle, _)| *handle).take(PROCESSES);
        for (table, (thread, _)) in tables.cycle().zip(threads.iter().take(SERVES.len())) {
            give_vault(&mut world, *thread, table);
        }
        let root = world.root.thread;
        world.begin(root, play::WAKE, Operation::Wait, &[]);
        let natives = threads.into_iter().map(|(_, thread)| thread).take(SERVES.len()).collect();
        Self { world, natives }
    }

    /// One step. Everything that it does follows from the seed and the world.
    pub(crate) fn step(&self, world: &mut World, seed: u64, tally: &mut Tally) {
        let mut dice = Dice::new(seed);
        let Some(current) = world.kernel.current().filter(|_| !dice.chance(OTHER)) else {
            return play::step(world, dice.next(), tally);
        };
        world.kernel.machine.time += dice.below(100);
        if world.is_preempted(current) {
            world.execute_syscall(current);
            return;
        }
        if current == world.root.thread && dice.chance(40) {
            world.prepare_syscall(current, Control::new(Operation::Wait, play::WAKE), Label::default(), &[], 0);
            world.execute_syscall(current);
            return;
        }
        if world.thread(current).is_reflected() {
            let arguments = [0; 6].map(|_| dice.next());
            return world.linux_call(current, dice.below(400), arguments, 0x40_0000);
        }
        let Some(place) = self.natives.iter().position(|thread| *thread == current) else {
            return play::step(world, dice.next(), tally);
        };
        if dice.chance(NOTIFY) {
            return notify(world, current, &mut dice, tally);
        }
        let (operation, endpoint) = choose(&mut dice, SERVES[place]);
        let length = dice.pick(&[0, 1, 8, 32, 64, 64, 64, 65, 100]);
        let kind = if dice.chance(90) { 0 } else { dice.below(4) as u8 };
        let label = Label::new(length).with_kind(kind).with_leases(usize::from(dice.chance(5)));
        let (words, number) = ([0; 8].map(|_| dice.next()), dice.next());
        if tally.show {
            println!("{current:?} {operation:?} on endpoint {endpoint} label {:#x}", label.0);
        }
        world.prepare_syscall(current, Control::new(operation, FIRST_ENDPOINT + endpoint), label, &words, number);
        world.execute_syscall(current);
    }
}

/// A thread's own table becomes its vault too.
fn give_vault(world: &mut World, handle: u32, table: u32) {
    let was = world.must(handle, Operation::ThreadStop, &[]);
    world.configure(handle, ThreadSetting::Vault, u64::from(table));
    if was != 0 {
        world.must(handle, Operation::ThreadStart, &[]);
    }
}

/// Signals, waits, polls or yields. A notification that has no right, and a handle that names none, are met too.
fn notify(world: &mut World, current: Ref<Thread>, dice: &mut Dice, tally: &Tally) {
    let operation = dice.pick(&[Operation::Signal, Operation::Signal, Operation::Wait, Operation::Wait, Operation::Poll, Operation::Yield]);
    let handle = if dice.chance(95) { FIRST_NOTIFICATION + dice.below(3) as u32 } else { dice.below(40) as u32 };
    let handle = handle | if dice.chance(50) { abi::VAULT } else { 0 };
    let words = [dice.pick(&[0, 1, 2, 0xff00]), dice.next(), dice.next(), dice.next(), dice.next(), dice.next(), dice.next(), dice.next()];
    if tally.show {
        println!("{current:?} {operation:?} on {handle:#x} bits {:#x}", words[0]);
    }
    world.prepare_syscall(current, Control::new(operation, handle), Label::default(), &words, dice.next());
    world.execute_syscall(current);
}

/// What a thread does: who serves mostly answers and waits, and calls who is below it; the others call.
fn choose(dice: &mut Dice, serves: Option<u32>) -> (Operation, u32) {
    match serves {
        Some(0) if dice.chance(25) => (Operation::Call, 1),
        Some(endpoint) if dice.chance(95) => (Operation::ReplyReceive, endpoint),
        Some(endpoint) => (Operation::Receive, endpoint),
        None => (Operation::Call, dice.below(2) as u32),
    }
}
