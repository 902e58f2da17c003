//! The opening position and one step from any position.

use std::collections::BTreeMap;

use abi::{Control, Error, Label, Lease, MapFlags, ObjectKind, Operation, RequestNumber, Rights, ThreadSetting};
use microkernel::capability::Slot;
use microkernel::fake::{Linux, Message, Process, World};
use microkernel::page::Ref;
use microkernel::thread::{DEFAULT_SLICE, State, Thread};

use crate::arguments::{Argument, GARBAGE, address, invent, shape};
use crate::dice::Dice;

/// Memory of the machine: small, so that limits are met.
const PAGES: u32 = 512;

/// The same with several pages of 2 MiB in it.
const ROOMY_PAGES: u32 = 2560;
/// Where one is mapped: where addresses are made up, too.
const HUGE_AT: u64 = 0x4000_0000;
/// A slot that the opening leaves free.
const SPARE: u64 = 62;

/// What the programs did, to see that they do enough.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) programs: u32,
    pub(crate) steps: u32,
    pub(crate) idle: u32,
    /// System calls that an interrupt sent back to their instruction.
    pub(crate) preempted: u32,
    /// Successes and failures of each operation.
    pub(crate) operations: BTreeMap<String, (u32, u32)>,
    pub(crate) show: bool,
    /// Whether each operation that fails is compared with doing nothing.
    pub(crate) compares_failures: bool,
}

impl Tally {
    /// Whether every operation worked at least once and few steps were lost to an idle machine.
    pub(crate) fn is_varied(&self) -> bool {
        let worked = self.operations.values().filter(|(good, _)| *good > 0).count();
        self.idle < self.steps / 2 && (self.steps < 20_000 || worked >= Operation::SLOW.len() + 2 && self.preempted > 0)
    }

    fn count(&mut self, operation: Operation, good: bool) {
        let entry = self.operations.entry(format!("{operation:?}")).or_default();
        if good { entry.0 += 1 } else { entry.1 += 1 }
    }
}

/// The same on several processors, over which all threads but root are spread; each third one follows its callers.
pub(crate) fn spread_opening(processors: usize) -> World {
    let mut world = opening();
    if processors > 1 {
        world.use_processors(processors);
    }
    let threads = world.handles(world.root.thread).into_iter().filter(|(_, slot)| slot.kind() == ObjectKind::Thread);
    for (index, (handle, _)) in threads.enumerate() {
        world.place(handle, (index % processors) as u64);
        if index % 3 == 2 {
            world.place(handle, abi::ANY_PROCESSOR);
        }
    }
    world
}

/// Three processes with two threads each that hold each other's objects, two Linux programs, a region, and root, who always comes back.
pub(crate) fn opening() -> World {
    opening_with(PAGES).0
}

/// The same where there is room for pages of 2 MiB: one is mapped in the region, and the first process has memory for another.
#[allow(dead_code, reason = "only the fuzzer plays it: most programs would meet no limit")]
pub(crate) fn roomy_opening() -> World {
    let (mut world, first, region) = opening_with(ROOMY_PAGES);
    let [mapped, free] = [0; 2].map(|_| u64::from(world.huge_pages()));
    world.must(region, Operation::Map, &[HUGE_AT, mapped, 0, 512, MapFlags::HUGE | MapFlags::READ | MapFlags::WRITE]);
    world.must(first.table, Operation::Copy, &[SPARE, free, 0, 0, 2, 0]);
    world
}

/// The opening in a machine with so many pages, its first process, and the region.
fn opening_with(pages: u32) -> (World, Process, u32) {
    let mut world = World::with_pages(pages);
    let endpoints = [0; 3].map(|_| world.endpoint());
    let notifications = [0; 3].map(|_| world.notification());
    let processes = [0; 3].map(|_| world.spawn());
    let helpers = processes.map(|process| world.spawn_thread(&process));
    let lane = RequestNumber::new(7, 1, 0, 0).0;
    let linux = Linux { personality: endpoints[0], pager: endpoints[1], faults: endpoints[2], badge: 9, lane };
    let programs = [0; 2].map(|_| world.spawn_linux(&linux));
    let vault = world.make(ObjectKind::CapTable, 1).handle;
    let region = world.space();
    let all: Vec<Process> = processes.into_iter().chain(helpers).chain(programs).collect();
    for (index, process) in processes.iter().enumerate() {
        equip(&mut world, process, index as u32, &endpoints, &notifications);
        let objects = all.iter().flat_map(|other| [other.space, other.handle, other.table]).chain([region, vault]);
        for (handle, slot) in objects.filter(|handle| *handle != 0).zip(30..) {
            world.give(process, slot, handle, Rights::ALL);
        }
    }
    // One of the programs has no tables yet.
    for process in processes.iter().chain(programs.first()) {
        world.map(process, 0x10_0000, 3, MapFlags::WRITE);
    }
    // Root keeps its own thread, space and table out of everybody's reach, its own included.
    for slot in [abi::boot_slot::THREAD, abi::boot_slot::SPACE, abi::boot_slot::TABLE] {
        world.must(0, Operation::Delete, &[u64::from(slot)]);
    }
    world.must(abi::boot_slot::IRQS, Operation::IrqBind, &[0, u64::from(notifications[0]), 1]);
    world.must(0, Operation::Copy, &[u64::from(WAKE), u64::from(notifications[0]), 0xff, 0, 0, 0]);
    (world, processes[0], region)
}

/// Root's handle of the notification that line 0 signals.
pub(crate) const WAKE: u32 = 4;

/// Endpoints and notifications with all rights in slots 10 to 15, memory in 16, lines and ports in 17 and 18.
fn equip(world: &mut World, process: &Process, index: u32, endpoints: &[u32], notifications: &[u32]) {
    for (handle, slot) in endpoints.iter().chain(notifications).zip(10..) {
        // Badged endpoints stay badged.
        world.give_badged(process, slot, *handle, Rights::ALL, u64::from(index + 1) * u64::from(slot % 2));
    }
    let memory = u64::from(world.pages(20));
    world.must(process.table, Operation::Copy, &[16, memory, 0, 0, 2, 0]);
    world.give(process, 17, abi::boot_slot::IRQS, Rights::ALL);
    world.must(abi::boot_slot::PORTS, Operation::Derive, &[0x3f8, 8, 0xff, 18, u64::from(process.table)]);
    if index == 0 {
        world.give(process, 19, abi::boot_slot::PORTS, Rights::ALL);
    }
    world.run(process.thread, 0, Operation::SetReplySlot, &[20 + u64::from(index)]).unwrap();
}

/// One step. Everything that it does follows from the seed and the world.
pub(crate) fn step(world: &mut World, seed: u64, tally: &mut Tally) {
    step_with(world, seed, tally, true);
}

/// The same, where interrupts by other processors may be late or not.
pub(crate) fn step_with(world: &mut World, seed: u64, tally: &mut Tally, may_be_late: bool) {
    let mut dice = Dice::new(seed);
    tally.steps += 1;
    world.kernel.machine.time += dice.below(100);
    world.kernel.machine.meter.interrupt_at = dice.pick(&[0, 0, 1, 1, 2, 5]);
    let Some(current) = next_to_play(world, &mut dice, may_be_late) else {
        return wake(world, tally);
    };
    match dice.below(100) {
        0..3 => {
            let ticks = dice.pick(&[10, 1000, DEFAULT_SLICE]);
            show(tally, || format!("{ticks} ticks pass"));
            world.advance(ticks);
        }
        3..5 => {
            let line = dice.below(6) as u32;
            show(tally, || format!("line {line}"));
            world.raise(line);
        }
        5..9 => fault(world, current, &mut dice, tally),
        9..12 if current != world.root.thread => {
            let (at, write) = (address(&mut dice), dice.chance(50));
            show(tally, || format!("{current:?} touches {at:#x}, to write: {write}"));
            world.touch(current, at, write);
        }
        12..90 if world.is_preempted(current) => {
            show(tally, || format!("{current:?} goes on"));
            execute(world, current, tally);
        }
        _ if world.thread(current).is_reflected() => {
            let arguments = [0; 6].map(|_| dice.pick(&GARBAGE));
            show(tally, || format!("{current:?} linux call {arguments:x?}"));
            world.linux_call(current, dice.below(400), arguments, 0x40_0000);
        }
        12..15 => garbage_call(world, current, &mut dice, tally),
        _ => plausible_call(world, current, &mut dice, tally),
    }
}

/// Goes to a processor on which somebody runs. Interrupts by other processors come there now, or later if they may.
pub(crate) fn next_to_play(world: &mut World, dice: &mut Dice, may_be_late: bool) -> Option<Ref<Thread>> {
    let processors = world.kernel.processors();
    if processors == 1 {
        return world.kernel.current();
    }
    world.late = may_be_late && dice.chance(60);
    if !world.late {
        world.deliver_ipis();
    }
    let first = dice.below(processors as u64) as usize;
    let busy = (first..first + processors).map(|index| index % processors).find(|index| world.kernel.current_at(*index).is_some());
    world.play_on(busy.unwrap_or(0));
    world.kernel.current()
}

fn show(tally: &Tally, text: impl FnOnce() -> String) {
    if tally.show {
        println!("{}", text());
    }
}

/// Nobody runs: time passes, or root is woken.
fn wake(world: &mut World, tally: &mut Tally) {
    tally.idle += 1;
    show(tally, || "idle".into());
    world.advance(1 << 31);
    if world.kernel.current().is_none() {
        world.kernel.machine.lines[0] = true;
        world.raise(0);
    }
}

fn fault(world: &mut World, current: Ref<Thread>, dice: &mut Dice, tally: &Tally) {
    if current == world.root.thread {
        return;
    }
    let (vector, code) = (dice.pick(&[14, 14, 14, 7, 6, 13]), dice.below(32) | 4);
    let at = if dice.chance(80) { address(dice) } else { dice.pick(&GARBAGE) };
    show(tally, || format!("{current:?} exception {vector} code {code:#x} at {at:#x}"));
    world.exception(current, vector, code, at);
}

fn garbage_call(world: &mut World, current: Ref<Thread>, dice: &mut Dice, tally: &mut Tally) {
    let (control, label) = (Control(dice.next() as u32), Label(dice.next() as u32));
    let words = [0; 8].map(|_| if dice.chance(50) { dice.pick(&GARBAGE) } else { dice.next() });
    let may_block = control.operation().is_some_and(blocks);
    if current == world.root.thread && may_block {
        return;
    }
    show(tally, || format!("{current:?} garbage {control:x?} {label:x?} {words:x?}"));
    world.prepare_syscall(current, control, label, &words, dice.next());
    execute(world, current, tally);
}

/// Executes `syscall` once. A thread that is sent back to it may stay there for long, and meet another state then.
fn execute(world: &mut World, current: Ref<Thread>, tally: &mut Tally) -> bool {
    let preempted = world.execute_syscall(current);
    tally.preempted += u32::from(preempted);
    show(tally, || format!("    {}", if preempted { "preempted" } else { "done" }));
    preempted
}

fn blocks(operation: Operation) -> bool {
    matches!(operation, Operation::Call | Operation::Receive | Operation::ReplyReceive | Operation::Wait)
}

fn plausible_call(world: &mut World, current: Ref<Thread>, dice: &mut Dice, tally: &mut Tally) {
    let held = world.handles(current);
    let (operation, handle, mut words) = choose(world, current, dice, &held);
    if matches!(operation, Operation::Reply | Operation::ReplyReceive) && dice.chance(80) {
        // As the answer to a Linux program must be.
        words = abi::result_words(dice.next()).to_vec();
    }
    let message = prepare(world, current, dice, &held, &words);
    let label = if blocks(operation) || operation == Operation::Reply { message.label } else { Label::default() };
    show(tally, || format!("{current:?} {operation:?} on {handle:#x} {words:x?} label {:#x}", label.0));
    world.prepare_syscall(current, Control::new(operation, handle), label, &words, message.number);
    let before = tally.compares_failures.then(|| world.clone());
    if execute(world, current, tally) {
        return;
    }
    let good = world.state(current) != State::Runnable || world.thread(current).frame.rax as u32 == 0;
    tally.count(operation, good);
    if let Some(before) = before.filter(|_| !good) {
        check_unchanged(world, &before, current, operation);
    }
}

/// What an operation changed that failed: nothing, but for two whose failure is the answer of somebody else. A call that was refused was made and counted; and a
/// Reply to nobody goes.
fn check_unchanged(world: &mut World, before: &World, current: Ref<Thread>, operation: Operation) {
    let status = Error::check(world.thread(current).frame.rax as u32);
    if matches!((operation, status), (Operation::Call, Err(Error::Closed)) | (Operation::Reply, Err(Error::ReplyGone))) {
        return;
    }
    if let Err(difference) = world.compare_failure(before, current) {
        panic!("{operation:?} failed ({status:?}) and changed something: {difference}");
    }
}

/// An operation that fits the state: who holds a Reply mostly answers.
fn choose_operation(dice: &mut Dice, held: &[(u32, Slot)]) -> Operation {
    const ANSWER: [Operation; 5] = [Operation::Reply, Operation::ReplyReceive, Operation::ReplyReceive, Operation::LeaseRead, Operation::LeaseWrite];
    const TALK: [Operation; 7] =
        [Operation::Call, Operation::Call, Operation::Call, Operation::ReplyReceive, Operation::Receive, Operation::Receive, Operation::Signal];
    let holds_reply = held.iter().any(|(_, slot)| slot.kind() == ObjectKind::Reply);
    if holds_reply && dice.chance(50) {
        dice.pick(&ANSWER)
    } else if dice.chance(20) {
        dice.pick(&TALK)
    } else {
        dice.pick(&Operation::SLOW)
    }
}

/// Root brings a thread that does not run back to life, or waits.
fn revive(world: &mut World, dice: &mut Dice, held: &[(u32, Slot)]) -> (Operation, u32, Vec<u64>) {
    let threads: Vec<(u32, Ref<Thread>)> =
        held.iter().filter(|(_, slot)| slot.kind() == ObjectKind::Thread).map(|(handle, slot)| (*handle, slot.reference())).collect();
    if threads.is_empty() || dice.chance(12) {
        return (Operation::Wait, WAKE, Vec::new());
    }
    let (handle, thread) = dice.pick(&threads);
    let operation = match if world.is_thread(thread) { world.state(thread) } else { State::Stopped } {
        State::Stopped => Operation::ThreadStart,
        State::Runnable => return (Operation::Yield, 0, Vec::new()),
        State::Receiving | State::Waiting => Operation::ThreadKick,
        State::Calling | State::AwaitingReply if dice.chance(40) => dice.pick(&[Operation::ThreadStop, Operation::ThreadKick]),
        State::Calling => return (Operation::SetState, invent(Argument::Handle(ObjectKind::Endpoint), dice, held) as u32, vec![0, 0]),
        State::AwaitingReply => return (Operation::Kill, invent(Argument::Handle(ObjectKind::CapTable), dice, held) as u32, Vec::new()),
    };
    (operation, handle, Vec::new())
}

fn choose(world: &mut World, current: Ref<Thread>, dice: &mut Dice, held: &[(u32, Slot)]) -> (Operation, u32, Vec<u64>) {
    let root = current == world.root.thread;
    if root && dice.chance(75) {
        return revive(world, dice, held);
    }
    let mut operation = choose_operation(dice, held);
    let (invoked, arguments) = shape(operation);
    let mut handle = invent(invoked, dice, held) as u32;
    if root && blocks(operation) {
        (operation, handle) = (Operation::Wait, WAKE);
    }
    let mut words: Vec<u64> = arguments.iter().map(|argument| invent(*argument, dice, held)).collect();
    match operation {
        Operation::ThreadConfigure => words[1] = setting_value(words[0], dice, held),
        Operation::SetState if dice.chance(70) => words[0] = 0,
        Operation::Wait => words.clear(),
        Operation::Retype if dice.chance(40) => (words[1], words[2]) = (ObjectKind::CapTable as u64, 2 + dice.below(3)),
        _ => {}
    }
    (operation, handle, words)
}

/// A value for a setting of a thread.
fn setting_value(setting: u64, dice: &mut Dice, held: &[(u32, Slot)]) -> u64 {
    use Argument::{Any, Below, Handle, Word};
    let argument = match ThreadSetting::from_word(setting) {
        Some(ThreadSetting::Space) => Handle(ObjectKind::AddressSpace),
        Some(ThreadSetting::Table | ThreadSetting::Vault) => Handle(ObjectKind::CapTable),
        Some(ThreadSetting::FaultEndpoint | ThreadSetting::Personality) => Handle(ObjectKind::Endpoint),
        Some(ThreadSetting::MessagePage) => Handle(ObjectKind::Memory),
        Some(ThreadSetting::Priority) if dice.chance(90) => return 9 + dice.below(3),
        Some(ThreadSetting::Flags) => Below(4),
        Some(ThreadSetting::Processor) if dice.chance(30) => return abi::ANY_PROCESSOR,
        Some(ThreadSetting::Processor) => Below(4),
        Some(ThreadSetting::Priority) => Below(40),
        Some(_) => Word,
        None => Any,
    };
    invent(argument, dice, held)
}

/// Fills the message page with what could be sent, and says how.
fn prepare(world: &mut World, current: Ref<Thread>, dice: &mut Dice, held: &[(u32, Slot)], words: &[u64]) -> Message {
    let mut message = Message { words: words.to_vec(), number: dice.next(), ..Message::default() };
    let length = if dice.chance(5) { dice.pick(&[3585, 4095]) } else { dice.pick(&[0, 8, 16, 64, 65, 500, 3584]) };
    message.label = Label::new(length).with_kind(dice.below(4) as u8);
    if dice.chance(30) || !world.has_message_page(current) {
        return message;
    }
    if dice.chance(10) {
        let at = dice.below(510) as usize * 8;
        world.message_page(current)[at..at + 16].copy_from_slice(&[dice.next().to_le_bytes(), dice.next().to_le_bytes()].concat());
    }
    let any = |dice: &mut Dice| invent(Argument::Any, dice, held) as u32;
    message.caps = (0..dice.below(5)).map(|_| any(dice)).collect();
    message.leases = (0..dice.below(4))
        .map(|_| {
            let reply = if dice.chance(70) { 0 } else { 20 + dice.below(6) as u32 };
            let start = if reply == 0 { address(dice) } else { dice.below(64) };
            let (length, rights) = (dice.pick(&[0, 16, 4096, 4096, 9000, u64::MAX]), dice.pick(&[0, 1, 2, 3, 3, 3]));
            Lease { address: start, length, reply, index: dice.below(2) as u32, rights }
        })
        .collect();
    let slots = [0; 4].map(|_| dice.below(64) as u32);
    world.accept_caps(current, &slots);
    message.label = world.prepare(current, &message);
    message
}
