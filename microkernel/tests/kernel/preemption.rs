//! Preemption points: what takes long ends at the first one at which an interrupt waits, and nothing is lost or done twice.

use abi::{Control, EndpointState, Error, Label, MapFlags, ObjectKind, Operation, Rights};
use microkernel::fake::{Message, Process, World};
use microkernel::thread::State;

const BASE: u64 = 0x10_0000;

/// Root stands at a `syscall` with these registers.
fn begin<const N: usize>(world: &mut World, handle: u32, operation: Operation, words: [u64; N]) {
    world.prepare_syscall(world.root.thread, Control::new(operation, handle), Label::default(), &words, 0);
}

/// Root executes it until it is done, while `between` happens after each time. How often that was.
fn steps(world: &mut World, mut between: impl FnMut(&mut World, u32)) -> u32 {
    let root = world.root.thread;
    let mut steps = 1;
    while world.execute_syscall(root) {
        between(world, steps);
        steps += 1;
        world.switch_to(root);
    }
    steps
}

/// A server whose endpoint is held, with receivers, and callers that have a page each to say.
fn held(receivers: u32, callers: u32) -> (World, u32, Vec<Process>, Vec<Process>) {
    let mut world = World::new();
    let (server, client, endpoint) = world.pair(1);
    world.must(endpoint, Operation::SetState, &[EndpointState::Held as u64, 0]);
    let servers: Vec<Process> = (0..receivers).map(|_| world.spawn_thread(&server)).collect();
    for (index, server) in servers.iter().enumerate() {
        world.run(server.thread, 0, Operation::SetReplySlot, &[20 + index as u64]).unwrap();
        world.receive(server.thread, 10);
    }
    let clients: Vec<Process> = (0..callers).map(|_| world.spawn_thread(&client)).collect();
    for client in &clients {
        world.call(client.thread, 10, &Message { label: Label::new(abi::MAX_MESSAGE), ..Message::default() });
    }
    (world, endpoint, servers, clients)
}

#[test]
fn opening_delivers_a_page_at_a_time_and_nobody_passes_those_who_wait() {
    let (mut world, endpoint, servers, clients) = held(4, 5);
    world.kernel.machine.meter.interrupt_at = 1;
    begin(&mut world, endpoint, Operation::SetState, [EndpointState::Open as u64, 0]);
    let late = world.spawn_thread(&clients[0]);
    begin(&mut world, endpoint, Operation::SetState, [EndpointState::Open as u64, 0]);
    let steps = steps(&mut world, |world, step| {
        if step == 1 {
            world.call(late.thread, 10, &Message::words(&[1]));
            assert_eq!(world.state(late.thread), State::Calling, "a receiver waits, but so do others before this one");
        }
    });
    assert_eq!(steps, 5, "one for each message, and one that finds nothing left");
    assert!(servers.iter().all(|server| world.state(server.thread) == State::Runnable));
    let states: Vec<State> = clients.iter().map(|client| world.state(client.thread)).collect();
    assert_eq!(states, [State::AwaitingReply, State::AwaitingReply, State::AwaitingReply, State::AwaitingReply, State::Calling]);
    world.outcome(world.root.thread).unwrap();
}

#[test]
fn closing_ends_at_a_point_and_goes_on_from_there() {
    let (mut world, endpoint, _, clients) = held(0, 9);
    let late = world.spawn_thread(&clients[0]);
    world.kernel.machine.meter.interrupt_at = 1;
    begin(&mut world, endpoint, Operation::SetState, [EndpointState::Closed as u64, 42]);
    let steps = steps(&mut world, |world, step| {
        let told = clients.iter().filter(|client| world.state(client.thread) == State::Runnable).count();
        assert_eq!(told, step as usize);
        world.call(late.thread, 10, &Message::words(&[1]));
        assert_eq!(world.outcome(late.thread), Err(Error::Closed), "whoever comes now is told at once");
    });
    assert_eq!(steps, 10);
    for client in &clients {
        assert_eq!((world.outcome(client.thread), world.words(client.thread)[0]), (Err(Error::Closed), 42));
    }
}

#[test]
fn endpoint_is_destroyed_thread_by_thread() {
    let mut world = World::new();
    let made = world.make(ObjectKind::Endpoint, 1);
    let (server, client) = (world.spawn(), world.spawn());
    world.give(&server, 10, made.handle, Rights::RECEIVE);
    world.give(&client, 10, made.handle, Rights::CALL);
    world.must(made.handle, Operation::SetState, &[EndpointState::Held as u64, 0]);
    for thread in [server, world.spawn_thread(&server), world.spawn_thread(&server)] {
        world.run(thread.thread, 0, Operation::SetReplySlot, &[11]).unwrap();
        world.receive(thread.thread, 10);
    }
    let clients: Vec<Process> = (0..70).map(|_| world.spawn_thread(&client)).collect();
    for client in &clients {
        world.call(client.thread, 10, &Message::words(&[3]));
    }
    world.kernel.machine.meter.interrupt_at = 1;
    begin(&mut world, made.memory, Operation::Reclaim, [0, 1]);
    assert_eq!(steps(&mut world, |_, _| ()), 3 + 70 + 1);
    assert_eq!(world.outcome(world.root.thread).unwrap()[0], 1);
    assert_eq!(world.outcome(server.thread), Err(Error::Kicked));
    for client in &clients {
        assert_eq!(world.outcome(client.thread), Err(Error::Closed));
    }
}

#[test]
fn reclaim_returns_what_it_did_before_an_object_that_takes_longer() {
    let mut world = World::new();
    let memory = world.pages(3);
    let slot = world.free_slot();
    world.must(memory, Operation::Retype, &[2, ObjectKind::Endpoint as u64, 1, u64::from(slot), 0]);
    let client = world.spawn();
    world.give(&client, 10, slot, Rights::CALL);
    for _ in 0..3 {
        let client = world.spawn_thread(&client);
        world.call(client.thread, 10, &Message::words(&[3]));
    }
    world.kernel.machine.meter.interrupt_at = 3;
    assert_eq!(world.must(memory, Operation::Reclaim, &[0, 3]), 2, "an interrupt waited at the first caller");
    assert_eq!(world.must(memory, Operation::Reclaim, &[2, 1]), 1);
}

#[test]
fn table_is_made_page_by_page() {
    let mut world = World::new();
    let memory = world.pages(6);
    for index in 0..6 {
        let page = world.must(memory, Operation::PhysicalAddress, &[index]) / 4096;
        world.page(page as u32).fill(0xaa);
    }
    let slot = world.free_slot();
    world.kernel.machine.meter.interrupt_at = 1;
    begin(&mut world, memory, Operation::Retype, [0, ObjectKind::CapTable as u64, 6, u64::from(slot), 0]);
    let notification = world.notification();
    begin(&mut world, memory, Operation::Retype, [0, ObjectKind::CapTable as u64, 6, u64::from(slot), 0]);
    let put = |world: &mut World, index: u64| world.ask(slot, Operation::Copy, &[index, u64::from(notification), 0xff, 0, 0, 0]);
    let steps = steps(&mut world, |world, step| {
        // What is there works, and what is not there yet is no slot.
        let end = u64::from(step * abi::SLOTS_PER_PAGE);
        let registers = *world.frame(world.root.thread);
        assert_eq!((put(world, end - 1).is_ok(), put(world, end)), (true, Err(Error::InvalidHandle)));
        *world.frame(world.root.thread) = registers;
    });
    assert_eq!(steps, 6);
    world.outcome(world.root.thread).unwrap();
    let described = world.ask(slot, Operation::Describe, &[5 * 128]).unwrap();
    assert_eq!(described[0], 0, "zeroed");
    let again = [0, ObjectKind::CapTable as u64, 6, u64::from(slot), 0];
    assert_eq!(world.ask(memory, Operation::Retype, &again), Err(Error::SlotFull), "it was done before");
}

#[test]
fn full_slot_is_gone_on_with_only_by_the_same_table() {
    let mut world = World::new();
    let (memory, other) = (world.pages(4), world.pages(4));
    let slot = u64::from(world.free_slot());
    let kind = ObjectKind::CapTable as u64;
    world.must(memory, Operation::Retype, &[0, kind, 2, slot, 0]);
    assert_eq!(world.ask(other, Operation::Retype, &[0, kind, 4, slot, 0]), Err(Error::SlotFull), "another one's pages");
    assert_eq!(world.ask(memory, Operation::Retype, &[1, kind, 3, slot, 0]), Err(Error::SlotFull), "another first page");
    assert_eq!(world.ask(memory, Operation::Retype, &[0, ObjectKind::Endpoint as u64, 1, slot, 0]), Err(Error::SlotFull), "another kind");
    assert_eq!(world.ask(memory, Operation::Retype, &[0, kind, 1, slot, 0]), Err(Error::SlotFull), "no table gets fewer pages so");
    let process = world.spawn();
    world.must(process.space, Operation::Map, &[BASE, u64::from(memory), 3, 1, 0]);
    assert_eq!(world.ask(memory, Operation::Retype, &[0, kind, 4, slot, 0]), Err(Error::Busy), "what is left to add is in use");
    world.must(process.space, Operation::Unmap, &[BASE, 1]);
    world.must(memory, Operation::Retype, &[0, kind, 4, slot, 0]);
    world.must(memory, Operation::Reclaim, &[0, 4]);
    assert_eq!(world.ask(memory, Operation::Retype, &[0, kind, 4, slot, 0]), Err(Error::SlotFull), "a stale capability is no beginning");
}

#[test]
fn table_goes_page_by_page_and_all_handles_of_it_at_once() {
    let mut world = World::new();
    let table = world.make(ObjectKind::CapTable, 5);
    world.kernel.machine.meter.interrupt_at = 1;
    begin(&mut world, table.memory, Operation::Reclaim, [0, 5]);
    let steps = steps(&mut world, |world, _| {
        let registers = *world.frame(world.root.thread);
        assert_eq!(world.ask(table.handle, Operation::Describe, &[4]), Err(Error::InvalidHandle));
        *world.frame(world.root.thread) = registers;
    });
    assert_eq!((steps, world.outcome(world.root.thread).unwrap()[0]), (5, 1), "the first page ends the table, and the step");
    assert_eq!(world.must(table.memory, Operation::Reclaim, &[1, 4]), 1, "the others are plain pages");
    assert_eq!(world.must(table.memory, Operation::FreePages, &[0]), 0b1_1111);
}

#[test]
fn table_that_owns_memory_stays_however_the_memory_came_there() {
    let mut world = World::new();
    let table = world.make(ObjectKind::CapTable, 2);
    let (first, second) = (u64::from(world.pages(2)), u64::from(world.free_slot()));
    let t = u64::from(table.handle);
    let stays = |world: &mut World| assert_eq!(world.ask(table.memory, Operation::Reclaim, &[0, 2]), Err(Error::Busy));
    world.must(first as u32, Operation::Split, &[1, 200, t]);
    stays(&mut world);
    world.must(0, Operation::Copy, &[second, 200, 0xff, 0, 2, t]);
    world.must(table.handle, Operation::Copy, &[9, first, 0xff, 0, 2, 0]);
    stays(&mut world);
    world.must(0, Operation::Copy, &[first, 9, 0xff, 0, 2, t]);
    world.must(first as u32, Operation::Merge, &[second]);
    assert_eq!(world.must(table.memory, Operation::Reclaim, &[0, 2]), 2, "it owns nothing any more");
}

#[test]
fn zeroing_ends_where_an_interrupt_waits() {
    let mut world = World::new();
    let process = world.spawn();
    let memory = u64::from(world.pages(8));
    world.kernel.machine.meter.interrupt_at = 1;
    assert_eq!(world.must(process.space, Operation::Map, &[BASE, memory, 0, 8, MapFlags::WRITE | MapFlags::ZERO]), 1);
    world.kernel.machine.meter.interrupt_at = 3;
    assert_eq!(world.must(process.space, Operation::Map, &[BASE + 4096, memory, 1, 7, MapFlags::WRITE | MapFlags::ZERO]), 3);
    world.kernel.machine.meter.interrupt_at = 1;
    assert_eq!(world.must(process.space, Operation::Map, &[BASE + 4 * 4096, memory, 4, 4, MapFlags::WRITE]), 4, "entries alone are quick");
}

#[test]
fn walk_through_holes_ends_where_an_interrupt_waits() {
    let mut world = World::new();
    let process = world.spawn();
    let memory = u64::from(world.pages(8));
    // One page in the middle of each of eight tables: nothing but holes to look through.
    for index in 0..8 {
        world.must(process.space, Operation::Map, &[0x4000_0000 + index * 0x20_0000 + 0x10_0000, memory, index, 1, 0]);
    }
    let all = [0x4000_0000, 8 * 512];
    let flags = MapFlags::READ;
    assert_eq!(world.must(process.space, Operation::Protect, &[all[0], all[1], flags]), all[1], "as long as nobody waits");
    assert!(world.kernel.machine.meter.points > 8);
    world.kernel.machine.meter.interrupt_at = 1;
    let done = world.must(process.space, Operation::Unmap, &all);
    assert!((1..1024).contains(&done), "{done}");
    let mut at = done;
    while at < all[1] {
        at += world.must(process.space, Operation::Unmap, &[all[0] + at * 4096, all[1] - at]);
    }
    assert_eq!(world.must(memory as u32, Operation::FreePages, &[0]), 0xff);
}

#[test]
fn largest_operations_stay_within_the_bound() {
    // The bound itself is the meter's to check, after every trap of every test; here is what comes near it.
    let mut world = World::new();
    let (process, other) = (world.spawn(), world.spawn());
    let memory = u64::from(world.huge_pages());
    assert_eq!(world.must(process.space, Operation::Map, &[0x20_0000, memory, 0, 512, MapFlags::WRITE | MapFlags::ZERO]), 512);
    assert_eq!(world.must(other.space, Operation::Clone, &[0x20_0000, u64::from(process.space), 0x20_0000, 512, 0]), 512);
    assert_eq!(world.must(process.space, Operation::List, &[0x20_0000, 512]), 448);
    assert_eq!(world.must(other.space, Operation::Unmap, &[0x20_0000, 512]), 512);
    for process in [process, other] {
        world.must(process.handle, Operation::ThreadStop, &[]);
        world.must(process.handle, Operation::ThreadConfigure, &[0, u64::from(world.root.space), 0]);
        assert_eq!(world.must(process.space, Operation::Dismantle, &[]), 0);
    }
    assert_eq!(world.must(memory as u32, Operation::Reclaim, &[0, 512]), 512);
    let most = world.kernel.machine.meter.most;
    assert!(most.accesses >= abi::BUDGET_PAGES && most.bytes >= 4096, "the meter measures: {most:?}");
}

#[test]
fn long_answer_and_long_message_have_a_point_between_them() {
    let mut world = World::new();
    let (server, client, _) = world.pair(1);
    let other = world.spawn_thread(&client);
    let long = Message { label: Label::new(abi::MAX_MESSAGE), ..Message::default() };
    world.receive(server.thread, 10);
    world.call(client.thread, 10, &long);
    world.call(other.thread, 10, &long);
    world.kernel.machine.meter.interrupt_at = 1;
    world.prepare_syscall(server.thread, Control::new(Operation::ReplyReceive, 10), long.label, &[7], 0);
    assert!(world.execute_syscall(server.thread), "the answer is given, the message is not taken yet");
    assert_eq!([client, other].map(|client| world.state(client.thread)), [State::Runnable, State::Calling]);
    assert_eq!(world.received(client.thread).label.bytes(), abi::MAX_MESSAGE);
    world.switch_to(server.thread);
    assert!(!world.execute_syscall(server.thread));
    assert_eq!((world.received(server.thread).label.bytes(), world.state(other.thread)), (abi::MAX_MESSAGE, State::AwaitingReply));
    world.kernel.machine.meter.interrupt_at = 0;
    world.call(client.thread, 10, &long);
    world.reply_receive(server.thread, 10, &long);
    assert_eq!(world.received(server.thread).label.bytes(), abi::MAX_MESSAGE, "in one go where nobody waits");
}
