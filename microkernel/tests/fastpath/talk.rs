//! Steps that mostly call and answer, or signal and wait, among steps that do anything.

use core::mem::offset_of;

use abi::{Control, Frame, Label, ObjectKind, Operation, Rights, ThreadSetting};
use microkernel::fake::World;
use microkernel::fault::PAGE_FAULT;
use microkernel::page::Ref;
use microkernel::thread::Thread;

use crate::dice::Dice;
use crate::play::{self, Tally};

/// Steps out of a hundred that do anything.
const OTHER: u64 = 8;

/// Steps of a hundred talking ones that name a reply slot, which may be the other thread's.
const OTHER_SLOT: u64 = 3;
const FIRST_REPLY_SLOT: u64 = 20;
/// Messages of a hundred whose second word is what it is in an answer to a Linux program.
const SOUND: u64 = 90;
/// Steps of a hundred talking ones that set the registers of a Linux program.
const SET_FRAME: u64 = 4;
/// Steps of a hundred talking ones in which a server dies.
const KILL: u64 = 4;
/// Steps of a hundred talking ones that are about notifications.
const NOTIFY: u64 = 25;
/// Steps of a hundred talking ones that are page faults, of a Linux program and of others.
const LINUX_FAULT: u64 = 40;
const FAULT: u64 = 5;
/// The notifications that all processes hold.
const FIRST_NOTIFICATION: u32 = 13;
/// One of them with the right to signal alone, and to wait alone.
const NARROW: [u32; 2] = [80, 81];
/// Endpoints that all processes hold, in slots 10 to 12: who serves which is settled by the place of a thread in this list.
const FIRST_ENDPOINT: u32 = 10;
/// Two more, as far behind: one that is dead, and what its page became.
const DEAD: u32 = 60;
const REMADE: u32 = 61;
const SERVES: [Option<u32>; 6] = [Some(0), Some(1), None, Some(0), Some(1), None];
const PROCESSES: usize = 3;
/// So many attempts of a request are too many.
const ATTEMPTS: u64 = 4;
/// Base of FS of one of the Linux programs.
const BASE: u64 = 0x7000_1000;
const PRIORITIES: [u64; 8] = [9, 10, 8, 9, 10, 8, 7, 7];

/// Two services of two threads each, two clients of both, two Linux programs of the first; and root, asleep.
pub(crate) struct Opening {
    pub(crate) world: World,
    natives: Vec<Ref<Thread>>,
}

impl Opening {
    /// With more than one processor, the threads are spread over them: some services have a thread on each, others not.
    pub(crate) fn new(processors: usize) -> Self {
        let mut world = play::spread_opening(processors);
        let held = world.handles(world.root.thread);
        let threads: Vec<(u32, Ref<Thread>)> =
            held.iter().filter(|(_, slot)| slot.kind() == ObjectKind::Thread).map(|(handle, slot)| (*handle, slot.reference())).collect();
        for ((handle, thread), (priority, slot)) in threads.iter().zip(PRIORITIES.into_iter().zip(FIRST_REPLY_SLOT..)) {
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
        let tables: Vec<u32> = held.iter().filter(|(_, slot)| slot.kind() == ObjectKind::CapTable).map(|(handle, _)| *handle).collect();
        remake_endpoint(&mut world, tables.get(..PROCESSES).unwrap());
        let (notification, _) = held.iter().find(|(_, slot)| slot.kind() == ObjectKind::Notification).unwrap();
        for (slot, rights) in NARROW.into_iter().zip([Rights::SIGNAL, Rights::WAIT]) {
            for table in tables.iter().take(PROCESSES) {
                world.must(*table, Operation::Copy, &[u64::from(slot), u64::from(*notification), u64::from(rights), 0, 0, 0]);
            }
        }
        // Faults of the last process go where those of the Linux programs go.
        let pager = held.iter().filter(|(_, slot)| slot.kind() == ObjectKind::Endpoint).map(|(handle, _)| *handle).nth(1).unwrap();
        let spaces: Vec<u32> = held.iter().filter(|(_, slot)| slot.kind() == ObjectKind::AddressSpace).map(|(handle, _)| *handle).collect();
        world.must(spaces[PROCESSES - 1], Operation::SetPager, &[u64::from(pager)]);
        let program = threads.iter().find(|(_, thread)| world.thread(*thread).is_reflected()).unwrap().0;
        give_base(&mut world, program);
        let root = world.root.thread;
        world.begin(root, play::WAKE, Operation::Wait, &[]);
        let natives = threads.into_iter().map(|(_, thread)| thread).take(SERVES.len()).collect();
        Self { world, natives }
    }

    /// One step. Everything that it does follows from the seed and the world.
    pub(crate) fn step(&self, world: &mut World, seed: u64, tally: &mut Tally) {
        let mut dice = Dice::new(seed);
        let Some(current) = play::next_to_play(world, &mut dice, false).filter(|_| !dice.chance(OTHER)) else {
            return play::step_with(world, dice.next(), tally, false);
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
        let faults = if world.thread(current).is_reflected() { LINUX_FAULT } else { FAULT };
        if current != world.root.thread && dice.chance(faults) {
            let (code, wild) = (dice.below(32) | 4, dice.next());
            let address = dice.pick(&[0, 0x1000, 0x10_0123, wild]);
            if tally.show {
                println!("{current:?} page fault code {code:#x} at {address:#x}");
            }
            return world.exception(current, PAGE_FAULT, code, address);
        }
        if world.thread(current).is_reflected() {
            let arguments = [0; 6].map(|_| dice.next());
            return world.linux_call(current, dice.below(400), arguments, 0x40_0000);
        }
        let Some(place) = self.natives.iter().position(|thread| *thread == current) else {
            return play::step_with(world, dice.next(), tally, false);
        };
        if dice.chance(SET_FRAME) {
            return set_frame(world, current, &mut dice);
        }
        if dice.chance(KILL) {
            return kill(world, current, &mut dice);
        }
        if dice.chance(OTHER_SLOT) {
            let slot = FIRST_REPLY_SLOT + dice.below(SERVES.len() as u64);
            world.prepare_syscall(current, Control::new(Operation::SetReplySlot, 0), Label::default(), &[slot], 0);
            world.execute_syscall(current);
            return;
        }
        if dice.chance(NOTIFY) {
            return notify(world, current, &mut dice, tally);
        }
        let (operation, endpoint) = choose(&mut dice, SERVES[place]);
        let length = dice.pick(&[0, 1, 8, 32, 64, 64, 64, 65, 100]);
        let kind = if dice.chance(90) { 0 } else { dice.below(4) as u8 };
        let label = Label::new(length).with_kind(kind).with_leases(usize::from(dice.chance(5)));
        let (mut words, number) = ([0; 8].map(|_| dice.next()), dice.next());
        if dice.chance(SOUND) {
            words[1] = !words[0];
        }
        if tally.show {
            println!("{current:?} {operation:?} on endpoint {endpoint} label {:#x}", label.0);
        }
        world.prepare_syscall(current, Control::new(operation, FIRST_ENDPOINT + endpoint), label, &words, number);
        world.execute_syscall(current);
    }
}

/// An endpoint that all processes hold dies, and its page becomes an endpoint again: the old capability stays dead.
fn remake_endpoint(world: &mut World, tables: &[u32]) {
    let made = world.make(ObjectKind::Endpoint, 1);
    let give = |world: &mut World, index: u32, handle: u32| {
        for table in tables {
            world.must(*table, Operation::Copy, &[u64::from(FIRST_ENDPOINT + index), u64::from(handle), 0xff, 0, 0, 0]);
        }
    };
    give(world, DEAD, made.handle);
    world.must(made.memory, Operation::Reclaim, &[0, 1]);
    let again = world.free_slot();
    world.must(made.memory, Operation::Retype, &[0, ObjectKind::Endpoint as u64, 1, u64::from(again), 0]);
    give(world, REMADE, again);
}

/// A thread's own table becomes its vault too.
fn give_vault(world: &mut World, handle: u32, table: u32) {
    let was = world.must(handle, Operation::ThreadStop, &[]);
    world.configure(handle, ThreadSetting::Vault, u64::from(table));
    if was != 0 {
        world.must(handle, Operation::ThreadStart, &[]);
    }
}

/// A Linux program has thread-local data.
fn give_base(world: &mut World, handle: u32) {
    let root = world.root.thread;
    world.must(handle, Operation::ThreadStop, &[]);
    for (offset, value) in [(offset_of!(Frame, rip), 0x40_0000_u64), (offset_of!(Frame, fs_base), BASE)] {
        world.message_page(root)[offset..offset + 8].copy_from_slice(&value.to_le_bytes());
    }
    world.must(handle, Operation::SetFrame, &[]);
    world.must(handle, Operation::ThreadStart, &[]);
}

/// Signals, waits, polls or yields. A notification that has no right, and a handle that names none, are met too, and labels, which mean nothing there.
fn notify(world: &mut World, current: Ref<Thread>, dice: &mut Dice, tally: &Tally) {
    let operation = dice.pick(&[Operation::Signal, Operation::Signal, Operation::Wait, Operation::Wait, Operation::Poll, Operation::Yield]);
    let handle = match dice.below(20) {
        0 => dice.below(40) as u32,
        1 => dice.pick(&NARROW),
        _ => FIRST_NOTIFICATION + dice.below(3) as u32,
    };
    let handle = handle | if dice.chance(50) { abi::VAULT } else { 0 };
    let words = [dice.pick(&[0, 1, 2, 0xff00]), dice.next(), dice.next(), dice.next(), dice.next(), dice.next(), dice.next(), dice.next()];
    if tally.show {
        println!("{current:?} {operation:?} on {handle:#x} bits {:#x}", words[0]);
    }
    let label = Label(if dice.chance(20) { dice.next() as u32 } else { 0 });
    world.prepare_syscall(current, Control::new(operation, handle), label, &words, dice.next());
    world.execute_syscall(current);
}

/// An instance dies, and what its threads had in hand is blamed.
fn kill(world: &mut World, current: Ref<Thread>, dice: &mut Dice) {
    let held = world.handles(current);
    let of_kind = |kind: ObjectKind| held.iter().filter(move |(_, slot)| slot.kind() == kind).map(|(handle, _)| *handle).collect::<Vec<u32>>();
    let tables = of_kind(ObjectKind::CapTable);
    if tables.is_empty() {
        return;
    }
    let blamed = of_kind(ObjectKind::Thread).into_iter().map(|handle| (Operation::Blame, handle));
    for (operation, handle) in blamed.chain([(Operation::Kill, dice.pick(&tables))]) {
        if world.kernel.current() != Some(current) {
            return;
        }
        world.prepare_syscall(current, Control::new(operation, handle), Label::default(), &[ATTEMPTS], 0);
        world.execute_syscall(current);
    }
}

/// Sets the registers of a Linux program, which may be waiting for this very thread's answer, to what lies in the message page.
fn set_frame(world: &mut World, current: Ref<Thread>, dice: &mut Dice) {
    let mut programs = Vec::new();
    for (handle, slot) in world.handles(current) {
        if slot.kind() == ObjectKind::Thread && world.thread(slot.reference()).is_reflected() {
            programs.push(handle);
        }
    }
    if !programs.is_empty() {
        world.prepare_syscall(current, Control::new(Operation::SetFrame, dice.pick(&programs)), Label::default(), &[], 0);
        world.execute_syscall(current);
    }
}

/// What a thread does: who serves mostly answers and waits, and calls who is below it; the others call.
fn choose(dice: &mut Dice, serves: Option<u32>) -> (Operation, u32) {
    match serves {
        Some(0) if dice.chance(6) => (Operation::ReplyReceive, REMADE),
        None if dice.chance(10) => (Operation::Call, dice.pick(&[DEAD, DEAD, REMADE])),
        // Against the order: to who is less important.
        Some(1) if dice.chance(8) => (Operation::Call, 0),
        Some(0) if dice.chance(25) => (Operation::Call, 1),
        Some(endpoint) if dice.chance(95) => (Operation::ReplyReceive, endpoint),
        Some(endpoint) => (Operation::Receive, endpoint),
        None => (Operation::Call, dice.below(2) as u32),
    }
}
